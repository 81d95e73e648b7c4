//! Recordings through the whole pipeline.

use std::path::Path;

use tapline_tests::{recording, replay, run, succeed};

const TWO_NODE: &str = "esp32-two-node/pretrain-1775182186.csi.jsonl";

/// Lines of that recording for what needs no more: some 25 s.
const PART_LINES: usize = 1_300;

/// Every CSI frame of the two-node recording is used and every other line is counted by kind; two replays give the
/// same root, byte for byte; another plugin gives another manifest and another root, as reproducibly (of the first lines: it is slower).
#[test]
fn two_node_recording_is_used_whole_and_reproduced() {
    let Some(path) = recording(TWO_NODE) else { return };
    let path = path.to_str().expect("a plain path");
    // A manifest lies beside the plugins it names.
    let plugins = tapline_tests::tapline().with_file_name("plugins");
    let dense = plugins.join("dense-for-test.toml");
    let (plugins, dense) = (plugins.to_str().expect("plain"), dense.to_str().expect("plain"));
    succeed(&[
        "manifest",
        "build",
        "--dir",
        plugins,
        "--cir",
        "cir-dense",
        "--out",
        dense,
    ]);
    let first = replay(&[path]);
    assert_eq!(first["csi_frames_used"], 5_309);
    assert_eq!(
        first["not_used"],
        serde_json::json!({ "compressed-csi": 2, "feature": 236, "vitals": 236 })
    );
    let cycles = first["cycles"].as_u64().expect("a number");
    assert!((2_390..=2_410).contains(&cycles), "{cycles} cycles");
    let text = std::fs::read_to_string(path).expect("the recording");
    let directory = tempfile::tempdir().expect("a directory");
    let part = directory.path().join("part.csi.jsonl");
    let lines: Vec<&str> = text.split_inclusive('\n').take(PART_LINES).collect();
    std::fs::write(&part, lines.concat()).expect("a file");
    let part = part.to_str().expect("a plain path");
    let (usual, other) = (replay(&[part]), replay(&[part, "--manifest", dense]));
    for (once, again) in [
        (&first, replay(&[path])),
        (&other, replay(&[part, "--manifest", dense])),
    ] {
        assert_eq!(once["witness_root"], again["witness_root"]);
        assert_eq!(once["manifest_hash"], again["manifest_hash"]);
    }
    assert!(other["cycles"].as_u64().is_some_and(|n| n > 400), "{other}");
    assert_ne!(usual["manifest_hash"], other["manifest_hash"]);
    assert_ne!(usual["witness_root"], other["witness_root"]);
}

/// A simulated recording replays without any file from outside, says that it is simulated in every line, leaves a
/// log that checks, and gives one root.
#[test]
fn a_simulated_recording_replays_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_str().expect("a plain path").to_owned();
    // The demo's ten minutes, cut.
    let scene = std::fs::read_to_string(tapline_tests::root().join("sim/scenes/demo.toml")).expect("the scene");
    let short = scene.replace("duration_s = 600.0", "duration_s = 90.0");
    assert_ne!(scene, short);
    std::fs::write(at("scene.toml"), short).expect("a file");
    succeed(&[
        "simulate",
        "--scene",
        &at("scene.toml"),
        "--write-config",
        &at("fleet.toml"),
        "--record",
        &at("demo.jsonl"),
    ]);
    let config = &at("fleet.toml");
    let arguments = [
        &at("demo.jsonl"),
        "--config",
        config,
        "--out",
        &at("poses.jsonl"),
        "--data-dir",
    ];
    let once = replay(&[&arguments[..], &[&at("one")]].concat());
    let again = replay(&[&arguments[..], &[&at("two")]].concat());
    assert_eq!(once["witness_root"], again["witness_root"]);
    assert!(once["csi_frames_used"].as_u64().is_some_and(|n| n > 1_000), "{once}");
    let poses = std::fs::read_to_string(at("poses.jsonl")).expect("poses");
    assert_eq!(poses.lines().count() as u64, once["cycles"].as_u64().expect("a number"));
    // The first slot ends when the first frame arrives; from the second on there is input.
    assert!(poses.lines().skip(2).all(|line| line.contains("\"simulated\":true")));
    succeed(&["fsck", &at("one")]);
}

/// Whatever is wrong with the input, the answer is exit code 2 and a sentence, never a panic.
#[test]
fn hostile_files_get_a_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let cases: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("binary", &[0xff, 0x00, 0x13, 0x37]),
        ("no-json", b"{\"timestamp\": \n\n{{{{"),
        ("torn-pcap", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0]),
        ("numbers", b"{\"timestamp\":1e400,\"node_id\":-5,\"type\":\"raw_csi\",\"iq_hex\":\"zz\"}\n"),
        ("far-apart", b"{\"type\":\"rss\",\"t_ms\":0,\"tx\":1,\"rx\":2,\"channel\":1,\"rssi_dbm\":-40}\n{\"type\":\"rss\",\"t_ms\":9000000000000,\"tx\":1,\"rx\":2,\"channel\":1,\"rssi_dbm\":-40}\n"),
    ];
    for (name, bytes) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let out = run(&["replay", path.to_str().expect("a plain path")]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.contains("panicked"), "{name}: {said}");
        assert!(
            matches!(out.status.code(), Some(0 | 2)),
            "{name}: {:?} {said}",
            out.status
        );
        assert!(out.status.success() || said.starts_with("tapline: "), "{name}: {said}");
    }
    let absent = run(&["replay", "no-such-file"]);
    assert_eq!(absent.status.code(), Some(2));
}

/// The example is a document that the program reads, with every key explained.
#[test]
fn example_configuration_is_good_and_commented() {
    succeed(&["config", "check", "config.example.toml"]);
    let text = std::fs::read_to_string(tapline_tests::root().join("config.example.toml")).expect("the example");
    assert!(text.lines().filter(|l| l.starts_with('#')).count() >= 25);
    let directory = tempfile::tempdir().expect("a directory");
    let check = |text: &str, expect: &str| {
        let path: &Path = &directory.path().join("bad.toml");
        std::fs::write(path, text).expect("a file");
        let out = run(&["config", "check", path.to_str().expect("a plain path")]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(expect), "expected {expect:?} in {said}");
    };
    check(&text.replace("queue_datagrams", "queue_datagramms"), "queue_datagramms");
    check(&text.replace("mode = \"RawResearch\"", "mode = \"Public\""), "Public");
    check(
        &text.replace("transmitter = 100", "transmitter = 7"),
        "the id of another node of this site",
    );
    check(
        &text.replace("udp = \"127.0.0.1:5005\"", "udp = \"0.0.0.0:5005\""),
        "server.allow",
    );
    check("version = 2\n[[site]]\nid = \"a\"\n", "line 1");
}
