//! C2SP checkpoints: the three lines that say what a log is at one size.
//!
//! Source: c2sp.org/tlog-checkpoint. Extension lines are refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use thiserror::Error;

use crate::{
    hash::Hash,
    note::{KeyType, Name, NoteError, SignedNote, Signer, Verifier},
};

/// The head of a log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Name,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// Why a checkpoint was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not three lines: origin, size, root.
    #[error("malformed checkpoint: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not the keys that have to sign it.
    #[error("the checkpoint of size {size} has {found} signatures, but {expected} keys are in force there")]
    Signers {
        /// Its size.
        size: u64,
        /// Keys in force.
        expected: usize,
        /// Signature lines, each by one of them.
        found: usize,
    },
    /// Signed by a key that was retired before.
    #[error("the key {name} was retired with leaf {leaf}, and signs size {size}")]
    Retired {
        /// Its name.
        name: String,
        /// The largest size it may sign.
        leaf: u64,
        /// The size it signs.
        size: u64,
    },
    /// It is of another log.
    #[error("checkpoint of log {found}, expected {expected}")]
    Origin {
        /// The log it should be of.
        expected: String,
        /// The log it is of.
        found: String,
    },
}

/// A checkpoint whose signatures verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// Latest time among the log's own cosignatures, Unix seconds.
    pub time_s: Option<u64>,
    /// Names and key types of all signers, in note order.
    pub signers: Vec<(Name, KeyType)>,
}

impl Checkpoint {
    /// The note text: what is signed.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Parses a note text; exactly the spelling of [`Self::to_text`] is accepted.
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |problem| CheckpointError::Malformed { problem };
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed(
                "expected origin, size and root, one a line, and nothing else",
            ));
        };
        let size_value = size
            .parse::<u64>()
            .map_err(|_| malformed("the size is not a decimal number"))?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or(malformed("the root is not base64 of 32 bytes"))?;
        let checkpoint = Self {
            origin: Name::new(origin)?,
            size: size_value,
            root,
        };
        if checkpoint.to_text() != text {
            return Err(malformed("not the one spelling (a sign or leading zero in the size?)"));
        }
        Ok(checkpoint)
    }

    /// The signed note: one line a signer, in order. `time_s` is what cosignatures say, Unix seconds.
    pub fn sign(&self, signers: &[&Signer], time_s: u64) -> String {
        let text = self.to_text();
        let mut note = text.clone();
        note.push('\n');
        for signer in signers {
            signer.sign(&text, time_s, &mut note);
        }
        note
    }

    /// Opens a signed note: every line must be by one of `known` and verify, and one of them must be the
    /// Ed25519 key `log_key`, whose name is the origin.
    pub fn open(note: &[u8], log_key: &Verifier, known: &[Verifier]) -> Result<Signed, CheckpointError> {
        let note = SignedNote::parse(note)?;
        let verified = note.verify(known)?;
        if !verified.iter().any(|line| line.verifier == log_key) {
            return Err(NoteError::Unsigned {
                name: log_key.name().to_string(),
            }
            .into());
        }
        let checkpoint = Self::from_text(note.text)?;
        if checkpoint.origin != *log_key.name() {
            return Err(CheckpointError::Origin {
                expected: log_key.name().to_string(),
                found: checkpoint.origin.to_string(),
            });
        }
        Ok(Signed {
            checkpoint,
            time_s: verified.iter().filter_map(|line| line.time_s).max(),
            signers: verified
                .iter()
                .map(|line| (line.verifier.name().clone(), line.verifier.key_type()))
                .collect(),
        })
    }
}
