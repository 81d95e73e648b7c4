//! A log whose key was stolen is ended on the command line, and the one that takes over is served and verified.

use std::{fs, path::Path, process::Command, time::Duration};

use tapline_tests::{Server, root, run, scene_config, succeed};

/// Serves a data directory until it has logged some cycles.
fn serve(config: &Path, data: &str) {
    let server = Server::start(config, Path::new(data));
    std::thread::sleep(Duration::from_secs(3));
    server.stop();
}

/// Whether the program and tools/verify.py accept a bundle; the program alone where there is no Python.
fn accepted(bundle: &str, policy: &str) -> bool {
    let ours = run(&["verify", bundle, "--policy", policy]).status.code();
    let theirs = Command::new("python3")
        .arg(root().join("tools/verify.py"))
        .args([bundle, "--policy", policy])
        .output();
    if let Ok(theirs) = theirs {
        let said = String::from_utf8_lossy(&theirs.stdout);
        assert_eq!(theirs.status.code() == Some(0), ours == Some(0), "{said}");
    }
    ours == Some(0)
}

#[test]
fn a_log_is_ended_and_the_next_takes_over_on_the_command_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("plain").to_owned();
    let (old, new) = (path("old"), path("new"));
    let config = scene_config("empty-room", directory.path());
    serve(&config, &old);
    let ended = ["key", "succeed", "--data-dir", &old, "--new-data-dir", &new];
    let said = succeed(&ended);
    assert!(
        said.contains("is frozen at size") && said.contains("takes over from it"),
        "{said}"
    );
    // Done again, it says the same of the end.
    let first_line = |text: &str| text.lines().next().map(str::to_owned);
    assert_eq!(first_line(&succeed(&ended)), first_line(&said));

    let config_name = config.to_str().expect("plain");
    let refused = run(&["serve", "--config", config_name, "--data-dir", &old]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("frozen"), "{why}");
    serve(&config, &new);

    for (name, data) in [("old", &old), ("new", &new)] {
        let (bundle, policy) = (path(&format!("{name}.wbundle")), path(&format!("{name}.policy")));
        fs::write(&policy, succeed(&["bundle", "policy", "--data-dir", data])).expect("written");
        let make = [
            "bundle",
            "make",
            "--data-dir",
            data,
            "--from",
            "10",
            "--to",
            "20",
            "--out",
            &bundle,
        ];
        succeed(&make);
        assert!(accepted(&bundle, &policy), "{name}");
        let mut bytes = fs::read(&bundle).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&bundle, &bytes).expect("written");
        assert!(!accepted(&bundle, &policy), "{name}, one bit changed");
    }
    // What the one says is not taken for what the other says.
    let strange = path("strange.wbundle");
    let make = [
        "bundle",
        "make",
        "--data-dir",
        &new,
        "--from",
        "10",
        "--to",
        "20",
        "--out",
        &strange,
    ];
    succeed(&make);
    assert!(!accepted(&strange, &path("old.policy")), "the old log's policy");
}
