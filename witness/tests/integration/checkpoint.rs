//! Checkpoints and notes: strict, and readable by foreign code.

use proptest::prelude::*;
use tapline_witness::{
    checkpoint::{Checkpoint, CheckpointError},
    note::{KeyType, Name, NoteError, Signer, Verifier},
};

fn signers() -> (Signer, Signer) {
    let name = Name::new("tapline.test/log").unwrap();
    let cosigner = Name::new("tapline.test/log/time").unwrap();
    (
        Signer::from_seed(name, KeyType::Ed25519, &[1; 32]),
        Signer::from_seed(cosigner, KeyType::Cosignature, &[2; 32]),
    )
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: Name::new("tapline.test/log").unwrap(),
        size: 1234,
        root: [7; 32],
    }
}

#[test]
fn a_signed_checkpoint_opens_and_tells_its_time() {
    let (log, cosigner) = signers();
    let note = checkpoint().sign(&[&log, &cosigner], 1_760_000_000);
    let signed = Checkpoint::open(note.as_bytes(), &log.verifier(), &[log.verifier(), cosigner.verifier()]).unwrap();
    assert_eq!(signed.checkpoint, checkpoint());
    assert_eq!(signed.time_s, Some(1_760_000_000));
    assert_eq!(signed.signers.len(), 2);
}

#[test]
fn the_oracle_reads_the_same_checkpoint() {
    let theirs = tlog_tiles::Checkpoint::from_bytes(checkpoint().to_text().as_bytes()).unwrap();
    assert_eq!(theirs.origin(), "tapline.test/log");
    assert_eq!(theirs.size(), 1234);
    assert_eq!(theirs.hash().0, [7; 32]);
    assert_eq!(theirs.extension(), "");
    assert_eq!(theirs.to_bytes(), checkpoint().to_text().as_bytes());
}

#[test]
fn no_flipped_byte_passes() {
    let (log, cosigner) = signers();
    let known = [log.verifier(), cosigner.verifier()];
    let note = checkpoint().sign(&[&log, &cosigner], 1_760_000_000).into_bytes();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut changed = note.clone();
            changed[at] ^= 1 << bit;
            assert!(
                Checkpoint::open(&changed, &known[0], &known).is_err(),
                "byte {at} bit {bit}"
            );
        }
        // Cut after the log's own line it is a whole note without a cosignature: a matter of policy.
        let whole = at == checkpoint().sign(&[&log], 0).len();
        assert_eq!(
            Checkpoint::open(&note[..at], &known[0], &known).is_ok(),
            whole,
            "cut at {at}"
        );
    }
}

#[test]
fn lines_by_strangers_twice_or_missing_are_refused() {
    let (log, cosigner) = signers();
    let (l, c) = (log.verifier(), cosigner.verifier());
    let open = |note: &str, known: &[Verifier]| Checkpoint::open(note.as_bytes(), &l, known).unwrap_err();
    let both = checkpoint().sign(&[&log, &cosigner], 1);
    assert!(matches!(
        open(&both, std::slice::from_ref(&l)),
        CheckpointError::Note(NoteError::UnknownKey { .. })
    ));
    let twice = checkpoint().sign(&[&log, &log], 1);
    assert!(matches!(
        open(&twice, std::slice::from_ref(&l)),
        CheckpointError::Note(NoteError::Duplicate { .. })
    ));
    let only_time = checkpoint().sign(&[&cosigner], 1);
    assert!(matches!(
        open(&only_time, &[l.clone(), c]),
        CheckpointError::Note(NoteError::Unsigned { .. })
    ));
    let other = Checkpoint {
        origin: Name::new("tapline.test/other").unwrap(),
        ..checkpoint()
    }
    .sign(&[&log], 1);
    assert!(matches!(
        open(&other, std::slice::from_ref(&l)),
        CheckpointError::Origin { .. }
    ));
}

#[test]
fn a_cosignature_does_not_pass_for_a_log_signature() {
    let (log, _) = signers();
    // The same seed and name under the other type: another key id, another message.
    let posing = Signer::from_seed(log.verifier().name().clone(), KeyType::Cosignature, &[1; 32]);
    let note = checkpoint().sign(&[&posing], 5);
    assert!(Checkpoint::open(note.as_bytes(), &log.verifier(), &[log.verifier()]).is_err());
}

#[test]
fn keys_survive_their_text_forms() {
    let (log, cosigner) = signers();
    for signer in [log, cosigner] {
        let verifier = signer.verifier();
        assert_eq!(Verifier::from_vkey(&verifier.to_vkey()).unwrap(), verifier);
        let again = Signer::from_secret_text(&signer.to_secret_text()).unwrap();
        assert_eq!(again.verifier(), verifier);
        let mut vkey = verifier.to_vkey();
        let id_at = vkey.find('+').unwrap() + 1;
        vkey.replace_range(id_at..=id_at, if vkey.as_bytes()[id_at] == b'0' { "1" } else { "0" });
        assert!(Verifier::from_vkey(&vkey).is_err(), "{vkey}");
    }
}

#[test]
fn weak_keys_and_bad_names_are_refused() {
    let name = Name::new("n").unwrap();
    // The neutral element and another point of small order.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for public in [neutral, [0; 32]] {
        assert!(matches!(
            Verifier::new(name.clone(), KeyType::Ed25519, &public),
            Err(NoteError::Key { .. })
        ));
    }
    for bad in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\0b"] {
        assert!(Name::new(bad).is_err(), "{bad:?}");
    }
    assert!(Name::new(&"a".repeat(256)).is_err());
}

#[test]
fn other_spellings_of_a_checkpoint_are_refused() {
    let good = checkpoint().to_text();
    for bad in [
        good.replace("1234", "01234"),
        good.replace("1234", "+1234"),
        good.replace("1234", "99999999999999999999"),
        good.replace("1234", ""),
        good.replace('=', ""),
        format!("{good}extension\n"),
        good.trim_end().to_owned(),
    ] {
        assert!(Checkpoint::from_text(&bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn hostile_notes_do_no_harm(note: Vec<u8>, text in "\\PC{0,60}") {
        let (log, _) = signers();
        prop_assert!(Checkpoint::open(&note, &log.verifier(), &[log.verifier()]).is_err());
        let _ = Verifier::from_vkey(&text);
        let _ = Signer::from_secret_text(&text);
        let framed = format!("{text}\n\n\u{2014} {text}\n");
        prop_assert!(Checkpoint::open(framed.as_bytes(), &log.verifier(), &[log.verifier()]).is_err());
    }
}
