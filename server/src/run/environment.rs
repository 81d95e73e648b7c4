//! What runs, for the BOOT leaf.

use tapline_witness::{body::Host, codec::Text, hash::Domain};

use crate::host::fingerprint;

/// What runs: digest of this program, what its arithmetic gives, compiler target.
pub fn host() -> Host {
    let program = std::fs::read("/proc/self/exe")
        .map(|bytes| Domain::Blob.hash(&bytes))
        .unwrap_or_default();
    Host {
        program,
        fingerprint: fingerprint::measured(),
        target: Text::new(&format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)),
        flags: Text::new(if cfg!(debug_assertions) { "debug" } else { "release" }),
        ..Host::default()
    }
}
