//! The plugin contract and the author's SDK: all that a Tapline plugin depends on.
//!
//! A plugin is a shared library that implements one of three stages of the 20 Hz cycle:
//!
//! | stage | method trait to implement | input → output |
//! |---|---|---|
//! | `cir` | [`CirMethod`] | tones of each link path → taps and a [`cir::CirSummary`] |
//! | `tomography` | [`TomographyMethod`] | link observations → an image with variance |
//! | `tracker` | [`TrackerMethod`] | the image and link evidence → tracks with keypoints |
//!
//! The author writes plain, safe Rust against a method trait; [`export_plugin!`] wraps it into the
//! ABI-stable trait objects of [`abi`] and catches panics on the way. The host calls a stage that is
//! linked in and one that was loaded from a file through the same trait objects.
//!
//! Evolution: the records of version [`CONTRACT_VERSION`] are frozen. A later version appends a method
//! that takes a new record; nothing that exists changes its layout (`abi_stable` checks it at load).
//! Array order, units and masks are part of the contract and stand at each field.

#![deny(unsafe_code)]

pub mod abi;
pub mod canonical;
pub mod cir;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod counting;
pub mod describe;
pub mod entry;
pub mod geometry;
pub mod guard;
pub mod linked;
pub mod tomography;
pub mod tracker;

pub use abi_stable;
pub use describe::{Description, NUMERIC_PROFILE, StageKind};
pub use guard::{CirMethod, Method, StageError, TomographyMethod, TrackerMethod};
pub use tapline_dsp::detmath;

/// Version of the records and traits in this crate.
pub const CONTRACT_VERSION: u32 = 1;

/// The first handshake: a plain integer that every plugin exports as `tapline_loader_version`, read
/// before anything of the library's own layout is believed.
pub const LOADER_VERSION: u32 = 1;
