//! Hamming distances of 512 sketches at once.
//!
//! The bank is stored by bit position: one row of 512 sketches' bits each. Rows that differ from the query's bit are
//! added up by carry-save adders (Harley and Seal; Warren, Hacker's Delight, 5-2), five logical operations for 512
//! sums, so that no CPU instruction for counting bits is needed: the distances come out as eight rows of their binary
//! digits. The short list is then selected from the highest digit down, without a comparison of single distances.

use super::{BITS, Sketch};

/// Words of a row.
const WORDS: usize = 8;
/// Sketches of a block.
const LANES: usize = 64 * WORDS;
/// Binary digits of a distance: 0 to 128.
const DIGITS: usize = 8;

type Row = [u64; WORDS];

#[derive(Clone, Debug)]
struct Block {
    /// By bit of the sketch.
    bits: [Row; BITS],
    /// Which lanes hold a sketch.
    valid: Row,
    /// Scratch: digits of the distances to the query at hand, lowest first.
    digits: [Row; DIGITS],
    /// Scratch: lanes that are surely among the nearest, and those that tie with the last of them.
    near: Row,
    tied: Row,
}

/// Sketches, stored by bit.
#[derive(Clone, Debug)]
pub(super) struct Sliced {
    blocks: Vec<Block>,
    len: u32,
}

impl Sliced {
    pub(super) fn with_capacity(sketches: usize) -> Self {
        Self {
            blocks: Vec::with_capacity(sketches.div_ceil(LANES)),
            len: 0,
        }
    }

    /// Empties it; its room stays.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.len = 0;
    }

    /// Adds a sketch and returns its index.
    pub(super) fn push(&mut self, sketch: Sketch) -> u32 {
        let index = self.len;
        let lane = index as usize % LANES;
        if lane == 0 {
            self.blocks.push(Block {
                bits: [[0; WORDS]; BITS],
                valid: [0; WORDS],
                digits: [[0; WORDS]; DIGITS],
                near: [0; WORDS],
                tied: [0; WORDS],
            });
        }
        let block = self.blocks.last_mut().expect("there is a block for the lane");
        let (word, bit) = (lane / 64, lane % 64);
        for (i, row) in block.bits.iter_mut().enumerate() {
            row[word] |= (sketch.0[i / 64] >> (i % 64) & 1) << bit;
        }
        block.valid[word] |= 1 << bit;
        self.len += 1;
        index
    }

    /// Indices of the `wanted` sketches nearest to `query`, ascending; of equally near ones the smaller indices.
    pub(super) fn nearest(&mut self, query: Sketch, wanted: usize) -> impl Iterator<Item = u32> {
        for block in &mut self.blocks {
            count(query, &block.bits, &mut block.digits);
            (block.near, block.tied) = ([0; WORDS], block.valid);
        }
        let mut room = wanted.min(self.len as usize);
        for digit in (0..DIGITS).rev() {
            let low = |block: &Block| -> Row { core::array::from_fn(|w| block.tied[w] & !block.digits[digit][w]) };
            let count: usize = self.blocks.iter().map(|block| ones(&low(block))).sum();
            for block in &mut self.blocks {
                let low = low(block);
                if count <= room {
                    for (w, low) in low.iter().enumerate() {
                        block.near[w] |= low;
                        block.tied[w] &= block.digits[digit][w];
                    }
                } else {
                    block.tied = low;
                }
            }
            room -= if count <= room { count } else { 0 };
        }
        let words = self.blocks.iter().flat_map(|block| block.near.iter().zip(&block.tied));
        words.zip(0_u32..).flat_map(move |((&near, &tied), word)| {
            let mut tied = tied;
            let mut taken = 0;
            while room > 0 && tied != 0 {
                taken |= tied & tied.wrapping_neg();
                tied &= tied - 1;
                room -= 1;
            }
            Lanes(near | taken).map(move |bit| 64 * word + bit)
        })
    }
}

/// Digits of the distances of 512 sketches to the query, lowest first.
fn count(query: Sketch, bits: &[Row; BITS], digits: &mut [Row; DIGITS]) {
    *digits = [[0; WORDS]; DIGITS];
    let mut waiting = [[0; WORDS]; DIGITS];
    for (pair, rows) in bits.chunks_exact(2).enumerate() {
        let differs = |i: usize| -> Row {
            let all = (query.0[2 * pair / 64] >> ((2 * pair + i) % 64) & 1).wrapping_neg();
            core::array::from_fn(|w| rows[i][w] ^ all)
        };
        // Two rows of one weight and the sum so far make one row of twice the weight, which waits for a second one.
        let mut carry = add(&mut digits[0], &differs(0), &differs(1));
        let mut digit = 1;
        let mut pairs = pair;
        while pairs & 1 == 1 {
            carry = add(&mut digits[digit], &waiting[digit], &carry);
            digit += 1;
            pairs >>= 1;
        }
        waiting[digit] = carry;
    }
    digits[DIGITS - 1] = waiting[DIGITS - 1];
}

/// `sum += a + b` in every lane; returns the carries.
#[inline]
fn add(sum: &mut Row, a: &Row, b: &Row) -> Row {
    let mut carry = [0; WORDS];
    for w in 0..WORDS {
        let half = a[w] ^ b[w];
        carry[w] = (a[w] & b[w]) | (half & sum[w]);
        sum[w] ^= half;
    }
    carry
}

fn ones(row: &Row) -> usize {
    row.iter().map(|w| w.count_ones() as usize).sum()
}

/// Positions of the ones in a word, ascending.
struct Lanes(u64);

impl Iterator for Lanes {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < 64).then_some(bit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a sort by (distance, index); few distinct values make ties the rule.
        #[test]
        fn the_short_list_is_that_of_a_sort(
            bank in proptest::collection::vec((any::<u8>(), any::<u64>()), 0..1_300), query: [u64; 2], wanted in 0_usize..600,
            coarse: bool,
        ) {
            let sketch = |(a, b): &(u8, u64)| if coarse { Sketch([u64::from(*a & 7), 0]) } else { Sketch([u64::from(*a), *b]) };
            let mut sliced = Sliced::with_capacity(bank.len());
            for (index, entry) in bank.iter().enumerate() {
                prop_assert_eq!(sliced.push(sketch(entry)), index as u32);
            }
            let query = Sketch(query);
            let mut all: Vec<_> = bank.iter().map(|b| query.distance(sketch(b))).zip(0_u32..).collect();
            all.sort_unstable();
            let mut expected: Vec<u32> = all.iter().take(wanted).map(|(_, index)| *index).collect();
            expected.sort_unstable();
            // Twice: scratch of the first search must not leak into the second.
            prop_assert_eq!(sliced.nearest(query, wanted).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(sliced.nearest(query, wanted).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn the_farthest_is_128_bits_away() {
        let mut sliced = Sliced::with_capacity(2);
        sliced.push(Sketch([u64::MAX; 2]));
        sliced.push(Sketch([1, 0]));
        let query = Sketch([0; 2]);
        assert_eq!(sliced.nearest(query, 1).collect::<Vec<_>>(), [1]);
        assert_eq!(sliced.blocks[0].digits[7][0] & 3, 1);
    }
}
