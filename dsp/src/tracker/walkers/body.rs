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
        -1.85, -1.62, -1.50, -1.47, -1.35, -1.20, -1.06, -0.87, -0.65, -0.47, -0.29, -0.09, 0.10, 0.28,
    ],
    [
        -2.36, -2.41, -2.42, -2.19, -1.97, -1.68, -1.46, -1.21, -0.97, -0.71, -0.48, -0.23, 0.04, 0.59,
    ],
    [
        -2.50, -2.50, -2.50, -2.20, -1.88, -1.63, -1.36, -1.10, -0.85, -0.57, -0.30, 0.01, 0.43, 1.14,
    ],
    [
        -2.50, -2.50, -2.30, -2.10, -1.77, -1.42, -1.16, -0.91, -0.63, -0.36, -0.11, 0.21, 0.60, 1.29,
    ],
    [
        -2.50, -2.50, -2.21, -1.99, -1.66, -1.36, -1.08, -0.81, -0.51, -0.24, 0.02, 0.32, 0.68, 1.40,
    ],
    [
        -2.50, -2.50, -2.17, -1.93, -1.59, -1.29, -1.03, -0.76, -0.47, -0.17, 0.11, 0.41, 0.82, 1.63,
    ],
    [
        -2.50, -2.50, -2.25, -1.91, -1.59, -1.23, -0.95, -0.68, -0.40, -0.13, 0.21, 0.57, 1.00, 1.98,
    ],
    [
        -2.50, -2.50, -2.26, -1.82, -1.52, -1.20, -0.95, -0.66, -0.35, -0.05, 0.32, 0.74, 1.29, 2.22,
    ],
    [
        -2.50, -2.45, -2.10, -1.74, -1.47, -1.22, -0.99, -0.73, -0.37, -0.06, 0.29, 0.76, 1.40, 2.50,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_entry_is_met_in_its_place_and_held_beyond_the_ends() {
        let share = |column: usize| detmath::exp(SHARE[0] + SHARE[1] * column as f32);
        for (row, nats_of_row) in NATS.iter().enumerate() {
            let rate = RATE_M_S[0] + RATE_M_S[1] * row as f32;
            for (column, expected) in nats_of_row.iter().enumerate() {
                for rate in [rate, -rate] {
                    assert!((nats(share(column), rate) - expected).abs() < 1e-3, "{row} {column}");
                }
            }
        }
        assert_eq!(nats(1.0, 9.0).to_bits(), NATS[8][13].to_bits());
        assert_eq!(nats(0.0, 0.0).to_bits(), NATS[0][0].to_bits());
    }

    /// The more of a peak, the more it is a body's, at every rate.
    #[test]
    fn a_larger_share_never_speaks_against_somebody() {
        for rate in (0..20).map(|k| 0.1 * k as f32) {
            let nats: Vec<f32> = (1..=100).map(|share| nats(0.01 * share as f32, rate)).collect();
            assert!(nats.windows(2).all(|w| w[0] <= w[1]), "{rate}");
        }
    }
}
