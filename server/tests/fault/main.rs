//! What the log survives: failing and killed system calls, torn writes, kills under load, a full disk, an old copy.
//!
//! Without a word for it this is a short form that `cargo test` runs; `cargo xtask fault` runs all of it. The program is
//! its own victim (`fault victim …`): a process that writes a log and is hurt. The oracles are `fsck`, the next start, and
//! that nothing a victim called published is missing.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, started by cargo"
)]

mod copied;
mod full;
mod kills;
mod oracle;
mod syscalls;
mod torn;
mod victim;

use std::{process::ExitCode, time::Instant};

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Everything; else a sample that takes seconds.
    full: bool,
    /// Random kills under load.
    kills: u32,
    /// Most torn images of each write; none for every sector.
    images: Option<usize>,
    /// Injections into each victim; none for every system call.
    injections: Option<usize>,
}

/// What a scenario did, in words, or what is wrong.
type Found = Result<String, String>;

type Scenario = fn(Extent) -> Found;

const SCENARIOS: [(&str, Scenario); 6] = [
    ("syscalls", syscalls::run),
    ("torn", torn::run),
    ("torn-checkpoint", torn::run_checkpoint),
    ("kills", kills::run),
    ("full", full::run),
    ("copied", copied::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "victim") {
        return victim::main(&arguments[1..]);
    }
    let full = arguments.iter().any(|word| word == "--full");
    let number = |flag: &str| {
        let value = arguments
            .iter()
            .find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
        value.map(|value| {
            value
                .parse()
                .unwrap_or_else(|_| panic!("{flag}: a number is needed, found {value}"))
        })
    };
    let extent = Extent {
        full,
        kills: number("--kills").unwrap_or(if full { 1000 } else { 8 }),
        images: number("--images").map(|images| images as usize),
        injections: number("--injections").map_or(if full { None } else { Some(12) }, |most| Some(most as usize)),
    };
    // `cargo test WORD` hands every test program its words; flags of the usual harness mean nothing here.
    let wanted: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let mut failed = 0;
    for (name, run) in SCENARIOS {
        if !wanted.is_empty()
            && !wanted
                .iter()
                .any(|word| name.contains(word.as_str()) || "fault".contains(word.as_str()))
        {
            continue;
        }
        let start = Instant::now();
        match run(extent) {
            Ok(found) => println!("fault {name}: {found} ({:.1} s)", start.elapsed().as_secs_f64()),
            Err(problem) => {
                println!("fault {name}: FAILED: {problem}");
                failed += 1;
            }
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Small numbers that look random and are the same in every run.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// Every element, or this many spread over them.
fn sample<T: Clone>(all: &[T], most: Option<usize>) -> Vec<T> {
    match most {
        Some(most) if all.len() > most => (0..most).map(|i| all[i * all.len() / most].clone()).collect(),
        _ => all.to_vec(),
    }
}
