//! Rules of the house that the compiler does not hold.

use std::{fs, path::Path};

use crate::run::{output, root};

/// Calls that have no place on the witness path, and what to use instead (docs/numeric-profile.md).
const BANNED_NUMERICS: &[(&str, &str)] = &[
    (".mul_add(", "a * b + c"),
    (".powi(", "repeated multiplication"),
    (".powf(", "detmath::pow"),
    (".hypot(", "detmath::hypot"),
    (".to_radians(", "x * (PI / 180)"),
    (".to_degrees(", "x * (180 / PI)"),
    (".sin_cos(", "detmath::sin and detmath::cos"),
    (".sin()", "detmath::sin"),
    (".cos()", "detmath::cos"),
    (".exp()", "detmath::exp"),
    (".ln()", "detmath::ln"),
    (".log10()", "detmath::log10"),
    (".atan2(", "detmath::atan2"),
    (".tanh()", "detmath::tanh"),
    (".norm()", "detmath::hypot"),
    (".arg()", "detmath::atan2"),
    ("from_polar(", "detmath::cos and detmath::sin"),
    ("FftPlanner::new", "FftPlannerScalar"),
    ("par_iter", "the host's workers, results in index order"),
    ("HashMap", "BTreeMap"),
    ("Instant::now", "nothing: no stage reads a clock"),
    ("SystemTime", "nothing: no stage reads a clock"),
];

/// Words that stand for unfinished work.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"];

/// Where the numeric rules hold.
const WITNESS_PATH: &[&str] = &["dsp/src", "stages/src", "server/src/cycle", "server/src/world"];

/// Where the numeric rules hold but for the clock, which the driver of the cycle needs.
const CLOCK_ALLOWED: &[&str] = &["server/src/cycle"];

/// Walks the tracked sources.
pub(crate) fn tidy() -> Result<(), String> {
    println!("==> tidy");
    let listed = output(
        "git ls-files",
        std::process::Command::new("git").current_dir(root()).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]),
    )?;
    let mut found = Vec::new();
    for name in listed
        .lines()
        .filter(|n| Path::new(n).extension().is_some_and(|e| e == "rs"))
    {
        let Ok(text) = fs::read_to_string(root().join(name)) else {
            continue;
        };
        check(name, &text, &mut found);
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("tidy found {}:\n  {}", found.len(), found.join("\n  ")))
    }
}

fn check(name: &str, text: &str, found: &mut Vec<String>) {
    if name == "xtask/src/tidy.rs" {
        return;
    }
    let is_test = name.contains("tests");
    let numeric = WITNESS_PATH.iter().any(|p| name.starts_with(p)) && name != "dsp/src/detmath.rs" && !is_test;
    let clock = CLOCK_ALLOWED.iter().any(|p| name.starts_with(p));
    let mut in_tests = false;
    for (number, line) in text.lines().enumerate() {
        in_tests |= line.trim_start().starts_with("#[cfg(test)]");
        let code = line.split("//").next().unwrap_or_default();
        let mut report =
            |what: &str, instead: &str| found.push(format!("{name}:{}: `{what}`; use {instead}", number + 1));
        for word in UNFINISHED {
            if line.contains(word) {
                report(word, "finished work");
            }
        }
        if numeric && !in_tests {
            for (call, instead) in BANNED_NUMERICS {
                let is_clock = call.starts_with("Instant") || call.starts_with("SystemTime");
                if code.contains(call) && !(clock && is_clock) {
                    report(call, instead);
                }
            }
        }
        let unsafe_home = ["plugin-api/", "server/src/host/", "tests/", "server/tests/"]
            .iter()
            .any(|p| name.starts_with(p));
        let is_unsafe = code.contains("unsafe {")
            || code.contains("unsafe impl")
            || code.contains("unsafe fn")
            || code.contains("unsafe extern");
        if is_unsafe && !unsafe_home && !name.contains("/tests/") && !name.starts_with("benches/") {
            report("unsafe", "safe code: only plugin-api and server/host may contain it");
        }
    }
}
