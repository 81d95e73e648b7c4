//! Tests of the log as a whole.

mod append;
mod faults;
mod forget;
mod fsck;
mod prune;
mod reader;
pub(crate) mod support;
