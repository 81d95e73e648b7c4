//! The process's own surroundings: what must not be set, and what runs, for the BOOT leaf.

use tapline_witness::{body::Host, codec::Text, hash::Domain};

/// Variables that make the dynamic linker or the C library run other code than the one hashed.
const REFUSED: [&str; 3] = ["LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES"];

/// Why `serve` does not start here.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable that changes the code that runs.
    #[error(
        "{name} is set: it changes the code that runs, so the log could not say what did. Start the server without it (`env -u {name} tapline serve …`)"
    )]
    Variable {
        /// Its name.
        name: &'static str,
    },
    /// A library came from LD_LIBRARY_PATH.
    #[error("LD_LIBRARY_PATH is set and {object} came from it; start the server without it")]
    LibraryPath {
        /// What was mapped from there.
        object: String,
    },
}

/// Refuses surroundings in which the log could not say what ran. `replay`, `verify` and tests accept them.
///
/// # Errors
/// [`EnvironmentError`].
pub fn check() -> Result<(), EnvironmentError> {
    if let Some(name) = REFUSED
        .into_iter()
        .find(|n| std::env::var_os(n).is_some_and(|v| !v.is_empty()))
    {
        return Err(EnvironmentError::Variable { name });
    }
    let Some(paths) = std::env::var_os("LD_LIBRARY_PATH") else {
        return Ok(());
    };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let objects = || maps.lines().filter_map(|l| l.split_whitespace().nth(5));
    for directory in std::env::split_paths(&paths).filter(|p| !p.as_os_str().is_empty()) {
        if let Some(object) = objects().find(|o| std::path::Path::new(o).starts_with(&directory) && o.contains(".so")) {
            return Err(EnvironmentError::LibraryPath {
                object: object.to_owned(),
            });
        }
    }
    Ok(())
}

/// What runs: digest of this program, compiler target.
pub fn host() -> Host {
    let program = std::fs::read("/proc/self/exe")
        .map(|bytes| Domain::Blob.hash(&bytes))
        .unwrap_or_default();
    Host {
        program,
        target: Text::new(&format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)),
        flags: Text::new(if cfg!(debug_assertions) { "debug" } else { "release" }),
        ..Host::default()
    }
}
