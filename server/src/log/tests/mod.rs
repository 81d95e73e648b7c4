//! Tests of the log as a whole.

mod append;
mod faults;
mod fsck;
mod reader;
pub(crate) mod support;
