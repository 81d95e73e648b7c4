//! `tapline replay`.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    ConfigArguments,
    output::{Failure, Outcome, Result, print},
    progress::Progress,
};
use crate::run::{
    notes::Begin,
    replay::{Learn, LearnFrom, ReplayOptions, Summary, is_simulated, replay},
    start::{prepare_recorded, prepare_with},
};

/// What to replay, and how.
#[derive(Args)]
pub(super) struct Options {
    /// JSON lines, pcap, ESP32 CSI_DATA CSV, or a Tapline capture
    recording: PathBuf,
    #[command(flatten)]
    config: ConfigArguments,
    /// Directory of the new store (default: a temporary one)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// `max`, or `1x` for recorded time
    #[arg(long, default_value = "max", value_parser = ["max", "1x"])]
    speed: String,
    /// Calibration to start with
    #[arg(long, value_name = "FILE", conflicts_with = "calibrate_first")]
    calibration: Option<PathBuf>,
    /// Learn the empty room from the first part, for example `30s`
    #[arg(long, value_name = "TIME", value_parser = super::output::duration)]
    calibrate_first: Option<Duration>,
    /// Of a capture: run its datagrams and slots through the code, configuration and calibration that are configured here,
    /// not those it was recorded with
    #[arg(long)]
    as_configured: bool,
    /// Go through the recording this often
    #[arg(long = "loop", value_name = "N", default_value_t = 1)]
    passes: u32,
    /// Write one JSON line a cycle
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write one JSON line a cycle with the evidence behind each decision
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result {
    let c = &options.config;
    let recorded = match options.as_configured {
        true => None,
        false => Begin::of(&options.recording).map_err(Failure::of)?,
    };
    let (site, manifest) = (c.site.as_deref(), c.manifest.as_deref());
    let prepared = match &recorded {
        Some(begin) => prepare_recorded(&c.config, site, manifest, begin).map_err(Failure::of)?,
        None => {
            let simulated = is_simulated(&options.recording).map_err(Failure::of)?;
            prepare_with(&c.config, site, manifest, |site| {
                site.nodes.iter_mut().for_each(|node| node.simulated |= simulated);
            })
            .map_err(Failure::of)?
        }
    };
    let temporary = match options.data_dir {
        None => Some(tempfile::tempdir().map_err(|e| {
            Failure(format!(
                "cannot make a temporary directory: {e}; name one with --data-dir"
            ))
        })?),
        Some(_) => None,
    };
    let data_dir = match (&options.data_dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => dir.path().to_owned(),
        (None, None) => unreachable!("one of both is given"),
    };
    let mut out = create(options.out.as_deref())?;
    let mut trace = create(options.trace.as_deref())?;
    let progress = Progress::seconds("recorded seconds");
    let summary = replay(
        prepared,
        ReplayOptions {
            recording: options.recording.clone(),
            data_dir,
            real_time: options.speed == "1x",
            calibration: options.calibration.clone(),
            learn: options.calibrate_first.map(|length| Learn {
                from: LearnFrom::Start(Duration::ZERO),
                length,
                then_stop: false,
            }),
            passes: options.passes,
            soak: None,
            recorded,
            out: out.as_mut().map(|w| w as &mut dyn std::io::Write),
            trace: trace.as_mut().map(|w| w as &mut dyn std::io::Write),
            progress: &mut |seconds| progress.at(seconds),
        },
    )
    .map_err(Failure::of)?;
    progress.done();
    if options.json {
        print(&serde_json::to_string(&summary).map_err(Failure::of)?);
    } else {
        print(&human(&summary));
    }
    Ok(Outcome::Yes)
}

fn create(path: Option<&Path>) -> std::result::Result<Option<BufWriter<File>>, Failure> {
    path.map(|path| {
        let file = File::create(path).map_err(|e| Failure(format!("cannot write {}: {e}", path.display())))?;
        Ok(BufWriter::new(file))
    })
    .transpose()
}

fn human(s: &Summary) -> String {
    let mut text = format!(
        "{} records: {} CSI frames and {} RSS values used\n",
        s.frames_total, s.csi_frames_used, s.rss_values_used
    );
    for (reason, count) in &s.not_used {
        text += &format!("  not used: {count} {reason}\n");
    }
    text += &format!("{} cycles, {} leaves\n", s.cycles, s.leaves);
    text += &format!("calibration   {}\n", s.calibration);
    text += &format!("manifest      {}\n", s.manifest_hash);
    text += &format!("witness root  {}\n", s.witness_root);
    text += "stage             p50 us   p99 us\n";
    for (stage, p50) in &s.stage_p50_us {
        text += &format!("  {stage:<14} {p50:>8} {:>8}\n", s.stage_p99_us[stage]);
    }
    text
}
