//! Oracle chain: hand-worked cases prove a slow obvious reference in f64, which proves the dense operator
//! and solver, which prove the transform and the lanes, over every tier.

mod chain;
mod exact;
mod golden;
mod memory;
mod noise;
mod reference;
pub(crate) mod scene;
