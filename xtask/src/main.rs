//! The front door: build, test, demo, golden, bench.
fn main() {}
