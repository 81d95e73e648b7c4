//! Hash domains: BLAKE3 in `derive_key` mode, one hard-coded context a purpose.
//!
//! No two purposes can collide, because the context is part of the key. The tree over the leaves is
//! SHA-256 ([`crate::tree`]), so that any C2SP or RFC 6962 verifier can read it.

use blake3::Hasher;

/// A hash.
pub type Hash = [u8; 32];

/// All zero: "none" wherever a hash may be absent.
pub const ZERO: Hash = [0; 32];

/// What a hash is of. The context string is `tapline 2026-11 witness <purpose> v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// A leaf: its witness W.
    Leaf,
    /// A log: its origin and genesis key.
    LogId,
    /// A manifest, verbatim.
    Manifest,
    /// The witnessed configuration, verbatim.
    Config,
    /// A calibration artefact.
    Calibration,
    /// The output bytes of a stage.
    Output,
    /// Level-1 tree hashes of a rolled-up range.
    Range,
    /// Rows by the minute of the query tables.
    Minutes,
    /// An operator's name, so that no name stands in a leaf.
    Operator,
    /// What an audited action was aimed at.
    Target,
    /// Any other stored artefact: attestations, golden vectors, plugin files.
    Blob,
}

impl Domain {
    const fn context(self) -> &'static str {
        match self {
            Self::Leaf => "tapline 2026-11 witness leaf v1",
            Self::LogId => "tapline 2026-11 witness log-id v1",
            Self::Manifest => "tapline 2026-11 witness manifest v1",
            Self::Config => "tapline 2026-11 witness config v1",
            Self::Calibration => "tapline 2026-11 witness calibration v1",
            Self::Output => "tapline 2026-11 witness output v1",
            Self::Range => "tapline 2026-11 witness range v1",
            Self::Minutes => "tapline 2026-11 witness minutes v1",
            Self::Operator => "tapline 2026-11 witness operator v1",
            Self::Target => "tapline 2026-11 witness target v1",
            Self::Blob => "tapline 2026-11 witness blob v1",
        }
    }

    /// The hash of `bytes` in this domain.
    pub fn hash(self, bytes: &[u8]) -> Hash {
        blake3::derive_key(self.context(), bytes)
    }

    /// A hasher of this domain, for input that comes in pieces.
    pub fn hasher(self) -> Hasher {
        Hasher::new_derive_key(self.context())
    }
}

/// The four committed fields of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `inputs_list`.
    Inputs,
    /// `stages_list`.
    Stages,
    /// `outcome_bytes`.
    Outcome,
    /// The state after a keyframe.
    State,
}

impl Field {
    /// All fields, in the order they stand in the cycle body.
    pub const ALL: [Self; 4] = [Self::Inputs, Self::Stages, Self::Outcome, Self::State];

    /// The name in hash contexts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Stages => "stages",
            Self::Outcome => "outcome",
            Self::State => "state",
        }
    }

    const fn commit_context(self) -> &'static str {
        match self {
            Self::Inputs => "tapline 2026-11 witness commit v1 inputs",
            Self::Stages => "tapline 2026-11 witness commit v1 stages",
            Self::Outcome => "tapline 2026-11 witness commit v1 outcome",
            Self::State => "tapline 2026-11 witness commit v1 state",
        }
    }
}

/// The witness W of a leaf.
pub fn witness(leaf: &[u8]) -> Hash {
    Domain::Leaf.hash(leaf)
}

/// The id of a log: it stands in every leaf, so that leaves of two logs cannot be spliced.
///
/// `genesis_key` is the Ed25519 public key that signed the first checkpoint.
pub fn log_id(origin: &str, genesis_key: &[u8; 32]) -> Hash {
    let mut hasher = Domain::LogId.hasher();
    // An origin is at most 255 bytes (`crate::note::Name`), so the cast loses nothing.
    hasher.update(&(origin.len() as u32).to_le_bytes());
    hasher.update(origin.as_bytes());
    hasher.update(genesis_key);
    *hasher.finalize().as_bytes()
}

/// The commitment to one field of one cycle: hiding (the salt is secret) and binding.
pub fn commit(field: Field, salt: &Hash, payload: &[u8]) -> Hash {
    let mut hasher = Hasher::new_derive_key(field.commit_context());
    hasher.update(salt);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

/// The salt of one field of one cycle.
///
/// `blind_key` is the secret of the leaf's tile (a tile may have several, in turn); once it is erased, the commitments
/// under it can no longer be tied to guesses of their content.
pub fn salt(blind_key: &Hash, log_id: &Hash, seq: u64, field: Field) -> Hash {
    let mut hasher = Hasher::new_derive_key("tapline 2026-11 witness salt v1");
    hasher.update(blind_key);
    hasher.update(log_id);
    hasher.update(&seq.to_le_bytes());
    hasher.update(field.name().as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blake3_of_zeros_is_the_published_value() {
        // witness_kat.py: a BLAKE3 that shares no code with the crate.
        let got = hex::encode(blake3::hash(&[0; 2049]).as_bytes());
        assert_eq!(got, "b982335435308f3f5f5f51f5d45ecae6194641975e7b0bcaa1facd48ebabb28e");
    }

    #[test]
    fn commitment_is_the_known_answer() {
        let mut outcome = Vec::new();
        for bits in [0x3f80_0000_u32, 0, 0x7fc0_0000] {
            outcome.extend_from_slice(&bits.to_le_bytes());
        }
        assert_eq!(
            hex::encode(commit(Field::Outcome, &[1; 32], &outcome)),
            "8466cf6d9966c79ca5e0c796030d14239e6be8baea57955d3844bb5c7f25ff16"
        );
    }

    #[test]
    fn contexts_are_distinct() {
        let mut seen: Vec<Hash> = Field::ALL.iter().map(|field| commit(*field, &ZERO, b"")).collect();
        let domains = [
            Domain::Leaf,
            Domain::LogId,
            Domain::Manifest,
            Domain::Config,
            Domain::Calibration,
            Domain::Output,
            Domain::Range,
            Domain::Operator,
            Domain::Target,
            Domain::Blob,
        ];
        seen.extend(domains.iter().map(|domain| domain.hash(&ZERO)));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
