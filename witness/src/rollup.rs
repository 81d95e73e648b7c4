//! What a ROLLUP leaf says of its range, added up from the leaves: the log does it once, and whoever saved the leaves
//! does it again and gets the same bytes.
//!
//! Part of it follows from the leaves alone ([`Differs`] tells which); dispositions, occupancy and quality follow from
//! what the cycles committed to, and are stated only when every cycle of the range was opened. Units and rounding are
//! those of docs/witness-format.md.

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

use crate::{
    body::{Body, ManifestCount, Rollup},
    codec::{DecodeError, List},
    hash::{Domain, Hash, ZERO, witness},
    leaf::{self, LeafError},
    lists,
    outcome_codec::decode_outcome,
    tile::TILE_WIDTH,
    tree::{leaf_hash, subtree},
};

/// Units of a quality score in [`Rollup::quality_sum`].
const QUALITY_UNITS: f64 = 16_777_216.0;

/// Why a range cannot be added up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RollupError {
    /// No whole tiles.
    #[error("a rollup is over whole tiles of 256 leaves: {start} to {end} is not")]
    Range {
        /// First leaf.
        start: u64,
        /// One past the last.
        end: u64,
    },
    /// It is no leaf.
    #[error("leaf {index}: {source}")]
    Leaf {
        /// Its place in the tree.
        index: u64,
        /// Why.
        source: LeafError,
    },
    /// What a cycle committed to does not decode.
    #[error("cycle {index}: {problem}")]
    Opened {
        /// Its place in the tree.
        index: u64,
        /// Why.
        problem: String,
    },
    /// More manifests than a leaf can name.
    #[error("{0} manifests in one range")]
    Manifests(usize),
}

/// Adds up a range, leaf by leaf.
#[derive(Clone)]
pub struct Counter {
    next: u64,
    /// Leaf hashes of the tile that is being filled.
    tile: Vec<u8>,
    range: blake3::Hasher,
    cycles: u64,
    opened: u64,
    /// Boot and tick of the last cycle of the range.
    last_cycle: Option<([u8; 16], u64)>,
    manifests: BTreeMap<Hash, u64>,
    sums: Rollup,
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter")
            .field("start", &self.sums.start)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Counter {
    /// Begins a range.
    ///
    /// # Errors
    /// [`RollupError::Range`] when a tile begins elsewhere.
    pub fn new(start: u64) -> Result<Self, RollupError> {
        if !start.is_multiple_of(TILE_WIDTH as u64) {
            return Err(RollupError::Range { start, end: start });
        }
        Ok(Self {
            next: start,
            tile: Vec::with_capacity(32 * TILE_WIDTH),
            range: Domain::Range.hasher(),
            cycles: 0,
            opened: 0,
            last_cycle: None,
            manifests: BTreeMap::new(),
            sums: Rollup {
                start,
                end: start,
                first_wall_ns: 0,
                last_wall_ns: 0,
                first_prev: ZERO,
                last_witness: ZERO,
                range_digest: ZERO,
                by_outcome: [0; 5],
                by_class: [0; 4],
                by_disposition: [0; 7],
                missed_ticks: 0,
                by_manifest: List::default(),
                occupancy: [0; 9],
                quality_sum: 0,
                quality_count: 0,
                quality_min_bits: u32::MAX,
                quality_max_bits: 0,
                raw_kept: false,
                archive: None,
                minute_rows: ZERO,
            },
        })
    }

    /// Index of the leaf that comes next.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// First leaf of the range.
    pub const fn start(&self) -> u64 {
        self.sums.start
    }

    /// Adds the next leaf, and for a cycle its stages list and outcome bytes, when they are known. That they are the
    /// ones committed to is for the caller to check.
    ///
    /// # Errors
    /// Bytes that are none of it.
    pub fn add(&mut self, bytes: &[u8], opened: Option<(&[u8], &[u8])>) -> Result<(), RollupError> {
        let index = self.next;
        let leaf = leaf::decode(bytes).map_err(|source| RollupError::Leaf { index, source })?;
        if index == self.sums.start {
            (self.sums.first_wall_ns, self.sums.first_prev) = (leaf.header.wall_ns, leaf.header.prev);
        }
        (self.sums.last_wall_ns, self.sums.last_witness) = (leaf.header.wall_ns, witness(bytes));
        if let Body::Cycle(cycle) = &leaf.body {
            self.cycles += 1;
            self.sums.by_outcome[cycle.outcome_code as usize] += 1;
            self.sums.by_class[cycle.privacy_class as usize] += 1;
            *self.manifests.entry(cycle.manifest_hash).or_default() += 1;
            let (boot, tick) = (leaf.header.boot_id, leaf.header.tick);
            if let Some((_, last)) = self.last_cycle.filter(|(same, _)| *same == boot) {
                self.sums.missed_ticks += tick.saturating_sub(last).saturating_sub(1);
            }
            self.last_cycle = Some((boot, tick));
            if let Some((stages, outcome)) = opened {
                self.open(index, stages, outcome)?;
            }
        }
        self.tile.extend_from_slice(&leaf_hash(bytes));
        if self.tile.len() == 32 * TILE_WIDTH {
            self.range.update(&subtree(&self.tile));
            self.tile.clear();
        }
        self.next += 1;
        Ok(())
    }

    fn open(&mut self, index: u64, stages: &[u8], outcome: &[u8]) -> Result<(), RollupError> {
        let refused = |problem: String| RollupError::Opened { index, problem };
        for entry in lists::stages(stages) {
            let entry = entry.map_err(|error: DecodeError| refused(error.to_string()))?;
            self.sums.by_disposition[entry.disposition as usize] += 1;
        }
        let outcome = decode_outcome(outcome).map_err(|error| refused(error.to_string()))?;
        let people = outcome.people.map_or(8, |people| (people as usize).min(7));
        self.sums.occupancy[people] += 1;
        if let Some(score) = outcome.quality.score {
            // A score is 0 to 1, so the product is exact or rounds once. The codec lets any finite number through: the sum of
            // such ones ends at the limits of i128.
            let units = (f64::from(score) * QUALITY_UNITS).round_ties_even() as i128;
            self.sums.quality_sum = self.sums.quality_sum.saturating_add(units);
            self.sums.quality_count += 1;
            let bits = ordered_bits(score);
            self.sums.quality_min_bits = self.sums.quality_min_bits.min(bits);
            self.sums.quality_max_bits = self.sums.quality_max_bits.max(bits);
        }
        self.opened += 1;
        Ok(())
    }

    /// What the range adds up to. What the log alone knows is left empty: whether raw input is kept, an archive, the
    /// digest of query rows.
    ///
    /// # Errors
    /// [`RollupError::Range`] in the middle of a tile or for no leaf at all.
    pub fn finish(mut self) -> Result<Rollup, RollupError> {
        if !self.tile.is_empty() || self.next == self.sums.start {
            return Err(RollupError::Range {
                start: self.sums.start,
                end: self.next,
            });
        }
        if self.opened != self.cycles {
            // All or nothing: sums over some of the cycles could be compared with nothing.
            self.sums.by_disposition = [0; 7];
            self.sums.occupancy = [0; 9];
            (self.sums.quality_sum, self.sums.quality_count) = (0, 0);
            (self.sums.quality_min_bits, self.sums.quality_max_bits) = (u32::MAX, 0);
        }
        let counts = self
            .manifests
            .into_iter()
            .map(|(manifest_hash, cycles)| ManifestCount { manifest_hash, cycles });
        let counts: Vec<ManifestCount> = counts.collect();
        let manifests = counts.len();
        self.sums.by_manifest = List::new(counts).ok_or(RollupError::Manifests(manifests))?;
        self.sums.end = self.next;
        self.sums.range_digest = *self.range.finalize().as_bytes();
        Ok(self.sums)
    }
}

/// A finite number as an integer of the same order.
const fn ordered_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// True when dispositions, occupancy and quality are stated: every cycle was opened when the leaf was written.
pub fn states_outcomes(rollup: &Rollup) -> bool {
    rollup.occupancy.iter().any(|count| *count > 0)
}

/// A field in which a ROLLUP leaf does not say what its leaves add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// The field.
    pub field: &'static str,
    /// What the leaf says.
    pub stated: String,
    /// What the leaves add up to.
    pub recomputed: String,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: it says {}, its leaves add up to {}",
            self.field, self.stated, self.recomputed
        )
    }
}

/// Compares a ROLLUP leaf with what its leaves add up to. What only opened cycles tell is compared when both state it.
pub fn compare(stated: &Rollup, recomputed: &Rollup) -> Vec<Differs> {
    let mut differs = Vec::new();
    let mut check = |field, stated: &dyn fmt::Debug, recomputed: &dyn fmt::Debug| {
        let (stated, recomputed) = (format!("{stated:?}"), format!("{recomputed:?}"));
        if stated != recomputed {
            differs.push(Differs {
                field,
                stated,
                recomputed,
            });
        }
    };
    let (a, b) = (stated, recomputed);
    let hash = |hash: &Hash| hex::encode(hash);
    check("start", &a.start, &b.start);
    check("end", &a.end, &b.end);
    check("range_digest", &hash(&a.range_digest), &hash(&b.range_digest));
    check("first_wall_ns", &a.first_wall_ns, &b.first_wall_ns);
    check("last_wall_ns", &a.last_wall_ns, &b.last_wall_ns);
    check("first_prev", &hash(&a.first_prev), &hash(&b.first_prev));
    check("last_witness", &hash(&a.last_witness), &hash(&b.last_witness));
    check("by_outcome", &a.by_outcome, &b.by_outcome);
    check("by_class", &a.by_class, &b.by_class);
    check("missed_ticks", &a.missed_ticks, &b.missed_ticks);
    let manifests = |rollup: &Rollup| -> Vec<(String, u64)> {
        let rows = rollup.by_manifest.as_slice().iter();
        rows.map(|row| (hash(&row.manifest_hash), row.cycles)).collect()
    };
    check("by_manifest", &manifests(a), &manifests(b));
    if states_outcomes(a) && states_outcomes(b) {
        check("by_disposition", &a.by_disposition, &b.by_disposition);
        check("occupancy", &a.occupancy, &b.occupancy);
        check("quality_sum", &a.quality_sum, &b.quality_sum);
        check("quality_count", &a.quality_count, &b.quality_count);
        check("quality_min_bits", &a.quality_min_bits, &b.quality_min_bits);
        check("quality_max_bits", &a.quality_max_bits, &b.quality_max_bits);
    }
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_bits_keep_the_order() {
        let values = [-1.0_f32, -0.5, 0.0, 1e-40, 0.25, 0.5, 1.0];
        assert!(values.windows(2).all(|w| ordered_bits(w[0]) < ordered_bits(w[1])));
    }

    #[test]
    fn only_whole_tiles_are_rolled_up() {
        assert!(matches!(Counter::new(255), Err(RollupError::Range { .. })));
        assert!(matches!(
            Counter::new(256).unwrap().finish(),
            Err(RollupError::Range { .. })
        ));
    }
}
