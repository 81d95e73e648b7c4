//! 1-bit sketches: a 128-bit summary of a vector, and the nearest of many in microseconds.
//!
//! Bit i is the sign of the i-th coordinate after a random rotation, so two sketches differ in about
//! `128 * angle / pi` bits (sign random projections; Charikar 2002). The rotation is two rounds of random signs and
//! a Walsh-Hadamard transform (Ailon and Chazelle 2006): 128 * 7 additions a round instead of 128 * 128 products,
//! and exactly orthogonal. The signs come from a fixed generator, so a sketch is the same on every machine.
//!
//! [`nearest`] is one pass with a bounded heap; equal distances go to the smaller index. A sketch alone ranks
//! coarsely (one standard deviation at a right angle is 5.7 bits), so [`Bank::nearest`] takes a short list by
//! Hamming distance (counted, not sorted) and ranks only that by the exact cosine.

mod bank;
mod sliced;

pub use bank::{Bank, SHORT_LIST};

/// Bits of a sketch, and the most numbers a vector may have.
pub const BITS: usize = 128;

/// A 128-bit sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sketch(pub [u64; 2]);

impl Sketch {
    /// The sketch of a vector of up to [`BITS`] numbers; only its direction matters.
    ///
    /// # Panics
    /// When the vector is longer.
    pub fn of(vector: &[f32]) -> Self {
        let mut x = [0.0_f32; BITS];
        x[..vector.len()].copy_from_slice(vector);
        for signs in SIGNS {
            for (i, x) in x.iter_mut().enumerate() {
                *x = f32::from_bits(x.to_bits() ^ (((signs[i / 64] >> (i % 64)) as u32 & 1) << 31));
            }
            walsh_hadamard(&mut x);
        }
        let mut bits = [0; 2];
        for (i, x) in x.iter().enumerate() {
            bits[i / 64] |= u64::from(*x > 0.0) << (i % 64);
        }
        Self(bits)
    }

    /// Bits in which two sketches differ.
    #[inline]
    pub fn distance(self, other: Self) -> u32 {
        (self.0[0] ^ other.0[0]).count_ones() + (self.0[1] ^ other.0[1]).count_ones()
    }
}

/// Random signs of the two rounds: the first four outputs of SplitMix64 (Steele, Lea, Flood 2014) from seed 0.
const SIGNS: [[u64; 2]; 2] = [
    [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4],
    [0x06C4_5D18_8009_454F, 0xF88B_B8A8_724C_81EC],
];

/// Walsh-Hadamard transform in place, unnormalised.
fn walsh_hadamard(x: &mut [f32; BITS]) {
    let mut half = 1;
    while half < BITS {
        for block in x.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// The `nearest.len()` sketches of `bank` nearest to `query`, as (distance, index), nearest first; equal distances
/// go to the smaller index. Returns how many places were filled (all, unless the bank is smaller).
pub fn nearest(query: Sketch, bank: &[Sketch], nearest: &mut [(u32, u32)]) -> usize {
    let wanted = nearest.len();
    if wanted == 0 {
        return 0;
    }
    // A max-heap on (distance, index): the root is the worst kept, most of the bank fails against it at once.
    let filled = wanted.min(bank.len());
    for (index, (place, &sketch)) in nearest.iter_mut().zip(bank).enumerate() {
        *place = (query.distance(sketch), index as u32);
    }
    nearest[..filled].sort_unstable_by(|a, b| b.cmp(a));
    for (index, &sketch) in bank.iter().enumerate().skip(wanted) {
        let distance = query.distance(sketch);
        if distance < nearest[0].0 {
            nearest[0] = (distance, index as u32);
            sift_down(nearest);
        }
    }
    nearest[..filled].sort_unstable();
    filled
}

fn sift_down(heap: &mut [(u32, u32)]) {
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child + 1] > heap[child] {
            child += 1;
        }
        if heap[child] <= heap[at] {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of roughly normal distribution from a fixed generator.
    pub(super) struct Normal(pub(super) u64);

    impl Normal {
        pub(super) fn next(&mut self) -> f32 {
            let mut sum = 0.0;
            for _ in 0..4 {
                self.0 = self
                    .0
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                sum += (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5;
            }
            sum
        }
    }

    proptest! {
        #[test]
        fn heap_search_is_a_full_sort(
            bank in proptest::collection::vec(any::<[u8; 2]>(), 0..200), query: u64, k in 0_usize..20,
        ) {
            // Few distinct values: ties are the rule.
            let bank: Vec<_> = bank.iter().map(|b| Sketch([u64::from(b[0] & 7), u64::from(b[1] & 3)])).collect();
            let query = Sketch([query & 7, 0]);
            let mut all: Vec<_> = bank.iter().enumerate().map(|(i, s)| (query.distance(*s), i as u32)).collect();
            all.sort_unstable();
            all.truncate(k);
            let mut found = vec![(0, 0); k];
            let len = nearest(query, &bank, &mut found);
            prop_assert_eq!(&found[..len], &all[..]);
        }
    }

    #[test]
    fn the_transform_is_its_own_inverse() {
        let mut x: [f32; BITS] = core::array::from_fn(|i| i as f32);
        walsh_hadamard(&mut x);
        assert_eq!(x[0], 127.0 * 64.0);
        walsh_hadamard(&mut x);
        assert!(x.iter().enumerate().all(|(i, x)| *x == 128.0 * i as f32));
    }

    #[test]
    fn distance_follows_the_angle() {
        let mut normal = Normal(3);
        let a: Vec<f32> = (0..128).map(|_| normal.next()).collect();
        let b: Vec<f32> = (0..128).map(|_| normal.next()).collect();
        let sketch = |v: &[f32], scale: f32| Sketch::of(&v.iter().map(|x| scale * x).collect::<Vec<_>>());
        assert_eq!(sketch(&a, 1.0).distance(sketch(&a, 3.0)), 0);
        assert_eq!(sketch(&a, 1.0).distance(sketch(&a, -1.0)), 128);
        let right_angle = sketch(&a, 1.0).distance(sketch(&b, 1.0));
        assert!((44..84).contains(&right_angle), "{right_angle}");
    }
}
