//! The cycle: a pure function `(state, recorded input, manifest, config) -> (state', outcome)`.
//!
//! [`Core::step`] runs stages 1 to 9 on one slot's input. It reads no clock to decide anything: the slot,
//! the frames in it and the dispositions to obey are inputs. (It does time its stages, for operators; times
//! never reach an outcome.) Live, replay and bench all drive this one function; [`crate::run`] does that.

pub mod clock;
mod core;
mod decide;
mod persons;
pub mod privacy;
mod published;
mod setup;
mod stages;

pub use self::core::{Core, Obey, Report, Slot, StateError, WITNESS_PARTS};
pub use setup::{SetupError, host_spec};
