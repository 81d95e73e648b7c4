//! Orders of an operator to the running server: what becomes of them, and that the log says who gave them.

use std::{fs, io::Write as _, process::Command, time::Duration};

use serde_json::{Value, json};
use tapline_client::{Connection, Error};
use tapline_tests::{Room, Server, command, scene_config, succeed};

/// Waits until `found` says yes.
async fn until(what: &str, mut found: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if found().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not happen within 10 s");
}

/// Leaves of a kind, as they lie in the log.
async fn leaves(connection: &mut Connection, kind: &str) -> Vec<Vec<u8>> {
    let size = connection
        .ask("{ checkpoint { size } }", json!({}))
        .await
        .expect("an answer")["checkpoint"]["size"]
        .as_u64()
        .unwrap_or(0);
    let mut found = Vec::new();
    for seq in 0..size {
        let query = "query($seq: Long!) { leaf(seq: $seq) { kind hex } }";
        let leaf = connection.ask(query, json!({ "seq": seq })).await.expect("a leaf")["leaf"].take();
        if leaf["kind"] == kind {
            found.push(hex(leaf["hex"].as_str().expect("hex")));
        }
    }
    found
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("a digit") as u8;
    text.as_bytes()
        .chunks(2)
        .map(|p| digit(p[0]) << 4 | digit(p[1]))
        .collect()
}

fn names(leaf: &[u8], action: &str) -> bool {
    leaf.windows(action.len()).any(|w| w == action.as_bytes())
}

/// A token from a systemd credential, orders with it, their leaves in the log, the recording replayed, a stricter mode
/// that outlives the restart.
#[test]
fn orders_are_done_and_stand_in_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    // What systemd does with LoadCredential=tokens:FILE.
    let credentials = directory.path().join("credentials");
    fs::create_dir(&credentials).expect("a directory");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&config)
        .expect("the fleet file");
    writeln!(file, "\n[server]\ntokens = \"credential:tokens\"").expect("it is written");
    let token = |name: &str, scopes: &str| {
        let config = config.to_str().expect("a plain path");
        let out = command(&["token", "create", "--config", config, "--name", name, "--scope", scopes])
            .env("CREDENTIALS_DIRECTORY", &credentials)
            .output()
            .expect("the program starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("text").trim().to_owned()
    };
    let admin = token("nurse", "read,subscribe,operate,admin");
    let reader = token("panel", "read,subscribe");
    let with_credentials = |command: &mut Command| {
        command.env("CREDENTIALS_DIRECTORY", &credentials);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let server = Server::start_as(&config, &data, with_credentials);
    let room = Room::start("demo", server.udp);
    runtime.block_on(async {
        let address = server.http.to_string();
        match Connection::open(&address, None).await {
            Err(Error::Closed { code: 4403, .. }) => {}
            other => panic!("without a token: {other:?}"),
        }
        let mut reader = Connection::open(&address, Some(&reader)).await.expect("a reader");
        let refused = reader
            .ask("mutation { setPrivacyMode(mode: RAW_RESEARCH) { order } }", json!({}))
            .await;
        assert_eq!(refused.expect_err("no scope").code(), Some("FORBIDDEN"));
        let mut nurse = Connection::open(&address, Some(&admin)).await.expect("an operator");
        let order = async |nurse: &mut Connection, order: &str| {
            nurse
                .ask(&format!("mutation {{ {order} {{ order }} }}"), json!({}))
                .await
                .expect(order);
        };
        order(&mut nurse, r#"startRecording(name: "night", seconds: 60)"#).await;
        let slots = "{ recordings { nodes { name slots bytes running } } }";
        until("the recording", async || {
            let recordings: Value = nurse.ask(slots, json!({})).await.expect("an answer");
            recordings["recordings"]["nodes"][0]["slots"].as_u64() > Some(30)
        })
        .await;
        order(&mut nurse, "stopRecording").await;
        until("its end", async || {
            let recordings = nurse.ask(slots, json!({})).await.expect("an answer");
            recordings["recordings"]["nodes"][0]["running"] == false
        })
        .await;
        let before = nurse
            .ask("{ config { hash } cycle { privacyMode } }", json!({}))
            .await
            .expect("an answer");
        assert_eq!(before["cycle"]["privacyMode"], "RAW_RESEARCH");
        order(&mut nurse, r#"startRecording(name: "on", seconds: 600)"#).await;
        let ended = "{ recordings { nodes { name running ended } } }";
        let second = async |nurse: &mut Connection| {
            let recordings = nurse.ask(ended, json!({})).await.expect("an answer");
            recordings["recordings"]["nodes"][1].clone()
        };
        until("the second recording", async || {
            second(&mut nurse).await["running"] == true
        })
        .await;
        order(&mut nurse, "setPrivacyMode(mode: STRICT_NO_IDENTITY)").await;
        until("the mode", async || {
            let cycle = nurse
                .ask("{ cycle { privacyMode } }", json!({}))
                .await
                .expect("an answer");
            cycle["cycle"]["privacyMode"] == "STRICT_NO_IDENTITY"
        })
        .await;
        assert_eq!(
            second(&mut nurse).await,
            json!({ "name": "on", "running": false, "ended": "MODE" })
        );
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let audits = leaves(&mut nurse, "AUDIT").await;
        for action in [
            "Mutation.setPrivacyMode",
            "recording.start night",
            "recording.stop",
            "recording.stop on by privacy mode",
            "privacy.mode StrictNoIdentity",
        ] {
            assert!(audits.iter().any(|leaf| names(leaf, action)), "no leaf says {action}");
        }
        assert_eq!(leaves(&mut nurse, "CONFIG").await.len(), 1);
        let after = nurse.ask("{ config { hash } }", json!({})).await.expect("an answer");
        assert_ne!(after["config"]["hash"], before["config"]["hash"]);
    });
    drop(room);
    server.stop();
    succeed(&["fsck", data.to_str().expect("a plain path")]);
    let recording = data.join("recordings/night.tlc");
    let replayed = succeed(&[
        "replay",
        recording.to_str().expect("a plain path"),
        "--config",
        config.to_str().expect("a plain path"),
        "--data-dir",
        directory.path().join("replayed").to_str().expect("a plain path"),
    ]);
    assert!(replayed.contains("cycles"), "{replayed}");

    let server = Server::start_as(&config, &data, with_credentials);
    runtime.block_on(async {
        let mut reader = Connection::open(&server.http.to_string(), Some(&reader))
            .await
            .expect("a reader");
        let site = reader
            .ask("{ site { privacyMode } }", json!({}))
            .await
            .expect("an answer");
        assert_eq!(
            site["site"]["privacyMode"], "STRICT_NO_IDENTITY",
            "a restart makes nothing looser"
        );
    });
    server.stop();
}

/// A time is forgotten by an order to the running server, the rest by the command on its data directory: outcomes are gone,
/// their leaves stay, and the log says who asked.
#[test]
fn a_time_is_forgotten_by_order_and_by_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let server = Server::start(&config, &data);
    let _room = Room::start("demo", server.udp);
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..300 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what} did not happen within 30 s");
    };
    let cycle = |number: u64| server.query(&format!("{{ cycle(number: {number}) {{ at }} }}"))["cycle"].take();
    // A tile of 256 leaves has one secret, and is forgotten as a whole.
    wait("cycle 270", &|| !cycle(270).is_null());
    let time = |number: u64| cycle(number)["at"].as_str().expect("a time").to_owned();
    let (first, last) = (time(100), time(120));
    let order = format!("mutation {{ forget(from: \"{first}\", to: \"{last}\") {{ order }} }}");
    assert!(server.query(&order)["forget"]["order"].is_number());
    wait("forgetting", &|| cycle(110).is_null());
    assert!(cycle(50).is_null() && cycle(250).is_null(), "of the same tile");
    assert!(!cycle(265).is_null(), "another tile");
    let leaf = server.query("{ leaf(seq: 110) { kind durable inclusionProof { index } } }");
    assert_eq!(
        leaf["leaf"],
        json!({ "kind": "CYCLE", "durable": true, "inclusionProof": { "index": 110 } })
    );
    let from = time(265);
    server.stop();

    let data = data.to_str().expect("a plain path");
    let report = || -> Value { serde_json::from_str(succeed(&["fsck", data, "--json"]).trim()).expect("a report") };
    let before = report();
    assert!(
        before["forgotten"].as_u64() > Some(200) && before["opened"].as_u64() > Some(0),
        "{before}"
    );
    let said = succeed(&[
        "forget",
        "--data-dir",
        data,
        "--from",
        &from,
        "--to",
        "2999-01-01T00:00:00Z",
    ]);
    assert!(said.contains("are forgotten; leaf"), "{said}");
    let after = report();
    assert_eq!(after["opened"], 0, "{after}");
    assert!(
        after["leaves"].as_u64() > before["leaves"].as_u64(),
        "the order is a leaf"
    );
    // Nothing of that time is kept any more.
    let none = command(&[
        "forget",
        "--data-dir",
        data,
        "--from",
        "1990-01-01T00:00:00Z",
        "--to",
        "1991-01-01T00:00:00Z",
    ]);
    let none = { none }.output().expect("it ends");
    assert_eq!(none.status.code(), Some(1), "{}", String::from_utf8_lossy(&none.stdout));
}
