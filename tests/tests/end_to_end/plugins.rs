//! Plugins that fail in a running server.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tapline_server::store::reader::Reader;
use tapline_tests::{Room, Server, command, replay, scene_config, succeed, tapline};
use tapline_witness::{
    body::{Body, ShutdownReason, SwapResult, swap_reason},
    leaf::decode,
};

use crate::recorded::cycles;

/// A directory with a bad `cir` plugin beside the good ones of the other stages, and its manifest.
pub(crate) fn bad(plugin: &str, directory: &Path) -> PathBuf {
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

pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
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

/// A plugin that panics costs its stage some cycles and the server none: the built-in one takes over under a new manifest,
/// and a ROLLED_BACK leaf says why. The capture of it all replays to the same outcomes as long as the plugin is there, and
/// says what is missing when it is not.
#[test]
fn a_plugin_that_panics_is_replaced_while_the_server_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let manifest = bad("bad-panic-in-call", directory.path());
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let manifest = manifest.to_str().expect("plain");
    let at = |name: &str| directory.path().join(name).to_str().expect("plain").to_owned();
    let arguments = ["--manifest", manifest, "--capture", &at("run.tlc")];
    let server = Server::start_with(&config, &data, &arguments);
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
    let missed = server.query("{ health { missedTicks } }");
    server.stop();
    let count = leaves(&data);

    let (mut swaps, mut ticks, mut end) = (Vec::new(), Vec::new(), None);
    for bytes in Reader::open(&data)
        .expect("a store")
        .leaves(0, count)
        .expect("its leaves")
    {
        let leaf = decode(&bytes).expect("a good leaf");
        end = Some(leaf.body.clone());
        match leaf.body {
            Body::Swap(swap) => swaps.push(swap),
            Body::Cycle(cycle) => ticks.push((leaf.header.tick, cycle.manifest_hash)),
            _ => {}
        }
    }
    let stopped = matches!(&end, Some(Body::Shutdown(s)) if s.reason == ShutdownReason::Requested);
    assert!(stopped, "SIGTERM ends with a SHUTDOWN leaf, found {end:?}");
    // On a busy machine another stage may really be late afterwards, and be replaced too.
    let swap = &swaps[0];
    let until = swaps.get(1).map_or(u64::MAX, |next| next.effective_tick);
    assert_eq!((swap.result, swap.reason), (SwapResult::RolledBack, swap_reason::PANIC));
    for (tick, manifest) in ticks.iter().filter(|(tick, _)| *tick < until) {
        assert_eq!(
            *manifest == swap.new_manifest_hash,
            *tick >= swap.effective_tick,
            "{tick}"
        );
    }
    // The machine of a test may miss ticks by itself, and then anywhere; what may not be is that the recovery costs one.
    let last = ticks.last().expect("cycles").0;
    let held_up = (swap.effective_tick.saturating_sub(3)..=last.min(swap.effective_tick + 3))
        .filter(|tick| !ticks.iter().any(|(t, _)| t == tick))
        .count();
    let missed = missed["health"]["missedTicks"].as_u64().expect("a number");
    assert!(
        held_up == 0 || missed > held_up as u64,
        "{held_up} of {missed} missed ticks"
    );

    let config = config.to_str().expect("plain");
    let (run, again) = (at("run.tlc"), at("again"));
    let all = [&run, "--config", config, "--manifest", manifest, "--data-dir", &again];
    let summary = replay(&all);
    let last = swaps.last().expect("the first").new_manifest_hash;
    assert_eq!(summary["manifest_hash"], hex::encode(last));
    let (live, again) = (cycles(&data), cycles(Path::new(&again)));
    assert_eq!(live.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
    for (tick, was) in &live {
        assert!(was.outcome == again[tick].outcome, "outcome of tick {tick}");
    }

    fs::remove_file(directory.path().join("bad-panic-in-call.so")).expect("it is there");
    let out = command(&["replay", "--config", config, "--manifest", manifest, &run])
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{error}");
    assert!(
        error.contains("cannot be replayed as it was recorded") && error.contains("bad-panic-in-call.so"),
        "{error}"
    );
    // With other code, when that is wanted.
    replay(&["--as-configured", "--config", config, "--manifest", "linked", &run]);
}

/// A plugin that aborts takes the process along. What was published is in the log, the log checks, and the next
/// start goes on with it.
#[test]
fn the_log_survives_a_plugin_that_aborts() {
    the_log_survives("bad-abort-in-call", SIGABRT);
}

/// The same of one that writes where nothing is.
#[test]
fn the_log_survives_a_plugin_that_corrupts_memory() {
    the_log_survives("bad-null-in-call", SIGSEGV);
}

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

fn the_log_survives(plugin: &str, signal: i32) {
    let directory = tempfile::tempdir().expect("a directory");
    let manifest = bad(plugin, directory.path());
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let manifest = manifest.to_str().expect("plain");
    let mut published = 0;
    // On a busy machine the stage may be late before its forty-first call, and is then replaced: once more.
    let ended_by = (0..5).find_map(|_| {
        let mut server = Server::start_with(&config, &data, &["--manifest", manifest]);
        let room = Room::start("demo", server.udp);
        until("the end of the process", || {
            if let Some(note) = server.get("/checkpoint")
                && let Some(size) = note
                    .split("\r\n\r\n")
                    .nth(1)
                    .and_then(|n| n.lines().nth(1)?.parse::<u64>().ok())
            {
                published = size;
            }
            let replaced = server
                .get("/v1/plugins/swap/latest")
                .is_some_and(|a| a.contains("RECOVERY"));
            server.has_ended() || replaced
        });
        drop(room);
        server.ended_by()
    });
    assert_eq!(ended_by, Some(signal));
    assert!(published > 0, "nothing was published before the process ended");
    let kept = leaves(&data);
    assert!(kept >= published, "{kept} leaves after a checkpoint of {published}");
    let server = Server::start(&config, &data);
    server.stop();
    assert!(leaves(&data) > kept);
}
