//! What every plugin must show: golden vectors for the host, and a suite for its author.
//!
//! * [`prove`] runs the golden vectors of a stage, twice, and gives their digest. The manifest holds that
//!   digest; the host proves a library again before its first cycle, so a machine on which it computes other
//!   bits refuses it.
//! * [`check`] is the suite: exact state, refusals, full outputs, no allocation. A plugin crate calls it in a
//!   test on itself (`examples/plugin-minimal`), the host's tests on loaded libraries.
//!
//! The vectors are made by integer arithmetic, `+ - * /` and [`detmath`](crate::detmath), so they are the same
//! everywhere. They exercise the stage with its default configuration (an empty table).

mod probe;
mod prove;
mod scenes_cir;
mod scenes_tomography;
mod scenes_tracker;
mod suite;

pub use prove::{Proof, ProveError, VectorDigest, prove};
pub use suite::{Finding, Report, check, check_cir, check_tomography, check_tracker};
