//! Bytes of a row: what is not zero, as LEB128 numbers.
//!
//! ```text
//! row  = version 01, mask of sums that are not zero, those sums,
//!        mask of maxima that are not zero | end << 2, those maxima,
//!        pairs of the map (key less the key before, count) to the end of the row
//! end  = 0 absent, else 1 + state * 9 + people
//! ```

use super::row::{End, Row, SUMS};

const VERSION: u8 = 1;

/// Why bytes are not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Another version of the encoding.
    #[error("rollup row of version {found}, this program knows 1")]
    Version {
        /// As found; none in an empty row.
        found: u8,
    },
    /// It ends too early or holds a number that cannot be.
    #[error("rollup row broken at byte {at}: {expected} expected")]
    Broken {
        /// Where.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
}

impl Row {
    /// Its bytes; a row has exactly one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let mask = |values: &[u64]| {
            let set = values.iter().enumerate().filter(|(_, v)| **v != 0);
            set.fold(0_u64, |mask, (i, _)| mask | 1 << i)
        };
        put(&mut out, mask(&self.sum));
        self.sum.iter().filter(|v| **v != 0).for_each(|v| put(&mut out, *v));
        let end = match self.end {
            End::Absent => 0,
            End::Known { state, people } => 1 + u64::from(state) * 9 + u64::from(people),
        };
        put(&mut out, mask(&self.peak) | end << 2);
        self.peak.iter().filter(|v| **v != 0).for_each(|v| put(&mut out, *v));
        let mut before = 0;
        for (key, count) in &self.map {
            put(&mut out, u64::from(key - before));
            put(&mut out, *count);
            before = *key;
        }
        out
    }

    /// The row with these bytes.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let found = bytes.first().copied().unwrap_or(0);
        if found != VERSION {
            return Err(RowError::Version { found });
        }
        let mut reader = Reader { bytes, at: 1 };
        let mut row = Self::default();
        let mask = reader.number()?;
        if mask >> SUMS != 0 {
            return reader.broken("a mask of 20 sums");
        }
        reader.values(mask, &mut row.sum)?;
        let mask = reader.number()?;
        row.end = match mask >> 2 {
            0 => End::Absent,
            known @ 1..=36 => End::Known {
                state: ((known - 1) / 9) as u8,
                people: ((known - 1) % 9) as u8,
            },
            _ => return reader.broken("an end 0 to 36"),
        };
        reader.values(mask & 3, &mut row.peak)?;
        let mut key = 0_u64;
        while reader.at < bytes.len() {
            let step = reader.number()?;
            key = key.saturating_add(step);
            let (first, count) = (row.map.is_empty(), reader.number()?);
            let Ok(at) = u32::try_from(key) else {
                return reader.broken("a key of 32 bits");
            };
            if (step == 0 && !first) || count == 0 {
                return reader.broken("ascending keys with counts above zero");
            }
            row.map.insert(at, count);
        }
        Ok(row)
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, RowError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at).copied() else {
                return self.broken("a number");
            };
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return self.broken("a number in its shortest form");
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.broken("a number of 64 bits")
    }

    fn values(&mut self, mask: u64, into: &mut [u64]) -> Result<(), RowError> {
        for (i, to) in into.iter_mut().enumerate() {
            if mask >> i & 1 == 1 {
                *to = self.number()?;
                if *to == 0 {
                    return self.broken("a number above zero");
                }
            }
        }
        Ok(())
    }

    fn broken<T>(&self, expected: &'static str) -> Result<T, RowError> {
        Err(RowError::Broken { at: self.at, expected })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::row::tests::any_row, *};

    proptest! {
        #[test]
        fn a_row_comes_back(row in any_row()) {
            let bytes = row.encode();
            prop_assert_eq!(Row::decode(&bytes).unwrap(), row);
        }

        /// Whatever is accepted has no second encoding.
        #[test]
        fn what_is_accepted_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = bytes;
            bytes.insert(0, VERSION);
            if let Ok(row) = Row::decode(&bytes) {
                prop_assert_eq!(row.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_row_that_is_cut_is_refused_or_another() {
        let mut row = Row::steady(End::Known { state: 2, people: 1 }, 1200);
        row.map.insert(700, 3);
        let bytes = row.encode();
        for cut in 0..bytes.len() {
            assert_ne!(Row::decode(&bytes[..cut]).ok(), Some(row.clone()), "{cut}");
        }
        assert_eq!(Row::decode(&[]), Err(RowError::Version { found: 0 }));
        assert_eq!(Row::decode(&[2, 0, 0]), Err(RowError::Version { found: 2 }));
    }
}
