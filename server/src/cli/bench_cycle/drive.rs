//! Runs the engine over a room, timed.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tapline_sim::Scene;
use tokio::sync::broadcast::error::RecvError;

use super::{super::output::Failure, Options, room::Room};
use crate::{
    cli::simulate::fleet_file,
    config::PrivacyMode,
    cycle::{WITNESS_PARTS, clock::SLOT_NS},
    ingest::frames::Frames,
    live::Hub,
    log::{LogOptions, Stamp, WriterOptions},
    run::{Engine, SlotInput, environment, histogram::Histogram, start},
    store::retention::Retention,
};

/// Seconds in which the empty room is learned, before anything counts.
const CALIBRATION_S: u64 = 30;
/// Cycles with people that do not count.
const WARM_UP: u64 = 200;
/// Cycles after which the log is waited for when nothing else paces the run: a live log takes 20 a second.
const FLUSH: u64 = 100;
/// How long a slot may wait for the log.
const PATIENCE: Duration = Duration::from_secs(30);
/// How cycles follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as they go.
    BackToBack,
    /// One every 50 ms, with whatever the machine does to its caches in between.
    RealTime,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) whole: Histogram,
    pub(super) stages: [Histogram; 10],
    /// Of stage 9.
    pub(super) witness: Witnessing,
    pub(super) frames: u64,
    pub(super) links: usize,
    ingest_us: u64,
}

impl Measured {
    /// Mean time of stage 1 for one frame.
    pub(super) fn ingest_frame_us(&self) -> f64 {
        self.ingest_us as f64 / self.frames.max(1) as f64
    }
}

/// What witnessing took.
#[derive(Default)]
pub(super) struct Witnessing {
    pub(super) whole: Histogram,
    /// Whole, of the cycles that carry their state.
    pub(super) keyframes: Histogram,
    /// Each of [`WITNESS_PARTS`], in nanoseconds.
    pub(super) parts_ns: [Histogram; WITNESS_PARTS.len()],
}

impl Witnessing {
    fn add(&mut self, took_ns: &[u32; WITNESS_PARTS.len()], keyframe: bool) {
        let micros = (took_ns.iter().map(|ns| u64::from(*ns)).sum::<u64>() / 1_000) as u32;
        self.whole.add(micros);
        if keyframe {
            self.keyframes.add(micros);
        }
        for (histogram, ns) in self.parts_ns.iter_mut().zip(took_ns) {
            histogram.add(*ns);
        }
    }
}

/// Learns the empty room, warms up, then counts `cycles`.
pub(super) fn drive(options: &Options, pace: Pace, cycles: u64) -> Result<Measured, Failure> {
    let scene = Scene::builtin(&options.scene).map_err(Failure::of)?;
    let temporary = tempfile::tempdir().map_err(Failure::of)?;
    let directory = match (&options.keep, pace) {
        (Some(keep), Pace::BackToBack) => keep.as_path(),
        _ => temporary.path(),
    };
    let lived_in = CALIBRATION_S * 20 + 20;
    let counted = lived_in + WARM_UP;
    // The last slot is now: a kept store is one of the past hour.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::of)?;
    let slots_ns = (counted + cycles) * SLOT_NS;
    let wall_ns = (now.as_nanos() as i64).saturating_sub_unsigned(slots_ns);
    let (mut engine, hub) = engine(&scene, options, directory, wall_ns)?;
    // Ends with the engine, whose hub it reads from.
    std::thread::spawn({
        let cycles = hub.subscribe();
        move || read(cycles)
    });
    let mut measured = Measured {
        whole: Histogram::default(),
        stages: Default::default(),
        witness: Witnessing::default(),
        frames: 0,
        links: engine.core.site().paths.len(),
        ingest_us: 0,
    };
    let mut frames = Frames::default();
    let mut room = Room::empty(&scene)?;
    let start = Stamp { mono_ns: 0, wall_ns: 0 };
    engine
        .start_calibration(start, CALIBRATION_S * 1_000_000_000)
        .map_err(Failure::of)?;
    let mut begun = Instant::now();
    for tick in 0..counted + cycles {
        let end_ns = tick * SLOT_NS;
        if tick == lived_in {
            room = Room::lived_in(&scene, end_ns)?;
        }
        room.slot(end_ns, &mut frames)?;
        if tick == counted {
            begun = Instant::now();
        }
        if pace == Pace::RealTime && tick >= counted {
            let due = Duration::from_nanos((tick - counted) * SLOT_NS);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        } else if tick.is_multiple_of(FLUSH) {
            engine.writer.flush().map_err(Failure::of)?;
        }
        let keyframe = engine.chain.keyframe_due(&engine.in_force.manifest_hash);
        let step = Instant::now();
        let stepped = engine
            .slot(&SlotInput {
                tick,
                stamp: Stamp {
                    mono_ns: end_ns + 1_000_000,
                    wall_ns: wall_ns + end_ns.cast_signed(),
                },
                t_ms: (end_ns / 1_000_000).cast_signed(),
                frames: &frames,
                deadline: None,
                obey: None,
            })
            .map_err(Failure::of)?;
        let micros = step.elapsed().as_micros() as u32;
        if tick >= counted {
            measured.whole.add(micros);
            measured.witness.add(&stepped.report.witness_ns, keyframe);
            measured.frames += u64::from(stepped.report.inputs);
            measured.ingest_us += u64::from(stepped.report.stage[0].1);
            for (histogram, (_, micros)) in measured.stages.iter_mut().zip(stepped.report.stage) {
                histogram.add(micros);
            }
        }
    }
    let calibration = engine.calibration_line();
    if engine.in_force.calibration_id == [0; 32] {
        return Err(Failure(format!(
            "the empty room was not learned ({calibration}): the figures would not be those of a calibrated server"
        )));
    }
    engine.writer.close().map_err(Failure::of)?;
    Ok(measured)
}

fn engine(scene: &Scene, options: &Options, directory: &Path, wall_ns: i64) -> Result<(Engine, Arc<Hub>), Failure> {
    let simulator = tapline_sim::Simulator::new(scene.clone(), 1).map_err(Failure::of)?;
    let config = directory.join("fleet.toml");
    std::fs::write(
        &config,
        fleet_file(&options.scene, PrivacyMode::RawResearch, &simulator),
    )
    .map_err(Failure::of)?;
    let prepared = start::prepare(&config, None, Some(&options.manifest)).map_err(Failure::of)?;
    let mut log = LogOptions::live(directory.join("data"));
    if options.keep.is_some() {
        // Whoever keeps it wants all of it; while it is made, an hour passes in a minute.
        log.writer = WriterOptions {
            window_tiles: None,
            ..WriterOptions::live(Retention::FOREVER)
        };
    }
    let stamp = Stamp { mono_ns: 0, wall_ns };
    let started = prepared
        .start(log, stamp, environment::host(Vec::new()), 1, PATIENCE, true)
        .map_err(Failure::of)?;
    let (hub, _) = started.hub.expect("a start with readers has a hub");
    Ok((started.engine, hub))
}

/// A subscriber: takes every message and renders nothing.
fn read(mut cycles: tokio::sync::broadcast::Receiver<Arc<crate::live::Cycle>>) {
    while !matches!(cycles.blocking_recv(), Err(RecvError::Closed)) {}
}

/// Highest resident set of this process so far, kB.
pub(super) fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}
