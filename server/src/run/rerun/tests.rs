use std::io::Cursor;

use tapline_plugin_api::guard::code;
use tapline_witness::{
    bundle::{
        build::{BundleRequest, Prepared},
        ustar,
    },
    disposition::Disposition,
    lists::StageEntry,
};

use super::*;
use crate::{
    log::tests::support::{self, Place},
    store::{
        DATABASE_FILE,
        log_source::{LogSourceError, SqlLog},
        reader::Reader,
    },
};

fn list(entries: &[(u16, Disposition, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (stage, disposition, err_code) in entries {
        StageEntry::absent(*stage, 0, *disposition, *err_code).put(&mut bytes);
    }
    bytes
}

/// What time decided is obeyed; what the input or an earlier failure decided comes out by itself.
#[test]
fn late_groups_and_stages_without_time_are_obeyed() {
    use Disposition::{Error, Panic, Ran, Skipped, Timeout};
    let bytes = list(&[
        (3, Ran, 0),
        (5, Ran, 0),
        (5, Timeout, 0),
        (5, Error, 3),
        (5, Timeout, 0),
        (7, Skipped, code::DEADLINE),
        (8, Panic, 0),
    ]);
    let found = obey(&bytes).expect("a good list");
    assert_eq!(found.stages, [Timeout, Skipped, Ran]);
    assert_eq!(found.late_groups, 0b1010);
    let found = obey(&list(&[(5, Skipped, 0), (7, Skipped, 0), (8, Ran, 0)])).expect("a good list");
    assert_eq!((found.stages, found.failed), ([Ran; 3], [true, true, false]));
    assert!(obey(&bytes[1..]).is_err());
}

/// A bundle whose first state was taken out: what it opens before the next one was not run again, and passed with the rest.
#[test]
fn cycles_before_the_first_state_are_not_passed_over() {
    let place = Place::new();
    let mut log = place.open();
    support::boot(&mut log, 0);
    support::run(&mut log, 1..400).unwrap();
    let durable = log.writer.flush().unwrap();
    let reader = Reader::open(&place.data()).unwrap();
    let bundle: Result<Vec<u8>, LogSourceError> = reader.snapshot_or(|db| {
        let source = SqlLog(db);
        let request = BundleRequest {
            from: 2,
            to: 400,
            inputs: true,
            checkpoint: (durable.size, durable.note.to_string()),
            old: None,
        };
        let mut out = Vec::new();
        Prepared::new(&source, request)?.0.write(&mut out)?;
        Ok(out)
    });
    let bundle = bundle.unwrap();
    let whole = BundleMaterial::new(Cursor::new(&bundle)).unwrap();
    assert_eq!(whole.range(), 2..400);
    let mut fewer = Vec::new();
    for entry in ustar::index(&mut Cursor::new(&bundle)).unwrap() {
        if entry.name != "state/2.bin" {
            let content = &bundle[entry.offset as usize..(entry.offset + entry.len) as usize];
            ustar::write_entry(&mut fewer, &entry.name, content).unwrap();
        }
    }
    ustar::write_end(&mut fewer).unwrap();
    let refused = BundleMaterial::new(Cursor::new(&fewer)).err().unwrap();
    assert!(
        matches!(&refused, Unavailable::Inputs(why) if why.contains("from 2 on") && why.contains("cycle 256")),
        "{refused}"
    );

    // On the box itself a range begins with the keyframe before it, so that all of it runs.
    let range = |from, to| {
        let found: Result<_, LogSourceError> = reader.snapshot_or(|db| SqlLog(db).replayable(from, to));
        found.unwrap()
    };
    assert_eq!(range(None, None), Some(2..401));
    assert_eq!(range(Some(0), None), Some(2..401), "no cycle lies before leaf 2");
    assert_eq!(range(Some(255), Some(300)), Some(2..300));
    assert_eq!(range(Some(256), None), Some(256..401));
    assert_eq!(range(Some(399), None), Some(256..401));
    assert_eq!(range(Some(401), None), None);
    log.writer.close().unwrap();
    let db = rusqlite::Connection::open(place.data().join(DATABASE_FILE)).unwrap();
    db.execute("UPDATE cycle_data SET inputs = NULL WHERE seq <= 100", [])
        .unwrap();
    drop(db);
    assert_eq!(range(None, None), Some(256..401));
    for from in [0, 2, 150, 255] {
        assert_eq!(range(Some(from), None), None, "cycles from {from} on would not be run");
    }
    assert_eq!(range(Some(300), None), Some(256..401));
}
