//! A log with made-up cycles in it.

use std::path::PathBuf;

use tapline_witness::{
    body::{
        Boot, ClockQuality, Host, OutcomeCode, PrivacyClass, PrivacyMode, PrivacyModeCode, Shutdown, ShutdownReason,
    },
    disposition::Disposition,
    hash::Domain,
    lists::{HOST_STAGE, Input, StageEntry},
    outcome::{OUTCOME_VERSION, Outcome, Person},
    outcome_codec::encode_outcome,
};

use crate::log::{Blob, CycleFacts, Log, LogError, LogOptions, Record, Stamp, WriterOptions};

pub(crate) const T0_NS: i64 = 1_760_000_000_000_000_000;
const MANIFEST: &[u8] = b"generation = 1\n";

/// A directory with room for a data directory and the anchor beside it.
pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(crate) fn anchor(&self) -> PathBuf {
        self.root.path().join("data.anchor")
    }

    /// Options whose commits fall at the same places in every run: every 16 records.
    pub(crate) fn options(&self) -> LogOptions {
        let options = LogOptions::live(self.data());
        LogOptions {
            writer: WriterOptions {
                interval: None,
                batch: 16,
                records: 64,
                ..options.writer
            },
            ..options
        }
    }

    pub(crate) fn open(&self) -> Log {
        open_patiently(|| self.options())
    }
}

/// Opens a log that another handle had just now. A process that another test is about to start holds copies of our
/// files until it has begun, and with them the lock.
pub(crate) fn open_patiently(options: impl Fn() -> LogOptions) -> Log {
    for _ in 0..200 {
        match Log::open(options()) {
            Err(LogError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("somebody holds the lock");
}

pub(crate) fn stamp(tick: u64) -> Stamp {
    Stamp {
        mono_ns: 50_000_000 * tick,
        wall_ns: T0_NS + 50_000_000 * tick as i64,
    }
}

pub(crate) fn boot(log: &mut Log, tick: u64) {
    let boot = Boot {
        recovered_size: 0,
        recovered_root: [0; 32],
        manifest_hash: Domain::Manifest.hash(MANIFEST),
        config_hash: [2; 32],
        calibration_id: [0; 32],
        privacy_mode: PrivacyModeCode::RawResearch,
        numeric_profile: 1,
        host: Host::default(),
    };
    let blobs = vec![Blob {
        hash: boot.manifest_hash,
        kind: "manifest",
        bytes: MANIFEST.to_vec(),
    }];
    log.chain.boot(stamp(tick), boot, blobs, &log.writer).unwrap();
}

pub(crate) fn facts(tick: u64) -> CycleFacts {
    CycleFacts {
        tick,
        flags: 0,
        clock_quality: ClockQuality::Good,
        privacy_class: PrivacyClass::Raw,
        privacy_mode: PrivacyModeCode::RawResearch,
        outcome_code: OutcomeCode::Ok,
        n_inputs: 2,
        n_stages: 2,
        numeric_profile: 1,
        manifest_hash: Domain::Manifest.hash(MANIFEST),
        config_hash: [2; 32],
        calibration_id: [0; 32],
    }
}

/// Fills a record as a cycle with two frames, two stages and two people would.
pub(crate) fn fill(log: &Log, tick: u64, class: PrivacyClass, record: &mut Record) {
    for source_id in [1, 2] {
        let bytes = [tick as u8; 200];
        Input {
            source_id,
            arrival_mono_ns: 50_000_000 * tick,
            bytes: &bytes,
        }
        .put(&mut record.inputs)
        .unwrap();
    }
    StageEntry::ran(4, HOST_STAGE, 1, &tick.to_le_bytes()).put(&mut record.stages);
    StageEntry::absent(5, 0, Disposition::Skipped, 1).put(&mut record.stages);
    let person = |id| Person {
        id,
        position_m: [Some(tick as f32 / 20.0), Some(1.0), None],
        ..Default::default()
    };
    let outcome = Outcome {
        version: OUTCOME_VERSION,
        tick,
        privacy_class: class as u8,
        t_ms: 50 * tick as i64,
        people: Some(2),
        tracks: vec![person(1), person(u64::MAX)],
        ..Default::default()
    };
    encode_outcome(&outcome, &mut record.outcome).unwrap();
    if log.chain.keyframe_due(&facts(tick).manifest_hash) {
        record.state.extend_from_slice(b"state");
    }
}

/// Appends the cycles of these ticks.
pub(crate) fn run(log: &mut Log, ticks: std::ops::Range<u64>) -> Result<(), LogError> {
    run_in(log, ticks, PrivacyClass::Raw)
}

/// The same in a privacy class.
pub(crate) fn run_in(log: &mut Log, ticks: std::ops::Range<u64>, class: PrivacyClass) -> Result<(), LogError> {
    run_as(log, ticks, class, PrivacyModeCode::RawResearch)
}

/// The same in a privacy class and a mode.
pub(crate) fn run_as(
    log: &mut Log,
    ticks: std::ops::Range<u64>,
    class: PrivacyClass,
    mode: PrivacyModeCode,
) -> Result<(), LogError> {
    for tick in ticks {
        let mut record = log.writer.checkout_blocking()?;
        fill(log, tick, class, &mut record);
        let facts = CycleFacts {
            privacy_class: class,
            privacy_mode: mode,
            ..facts(tick)
        };
        log.chain.append_cycle(stamp(tick), &facts, &mut record)?;
        log.writer.submit(record)?;
    }
    Ok(())
}

/// Appends a leaf that is signed at once.
pub(crate) fn turn_mode(log: &mut Log, tick: u64) {
    let mut record = log.writer.checkout_blocking().unwrap();
    let body = PrivacyMode {
        old_mode: PrivacyModeCode::RawResearch,
        new_mode: PrivacyModeCode::StrictNoIdentity,
        effective_tick: tick + 1,
        operator: [0; 32],
    };
    log.chain.append(stamp(tick), &body.into(), &mut record).unwrap();
    log.writer.submit(record).unwrap();
}

pub(crate) fn shut_down(mut log: Log, tick: u64) -> u64 {
    let mut record = log.writer.checkout_blocking().unwrap();
    let body = Shutdown {
        reason: ShutdownReason::Requested,
        cycles: tick,
        missed_ticks: 0,
    };
    log.chain.append(stamp(tick), &body.into(), &mut record).unwrap();
    log.writer.submit(record).unwrap();
    log.writer.close().unwrap().size
}
