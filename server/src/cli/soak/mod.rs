//! `tapline soak`: a recording over and over, in virtual time, through the cycle, the log and the store of a server
//! that forgets and prunes; and what must not grow on the way.

mod compare;
mod recount;
mod report;
mod watch;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

use self::{
    recount::{Compared, Recount},
    report::{Report, Soaked},
    watch::Watcher,
};
use super::{
    ConfigArguments,
    output::{Failure, Outcome, Result, print},
    progress::Progress,
};
use crate::{
    log::{WINDOW_TILES, fsck},
    rollup::Calendar,
    run::{
        replay::{Learn, LearnFrom, ReplayOptions, Soak, is_simulated, replay},
        start::prepare_with,
    },
    store::retention::Retention,
};

/// Cycles of a virtual hour.
const HOUR: u64 = 72_000;

/// What to run, for how long, and what to keep of it.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigArguments,
    /// Recording that is gone through again and again
    #[arg(long, value_name = "FILE", required_unless_present = "compare")]
    recording: Option<PathBuf>,
    /// Virtual hours
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// Outcomes, leaves and rows by the second are kept this long, minutes: what is bounded by time is to be full early
    #[arg(long, default_value_t = 240)]
    keep_minutes: u64,
    /// Raw input is kept this long, minutes
    #[arg(long, default_value_t = 15)]
    raw_minutes: u64,
    /// Learn the empty room from the first seconds; 0: do not
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    learn: f64,
    /// Data directory of the run (default: a temporary one)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write the report, one JSON object
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Compare two reports instead: 1 and the first field that left its band
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    compare: Option<Vec<PathBuf>>,
}

pub(super) fn run(options: &Options) -> Result {
    if let Some(files) = &options.compare {
        return compare::compare(&files[0], &files[1]);
    }
    let recording = options
        .recording
        .as_deref()
        .ok_or_else(|| Failure("name a recording".to_owned()))?;
    if !(0.01..=10_000.0).contains(&options.hours) {
        return Err(Failure(format!(
            "--hours {}: 0.01 to 10000 was expected",
            options.hours
        )));
    }
    let temporary = tempfile::tempdir().map_err(Failure::of)?;
    let data_dir = options
        .data_dir
        .clone()
        .unwrap_or_else(|| temporary.path().join("data"));
    let soaked = soak(options, recording, &data_dir)?;
    let text = serde_json::to_string(&soaked).map_err(Failure::of)?;
    if let Some(path) = &options.report {
        std::fs::write(path, &text).map_err(|e| Failure(format!("cannot write {}: {e}", path.display())))?;
    }
    print(&soaked.soak.table());
    let problems = soaked.soak.problems();
    for problem in &problems {
        print(&format!("FAILED  {problem}"));
    }
    Ok(if problems.is_empty() { Outcome::Yes } else { Outcome::No })
}

fn soak(options: &Options, recording: &Path, data_dir: &Path) -> std::result::Result<Report, Failure> {
    let simulated = is_simulated(recording).map_err(Failure::of)?;
    let c = &options.config;
    let prepared = prepare_with(&c.config, c.site.as_deref(), c.manifest.as_deref(), |site| {
        site.nodes.iter_mut().for_each(|node| node.simulated |= simulated);
    })
    .map_err(Failure::of)?;
    let links = prepared.site.paths.len();
    let cycles = (options.hours * HOUR as f64) as u64;
    let mut watcher = Watcher::new(data_dir, cycles);
    let calendar = Calendar::of(&prepared.site.timezone).unwrap_or_default();
    let mut recount = Recount::new(&prepared.site, calendar);
    let keep_s = options.keep_minutes * 60;
    // A window is rolled up well within the time that its outcomes are kept.
    let window_tiles = WINDOW_TILES.min(keep_s * 20 / 256 / 4).max(1);
    let progress = Progress::seconds("virtual seconds");
    let begun = Instant::now();
    replay(
        prepared,
        ReplayOptions {
            recording: recording.to_owned(),
            data_dir: data_dir.to_owned(),
            real_time: false,
            calibration: None,
            learn: (options.learn > 0.0).then(|| Learn {
                from: LearnFrom::Start(Duration::ZERO),
                length: Duration::from_secs_f64(options.learn.min(3_600.0)),
                then_stop: false,
            }),
            passes: u32::MAX,
            recorded: None,
            out: None,
            trace: None,
            progress: &mut |seconds| progress.at(seconds),
            soak: Some(Soak {
                retention: Retention {
                    raw_s: options.raw_minutes * 60,
                    cycles_s: keep_s,
                    leaves_s: keep_s,
                    ..Retention::default()
                },
                window_tiles,
                seconds_kept_s: keep_s,
                watch: &mut |engine, gate, stepped| {
                    recount.add(engine, stepped);
                    watcher.cycle(engine, gate, stepped)
                },
            }),
        },
    )
    .map_err(Failure::of)?;
    progress.done();
    let seconds = begun.elapsed().as_secs_f64();
    let checked = fsck(data_dir, None).map_err(Failure::of)?;
    let (recounted, counted_wrong) = match recount.compare(data_dir) {
        Ok(compared) => (compared, None),
        Err(Failure(why)) => (Compared::default(), Some(why)),
    };
    let mut report = watcher.report();
    report.soak = Soaked {
        links,
        cycles,
        seconds,
        cycles_per_s: cycles as f64 / seconds,
        keep_hours: keep_s as f64 / 3_600.0,
        window_tiles,
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        chain: if checked.is_clean() {
            "verified".to_owned()
        } else {
            checked.to_string()
        },
        leaves: checked.leaves,
        minimum_index: checked.minimum_index,
        rollups: checked.rollups,
        opened: checked.opened,
        recounted,
        counted_wrong,
        space: crate::store::backup::space(data_dir).map_err(Failure::of)?,
        ..report.soak
    };
    Ok(report)
}
