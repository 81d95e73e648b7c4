//! People by arrays of antennas, through the product.

use std::collections::BTreeMap;

use serde_json::Value;
use tapline_tests::{replay, succeed};

/// Seconds of the scene, of which the last ones count.
const DURATION_S: f64 = 62.0;
const FROM_S: f64 = 38.0;
/// So near a track is its person's, metres.
const NEAR_M: f64 = 1.0;

/// `two-crossing`, sooner and cut, seen by lines of four antennas across the way to the middle of the room.
fn scene() -> String {
    let file = tapline_tests::root().join("sim/scenes/two-crossing.toml");
    let text = std::fs::read_to_string(file).expect("the scene");
    let line = |down: f64| [-1.5, -0.5, 0.5, 1.5].map(|k: f64| [0.0435 * k, 0.0435 * k * down]);
    let mut scene = text
        .replace("duration_s = 200.0", &format!("duration_s = {DURATION_S:?}"))
        .replace("appear_s = 40.0", "appear_s = 12.0")
        .replace("appear_s = 44.0", "appear_s = 17.0");
    for (corner, down) in [
        ("[0.2, 0.2,", -1.0),
        ("[5.8, 0.2,", 1.0),
        ("[5.8, 4.8,", -1.0),
        ("[0.2, 4.8,", 1.0),
    ] {
        let at = format!("at = {corner}");
        let with = format!("antennas_m = {:?}\n{at}", line(down));
        assert_eq!(scene.matches(&at).count(), 1, "{at}");
        scene = scene.replace(&at, &with);
    }
    scene
}

/// Places by number, at each tick of 50 ms.
type Places = BTreeMap<u64, Vec<(u64, [f64; 2])>>;

fn places(file: &str, tick: impl Fn(&Value) -> Option<u64>, who: &str, place: impl Fn(&Value) -> [f64; 2]) -> Places {
    let text = std::fs::read_to_string(file).expect("a file");
    text.lines()
        .filter_map(|line| {
            let v: Value = serde_json::from_str(line).expect("JSON");
            let all = v[who].as_array()?.iter();
            let inside = all.filter(|p| p.get("room").is_none_or(|room| !room.is_null()));
            let of = inside.map(|p| (p["id"].as_u64().expect("an id"), place(p))).collect();
            Some((tick(&v)?, of))
        })
        .collect()
}

/// Four nodes at HT40: while two people cross again and again, each is followed by a track of its own, which keeps its name.
#[test]
fn two_who_cross_are_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_str().expect("a plain path").to_owned();
    std::fs::write(at("scene.toml"), scene()).expect("a file");
    succeed(&[
        "simulate",
        "--scene",
        &at("scene.toml"),
        "--write-config",
        &at("fleet.toml"),
        "--record",
        &at("room.jsonl"),
        "--truth",
        &at("truth.jsonl"),
    ]);
    replay(&[
        &at("room.jsonl"),
        "--config",
        &at("fleet.toml"),
        "--calibrate-first",
        "10s",
        "--out",
        &at("poses.jsonl"),
    ]);
    let number = |v: &Value| v.as_f64().expect("a number");
    let truth = places(
        &at("truth.jsonl"),
        |v| Some((20.0 * v["t_s"].as_f64()?).round() as u64),
        "people",
        |p| [0, 1].map(|axis| number(&p["position_m"][axis])),
    );
    let found = places(
        &at("poses.jsonl"),
        |v| v["tick"].as_u64(),
        "tracks",
        |t| ["x", "y"].map(|axis| number(&t[axis])),
    );
    let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < NEAR_M;
    let from = (20.0 * FROM_S) as u64;
    let (mut cycles, mut together) = (0, BTreeMap::<Vec<(u64, u64)>, u32>::new());
    for (tick, people) in truth.range(from..).filter(|(_, people)| people.len() == 2) {
        cycles += 1;
        let Some(tracks) = found.get(tick).filter(|tracks| tracks.len() == 2) else {
            continue;
        };
        // Each its own, whichever way round.
        for [a, b] in [[0, 1], [1, 0]] {
            if near(people[0].1, tracks[a].1) && near(people[1].1, tracks[b].1) {
                let names = vec![(people[0].0, tracks[a].0), (people[1].0, tracks[b].0)];
                *together.entry(names).or_default() += 1;
            }
        }
    }
    let most = together.values().max().copied().unwrap_or_default();
    assert!(cycles > 400, "{cycles} cycles with two people");
    assert!(
        f64::from(most) > 0.75 * f64::from(cycles),
        "{most} of {cycles}: {together:?}"
    );
}
