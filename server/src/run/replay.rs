//! A recording through the very pipeline of `serve`, in recorded time.
//!
//! Slot 0 ends at the time of the first record; slot n, 50 ms times n later, takes what arrived in the 50 ms
//! before its end. A capture brings its own slots, dispositions, code and orders, and they are obeyed ([`capture`]).

pub(super) mod capture;

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;
use tapline_plugin_api::StageKind;
use tapline_wire::recording::{ReadOptions, RecordBody, Recording, RecordingError};
use tapline_witness::{
    body::{Body, Gap, GapReason, Host, Shutdown, ShutdownReason},
    render::{AreaNames, CycleView},
};

use super::{
    engine::{Engine, EngineError, SlotInput, Stepped},
    histogram::Histogram,
    notes::Begin,
    start::{Prepared, StartError, Started, rollup_options},
    swaps::{RecoverError, recover_now},
};
use crate::{
    cycle::{
        Obey, Report,
        clock::{SLOT_NS, STAGE_NAMES},
    },
    host::fingerprint,
    ingest::{frames::Frames, gatekeeper::Gatekeeper, intake::centre_khz_of},
    log::{LogOptions, Stamp, WriterOptions},
    store::retention::Retention,
};

/// Monotonic time of slot 0: leaves room for the leaves before it.
const FIRST_SLOT_NS: u64 = 1_000_000_000;
/// A pause longer than this is logged as a gap instead of being filled with empty cycles.
const LONGEST_PAUSE_NS: u64 = 60_000_000_000;

/// What to replay, and how.
pub struct ReplayOptions<'a> {
    /// The recording.
    pub recording: PathBuf,
    /// The new store's directory.
    pub data_dir: PathBuf,
    /// In recorded time; otherwise as fast as it goes.
    pub real_time: bool,
    /// A calibration file to start with.
    pub calibration: Option<PathBuf>,
    /// Learn the empty room from a part of the recording.
    pub learn: Option<Learn>,
    /// How often to go through the recording.
    pub passes: u32,
    /// What a capture began with, when everything it recorded is to be obeyed; none for other recordings, and to run the
    /// datagrams and slots of a capture with what is prepared here.
    pub recorded: Option<Begin>,
    /// One JSON line a cycle.
    pub out: Option<&'a mut dyn Write>,
    /// One JSON line a cycle with the evidence behind it.
    pub trace: Option<&'a mut dyn Write>,
    /// Called now and then with the recorded seconds done.
    pub progress: &'a mut dyn FnMut(f64),
    /// Forget and prune as a server does, and look on.
    pub soak: Option<Soak<'a>>,
}

/// Looks at what runs after each cycle; the replay ends when it says no.
pub type Watch<'a> = dyn FnMut(&Engine, &Gatekeeper, &Stepped) -> bool + 'a;

/// A replay that keeps as little as a server does.
pub struct Soak<'a> {
    /// What is forgotten when.
    pub retention: Retention,
    /// Tiles a ROLLUP leaf is over.
    pub window_tiles: u64,
    /// Rows by the second are kept this long, seconds.
    pub seconds_kept_s: u64,
    /// Looks on.
    pub watch: &'a mut Watch<'a>,
}

/// The part of a recording in which the room is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learn {
    /// Where it begins.
    pub from: LearnFrom,
    /// How long it is.
    pub length: Duration,
    /// End the replay once the calibration is there, or was refused.
    pub then_stop: bool,
}

/// Where the empty part begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnFrom {
    /// This long after the first record.
    Start(Duration),
    /// So that it ends with the recording.
    End,
}

/// What came of a replay.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Records of the recording, whatever they are.
    pub frames_total: u64,
    /// CSI frames that fed a link.
    pub csi_frames_used: u64,
    /// RSS values that fed a link.
    pub rss_values_used: u64,
    /// Records not used, by reason.
    pub not_used: BTreeMap<String, u64>,
    /// Cycles.
    pub cycles: u64,
    /// Leaves of the log.
    pub leaves: u64,
    /// Hash of the manifest in force.
    pub manifest_hash: String,
    /// Root of the log's tree.
    pub witness_root: String,
    /// Median time of each stage, microseconds.
    pub stage_p50_us: BTreeMap<&'static str, u64>,
    /// 99th percentile of each stage, microseconds.
    pub stage_p99_us: BTreeMap<&'static str, u64>,
    /// What became of the empty-room calibration.
    pub calibration: String,
    /// BLAKE3 of the recording.
    pub recording: String,
    /// The calibration that was learned or loaded last, as a file's bytes.
    #[serde(skip)]
    pub calibration_file: Option<Vec<u8>>,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A stage failed and what should replace it does not come up.
    #[error("a stage failed and its replacement does not come up: {0}")]
    Recover(#[from] RecoverError),
    /// A capture says that something else decided its cycles than what is here.
    #[error(
        "this capture cannot be replayed as it was recorded: {what}. With --as-configured its datagrams run through the \
         code, configuration and calibration that are configured here, and outcomes may differ"
    )]
    NotAsRecorded {
        /// What is missing or different.
        what: String,
    },
    /// There is nothing in it.
    #[error("{path} holds no record with a time: there is nothing to replay")]
    Empty {
        /// The recording.
        path: PathBuf,
    },
    /// The output cannot be written.
    #[error("cannot write the poses or the trace: {0}")]
    Out(std::io::Error),
}

impl ReplayError {
    pub(super) const fn not_as_recorded(what: String) -> Self {
        Self::NotAsRecorded { what }
    }
}

/// Replays.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(prepared: Prepared, options: ReplayOptions<'_>) -> Result<Summary, ReplayError> {
    if let Some(begin) = &options.recorded {
        let own = options.calibration.is_some() || options.learn.is_some() || options.passes > 1;
        if own {
            let what = "it says itself when the empty room was learned, and is gone through once".to_owned();
            return Err(ReplayError::NotAsRecorded { what });
        }
        prepared.is_as_recorded(begin)?;
    }
    let digest = tapline_wire::recording::digest(&options.recording)?;
    let read = ReadOptions {
        centre_khz: prepared
            .site
            .paths
            .first()
            .map_or(ReadOptions::default().centre_khz, |p| centre_khz_of(p.channel)),
        ..ReadOptions::default()
    };
    let first_ns = first_time(&options.recording, &read)?;
    let gate = Gatekeeper::new(&prepared.fleet.server, &prepared.site, &BTreeMap::new());
    let stamp = Stamp {
        mono_ns: 0,
        wall_ns: first_ns,
    };
    let patience = Duration::from_secs(600);
    let mut rollup = rollup_options(&prepared.site);
    let mut log = LogOptions::replay(&options.data_dir, digest);
    if let Some(soak) = &options.soak {
        // Small batches: an idle slot adds up, forgets and prunes more than a batch brings.
        log.writer = WriterOptions {
            interval: None,
            batch: 64,
            window_tiles: Some(soak.window_tiles),
            ..WriterOptions::live(soak.retention)
        };
        rollup.keep.seconds[0] = Some(soak.seconds_kept_s);
    }
    log.rollup = Some(rollup);
    let Started { mut engine, hub: _ } = prepared.start(
        log,
        stamp,
        Host::default(),
        fingerprint::numeric_profile(),
        patience,
        false,
    )?;
    if let Some(path) = &options.calibration {
        let bytes = std::fs::read(path).map_err(|source| StartError::Read {
            path: path.clone(),
            source,
        })?;
        engine.load_calibration(&bytes, stamp)?;
    }
    let as_recorded = options.recorded.is_some();
    if let Some(begin) = options.recorded {
        capture::go_on_from(&mut engine, begin, stamp)?;
    }
    let learn = match options.learn {
        None => None,
        Some(learn) => Some(Learning::new(learn, &options.recording, &read, first_ns)?),
    };
    let names = AreaNames {
        rooms: engine.core.site().rooms.iter().map(|r| r.id.clone()).collect(),
        zones: engine.core.site().zones.iter().map(|z| z.id.clone()).collect(),
    };
    let mut run = Run {
        engine,
        gate,
        names,
        out: options.out,
        trace: options.trace,
        progress: options.progress,
        watch: options.soak.map(|soak| soak.watch),
        enough: false,
        begun: Instant::now(),
        real_time: options.real_time,
        first_ns,
        tick: 0,
        base_tick: 0,
        last: None,
        frames: Frames::default(),
        tally: Tally::default(),
        learning: learn,
        hopeless: Vec::new(),
        as_recorded,
    };
    let mut offset_ns = 0;
    for _ in 0..options.passes.max(1) {
        if run.enough {
            break;
        }
        let recording = Recording::open(&options.recording, &read)?;
        if recording.capture_header().is_some() {
            run.pass_capture(recording)?;
        } else {
            offset_ns = run.pass(recording, offset_ns)? + SLOT_NS;
        }
    }
    run.finish(&digest)
}

/// Records that are looked at to tell whether a recording is simulated.
const PEEKED_RECORDS: usize = 4_096;

/// Is this recording simulated, by its own word? ADR-018 frames cannot say so themselves: what replays it marks the
/// site's nodes.
///
/// # Errors
/// When the recording cannot be read.
pub fn is_simulated(path: &Path) -> Result<bool, RecordingError> {
    for record in Recording::open(path, &ReadOptions::default())?.take(PEEKED_RECORDS) {
        if record?.simulated {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Time of the first record that has one.
fn first_time(path: &Path, read: &ReadOptions) -> Result<i64, ReplayError> {
    for record in Recording::open(path, read)? {
        let record = record?;
        let counts = match record.body {
            RecordBody::NotUsed { .. } => record.time_ns != 0,
            RecordBody::Note(_) => false,
            _ => true,
        };
        if counts {
            return Ok(record.time_ns);
        }
    }
    Err(ReplayError::Empty { path: path.to_owned() })
}

#[derive(Default)]
struct Tally {
    records: u64,
    csi: u64,
    rss: u64,
    cycles: u64,
    missed: u64,
    stages: [Histogram; 10],
}

struct Run<'a> {
    engine: Engine,
    gate: Gatekeeper,
    names: AreaNames,
    out: Option<&'a mut dyn Write>,
    trace: Option<&'a mut dyn Write>,
    progress: &'a mut dyn FnMut(f64),
    watch: Option<&'a mut Watch<'a>>,
    /// Whoever looks on has seen enough.
    enough: bool,
    begun: Instant,
    real_time: bool,
    first_ns: i64,
    /// The next slot to run.
    tick: u64,
    /// The first slot: a capture may have begun in the middle of a run.
    base_tick: u64,
    /// End of the last slot that ran.
    last: Option<Stamp>,
    frames: Frames,
    tally: Tally,
    learning: Option<Learning>,
    /// Stages that failed and that nothing can replace.
    hopeless: Vec<StageKind>,
    /// Whatever the capture says is obeyed.
    as_recorded: bool,
}

/// A calibration that is to be learned on the way.
struct Learning {
    /// Slots before it.
    after_slots: u64,
    length: Duration,
    then_stop: bool,
    started: bool,
}

impl Learning {
    /// Begins on a whole slot, never later than asked, so that it ends with the recording's last slot at the latest.
    fn new(learn: Learn, recording: &Path, read: &ReadOptions, first_ns: i64) -> Result<Self, ReplayError> {
        let from_ns = match learn.from {
            LearnFrom::Start(from) => from.as_nanos() as u64,
            LearnFrom::End => {
                let mut last_ns = first_ns;
                for record in Recording::open(recording, read)? {
                    last_ns = last_ns.max(record?.time_ns);
                }
                let span_ns = last_ns.saturating_sub(first_ns).max(0).cast_unsigned();
                span_ns.saturating_sub(learn.length.as_nanos() as u64)
            }
        };
        Ok(Self {
            after_slots: from_ns / SLOT_NS,
            length: learn.length,
            then_stop: learn.then_stop,
            started: false,
        })
    }
}

impl Run<'_> {
    /// Goes through the recording once; `offset_ns` is where it begins. Returns where it ended.
    fn pass(&mut self, recording: Recording, offset_ns: u64) -> Result<u64, ReplayError> {
        let mut now_ns = offset_ns;
        for record in recording {
            if self.learned() || self.enough {
                return Ok(self.tick * SLOT_NS);
            }
            let record = record?;
            // Time never goes back: a record out of order counts as arriving with its predecessor.
            let since_ns = record.time_ns.saturating_sub(self.first_ns).max(0).cast_unsigned();
            now_ns = now_ns.max(since_ns + offset_ns);
            match record.body {
                RecordBody::Datagram(bytes) => {
                    self.run_until(now_ns)?;
                    self.tally.records += 1;
                    // A refusal is counted by the gatekeeper.
                    let _ = self.gate.admit(None, FIRST_SLOT_NS + now_ns, &bytes);
                }
                RecordBody::NotUsed { reason } => {
                    self.tally.records += 1;
                    self.gate.count_not_used(reason);
                }
                RecordBody::Tick(_) | RecordBody::Note(_) => unreachable!("only captures have them"),
            }
        }
        self.run_until(now_ns)?;
        self.next_slot()?;
        Ok(self.tick * SLOT_NS)
    }

    /// Runs every slot that ends before `now_ns`.
    fn run_until(&mut self, now_ns: u64) -> Result<(), ReplayError> {
        if now_ns > self.tick * SLOT_NS + LONGEST_PAUSE_NS {
            self.next_slot()?;
            self.skip_to(now_ns.div_ceil(SLOT_NS))?;
        }
        while self.tick * SLOT_NS < now_ns {
            self.next_slot()?;
        }
        Ok(())
    }

    /// Leaves out the slots before `tick` and says so in the log.
    fn skip_to(&mut self, tick: u64) -> Result<(), ReplayError> {
        if tick <= self.tick {
            return Ok(());
        }
        let gap = Gap {
            first_tick: self.tick,
            last_tick: tick - 1,
            frames_lost: 0,
            reason: GapReason::Suspended,
        };
        self.tally.missed += tick - self.tick;
        if tick - self.tick >= 20 {
            let mut record = self.engine.writer.checkout_blocking().map_err(EngineError::from)?;
            let stamp = self.after_last();
            self.engine
                .chain
                .append(stamp, &Body::Gap(gap), &mut record)
                .map_err(EngineError::from)?;
            self.engine.writer.submit(record).map_err(EngineError::from)?;
        }
        self.tick = tick;
        Ok(())
    }

    /// End of the next slot.
    fn stamp(&self) -> Stamp {
        let since_ns = self.tick * SLOT_NS;
        Stamp {
            mono_ns: FIRST_SLOT_NS + since_ns,
            wall_ns: self.first_ns.saturating_add_unsigned(since_ns),
        }
    }

    /// True when a calibration was all that was wanted, and its time is over.
    fn learned(&self) -> bool {
        let over = |l: &Learning| l.then_stop && l.started && !self.engine.calibrating();
        self.learning.as_ref().is_some_and(over)
    }

    /// For a leaf that belongs to no slot: just after the last one.
    fn after_last(&self) -> Stamp {
        self.last.map_or_else(
            || self.stamp(),
            |last| Stamp {
                mono_ns: last.mono_ns + 1,
                ..last
            },
        )
    }

    /// Runs the next slot of the regular grid with what arrived in it.
    fn next_slot(&mut self) -> Result<(), ReplayError> {
        let stamp = self.stamp();
        self.slot(stamp, stamp.mono_ns, None)?;
        Ok(())
    }

    /// Runs slot `self.tick` with what waits and arrived until `until_ns`.
    fn slot(&mut self, stamp: Stamp, until_ns: u64, obey: Option<Obey>) -> Result<Report, ReplayError> {
        let slots = self.tick - self.base_tick;
        if let Some(learning) = self.learning.as_mut().filter(|l| !l.started && slots >= l.after_slots) {
            learning.started = true;
            let before = Stamp {
                mono_ns: stamp.mono_ns.saturating_sub(1),
                ..stamp
            };
            let end_ns = stamp.mono_ns.saturating_add(learning.length.as_nanos() as u64);
            self.engine.start_calibration(before, end_ns)?;
        }
        if self.real_time {
            let due = Duration::from_nanos(slots * SLOT_NS);
            std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
        }
        self.frames.clear();
        self.gate.take_until(until_ns, &mut self.frames);
        let input = SlotInput {
            tick: self.tick,
            stamp,
            t_ms: stamp.wall_ns.div_euclid(1_000_000),
            frames: &self.frames,
            deadline: None,
            obey,
        };
        let stepped = self.engine.slot(&input)?;
        // In a replay nobody waits: what failed is replaced before the next slot.
        if !self.as_recorded {
            let failures = self.engine.core.host.failures();
            let failed: Vec<StageKind> = failures.into_iter().map(|(stage, _)| stage).collect();
            let is_new = failed.iter().any(|stage| !self.hopeless.contains(stage));
            if is_new && !recover_now(&mut self.engine, stamp)? {
                self.hopeless = failed;
            }
        }
        self.tally.cycles += 1;
        self.tally.csi += u64::from(stepped.report.csi_frames);
        self.tally.rss += u64::from(stepped.report.rss_values);
        for (histogram, (_, micros)) in self.tally.stages.iter_mut().zip(stepped.report.stage) {
            histogram.add(micros);
        }
        if let Some(out) = &mut self.out {
            let line = CycleView::new(stepped.leaf.seq, self.engine.core.outcome(), &self.names).to_json();
            writeln!(out, "{line}").map_err(ReplayError::Out)?;
        }
        if let Some(trace) = &mut self.trace {
            let line = super::trace::line(&self.engine.core, self.tick, input.t_ms);
            writeln!(trace, "{line}").map_err(ReplayError::Out)?;
        }
        if let Some(watch) = &mut self.watch {
            self.enough |= !watch(&self.engine, &self.gate, &stepped);
        }
        if slots.is_multiple_of(200) {
            (self.progress)(slots as f64 * 0.05);
        }
        self.tick += 1;
        self.last = Some(stamp);
        Ok(stepped.report)
    }

    fn finish(mut self, digest: &[u8; 32]) -> Result<Summary, ReplayError> {
        let mut record = self.engine.writer.checkout_blocking().map_err(EngineError::from)?;
        let shutdown = Shutdown {
            reason: ShutdownReason::EndOfInput,
            cycles: self.tally.cycles,
            missed_ticks: self.tally.missed,
        };
        let stamp = self.after_last();
        self.engine
            .chain
            .append(stamp, &Body::Shutdown(shutdown), &mut record)
            .map_err(EngineError::from)?;
        self.engine.writer.submit(record).map_err(EngineError::from)?;
        let calibration = self.engine.calibration_line();
        let calibration_file = self.engine.calibration_file().map(<[u8]>::to_vec);
        let manifest_hash = hex::encode(self.engine.in_force.manifest_hash);
        let mut not_used: BTreeMap<String, u64> = BTreeMap::new();
        for (reason, count) in self.gate.counters().not_used {
            *not_used.entry(reason.to_owned()).or_default() += count;
        }
        for (reason, count) in self.engine.core.not_used() {
            *not_used.entry((*reason).to_owned()).or_default() += count;
        }
        let durable = self.engine.writer.close().map_err(EngineError::from)?;
        for out in [&mut self.out, &mut self.trace].into_iter().flatten() {
            out.flush().map_err(ReplayError::Out)?;
        }
        let quantile = |q: f64| {
            STAGE_NAMES
                .iter()
                .zip(&self.tally.stages)
                .map(|(name, h)| (*name, h.quantile(q)))
                .collect()
        };
        Ok(Summary {
            frames_total: self.tally.records,
            csi_frames_used: self.tally.csi,
            rss_values_used: self.tally.rss,
            not_used,
            cycles: self.tally.cycles,
            leaves: durable.size,
            manifest_hash,
            witness_root: hex::encode(durable.root),
            stage_p50_us: quantile(0.5),
            stage_p99_us: quantile(0.99),
            calibration,
            recording: hex::encode(digest),
            calibration_file,
        })
    }
}
