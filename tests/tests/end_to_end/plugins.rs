//! Plugins that fail in a running server.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tapline_tests::{Room, Server, scene_config, succeed, tapline};

/// A directory with a bad `cir` plugin beside the good ones of the other stages, and its manifest.
fn bad(plugin: &str, directory: &Path) -> PathBuf {
    let built = tapline();
    let (library, plugins) = (built.with_file_name(""), built.with_file_name("plugins"));
    let copy = |from: PathBuf, to: &str| {
        fs::copy(&from, directory.join(to))
            .unwrap_or_else(|e| panic!("{}: {e}; cargo build --workspace", from.display()));
    };
    copy(
        library.join(format!("lib{}.so", plugin.replace('-', "_"))),
        &format!("{plugin}.so"),
    );
    for good in ["tomography.so", "tracker.so"] {
        copy(plugins.join(good), good);
    }
    let manifest = directory.join("manifest.toml");
    let (dir, out) = (directory.to_str().expect("plain"), manifest.to_str().expect("plain"));
    succeed(&["manifest", "build", "--dir", dir, "--cir", plugin, "--out", out]);
    manifest
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "a minute passed without {what}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn leaves(data: &Path) -> u64 {
    let text = succeed(&["fsck", data.to_str().expect("a plain path"), "--json"]);
    let report: serde_json::Value = serde_json::from_str(text.trim()).expect("JSON");
    report["leaves"].as_u64().expect("a number")
}

/// A plugin that panics costs its stage some cycles: the built-in one takes over under a new manifest, the log has a
/// leaf about it and checks.
#[test]
fn a_plugin_that_panics_is_replaced_while_the_server_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let manifest = bad("bad-panic-in-call", directory.path());
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let server = Server::start_with(&config, &data, &["--manifest", manifest.to_str().expect("plain")]);
    let before = server.query("{ manifest { hash } }");
    let room = Room::start("demo", server.udp);
    until("a stage that took over", || {
        let plugins = server.query("{ plugins { name state } }");
        let all = plugins["plugins"].as_array().expect("a list");
        all.iter().any(|p| p["name"] == "cir-fft" && p["state"] == "ACTIVE")
    });
    assert_ne!(server.query("{ manifest { hash } }"), before);
    until("a cycle whose CIR ran", || {
        let answer = server.query("{ cycle { stages { stage disposition } } }");
        let stages = answer["cycle"]["stages"].as_array().expect("a list");
        stages.iter().any(|s| s["stage"] == "cir" && s["disposition"] == "RAN")
    });
    drop(room);
    server.stop();
    leaves(&data);
}

/// A plugin that aborts takes the process along. What was published is in the log, the log checks, and the next
/// start goes on with it.
#[test]
fn the_log_survives_a_plugin_that_aborts() {
    let directory = tempfile::tempdir().expect("a directory");
    let manifest = bad("bad-abort-in-call", directory.path());
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let mut server = Server::start_with(&config, &data, &["--manifest", manifest.to_str().expect("plain")]);
    let room = Room::start("demo", server.udp);
    let mut published = 0;
    until("the end of the process", || {
        if let Some(note) = server.get("/checkpoint")
            && let Some(size) = note
                .split("\r\n\r\n")
                .nth(1)
                .and_then(|n| n.lines().nth(1)?.parse::<u64>().ok())
        {
            published = size;
        }
        server.has_ended()
    });
    drop(room);
    assert!(published > 0, "nothing was published before the process ended");
    let kept = leaves(&data);
    assert!(kept >= published, "{kept} leaves after a checkpoint of {published}");
    let server = Server::start(&config, &data);
    server.stop();
    assert!(leaves(&data) > kept);
}
