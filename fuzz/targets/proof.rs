//! Inclusion and consistency proofs: numbers and hashes of any size and count. None of random hashes may be accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_witness::proof::{verify_consistency, verify_inclusion};

fuzz_target!(|bytes: &[u8]| {
    let Some((numbers, hashes)) = bytes.split_first_chunk::<16>() else {
        return;
    };
    let (a, b) = numbers.split_at(8);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let (a, b) = (number(a), number(b));
    let hashes: Vec<[u8; 32]> = hashes.as_chunks::<32>().0.to_vec();
    let [leaf, root, path @ ..] = &hashes[..] else { return };
    if verify_inclusion(leaf, a, b, path, root).is_ok() {
        // A tree of one leaf is its own root; any other would be a collision of SHA-256.
        assert!(
            a == 0 && b == 1 && leaf == root && path.is_empty(),
            "a proof of nothing"
        );
    }
    if verify_consistency(a, leaf, b, root, path).is_ok() {
        // Every tree continues itself and the empty one; a longer proof would be a collision.
        assert!((a == b && leaf == root) || a == 0, "a proof of nothing");
    }
});
