//! Numeric code of the pipeline: no I/O, no clock, no ABI types.
//!
//! Everything here keeps the numeric profile `ieee-strict-1`: `+ - * / sqrt` and the functions of
//! [`detmath`] only, sums in a fixed order, no platform mathematics, no fused multiply-add.

#![forbid(unsafe_code)]

pub mod detmath;
pub mod pose;
pub mod tier;
pub mod tomography;
pub mod tracker;
