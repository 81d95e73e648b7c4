//! `tapline calibrate`: the empty room from a part of a recording, as a file for `replay --calibration` and `serve`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    ConfigArguments,
    output::{Failure, Outcome, Result, duration, print, say},
    progress::Progress,
};
use crate::run::{
    replay::{Learn, LearnFrom, ReplayOptions, replay},
    start::prepare,
};

/// What to learn from, and where it goes.
#[derive(Args)]
pub(super) struct Options {
    /// A recording in which nobody is there for a while; formats as in `replay`
    recording: PathBuf,
    #[command(flatten)]
    config: ConfigArguments,
    /// Where the empty part begins
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = duration)]
    from: Duration,
    /// How long it is (default: `calibration_s` of the site)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,
    /// The empty part is the recording's last, this long
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["from", "length"])]
    last: Option<Duration>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Length of a calibration when neither command line nor site name one, seconds.
const DEFAULT_S: f32 = 30.0;

pub(super) fn run(options: &Options) -> Result {
    let c = &options.config;
    let prepared = prepare(&c.config, c.site.as_deref(), c.manifest.as_deref()).map_err(Failure::of)?;
    let length_s = prepared.site.pipeline.front.calibration_s.unwrap_or(DEFAULT_S);
    let learn = Learn {
        from: if options.last.is_some() {
            LearnFrom::End
        } else {
            LearnFrom::Start(options.from)
        },
        length: options
            .last
            .or(options.length)
            .unwrap_or(Duration::from_secs_f32(length_s)),
        then_stop: true,
    };
    let directory = tempfile::tempdir().map_err(|e| Failure(format!("cannot make a temporary directory: {e}")))?;
    let progress = Progress::seconds("recorded seconds");
    let summary = replay(
        prepared,
        ReplayOptions {
            recording: options.recording.clone(),
            data_dir: directory.path().join("store"),
            real_time: false,
            calibration: None,
            learn: Some(learn),
            passes: 1,
            soak: None,
            recorded: None,
            out: None,
            trace: None,
            progress: &mut |seconds| progress.at(seconds),
        },
    )
    .map_err(Failure::of)?;
    progress.done();
    let written = match &summary.calibration_file {
        Some(bytes) => {
            std::fs::write(&options.out, bytes)
                .map_err(|e| Failure(format!("cannot write {}: {e}", options.out.display())))?;
            true
        }
        None => false,
    };
    if options.json {
        let object = serde_json::json!({ "written": written, "calibration": summary.calibration });
        print(&object.to_string());
    } else if written {
        print(&format!("{}: {}", options.out.display(), summary.calibration));
    } else {
        say(&format!("no calibration: {}", summary.calibration));
    }
    Ok(if written { Outcome::Yes } else { Outcome::No })
}
