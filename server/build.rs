//! Says when the page has changed: an optimised build holds its files (`api/page.rs`), a debug build reads them. And what
//! compiles this, for the BOOT leaf (`run/environment.rs`).

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    let optimised = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!(
        "cargo::rerun-if-changed={}",
        if optimised { "../web/page" } else { "build.rs" }
    );
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let rustc = std::process::Command::new(variable("RUSTC")).arg("-V").output();
    let version = rustc.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    println!("cargo::rustc-env=TAPLINE_RUSTC={}", version.unwrap_or_default());
    println!("cargo::rustc-env=TAPLINE_TARGET={}", variable("TARGET"));
    println!(
        "cargo::rustc-env=TAPLINE_FLAGS={} opt-level={} features={}",
        variable("PROFILE"),
        variable("OPT_LEVEL"),
        variable("CARGO_CFG_TARGET_FEATURE")
    );
}
