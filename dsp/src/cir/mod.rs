//! Channel impulse response by sparse recovery.
//!
//! What is estimated: complex gains `a_g` of G delay taps that explain the measured tones,
//! `H(k) = sum_g a_g exp(-2 pi i k g / G)`, as the minimiser of `1/2 |y - Phi x|^2 + lambda |x|_1`
//! (basis pursuit denoising with complex taps), and how far from that optimum the answer can be at
//! most: its relative duality gap.
//!
//! | module | idea |
//! |---|---|
//! | [`grid`] | tones, taps and what connects them |
//! | [`lane`] | `f32` or eight of them: one link a lane, each with the bits of the scalar run |
//! | [`operator`] | `Phi` and `Phi^H`: the dense reference and the transform |
//! | `comb`, `dft` | the transform, pruned to the bins that are tones |
//! | [`certificate`] | the duality gap |
//! | [`proximal`] | ISTA and FISTA |
//! | [`admm`] | many taps: the alternating direction method on the dual |
//! | [`working_set`] | few taps: coordinate descent on a small set |
//! | [`newton`] | the Newton step on its taps |
//! | [`hybrid`] | the working set for a batch, certified by the operator, ADMM for the rest |
//! | [`noise`] | noise from the tones, `lambda` from the noise |
//! | [`delay`] | delay of the strongest path between the taps, and its sigma |
//! | [`estimate`] | what is said of a link's taps |
//! | [`batch`] | normalise, solve, describe: a batch of links from tones to estimates |
//!
//! Assumptions: tones have been put into causal order (imaginary/real byte order is the parser's
//! business), and no delay exceeds `1/df`; delays are circular with that period.

pub mod admm;
pub mod batch;
pub mod certificate;
mod comb;
pub mod delay;
mod dft;
pub mod estimate;
pub mod grid;
pub mod hybrid;
pub mod lane;
pub mod newton;
pub mod noise;
pub mod operator;
pub mod proximal;
pub mod settings;
pub mod working_set;

pub use batch::BatchSolver;
pub use estimate::{Estimate, NoAnswer};
pub use grid::ToneGrid;
pub use lane::{Lane, Lanes8};
pub use operator::{DenseOperator, FftOperator, SensingOperator};
pub use settings::{Lambda, Method, Settings};

#[cfg(test)]
mod tests;
