//! A record on its way from the cycle to the disk.

use tapline_witness::{
    hash::{Hash, ZERO},
    leaf::Kind,
};

use crate::store::rows::WorldChange;

/// An artefact that leaves name by hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its hash, in the domain of its kind.
    pub hash: Hash,
    /// What it is: `manifest`, `config`, `calibration`, `golden`.
    pub kind: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A leaf with what it commits to and the rows that follow from it.
///
/// Records come empty from [`super::Writer::checkout`] and go back through [`super::Writer::submit`]; their
/// buffers keep their capacity, so a steady cycle does not allocate; only the state of a keyframe is given back.
#[derive(Debug, Default)]
pub struct Record {
    /// `inputs_list` (CYCLE only).
    pub inputs: Vec<u8>,
    /// `stages_list` (CYCLE only).
    pub stages: Vec<u8>,
    /// `outcome_bytes` (CYCLE only).
    pub outcome: Vec<u8>,
    /// The state after this cycle, when [`super::Chain::keyframe_due`]; else empty.
    pub state: Vec<u8>,
    /// Artefacts this leaf is the first to name.
    pub blobs: Vec<Blob>,
    /// Times of the stages 1 to 9, microseconds; none in a replay, whose times mean nothing (CYCLE only).
    pub stage_us: Option<[u32; 9]>,
    /// Changes of the world graph in this cycle.
    pub world: Vec<WorldChange>,

    // What the chain writes; the writer trusts it.
    pub(super) leaf: Vec<u8>,
    pub(super) seq: u64,
    pub(super) kind: Option<Kind>,
    pub(super) outcome_code: u8,
    pub(super) witness: Hash,
    pub(super) wall_ns: i64,
    pub(super) blind_key: Option<Hash>,
}

impl Record {
    /// A record whose buffers hold a usual cycle without growing.
    pub(super) fn with_capacity() -> Self {
        Self {
            inputs: Vec::with_capacity(16 << 10),
            stages: Vec::with_capacity(1 << 10),
            outcome: Vec::with_capacity(8 << 10),
            leaf: Vec::with_capacity(512),
            ..Self::default()
        }
    }

    pub(super) fn clear(&mut self) {
        self.inputs.clear();
        self.stages.clear();
        self.outcome.clear();
        // Given back, not kept: one cycle of 256 and each swap has a state, of some hundred kilobytes, and it would end in
        // every record in turn.
        self.state = Vec::new();
        self.blobs.clear();
        self.world.clear();
        self.stage_us = None;
        self.leaf.clear();
        (self.seq, self.kind, self.outcome_code) = (0, None, 0);
        (self.witness, self.wall_ns, self.blind_key) = (ZERO, 0, None);
    }

    /// Witness of the leaf, once it is appended.
    pub const fn witness(&self) -> &Hash {
        &self.witness
    }

    /// Bytes of the leaf, once it is appended.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn an_emptied_record_keeps_the_buffers_of_a_cycle_and_no_state() {
        let mut record = Record::with_capacity();
        record.inputs.extend_from_slice(&[1; 100]);
        record.state.extend_from_slice(&[2; 1 << 20]);
        record.clear();
        assert!(record.inputs.is_empty() && record.inputs.capacity() >= 16 << 10);
        assert_eq!(record.state.capacity(), 0);
    }
}
