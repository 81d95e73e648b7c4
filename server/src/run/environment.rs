//! What runs, for the BOOT leaf.

use tapline_witness::{
    body::{BuildRow, Host},
    codec::{List, Text},
    hash::Domain,
};

use crate::host::fingerprint;

/// The versions of everything that was compiled in.
const CARGO_LOCK: &[u8] = include_bytes!("../../../Cargo.lock");

/// What runs: digest of this program and of the versions in it, what its arithmetic gives, what compiled it and how, and the
/// plugin files.
pub fn host(builds: Vec<BuildRow>) -> Host {
    let program = std::fs::read("/proc/self/exe")
        .map(|bytes| Domain::Blob.hash(&bytes))
        .unwrap_or_default();
    Host {
        program,
        cargo_lock: Domain::Blob.hash(CARGO_LOCK),
        fingerprint: fingerprint::measured(),
        rustc: Text::new(env!("TAPLINE_RUSTC")),
        target: Text::new(env!("TAPLINE_TARGET")),
        flags: Text::new(env!("TAPLINE_FLAGS")),
        // At most one a plugin, and a manifest has at most 16.
        builds: List::new(builds).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_boot_leaf_says_what_compiled_the_program() {
        let host = host(Vec::new());
        assert!(host.rustc.as_str().starts_with("rustc 1."), "{:?}", host.rustc);
        assert!(
            host.target.as_str().contains(std::env::consts::ARCH),
            "{:?}",
            host.target
        );
        let flags = host.flags.as_str();
        assert!(flags.contains("opt-level=") && flags.contains("features="), "{flags}");
        assert!(
            [host.program, host.cargo_lock, host.fingerprint]
                .iter()
                .all(|h| *h != [0; 32])
        );
    }
}
