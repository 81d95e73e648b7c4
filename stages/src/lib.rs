//! The stage implementations behind the contract: adapters from dsp to plugin-api.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests judge by the platform's functions")
)]

pub mod cir;
mod cir_config;
mod cir_state;
pub mod tomography;
pub mod tracker;
