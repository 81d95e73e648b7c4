//! What must hold after any damage that a log may suffer.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tapline_server::{
    log::{Log, LogError, fsck},
    store::DATABASE_FILE,
};

use crate::victim::{BATCH, boot, cycles, options};

/// A directory for a victim: its data, and the anchor beside it.
pub(crate) struct Place {
    root: PathBuf,
    _owned: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let owned = tempfile::tempdir().expect("a temporary directory");
        Self {
            root: owned.path().into(),
            _owned: Some(owned),
        }
    }

    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.into(),
            _owned: None,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join(DATABASE_FILE)
    }

    pub(crate) fn open(&self) -> Result<Log, LogError> {
        Log::open(options(&self.data(), None))
    }

    /// The victim over this directory, not yet started.
    pub(crate) fn victim(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("own path"));
        command.arg("victim").arg(self.data()).args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A healthy log of so many commits.
    pub(crate) fn grow(&self, commits: u64) -> Result<u64, String> {
        let say = |error: LogError| error.to_string();
        let mut log = self.open().map_err(say)?;
        boot(&mut log).map_err(say)?;
        cycles(&mut log, 1..1 + commits * BATCH).map_err(say)?;
        Ok(log.writer.close().map_err(say)?.size)
    }

    /// Copies all of it, but not the locks.
    pub(crate) fn copy_to(&self, other: &Self) {
        copy_tree(&self.root, &other.root);
    }
}

/// Copies a directory over another one.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The largest size that a victim said was published. Its last line may be cut off.
pub(crate) fn published(stdout: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(stdout);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let sizes = whole
        .lines()
        .filter_map(|line| line.strip_prefix("published ")?.parse().ok());
    sizes.max().unwrap_or(0)
}

/// Waits for a victim; a panic is a fault of ours, whatever was done to it.
pub(crate) fn finished(child: Child) -> Result<Output, String> {
    let output = child
        .wait_with_output()
        .map_err(|e| format!("cannot wait for the victim: {e}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(101) || stderr.contains("panicked") {
        return Err(format!("the victim panicked: {stderr}"));
    }
    Ok(output)
}

/// After the damage: `fsck` is clean, the next start goes on, nothing published is missing, and `fsck` is clean again.
/// Gives the size that was found.
pub(crate) fn recovers(place: &Place, published: u64) -> Result<u64, String> {
    // A victim that died while it made the database published nothing, and the next start makes it whole.
    match fsck(&place.data(), None) {
        Ok(report) if report.is_clean() => {}
        Ok(report) => return Err(format!("fsck after the damage:\n{report}")),
        Err(_) if published == 0 => {}
        Err(error) => return Err(format!("fsck cannot read the log: {error}")),
    }
    let mut log = place.open().map_err(|e| format!("the next start: {e}"))?;
    let found = log.recovered.size;
    if found < published {
        return Err(format!("{published} leaves were published, {found} are left"));
    }
    let go_on = |log: &mut Log| {
        boot(log)?;
        cycles(log, 1..1 + 2 * BATCH)
    };
    go_on(&mut log).map_err(|e| format!("going on: {e}"))?;
    let size = log.writer.close().map_err(|e| format!("closing: {e}"))?.size;
    let report = fsck(&place.data(), None).map_err(|e| format!("fsck after going on: {e}"))?;
    if !report.is_clean() || report.leaves != size {
        return Err(format!("fsck after going on to {size}:\n{report}"));
    }
    Ok(found)
}
