//! Many vectors, and the few nearest to another.

use super::{BITS, Sketch, sliced::Sliced};

/// Length of the short list that is ranked exactly: it holds 92 % of the true top 8 of 1,024 vectors without any
/// structure in 128 dimensions, the hardest case (a test holds it); what differs more is found more surely.
pub const SHORT_LIST: usize = 256;

/// Vectors with their sketches.
#[derive(Clone, Debug)]
pub struct Bank {
    dimensions: usize,
    /// Unit vectors in steps of 1/[`SCALE`], one after the other: integer products vectorise and their sums are exact.
    vectors: Vec<i16>,
    query: Vec<i16>,
    sketches: Sliced,
}

impl Bank {
    /// An empty bank for vectors of `dimensions` numbers, with room for `capacity` of them.
    ///
    /// # Panics
    /// When `dimensions` is 0 or above [`BITS`].
    pub fn new(dimensions: usize, capacity: usize) -> Self {
        assert!((1..=BITS).contains(&dimensions), "1 to {BITS} dimensions");
        Self {
            dimensions,
            vectors: Vec::with_capacity(dimensions * capacity),
            query: vec![0; dimensions],
            sketches: Sliced::with_capacity(capacity),
        }
    }

    /// Empties it; its room stays.
    pub fn clear(&mut self) {
        self.vectors.clear();
        self.sketches.clear();
    }

    /// Adds a vector and returns its index; none, and nothing is added, when it has no direction.
    ///
    /// # Panics
    /// When its length is not the bank's.
    pub fn push(&mut self, vector: &[f32]) -> Option<u32> {
        let start = self.vectors.len();
        self.vectors.resize(start + self.dimensions, 0);
        if !quantise(vector, &mut self.vectors[start..]) {
            self.vectors.truncate(start);
            return None;
        }
        Some(self.sketches.push(Sketch::of(vector)))
    }

    /// The `found.len()` vectors of largest cosine to `query` among the [`SHORT_LIST`] of smallest Hamming distance,
    /// as (cosine, index), best first; equal ones go to the smaller index. Returns how many places were filled: none
    /// when the query has no direction.
    ///
    /// # Panics
    /// When the query's length is not the bank's or more than [`SHORT_LIST`] are asked for.
    pub fn nearest(&mut self, query: &[f32], found: &mut [(f32, u32)]) -> usize {
        assert!(found.len() <= SHORT_LIST, "at most {SHORT_LIST} can be found");
        if !quantise(query, &mut self.query) {
            return 0;
        }
        let mut filled = 0;
        for index in self.sketches.nearest(Sketch::of(query), SHORT_LIST) {
            let at = index as usize * self.dimensions;
            let product = dot(&self.query, &self.vectors[at..at + self.dimensions]) as f32 / (SCALE * SCALE);
            if filled < found.len() {
                filled += 1;
            } else if found.last().is_none_or(|worst| product <= worst.0) {
                continue;
            }
            let mut place = filled - 1;
            while place > 0 && found[place - 1].0 < product {
                found[place] = found[place - 1];
                place -= 1;
            }
            found[place] = (product, index);
        }
        filled
    }
}

/// Steps of a unit vector's number: the square of it times 128 stays within `i32`.
const SCALE: f32 = 4096.0;

/// The unit vector of `vector` in whole steps; false when it has no direction.
fn quantise(vector: &[f32], steps: &mut [i16]) -> bool {
    assert_eq!(vector.len(), steps.len(), "vector length");
    let mut square = 0.0_f32;
    vector.iter().for_each(|v| square += v * v);
    let length = square.sqrt();
    if !(length.is_finite() && length > 0.0) {
        return false;
    }
    for (step, v) in steps.iter_mut().zip(vector) {
        *step = (SCALE * (v / length)) as i16;
    }
    true
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::tests::Normal;

    /// What the short list must keep: on vectors without any structure, the hardest case, 90 % of the true top 8.
    #[test]
    fn ninety_percent_of_the_true_top_eight_of_1024() {
        let mut normal = Normal(1);
        let vectors: Vec<Vec<f32>> = (0..1024).map(|_| (0..128).map(|_| normal.next()).collect()).collect();
        let mut bank = Bank::new(128, 1024);
        vectors.iter().for_each(|v| assert!(bank.push(v).is_some()));
        let sum = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let cosine = |a: &[f32], b: &[f32]| sum(a, b) / (sum(a, a) * sum(b, b)).sqrt();
        let (mut hits, mut all) = (0, 0);
        for trial in 0..100 {
            // A noisy view of a stored vector, as re-identification asks.
            let query: Vec<f32> = vectors[trial].iter().map(|v| v + 0.5 * normal.next()).collect();
            let mut truth: Vec<(f32, u32)> = vectors.iter().zip(0..).map(|(v, i)| (cosine(&query, v), i)).collect();
            truth.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut found = [(0.0, 0); 8];
            assert_eq!(bank.nearest(&query, &mut found), 8);
            assert_eq!(found[0].1, trial as u32, "the vector itself comes first");
            hits += truth[..8].iter().filter(|t| found.iter().any(|f| f.1 == t.1)).count();
            all += 8;
        }
        assert!(10 * hits >= 9 * all, "{hits} of {all}");
    }

    #[test]
    fn a_vector_without_direction_is_refused() {
        let mut bank = Bank::new(3, 1);
        assert_eq!((bank.push(&[0.0; 3]), bank.push(&[f32::NAN, 0.0, 1.0])), (None, None));
        assert_eq!(bank.nearest(&[1.0, 0.0, 0.0], &mut [(0.0, 0); 2]), 0);
        assert_eq!(bank.push(&[0.0, 2.0, 0.0]), Some(0));
        assert_eq!(bank.nearest(&[0.0, 1.0, 0.0], &mut [(0.0, 0); 2]), 1);
    }
}
