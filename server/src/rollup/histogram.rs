//! Histograms whose counts are exact and whose buckets are 6 % wide: 16 a doubling, as in an HDR histogram.
//!
//! Merging is adding, so the order of merging is nothing (a t-digest depends on it).

use std::collections::BTreeMap;

/// The bucket of a value: exact below 16, then 16 buckets a doubling.
pub fn bucket(value: u32) -> u32 {
    if value < 16 {
        return value;
    }
    let exponent = 31 - value.leading_zeros();
    (exponent - 3) * 16 + ((value >> (exponent - 4)) - 16)
}

/// The largest value of a bucket.
pub fn largest_in(bucket: u32) -> u64 {
    let (exponent, sub) = (u64::from(bucket / 16), u64::from(bucket % 16));
    if exponent == 0 {
        sub
    } else {
        // No bucket above that of the largest value exists.
        ((16 + sub + 1) << (exponent - 1).min(32)) - 1
    }
}

/// The value that a share `q` of all stays at or below, rounded up to its bucket's end; none of nothing.
pub fn quantile(counts: &BTreeMap<u32, u64>, q: f64) -> Option<u64> {
    let total: u64 = counts.values().sum();
    let rank = (q * total as f64).ceil().max(1.0) as u64;
    let mut seen = 0;
    counts.iter().find_map(|(bucket, count)| {
        seen += count;
        (seen >= rank).then(|| largest_in(*bucket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..5_000).chain([65_535, 65_536, 1 << 20, u32::MAX]) {
            let b = bucket(value);
            assert!(u64::from(value) <= largest_in(b), "{value}");
            assert!(b == 0 || u64::from(value) > largest_in(b - 1), "{value}");
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut counts = BTreeMap::new();
        (1..=1_000).for_each(|v| *counts.entry(bucket(v)).or_default() += 1);
        assert!((500..=531).contains(&quantile(&counts, 0.5).unwrap()));
        assert!((990..=1_023).contains(&quantile(&counts, 0.99).unwrap()));
        assert_eq!(quantile(&BTreeMap::new(), 0.5), None);
    }
}
