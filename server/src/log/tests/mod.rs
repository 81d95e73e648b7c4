//! Tests of the log as a whole.

mod append;
mod clock;
mod faults;
mod forget;
mod fsck;
mod prune;
mod reader;
mod rotate;
mod succeed;
pub(crate) mod support;
