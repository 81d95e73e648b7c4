//! A log whose key was stolen ends, and another one takes over from it.

use tapline_witness::{
    body::Body,
    leaf,
    policy::Policy,
    verify::{Report, VerifyRequest, verify},
};

use super::{rotate::bundle, support::*};
use crate::log::{FROZEN_FILE, Log, LogError, LogOptions, freeze, fsck, succeed};

fn verified(bundle: &[u8], policy: &str) -> Report {
    let policy = Policy::parse(policy).unwrap();
    let request = VerifyRequest {
        policy: &policy,
        seen: &Default::default(),
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    verify(std::io::Cursor::new(bundle), &request)
}

fn leaf_of(place: &Place, seq: u64) -> Body {
    let reader = crate::store::reader::Reader::open(&place.data()).unwrap();
    leaf::decode(&reader.leaves(seq, seq + 1).unwrap()[0]).unwrap().body
}

#[test]
fn a_log_whose_key_was_stolen_ends_and_the_next_names_its_end() {
    let (old, new) = (Place::new(), Place::new());
    let mut log = old.open();
    boot(&mut log, 0);
    run(&mut log, 1..30).unwrap();
    let open_policy = log.chain.policy();
    let size = shut_down(log, 30);
    let frozen = freeze(old.options()).unwrap();
    assert_eq!(frozen.predecessor.size, size);
    let refused = Log::open(old.options()).unwrap_err();
    assert!(matches!(refused, LogError::Frozen { .. }), "{refused}");
    assert!(
        refused.to_string().contains(frozen.predecessor.origin.as_str()),
        "{refused}"
    );
    assert_eq!(freeze(old.options()).unwrap(), frozen, "done again");

    let log = succeed(new.options(), frozen.predecessor.clone(), stamp(31)).unwrap();
    assert_ne!(log.chain.origin(), frozen.predecessor.origin.as_str());
    log.writer.close().unwrap();
    // A process that died is begun again; then a server goes on.
    succeed(new.options(), frozen.predecessor.clone(), stamp(32))
        .unwrap()
        .writer
        .close()
        .unwrap();
    let mut log = new.open();
    boot(&mut log, 0);
    run(&mut log, 1..30).unwrap();
    let next_policy = log.chain.policy();
    let next_size = shut_down(log, 30);
    let Body::Genesis(genesis) = leaf_of(&new, 0) else {
        panic!("no GENESIS")
    };
    assert_eq!(genesis.predecessor.as_ref(), Some(&frozen.predecessor));
    for place in [&old, &new] {
        let report = fsck(&place.data(), None).unwrap();
        assert!(report.is_clean(), "{report}");
    }
    let report = verified(&bundle(&new, 0, next_size, None), &next_policy);
    assert!(report.is_accepted(), "{report}");

    // What the old log said is believed, whatever the thief goes on to sign is not.
    let said = bundle(&old, 3, 20, None);
    assert!(verified(&said, &frozen.policy).is_accepted());
    std::fs::remove_file(old.data().join(FROZEN_FILE)).unwrap();
    let mut thief = old.open();
    boot(&mut thief, 0);
    run(&mut thief, 1..10).unwrap();
    shut_down(thief, 10);
    let forged = bundle(&old, size + 1, size + 5, None);
    assert!(
        verified(&forged, &open_policy).is_accepted(),
        "the key is the right one"
    );
    let refused = verified(&forged, &frozen.policy);
    assert!(
        !refused.is_accepted() && refused.to_string().contains("AUTHENTIC   FAIL"),
        "{refused}"
    );
}

#[test]
fn a_successor_needs_a_log_before_it_and_an_empty_place() {
    let (nothing, other) = (Place::new(), Place::new());
    let refused = freeze(nothing.options()).unwrap_err();
    assert!(matches!(refused, LogError::Misuse { .. }), "{refused}");
    assert!(!nothing.data().exists(), "nothing was made");
    let mut log = other.open();
    boot(&mut log, 0);
    shut_down(log, 0);
    let frozen = freeze(other.options()).unwrap();
    let third = Place::new();
    let mut log = third.open();
    boot(&mut log, 0);
    shut_down(log, 0);
    let refused = succeed(third.options(), frozen.predecessor.clone(), stamp(1)).unwrap_err();
    assert!(refused.to_string().contains("a log of 3 leaves"), "{refused}");
    let same = LogOptions {
        origin: Some(tapline_witness::note::Name::new(frozen.predecessor.origin.as_str()).unwrap()),
        ..nothing.options()
    };
    let refused = succeed(same, frozen.predecessor, stamp(1)).unwrap_err();
    assert!(refused.to_string().contains("never used again"), "{refused}");
}
