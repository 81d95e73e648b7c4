//! Rollups: what a site's cycles add up to over a second, a minute, an hour and a day.
//!
//! This module is the arithmetic and nothing else: no database, no clock, no thread. Everything in a [`Row`] is an
//! integer, and rows of the same series merge by addition and maxima, so any order of merging gives the same bytes.
//! Whoever has the leaves and the outcomes of a range of cycles computes the same rows ([`Fold`]); only latencies are
//! not in the log.
//!
//! - [`Row`], [`Kind`], [`Series`]: what is counted.
//! - [`Calendar`], [`Level`]: which window a time lies in; days and hours of the site's time zone.
//! - [`Fold`]: from cycles to the rows of one window.
//! - [`levels`]: which rows are written at all, and how a row that was not written reads.
//! - [`Names`]: rooms, zones and links as the witnessed configuration of a cycle names them.
//!
//! [`crate::store::rollup`] keeps the rows (docs/memory.md).

mod calendar;
mod cycle;
mod encoding;
pub mod fields;
mod histogram;
pub mod levels;
mod names;
mod row;
mod transitions;

pub use calendar::{Calendar, Level, Window};
pub use cycle::{Carry, CycleInput, Event, Fold, Occupancy, Rows, SLOT_MS};
pub use encoding::RowError;
pub use histogram::{bucket, largest_in, quantile};
pub use names::{Names, cell_at, cell_corner_m};
pub use row::{End, Kind, Row, SUMS, Series};
