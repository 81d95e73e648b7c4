//! Does this machine compute what the numeric profile says? Asked at start, written into BOOT.

use std::sync::LazyLock;

use tapline_dsp::fingerprint::battery;
use tapline_witness::hash::{Domain, Hash};

use super::fpenv;

/// The digests that are committed; the line `fingerprint` is the profile's constant.
const COMMITTED: &str = include_str!("../../../golden/digests.txt");
/// The line's name.
const NAME: &str = "fingerprint";

static MEASURED: LazyLock<Hash> = LazyLock::new(|| {
    fpenv::restore();
    let mut bytes = Vec::new();
    battery(|bits| bytes.extend_from_slice(&bits.to_le_bytes()));
    Domain::Blob.hash(&bytes)
});

/// The fingerprint of this machine and build, measured once in a process. It takes about a millisecond.
pub fn measured() -> Hash {
    *MEASURED
}

/// The profile's fingerprint.
pub fn expected() -> Option<Hash> {
    expected_in(COMMITTED)
}

/// `numeric_profile` of the leaves: 1 (`ieee-strict-1`) when the fingerprint is the profile's, else 0: nothing is claimed.
pub fn numeric_profile() -> u16 {
    if expected() == Some(measured()) {
        return 1;
    }
    tracing::error!(
        expected = expected().map(hex::encode),
        found = hex::encode(measured()),
        "this machine or build computes other bits than ieee-strict-1: cycles run, and nobody is told that they can be replayed"
    );
    0
}

fn expected_in(text: &str) -> Option<Hash> {
    let mut words = text.lines().find(|line| line.starts_with(NAME))?.split_whitespace();
    let mut hash = [0; 32];
    hex::decode_to_slice(words.nth(1)?, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::{expected_in, measured, numeric_profile};

    #[test]
    fn this_machine_keeps_the_profile() {
        assert_eq!(numeric_profile(), 1);
        let line = format!("x 1\nfingerprint           {}\n", hex::encode(measured()));
        assert_eq!(expected_in(&line), Some(measured()));
        assert_eq!(expected_in("fingerprint  12"), None);
        assert_eq!(expected_in(""), None);
    }
}
