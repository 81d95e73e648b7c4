//! What the power at a rate says about a body that moves at that rate.

use crate::{
    detmath,
    doppler::{FILTER_M, FILTERS, RATE_BINS, RATE_STEP_M_S},
};

/// Path rates of the rows of [`NATS`], m/s: the first, and from one to the next.
pub const RATE_M_S: [f32; 2] = [0.1, 0.2];
/// Shares of the peak of the columns, as natural logarithms: the first, and from one to the next.
pub const SHARE: [f32; 2] = [-6.25, 0.5];
/// No peak of a spectrum counts as lower than this, in units of the quiet room's noise: the highest of noise alone.
const PEAK_LEAST: f32 = 6.0;

/// A value a delay filter and path rate.
pub type Spectra<T> = [[T; RATE_BINS]; FILTERS];

/// The delay filter next to this much more way than the direct one, metres.
pub fn filter(excess_m: f32) -> usize {
    let past = |k: usize| usize::from(excess_m >= 0.5 * (FILTER_M[k] + FILTER_M[k + 1]));
    past(0) + past(1)
}

/// The bin below a path rate, and how far on towards the next it is; the ends hold beyond them.
pub fn bin(rate_m_s: f32) -> (usize, f32) {
    let last = (RATE_BINS - 1) as f32;
    let at = detmath::clamp(rate_m_s / RATE_STEP_M_S + 0.5 * last, 0.0, last - 1e-3);
    (at as usize, at - (at as usize) as f32)
}

/// The powers of one pair (in units of the quiet room's noise) as shares of its peak: the highest mean of the filters. Both are smoothed over
/// neighbouring rates before, or the peak would be one of speckle.
pub fn shares(powers: &Spectra<f32>) -> Spectra<f32> {
    let mut shares = powers.map(|filter| {
        core::array::from_fn(|bin| {
            let (below, above) = (bin.saturating_sub(1), (bin + 1).min(RATE_BINS - 1));
            0.25 * (filter[below] + filter[above]) + 0.5 * filter[bin]
        })
    });
    let mut peak = PEAK_LEAST;
    for bin in 0..RATE_BINS {
        peak = detmath::max(
            peak,
            shares.iter().map(|f: &[f32; RATE_BINS]| f[bin]).sum::<f32>() / FILTERS as f32,
        );
    }
    shares.as_flattened_mut().iter_mut().for_each(|s| *s /= peak);
    shares
}

/// Logarithm of how much oftener a power of this share of the spectrum's peak (columns) stands at the path rate of somebody who walks
/// (rows, of either sign) than at the same rate of a walk that nobody takes. Measured in made-up rooms by
/// `cargo run --release -p tapline-benches --bin walk-spectra`.
pub const NATS: [[f32; 14]; 9] = [
    [
        -2.50, -2.50, -2.50, -2.50, -2.32, -1.90, -1.62, -1.39, -1.12, -0.82, -0.50, -0.18, 0.12, 0.27,
    ],
    [
        -2.50, -2.50, -2.50, -2.50, -2.50, -2.44, -1.99, -1.60, -1.32, -1.01, -0.66, -0.27, 0.09, 0.57,
    ],
    [
        -2.50, -2.50, -2.50, -2.50, -2.50, -2.24, -1.77, -1.43, -1.14, -0.82, -0.44, -0.02, 0.49, 1.20,
    ],
    [
        -2.50, -2.50, -2.50, -2.50, -2.24, -1.84, -1.42, -1.14, -0.84, -0.52, -0.17, 0.20, 0.69, 1.36,
    ],
    [
        -2.50, -2.50, -2.50, -2.36, -2.02, -1.65, -1.27, -0.98, -0.65, -0.33, -0.03, 0.31, 0.77, 1.49,
    ],
    [
        -2.50, -2.50, -2.50, -2.26, -1.86, -1.49, -1.18, -0.90, -0.58, -0.23, 0.06, 0.40, 0.89, 1.73,
    ],
    [
        -2.50, -2.50, -2.50, -2.26, -1.83, -1.40, -1.08, -0.81, -0.52, -0.18, 0.14, 0.55, 1.12, 2.05,
    ],
    [
        -2.50, -2.50, -2.50, -2.20, -1.80, -1.42, -1.06, -0.79, -0.45, -0.11, 0.24, 0.72, 1.42, 2.23,
    ],
    [
        -2.50, -2.50, -2.50, -2.31, -1.80, -1.42, -1.05, -0.87, -0.46, -0.16, 0.20, 0.76, 1.57, 2.50,
    ],
];

/// Log-likelihood ratio of somebody who walks at this path rate, from the power there as a share of the spectrum's peak.
pub fn nats(share: f32, rate_m_s: f32) -> f32 {
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
        assert_eq!(nats(9.0, 9.0).to_bits(), NATS[8][13].to_bits());
        assert_eq!(nats(0.0, 0.0).to_bits(), NATS[0][0].to_bits());
    }

    /// The more of a peak, the more it is a body's, at every rate.
    #[test]
    fn a_larger_share_never_speaks_against_somebody() {
        for rate in (0..20).map(|k| 0.1 * k as f32) {
            let nats: Vec<f32> = (1..=150).map(|share| nats(0.01 * share as f32, rate)).collect();
            assert!(nats.windows(2).all(|w| w[0] <= w[1]), "{rate}");
        }
    }
}
