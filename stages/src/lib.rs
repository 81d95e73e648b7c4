//! The stage implementations behind the contract: adapters from dsp to plugin-api.

#![forbid(unsafe_code)]

pub mod cir;
mod cir_config;
mod cir_state;
pub mod tomography;
pub mod tracker;
