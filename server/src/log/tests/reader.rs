//! What queries see, and what is forgotten when.

use std::time::Duration;

use tapline_witness::{outcome_codec::decode_outcome, tile::TileId};

use super::support::*;
use crate::{
    log::{Log, fsck},
    store::{reader::Reader, retention::Retention, rows::WorldChange},
};

#[test]
fn cycles_tracks_leaves_and_tiles_are_read_back() {
    let place = Place::new();
    let mut log = place.open();
    let reader = Reader::open(&place.data()).unwrap();
    assert_eq!(reader.latest_checkpoint().unwrap(), None);
    boot(&mut log, 0);
    run(&mut log, 1..300).unwrap();
    let durable = log.writer.flush().unwrap();

    let newest = reader.cycles(None, 3).unwrap();
    assert_eq!(newest.iter().map(|row| row.seq).collect::<Vec<_>>(), [300, 299, 298]);
    assert_eq!(
        (newest[0].tick, newest[0].t_ms, newest[0].people),
        (299, 14_950, Some(2))
    );
    let page = reader.cycles(Some(298), 1000).unwrap();
    assert_eq!((page.len(), page[0].seq), (296, 297));
    assert_eq!(reader.cycle(2).unwrap().unwrap().tick, 1);
    assert_eq!(reader.cycle(1).unwrap(), None);
    let half_second = reader.cycles_in(stamp(10).wall_ns, stamp(20).wall_ns, 100).unwrap();
    assert_eq!(half_second.len(), 10);

    let data = reader.cycle_data(300).unwrap().unwrap();
    assert_eq!(decode_outcome(&data.outcome).unwrap().tick, 299);
    assert!(reader.cycle_data(256).unwrap().unwrap().state.is_some());

    let tracks = reader.tracks(2, 4, None, 100).unwrap();
    assert_eq!(
        tracks.iter().map(|row| (row.cycle, row.id)).collect::<Vec<_>>(),
        [(2, u64::MAX), (2, 1), (3, u64::MAX), (3, 1)]
    );
    assert_eq!(tracks[0].position_m, [Some(0.05), Some(1.0), None]);
    assert_eq!(reader.tracks(0, u64::MAX, Some(u64::MAX), 1000).unwrap().len(), 299);

    let leaf = reader.leaf(300).unwrap().unwrap();
    assert!(leaf.durable);
    assert_eq!(reader.leaf(301).unwrap(), None);
    assert_eq!(reader.leaf(u64::MAX).unwrap(), None);
    assert_eq!(reader.leaves(250, 260).unwrap().len(), 10);
    let checkpoint = reader.latest_checkpoint().unwrap().unwrap();
    assert_eq!((checkpoint.size, &*checkpoint.note), (301, &*durable.note));
    assert!(reader.checkpoint(16).unwrap().is_some());
    assert_eq!(reader.checkpoint(17).unwrap(), None);
    assert_eq!(
        reader
            .tile(TileId {
                level: 0,
                index: 1,
                width: 45
            })
            .unwrap()
            .unwrap()
            .len(),
        32 * 45
    );
    assert_eq!(
        reader
            .tile(TileId {
                level: 0,
                index: 1,
                width: 40
            })
            .unwrap()
            .unwrap()
            .len(),
        32 * 40
    );
    assert_eq!(
        reader
            .tile(TileId {
                level: 0,
                index: 1,
                width: 46
            })
            .unwrap(),
        None
    );
    let stats = reader.stats().unwrap();
    assert_eq!((stats.leaves, stats.durable, stats.cycles), (301, 301, 299));
    assert!(stats.database_bytes > 0 && stats.wal_bytes > 0);
}

#[test]
fn readers_do_not_wait_for_the_writer() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..16).unwrap();
    log.writer.flush().unwrap();
    let reader = Reader::open(&place.data()).unwrap();
    // A reader that stays in its snapshot holds nothing up, and keeps seeing what it saw.
    reader
        .snapshot(|db| {
            let count = || {
                db.query_row("SELECT count(*) FROM leaf", [], |row| row.get::<_, i64>(0))
                    .unwrap()
            };
            assert_eq!(count(), 17);
            run(&mut log, 16..200).unwrap();
            log.writer.flush().unwrap();
            assert_eq!(count(), 17);
            Ok(())
        })
        .unwrap();
    assert_eq!(reader.stats().unwrap().leaves, 201);
}

#[test]
fn the_world_is_kept_as_intervals() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    let node = |label: &str| WorldChange::Node {
        id: "person:1".into(),
        kind: "person".into(),
        label: label.into(),
    };
    let edge = |dst: &str| WorldChange::Edge {
        src: "person:1".into(),
        dst: dst.into(),
        kind: "in".into(),
        label: "{}".into(),
    };
    let changes = [
        vec![node("{\"a\":1}"), edge("room:a")],
        vec![],
        vec![
            node("{\"a\":2}"),
            WorldChange::EdgeGone {
                src: "person:1".into(),
                dst: "room:a".into(),
                kind: "in".into(),
            },
            edge("room:b"),
        ],
        vec![WorldChange::NodeGone { id: "person:1".into() }],
    ];
    for (tick, world) in (1..).zip(changes) {
        let mut record = log.writer.checkout_blocking().unwrap();
        fill(&log, tick, tapline_witness::body::PrivacyClass::Raw, &mut record);
        record.world = world;
        log.chain.append_cycle(stamp(tick), &facts(tick), &mut record).unwrap();
        log.writer.submit(record).unwrap();
    }
    log.writer.flush().unwrap();
    let reader = Reader::open(&place.data()).unwrap();
    let label = |at| reader.world(at).unwrap().nodes.first().map(|node| node.label.clone());
    assert_eq!(label(Some(1)), None);
    assert_eq!(label(Some(2)).as_deref(), Some("{\"a\":1}"));
    assert_eq!(label(Some(3)).as_deref(), Some("{\"a\":1}"));
    assert_eq!(label(Some(4)).as_deref(), Some("{\"a\":2}"));
    assert_eq!(label(Some(5)), None);
    assert_eq!(label(None), None);
    let rooms = |at| {
        reader
            .world(at)
            .unwrap()
            .edges
            .into_iter()
            .map(|edge| edge.dst)
            .collect::<Vec<_>>()
    };
    assert_eq!(rooms(Some(3)), ["room:a"]);
    assert_eq!(rooms(None), ["room:b"]);
}

#[test]
fn what_is_past_its_time_is_forgotten_and_the_log_stays_whole() {
    let place = Place::new();
    let mut options = place.options();
    options.writer.retention = Retention {
        raw_s: 10,
        cycles_s: 20,
        cycles_max: u64::MAX,
        leaves_s: u64::MAX,
    };
    let mut log = Log::open(options).unwrap();
    boot(&mut log, 0);
    // 1,200 cycles are 60 s of recorded time, committed by 16: there are idle slots enough.
    run(&mut log, 1..1200).unwrap();
    log.writer.flush().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    log.writer.close().unwrap();
    let reader = Reader::open(&place.data()).unwrap();
    let stats = reader.stats().unwrap();
    assert_eq!(stats.leaves, 1201);
    // Twenty seconds, and what one more commit may bring.
    assert!((400..=400 + 16).contains(&stats.cycles), "{stats:?}");
    assert_eq!(reader.cycle_data(1199).unwrap().unwrap().inputs.unwrap().len(), 2 * 216);
    assert_eq!(reader.cycle_data(1199 - 220).unwrap().unwrap().inputs, None);
    assert_eq!(reader.cycle_data(700).unwrap(), None);
    let report = fsck(&place.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.opened, stats.cycles);
}
