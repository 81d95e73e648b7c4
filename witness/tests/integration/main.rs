//! Tests of the witness crate from outside: one binary, so that it links once.

mod bundle;
mod checkpoint;
mod known_answers;
mod laws;
mod memory_log;
mod outcome;
mod policy;
mod python;
mod rolled;
mod rotation;
mod secrecy;
mod strategies;
mod tiles;
mod tree;
