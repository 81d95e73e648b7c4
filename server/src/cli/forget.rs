//! `tapline forget`: erases what the cycles of a time range took in, published and were committed under.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use rusqlite::OptionalExtension as _;
use tapline_witness::{
    body::{Audit, AuditResult, Body, Boot, Shutdown, ShutdownReason},
    codec::Text,
    hash::{Domain, ZERO},
    leaf::{self, Kind},
};

use super::output::{Failure, Outcome, Result, print};
use crate::{
    log::{Forget, Log, LogError, LogOptions, Stamp, WriterOptions},
    store::{DATABASE_FILE, log_source::SqlLog, retention::Retention, schema::open_reader},
};

/// What to forget.
#[derive(Args)]
pub(super) struct Options {
    /// Data directory. A server that runs on it has the log: give it the order `forget` instead (docs/memory.md)
    #[arg(long, default_value = "tapline-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Anchor file of the log, when it is not beside the data directory
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// First point in time, for example 2026-11-23T17:22:05Z
    #[arg(long, value_name = "TIME")]
    from: jiff::Timestamp,
    /// The point in time after the last
    #[arg(long, value_name = "TIME")]
    to: jiff::Timestamp,
}

pub(super) fn run(options: &Options) -> Result {
    if options.from >= options.to {
        return Err(Failure(format!(
            "--from {} is not before --to {}",
            options.from, options.to
        )));
    }
    let Some((orders, last_boot)) = resolve(options)? else {
        print("no cycle of that time is kept: nothing is forgotten");
        return Ok(Outcome::No);
    };
    let mut log = Log::open(LogOptions {
        anchor: options.anchor.clone(),
        // Nothing but what is asked for: what is kept how long, and where a day begins, the fleet file says.
        writer: WriterOptions {
            window_tiles: None,
            ..WriterOptions::live(Retention::FOREVER)
        },
        rollup: None,
        ..LogOptions::live(&options.data_dir)
    })
    .map_err(|error| match error {
        LogError::Locked { .. } => Failure(format!(
            "{error}: while a server runs, give it the order: mutation {{ forget(from: \"{}\", to: \"{}\") {{ order }} }}",
            options.from, options.to
        )),
        error => Failure::of(error),
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::of)?;
    let stamp = Stamp {
        mono_ns: 0,
        wall_ns: i64::try_from(now.as_nanos()).map_err(Failure::of)?,
    };
    // A process of its own, which runs no cycle: what was in force last stays so.
    log.chain
        .boot(stamp, last_boot, Vec::new(), &log.writer)
        .map_err(Failure::of)?;
    let audit = |order: &Forget| {
        Body::Audit(Audit {
            operator: Domain::Operator.hash(b"tapline forget"),
            action: Text::new(&order.to_string()),
            target: ZERO,
            result: AuditResult::Done,
        })
    };
    let shutdown = Shutdown {
        reason: ShutdownReason::Requested,
        cycles: 0,
        missed_ticks: 0,
    };
    let mut ordered_at = Vec::new();
    for body in orders.iter().map(audit).chain([Body::Shutdown(shutdown)]) {
        let mut record = log.writer.checkout_blocking().map_err(Failure::of)?;
        let appended = log.chain.append(stamp, &body, &mut record).map_err(Failure::of)?;
        if body.kind() == Kind::Audit {
            ordered_at.push(appended.seq);
        }
        log.writer.submit(record).map_err(Failure::of)?;
    }
    log.writer.close().map_err(Failure::of)?;
    for (order, leaf) in orders.iter().zip(ordered_at) {
        print(&format!(
            "cycles {} to {} (whole tiles of 256) are forgotten; leaf {leaf} says so",
            order.from, order.to
        ));
    }
    print(
        "of the rollups, people by the second and minute and heat and flows by the second went with them; longer sums and \
         occupancy stay, and recordings, captures and backups are not touched",
    );
    Ok(Outcome::Yes)
}

/// The cycles of the range, and the last BOOT leaf; none when no cycle of it is kept.
fn resolve(options: &Options) -> std::result::Result<Option<(Vec<Forget>, Boot)>, Failure> {
    // What is out of the log's range, 1677 to 2262, is before or after all of it.
    let nanoseconds = |time: jiff::Timestamp| {
        let ns = time.as_nanosecond();
        i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
    };
    let (from_ns, to_ns) = (nanoseconds(options.from), nanoseconds(options.to));
    let db = open_reader(&options.data_dir.join(DATABASE_FILE)).map_err(Failure::of)?;
    let orders = SqlLog(&db).to_forget(from_ns, to_ns).map_err(Failure::of)?;
    if orders.is_empty() {
        return Ok(None);
    }
    let boot: Option<Vec<u8>> = db
        .query_row(
            "SELECT body FROM leaf WHERE kind <> 1 AND kind = ?1 ORDER BY seq DESC LIMIT 1",
            [Kind::Boot as u8],
            |row| row.get(0),
        )
        .optional()
        .map_err(Failure::of)?;
    match boot
        .map(|bytes| leaf::decode(&bytes))
        .transpose()
        .map_err(Failure::of)?
        .map(|leaf| leaf.body)
    {
        Some(Body::Boot(boot)) => Ok(Some((orders, boot))),
        _ => Err(Failure("the log has no BOOT leaf: run `tapline fsck`".to_owned())),
    }
}
