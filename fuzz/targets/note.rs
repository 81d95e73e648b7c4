//! Signed notes, checkpoints, keys and policy files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_witness::{
    checkpoint::Checkpoint,
    note::{SignedNote, Signer, Verifier},
    policy::Policy,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = SignedNote::parse(bytes) {
        let _ = note.verify(&[]);
        if let Ok(checkpoint) = Checkpoint::from_text(note.text) {
            assert_eq!(checkpoint.to_text(), note.text, "two spellings of one checkpoint");
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(verifier) = Verifier::from_vkey(text) {
        assert_eq!(verifier.to_vkey(), text, "two spellings of one key");
    }
    let _ = Signer::from_secret_text(text);
    if let Ok(policy) = Policy::parse(text) {
        let _ = (policy.keys(), policy.has_quorum(), policy.is_witnessed(&[]));
        if let Ok(note) = SignedNote::parse(bytes) {
            let _ = note.verify(&policy.keys());
        }
    }
});
