//! Times in microseconds, counted: 64 buckets a doubling would be luxury, 16 keep the error below 5 %.

/// Sub-buckets of a doubling.
const SUB: u32 = 16;
/// Buckets up to 2^32 microseconds.
const BUCKETS: usize = (32 * SUB) as usize;

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
        self.counts[bucket(micros)] += 1;
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
                return end(index).min(u64::from(self.largest));
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

/// Exact below 16, then 16 buckets a doubling.
fn bucket(micros: u32) -> usize {
    if micros < SUB {
        return micros as usize;
    }
    let exponent = 31 - micros.leading_zeros();
    let sub = (micros >> (exponent - 4)) - SUB;
    ((exponent - 3) * SUB + sub) as usize
}

/// Largest time of a bucket.
fn end(index: usize) -> u64 {
    let (exponent, sub) = (index as u64 / 16, index as u64 % 16);
    if exponent == 0 {
        sub
    } else {
        ((16 + sub + 1) << (exponent - 1)) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket() {
        for micros in (0..5_000).chain([65_535, 65_536, 1 << 20, u32::MAX]) {
            let b = bucket(micros);
            assert!(u64::from(micros) <= end(b), "{micros}");
            assert!(b == 0 || u64::from(micros) > end(b - 1), "{micros}");
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut h = Histogram::default();
        (1..=1_000).for_each(|m| h.add(m));
        assert!((500..=531).contains(&h.quantile(0.5)), "{}", h.quantile(0.5));
        assert!((990..=1_000).contains(&h.quantile(0.99)), "{}", h.quantile(0.99));
        assert_eq!((h.quantile(1.0), Histogram::default().quantile(0.5)), (1_000, 0));
    }
}
