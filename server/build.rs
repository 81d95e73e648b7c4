//! Says when the page has changed: an optimised build holds its files (`api/page.rs`), a debug build reads them.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    let optimised = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!(
        "cargo::rerun-if-changed={}",
        if optimised { "../web/page" } else { "build.rs" }
    );
}
