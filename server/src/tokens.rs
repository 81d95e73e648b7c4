//! Bearer tokens: who may talk to the server, and about what.
//!
//! A token is `tl_<8 hex digits>_<64 hex digits>`: an id that may be shown, and 256 random bits that are shown once.
//! The file holds the id, the name, the scopes and a BLAKE3 hash of the whole token (it is random, so nothing slower
//! is needed against guessing), never the token. Hashes are compared in constant time.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// What the hash is of; part of the key, so that no other hash of the project can be taken for it.
const CONTEXT: &str = "tapline 2026-11 api token v1";
/// Tokens of one file.
const MOST: usize = 256;
/// Bytes of one file.
const FILE_BYTES: u64 = 256 << 10;

/// What a token allows. None implies another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Ask questions, fetch documents.
    Read,
    /// Follow what happens.
    Subscribe,
    /// Give orders that change how the room is sensed, not what may leave.
    Operate,
    /// Change what may leave, fetch raw material, delete.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Read, Self::Subscribe, Self::Operate, Self::Admin];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| format!("found {text:?}; allowed: read, subscribe, operate, admin"))
    }
}

/// A token as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Eight hex digits; part of the token.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Hash of the whole token, hex.
    hash: String,
    /// When it was made, Unix seconds.
    pub created_s: u64,
    /// From when on it is refused, Unix seconds; none for never.
    pub expires_s: Option<u64>,
}

/// Why the tokens cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error("cannot use the token file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its contents.
    #[error("{path} is not a token file: {message}. Make tokens with `tapline token create`")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A name that cannot be used.
    #[error("a token's name has 1 to 64 letters, digits, '-', '_' or '.'; found {0:?}")]
    Name(String),
    /// No more.
    #[error("there are {MOST} tokens, which is all there may be; revoke one first")]
    Full,
    /// There is no source of randomness.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// The tokens of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    all: Vec<Token>,
}

impl Tokens {
    /// Reads the file; one that is not there holds no tokens.
    ///
    /// # Errors
    /// [`TokenError::File`], [`TokenError::Contents`].
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        Self::find(path).map(Option::unwrap_or_default)
    }

    /// Reads the file; none when it is not there. Who decides by it who may must not take that for a file without tokens.
    ///
    /// # Errors
    /// [`TokenError::File`], [`TokenError::Contents`].
    pub fn find(path: &Path) -> Result<Option<Self>, TokenError> {
        let file = |source| TokenError::File {
            path: path.to_owned(),
            source,
        };
        let contents = |message: String| TokenError::Contents {
            path: path.to_owned(),
            message,
        };
        match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(file(e)),
            Ok(m) if m.len() > FILE_BYTES => return Err(contents(format!("it has {} bytes", m.len()))),
            Ok(_) => {}
        }
        let text = fs::read(path).map_err(file)?;
        let all: Vec<Token> = serde_json::from_slice(&text).map_err(|e| contents(e.to_string()))?;
        Ok(Some(Self { all }))
    }

    /// Writes the file, for its owner only, in one step.
    ///
    /// # Errors
    /// [`TokenError::File`].
    pub fn save(&self, path: &Path) -> Result<(), TokenError> {
        let file = |source| TokenError::File {
            path: path.to_owned(),
            source,
        };
        let text = serde_json::to_vec_pretty(&self.all).map_err(|e| file(e.into()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut f| f.write_all(&text).and_then(|()| f.sync_all()))
            .and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(file)
    }

    /// Makes a token; returns its text, which is kept nowhere.
    ///
    /// # Errors
    /// [`TokenError::Name`], [`TokenError::Full`], [`TokenError::Random`].
    pub fn create(&mut self, name: &str, scopes: &[Scope], expires_s: Option<u64>) -> Result<String, TokenError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(TokenError::Name(name.to_owned()));
        }
        if self.all.len() >= MOST {
            return Err(TokenError::Full);
        }
        let mut random = [0_u8; 36];
        getrandom::fill(&mut random).map_err(TokenError::Random)?;
        let id = hex::encode(&random[..4]);
        let text = format!("tl_{id}_{}", hex::encode(&random[4..]));
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        self.all.push(Token {
            id,
            name: name.to_owned(),
            scopes,
            hash: hash(&text).to_hex().to_string(),
            created_s: now_s(),
            expires_s,
        });
        Ok(text)
    }

    /// Takes a token away, by id or name; false when there is none.
    pub fn revoke(&mut self, which: &str) -> bool {
        let before = self.all.len();
        self.all.retain(|t| t.id != which && t.name != which);
        self.all.len() < before
    }

    /// All tokens, in the order they were made.
    pub fn all(&self) -> &[Token] {
        &self.all
    }

    /// The token with this text, if it is one and has not expired. Every hash is compared, each in constant time.
    pub fn verify(&self, text: &str, now_s: u64) -> Option<&Token> {
        if text.len() > 128 {
            return None;
        }
        let found = hash(text);
        let mut hit = None;
        for token in &self.all {
            // `blake3::Hash` compares in constant time.
            if blake3::Hash::from_hex(&token.hash).is_ok_and(|hash| hash == found) {
                hit = Some(token);
            }
        }
        hit.filter(|token| token.expires_s.is_none_or(|end| now_s < end))
    }
}

fn hash(text: &str) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key(CONTEXT, text.as_bytes()))
}

/// Unix seconds.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The file a secret is in: `credential:NAME` is systemd's `LoadCredential=NAME:…`, anything else a path.
///
/// # Errors
/// When systemd passed no credentials.
pub fn secret_path(named: &Path) -> io::Result<PathBuf> {
    let Some(name) = named.to_str().and_then(|n| n.strip_prefix("credential:")) else {
        return Ok(named.to_owned());
    };
    let missing = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "{} was named, but systemd passed no credentials: add LoadCredential={name}:FILE",
                named.display()
            ),
        )
    };
    if name.is_empty() || name.contains('/') || name == ".." {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a credential has a plain name",
        ));
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(missing)?;
    Ok(Path::new(&directory).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_once_and_kept_as_a_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let mut tokens = Tokens::load(&path).unwrap();
        let text = tokens
            .create("kitchen", &[Scope::Subscribe, Scope::Read, Scope::Read], None)
            .unwrap();
        tokens.save(&path).unwrap();
        let file = fs::read_to_string(&path).unwrap();
        assert!(!file.contains(&text[12..]), "{file}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let again = Tokens::load(&path).unwrap();
        let token = again.verify(&text, now_s()).unwrap();
        assert_eq!(
            (token.name.as_str(), &*token.scopes),
            ("kitchen", &[Scope::Read, Scope::Subscribe][..])
        );
        let mut wrong = text.clone();
        wrong.replace_range(wrong.len() - 1.., if text.ends_with('0') { "1" } else { "0" });
        for guess in [
            wrong.as_str(),
            "",
            &text[..20],
            &text.to_uppercase(),
            &"x".repeat(4_096),
        ] {
            assert_eq!(again.verify(guess, now_s()), None, "{guess}");
        }
    }

    #[test]
    fn tokens_end() {
        let mut tokens = Tokens::default();
        let text = tokens.create("guest", &Scope::ALL, Some(1_000)).unwrap();
        assert!(tokens.verify(&text, 999).is_some() && tokens.verify(&text, 1_000).is_none());
        assert!(tokens.revoke("guest") && !tokens.revoke("guest"));
        assert_eq!(tokens.verify(&text, 0), None);
        assert!(matches!(tokens.create("a b", &[], None), Err(TokenError::Name(_))));
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        fs::write(&path, "{}").unwrap();
        assert!(matches!(Tokens::load(&path), Err(TokenError::Contents { .. })));
    }
}
