//! Drivers of the cycle: live in real time, or through a recording. Both go through [`Engine`], which joins
//! the pure cycle to the log and to its readers.

mod calibration;
mod capture;
mod diagnostics;
mod engine;
pub mod environment;
pub mod histogram;
pub mod live;
pub mod notes;
pub mod order;
mod recordings;
pub mod replay;
pub mod rerun;
pub mod start;
mod swaps;
mod trace;

pub use engine::{Engine, EngineError, SlotInput, Stepped, outcome_code};
