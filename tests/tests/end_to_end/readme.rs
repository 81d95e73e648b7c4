//! README: every command in it is run by a test.

use tapline_tests::root;

/// Commands of README.md, and where each is run.
const COMMANDS: [(&str, &str); 6] = [
    ("cargo xtask demo", "this file"),
    ("cargo xtask test", "CI: it runs this test"),
    ("cargo xtask build", "the first step of `cargo xtask test`"),
    ("target/debug/tapline config check config.example.toml", "replay.rs"),
    (
        "target/debug/tapline replay RECORDING --calibrate-first 30s --out poses.jsonl",
        "replay.rs",
    ),
    ("target/debug/tapline serve --config config.example.toml", "live.rs"),
];

#[test]
fn every_command_is_known() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
            continue;
        }
        if inside {
            assert!(
                COMMANDS.iter().any(|(command, _)| *command == line),
                "{line:?} is not run by any test: add it to readme.rs"
            );
        }
    }
}

/// The demo starts, streams and stops by itself when told to.
#[test]
fn the_demo_runs() {
    let mut demo = std::process::Command::new(env!("CARGO"));
    demo.current_dir(root()).args([
        "xtask",
        "demo",
        "--scene",
        "two-crossing",
        "--seconds",
        "4",
        "--port",
        "18431",
        "--udp-port",
        "18432",
    ]);
    let out = demo.output().expect("cargo starts");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert!(said.contains("http://127.0.0.1:18431/graphiql"), "{said}");
    // The scene has 40 empty seconds of its own.
    assert!(
        said.contains("two-crossing") && said.contains("somebody comes after 40 s"),
        "{said}"
    );
}
