//! Half an hour of cycles in virtual time: what forgets, prunes and adds up while it runs. A program of its own, so that it takes
//! no core from tests that run in real time.

use tapline_tests::{recording, root, run, succeed};

#[test]
fn thirty_minutes_prune_add_up_and_do_not_grow() {
    let Some(recording) = recording("esp32-two-node/pretrain-1775182186.csi.jsonl") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.json");
    let config = root().join("config.example.toml");
    let text = |path: &std::path::Path| path.display().to_string();
    succeed(&[
        "soak",
        "--config",
        &text(&config),
        "--site",
        "two-node-room",
        "--manifest",
        "linked",
        "--recording",
        &text(&recording),
        "--hours=0.5",
        "--keep-minutes=5",
        "--raw-minutes=2",
        "--report",
        &text(&report),
    ]);
    let of = |path: &std::path::Path| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut said = of(&report);
    let soak = &said["soak"];
    assert_eq!(
        (soak["cycles"].as_u64(), soak["chain"].as_str()),
        (Some(36_000), Some("verified"))
    );
    assert!(soak["minimum_index"].as_u64() > Some(20_000), "{soak}");
    // Every minute and the kept seconds are what the cycles add up to.
    let windows = &soak["recounted"]["windows"];
    assert!(
        windows[0].as_u64() > Some(200) && windows[1].as_u64() > Some(25),
        "{windows}"
    );
    assert!(soak["counted_wrong"].is_null());
    // A report is its own equal, and one whose presence is another is not.
    let compare = |a: &str, b: &str| run(&["soak", "--compare", a, b]);
    assert!(compare(&text(&report), &text(&report)).status.success());
    said["summary"]["presence_ratio"] = serde_json::json!(0.01);
    said["summary"]["confidence_mean"] = serde_json::json!(123.0);
    let other = directory.path().join("other.json");
    std::fs::write(&other, said.to_string()).unwrap();
    let compared = compare(&text(&report), &text(&other));
    assert_eq!(compared.status.code(), Some(1), "{compared:?}");
}
