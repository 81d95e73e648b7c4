//! The program `tapline`.
#![forbid(unsafe_code)]
fn main() {}
