//! A histogram of positive levels on a logarithmic scale: quantiles in fixed memory, exact to export.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::detmath;

const BINS: usize = 128;
/// Bins an octave: quantiles are good to 2^(1/4), 19 %.
const BINS_PER_OCTAVE: f32 = 4.0;
/// Level of the lowest bin's upper edge: 2^-26, far below any quantisation noise.
const LOWEST_LOG2: f32 = -26.0;

/// Counts of observed levels.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct LevelHistogram {
    counts: Vec<u32>,
}

impl Default for LevelHistogram {
    fn default() -> Self {
        Self { counts: vec![0; BINS] }
    }
}

impl LevelHistogram {
    /// Forgets all levels.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// True when the memory has the right size.
    pub fn fits(&self) -> bool {
        self.counts.len() == BINS
    }

    /// Counts one level; zero and below go to the lowest bin.
    pub fn add(&mut self, level: f32) {
        let mut bin = 0;
        if level > 0.0 {
            let place = (detmath::ln(level) * core::f32::consts::LOG2_E - LOWEST_LOG2) * BINS_PER_OCTAVE;
            bin = detmath::clamp(place, 0.0, (BINS - 1) as f32) as usize;
        }
        self.counts[bin] = self.counts[bin].saturating_add(1);
    }

    /// Number of levels counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|&c| u64::from(c)).sum()
    }

    /// The level that `share` (0 to 1) of the counted ones do not exceed: the middle of its bin. None when empty.
    pub fn quantile(&self, share: f32) -> Option<f32> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = (f64::from(share) * total as f64) as u64;
        let mut seen = 0;
        let bin = self.counts.iter().position(|&c| {
            seen += u64::from(c);
            seen > wanted || seen == total
        })?;
        if bin == 0 {
            return Some(0.0);
        }
        Some(detmath::pow(2.0, (bin as f32 + 0.5) / BINS_PER_OCTAVE + LOWEST_LOG2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_within_a_bin() {
        let mut levels = LevelHistogram::default();
        assert_eq!(levels.quantile(0.5), None);
        for i in 1..=1000 {
            levels.add(i as f32 * 1e-5);
        }
        for (share, truth) in [(0.1, 1e-3), (0.5, 5e-3), (0.9, 9e-3)] {
            let q = levels.quantile(share).unwrap();
            assert!((q / truth - 1.0).abs() < 0.2, "{share}: {q} {truth}");
        }
    }

    #[test]
    fn zero_negative_and_huge_levels_are_counted() {
        let mut levels = LevelHistogram::default();
        for level in [0.0, -1.0, f32::MAX] {
            levels.add(level);
        }
        assert_eq!((levels.total(), levels.quantile(0.5)), (3, Some(0.0)));
        assert!(levels.quantile(1.0).unwrap() > 10.0);
    }
}
