//! What the tasks share with the programs that they start (`accuracy/`): running programs, and the build.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it tells its user what runs")]

pub mod build;
pub mod run;
pub mod web;
