//! What a leaf gives away.

use tapline_witness::{
    body::Body,
    body::PrivacyClass,
    hash::{Domain, Field, commit, salt},
    leaf,
    outcome_codec::{decode_outcome, encode_outcome},
};

use crate::memory_log::MemoryLog;

/// Somebody who has every leaf tries all outcomes there can be. The list holds the true one, and the salt finds it; without
/// the salt no guess matches, also not under salts that anybody can make.
#[test]
fn a_dictionary_of_outcomes_finds_nothing_without_the_salt() {
    let mut log = MemoryLog::new(1);
    log.class = PrivacyClass::Restricted;
    log.cycle();
    let seq = log.leaves.len() as u64 - 1;
    let Body::Cycle(cycle) = leaf::decode(&log.leaves[seq as usize]).unwrap().body else {
        panic!("a cycle")
    };
    let (true_salt, true_bytes) = log.kept[&seq].fields[2].clone().unwrap();
    let outcome = decode_outcome(&true_bytes).unwrap();

    let mut dictionary = vec![true_bytes];
    for people in 0..=50 {
        let mut guess = outcome.clone();
        guess.people = Some(people);
        let mut bytes = Vec::new();
        encode_outcome(&guess, &mut bytes).unwrap();
        dictionary.push(bytes);
    }
    let matches = |salts: &[[u8; 32]]| {
        let tried = dictionary
            .iter()
            .flat_map(|bytes| salts.iter().map(move |salt| (bytes, salt)));
        tried
            .filter(|(bytes, salt)| commit(Field::Outcome, salt, bytes) == cycle.outcome)
            .count()
    };
    assert_eq!(matches(&[true_salt]), 1, "the test can fail");

    let public = [[0; 32], [0xff; 32], log.log_id, log.log.verifier().public_key()];
    let derived = public.map(|key| salt(&key, &log.log_id, seq, Field::Outcome));
    assert_eq!(matches(&public) + matches(&derived), 0);
    let unsalted = |bytes: &Vec<u8>| {
        [
            Domain::Output.hash(bytes),
            Domain::Blob.hash(bytes),
            *blake3::hash(bytes).as_bytes(),
        ]
        .contains(&cycle.outcome)
    };
    assert!(!dictionary.iter().any(unsalted));
    // The salt of one cycle opens no other one.
    let other = salt(&[9; 32], &log.log_id, seq + 1, Field::Outcome);
    assert_eq!(matches(&[other]), 0);
}
