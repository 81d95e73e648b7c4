//! `cargo xtask e2e`: the live page in a real browser, on the real server and its simulated room (web/e2e). What a machine
//! lacks is SKIPPED and said; with `TAPLINE_E2E=required`, as in CI, it is an error.

use std::path::Path;

use clap::Args;

use crate::{
    build,
    run::{root, run},
    web::{self, npm},
};

/// Names that Chromium has on this and other systems.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// What to run.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Make the README's pictures anew, and the numbers in docs/benchmarks/page.md
    #[arg(long)]
    update_pictures: bool,
    /// Optimised build
    #[arg(long)]
    release: bool,
    /// Further arguments of `playwright test`, for example `room`
    #[arg(last = true)]
    more: Vec<String>,
}

/// Builds, then runs the tests of the page.
pub(crate) fn e2e(options: &Options) -> Result<(), String> {
    let built = build::build(options.release)?;
    tests(options, &built.tapline)
}

/// Runs the tests of the page on what was built.
pub(crate) fn tests(options: &Options, tapline: &Path) -> Result<(), String> {
    let browser = match tools() {
        Ok(browser) => browser,
        Err(why) if std::env::var_os("TAPLINE_E2E").is_some_and(|v| v == "required") => {
            return Err(format!("the page cannot be tested: {why}"));
        }
        Err(why) => {
            println!("==> live page in a browser: SKIPPED: {why}");
            return Ok(());
        }
    };
    let mut command = npm(&root().join("web"));
    command
        .args(["run", "--silent", "e2e", "--"])
        .args(&options.more)
        .env("TAPLINE_PROGRAM", tapline)
        .env("TAPLINE_CHROMIUM", browser);
    if options.update_pictures {
        command.env("TAPLINE_UPDATE_PICTURES", "1");
    }
    run("live page in a browser", &mut command)
}

/// The browser, when everything else is there, too.
fn tools() -> Result<String, String> {
    web::node()?;
    if !root().join("web/page/dist/index.html").is_file() {
        return Err("the page was not built".to_owned());
    }
    if let Ok(named) = std::env::var("TAPLINE_CHROMIUM") {
        return Ok(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|directory| BROWSERS.map(|name| directory.join(name)))
        .find(|program| program.is_file());
    found
        .map(|program| program.to_string_lossy().into_owned())
        .ok_or_else(|| "there is no Chromium here (Debian: `apt install chromium`)".to_owned())
}
