//! From a recording to a bundle that two independent verifiers accept, and one flipped bit that neither does.

use std::{fs, process::Command};

use tapline_tests::{recording, replay, root, run, succeed};

/// The two-node recording; `cargo xtask` has the long one.
#[test]
fn a_bundle_of_a_recording_verifies_in_rust_and_in_python() {
    let Some(recording) = recording("esp32-two-node/pretrain-1775182186.csi.jsonl") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("plain").to_owned();
    let (data, bundle, policy, state) = (path("data"), path("all.wbundle"), path("policy.txt"), path("seen.json"));
    let recording = recording.to_str().expect("plain");
    replay(&[recording, "--manifest", "linked", "--data-dir", &data]);
    fs::write(&policy, succeed(&["bundle", "policy", "--data-dir", &data])).expect("written");
    succeed(&["bundle", "make", "--data-dir", &data, "--out", &bundle]);

    // A state file that is not there remembers nothing, and says so.
    let against_state = ["verify", &bundle, "--policy", &policy, "--state", &state, "--json"];
    assert_eq!(run(&against_state).status.code(), Some(1));
    let ours = succeed(&[&against_state[..], &["--first-seen"]].concat());
    let ours: serde_json::Value = serde_json::from_str(&ours).expect("JSON");
    assert_eq!(ours["accepted"], true, "{ours}");
    assert!(ours["cycles_opened"].as_u64() > Some(2_000), "{ours}");
    // Nothing was replayed, and nothing says so.
    assert_eq!(ours["levels"]["REPLAYED"]["verdict"], "NOT_CHECKED");
    assert_eq!(ours["levels"]["CONSISTENT"]["verdict"], "NOT_CHECKED");
    // The state file remembers, and the same log continues itself.
    succeed(&against_state);

    let mut bytes = fs::read(&bundle).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let bad = path("bad.wbundle");
    fs::write(&bad, &bytes).expect("written");
    assert_eq!(run(&["verify", &bad, "--policy", &policy]).status.code(), Some(1));
    assert_eq!(
        run(&["verify", &path("none"), "--policy", &policy]).status.code(),
        Some(2)
    );

    let python = |bundle: &str| {
        Command::new("python3")
            .arg(root().join("tools/verify.py"))
            .args([bundle, "--policy", &policy, "--json"])
            .output()
    };
    // A small one: the second verifier is plain Python.
    let small = path("small.wbundle");
    succeed(&[
        "bundle",
        "make",
        "--data-dir",
        &data,
        "--from",
        "300",
        "--to",
        "310",
        "--out",
        &small,
    ]);
    let Ok(theirs) = python(&small) else {
        return;
    };
    let theirs: serde_json::Value = serde_json::from_slice(&theirs.stdout).expect("JSON");
    let ours = succeed(&["verify", &small, "--policy", &policy, "--json"]);
    let ours: serde_json::Value = serde_json::from_str(&ours).expect("JSON");
    assert_eq!(theirs["accepted"], true, "{theirs}");
    for field in ["root", "size", "leaves", "cycles_opened"] {
        assert_eq!(theirs[field], ours[field], "{field}");
    }
}
