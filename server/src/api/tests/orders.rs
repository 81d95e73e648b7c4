//! Orders about recordings and the configuration; events and health.

use std::time::Duration;

use super::{
    live::{hear, subscribe},
    *,
};
use crate::{
    config::{PrivacyMode, orders::Orders},
    live::recording::RecordingNow,
};

/// The next order behind its audit leaf: the action, and what the cycle has to do.
fn ordered(bench: &Bench) -> (String, Option<Command>) {
    match bench.commands.lock().unwrap().try_recv() {
        Ok(Command::Audited { action, command, .. }) => (action, command.map(|c| *c)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn recordings_are_begun_listed_given_out_and_deleted() {
    let bench = Bench::in_mode("RawResearch");
    let directory = tempfile::tempdir().unwrap();
    bench.hub.keep_in(directory.path());
    let router = bench.router();
    let list = "{ recordings(first: 1) { pageInfo { hasNextPage endCursor } nodes { name path bytes running slots lostSlots } } }";
    let empty = data(&router, list).await;
    assert_eq!(
        empty["recordings"]["nodes"],
        json!([]),
        "before the first there is no directory"
    );
    data(
        &router,
        r#"mutation { startRecording(name: "a-1", seconds: 2.01) { order } }"#,
    )
    .await;
    let (action, command) = ordered(&bench);
    assert_eq!(action, "recording.start a-1");
    assert!(matches!(command, Some(Command::StartRecording { name, slots: 41 }) if name == "a-1"));

    // As the cycle thread does it.
    let files = directory.path().join("recordings");
    std::fs::create_dir(&files).unwrap();
    for (name, bytes) in [
        ("a-1.tlc", "0123456789"),
        ("b.tlc", "b"),
        ("other.txt", "x"),
        ("..tlc", "x"),
    ] {
        std::fs::write(files.join(name), bytes).unwrap();
    }
    let now = RecordingNow {
        name: "a-1".to_owned(),
        started_wall_ns: 1,
        slots: 7,
        lost: 1,
    };
    bench.hub.recordings.show(Some(now));
    let first = data(&router, list).await["recordings"].take();
    assert_eq!(
        first["nodes"],
        json!([{ "name": "a-1", "path": "/v1/recordings/a-1", "bytes": 10, "running": true, "slots": 7, "lostSlots": 1 }])
    );
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let cursor = &first["pageInfo"]["endCursor"];
    let second = data(
        &router,
        &format!("{{ recordings(after: {cursor}) {{ nodes {{ name running slots }} }} }}"),
    )
    .await;
    assert_eq!(
        second["recordings"]["nodes"],
        json!([{ "name": "b", "running": false, "slots": null }])
    );

    for refused in [
        r#"mutation { startRecording(name: "c") { order } }"#,
        r#"mutation { startRecording(name: "c", seconds: 0) { order } }"#,
        r#"mutation { deleteRecording(name: "a-1") { order } }"#,
        "{ recordings(first: 201) { nodes { name } } }",
    ] {
        assert_eq!(code(&ask(&router, refused).await), "INVALID_ARGUMENT", "{refused}");
    }
    bench.hub.recordings.show(None);
    let again = ask(&router, r#"mutation { startRecording(name: "b") { order } }"#).await;
    assert_eq!(code(&again), "INVALID_ARGUMENT", "nothing is overwritten");

    let (status, headers, text) = call(&router, get("/v1/recordings/a-1")).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "0123456789"));
    assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment; filename=\"a-1.tlc\"");
    assert_eq!(ordered(&bench).0, "recording.download a-1");
    let mut rest = get("/v1/recordings/a-1");
    rest.headers_mut().insert(header::RANGE, "bytes=6-".parse().unwrap());
    rest.headers_mut()
        .insert(header::IF_RANGE, headers[header::ETAG].clone());
    let (status, _, text) = call(&router, rest).await;
    assert_eq!((status, text.as_str()), (StatusCode::PARTIAL_CONTENT, "6789"));
    ordered(&bench);

    data(&router, r#"mutation { deleteRecording(name: "a-1") { order } }"#).await;
    assert_eq!(ordered(&bench).0, "recording.delete a-1");
    assert!(!files.join("a-1.tlc").exists());
    let gone = ask(&router, r#"mutation { deleteRecording(name: "a-1") { order } }"#).await;
    assert_eq!(code(&gone), "NOT_FOUND");
    data(&router, "mutation { stopRecording { order } }").await;
    assert!(matches!(ordered(&bench).1, Some(Command::StopRecording)));
}

#[tokio::test]
async fn raw_measurements_stay_unless_the_class_is_raw() {
    for mode in ["CareWithConsent", "PrivateHome", "StrictNoIdentity"] {
        let bench = Bench::in_mode(mode);
        let directory = tempfile::tempdir().unwrap();
        bench.hub.keep_in(directory.path());
        let router = bench.router();
        let order = ask(&router, r#"mutation { startRecording(name: "a") { order } }"#).await;
        assert_eq!(code(&order), "PRIVACY", "{mode}");
        let (status, _, text) = call(&router, get("/v1/recordings/a")).await;
        assert!(
            status == StatusCode::FORBIDDEN && text.contains("PRIVACY"),
            "{mode}: {text}"
        );
        assert!(
            bench.commands.lock().unwrap().try_recv().is_err(),
            "{mode}: nothing was ordered"
        );
    }
}

#[tokio::test]
async fn a_stricter_mode_holds_at_once_and_after_a_restart() {
    let bench = Bench::in_mode("RawResearch");
    let directory = tempfile::tempdir().unwrap();
    bench.hub.keep_in(directory.path());
    bench.cycle(1);
    let router = bench.router();
    let before = data(
        &router,
        "{ config { hash text } cycle { tracks { id } } site { privacyMode } }",
    )
    .await;
    assert_eq!(before["cycle"]["tracks"][0]["id"], "43981");
    data(
        &router,
        "mutation { setPrivacyMode(mode: STRICT_NO_IDENTITY) { order } }",
    )
    .await;
    let (action, command) = ordered(&bench);
    assert_eq!(action, "privacy.mode StrictNoIdentity");
    let Some(Command::Configure { site, .. }) = command else {
        panic!("{command:?}");
    };
    assert_eq!(site.0.privacy.mode, PrivacyMode::StrictNoIdentity);
    // The newest cycle was sensed under Raw; it is kept back now.
    let after = data(
        &router,
        "{ config { hash text } cycle { tracks { id } } site { privacyMode } }",
    )
    .await;
    assert_eq!(after["cycle"]["tracks"], json!([]));
    assert_eq!(after["site"]["privacyMode"], "STRICT_NO_IDENTITY");
    assert_ne!(after["config"]["hash"], before["config"]["hash"]);
    assert!(after["config"]["text"].as_str().unwrap().contains("StrictNoIdentity"));
    let mut restarted = bench.hub.facts.site.clone();
    Orders::load(directory.path()).unwrap().apply(&mut restarted);
    assert_eq!(restarted.privacy.mode, PrivacyMode::StrictNoIdentity);
    // Looser again: what was sensed before the cycle follows stays back.
    data(&router, "mutation { setPrivacyMode(mode: PRIVATE_HOME) { order } }").await;
    let looser = data(&router, "{ cycle { tracks { id } } }").await;
    assert_eq!(
        looser["cycle"]["tracks"][0]["id"], "43981",
        "class Anonymous lets positions out"
    );
}

#[tokio::test]
async fn a_zone_moves_when_its_corners_make_sense() {
    let bench = Bench::new();
    let router = bench.router();
    let order =
        |corners: &str| format!("mutation {{ setZoneOutline(zone: \"sofa\", outline: [{corners}]) {{ order }} }}");
    for corners in [
        "",
        "{ x: 0, y: 0 }, { x: 1, y: 0 }",
        "{ x: 0, y: 0 }, { x: 0, y: 1 }, { x: 1, y: 0 }",
        "{ x: 0, y: 0 }, { x: 1e9, y: 0 }, { x: 1, y: 1 }",
        "{ x: 0, y: 0 }, { x: 1, y: 0 }, { x: 2, y: 0 }",
    ] {
        assert_eq!(
            code(&ask(&router, &order(corners)).await),
            "INVALID_ARGUMENT",
            "{corners}"
        );
    }
    let other = ask(
        &router,
        "mutation { setZoneOutline(zone: \"bed\", outline: []) { order } }",
    )
    .await;
    assert!(
        other["errors"][0]["message"].as_str().unwrap().contains("sofa"),
        "{other}"
    );
    assert!(
        bench.commands.lock().unwrap().try_recv().is_err(),
        "nothing was ordered"
    );
    data(&router, &order("{ x: 0, y: 0 }, { x: 1.5, y: 0 }, { x: 1.5, y: 1 }")).await;
    assert_eq!(ordered(&bench).0, "zone.outline sofa");
    let site = data(&router, "{ site { zones { outline { x y } } } }").await;
    assert_eq!(
        site["site"]["zones"][0]["outline"],
        json!([{ "x": 0.0, "y": 0.0 }, { "x": 1.5, "y": 0.0 }, { "x": 1.5, "y": 1.0 }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_what_changed() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    let query = "subscription { events { cycle durable events { kind area areaKind fromState toState reason person fromClass toClass missedSlots } } }";
    let mut socket = subscribe(address, query).await;
    // Cycles without a change until the subscription stands, then one with several.
    for n in 1..=40 {
        bench.cycle(n);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut changed = cycle(43);
    changed.outcome.tracks[0].id = 7;
    changed.outcome.privacy_class = 2;
    changed.outcome.rooms[0].presence.state = PresenceState::Empty;
    changed.outcome.rooms[0].presence.reason = Reason::Quiet;
    bench.hub.publish(Arc::new(changed));
    let message = hear(&mut socket).await.unwrap();
    let update = &message["payload"]["data"]["events"];
    assert_eq!(
        (&update["cycle"], &update["durable"]),
        (&json!(43), &json!(false)),
        "{message}"
    );
    let events = update["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "SLOTS_MISSED",
            "PRIVACY_CLASS",
            "PRESENCE",
            "PERSON_APPEARED",
            "PERSON_GONE"
        ]
    );
    assert_eq!(events[0]["missedSlots"], 2);
    assert_eq!(
        (&events[1]["fromClass"], &events[1]["toClass"]),
        (&json!("RAW"), &json!("ANONYMOUS"))
    );
    let presence = json!([
        events[2]["area"],
        events[2]["areaKind"],
        events[2]["fromState"],
        events[2]["toState"],
        events[2]["reason"]
    ]);
    assert_eq!(presence, json!(["living", "ROOM", "OCCUPIED_MOVING", "EMPTY", "QUIET"]));
    assert_eq!(
        (&events[3]["person"], &events[4]["person"]),
        (&json!("7"), &json!("43981"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_comes_at_once_and_when_it_changes() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    let query = "subscription { health { ok ready problems { what text } nodes { id health } missedTicks warning } }";
    let mut socket = subscribe(address, query).await;
    let health =
        async |socket: &mut super::live::Socket| hear(socket).await.unwrap()["payload"]["data"]["health"].take();
    let first = health(&mut socket).await;
    assert_eq!(
        (&first["ok"], &first["ready"], &first["missedTicks"]),
        (&json!(false), &json!(false), &json!(2))
    );
    let what: Vec<_> = first["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["server", "plugin tracker"]);
    ready(&bench);
    let mut well = diagnostics();
    well.plugins[0].state = "ACTIVE";
    bench.hub.publish_diagnostics(well.clone());
    let mut second = health(&mut socket).await;
    if second["ready"] == false {
        second = health(&mut socket).await;
    }
    while second["ok"] == false {
        second = health(&mut socket).await;
    }
    assert_eq!((&second["ready"], &second["problems"]), (&json!(true), &json!([])));
    well.nodes[0].health = ("silent", "no frame for 3 s".to_owned());
    bench.hub.publish_diagnostics(well);
    let third = health(&mut socket).await;
    assert_eq!(third["problems"], json!([{ "what": "node 1", "text": "silent" }]));
}
