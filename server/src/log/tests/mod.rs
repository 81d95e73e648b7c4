//! Tests of the log as a whole.

mod append;
mod support;
