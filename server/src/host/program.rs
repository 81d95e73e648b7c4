//! The program around the plugins, as a manifest names it: by what its whole cycle gives on a built-in scene.
//!
//! A digest of the file would differ from machine to machine; these golden runs are the same on every machine and in every
//! build (`cargo xtask golden`), and other with every change of a bit. So a replay knows whether it has the same program.

use super::{
    error::HostError,
    manifest::{Digest, HostStage, Manifest},
};

/// The digests that are committed: the lines that begin with [`PREFIX`] are runs of the whole cycle.
const COMMITTED: &str = include_str!("../../../golden/digests.txt");
const PREFIX: &str = "cycle-";

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The rows of this program.
pub fn host_stages() -> Vec<HostStage> {
    let row = |line: &str| {
        let (name, digest) = line.split_once(char::is_whitespace)?;
        let golden = Digest::try_from(digest.trim().to_owned()).ok()?;
        name.starts_with(PREFIX).then(|| HostStage {
            name: name.to_owned(),
            version: VERSION.to_owned(),
            golden,
        })
    };
    COMMITTED.lines().filter_map(row).collect()
}

/// True when a manifest says which program it is for.
pub fn is_named(manifest: &Manifest) -> bool {
    !manifest.host_stages().is_empty()
}

/// Does a manifest name this program, or none?
///
/// # Errors
/// [`HostError::OtherProgram`] with the first row that differs.
pub fn is_this(manifest: &Manifest) -> Result<(), HostError> {
    let ours = host_stages();
    if !is_named(manifest) || manifest.host_stages() == ours {
        return Ok(());
    }
    let text =
        |row: Option<&HostStage>| row.map_or("none".to_owned(), |r| format!("{} {} {}", r.name, r.version, r.golden));
    let rows = 0..manifest.host_stages().len().max(ours.len());
    let (expected, found) = rows
        .map(|i| (text(manifest.host_stages().get(i)), text(ours.get(i))))
        .find(|(expected, found)| expected != found)
        .unwrap_or_default();
    Err(HostError::OtherProgram { expected, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::manifest_write::Draft;

    #[test]
    fn a_manifest_of_another_program_is_refused_by_name() {
        let ours = host_stages();
        assert!(ours.len() >= 2, "golden/digests.txt holds no whole-cycle runs");
        let manifest = |host_stages| {
            Draft {
                host_stages,
                ..Draft::default()
            }
            .write()
            .expect("a good manifest")
        };
        assert!(is_this(&manifest(ours.clone())).is_ok() && is_this(&manifest(Vec::new())).is_ok());
        let mut other = ours;
        other[1].golden = Digest([7; 32]);
        let error = is_this(&manifest(other)).expect_err("another program").to_string();
        assert!(error.contains("0707") && error.contains(VERSION), "{error}");
    }
}
