//! The process that is hurt: it writes a log of made-up cycles and says what it published.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, setrlimit};
use tapline_server::{
    log::{Blob, CycleFacts, Log, LogError, LogOptions, Record, Stamp, WriterOptions},
    store::retention::Retention,
};
use tapline_witness::{
    body::{Boot, ClockQuality, Host, OutcomeCode, PrivacyClass, PrivacyModeCode},
    disposition::Disposition,
    hash::Domain,
    lists::{HOST_STAGE, Input, StageEntry},
    outcome::{OUTCOME_VERSION, Outcome, Person},
    outcome_codec::encode_outcome,
};

/// Cycles of a commit.
pub(crate) const BATCH: u64 = 16;
/// Exit code of a victim whose log refused or ended: it said why.
pub(crate) const REFUSED: u8 = 3;
const MANIFEST: &[u8] = b"generation = 1\n";
const T0_NS: i64 = 1_760_000_000_000_000_000;

/// `DIR [--commits N] [--interval MS] [--wait] [--file-limit BYTES]`.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let value = |flag: &str| {
        let at = arguments.iter().position(|word| word == flag)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(bytes) = value("--file-limit") {
        // A handler, so that a write past the limit fails (EFBIG) instead of killing.
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).expect("a handler");
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        setrlimit(Resource::Fsize, limit).expect("a limit on file sizes");
    }
    let wait = arguments.iter().any(|word| word == "--wait");
    let run = append(
        Path::new(&arguments[0]),
        value("--commits").unwrap_or(u64::MAX),
        value("--interval").map(Duration::from_millis),
        wait,
    );
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("refused: {error}");
            ExitCode::from(REFUSED)
        }
    }
}

fn append(dir: &Path, commits: u64, interval: Option<Duration>, wait: bool) -> Result<(), LogError> {
    let mut log = Log::open(options(dir, interval))?;
    let durable = log.writer.durable();
    if wait {
        println!("writer {}", writer_thread());
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .expect("a line from the parent");
    }
    boot(&mut log)?;
    for commit in 0..commits {
        cycles(&mut log, 1 + commit * BATCH..1 + (commit + 1) * BATCH)?;
        // At full speed nothing is waited for but free records.
        if interval.is_none() {
            log.writer.flush()?;
        }
        println!("published {}", durable.borrow().size);
    }
    println!("published {}", log.writer.close()?.size);
    Ok(())
}

/// Options under which a little is forgotten all the time, too.
pub(crate) fn options(dir: &Path, interval: Option<Duration>) -> LogOptions {
    let options = LogOptions::live(dir);
    LogOptions {
        writer: WriterOptions {
            interval,
            batch: 64,
            records: 128,
            retention: Retention {
                raw_s: 2,
                cycles_s: 3600,
                cycles_max: 100,
                leaves_s: u64::MAX,
            },
            window_tiles: None,
        },
        ..options
    }
}

/// The thread that writes the log of this process; a thread names itself, so it is waited for.
fn writer_thread() -> String {
    let writer =
        |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "tapline-log");
    loop {
        let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
        if let Some(found) = tasks.flatten().map(|task| task.path()).find(writer) {
            return found.file_name().expect("a thread id").to_string_lossy().into_owned();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stamp(tick: u64) -> Stamp {
    Stamp {
        mono_ns: 50_000_000 * tick,
        wall_ns: T0_NS + 50_000_000 * tick as i64,
    }
}

/// Appends BOOT.
pub(crate) fn boot(log: &mut Log) -> Result<(), LogError> {
    let manifest_hash = Domain::Manifest.hash(MANIFEST);
    let boot = Boot {
        recovered_size: 0,
        recovered_root: [0; 32],
        manifest_hash,
        config_hash: [2; 32],
        calibration_id: [0; 32],
        privacy_mode: PrivacyModeCode::RawResearch,
        numeric_profile: 1,
        host: Host::default(),
    };
    let manifest = Blob {
        hash: manifest_hash,
        kind: "manifest",
        bytes: MANIFEST.to_vec(),
    };
    log.chain.boot(stamp(0), boot, vec![manifest], &log.writer)?;
    Ok(())
}

/// Appends the cycles of these ticks.
pub(crate) fn cycles(log: &mut Log, ticks: std::ops::Range<u64>) -> Result<(), LogError> {
    for tick in ticks {
        let mut record = log.writer.checkout_blocking()?;
        let facts = CycleFacts {
            tick,
            flags: 0,
            clock_quality: ClockQuality::Good,
            privacy_class: PrivacyClass::Raw,
            privacy_mode: PrivacyModeCode::RawResearch,
            outcome_code: OutcomeCode::Ok,
            n_inputs: 1,
            n_stages: 2,
            numeric_profile: 1,
            manifest_hash: Domain::Manifest.hash(MANIFEST),
            config_hash: [2; 32],
            calibration_id: [0; 32],
        };
        fill(log, &facts, &mut record);
        log.chain.append_cycle(stamp(tick), &facts, &mut record)?;
        log.writer.submit(record)?;
    }
    Ok(())
}

fn fill(log: &Log, facts: &CycleFacts, record: &mut Record) {
    let tick = facts.tick;
    let input = Input {
        source_id: 1,
        arrival_mono_ns: 50_000_000 * tick,
        bytes: &[tick as u8; 300],
    };
    input.put(&mut record.inputs).expect("a short frame");
    StageEntry::ran(4, HOST_STAGE, 1, &tick.to_le_bytes()).put(&mut record.stages);
    StageEntry::absent(5, 0, Disposition::Skipped, 1).put(&mut record.stages);
    let outcome = Outcome {
        version: OUTCOME_VERSION,
        tick,
        t_ms: 50 * tick as i64,
        people: Some(1),
        tracks: vec![Person {
            id: 1,
            position_m: [Some(tick as f32 / 20.0), Some(1.0), None],
            ..Default::default()
        }],
        ..Default::default()
    };
    encode_outcome(&outcome, &mut record.outcome).expect("an outcome");
    if log.chain.keyframe_due(&facts.manifest_hash) {
        record.state.extend_from_slice(b"state");
    }
}
