//! The builds of a plugin in a directory: `NAME.so`, `NAME.v3.so`, `NAME.v4.so`, one manifest row for all.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::HostError,
    golden,
    load::{self, Examined},
    manifest::{CpuLevel, Digest, PluginRow, name_is_plain, target},
    manifest_write::library_row,
};

/// CPU levels, lowest first, with the end of the file name.
const LEVELS: [(CpuLevel, &str); 3] = [
    (CpuLevel::Baseline, ".so"),
    (CpuLevel::V3, ".v3.so"),
    (CpuLevel::V4, ".v4.so"),
];
/// Files of a directory that are looked at.
const MAX_FILES: usize = 64;

/// Which builds of a plugin are loaded and proved before a manifest names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proving {
    /// Every one: all must give the same golden digest, and what this machine cannot run, and hence not prove, is not
    /// named.
    All,
    /// Only the one that will run here; the others are hashed and gated, and proved where they are loaded.
    Best(CpuLevel),
}

/// One library file of a plugin directory; none of its code was run.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Name of the plugin, as a swap names it.
    pub name: String,
    /// CPU level of this build.
    pub cpu: CpuLevel,
    /// File name.
    pub file: String,
    /// What is known of it, or why it would be refused.
    pub examined: Result<Examined, String>,
}

/// Splits a file name into plugin and CPU level; none when it is no library.
fn parts(file: &str) -> Option<(&str, CpuLevel)> {
    let level = LEVELS.iter().rev();
    let mut found = level.filter_map(|(cpu, end)| Some((file.strip_suffix(end)?, *cpu)));
    found.next().filter(|(name, _)| !name.is_empty())
}

/// The plugin that a word names: `cir-fft`, or any of its files. Nothing but a plain name is let through, so that no
/// path can lead out of the plugin directory.
///
/// # Errors
/// [`HostError::Candidate`].
pub fn plugin_name(word: &str) -> Result<&str, HostError> {
    name_is_plain("plugin", word).map_err(|why| HostError::Candidate { why })?;
    Ok(parts(word).map_or(word, |(name, _)| name))
}

/// The library files of a directory, by name; without running any of their code.
///
/// # Errors
/// [`HostError::Read`] when the directory cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Listed>, HostError> {
    let fail = |source| HostError::Read {
        path: dir.display().to_string(),
        source,
    };
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        files.extend(name.into_string().ok().filter(|n| parts(n).is_some()));
    }
    files.sort_unstable();
    files.truncate(MAX_FILES);
    let listed = |file: String| {
        let (name, cpu) = parts(&file)?;
        Some(Listed {
            name: name.to_owned(),
            cpu,
            examined: name_is_plain("plugin", &file)
                .map_err(|why| HostError::Candidate { why })
                .and_then(|()| load::examine_here(dir, &file))
                .map_err(|e| e.to_string()),
            file,
        })
    };
    Ok(files.into_iter().filter_map(listed).collect())
}

/// The row of a plugin with all builds that the directory holds, loaded and proved as `proving` says. `expected`: the
/// BLAKE3 that the file which runs here must have; it is compared before any of its code runs.
///
/// # Errors
/// [`HostError`] of the name, the gate, the handshake or the golden vectors.
pub fn row_of(
    dir: &Path,
    name: &str,
    table: &str,
    proving: Proving,
    expected: Option<Digest>,
    within: Duration,
) -> Result<PluginRow, HostError> {
    let name = plugin_name(name)?;
    if dir.as_os_str().is_empty() {
        return Err(HostError::Candidate {
            why: "this server runs the stages that are built in and has no plugin directory; start it with --manifest FILE".into(),
        });
    }
    let limit = match proving {
        Proving::All => CpuLevel::of_this_machine(),
        Proving::Best(level) => level.min(CpuLevel::of_this_machine()),
    };
    let found: Vec<(CpuLevel, PathBuf)> = LEVELS
        .iter()
        .map(|(cpu, end)| (*cpu, dir.join(format!("{name}{end}"))))
        .filter(|(_, path)| path.is_file())
        .collect();
    let best = found.iter().rposition(|(cpu, _)| *cpu <= limit);
    let Some(best) = best else {
        return Err(HostError::Candidate {
            why: format!(
                "there is no {name}.so that this machine can run in the plugin directory; it holds: {}",
                names(dir)
            ),
        });
    };
    let mut row: Option<PluginRow> = None;
    let mut builds = Vec::with_capacity(found.len());
    for (index, (cpu, path)) in found.iter().enumerate() {
        let file = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let wanted = expected.filter(|_| index == best);
        let prove = match proving {
            Proving::All => *cpu <= limit,
            Proving::Best(_) => index == best,
        };
        if !prove && proving == Proving::All {
            continue;
        }
        if !prove {
            builds.push(load::examine_here(dir, &file)?.row(target(), *cpu));
            continue;
        }
        let (examined, loaded) = load::load_here(dir, &file, wanted)?;
        builds.push(examined.row(target(), *cpu));
        let about = (loaded.module.describe)();
        let proof = golden::prove(&file, &loaded.module, within)?;
        let this = library_row(&about, &proof, table, Vec::new());
        match &row {
            None => row = Some(this),
            Some(first) if *first == this => {}
            Some(first) => {
                return Err(HostError::Golden {
                    name: file,
                    why: format!(
                        "this build is {} {} with golden digest {}, the one before is {} {} with {}; builds of one plugin \
                         must give the same bits",
                        this.name, this.version, this.golden, first.name, first.version, first.golden
                    ),
                });
            }
        }
    }
    let row = row.ok_or_else(|| HostError::Candidate {
        why: format!("no build of {name} could be proved on this machine"),
    })?;
    if row.name != name {
        return Err(HostError::Candidate {
            why: format!(
                "{name}.so says that its name is `{}`; name the file after the plugin",
                row.name
            ),
        });
    }
    Ok(PluginRow { builds, ..row })
}

fn names(dir: &Path) -> String {
    let mut all: Vec<String> = list(dir).unwrap_or_default().into_iter().map(|l| l.file).collect();
    if all.is_empty() {
        all.push("no library".into());
    }
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_plugin_and_level() {
        assert_eq!(parts("cir-fft.so"), Some(("cir-fft", CpuLevel::Baseline)));
        assert_eq!(parts("cir-fft.v3.so"), Some(("cir-fft", CpuLevel::V3)));
        assert_eq!(parts("cir-fft.v4.so"), Some(("cir-fft", CpuLevel::V4)));
        assert_eq!((parts("manifest.toml"), parts(".so")), (None, None));
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        for bad in [
            "../cir-fft.so",
            "/tmp/x.so",
            "a/b",
            ".hidden.so",
            "",
            "x\0y",
            "..",
            "a b",
        ] {
            assert!(plugin_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(plugin_name("cir-fft.v3.so").unwrap(), "cir-fft");
        assert_eq!(plugin_name("cir-fft").unwrap(), "cir-fft");
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("x.so")).unwrap();
        let refused = row_of(dir.path(), "x", "", Proving::All, None, Duration::from_secs(1));
        assert!(
            matches!(refused, Err(HostError::Read { .. })),
            "a link out of the directory is not followed"
        );
    }
}
