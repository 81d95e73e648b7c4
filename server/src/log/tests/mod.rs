//! Tests of the log as a whole.

mod append;
mod faults;
mod forget;
mod fsck;
mod prune;
mod reader;
mod rotate;
pub(crate) mod support;
