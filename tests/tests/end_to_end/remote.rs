//! Commands that speak to a running server: plugins exchanged, bundles downloaded.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tapline_tests::{Room, Server, command, root, run, scene_config, succeed, tapline};

use crate::plugins::until;

/// Runs to the end with this on standard input.
fn answered(arguments: &[&str], answer: &str) -> (Option<i32>, String, String) {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // One that asks nothing may have ended.
    let _ = stdin.write_all(answer.as_bytes());
    drop(stdin);
    said(&child.wait_with_output().expect("it ends"))
}

fn said(out: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The comparison is shown and then it is asked; no is no, yes is the manifest that `plugin prove` announced; and back.
#[test]
fn a_plugin_is_exchanged_from_the_command_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let plugins = tapline().with_file_name("plugins");
    let manifest = plugins.join("manifest.toml");
    let manifest = manifest.to_str().expect("plain");
    let server = Server::start_with(&config, &directory.path().join("data"), &["--manifest", manifest]);
    let _room = Room::start("demo", server.udp);
    let hash = || server.query("{ manifest { hash } }")["manifest"]["hash"].clone();
    let first = hash();

    let library = plugins.join("tomography.so");
    let table = directory.path().join("table.toml");
    fs::write(&table, "max-age-s = 3.0\n").expect("a table");
    let (library, table) = (library.to_str().expect("plain"), table.to_str().expect("plain"));
    let config = config.to_str().expect("plain");
    let proved = [
        "plugin", "prove", library, "--config", config, "--table", table, "--json",
    ];
    let proved = json(&succeed(&proved));
    assert_eq!(proved["manifest"]["old"], first);
    assert_eq!(proved["golden"]["old"], proved["golden"]["new"], "the same code");
    assert_eq!(proved["golden"]["differing"], serde_json::json!([]));

    let to = server.http.to_string();
    let swap = [
        "plugin",
        "swap",
        "--server",
        &to,
        "tomography",
        "tomography",
        "--table",
        table,
        "--shadow-cycles",
        "10",
    ];
    let (code, out, err) = answered(&swap, "n\n");
    assert_eq!((code, hash()), (Some(1), first.clone()), "{out}{err}");
    for wanted in [
        "COMPARED",
        "golden vectors: ",
        "tomography   10/10",
        "manifest_hash: ",
        "REJECTED     an operator",
    ] {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
    assert!(err.contains("Let it take over? [y/N]"), "{err}");
    let (code, out, err) = answered(&swap, "y\n");
    assert_eq!(
        (code, hash()),
        (Some(0), proved["manifest"]["new"].clone()),
        "{out}{err}"
    );
    assert!(out.contains("COMMITTED") && out.contains("APPLIED"), "{out}");

    let (code, out, err) = answered(&["plugin", "rollback", "--server", &to, "tomography", "--json"], "");
    assert_eq!(code, Some(0), "{out}{err}");
    let back = json(&out);
    assert_eq!(
        (&back["phase"], &back["reason"]),
        (&"ROLLED_BACK".into(), &"OPERATOR".into())
    );
    assert!(
        ![first, proved["manifest"]["new"].clone()].contains(&hash()),
        "a third hash"
    );

    let (code, out, _) = answered(
        &["plugin", "swap", "--server", &to, "--yes", "--json", "cir", "no-such"],
        "",
    );
    assert_eq!((code, &json(&out)["phase"]), (Some(1), &"REJECTED".into()), "{out}");
    let (code, _, err) = answered(&["plugin", "swap", "--server", "127.0.0.1:1", "--yes", "cir", "x"], "");
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot reach 127.0.0.1:1"), "{err}");

    let saved = directory.path().join("before.toml");
    fs::write(
        &saved,
        server.query("{ manifest { text } }")["manifest"]["text"]
            .as_str()
            .expect("text"),
    )
    .expect("a file");
    let diff = ["manifest", "diff", "--json", manifest, saved.to_str().expect("plain")];
    let (code, out, err) = said(&run(&diff));
    assert_eq!(code, Some(1), "{err}");
    let diff = json(&out);
    assert_eq!((&diff["same"], &diff["new"]["hash"]), (&Value::Bool(false), &hash()));
    let changed: Vec<_> = diff["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| &c["what"])
        .collect();
    assert_eq!(changed, ["manifest_hash", "generation"], "what runs is what ran first");
    server.stop();
}

/// A line to the server that breaks after so many bytes of its first answer.
fn bad_line(to: SocketAddr, first: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let mut limit = Some(first);
        for client in listener.incoming() {
            let (mut client, mut server) = (client.expect("a client"), TcpStream::connect(to).expect("the server"));
            let mut question = client.try_clone().expect("a handle");
            let mut forth = server.try_clone().expect("a handle");
            std::thread::spawn(move || std::io::copy(&mut question, &mut forth));
            // Either end may be gone.
            let _ = match limit.take() {
                Some(limit) => std::io::copy(&mut Read::by_ref(&mut server).take(limit as u64), &mut client),
                None => std::io::copy(&mut server, &mut client),
            };
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    });
    address
}

/// The line breaks in the middle and the log grows on: what comes out is one whole bundle of the first head, which both
/// verifiers accept, and which is not written over. Then the log's key is exchanged under it.
#[test]
fn a_bundle_is_fetched_over_a_bad_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let server = Server::start(&config, &data);
    let _room = Room::start("demo", server.udp);
    until("sixty published leaves", || {
        let note = server.get("/checkpoint").unwrap_or_default();
        let size = note
            .split("\r\n\r\n")
            .nth(1)
            .and_then(|n| n.lines().nth(1)?.parse::<u64>().ok());
        size.is_some_and(|size| size > 60)
    });
    let bad = bad_line(server.http, 20_000).to_string();
    let file = directory.path().join("x.wbundle");
    let out = file.to_str().expect("plain");
    let fetch = [
        "bundle", "fetch", "--server", &bad, "--from", "0", "--to", "50", "--out", out,
    ];
    let (code, told, err) = said(&run(&fetch));
    assert_eq!(code, Some(0), "{told}{err}");
    assert!(err.contains("going on from byte"), "{err}");
    assert!(told.contains(&format!("tapline verify {out} --policy")), "{told}");
    let fetched = fs::read(&file).expect("it is there");
    let (code, _, err) = said(&run(&fetch));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("is not overwritten"), "{err}");
    assert_eq!(fs::read(&file).expect("it is there"), fetched);

    let before = policy_of(&data, &directory.path().join("before.txt"));
    let report = json(&succeed(&["verify", out, "--policy", &before, "--json"]));
    assert_eq!(
        (&report["accepted"], &report["cycles_opened"]),
        (&true.into(), &47.into()),
        "GENESIS, BOOT, RETENTION_POLICY are none"
    );
    assert_eq!(python(out, &before), Some(0));

    // The log key is exchanged. While both sign, the policy of before is enough; then the new one is needed.
    let to = server.http.to_string();
    let lines = || {
        server
            .get("/checkpoint")
            .unwrap_or_default()
            .matches("\u{2014} ")
            .count()
    };
    let key = |verb: &str| succeed(&["key", verb, "--server", &to]);
    let fetched = |name: &str| {
        let file = directory.path().join(name).to_str().expect("plain").to_owned();
        succeed(&[
            "bundle", "fetch", "--server", &to, "--from", "20", "--to", "50", "--out", &file,
        ]);
        file
    };
    let verified = |file: &str, policy: &str| run(&["verify", file, "--policy", policy]).status.code();
    let new = key("rotate").lines().next().expect("the key").to_owned();
    until("a checkpoint that both keys sign", || lines() == 3);
    let between = fetched("between");
    assert_eq!(
        (verified(&between, &before), python(&between, &before)),
        (Some(0), Some(0))
    );
    let again = run(&["key", "rotate", "--server", &to]);
    assert!(!again.status.success(), "a third key");
    key("retire");
    until("a checkpoint that only the new key signs", || lines() == 2);
    let after = fetched("after");
    assert_eq!((verified(&after, &before), python(&after, &before)), (Some(1), Some(1)));
    let keys = json(&succeed(&["key", "list", "--server", &to, "--json"]));
    assert_eq!(keys["signingKeys"][2]["vkey"], new.as_str());
    let file = directory.path().join("after.txt");
    fs::write(&file, keys["witnessPolicy"].as_str().expect("a policy")).expect("a file");
    let now = file.to_str().expect("plain");
    assert_eq!((verified(&after, now), python(&after, now)), (Some(0), Some(0)));
    server.stop();
    let files = fs::read_dir(data.join("keys")).expect("the keys").count();
    assert_eq!(files, 2, "the retired key is erased");
    assert_eq!(
        fs::read_to_string(policy_of(&data, &directory.path().join("end.txt"))).expect("it"),
        fs::read_to_string(now).expect("it")
    );
    succeed(&["fsck", data.to_str().expect("plain")]);
}

/// The policy that a data directory gives, in a file.
fn policy_of(data: &Path, file: &Path) -> String {
    let text = succeed(&["bundle", "policy", "--data-dir", data.to_str().expect("plain")]);
    fs::write(file, text).expect("a policy");
    file.to_str().expect("plain").to_owned()
}

/// Exit code of the second verifier.
fn python(bundle: &str, policy: &str) -> Option<i32> {
    let mut python = Command::new("python3");
    python
        .arg(root().join("tools/verify.py"))
        .args([bundle, "--policy", policy]);
    python.output().expect("python3").status.code()
}
