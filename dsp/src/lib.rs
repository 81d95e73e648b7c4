//! Numeric code of the pipeline: no I/O, no clock, no ABI types.
//!
//! Everything here keeps the numeric profile `ieee-strict-1`: `+ - * / sqrt` and the functions of
//! [`detmath`] only, sums in a fixed order, no platform mathematics, no fused multiply-add.
//!
//! The host's numeric stages of one cycle stand behind [`front::Front`]: normalisation ([`normalize`]), empty-room
//! calibration ([`calibration`]), phase alignment ([`phase_align`]), fusion ([`fusion`]), and evidence
//! ([`coherence`], [`motion`], [`presence`], [`gate`]).

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests judge by the platform's functions")
)]

pub mod array;
pub mod bearing;
pub mod calibration;
pub mod cir;
pub mod coherence;
pub mod detmath;
pub mod doppler;
pub mod fingerprint;
pub mod front;
pub mod fusion;
pub mod gate;
pub mod hampel;
pub mod motion;
pub mod normalize;
pub mod phase_align;
pub mod pose;
pub mod presence;
pub mod presence_coverage;
pub mod quality;
pub mod sketch;
pub mod tier;
pub mod tomography;
pub mod tracker;
