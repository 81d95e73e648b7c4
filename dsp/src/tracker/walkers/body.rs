//! What the power at a rate says about a body that moves at that rate.

use crate::detmath;

/// Path rates of the rows of [`NATS`], m/s: the first, and from one to the next.
const RATE_M_S: [f32; 2] = [0.1, 0.2];
/// Shares of the peak of the columns, as natural logarithms: the first, and from one to the next.
const SHARE: [f32; 2] = [-6.75, 0.5];

/// Logarithm of how much oftener a power of this share of the spectrum's peak (columns) stands at the path rate of somebody who walks
/// (rows, of either sign) than at the same rate of a walk that nobody takes. Measured in made-up rooms by
/// `cargo run --release -p tapline-benches --bin walk-spectra`.
const NATS: [[f32; 14]; 9] = [
    [
        -1.74, -2.11, -1.77, -1.60, -1.48, -1.29, -1.15, -0.92, -0.66, -0.45, -0.27, -0.10, 0.11, 0.29,
    ],
    [
        -1.53, -2.50, -2.50, -2.50, -1.98, -1.77, -1.57, -1.26, -0.90, -0.71, -0.49, -0.22, 0.08, 0.62,
    ],
    [
        -2.50, -2.50, -2.50, -2.33, -1.86, -1.68, -1.49, -1.12, -0.82, -0.57, -0.28, 0.05, 0.46, 1.28,
    ],
    [
        -2.50, -2.50, -2.50, -2.15, -1.65, -1.34, -1.16, -0.90, -0.61, -0.31, -0.03, 0.26, 0.63, 1.35,
    ],
    [
        -2.50, -2.50, -2.50, -2.07, -1.61, -1.22, -0.95, -0.70, -0.52, -0.23, 0.06, 0.33, 0.69, 1.51,
    ],
    [
        -2.50, -2.50, -2.36, -1.98, -1.48, -1.25, -0.96, -0.64, -0.43, -0.18, 0.12, 0.42, 0.79, 1.69,
    ],
    [
        -2.50, -2.50, -2.16, -1.74, -1.29, -1.14, -0.99, -0.63, -0.38, -0.17, 0.19, 0.52, 0.98, 2.00,
    ],
    [
        -2.50, -2.50, -2.49, -2.05, -1.37, -1.00, -0.92, -0.63, -0.32, -0.11, 0.31, 0.70, 1.18, 2.34,
    ],
    [
        -2.50, -2.50, -2.34, -2.36, -1.83, -1.02, -0.71, -0.55, -0.31, 0.00, 0.33, 0.76, 1.35, 2.50,
    ],
];

/// The table by which a walk is weighed, for whoever measures it anew: rows by |path rate| from 0.1 m/s in steps of 0.2 m/s, columns by
/// the natural logarithm of the power's share of the spectrum's peak, from -6.75 in steps of 0.5.
pub fn walk_nats() -> &'static [[f32; 14]; 9] {
    &NATS
}

/// Log-likelihood ratio of somebody who walks at this path rate, from the power there as a share of the spectrum's peak.
pub(super) fn nats(share: f32, rate_m_s: f32) -> f32 {
    let (row, down) = place(rate_m_s.abs(), RATE_M_S, NATS.len());
    let (column, along) = place(detmath::ln(detmath::max(share, 1e-4)), SHARE, NATS[0].len());
    let at = |row: usize| NATS[row][column] + along * (NATS[row][column + 1] - NATS[row][column]);
    at(row) + down * (at(row + 1) - at(row))
}

/// The step of a scale below a value, and how far on it the value is; ends hold beyond them.
fn place(value: f32, [first, step]: [f32; 2], steps: usize) -> (usize, f32) {
    let at = detmath::clamp((value - first) / step, 0.0, (steps - 1) as f32);
    let below = (at as usize).min(steps - 2);
    (below, at - below as f32)
}
