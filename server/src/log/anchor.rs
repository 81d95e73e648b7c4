//! The anchor: a small file outside the data directory that remembers how far the log was published.
//!
//! A database restored from yesterday is whole and signed; only something beside it can tell that it was
//! longer once. The file is replaced (write, fsync, rename, fsync of the directory) after each commit and
//! only if it still says what we wrote last.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use tapline_witness::hash::Hash;

use super::LogError;

const FIRST_LINE: &str = "tapline anchor v1";

/// How far a log was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorState {
    /// Which log.
    pub log_id: Hash,
    /// Leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

impl AnchorState {
    fn to_text(self) -> String {
        let (log_id, root) = (hex::encode(self.log_id), hex::encode(self.root));
        format!("{FIRST_LINE}\nlog_id {log_id}\nsize {}\nroot {root}\n", self.size)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == FIRST_LINE).then_some(())?;
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let state = Self {
            log_id: hex::decode(field("log_id")?).ok()?.try_into().ok()?,
            size: field("size")?.parse().ok()?,
            root: hex::decode(field("root")?).ok()?.try_into().ok()?,
        };
        (state.to_text() == text).then_some(state)
    }

    fn describe(&self) -> String {
        format!(
            "log {}, size {}, root {}",
            hex::encode(&self.log_id[..8]),
            self.size,
            hex::encode(self.root)
        )
    }
}

/// Where the anchor lies when nothing else is configured: beside the data directory, never inside it, so
/// that restoring the directory does not restore the anchor.
pub fn default_anchor_path(data_dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
    let mut name = absolute.file_name().unwrap_or("data".as_ref()).to_os_string();
    name.push(".anchor");
    absolute.with_file_name(name)
}

/// The anchor of the log this process writes; holds its lock until dropped.
#[derive(Debug)]
pub(super) struct Anchor {
    path: PathBuf,
    state: AnchorState,
    _lock: File,
}

impl Anchor {
    /// Takes the lock and reads the anchor; `None` when there is no file yet.
    pub(super) fn open(path: &Path) -> Result<(Option<AnchorState>, File), LogError> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(LogError::io(dir))?;
        }
        let lock = lock(&path.with_extension("anchor.lock"))?;
        Ok((read(path)?, lock))
    }

    /// The anchor with what is known to stand in its file.
    pub(super) fn resume(path: PathBuf, state: AnchorState, lock: File) -> Self {
        Self {
            path,
            state,
            _lock: lock,
        }
    }

    /// Writes the first anchor of a log.
    pub(super) fn create(path: PathBuf, state: AnchorState, lock: File) -> Result<Self, LogError> {
        write(&path, &state)?;
        Ok(Self {
            path,
            state,
            _lock: lock,
        })
    }

    /// Leaves that are known to be published.
    pub(super) const fn size(&self) -> u64 {
        self.state.size
    }

    /// Moves the anchor on, if its file still says what we wrote last.
    pub(super) fn advance(&mut self, next: AnchorState) -> Result<(), LogError> {
        let found = read(&self.path)?;
        if found != Some(self.state) {
            return Err(LogError::AnchorChanged {
                anchor: self.path.clone(),
                expected: self.state.describe(),
                found: found.map_or("nothing".into(), |found| found.describe()),
            });
        }
        write(&self.path, &next)?;
        self.state = next;
        Ok(())
    }
}

/// Takes an advisory lock that ends with the file handle, and so with the process.
pub(super) fn lock(path: &Path) -> Result<File, LogError> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(LogError::io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LogError::Locked { path: path.into() }),
        Err(fs::TryLockError::Error(error)) => Err(LogError::io(path)(error)),
    }
}

/// Reads an anchor file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<AnchorState>, LogError> {
    match fs::read_to_string(path) {
        Ok(text) => AnchorState::from_text(&text)
            .map(Some)
            .ok_or_else(|| LogError::damaged(path.display().to_string(), "not an anchor file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io(path)(error)),
    }
}

fn write(path: &Path, state: &AnchorState) -> Result<(), LogError> {
    replace_durably(path, state.to_text().as_bytes())
}

/// Replaces a file by other bytes: it holds the old ones or the new ones, whatever happens.
pub(super) fn replace_durably(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let tmp = path.with_extension("anchor.tmp");
    let mut file = File::create(&tmp).map_err(LogError::io(&tmp))?;
    file.write_all(bytes).map_err(LogError::io(&tmp))?;
    file.sync_all().map_err(LogError::io(&tmp))?;
    fs::rename(&tmp, path).map_err(LogError::io(path))?;
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(LogError::io(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(size: u64) -> AnchorState {
        AnchorState {
            log_id: [1; 32],
            size,
            root: [size as u8; 32],
        }
    }

    #[test]
    fn moves_on_only_from_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.anchor");
        let (found, guard) = Anchor::open(&path).unwrap();
        assert_eq!(found, None);
        assert!(matches!(Anchor::open(&path), Err(LogError::Locked { .. })));
        let mut anchor = Anchor::create(path.clone(), state(0), guard).unwrap();
        anchor.advance(state(5)).unwrap();
        assert_eq!(read(&path).unwrap(), Some(state(5)));
        write(&path, &state(9)).unwrap();
        assert!(matches!(anchor.advance(state(6)), Err(LogError::AnchorChanged { .. })));
        assert_eq!(read(&path).unwrap(), Some(state(9)));
    }

    #[test]
    fn has_one_spelling() {
        let text = state(7).to_text();
        assert_eq!(AnchorState::from_text(&text), Some(state(7)));
        for bad in [
            text.replace("size 7", "size 07"),
            format!("{text}x"),
            text.replace("01", "0"),
            String::new(),
        ] {
            assert_eq!(AnchorState::from_text(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn lies_beside_the_data_directory() {
        assert_eq!(
            default_anchor_path(Path::new("/var/lib/tapline")),
            Path::new("/var/lib/tapline.anchor")
        );
        assert_eq!(
            default_anchor_path(Path::new("/var/lib/tapline/")),
            Path::new("/var/lib/tapline.anchor")
        );
        assert_eq!(default_anchor_path(Path::new("/srv/a.b")), Path::new("/srv/a.b.anchor"));
    }
}
