//! A stranger with a bundle, a policy file and plugins of his own: does the named code really produce this?

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tapline_tests::{Room, Server, command, recording, replay, run, scene_config, succeed, tapline};

use crate::plugins::{bad, until};

/// Hides AVX2 and FMA from glibc, as `cargo xtask golden` does.
const MASKED: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-FMA");

/// A data directory, and what is cut from it.
struct Session {
    directory: tempfile::TempDir,
    data: PathBuf,
}

impl Session {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        Self { directory, data }
    }

    fn at(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("plain").to_owned()
    }

    fn data(&self) -> &str {
        self.data.to_str().expect("plain")
    }

    /// The first twenty seconds of the simulated room, as a recording.
    fn record(&self) {
        let path = self.at("demo.jsonl");
        succeed(&["simulate", "--scene", "demo", "--record", &path]);
        let text = fs::read_to_string(&path).expect("a recording");
        // The whole of it is ten minutes.
        let lines: Vec<&str> = text.lines().take(text.lines().count() / 30).collect();
        fs::write(&path, lines.join("\n") + "\n").expect("written");
    }

    /// Cuts a bundle with raw input and writes the policy.
    fn bundle(&self, more: &[&str]) -> String {
        let (bundle, policy) = (self.at("a.wbundle"), self.at("policy.txt"));
        fs::write(&policy, succeed(&["bundle", "policy", "--data-dir", self.data()])).expect("written");
        let _ = fs::remove_file(&bundle);
        let make = [
            "bundle",
            "make",
            "--data-dir",
            self.data(),
            "--inputs",
            "--out",
            &bundle,
        ];
        succeed(&[&make[..], more].concat());
        bundle
    }

    /// Verifies and replays; the report, whose acceptance and exit code agree.
    fn verify(&self, bundle: &str, more: &[&str], environment: &[(&str, &str)]) -> Value {
        let policy = self.at("policy.txt");
        let verify = ["verify", bundle, "--policy", &policy, "--json", "--replay"];
        let mut command = command(&[&verify[..], more].concat());
        report(command.envs(environment.iter().copied()))
    }
}

fn report(command: &mut std::process::Command) -> Value {
    let out = command.output().expect("it runs");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| {
        panic!(
            "{e}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        )
    });
    assert_eq!(report["accepted"] == true, out.status.code() == Some(0), "{report}");
    report
}

fn replayed(report: &Value) -> (&str, &str) {
    let level = &report["levels"]["REPLAYED"];
    (
        level["verdict"].as_str().expect("a verdict"),
        level["reason"].as_str().unwrap_or_default(),
    )
}

fn passes(report: &Value) {
    assert_eq!(replayed(report), ("PASS", ""), "{report}");
    assert_eq!(report["accepted"], true, "{report}");
}

fn plugins() -> String {
    tapline().with_file_name("plugins").to_str().expect("plain").to_owned()
}

/// The two-node recording with the empty room learned on the way: from the first cycle and from the middle, with the
/// plugins' best build and with the one for every CPU, with AVX2 and FMA hidden, and on the box itself.
#[test]
fn a_bundle_replays_bit_for_bit() {
    let Some(recording) = recording("esp32-two-node/pretrain-1775182186.csi.jsonl") else {
        return;
    };
    let session = Session::new();
    let recording = recording.to_str().expect("plain");
    replay(&[recording, "--calibrate-first", "20s", "--data-dir", session.data()]);
    let whole = session.bundle(&["--to", "1100"]);
    let report = session.verify(&whole, &["--plugins", &plugins()], &[]);
    passes(&report);
    let rerun = &report["replay"];
    // All but GENESIS, BOOT, the order to learn and the calibration that came of it.
    assert_eq!(rerun["count"], 1_096, "{rerun}");
    assert!(rerun["states"].as_u64() >= Some(5), "{rerun}");
    assert_eq!(rerun["profile"], "ieee-strict-1");

    let middle = session.bundle(&["--from", "700", "--to", "1000"]);
    let report = session.verify(&middle, &["--plugins", &plugins(), "--cpu", "baseline"], &[MASKED]);
    passes(&report);
    assert_eq!(
        (&report["replay"]["from"], &report["replay"]["cpu"]),
        (&512.into(), &"baseline".into())
    );
    assert!(report["replay"]["count"].as_u64() > Some(450), "{report}");

    // Without the plugins nothing is said, and what is missing is named.
    let report = session.verify(&middle, &[], &[]);
    let (verdict, reason) = replayed(&report);
    assert!(
        verdict == "NOT_CHECKED" && reason.contains("cir-fft") && reason.contains("--plugins"),
        "{report}"
    );
    let empty = session.at("empty");
    fs::create_dir(&empty).expect("a directory");
    let report = session.verify(&middle, &["--plugins", &empty], &[]);
    let (verdict, reason) = replayed(&report);
    assert!(verdict == "NOT_CHECKED" && reason.contains("cir-fft.so"), "{report}");
    // Nor with other code under the same name.
    for plugin in ["cir-fft.so", "tomography.so", "tracker.so"] {
        let mut bytes = fs::read(Path::new(&plugins()).join(plugin)).expect("a plugin");
        if plugin == "tracker.so" {
            *bytes.last_mut().expect("a byte") ^= 1;
        }
        fs::write(Path::new(&empty).join(plugin), bytes).expect("written");
    }
    let report = session.verify(&middle, &["--plugins", &empty], &[]);
    let (verdict, reason) = replayed(&report);
    assert!(verdict == "NOT_CHECKED" && reason.contains("tracker.so"), "{report}");

    let on_the_box = [
        "verify",
        "--data-dir",
        session.data(),
        "--replay",
        "--plugins",
        &plugins(),
        "--from",
        "2000",
        "--json",
    ];
    let report = report_of(&on_the_box);
    assert_eq!(replayed(&report), ("PASS", ""), "{report}");
    assert!(report["replay"]["count"].as_u64() > Some(300), "{report}");
}

fn report_of(arguments: &[&str]) -> Value {
    let out = run(arguments);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)))
}

/// A served session whose plugin panicked and was replaced: the panic happens again, the recovery is obeyed, and every bit
/// comes out. With the plugin gone nothing is said.
#[test]
fn a_served_session_with_a_recovery_replays() {
    let session = Session::new();
    let manifest = bad("bad-panic-in-call", session.directory.path());
    let config = scene_config("demo", session.directory.path());
    let server = Server::start_with(
        &config,
        &session.data,
        &["--manifest", manifest.to_str().expect("plain")],
    );
    let room = Room::start("demo", server.udp);
    until("a stage that took over", || {
        let answer = server.query("{ cycle { stages { stage disposition } } plugins { name state } }");
        let has = |list: &Value, a: (&str, &str), b: (&str, &str)| {
            list.as_array()
                .expect("a list")
                .iter()
                .any(|p| p[a.0] == a.1 && p[b.0] == b.1)
        };
        has(&answer["plugins"], ("name", "cir-fft"), ("state", "ACTIVE"))
            && has(&answer["cycle"]["stages"], ("stage", "cir"), ("disposition", "RAN"))
    });
    drop(room);
    server.stop();
    let bundle = session.bundle(&[]);
    let here = session.directory.path().to_str().expect("plain").to_owned();
    let report = session.verify(&bundle, &["--plugins", &here], &[]);
    passes(&report);
    fs::remove_file(session.at("bad-panic-in-call.so")).expect("it is there");
    let report = session.verify(&bundle, &["--plugins", &here], &[]);
    let (verdict, reason) = replayed(&report);
    assert!(
        verdict == "NOT_CHECKED" && reason.contains("bad-panic-in-call.so"),
        "{report}"
    );
}

/// A plugin that passes its golden vectors and drifts later: the log is sound, and the replay says where it lies.
#[test]
fn a_plugin_that_drifts_does_not_replay() {
    let session = Session::new();
    let manifest = bad("bad-drifts-later", session.directory.path());
    let config = scene_config("demo", session.directory.path());
    session.record();
    replay(&[
        &session.at("demo.jsonl"),
        "--config",
        config.to_str().expect("plain"),
        "--manifest",
        manifest.to_str().expect("plain"),
        "--data-dir",
        session.data(),
    ]);
    let bundle = session.bundle(&["--to", "100"]);
    let here = session.directory.path().to_str().expect("plain").to_owned();
    let report = session.verify(&bundle, &["--plugins", &here], &[]);
    let (verdict, reason) = replayed(&report);
    assert_eq!(verdict, "FAIL", "{report}");
    assert_eq!(report["levels"]["INTEGRITY"]["verdict"], "PASS", "{report}");
    let difference = &report["replay"]["difference"];
    assert_eq!(difference["stage"], "stage 5 cir", "{report}");
    assert!(
        difference["element"]
            .as_str()
            .is_some_and(|e| e.contains("digest of output")),
        "{report}"
    );
    assert_ne!(difference["expected"], difference["got"]);
    // Call 40 of the stage, counted from 0: the cycles before it came out.
    let (last, seq) = (
        &report["replay"]["cycles"][1],
        difference["seq"].as_u64().expect("a number"),
    );
    assert!(
        last.as_u64() == Some(seq - 1) && seq > 40 && reason.contains(&seq.to_string()),
        "{report}"
    );
}

/// Raw input that may not be given out is no failure and no pass; the box itself replays it.
#[test]
fn withheld_input_is_unavailable() {
    let session = Session::new();
    let config = scene_config("demo", session.directory.path());
    let text = fs::read_to_string(&config).expect("the configuration");
    let strict = text.replace("RawResearch", "PrivateHome");
    assert_ne!(text, strict, "the scene's mode is RawResearch");
    fs::write(&config, strict).expect("written");
    session.record();
    let config = config.to_str().expect("plain");
    replay(&[
        &session.at("demo.jsonl"),
        "--config",
        config,
        "--manifest",
        "linked",
        "--data-dir",
        session.data(),
    ]);
    let bundle = session.bundle(&["--from", "100", "--to", "300"]);
    let report = session.verify(&bundle, &[], &[]);
    let (verdict, reason) = replayed(&report);
    assert!(
        verdict == "NOT_CHECKED" && reason.contains("UNAVAILABLE(privacy)"),
        "{report}"
    );
    assert_eq!(report["accepted"], false);
    let report = report_of(&["verify", "--data-dir", session.data(), "--replay", "--json"]);
    assert_eq!(replayed(&report), ("PASS", ""), "{report}");

    // Asked for without raw input: unavailable too, for another reason.
    let plain = session.at("plain.wbundle");
    succeed(&[
        "bundle",
        "make",
        "--data-dir",
        session.data(),
        "--to",
        "50",
        "--out",
        &plain,
    ]);
    let (verdict, reason) = (session.verify(&plain, &[], &[]), "UNAVAILABLE(privacy)");
    assert!(replayed(&verdict).1.contains(reason), "{verdict}");
}
