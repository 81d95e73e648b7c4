//! Scenes are outside input: whatever they say ends in an error or in a simulation, never in a panic.

use proptest::prelude::*;
use tapline_sim::{Scene, SceneError, Simulator};

/// A small scene that uses every kind of table.
const SEED_SCENE: &str = r#"
name = "p"
title = "p"
duration_s = 0.5
[radio]
tier = "HT20"
centre_mhz = 2437.0
rate_hz = 20.0
[radio.network]
delay_ms = 1.0
jitter_ms = 0.5
stall = 0.1
stall_ms = 30.0
loss = 0.0
miss = 0.0
[temperature]
amplitude_k = 3.0
[[material]]
name = "m"
reflection = -0.5
transmission = 0.5
[[room]]
id = "a"
min = [0.0, 0.0, 0.0]
max = [4.0, 3.0, 2.5]
wall = "m"
[[zone]]
id = "z"
room = "a"
min = [0.0, 0.0]
max = [2.0, 3.0]
[[door]]
id = "d"
room = "a"
at = [4.0, 1.5]
width_m = 0.9
[[furniture]]
id = "f"
min = [1.0, 2.0, 0.0]
max = [2.0, 2.5, 1.0]
material = "metal"
until_s = 0.2
[[node]]
id = 1
at = [0.3, 0.3, 1.0]
antennas_m = [[0.0, 0.0], [0.06, 0.01]]
antenna = { kind = "patch", azimuth_deg = 45.0, gain_dbi = 5.0, back_dbi = -10.0 }
[[node]]
id = 2
at = [3.5, 2.5, 1.0]
[[person]]
id = 1
start = [1.0, 1.0]
repeat = true
[[person.do]]
walk = [[2.0, 1.0], [1.0, 1.0]]
[[person.do]]
sit_s = 5.0
"#;

fn run(text: &str) -> Result<usize, SceneError> {
    let mut simulator = Simulator::new(Scene::from_toml(text)?, 1)?;
    let (mut datagram, mut n) = (Vec::new(), 0);
    while n < 40 && simulator.next_datagram(&mut datagram).is_some() {
        assert!(tapline_wire::parse(&datagram).is_ok());
        n += 1;
    }
    for t_s in [-1.0, 0.0, 0.3, 1e7] {
        let truth = simulator.truth_at(t_s);
        assert!(
            truth
                .people
                .iter()
                .all(|p| p.joints_m.iter().flatten().all(|v| v.is_finite()))
        );
    }
    Ok(n)
}

#[test]
fn the_seed_scene_runs() {
    assert_eq!(run(SEED_SCENE).unwrap(), 20);
}

#[test]
fn errors_say_where_what_was_expected_and_what_was_found() {
    for (from, to, says) in [
        (
            "rate_hz = 20.0",
            "rate_hz = 2e9",
            "scene `radio.rate_hz`: expected 0.1 to 200, found 2000000000",
        ),
        (
            "loss = 0.0",
            "loss = 1.0",
            "scene `radio.network.loss`: expected 0 to 0.9, found 1",
        ),
        (
            "min = [0.0, 0.0, 0.0]",
            "min = [0.0, 0.0, 0.5]",
            "scene `room[0].min[2]`: expected 0: people walk on a floor at this height, found 0.5",
        ),
        (
            "[[room]]",
            "[[material]]\nname = \"m\"\nreflection = 0.1\ntransmission = 0.1\n[[room]]",
            "scene `material`: expected different ids, found `m` twice",
        ),
        (
            "[[node]]",
            "[[furniture]]\nid = \"f\"\nmin = [0.0, 0.0, 0.0]\nmax = [1.0, 1.0, 1.0]\nmaterial = \"wood\"\n[[node]]",
            "scene `furniture`: expected different ids, found `f` twice",
        ),
        ("rate_hz = 20.0", "rate_herz = 20.0", "unknown field `rate_herz`"),
        ("HT20", "HT21", "expected a tier (HT20, HT40"),
        (
            "material = \"metal\"",
            "material = \"gold\"",
            "scene `furniture[0].material`: expected a material (m, concrete",
        ),
        (
            "at = [4.0, 1.5]",
            "at = [3.9, 1.5]",
            "scene `door[0].at`: expected the middle of an opening",
        ),
        (
            "sit_s = 5.0",
            "sit_s = 5.0\nstand_s = 1.0",
            "expected exactly one of `walk`, `stand_s`, `sit_s`, `away_s`, found 2",
        ),
        ("sit_s = 5.0", "away_s = 5.0", "expected a place outside of every room"),
        ("[1.0, 1.0]]", "[1.5, 1.0]]", "expected a script that ends at `start`"),
        (
            "id = 2\nat",
            "id = 1\nat",
            "scene `node`: expected different ids, found `1` twice",
        ),
        ("kind = \"patch\"", "kind = \"dish\"", "unknown variant `dish`"),
        (
            "kind = \"patch\", azimuth_deg",
            "kind = \"dipole\", azimuth_deg",
            "unknown field `azimuth_deg`",
        ),
        ("HT20\"", "HT20\"\nformat = \"adr018\"", "expected one transmitter"),
        (
            "reflection = -0.5",
            "reflection = -0.9",
            "reflection^2 + transmission^2",
        ),
        (
            "id = 2\n",
            "id = 2\nantennas_m = [[0.0, 0.0]]\n",
            "scene `node[1].antennas_m`: expected 0 or 2 to 4 entries (0: one antenna at `at`), found 1",
        ),
        (
            "id = 2\n",
            "id = 2\nantennas_m = [[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.3, 0.0], [0.4, 0.0]]\n",
            "scene `node[1].antennas_m`: expected 0 or 2 to 4 entries (0: one antenna at `at`), found 5",
        ),
        (
            "id = 2\n",
            "id = 2\nantennas_m = [[0.0, 0.0], [0.0, -1.5]]\n",
            "scene `node[1].antennas_m[1][1]`: expected -1 to 1, found -1.5",
        ),
        (
            "id = 2\n",
            "id = 2\nantennas_m = [[nan, 0.0], [0.0, 0.0]]\n",
            "scene `node[1].antennas_m[0][0]`: expected -1 to 1, found NaN",
        ),
        (
            "id = 2\n",
            "id = 2\nantennas_m = [[0.0, 0.0], [0.1, 0.0], [0.1, 0.005]]\n",
            "scene `node[1].antennas_m[2]`: expected 0.01 m or more from the others, found 0.005",
        ),
        (
            "at = [3.5, 2.5, 1.0]",
            "at = [1.2, 0.3, 1.0]\nantennas_m = [[0.5, 0.0], [-0.9, 0.0]]",
            "scene `node[1].at`: expected 0.3 m or more from every other node, found 0",
        ),
        (
            "duration_s = 0.5",
            "duration_s = nan",
            "scene `duration_s`: expected 0.1 to",
        ),
    ] {
        assert!(SEED_SCENE.contains(from), "{from}");
        let message = Scene::from_toml(&SEED_SCENE.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(message.contains(says), "{to}: {message}");
    }
}

#[test]
fn arrays_are_refused_where_frames_cannot_carry_them() {
    let adr018 = SEED_SCENE
        .replacen("HT20\"", "HT20\"\nformat = \"adr018\"", 1)
        .replacen("id = 2\n", "id = 2\nrole = \"receiver\"\n", 1)
        .replacen("[[node]]\nid = 1\n", "[[node]]\nid = 1\nrole = \"transmitter\"\n", 1)
        .replacen("antennas_m = [[0.0, 0.0], [0.06, 0.01]]\n", "", 1);
    run(&adr018).unwrap();
    let message = run(&adr018.replacen("id = 2\n", "id = 2\nantennas_m = [[0.0, 0.0], [0.0, 0.06]]\n", 1))
        .unwrap_err()
        .to_string();
    let says = "scene `node[1].antennas_m`: expected 0 entries with format `adr018`: only `tlf1` frames carry arrays here, found 2";
    assert!(message.contains(says), "{message}");
    let scene = Scene::builtin("demo").unwrap();
    assert!(scene.clone().with_arrays(4).is_ok());
    for antennas in [1, 5] {
        let message = scene.clone().with_arrays(antennas).unwrap_err().to_string();
        assert!(message.contains("expected 0 or 2 to 4 entries"), "{message}");
    }
}

#[test]
fn a_script_to_repeat_is_measured_by_its_time() {
    // 0.2 m there and back take more than a second as people set off, brake and turn, however fast they would like to go.
    let script = "walk = [[2.0, 1.0], [1.0, 1.0]]\n[[person.do]]\nsit_s = 5.0\n";
    assert!(SEED_SCENE.contains(script));
    let repeat = |to: &str| Scene::from_toml(&SEED_SCENE.replacen(script, to, 1)).map(|_| ());
    repeat("walk = [[1.2, 1.0], [1.0, 1.0]]\nspeed_m_s = 3.0\n").unwrap();
    let message = repeat("stand_s = 0.9\n").unwrap_err().to_string();
    assert!(message.contains("takes 1 s or more, found 0.9 s"), "{message}");
}

#[test]
fn a_huge_scene_is_refused_before_it_is_read() {
    assert!(matches!(
        Scene::from_toml(&" ".repeat(300 * 1024)),
        Err(SceneError::TooLarge { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_answered(text in ".{0,400}") {
        let _ = Scene::from_toml(&text);
    }

    #[test]
    fn any_number_anywhere_ends_in_an_error_or_a_simulation(
        place in 0_usize..64,
        value in prop_oneof![
            any::<f64>(),
            -10.0..10.0_f64,
            Just(0.0),
            Just(-0.0),
            Just(f64::NAN),
            Just(f64::INFINITY),
            prop::sample::select(vec![0.3, 1.0, 2.0, 2.5, 4.0, 3.0, 1e-300, 1e300]),
        ],
    ) {
        let _ = run(&with_number(place, &toml::Value::Float(value).to_string()));
    }

    #[test]
    fn any_integer_anywhere_ends_in_an_error_or_a_simulation(place in 0_usize..64, value in any::<i64>()) {
        let _ = run(&with_number(place, &value.to_string()));
    }
}

/// The seed scene with its `place`-th number (modulo how many there are) replaced.
fn with_number(place: usize, value: &str) -> String {
    let numeric = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let mut spans = Vec::new();
    let mut begin = None;
    for (i, c) in SEED_SCENE.char_indices() {
        let starts_number = begin.is_none() && numeric(c) && SEED_SCENE[..i].ends_with([' ', '[']);
        if starts_number {
            begin = Some(i);
        } else if let Some(from) = begin.filter(|_| !numeric(c)) {
            spans.push(from..i);
            begin = None;
        }
    }
    let span = spans[place % spans.len()].clone();
    format!("{}{value}{}", &SEED_SCENE[..span.start], &SEED_SCENE[span.end..])
}
