//! Orders about recordings and the configuration; events and health.

use std::time::Duration;

use super::{
    live::{hear, subscribe},
    *,
};
use crate::{
    config::{PrivacyMode, orders::Orders},
    live::recording::{RecordingEnd, RecordingNow},
};
use tapline_witness::body::AuditResult;

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
    let list = "{ recordings(first: 1) { pageInfo { hasNextPage endCursor } nodes { name path bytes running slots lostSlots withheldSlots ended } } }";
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
        withheld: 2,
    };
    bench.hub.recordings.show(Some(now));
    let first = data(&router, list).await["recordings"].take();
    assert_eq!(
        first["nodes"],
        json!([{ "name": "a-1", "path": "/v1/recordings/a-1", "bytes": 10, "running": true, "slots": 7, "lostSlots": 1,
            "withheldSlots": 2, "ended": null }])
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
    bench.hub.recordings.end("a-1".to_owned(), RecordingEnd::Mode);
    let ended = data(&router, "{ recordings { nodes { name running withheldSlots ended } } }").await;
    assert_eq!(
        ended["recordings"]["nodes"],
        json!([
            { "name": "a-1", "running": false, "withheldSlots": null, "ended": "MODE" },
            { "name": "b", "running": false, "withheldSlots": null, "ended": null }
        ])
    );
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
    bench.cycle_in(1, 0);
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
    let tracks = looser["cycle"]["tracks"].as_array().unwrap();
    assert_eq!(tracks.len(), 1, "class Anonymous lets positions out");
    assert_ne!(tracks[0]["id"], "43981", "but not the tracker's own identity");
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
        bench.cycle_in(n, 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut changed = cycle(43);
    changed.outcome.tracks[0].id = 7;
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
    assert_eq!(events[3]["person"], "7");
    // Whoever went away was sensed under Raw, and is told of under Anonymous.
    let gone = events[4]["person"].as_str().unwrap();
    assert!(gone.parse::<u64>().is_ok() && gone != "43981", "{gone}");
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

    // Nothing changes any more: whoever follows the same later is told what there is all the same.
    let mut later = subscribe(address, query).await;
    assert_eq!(health(&mut later).await["problems"], third["problems"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_later_has_the_newest_state_at_once() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    bench.hub.publish_durable(durable(12));
    let order = json!({ "stage": "cir", "plugin": "built-in:cir-dense" });
    let mut request = post(order.to_string());
    *request.uri_mut() = "/v1/plugins/swap".parse().unwrap();
    assert_eq!(call(&bench.router(), request).await.0, 202);
    for (query, field, state) in [
        ("subscription { witness { size } }", "witness", json!({ "size": 12 })),
        (
            "subscription { swapProgress { phase } }",
            "swapProgress",
            json!({ "phase": "QUEUED" }),
        ),
    ] {
        // The second joins the group of the first, which is still there.
        let mut followers = Vec::new();
        for _ in 0..2 {
            let mut socket = subscribe(address, query).await;
            let message = hear(&mut socket).await.unwrap();
            assert_eq!(message["payload"]["data"][field], state, "{message}");
            followers.push(socket);
        }
    }
}

/// A swap by REST and by GraphQL: the order, the decision about it, and what cannot be decided any more.
#[tokio::test]
async fn a_swap_under_review_is_confirmed_or_cancelled() {
    use crate::live::attempt::Phase;

    let bench = Bench::new();
    let router = bench.router();
    let rest = |path: &str, body: Value| {
        let mut request = post(body.to_string());
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let answered = async |path: &str, body: Value| {
        let (status, _, text) = call(&router, rest(path, body)).await;
        (status.as_u16(), serde_json::from_str::<Value>(&text).unwrap())
    };
    // Who ordered it stands in front of each; what was changed stands in the SWAP leaf.
    let next = || match bench.commands.lock().unwrap().try_recv().ok()? {
        Command::Audited {
            operator,
            action,
            result: AuditResult::Done,
            command,
            ..
        } if operator == tapline_witness::hash::Domain::Operator.hash(b"local") => Some((action, *command?)),
        other => panic!("{other:?}"),
    };
    let phase = |phase: Phase| {
        let attempt = bench.hub.attempts.list().last().cloned().unwrap();
        bench.hub.attempts.update(&crate::live::attempt::Attempt {
            phase,
            ..(*attempt).clone()
        });
    };
    let wish = json!({ "stage": "cir", "plugin": "built-in:cir-dense", "shadowCycles": 7, "review": true });
    let (status, attempt) = answered("/v1/plugins/swap", wish.clone()).await;
    assert_eq!(
        (status, &attempt["phase"], &attempt["id"]),
        (202, &json!("QUEUED"), &json!(1))
    );
    let Some((action, Command::Swap(order))) = next() else {
        panic!("no order")
    };
    assert_eq!(action, "swap.begin cir built-in:cir-dense");
    assert_eq!((order.attempt, order.shadow_cycles, order.review), (1, 7, true));

    // Nothing is compared yet: it can be dropped, not taken.
    let decide = "/v1/plugins/swap/1";
    let (status, refused) = answered(decide, json!({ "confirm": true })).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("INVALID_ARGUMENT")),
        "{refused}"
    );
    assert!(next().is_none());
    phase(Phase::Compared);
    let (status, attempt) = answered(decide, json!({ "confirm": true })).await;
    assert_eq!((status, &attempt["phase"]), (202, &json!("COMPARED")));
    let is = matches!(
        next(),
        Some((action, Command::DecideSwap {
            attempt: 1,
            go: true,
            ..
        })) if action == "swap.confirm 1"
    );
    assert!(is, "the cycle is told");
    data(&router, "mutation { cancelSwap(id: 1) { id } }").await;
    assert!(matches!(
        next(),
        Some((action, Command::DecideSwap {
            attempt: 1,
            go: false,
            ..
        })) if action == "swap.cancel 1"
    ));
    data(&router, "mutation { confirmSwap(id: 1) { id } }").await;
    assert!(matches!(
        next(),
        Some((action, Command::DecideSwap {
            attempt: 1,
            go: true,
            ..
        })) if action == "swap.confirm 1"
    ));

    for over in [Phase::Committed, Phase::Applied, Phase::Rejected, Phase::RolledBack] {
        phase(over);
        for confirm in [true, false] {
            let (status, refused) = answered(decide, json!({ "confirm": confirm })).await;
            assert_eq!(status, 400, "{over:?} {refused}");
        }
    }
    for (path, body) in [
        ("/v1/plugins/swap/2", json!({ "confirm": true })),
        ("/v1/plugins/swap/latest", json!({ "confirm": true })),
        (decide, json!({ "confirm": "yes" })),
        (decide, json!({})),
    ] {
        let (status, refused) = answered(path, body).await;
        assert_eq!(
            (status, &refused["error"]["code"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{path} {refused}"
        );
    }
    let negative = ask(&router, "mutation { confirmSwap(id: -1) { id } }").await;
    assert_eq!(code(&negative), "INVALID_ARGUMENT", "{negative}");
    assert!(next().is_none(), "nothing of it reaches the cycle");
    assert_eq!(answered("/v1/plugins/rollback", json!({ "stage": "cir" })).await.0, 202);
    let Some((action, Command::Swap(order))) = next() else {
        panic!("no order")
    };
    assert_eq!(
        (action.as_str(), order.review, order.attempt),
        ("swap.rollback cir the plugin before", false, 2)
    );
}

/// Keys of a log are shown; without a log of its own a server exchanges none.
#[tokio::test]
async fn signing_keys_are_shown_and_exchanged_one_at_a_time() {
    use tapline_witness::{
        body::{Genesis, Key, KeyAction, KeyRole},
        codec::Text,
        keyset::KeySet,
        note::{KeyType, Name, Signer},
    };

    let bench = Bench::new();
    let router = bench.router();
    let rotate = "mutation { rotateKey(role: LOG) { vkey } }";
    assert_eq!(code(&ask(&router, rotate).await), "INTERNAL");
    let public = |name: &str, kind, seed| {
        let name = Name::new(name).unwrap();
        Signer::from_seed(name, kind, &[seed; 32]).verifier().public_key()
    };
    let genesis = Genesis {
        format_version: 1,
        replay: false,
        origin: Text::new("tapline.test/keys"),
        log_key: public("tapline.test/keys", KeyType::Ed25519, 1),
        cosigner_key: public("tapline.test/keys/time", KeyType::Cosignature, 2),
        predecessor: None,
    };
    let mut keys = KeySet::of(&genesis).unwrap();
    bench.hub.publish_keys(keys.clone());
    let directory = tempfile::tempdir().unwrap();
    bench.hub.keep_in(directory.path());
    assert_eq!(
        code(&ask(&router, "mutation { retireKey(role: LOG) { vkey } }").await),
        "INVALID_ARGUMENT"
    );
    let made = data(&router, rotate).await;
    let (action, command) = ordered(&bench);
    assert!(action.starts_with("key.add log "), "{action}");
    let Some(Command::Key(key)) = command else {
        panic!("{command:?}")
    };
    assert_eq!((key.role, key.action), (KeyRole::Log, KeyAction::Added));
    // The private half is on the disk before the order, readable by its owner only, and in no answer.
    let files: Vec<_> = std::fs::read_dir(directory.path().join("keys")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let path = files[0].as_ref().unwrap().path();
    let secret = std::fs::read_to_string(&path).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+") && !made.to_string().contains("PRIVATE"));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    keys.apply(7, &Key { ..key }).unwrap();
    bench.hub.publish_keys(keys);
    assert_eq!(
        code(&ask(&router, rotate).await),
        "INVALID_ARGUMENT",
        "two sign already"
    );
    let shown = data(
        &router,
        "{ signingKeys { role vkey since retired } witnessPolicy server { logKey } }",
    )
    .await;
    assert_eq!(shown["signingKeys"].as_array().unwrap().len(), 3);
    assert_eq!(shown["signingKeys"][2]["since"], 7);
    assert_eq!(shown["server"]["logKey"], made["rotateKey"]["vkey"]);
    assert!(shown["witnessPolicy"].as_str().unwrap().ends_with("quorum none\n"));
    let retired = data(&router, "mutation { retireKey(role: LOG) { vkey } }").await;
    assert_ne!(
        retired["retireKey"]["vkey"], made["rotateKey"]["vkey"],
        "the older one goes"
    );
    assert!(ordered(&bench).0.starts_with("key.retire log "));
}
