//! `tapline bench-history`: a year of a site with ten rooms, and how fast questions about it are answered from a cold file.

mod ask;
mod year;

use std::{fmt::Write as _, path::PathBuf, time::Instant};

use clap::Args;

use super::output::{Failure, Outcome, Result, print, say};
use ask::{Asked, QUESTIONS, ask};

/// Longest that 99 of 100 questions may take, milliseconds.
const LIMIT_MS: f64 = 20.0;
/// Most bytes of the file.
const LIMIT_BYTES: u64 = 1_000_000_000;

/// What to measure.
#[derive(Args)]
pub(super) struct Options {
    /// Directory for the store; made, and removed afterwards
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Use the store that is there, and leave it there
    #[arg(long)]
    keep: bool,
    /// Days of the year
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Times each question is asked
    #[arg(long, default_value_t = 200)]
    rounds: u32,
}

pub(super) fn run(options: &Options) -> Result {
    let begun = Instant::now();
    let file = options.dir.join(crate::store::DATABASE_FILE);
    if !(options.keep && file.exists()) {
        std::fs::create_dir(&options.dir)
            .map_err(|error| Failure(format!("cannot make {}: {error}", options.dir.display())))?;
        year::write(&file, options.days).map_err(Failure::of)?;
    }
    let bytes = std::fs::metadata(&file).map_err(Failure::of)?.len();
    let made_s = begun.elapsed().as_secs_f64();
    say(&format!(
        "{} rows in {bytes} bytes, {made_s:.0} s",
        counted(&file)?.iter().sum::<u64>()
    ));
    let asked = ask(&file, options.rounds).map_err(Failure::of)?;
    let text = document(options, &file, bytes, &asked)?;
    if !options.keep {
        std::fs::remove_dir_all(&options.dir).map_err(Failure::of)?;
    }
    print(&text);
    let kept = bytes <= LIMIT_BYTES && asked.iter().all(|a| a.p99_ms <= LIMIT_MS);
    Ok(if kept { Outcome::Yes } else { Outcome::No })
}

fn document(
    options: &Options,
    file: &std::path::Path,
    bytes: u64,
    asked: &[Asked],
) -> std::result::Result<String, Failure> {
    let [seconds, minutes, hours, days] = counted(file)?;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} days of a site with {} rooms, {} series, default retention: {seconds} rows of seconds, {minutes} of minutes,\n\
         {hours} of hours, {days} of days. The file: **{:.0} MB** (limit {} MB).\n",
        options.days,
        year::ROOMS,
        year::SERIES,
        bytes as f64 / 1e6,
        LIMIT_BYTES / 1_000_000,
    );
    text += "| question | level | points | 50 % ms | **99 % ms** | longest ms | KiB from the disk |\n|---|---|---|---|---|---|---|\n";
    for a in asked {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | **{:.2}** | {:.2} | {} |",
            a.name, a.level, a.points, a.p50_ms, a.p99_ms, a.longest_ms, a.read_kib
        );
    }
    let _ = writeln!(
        text,
        "\n{} questions of each kind; limit {LIMIT_MS} ms for 99 % of them.",
        options.rounds
    );
    debug_assert_eq!(asked.len(), QUESTIONS);
    Ok(text)
}

fn counted(file: &std::path::Path) -> std::result::Result<[u64; 4], Failure> {
    let db = crate::store::schema::open_reader(file).map_err(Failure::of)?;
    year::rows_of(&db).map_err(Failure::of)
}
