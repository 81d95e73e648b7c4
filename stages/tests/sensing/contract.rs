//! What the contract asks of every stage: restored bits, no allocation, clear refusals; and what tracking
//! must do in any room.

use tapline_plugin_api::{
    Method, TomographyMethod, TrackerMethod,
    abi_stable::std_types::RVec,
    counting::allocations,
    guard::code,
    tomography::LinkObservation,
    tracker::{gate, source, state},
};
use tapline_stages::{tomography::Tomography, tracker::Tracker};

use crate::room::{Room, Stages, distance, setup};

const METHODS: [&str; 2] = ["method = 'l1'", "method = 'tikhonov'"];

/// Somebody walks north from the door.
fn walk(room: &Room, tick: u32) -> Vec<LinkObservation> {
    room.links(&[(3.0, 0.3 + 0.03 * tick as f32)], tick)
}

fn bits(stages: &Stages) -> Vec<u32> {
    let images = stages.mean.iter().chain(&stages.variance).map(|v| v.to_bits());
    let tracks: &[u32] = bytemuck::cast_slice(&stages.tracks);
    images.chain(tracks.iter().copied()).collect()
}

#[test]
fn a_restored_state_continues_bit_for_bit() {
    let room = Room::simple();
    for method in METHODS {
        let mut whole = Stages::new(&room, method);
        let mut want = Vec::new();
        for tick in 0..60 {
            whole.cycle(&room, &walk(&room, tick));
            want.push(bits(&whole));
        }
        let mut first = Stages::new(&room, method);
        for tick in 0..25 {
            first.cycle(&room, &walk(&room, tick));
        }
        let (mut image, mut people) = (RVec::new(), RVec::new());
        first.tomography.export_state(&mut image).unwrap();
        first.tracker.export_state(&mut people).unwrap();
        let mut second = Stages::new(&room, method);
        second.tomography.import_state(&image).unwrap();
        second.tracker.import_state(&people).unwrap();
        for tick in 25..60 {
            second.cycle(&room, &walk(&room, tick));
            assert_eq!(bits(&second), want[tick as usize], "{method}, tick {tick}");
        }
    }
}

#[test]
fn steady_cycles_allocate_nothing() {
    let room = Room::simple();
    for method in METHODS {
        let mut stages = Stages::new(&room, method);
        let all: Vec<_> = (0..80).map(|tick| walk(&room, tick)).collect();
        all[..40].iter().for_each(|links| {
            stages.cycle(&room, links);
        });
        let before = allocations();
        all[40..].iter().for_each(|links| {
            stages.cycle(&room, links);
        });
        assert_eq!(allocations() - before, 0, "{method}");
        assert!(!stages.published().is_empty() && before > 0);
    }
}

#[test]
fn an_empty_room_has_nobody() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    for tick in 0..400 {
        let (image, summary) = stages.cycle(&room, &room.links(&[], tick));
        assert_eq!((image.valid, summary.valid), (1, 1));
        assert!(summary.people_mean < 0.1, "tick {tick}: {summary:?}");
        assert!(stages.published().is_empty());
    }
}

#[test]
fn who_stands_still_is_kept_and_does_not_wander() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    let place = (2.1, 3.3);
    for tick in 0..1200 {
        stages.cycle(&room, &room.links(&[place], tick));
        if tick >= 60 {
            let people = stages.published();
            assert_eq!(people.len(), 1, "tick {tick}");
            assert_eq!((people[0].id, people[0].state), (1, state::ACTIVE));
            let [x, y, _, vx, vy, _] = people[0].mean;
            assert!(distance((x, y), place) < 0.5, "tick {tick}: {x} {y}");
            assert!(distance((vx, vy), (0.0, 0.0)) < 0.5, "tick {tick}: {vx} {vy}");
        }
    }
}

#[test]
fn a_walk_is_one_track_with_its_velocity() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    for tick in 0..140 {
        stages.cycle(&room, &walk(&room, tick));
    }
    let people = stages.published();
    assert_eq!(people.len(), 1);
    let [x, y, _, vx, vy, _] = people[0].mean;
    // 0.03 m a tick is 0.6 m/s north.
    assert!(distance((x, y), (3.0, 4.47)) < 0.5, "{x} {y}");
    assert!((vy - 0.6).abs() < 0.25 && vx.abs() < 0.25, "{vx} {vy}");
    assert_eq!(people[0].axes, 0b011);
    assert!(
        people[0]
            .keypoints
            .iter()
            .all(|k| k.source == source::PRIOR && k.axes == 0b011)
    );
    assert!(
        people[0]
            .keypoints
            .iter()
            .all(|k| (0.0..1.0).contains(&k.confidence) && k.covariance[0] > 0.01)
    );
}

#[test]
fn who_left_is_gone_and_the_next_has_a_new_id() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    for tick in 0..100 {
        stages.cycle(&room, &room.links(&[(3.0, 2.0)], tick));
    }
    assert_eq!(stages.published().len(), 1);
    for tick in 100..300 {
        stages.cycle(&room, &room.links(&[], tick));
    }
    assert!(stages.published().is_empty());
    for tick in 300..400 {
        stages.cycle(&room, &room.links(&[(3.0, 2.0)], tick));
    }
    let people = stages.published();
    assert_eq!((people.len(), people[0].id > 1), (1, true));
}

#[test]
fn a_closed_gate_only_predicts() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    for tick in 0..100 {
        stages.cycle(&room, &room.links(&[(3.0, 2.0)], tick));
    }
    let before = stages.published()[0];
    for tick in 100..150 {
        let links = room.links(&[(1.0, 4.0)], tick);
        let image = stages.image(&room, &links);
        let summary = stages.track(&room, &links, image, gate::PREDICT_ONLY);
        // How many people there are is known as long as the tracks are not lost.
        match tick {
            ..=138 => assert_eq!(summary.valid, 1, "{tick}"),
            141.. => assert_eq!(summary.valid, 0, "{tick}"),
            _ => {}
        }
    }
    // That goes on after a swap.
    let mut state = RVec::new();
    stages.tracker.export_state(&mut state).unwrap();
    let links = room.links(&[(3.0, 2.0)], 150);
    let image = stages.image(&room, &links);
    for gate in [gate::PREDICT_ONLY, gate::ACCEPT] {
        let mut successor = Stages::new(&room, "");
        successor.tracker.import_state(&state).unwrap();
        let summary = successor.track(&room, &links, image, gate);
        assert_eq!(summary.valid, u32::from(gate == gate::ACCEPT));
    }
    let after = stages.published()[0];
    assert_eq!(
        (after.id, after.coasted_cycles, after.state),
        (before.id, 50, state::LOST)
    );
    assert!(distance((after.mean[0], after.mean[1]), (before.mean[0], before.mean[1])) < 1.0);
    assert!(after.covariance[0] > before.covariance[0]);
}

#[test]
fn without_any_quiet_level_nobody_can_judge() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    let mut links = room.links(&[(3.0, 2.0)], 0);
    links.iter_mut().for_each(|l| l.observed = 1);
    let (image, summary) = stages.cycle(&room, &links);
    assert_eq!(
        (image.valid, image.links_used, summary.valid, summary.count),
        (0, 0, 0, 0)
    );
}

#[test]
fn wrong_configuration_is_told_by_key() {
    let grid = Room::simple().grid;
    let refused = |toml: &str| {
        let a = Tomography::new(&setup(toml), &grid, 10)
            .err()
            .map(|e| (e.code, e.message.to_string()));
        a.or_else(|| {
            Tracker::new(&setup(toml), &grid, 10)
                .err()
                .map(|e| (e.code, e.message.to_string()))
        })
    };
    for (toml, word) in [
        ("excess-m = -1.0", "excess-m = -1: expected"),
        ("method = 'magic'", "unknown variant `magic`"),
        ("colour = 3", "unknown field `colour`"),
        ("excess-m = nan", "excess-m = NaN"),
    ] {
        let (found, message) = refused(toml).unwrap();
        assert_eq!(found, code::CONFIG);
        assert!(message.contains(word), "{message}");
    }
    let Err(error) = Tracker::new(&setup("shadow = 7.0"), &grid, 10) else {
        panic!("accepted")
    };
    assert!(error.message.contains("shadow = 7: expected 0 to 0.95"), "{error}");
}

#[test]
fn foreign_states_are_refused() {
    let room = Room::simple();
    let mut stages = Stages::new(&room, "");
    for tick in 0..60 {
        stages.cycle(&room, &walk(&room, tick));
    }
    let mut blob = RVec::new();
    stages.tracker.export_state(&mut blob).unwrap();
    let other = tapline_plugin_api::geometry::Grid { nx: 29, ..room.grid };
    assert!(
        Tracker::new(&setup(""), &other, 1000)
            .unwrap()
            .import_state(&blob)
            .is_err()
    );
    assert!(
        Tracker::new(&setup(""), &room.grid, 3)
            .unwrap()
            .import_state(&blob)
            .is_err()
    );
    let mut fresh = Tracker::new(&setup(""), &room.grid, 1000).unwrap();
    for cut in [0, 10, 40, blob.len() - 1] {
        let error = fresh.import_state(&blob[..cut]).unwrap_err();
        assert_eq!(error.code, code::STATE);
    }
    for at in (0..blob.len()).step_by(97) {
        let mut bad = blob.to_vec();
        bad[at] ^= 0xff;
        // Refused, or read as another sound state: never a panic.
        let _ = fresh.import_state(&bad);
    }
}
