//! Tests of the log as a whole.

mod append;
mod faults;
mod fsck;
mod reader;
mod support;
