//! Tests of the log as a whole.

mod append;
mod faults;
mod forget;
mod fsck;
mod prune;
mod reader;
mod rotate;
mod succeed;
pub(crate) mod support;
