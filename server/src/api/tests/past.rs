//! History: pages, tracks, world, log.

use tapline_witness::leaf::{Header, Kind, encode_raw, flags};

use super::*;

async fn filled() -> (Bench, Router) {
    let bench = Bench::new();
    for n in 1..=30 {
        bench.cycle(n);
    }
    bench.hub.publish_durable(durable(21));
    let router = bench.router();
    (bench, router)
}

fn numbers(answer: &Value) -> Vec<u64> {
    let edges = answer["cycles"]["edges"].as_array().unwrap();
    edges.iter().map(|e| e["node"]["cycle"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_forward_and_back_without_gaps() {
    let (_bench, router) = filled().await;
    let page = "edges { cursor node { cycle durable stages { stage } } } pageInfo { hasNextPage hasPreviousPage endCursor startCursor }";
    let newest = data(&router, &format!("{{ cycles {{ {page} }} }}")).await;
    assert_eq!(numbers(&newest), (11..=30).collect::<Vec<_>>());
    assert_eq!(newest["cycles"]["edges"][0]["node"]["durable"], true);
    assert_eq!(newest["cycles"]["edges"][19]["node"]["durable"], false);
    assert_eq!(newest["cycles"]["edges"][0]["node"]["stages"], json!(null));
    assert_eq!(newest["cycles"]["pageInfo"]["hasPreviousPage"], true);
    let start = newest["cycles"]["pageInfo"]["startCursor"].as_str().unwrap();
    let before = data(
        &router,
        &format!("{{ cycles(last: 20, before: \"{start}\") {{ {page} }} }}"),
    )
    .await;
    assert_eq!(numbers(&before), (1..=10).collect::<Vec<_>>());
    assert_eq!(before["cycles"]["pageInfo"]["hasPreviousPage"], false);

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let answer = data(&router, &format!("{{ cycles(first: 7 {after}) {{ {page} }} }}")).await;
        seen.extend(numbers(&answer));
        let info = &answer["cycles"]["pageInfo"];
        if info["hasNextPage"] == false {
            break;
        }
        after = format!(", after: \"{}\"", info["endCursor"].as_str().unwrap());
    }
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_cycle_by_number_comes_from_the_store() {
    let (bench, router) = filled().await;
    let answer = data(
        &router,
        "{ a: cycle(number: 4) { cycle tick tracks { id } } b: cycle(number: 99) { cycle } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({ "a": { "cycle": 4, "tick": 14, "tracks": [{ "id": "43981" }] }, "b": null })
    );
    bench.store.cycles.lock().unwrap().remove(&4);
    let answer = data(&router, "{ cycle(number: 4) { cycle } }").await;
    assert_eq!(answer, json!({ "cycle": null }), "retention has taken its outcome");
}

#[tokio::test]
async fn tracks_over_a_range() {
    let (_bench, router) = filled().await;
    let answer = data(&router, "{ tracks(fromCycle: 3, toCycle: 5) { cycle person { id x } } none: tracks(fromCycle: 1, person: \"255\") { cycle } now: tracks { cycle } }").await;
    let cycles: Vec<_> = answer["tracks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["cycle"].as_u64().unwrap())
        .collect();
    assert_eq!(cycles, [3, 4, 5]);
    assert_eq!(answer["none"], json!([]));
    assert_eq!(answer["now"][0]["cycle"], 30);
    for bad in [
        "fromCycle: -1",
        "toCycle: 3",
        "fromCycle: 5, toCycle: 4",
        "fromCycle: 1, toCycle: 1201",
    ] {
        let answer = ask(&router, &format!("{{ tracks({bad}) {{ cycle }} }}")).await;
        assert_eq!(code(&answer), "INVALID_ARGUMENT", "{bad}");
    }
}

#[tokio::test]
async fn the_world_and_the_log_are_shown() {
    let (bench, router) = filled().await;
    let header = Header {
        kind: Kind::Cycle,
        flags: flags::KEYFRAME | flags::SIMULATED,
        log_id: [3; 32],
        seq: 4,
        prev: [5; 32],
        boot_id: [7; 16],
        tick: 14,
        mono_ns: u64::MAX,
        wall_ns: 1_795_454_525_250_000_000,
    };
    let mut leaf = Vec::new();
    encode_raw(&header, b"ab", &mut leaf);
    bench
        .store
        .leaves
        .lock()
        .unwrap()
        .extend([(4, leaf.clone()), (5, leaf[..60].to_vec()), (6, leaf.clone())]);
    let checkpoint = StoredCheckpoint {
        size: 21,
        note: "n\n".to_owned(),
    };
    bench.store.checkpoints.lock().unwrap().insert(21, checkpoint);
    let answer = data(
        &router,
        "{ world { cycle nodes { id kind name x z sigmaM attributes } edges { from to kind } } then: world(atCycle: 3) { cycle }
           leaf(seq: 4) { seq kind witness prev bootId tick monoNs at keyframe demoted simulated bodyBytes durable hex base64 }
           none: leaf(seq: 77) { seq } checkpoint { size note } old: checkpoint(size: 3) { size } }",
    )
    .await;
    let person = &answer["world"]["nodes"][0];
    assert_eq!(
        (&person["x"], &person["z"], &person["sigmaM"]),
        (&json!(2.5), &json!(null), &json!(0.3))
    );
    assert_eq!(person["attributes"]["position_m"][1], 2.0);
    assert_eq!(
        answer["world"]["edges"][0],
        json!({ "from": "person:43981", "to": "room:0", "kind": "LocatedIn" })
    );
    assert_eq!(answer["then"]["cycle"], 3);
    let shown = &answer["leaf"];
    for (field, value) in [
        ("kind", json!("CYCLE")),
        ("tick", json!(14)),
        ("keyframe", json!(true)),
        ("demoted", json!(false)),
        ("simulated", json!(true)),
        ("monoNs", json!(u64::MAX.to_string())),
        ("bodyBytes", json!(2)),
        ("hex", json!(hex::encode(&leaf))),
        ("witness", json!(hex::encode(tapline_witness::hash::witness(&leaf)))),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert_eq!((&answer["none"], &answer["old"]), (&json!(null), &json!(null)));
    assert_eq!(answer["checkpoint"], json!({ "size": 21, "note": "n\n" }));
    for seq in [5, 6] {
        assert_eq!(
            code(&ask(&router, &format!("{{ leaf(seq: {seq}) {{ kind }} }}")).await),
            "INTERNAL"
        );
    }
}

#[tokio::test]
async fn a_broken_store_is_reported_without_its_secrets() {
    let (bench, router) = filled().await;
    *bench.store.broken.lock().unwrap() = true;
    let answer = ask(&router, "{ server { version } cycles { edges { cursor } } }").await;
    let text = answer.to_string();
    assert_eq!(code(&answer), "INTERNAL");
    assert!(!text.contains("secret") && !text.contains("disk"), "{text}");
    assert_eq!(
        answer["errors"][0]["extensions"]["correlationId"]
            .as_str()
            .unwrap()
            .len(),
        16
    );
    let live = data(&router, "{ cycle { cycle } }").await;
    assert_eq!(live["cycle"]["cycle"], 30, "the live view does not need the store");
}

#[tokio::test]
async fn the_program_says_what_it_was_built_from() {
    let answer = data(
        &Bench::new().router(),
        "{ server { build { program cargoLock fingerprint rustc target flags } } }",
    )
    .await;
    let build = &answer["server"]["build"];
    for digest in ["program", "cargoLock", "fingerprint"] {
        assert_eq!(build[digest].as_str().unwrap().len(), 64, "{digest}");
    }
    assert!(build["rustc"].as_str().unwrap().starts_with("rustc "), "{build}");
    assert!(build["flags"].as_str().unwrap().contains("opt-level="), "{build}");
}

/// Rooms, zones and links were deleted from the fleet file, and the cycles of before were told under the names of what stands in
/// their places now.
#[tokio::test]
async fn a_past_cycle_is_told_by_the_configuration_it_was_computed_under() {
    const OLD: &str = r#"
        room = [{ id = "attic" }, { id = "living" }]
        zone = [{ id = "bed" }, { id = "sofa" }]
        path = [
            { tx = 1, rx = 2, tx_antenna = 0, rx_antenna = 0, channel = 1, tier = "HT20" },
            { tx = 1, rx = 2, tx_antenna = 0, rx_antenna = 0, channel = 6, tier = "RSS" },
            { tx = 2, rx = 1, tx_antenna = 0, rx_antenna = 0, channel = 6, tier = "HT20" },
        ]
    "#;
    let bench = Bench::new();
    bench.store.configs.lock().unwrap().insert([9; 32], OLD.to_owned());
    let area = |index, state| {
        let mut area = AreaPresence {
            area: index,
            ..AreaPresence::default()
        };
        area.presence.state = state;
        area
    };
    let (empty, moving) = (PresenceState::Empty, PresenceState::OccupiedMoving);
    // Nobody knows the last one's configuration.
    for (number, config) in [(1, [9; 32]), (2, [2; 32]), (3, [8; 32])] {
        let mut cycle = cycle(number);
        let o = &mut cycle.outcome;
        if number == 1 {
            o.rooms = vec![area(0, empty), area(1, moving)];
            o.zones = vec![area(0, empty), area(1, moving)];
            let link = |path| LinkReport {
                path,
                delay_ns: Some(3_199.0),
                ..LinkReport::default()
            };
            o.links = vec![link(0), link(1), link(2)];
        } else {
            o.rooms = vec![area(0, moving)];
            o.zones = vec![area(0, empty)];
        }
        cycle.outcome_bytes = borsh::to_vec(&cycle.outcome).unwrap();
        bench.store.keep(&cycle);
        bench.store.cycles.lock().unwrap().get_mut(&number).unwrap().config_hash = config;
    }
    let router = bench.router();
    let fields = "rooms { id name presence { state } } zones { id presence { state } } links { path delayNs }";
    let told = async |number: u64| {
        let query = format!("{{ cycle(number: {number}) {{ {fields} }} }}");
        data(&router, &query).await["cycle"].take()
    };
    let state = |state: &str| json!({ "state": state });
    assert_eq!(
        told(1).await,
        json!({
            "rooms": [
                { "id": null, "name": null, "presence": state("EMPTY") },
                { "id": "living", "name": "Living room", "presence": state("OCCUPIED_MOVING") },
            ],
            "zones": [
                { "id": null, "presence": state("EMPTY") },
                { "id": "sofa", "presence": state("OCCUPIED_MOVING") },
            ],
            // The strengths of then know no period of tones; and the first channel is no longer configured.
            "links": [{ "path": 0, "delayNs": 3199.0 }, { "path": 1, "delayNs": -1.0 }],
        })
    );
    assert_eq!(told(2).await["zones"][0]["id"], "sofa");
    let unknown = told(3).await;
    assert_eq!(
        (
            &unknown["rooms"][0]["id"],
            &unknown["zones"][0]["id"],
            &unknown["links"]
        ),
        (&json!(null), &json!(null), &json!([]))
    );
    let events = data(
        &router,
        "{ events(kinds: [PRESENCE]) { nodes { cycle events { area areaKind fromState toState } } } }",
    )
    .await;
    assert_eq!(
        events["events"]["nodes"],
        json!([{
            "cycle": 2,
            "events": [{ "area": "sofa", "areaKind": "ZONE", "fromState": "OCCUPIED_MOVING", "toState": "EMPTY" }],
        }])
    );
}

#[tokio::test]
async fn the_store_knows_the_configuration_of_a_cycle() {
    let (place, cycles) = crate::store::rollup::tests::logged();
    let reader = crate::store::reader::Reader::open(&place.data()).unwrap();
    let page = CyclePage {
        first: 0,
        last: u64::MAX,
        newest_first: true,
        limit: 1,
    };
    let newest = History::cycles(&reader, page).unwrap().remove(0);
    assert_eq!((newest.cycle, newest.config_hash), (cycles.last().unwrap().0, [2; 32]));
    let text = reader.config(&newest.config_hash).unwrap().unwrap();
    assert!(text.contains("living"), "{text}");
    assert_eq!(reader.config(&[3; 32]), Ok(None));
}
