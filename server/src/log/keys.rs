//! Who signs: the log key, the key of its own timestamped cosignature, those that take over from them, and the secrets
//! behind the salts.
//!
//! A key that takes over lies in a file of its own, `log-KEYID.key` or `cosigner-KEYID.key`, made before the KEY leaf that
//! names it; which keys sign is for the leaves to say, never for the files.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tapline_witness::{
    body::KeyRole,
    hash::{Hash, log_id},
    keyset::{KeySet, seat},
    note::{KeyType, Name, Signer, Verifier},
    tile::TILE_WIDTH,
};
use zeroize::Zeroizing;

use super::LogError;

const LOG_KEY_FILE: &str = "log.key";
const COSIGNER_KEY_FILE: &str = "cosigner.key";
/// Key files of a directory that are looked at.
const MAX_FILES: usize = 64;

/// The identity of a log in one process.
#[derive(Debug)]
pub struct Identity {
    /// Log keys that are here, the first one first.
    pub(super) log: Vec<Signer>,
    /// Cosigner's keys that are here.
    pub(super) cosigner: Vec<Signer>,
    pub(super) boot_id: [u8; 16],
    pub(super) blind: BlindSource,
}

/// Where the secret of a new tile comes from.
pub(super) enum BlindSource {
    /// The operating system.
    Random,
    /// The digest of a recording: no secret at all, and the same in every replay.
    Derived(Hash),
}

impl std::fmt::Debug for BlindSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Random => "Random",
            Self::Derived(_) => "Derived",
        })
    }
}

impl Identity {
    /// The identity of a live log: its key files, made on the first start (mode 0600), and a new boot id.
    ///
    /// `origin` names a new log; without one it is `tapline.log/<16 hex>`, random. An existing log keeps
    /// the origin in its key file, since an origin is never given to another key.
    pub fn live(key_dir: &Path, origin: Option<&Name>) -> Result<Self, LogError> {
        let mut log = read_keys(key_dir, LOG_KEY_FILE)?;
        if log.is_empty() {
            let name = match origin {
                Some(origin) => origin.clone(),
                None => Name::new(&format!("tapline.log/{}", hex::encode(random::<8>()?)))?,
            };
            log.push(make_key(&key_dir.join(LOG_KEY_FILE), name, KeyType::Ed25519)?);
        }
        let mut cosigner = read_keys(key_dir, COSIGNER_KEY_FILE)?;
        if cosigner.is_empty() {
            let name = cosigner_name(&log[0])?;
            cosigner.push(make_key(&key_dir.join(COSIGNER_KEY_FILE), name, KeyType::Cosignature)?);
        }
        Ok(Self {
            log,
            cosigner,
            boot_id: random()?,
            blind: BlindSource::Random,
        })
    }

    /// The identity of the replay of a recording: all of it follows from the recording's digest, so two
    /// replays write the same bytes. The keys are public in effect; such signatures prove nothing.
    pub fn replay(recording: &Hash) -> Result<Self, LogError> {
        let origin = Name::new(&format!("tapline.replay/{}", hex::encode(&recording[..8])))?;
        let log = Signer::from_seed(origin, KeyType::Ed25519, &derive("log key", recording));
        let cosigner = Signer::from_seed(
            cosigner_name(&log)?,
            KeyType::Cosignature,
            &derive("cosigner key", recording),
        );
        let mut boot_id = [0; 16];
        boot_id.copy_from_slice(&derive("boot id", recording)[..16]);
        Ok(Self {
            log: vec![log],
            cosigner: vec![cosigner],
            boot_id,
            blind: BlindSource::Derived(derive("blind key", recording)),
        })
    }

    /// Origin line of the checkpoints.
    pub fn origin(&self) -> Name {
        self.log[0].verifier().name().clone()
    }

    /// True when it was derived from a recording.
    pub const fn is_replay(&self) -> bool {
        matches!(self.blind, BlindSource::Derived(_))
    }

    /// The id in every leaf of a log that begins with the first key of each role.
    pub fn log_id(&self) -> Hash {
        let verifier = self.log[0].verifier();
        log_id(verifier.name().as_str(), &verifier.public_key())
    }

    /// What a stranger needs to check the checkpoints of a log that begins with them: the log key, then the cosigner's.
    pub fn verifiers(&self) -> [Verifier; 2] {
        [self.log[0].verifier(), self.cosigner[0].verifier()]
    }
}

/// Of the signers that are here those in force at the end of a log of this size.
///
/// # Errors
/// [`LogError::Misuse`] when the private half of one of them is not here.
pub(super) fn into_signers(mut here: Vec<Signer>, keys: &KeySet, size: u64) -> Result<Vec<Signer>, LogError> {
    let mut signers = Vec::new();
    // An empty log signs for the first time when it holds GENESIS.
    for key in keys.signing(size.max(1)) {
        let at = here.iter().position(|signer| signer.verifier() == key.verifier);
        let Some(at) = at else {
            return Err(LogError::Misuse {
                field: "keys of the log",
                expected: format!("the private key of {}", key.verifier.to_vkey()),
                found: "none of the key files holds it".to_owned(),
            });
        };
        signers.push(here.swap_remove(at));
    }
    Ok(signers)
}

/// The secret of the tile that is being filled.
#[derive(Debug)]
pub(super) struct BlindKeys {
    source: BlindSource,
    /// The tile, and its secret. None in a new process: it does not go on under the secret of another.
    current: Option<(u64, Hash)>,
}

impl BlindKeys {
    pub(super) const fn new(source: BlindSource) -> Self {
        Self { source, current: None }
    }

    /// The secret that leaf `seq` is committed under; true when it is new and has to be stored.
    pub(super) fn for_leaf(&mut self, seq: u64) -> Result<(Hash, bool), LogError> {
        let tile = seq / TILE_WIDTH as u64;
        if let Some((_, key)) = self.current.filter(|(of, _)| *of == tile) {
            return Ok((key, false));
        }
        let key = match &self.source {
            BlindSource::Random => random()?,
            BlindSource::Derived(seed) => {
                let mut material = [0; 40];
                material[..32].copy_from_slice(seed);
                material[32..].copy_from_slice(&seq.to_le_bytes());
                derive("blind key of a tile", &material)
            }
        };
        self.current = Some((tile, key));
        Ok((key, true))
    }

    /// The next leaf gets a new secret: the one before may be erased.
    pub(super) const fn renew(&mut self) {
        self.current = None;
    }
}

fn derive(what: &str, material: &[u8]) -> Hash {
    blake3::derive_key(&format!("tapline 2026-11 replay {what} v1"), material)
}

fn random<const N: usize>() -> Result<[u8; N], LogError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| LogError::Io {
        path: "random number source".into(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}

fn cosigner_name(log: &Signer) -> Result<Name, LogError> {
    Ok(Name::new(&format!("{}/time", log.verifier().name()))?)
}

/// Makes a key that is to take over: its file is on the disk when this returns. Only its public half leaves this module.
///
/// # Errors
/// When it cannot be written.
pub fn prepare_key(key_dir: &Path, origin: &str, role: KeyRole) -> Result<Verifier, LogError> {
    let (name, key_type) = seat(origin, role)?;
    let seed = Zeroizing::new(random::<32>()?);
    let signer = Signer::from_seed(name, key_type, &seed);
    let verifier = signer.verifier();
    write_key(&key_dir.join(file_of(role, &verifier)), &signer)?;
    Ok(verifier)
}

/// The file of a key that took over.
fn file_of(role: KeyRole, key: &Verifier) -> String {
    let stem = stem(role);
    format!("{stem}-{:08x}.key", key.key_id())
}

const fn stem(role: KeyRole) -> &'static str {
    match role {
        KeyRole::Log => "log",
        KeyRole::Cosigner => "cosigner",
    }
}

/// The private half of a key that takes over.
///
/// # Errors
/// When its file is not there or holds another one.
pub(super) fn take_key(key_dir: &Path, role: KeyRole, key: &Verifier) -> Result<Signer, LogError> {
    let path = key_dir.join(file_of(role, key));
    match read_key(&path)? {
        Some(signer) if signer.verifier() == *key => Ok(signer),
        _ => Err(LogError::Misuse {
            field: "key that takes over",
            expected: format!("{} in {}", key.to_vkey(), path.display()),
            found: "no such key".to_owned(),
        }),
    }
}

/// Removes the private half of a key that was retired, whichever file holds it.
///
/// # Errors
/// When a file cannot be read or removed.
pub(super) fn remove_key(key_dir: &Path, role: KeyRole, key: &Verifier) -> Result<(), LogError> {
    for path in key_files(key_dir, &format!("{}.key", stem(role)))? {
        if read_key(&path)?.is_some_and(|signer| signer.verifier() == *key) {
            fs::remove_file(&path).map_err(LogError::io(&path))?;
            fs::File::open(key_dir)
                .and_then(|dir| dir.sync_all())
                .map_err(LogError::io(key_dir))?;
        }
    }
    Ok(())
}

/// `NAME.key` and `NAME-….key` of a directory, by name, the plain one first.
fn key_files(key_dir: &Path, plain: &str) -> Result<Vec<PathBuf>, LogError> {
    let stem = plain.trim_end_matches(".key");
    let entries = match fs::read_dir(key_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LogError::io(key_dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let name = entry.map_err(LogError::io(key_dir))?.file_name();
        let ours = |name: &String| {
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(".key"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        names.extend(name.into_string().ok().filter(ours));
    }
    names.sort_by_key(|name| (name != plain, name.clone()));
    Ok(names.into_iter().map(|name| key_dir.join(name)).collect())
}

fn read_keys(key_dir: &Path, plain: &str) -> Result<Vec<Signer>, LogError> {
    let mut keys = Vec::new();
    for path in key_files(key_dir, plain)? {
        keys.extend(read_key(&path)?);
    }
    Ok(keys)
}

fn read_key(path: &Path) -> Result<Option<Signer>, LogError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io(path)(error)),
    };
    let mode = fs::metadata(path).map_err(LogError::io(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(LogError::Misuse {
            field: "mode of a key file",
            expected: format!("0600 (chmod 600 {})", path.display()),
            found: format!("{mode:04o}"),
        });
    }
    Ok(Some(Signer::from_secret_text(text.trim_end_matches('\n'))?))
}

fn make_key(path: &Path, name: Name, key_type: KeyType) -> Result<Signer, LogError> {
    let seed = Zeroizing::new(random::<32>()?);
    let signer = Signer::from_seed(name, key_type, &seed);
    write_key(path, &signer)?;
    Ok(signer)
}

fn write_key(path: &Path, signer: &Signer) -> Result<(), LogError> {
    let io = || LogError::io(path);
    // Under another name until it is whole: a crash must not leave half a key behind.
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(LogError::io(dir))?;
    let tmp = path.with_extension("tmp");
    let _ = fs::remove_file(&tmp);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&tmp)
        .map_err(io())?;
    file.write_all(signer.to_secret_text().as_bytes()).map_err(io())?;
    file.write_all(b"\n").map_err(io())?;
    file.sync_all().map_err(io())?;
    fs::rename(&tmp, path).map_err(io())?;
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(LogError::io(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::live(dir.path(), None).unwrap();
        let again = Identity::live(dir.path(), Some(&Name::new("other").unwrap())).unwrap();
        assert_eq!(first.verifiers(), again.verifiers());
        assert_ne!(first.boot_id, again.boot_id);
        for file in [LOG_KEY_FILE, COSIGNER_KEY_FILE] {
            let path = dir.path().join(file);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::set_permissions(dir.path().join(LOG_KEY_FILE), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identity::live(dir.path(), None), Err(LogError::Misuse { .. })));
    }

    #[test]
    fn a_replay_identity_follows_from_the_recording() {
        let (a, b, c) = (
            Identity::replay(&[1; 32]).unwrap(),
            Identity::replay(&[1; 32]).unwrap(),
            Identity::replay(&[2; 32]).unwrap(),
        );
        assert_eq!(a.origin().as_str(), "tapline.replay/0101010101010101");
        assert_eq!((a.log_id(), a.boot_id), (b.log_id(), b.boot_id));
        assert_ne!(a.log_id(), c.log_id());
        let keys = |identity: Identity| BlindKeys::new(identity.blind).for_leaf(5).unwrap();
        assert_eq!(keys(a), keys(b));
    }

    #[test]
    fn a_tile_has_one_secret_unless_it_is_renewed() {
        let mut keys = BlindKeys::new(BlindSource::Random);
        let (first, new) = keys.for_leaf(2).unwrap();
        assert!(new);
        assert_eq!(keys.for_leaf(255).unwrap(), (first, false));
        let (second, new) = keys.for_leaf(256).unwrap();
        assert!(new && second != first);
        keys.renew();
        let (third, new) = keys.for_leaf(257).unwrap();
        assert!(new && third != second);
    }
}
