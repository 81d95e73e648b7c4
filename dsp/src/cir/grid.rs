//! The grid a channel is measured on (tones) and the one it is explained on (taps).

use num_complex::Complex32;

use crate::{
    detmath::{cos64, sin64},
    tier::Tier,
};

/// Most tones a grid may have.
pub const MAX_TONES: usize = 2_048;
/// Most taps a grid may have.
pub const MAX_TAPS: usize = 8_192;

/// Why a grid cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// The number of tones is out of range.
    #[error("a tone grid needs 1 to {MAX_TONES} tones, found {found}")]
    ToneCount {
        /// Tones given.
        found: usize,
    },
    /// The number of taps is out of range.
    #[error("a grid of {tones} tones needs {tones} to {MAX_TAPS} taps, found {found}")]
    TapCount {
        /// Tones given.
        tones: usize,
        /// Taps given.
        found: usize,
    },
    /// Tones are not ascending, or two of them fall on one transform bin.
    #[error("tone indices must ascend and span less than {taps}: found {before} before {after}")]
    Order {
        /// Taps G: the period of the bins.
        taps: usize,
        /// The tone before (or the first, when the span is too wide).
        before: i16,
        /// The tone after (or the last).
        after: i16,
    },
}

/// K tones at `index * spacing_hz` from the carrier and G delay taps at `g / (G spacing_hz)`.
///
/// The sensing matrix is `Phi[k, g] = exp(-2 pi i index_k g / G) / sqrt(K)`, columns of norm 1. Its
/// rows are distinct rows of a discrete Fourier transform of length G, so `Phi Phi^H = (G/K) I`, the
/// Lipschitz constant of `Phi^H Phi` is exactly G/K, and `Phi^H Phi` is circulant.
#[derive(Clone, Debug, PartialEq)]
pub struct ToneGrid {
    indices: Vec<i16>,
    bins: Vec<usize>,
    taps: usize,
    spacing_hz: f64,
    bandwidth_mhz: u16,
}

impl ToneGrid {
    /// The grid of a tier: its active tones and G = 3 K taps.
    pub fn of_tier(tier: Tier) -> Self {
        Self::new(
            tier.tone_indices().collect(),
            tier.taps(),
            tier.spacing_hz(),
            tier.bandwidth_mhz(),
        )
        .expect("the tables of every tier make a grid: a test builds them all")
    }

    /// A grid of any ascending tones.
    ///
    /// # Errors
    /// Too few or too many tones or taps, or two tones on one transform bin.
    pub fn new(indices: Vec<i16>, taps: usize, spacing_hz: f64, bandwidth_mhz: u16) -> Result<Self, GridError> {
        let tones = indices.len();
        if !(1..=MAX_TONES).contains(&tones) {
            return Err(GridError::ToneCount { found: tones });
        }
        if !(tones..=MAX_TAPS).contains(&taps) {
            return Err(GridError::TapCount { tones, found: taps });
        }
        let order = |before, after| GridError::Order { taps, before, after };
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(order(pair[0], pair[1]));
        }
        let (first, last) = (indices[0], indices[tones - 1]);
        if i32::from(last) - i32::from(first) >= taps as i32 {
            return Err(order(first, last));
        }
        let bins = indices
            .iter()
            .map(|&index| i32::from(index).rem_euclid(taps as i32) as usize)
            .collect();
        Ok(Self {
            indices,
            bins,
            taps,
            spacing_hz,
            bandwidth_mhz,
        })
    }

    /// Tones K.
    pub fn tones(&self) -> usize {
        self.indices.len()
    }

    /// Taps G.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Tone indices relative to the carrier, ascending.
    pub fn indices(&self) -> &[i16] {
        &self.indices
    }

    /// The transform bin of each tone, `index mod G`.
    pub fn bins(&self) -> &[usize] {
        &self.bins
    }

    /// Tone spacing, Hz.
    pub fn spacing_hz(&self) -> f64 {
        self.spacing_hz
    }

    /// Occupied bandwidth, MHz.
    pub fn bandwidth_mhz(&self) -> u16 {
        self.bandwidth_mhz
    }

    /// Delay between two taps, seconds.
    pub fn tap_delay_s(&self) -> f64 {
        1.0 / (self.taps as f64 * self.spacing_hz)
    }

    /// `exp(-2 pi i j / G) / sqrt(K)` for j in 0..G, computed in f64 and rounded once: entry
    /// `(index_k g) mod G` is `Phi[k, g]`.
    pub fn scaled_roots(&self) -> Vec<Complex32> {
        let scale = 1.0 / (self.tones() as f64).sqrt();
        (0..self.taps)
            .map(|j| {
                let angle = -2.0 * core::f64::consts::PI * j as f64 / self.taps as f64;
                Complex32::new((scale * cos64(angle)) as f32, (scale * sin64(angle)) as f32)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_has_its_grid() {
        for tier in Tier::ALL {
            let grid = ToneGrid::of_tier(tier);
            assert_eq!((grid.tones(), grid.taps()), (tier.tones(), tier.taps()));
            assert!((grid.tap_delay_s() - tier.tap_delay_s()).abs() < 1e-20);
            let mut bins = grid.bins().to_vec();
            bins.sort_unstable();
            bins.dedup();
            assert_eq!(bins.len(), grid.tones(), "bins of {} collide", tier.name());
        }
    }

    #[test]
    fn wrong_grids_are_refused() {
        let grid = |indices: &[i16], taps| ToneGrid::new(indices.to_vec(), taps, 312_500.0, 20).unwrap_err();
        assert_eq!(grid(&[], 9), GridError::ToneCount { found: 0 });
        assert_eq!(grid(&[1, 2, 3], 2), GridError::TapCount { tones: 3, found: 2 });
        assert!(matches!(
            grid(&[1, 1], 6),
            GridError::Order {
                before: 1,
                after: 1,
                ..
            }
        ));
        assert!(matches!(
            grid(&[-3, 3], 6),
            GridError::Order {
                before: -3,
                after: 3,
                ..
            }
        ));
    }
}
