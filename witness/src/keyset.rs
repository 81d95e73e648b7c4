//! Which keys sign a log: those of GENESIS, then what its KEY leaves add and retire.
//!
//! A checkpoint is signed by exactly the keys in force at its size: a key that leaf `a` adds signs every size above `a`, one
//! that leaf `r` retires signs no size above `r`. Between the two, old and new sign together, so that whoever knows only
//! the old key sees it vouch for the new one.

use thiserror::Error;

use crate::{
    body::{Genesis, Key, KeyAction, KeyRole},
    checkpoint::{Checkpoint, CheckpointError, Signed},
    note::{KeyType, Name, NoteError, SignedNote, Verifier},
};

/// Keys of one role that may sign at a time: one, and the one that takes over.
pub const MAX_IN_FORCE: usize = 2;

/// Why a KEY leaf cannot stand where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The name or the key itself.
    #[error(transparent)]
    Key(#[from] NoteError),
    /// A rule of rotation.
    #[error("the key {name} ({}) {problem}", hex::encode(public_key))]
    Rule {
        /// Its name.
        name: String,
        /// Its public key.
        public_key: [u8; 32],
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A key of a log, and when it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    /// What it is for.
    pub role: KeyRole,
    /// The key.
    pub verifier: Verifier,
    /// Leaf that names it: GENESIS or a KEY leaf.
    pub since: u64,
    /// KEY leaf that retires it.
    pub retired: Option<u64>,
}

impl LogKey {
    /// True when it has to sign the checkpoint of this size.
    pub const fn signs(&self, size: u64) -> bool {
        let over = match self.retired {
            Some(leaf) => size > leaf,
            None => false,
        };
        self.since < size && !over
    }
}

/// All keys that a log ever had, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    origin: Name,
    keys: Vec<LogKey>,
}

/// The name in signature lines and the type of a log's key of this role.
///
/// # Errors
/// An origin that is no name.
pub fn seat(origin: &str, role: KeyRole) -> Result<(Name, KeyType), NoteError> {
    Ok(match role {
        KeyRole::Log => (Name::new(origin)?, KeyType::Ed25519),
        KeyRole::Cosigner => (Name::new(&format!("{origin}/time"))?, KeyType::Cosignature),
    })
}

impl KeySet {
    /// The keys that GENESIS names.
    ///
    /// # Errors
    /// A name or key that cannot be one.
    pub fn of(genesis: &Genesis) -> Result<Self, KeySetError> {
        let origin = genesis.origin.as_str();
        let key = |role, public: &[u8; 32]| -> Result<LogKey, NoteError> {
            let (name, key_type) = seat(origin, role)?;
            Ok(LogKey {
                role,
                verifier: Verifier::new(name, key_type, public)?,
                since: 0,
                retired: None,
            })
        };
        Ok(Self {
            origin: Name::new(origin)?,
            keys: vec![
                key(KeyRole::Log, &genesis.log_key)?,
                key(KeyRole::Cosigner, &genesis.cosigner_key)?,
            ],
        })
    }

    /// Takes in the KEY leaf at `seq`.
    ///
    /// # Errors
    /// A key of another name, one that was there before, a third of its role, or the retirement of one that does not sign
    /// or is the last.
    pub fn apply(&mut self, seq: u64, key: &Key) -> Result<(), KeySetError> {
        let (name, key_type) = seat(self.origin.as_str(), key.role)?;
        let rule = |problem| KeySetError::Rule {
            name: key.name.as_str().to_owned(),
            public_key: key.public_key,
            problem,
        };
        if key.name.as_str() != name.as_str() {
            return Err(rule("does not have the name of a key of this log and role"));
        }
        let in_force = self
            .keys
            .iter()
            .filter(|k| k.role == key.role && k.retired.is_none())
            .count();
        let known = self
            .keys
            .iter_mut()
            .find(|known| known.verifier.public_key() == key.public_key);
        match (key.action, known) {
            (KeyAction::Added, Some(_)) => Err(rule("was a key of this log before")),
            (KeyAction::Added, None) if in_force >= MAX_IN_FORCE => {
                Err(rule("is a third one: the oldest has to be retired first"))
            }
            (KeyAction::Added, None) => {
                self.keys.push(LogKey {
                    role: key.role,
                    verifier: Verifier::new(name, key_type, &key.public_key)?,
                    since: seq,
                    retired: None,
                });
                Ok(())
            }
            (KeyAction::Retired, Some(known)) if known.role == key.role && known.retired.is_none() => {
                if in_force < 2 {
                    return Err(rule("is the only one of its role: another has to be added first"));
                }
                known.retired = Some(seq);
                Ok(())
            }
            (KeyAction::Retired, _) => Err(rule("is none that signs, so it cannot be retired")),
        }
    }

    /// Origin line of the checkpoints.
    pub const fn origin(&self) -> &Name {
        &self.origin
    }

    /// All keys, those of GENESIS first.
    pub fn keys(&self) -> &[LogKey] {
        &self.keys
    }

    /// The newest log key in force, C2SP vkey text.
    pub fn vkey(&self) -> Option<String> {
        let mut keys = self.keys.iter().rev();
        let newest = keys.find(|key| key.role == KeyRole::Log && key.retired.is_none());
        newest.map(|key| key.verifier.to_vkey())
    }

    /// The keys that sign the checkpoint of this size.
    pub fn signing(&self, size: u64) -> impl Iterator<Item = &LogKey> {
        self.keys.iter().filter(move |key| key.signs(size))
    }

    /// Opens a checkpoint of this log: exactly the keys in force at its size sign it.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(&self, note: &[u8]) -> Result<Signed, CheckpointError> {
        let size = Checkpoint::from_text(SignedNote::parse(note)?.text)?.size;
        let known: Vec<Verifier> = self.signing(size).map(|key| key.verifier.clone()).collect();
        let unsigned = |name: &Name| CheckpointError::from(NoteError::Unsigned { name: name.to_string() });
        let log = known.iter().find(|key| key.key_type() == KeyType::Ed25519);
        let signed = Checkpoint::open(note, log.ok_or_else(|| unsigned(&self.origin))?, &known)?;
        // Every line is by one of them and none signs twice: as many lines as keys are all of them.
        if signed.signers.len() != known.len() {
            return Err(CheckpointError::Signers {
                size,
                expected: known.len(),
                found: signed.signers.len(),
            });
        }
        Ok(signed)
    }

    /// Policy text (C2SP tlog-policy) that trusts this log and asks for no outside witness. Keys that were retired may
    /// vouch for the sizes they signed and no larger one.
    pub fn policy(&self) -> String {
        let mut text = String::new();
        for role in [KeyRole::Log, KeyRole::Cosigner] {
            for (index, key) in self.keys.iter().filter(|key| key.role == role).enumerate() {
                text += &match (role, index) {
                    (KeyRole::Log, _) => format!("log {}\n", key.verifier.to_vkey()),
                    (KeyRole::Cosigner, 0) => format!("witness time {}\n", key.verifier.to_vkey()),
                    (KeyRole::Cosigner, _) => format!("witness time-{} {}\n", index + 1, key.verifier.to_vkey()),
                };
                if let Some(leaf) = key.retired {
                    text += &format!("{} {:08x} {leaf}\n", crate::policy::RETIRED, key.verifier.key_id());
                }
            }
        }
        text + "quorum none\n"
    }
}
