//! Tables of what was, for analysts: rollups and changes of occupancy, row by row into a [`Sink`].
//!
//! - [`What`]: the tables and their columns.
//! - [`Request`], [`export`]: from a snapshot of the store to the rows, in pieces, so that memory does not grow with the answer.
//! - [`Csv`]: the format that is always there. [`columnar`] (cargo feature `columnar`) writes Arrow and Parquet.
//!
//! Privacy is decided by whoever asks: see [`Request::zones`] and `api::export`.

#[cfg(feature = "columnar")]
pub mod columnar;
mod csv;
mod request;
mod rows;
mod table;
#[cfg(test)]
mod tests;

pub use csv::Csv;
pub use request::{Request, RequestError, Resolution, Span, day, time};
pub use rows::export;
pub use table::{Cell, Column, Type, What};

use crate::store::StoreError;

/// Takes the rows of a table.
pub trait Sink {
    /// A row; as many cells as the table has columns, each of its column's type or [`Cell::None`].
    ///
    /// # Errors
    /// When it cannot be written.
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError>;
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows cannot be written.
    #[error("cannot write the export: {0}")]
    Io(#[from] std::io::Error),
    /// Arrow or Parquet cannot be written.
    #[cfg(feature = "columnar")]
    #[error("cannot write the export: {0}")]
    Columnar(#[from] parquet::errors::ParquetError),
}
