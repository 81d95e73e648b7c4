//! `tapline demo`: other scenes than the first, and recordings to share.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use tapline_tests::{Server, command, run};

use crate::recorded::cycles;

/// A scene is shown by name: its own radios, and who is really there.
#[test]
fn a_scene_is_shown_by_name() {
    let server = Server::demo("six-nodes-he40", &["--seconds", "60"]);
    let shown = server.query("{ nodes { id simulated } demo { scene } site { name } }");
    assert_eq!(shown["nodes"].as_array().map(Vec::len), Some(6), "{shown}");
    assert_eq!(shown["demo"]["scene"], "six-nodes-he40");
    server.stop();
    let unknown = run(&["demo", "--scene", "nosuch"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("six-nodes-he40"), "the names there are: {said}");
}

/// What `--record` writes is replayed by the command that its own README names, to the very outcomes of the live run; the
/// truth beside it is of the same time.
#[test]
fn a_recording_to_share_replays_by_its_own_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_str().expect("a plain path").to_owned();
    let (shared, live) = (at("shared"), at("live"));
    let server = Server::demo(
        "one-walker",
        &["--empty", "0", "--record", &shared, "--data-dir", &live],
    );
    std::thread::sleep(Duration::from_secs(4));
    server.stop();

    let file = |name: &str| fs::read_to_string(Path::new(&shared).join(name)).expect(name);
    let read_me = file("README.txt");
    let line = read_me.lines().last().expect("the command").trim();
    let words: Vec<&str> = line.strip_prefix("tapline ").expect(line).split(' ').collect();
    let again = at("again");
    let mut replay = command(&words);
    replay.current_dir(&shared).args(["--data-dir", &again]);
    let out = replay.output().expect("it starts");
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));

    let (was, is) = (cycles(Path::new(&live)), cycles(Path::new(&again)));
    assert!(was.len() >= 60, "{} cycles", was.len());
    assert_eq!(was.keys().collect::<Vec<_>>(), is.keys().collect::<Vec<_>>());
    for (tick, cycle) in &was {
        assert!(cycle.stages == is[tick].stages, "stages of tick {tick}");
        assert!(cycle.outcome == is[tick].outcome, "outcome of tick {tick}");
    }
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let text = file(name);
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    let poses: Vec<f64> = lines("poses.jsonl")
        .iter()
        .map(|pose| pose["t_ms"].as_f64().expect("a time"))
        .collect();
    // As the simulator's own truth: a head first, which here says when its clock was at zero.
    let written = lines("truth.jsonl");
    assert_eq!(written[0]["format"], "tapline-truth-1");
    let zero_ms = written[0]["zero_unix_ms"].as_f64().expect("the time of zero");
    let of = |moment: &serde_json::Value| zero_ms + 1e3 * moment["t_s"].as_f64().expect("a time");
    let truth: Vec<f64> = written[1..].iter().map(of).collect();
    assert_eq!(poses.len(), was.len());
    // 20 times a second, from the first cycles to the last.
    assert!(truth.len() + 20 >= poses.len(), "{} of {}", truth.len(), poses.len());
    assert!((truth[0] - poses[0]).abs() < 1e3 && (truth[truth.len() - 1] - poses[poses.len() - 1]).abs() < 1e3);
}

/// A directory that exists is not written into; and when the demo cannot begin, none is left behind.
#[test]
fn a_recording_never_overwrites_and_leaves_no_shell() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = directory.path().to_str().expect("a plain path");
    let refused = run(&["demo", "--record", taken]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not exist yet"));

    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let http = busy.local_addr().expect("its address").to_string();
    let shell = directory.path().join("shell");
    let path = shell.to_str().expect("a plain path");
    let refused = run(&["demo", "--http", &http, "--udp", "127.0.0.1:0", "--record", path]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stdout).into_owned() + &String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("--http") && !said.contains("Tapline is running"),
        "{said}"
    );
    assert!(!shell.exists());
}

/// Port 0 is any free one: what is printed is the one it became.
#[test]
fn the_addresses_printed_are_those_it_listens_on() {
    let any = "127.0.0.1:0";
    let ran = run(&["demo", "--http", any, "--udp", any, "--empty", "0", "--seconds", "1"]);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
    assert!(
        said.contains("live page     http://127.0.0.1:") && !said.contains(":0/"),
        "{said}"
    );
    assert!(!said.contains("udp://127.0.0.1:0\n"), "{said}");
}
