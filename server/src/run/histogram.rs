//! Times in microseconds, counted in the buckets of the rollups, without a map: adding allocates nothing.

use crate::rollup::{bucket, largest_in};

/// Buckets up to 2^32 microseconds, 16 a doubling.
const BUCKETS: usize = 32 * 16;

/// Counts of times; bounded whatever is added.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u32,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            largest: 0,
        }
    }
}

impl Histogram {
    /// Adds a time.
    pub fn add(&mut self, micros: u32) {
        self.counts[bucket(micros) as usize] += 1;
        self.total += 1;
        self.largest = self.largest.max(micros);
    }

    /// The time that a share `q` of all stays at or below, microseconds, rounded up to its bucket's end.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = (q * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return largest_in(index as u32).min(u64::from(self.largest));
            }
        }
        u64::from(self.largest)
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest time.
    pub fn largest(&self) -> u32 {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut h = Histogram::default();
        (1..=1_000).for_each(|m| h.add(m));
        assert!((500..=531).contains(&h.quantile(0.5)), "{}", h.quantile(0.5));
        assert!((990..=1_000).contains(&h.quantile(0.99)), "{}", h.quantile(0.99));
        assert_eq!((h.quantile(1.0), Histogram::default().quantile(0.5)), (1_000, 0));
    }
}
