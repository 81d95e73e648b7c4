//! Who says so: a checkpoint is vouched for by a key of the policy, or by one that such a key has vouched for in a KEY leaf.
//!
//! A policy of before a rotation goes on while both keys sign: the line it does not know has to be by a key that a KEY leaf
//! of the very tree names. When only the new key signs, the bundle has to carry an older checkpoint (`old`) that a key of
//! the policy signs and that covers that leaf. No key is taken from anywhere else.

use std::fmt;

use crate::{
    body::{Genesis, Key, KeyAction, KeyRole},
    checkpoint::{Checkpoint, CheckpointError},
    keyset::{KeySet, seat},
    note::{NoteError, SignedNote, Verifier},
    policy::Policy,
};

/// A key that a KEY leaf of the tree adds.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// The leaf.
    pub(crate) seq: u64,
    role: KeyRole,
    verifier: Verifier,
}

impl Named {
    /// Of a KEY leaf; none when it adds nothing that could sign for this log.
    pub(crate) fn of(origin: &str, seq: u64, key: &Key) -> Option<Self> {
        let (name, key_type) = seat(origin, key.role).ok()?;
        if key.action != KeyAction::Added || key.name.as_str() != name.as_str() {
            return None;
        }
        Some(Self {
            seq,
            role: key.role,
            verifier: Verifier::new(name, key_type, &key.public_key).ok()?,
        })
    }
}

/// A checkpoint whose every line verifies.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    /// Latest time among cosignatures.
    pub(crate) time_s: Option<u64>,
    /// Whose lines they are.
    pub(crate) signers: Vec<Verifier>,
    /// A log key of the policy is among them.
    pub(crate) direct: bool,
}

impl Vouched {
    /// True when a log key signs that a KEY leaf below `size` names.
    pub(crate) fn is_by_key_below(&self, named: &[Named], size: u64) -> bool {
        let vouches = |n: &Named| n.role == KeyRole::Log && n.seq < size && self.signers.contains(&n.verifier);
        named.iter().any(vouches)
    }
}

/// Checks every signature line against the keys of the policy and those that leaves below the checkpoint's size name.
pub(crate) fn vouched(
    note: &[u8],
    checkpoint: &Checkpoint,
    policy: &Policy,
    named: &[Named],
) -> Result<Vouched, CheckpointError> {
    let mut known = policy.keys();
    for new in named.iter().filter(|n| n.seq < checkpoint.size) {
        if !known.contains(&new.verifier) {
            known.push(new.verifier.clone());
        }
    }
    let note = SignedNote::parse(note)?;
    let lines = note.verify(&known)?;
    for line in &lines {
        policy.refuse_retired(line.verifier, checkpoint.size)?;
    }
    let logs = policy.logs(&checkpoint.origin);
    Ok(Vouched {
        time_s: lines.iter().filter_map(|line| line.time_s).max(),
        direct: lines.iter().any(|line| logs.contains(&line.verifier)),
        signers: lines.iter().map(|line| line.verifier.clone()).collect(),
    })
}

/// No log key of the policy signs.
pub(crate) fn unsigned(checkpoint: &Checkpoint) -> CheckpointError {
    NoteError::Unsigned {
        name: checkpoint.origin.to_string(),
    }
    .into()
}

/// The keys that GENESIS and KEY leaves name; none when no KEY leaf is there.
pub(crate) fn key_set(genesis: Option<&Genesis>, leaves: &[(u64, Key)]) -> Result<Option<KeySet>, String> {
    if leaves.is_empty() {
        return Ok(None);
    }
    let genesis = genesis.ok_or("there are KEY leaves, but not GENESIS, whose keys they change")?;
    let mut set = KeySet::of(genesis).map_err(|error| format!("leaf 0: {error}"))?;
    for (seq, key) in leaves {
        set.apply(*seq, key).map_err(|error| format!("leaf {seq}: {error}"))?;
    }
    Ok(Some(set))
}

/// Of the log's own keys exactly those in force at its size sign a checkpoint.
pub(crate) fn in_force(set: &KeySet, size: u64, signers: &[Verifier]) -> Result<(), String> {
    let told = |key: &Verifier, what: &dyn fmt::Display| {
        format!(
            "the key {} ({:08x}) {what} the checkpoint of size {size}",
            key.name(),
            key.key_id()
        )
    };
    for key in set.signing(size) {
        if !signers.contains(&key.verifier) {
            return Err(told(&key.verifier, &"is in force and does not sign"));
        }
    }
    for key in set.keys().iter().filter(|key| !key.signs(size)) {
        if signers.contains(&key.verifier) {
            return Err(told(&key.verifier, &"is not in force and signs"));
        }
    }
    Ok(())
}
