//! C2SP signed notes with Ed25519: signers, verifiers and a strict parser.
//!
//! Sources: c2sp.org/signed-note, c2sp.org/tlog-cosignature (type 0x04). Stricter than they ask for: one
//! spelling a note, at most 16 signature lines, `verify_strict` (no small-order keys or points).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature as Ed25519Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest note accepted, bytes.
pub const MAX_NOTE_LEN: usize = 16 * 1024;
/// Most signature lines accepted.
pub const MAX_SIGNATURES: usize = 16;
/// Longest key name or origin, bytes.
pub const MAX_NAME_LEN: usize = 255;

const SIGNATURE_PREFIX: &str = "\u{2014} ";
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// Why a note or key was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not the form of a signed note.
    #[error("malformed note: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not the form of a key.
    #[error("malformed key: {problem}")]
    Key {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name that cannot stand in a signature line.
    #[error("{found:?} cannot be a name: expected 1 to 255 bytes without spaces, plus signs and control characters")]
    Name {
        /// As given, at most 64 characters of it.
        found: String,
    },
    /// A line by a key nobody vouched for.
    #[error("signature line of {name} with key id {key_id:08x} is by no known key")]
    UnknownKey {
        /// The name in the line.
        name: String,
        /// The key id in the line.
        key_id: u32,
    },
    /// Two lines by one key.
    #[error("two signature lines by {name}")]
    Duplicate {
        /// The name in the lines.
        name: String,
    },
    /// A line that does not verify.
    #[error("the signature of {name} does not verify")]
    BadSignature {
        /// The name in the line.
        name: String,
    },
    /// No line by a key that must sign.
    #[error("no signature line by {name}")]
    Unsigned {
        /// The key's name.
        name: String,
    },
}

/// The name of a key, or the origin of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Accepts 1 to 255 bytes without Unicode spaces, plus signs and control characters.
    pub fn new(name: &str) -> Result<Self, NoteError> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.len() > MAX_NAME_LEN || name.contains(bad) {
            return Err(NoteError::Name {
                found: name.chars().take(64).collect(),
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyType {
    /// The note as it stands.
    Ed25519 = 1,
    /// The note, seen at a time.
    Cosignature = 4,
}

impl KeyType {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ed25519),
            4 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

/// The bytes a signature of this type is over.
fn signed_bytes(key_type: KeyType, text: &str, time_s: u64) -> Vec<u8> {
    match key_type {
        KeyType::Ed25519 => text.as_bytes().to_vec(),
        KeyType::Cosignature => format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes(),
    }
}

fn key_id(name: &Name, key_type: KeyType, public: &[u8; 32]) -> u32 {
    let digest = Sha256::new()
        .chain_update(name.as_str())
        .chain_update([b'\n', key_type as u8])
        .chain_update(public)
        .finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    // The standard engine refuses missing padding and non-zero trailing bits.
    STANDARD.decode(text).ok()
}

/// A public key that can vouch for notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: Name,
    key_type: KeyType,
    key: VerifyingKey,
}

impl Verifier {
    /// A verifier for this Ed25519 public key.
    ///
    /// # Errors
    /// When the bytes are no point of the curve, or one of small order.
    pub fn new(name: Name, key_type: KeyType, public: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(public).map_err(|_| NoteError::Key {
            problem: "no point of the curve",
        })?;
        if key.is_weak() {
            return Err(NoteError::Key {
                problem: "a point of small order",
            });
        }
        Ok(Self { name, key_type, key })
    }

    /// Parses a vkey, `<name>+<key id>+<base64 of type and key>`.
    pub fn from_vkey(vkey: &str) -> Result<Self, NoteError> {
        let (name, key_type, public) = parse_key(vkey)?;
        let verifier = Self::new(name, key_type, &public)?;
        if verifier.to_vkey() != vkey {
            return Err(NoteError::Key {
                problem: "the key id does not belong to the key",
            });
        }
        Ok(verifier)
    }

    /// The vkey.
    pub fn to_vkey(&self) -> String {
        let public = self.key.to_bytes();
        let mut blob = vec![self.key_type as u8];
        blob.extend_from_slice(&public);
        format!("{}+{:08x}+{}", self.name, self.key_id(), STANDARD.encode(blob))
    }

    /// The name in its signature lines.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// What its signatures say.
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The first four bytes of the hash of name, type and key.
    pub fn key_id(&self) -> u32 {
        key_id(&self.name, self.key_type, &self.key.to_bytes())
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Accepts only a signature of `text` by this key; gives the time of a cosignature, Unix seconds.
    pub fn verify(&self, text: &str, line: &SignatureLine) -> Result<Option<u64>, NoteError> {
        let bad = || NoteError::BadSignature {
            name: self.name.to_string(),
        };
        let (time_s, signature) = match self.key_type {
            KeyType::Ed25519 => (None, line.signature.as_slice()),
            KeyType::Cosignature => {
                let (time, signature) = line.signature.split_first_chunk::<8>().ok_or_else(bad)?;
                (Some(u64::from_be_bytes(*time)), signature)
            }
        };
        let signature = Ed25519Signature::from_slice(signature).map_err(|_| bad())?;
        let message = signed_bytes(self.key_type, text, time_s.unwrap_or(0));
        self.key.verify_strict(&message, &signature).map_err(|_| bad())?;
        Ok(time_s)
    }
}

fn parse_key(text: &str) -> Result<(Name, KeyType, [u8; 32]), NoteError> {
    let malformed = |problem| NoteError::Key { problem };
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(_id), Some(blob)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("expected <name>+<key id>+<base64>"));
    };
    let blob = Zeroizing::new(decode_base64(blob).ok_or(malformed("the key is not base64"))?);
    let (type_byte, key) = blob.split_first().ok_or(malformed("the key is empty"))?;
    let key_type = KeyType::from_byte(*type_byte).ok_or(malformed("the key type is not 1 or 4"))?;
    let key = key.try_into().map_err(|_| malformed("the key is not 32 bytes long"))?;
    Ok((Name::new(name)?, key_type, key))
}

/// A private key that signs notes.
pub struct Signer {
    name: Name,
    key_type: KeyType,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key itself.
        f.debug_struct("Signer")
            .field("name", &self.name)
            .field("key_type", &self.key_type)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// The signer with this seed.
    pub fn from_seed(name: Name, key_type: KeyType, seed: &[u8; 32]) -> Self {
        Self {
            name,
            key_type,
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Parses the text form that [`Self::to_secret_text`] writes.
    pub fn from_secret_text(text: &str) -> Result<Self, NoteError> {
        let key = text.strip_prefix(SECRET_PREFIX).ok_or(NoteError::Key {
            problem: "expected PRIVATE+KEY+...",
        })?;
        let (name, key_type, seed) = parse_key(key)?;
        let seed = Zeroizing::new(seed);
        let signer = Self::from_seed(name, key_type, &seed);
        if signer.to_secret_text().as_str() != text {
            return Err(NoteError::Key {
                problem: "the key id does not belong to the key",
            });
        }
        Ok(signer)
    }

    /// The key as text, `PRIVATE+KEY+<name>+<key id>+<base64 of type and seed>`: for a key file only.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut blob = Zeroizing::new(vec![self.key_type as u8]);
        blob.extend_from_slice(&*Zeroizing::new(self.key.to_bytes()));
        let blob = Zeroizing::new(STANDARD.encode(&*blob));
        Zeroizing::new(format!(
            "{SECRET_PREFIX}{}+{:08x}+{}",
            self.name,
            self.verifier().key_id(),
            *blob
        ))
    }

    /// Its public half.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            name: self.name.clone(),
            key_type: self.key_type,
            key: self.key.verifying_key(),
        }
    }

    /// Appends a signature line to a note. `text` is the note's text with its last newline, `time_s` what a
    /// cosignature says (Unix seconds; an Ed25519 signature has no time).
    pub fn sign(&self, text: &str, time_s: u64, note: &mut String) {
        let verifier = self.verifier();
        let mut blob = verifier.key_id().to_be_bytes().to_vec();
        if self.key_type == KeyType::Cosignature {
            blob.extend_from_slice(&time_s.to_be_bytes());
        }
        blob.extend_from_slice(&self.key.sign(&signed_bytes(self.key_type, text, time_s)).to_bytes());
        note.push_str(SIGNATURE_PREFIX);
        note.push_str(self.name.as_str());
        note.push(' ');
        STANDARD.encode_string(&blob, note);
        note.push('\n');
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    /// The signer's name.
    pub name: Name,
    /// The signer's key id.
    pub key_id: u32,
    /// What follows the key id.
    pub signature: Vec<u8>,
}

/// A note, taken apart but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote<'a> {
    /// The text with its last newline: what is signed.
    pub text: &'a str,
    /// The signature lines in order.
    pub signatures: Vec<SignatureLine>,
}

/// A signature that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<'v> {
    /// Whose.
    pub verifier: &'v Verifier,
    /// Its time, Unix seconds, for a cosignature.
    pub time_s: Option<u64>,
}

impl<'a> SignedNote<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        let malformed = |problem| NoteError::Malformed { problem };
        if note.len() > MAX_NOTE_LEN {
            return Err(malformed("longer than 16 KiB"));
        }
        let note = std::str::from_utf8(note).map_err(|_| malformed("not UTF-8"))?;
        if note.contains(|c: char| c.is_control() && c != '\n') {
            return Err(malformed("a control character other than newline"));
        }
        let end = note
            .rfind("\n\n")
            .ok_or(malformed("no empty line before the signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines
            .strip_suffix('\n')
            .ok_or(malformed("no signature line, or the last one is cut off"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(malformed("more than 16 signature lines"));
            }
            signatures.push(parse_signature(line).ok_or(malformed("a line that is no signature line"))?);
        }
        Ok(Self { text, signatures })
    }

    /// Accepts the note only when every line is by one of `known` and verifies, and none signs twice.
    ///
    /// Plain signed notes ignore lines by unknown keys; here a flipped bit in a key id must not pass.
    pub fn verify<'v>(&self, known: &'v [Verifier]) -> Result<Vec<Verified<'v>>, NoteError> {
        let mut verified: Vec<Verified<'v>> = Vec::new();
        for line in &self.signatures {
            let verifier = known
                .iter()
                .find(|verifier| verifier.key_id() == line.key_id && verifier.name == line.name)
                .ok_or_else(|| NoteError::UnknownKey {
                    name: line.name.to_string(),
                    key_id: line.key_id,
                })?;
            if verified.iter().any(|earlier| std::ptr::eq(earlier.verifier, verifier)) {
                return Err(NoteError::Duplicate {
                    name: line.name.to_string(),
                });
            }
            verified.push(Verified {
                verifier,
                time_s: verifier.verify(self.text, line)?,
            });
        }
        Ok(verified)
    }
}

fn parse_signature(line: &str) -> Option<SignatureLine> {
    let (name, blob) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let blob = decode_base64(blob)?;
    let (id, signature) = blob.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(SignatureLine {
        name: Name::new(name).ok()?,
        key_id: u32::from_be_bytes(*id),
        signature: signature.to_vec(),
    })
}
