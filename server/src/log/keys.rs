//! Who signs: the log key, the key of its own timestamped cosignature, and the secrets behind the salts.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use tapline_witness::{
    hash::{Hash, log_id},
    note::{KeyType, Name, Signer, Verifier},
    tile::TILE_WIDTH,
};
use zeroize::Zeroizing;

use super::LogError;

const LOG_KEY_FILE: &str = "log.key";
const COSIGNER_KEY_FILE: &str = "cosigner.key";

/// The identity of a log in one process.
#[derive(Debug)]
pub struct Identity {
    pub(super) log: Signer,
    pub(super) cosigner: Signer,
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
        let log_file = key_dir.join(LOG_KEY_FILE);
        let log = match read_key(&log_file)? {
            Some(log) => log,
            None => {
                let name = match origin {
                    Some(origin) => origin.clone(),
                    None => Name::new(&format!("tapline.log/{}", hex::encode(random::<8>()?)))?,
                };
                make_key(&log_file, name, KeyType::Ed25519)?
            }
        };
        let cosigner_file = key_dir.join(COSIGNER_KEY_FILE);
        let cosigner = match read_key(&cosigner_file)? {
            Some(cosigner) => cosigner,
            None => make_key(&cosigner_file, cosigner_name(&log)?, KeyType::Cosignature)?,
        };
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
            log,
            cosigner,
            boot_id,
            blind: BlindSource::Derived(derive("blind key", recording)),
        })
    }

    /// Origin line of the checkpoints.
    pub fn origin(&self) -> Name {
        self.log.verifier().name().clone()
    }

    /// True when it was derived from a recording.
    pub const fn is_replay(&self) -> bool {
        matches!(self.blind, BlindSource::Derived(_))
    }

    /// The id in every leaf.
    pub fn log_id(&self) -> Hash {
        let verifier = self.log.verifier();
        log_id(verifier.name().as_str(), &verifier.public_key())
    }

    /// What a stranger needs to check the checkpoints: the log key, then the cosigner's.
    pub fn verifiers(&self) -> [Verifier; 2] {
        [self.log.verifier(), self.cosigner.verifier()]
    }
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
        .map_err(LogError::io(dir))?;
    Ok(signer)
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
