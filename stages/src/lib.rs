//! The stage implementations behind the contract: adapters from dsp to plugin-api.

#![forbid(unsafe_code)]

pub mod tomography;
pub mod tracker;
