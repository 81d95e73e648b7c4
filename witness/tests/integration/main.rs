//! Tests of the witness crate from outside: one binary, so that it links once.

mod checkpoint;
mod known_answers;
mod laws;
mod outcome;
mod strategies;
mod tiles;
mod tree;
