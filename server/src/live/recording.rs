//! Recordings made on an operator's order: where they lie, which one runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwapOption;

/// How recordings' files end.
const SUFFIX: &str = ".tlc";
/// Characters a name may have.
const NAME_CHARACTERS: usize = 64;

/// A recording that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingNow {
    /// Its name.
    pub name: String,
    /// When it began, Unix nanoseconds.
    pub started_wall_ns: i64,
    /// Slots it has.
    pub slots: u64,
    /// Slots it lacks because the disk was too slow.
    pub lost: u64,
    /// Slots that are left out because they ran in a class stricter than Raw.
    pub withheld: u64,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// Somebody stopped it.
    Ordered,
    /// It has the length that was asked for.
    Whole,
    /// The site was given a mode stricter than Raw.
    Mode,
    /// The file took no more.
    Disk,
}

/// Recordings of the running process.
#[derive(Debug, Default)]
pub struct Recordings {
    directory: OnceLock<PathBuf>,
    now: ArcSwapOption<RecordingNow>,
    ended: ArcSwapOption<(String, RecordingEnd)>,
}

impl Recordings {
    /// Says where they lie.
    pub fn keep_in(&self, directory: PathBuf) {
        // A second directory in one process would be a bug; the first one stands.
        let _ = self.directory.set(directory);
    }

    /// Where they lie; none when this process keeps none.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.get().map(PathBuf::as_path)
    }

    /// The file of a recording; none for a name that is none, and when this process keeps none.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        valid(name).then(|| Some(self.directory()?.join(format!("{name}{SUFFIX}"))))?
    }

    /// The one that runs.
    pub fn now(&self) -> Option<Arc<RecordingNow>> {
        self.now.load_full()
    }

    /// Shows the one that runs.
    pub fn show(&self, now: Option<RecordingNow>) {
        self.now.store(now.map(Arc::new));
    }

    /// Says that the one that ran has ended, and why.
    pub fn end(&self, name: String, why: RecordingEnd) {
        self.ended.store(Some(Arc::new((name, why))));
        self.show(None);
    }

    /// Why this one ended; none unless it is the last that did.
    pub fn ended(&self, name: &str) -> Option<RecordingEnd> {
        self.ended
            .load()
            .as_ref()
            .filter(|ended| ended.0 == name)
            .map(|ended| ended.1)
    }
}

/// True for 1 to 64 letters, digits, `-` and `_`: what is a plain file name everywhere and cannot leave its directory.
pub fn valid(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=NAME_CHARACTERS).contains(&name.len()) && name.bytes().all(plain)
}

/// The recording a file holds; none when it is another file.
pub fn name_of(file: &Path) -> Option<&str> {
    let name = file.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    valid(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        let recordings = Recordings::default();
        assert_eq!(recordings.file("a"), None, "nowhere to keep it");
        recordings.keep_in("/data/recordings".into());
        assert_eq!(recordings.file("lab-3_b"), Some("/data/recordings/lab-3_b.tlc".into()));
        for name in ["", ".", "..", "a/b", "../a", "a.tlc", "a\0", "ä", &"a".repeat(65)] {
            assert_eq!(recordings.file(name), None, "{name:?}");
        }
        assert_eq!(name_of(Path::new("/data/recordings/lab-3_b.tlc")), Some("lab-3_b"));
        assert_eq!(name_of(Path::new("/data/recordings/.hidden.tlc")), None);
    }
}
