//! 1-bit sketches: a 128-bit summary of a vector and the nearest of many by Hamming distance.
//!
//! Bit i is the sign of the i-th random projection (random hyperplane rounding; Charikar 2002): the expected
//! Hamming distance of two sketches is `128 * angle / pi`. The projections are +-1 signs from a fixed generator, so
//! a sketch is the same on every machine. Search is one pass with a bounded heap; equal distances go to the
//! smaller index.

/// Bits of a sketch.
pub const BITS: usize = 128;

/// A 128-bit sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sketch(pub [u64; 2]);

impl Sketch {
    /// Bits in which two sketches differ.
    #[inline]
    pub fn distance(self, other: Self) -> u32 {
        (self.0[0] ^ other.0[0]).count_ones() + (self.0[1] ^ other.0[1]).count_ones()
    }
}

/// Makes sketches of vectors of one length.
#[derive(Clone, Debug)]
pub struct Sketcher {
    dimensions: usize,
    /// Per bit a row of signs, as the bits of `u64` words: 1 means minus.
    signs: Vec<u64>,
    words: usize,
}

impl Sketcher {
    /// A sketcher for vectors of `dimensions` numbers.
    pub fn new(dimensions: usize) -> Self {
        let words = dimensions.div_ceil(64);
        let mut state = 0x5441_504C_494E_4531_u64; // fixed: the ASCII of our name and version
        let signs = (0..BITS * words).map(|_| split_mix(&mut state)).collect();
        Self {
            dimensions,
            signs,
            words,
        }
    }

    /// The sketch of `vector`. Only its direction matters.
    ///
    /// # Panics
    /// When the length is not the one the sketcher was made for.
    pub fn sketch(&self, vector: &[f32]) -> Sketch {
        assert_eq!(vector.len(), self.dimensions, "vector length");
        let mut bits = [0_u64; 2];
        for bit in 0..BITS {
            let row = &self.signs[bit * self.words..(bit + 1) * self.words];
            let mut sum = 0.0_f32;
            for (values, &signs) in vector.chunks(64).zip(row) {
                for (i, &v) in values.iter().enumerate() {
                    sum += f32::from_bits(v.to_bits() ^ (((signs >> i) as u32 & 1) << 31));
                }
            }
            bits[bit / 64] |= u64::from(sum > 0.0) << (bit % 64);
        }
        Sketch(bits)
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
    let mut len = 0;
    let mut worst = u32::MAX;
    for (index, &sketch) in bank.iter().enumerate() {
        let distance = query.distance(sketch);
        if len < wanted {
            nearest[len] = (distance, index as u32);
            len += 1;
            if len == wanted {
                nearest.sort_unstable_by(|a, b| b.cmp(a));
                worst = nearest[0].0;
            }
        } else if distance < worst {
            nearest[0] = (distance, index as u32);
            sift_down(nearest);
            worst = nearest[0].0;
        }
    }
    nearest[..len].sort_unstable();
    len
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

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heap_search_is_a_full_sort(
            bank in proptest::collection::vec(any::<[u8; 2]>(), 0..200), query: u64, k in 0_usize..20,
        ) {
            // Few distinct values: ties are the rule.
            let bank: Vec<_> = bank.iter().map(|b| Sketch([u64::from(b[0] & 7), u64::from(b[1] & 3)])).collect();
            let query = Sketch([query & 7, 0]);
            let mut all: Vec<_> =
                bank.iter().enumerate().map(|(i, s)| (query.distance(*s), i as u32)).collect();
            all.sort_unstable();
            all.truncate(k);
            let mut found = vec![(0, 0); k];
            let len = nearest(query, &bank, &mut found);
            prop_assert_eq!(&found[..len], &all[..]);
        }
    }

    #[test]
    fn distance_follows_the_angle() {
        let sketcher = Sketcher::new(128);
        let a: Vec<f32> = (0..128).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let opposite: Vec<f32> = a.iter().map(|v| -v).collect();
        let louder: Vec<f32> = a.iter().map(|v| 3.0 * v).collect();
        let s = sketcher.sketch(&a);
        assert_eq!(s.distance(sketcher.sketch(&louder)), 0);
        assert_eq!(s.distance(sketcher.sketch(&opposite)), 128);
        let mut other = a.clone();
        other[..64].iter_mut().for_each(|v| *v = -*v);
        let right_angle = s.distance(sketcher.sketch(&other));
        assert!((40..90).contains(&right_angle), "{right_angle}");
    }
}
