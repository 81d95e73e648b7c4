//! Rollups in the store: written by the log's writer thread between commits, read by queries.
//!
//! [`crate::rollup`] is the arithmetic; this is where its rows lie (`migrations/0003_rollup.sql`), and how far each level is.
//!
//! - [`Roller`]: from committed cycles to seconds, from seconds to minutes, hours and days. Everything it does is one
//!   transaction with the cursor it moves, so a kill loses a step whole and the next start does it again.
//! - [`Keep`]: how long each level is kept, by time and by bytes.
//! - [`minutes`]: the digest of closed minutes that a ROLLUP leaf carries.
//! - [`query`]: rows back, at the level that answers within a number of points.

mod minutes;
mod prune;
pub mod query;
mod roller;
mod series;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use minutes::{Minutes, minutes};
pub use prune::Keep;
pub(crate) use prune::forget_ways;
pub(crate) use roller::Roller;

use crate::rollup::Calendar;

/// How a store rolls up.
#[derive(Clone, Debug, Default)]
pub struct RollupOptions {
    /// Where hours and days begin.
    pub calendar: Calendar,
    /// What is kept how long.
    pub keep: Keep,
}
