//! Benchmarks, and the scenes they are made on.

#![forbid(unsafe_code)]

pub mod chart;
pub mod cir_scene;
pub mod strength_scene;
