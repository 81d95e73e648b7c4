//! `tapline verify`: what a bundle proves, to someone who trusts nothing but a policy file.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use tapline_witness::{
    checkpoint::Checkpoint,
    policy::Policy,
    verify::{Report, Seen, VerifyRequest, verify},
};

use super::output::{Failure, Outcome, Result, print};

/// What to verify, and against what.
#[derive(Args)]
pub(super) struct Options {
    /// The bundle
    #[arg(required_unless_present = "fork")]
    bundle: Option<PathBuf>,
    /// Whom to trust: a C2SP tlog-policy file. Keys are never taken from the bundle
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// What was seen of each log before; moved on when everything passes
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The checkpoint must be signed within this time of now, for example `60s`
    #[arg(long, value_name = "TIME", value_parser = super::output::duration)]
    fresh: Option<Duration>,
    /// Compare two checkpoints instead: do they prove that the log forked?
    #[arg(long, num_args = 2, value_names = ["NOTE", "NOTE"], conflicts_with_all = ["bundle", "state", "fresh"])]
    fork: Option<Vec<PathBuf>>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// A checkpoint as the state file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenEntry {
    size: u64,
    root: String,
}

pub(super) fn run(options: &Options) -> Result {
    let policy = Policy::parse(&text(&options.policy)?)
        .map_err(|error| Failure(format!("{}: {error}", options.policy.display())))?;
    match (&options.fork, &options.bundle) {
        (Some(notes), _) => fork(&policy, &notes[0], &notes[1], options.json),
        (None, Some(bundle)) => bundle_report(options, &policy, bundle),
        (None, None) => Err(Failure("name a bundle".to_owned())),
    }
}

fn bundle_report(options: &Options, policy: &Policy, bundle: &Path) -> Result {
    let mut seen = match &options.state {
        Some(path) if path.exists() => read_state(path)?,
        _ => BTreeMap::new(),
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let request = VerifyRequest {
        policy,
        seen: &seen,
        must_be_consistent: options.state.is_some(),
        fresh: options.fresh.map(|tolerance| (now_s, tolerance.as_secs())),
        replay: false,
    };
    let file = File::open(bundle).map_err(|error| Failure(format!("cannot read {}: {error}", bundle.display())))?;
    let report = verify(BufReader::new(file), &request);
    if let (Some(path), true, Some((origin, now_seen))) = (&options.state, report.is_accepted(), report.seen()) {
        seen.insert(origin, now_seen);
        write_state(path, &seen)?;
    }
    print(&shown(&report, options.json)?);
    Ok(if report.is_accepted() {
        Outcome::Yes
    } else {
        Outcome::No
    })
}

fn shown(report: &Report, json: bool) -> std::result::Result<String, Failure> {
    if !json {
        let verdict = if report.is_accepted() {
            "accepted"
        } else {
            "NOT accepted"
        };
        return Ok(format!("{report}\n{verdict}"));
    }
    let mut value = serde_json::to_value(report).map_err(Failure::of)?;
    value["accepted"] = report.is_accepted().into();
    Ok(value.to_string())
}

/// Two notes of one log, of one size, with two roots, each signed by the log's key: only a log that forked has
/// signed both, and anyone with the policy can check it.
fn fork(policy: &Policy, first: &Path, second: &Path, json: bool) -> Result {
    let open = |path: &Path| -> std::result::Result<(String, Checkpoint), Failure> {
        let note = text(path)?;
        let refused = |why: &dyn std::fmt::Display| Failure(format!("{}: {why}", path.display()));
        let parsed = tapline_witness::note::SignedNote::parse(note.as_bytes()).map_err(|e| refused(&e))?;
        let head = Checkpoint::from_text(parsed.text).map_err(|e| refused(&e))?;
        let log = policy
            .log(&head.origin)
            .ok_or_else(|| refused(&format!("the policy names no log {}", head.origin)))?;
        let signed = Checkpoint::open(note.as_bytes(), log, &policy.keys()).map_err(|e| refused(&e))?;
        Ok((note, signed.checkpoint))
    };
    let ((note_a, a), (note_b, b)) = (open(first)?, open(second)?);
    let (proven, because) = if a.origin != b.origin {
        (false, "they are of two logs".to_owned())
    } else if a.size != b.size {
        let why = format!(
            "sizes {} and {} can be of one log; a bundle that carries the smaller (old={}) tells",
            a.size,
            b.size,
            a.size.min(b.size)
        );
        (false, why)
    } else if a.root == b.root {
        (false, "they are the same tree".to_owned())
    } else {
        (true, format!("{} signed two trees of size {}", a.origin, a.size))
    };
    if json {
        let proof = serde_json::json!({ "fork": proven, "because": because, "notes": [note_a, note_b] });
        print(&proof.to_string());
    } else if proven {
        print(&format!(
            "FORK  {because}: {} and {}",
            hex::encode(a.root),
            hex::encode(b.root)
        ));
    } else {
        print(&format!("no fork proven: {because}"));
    }
    Ok(if proven { Outcome::No } else { Outcome::Yes })
}

fn text(path: &Path) -> std::result::Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))
}

fn read_state(path: &Path) -> std::result::Result<BTreeMap<String, Seen>, Failure> {
    let refused = |why: String| Failure(format!("{} is no state file: {why}", path.display()));
    let entries: BTreeMap<String, SeenEntry> =
        serde_json::from_str(&text(path)?).map_err(|error| refused(error.to_string()))?;
    let mut seen = BTreeMap::new();
    for (origin, entry) in entries {
        let mut root = [0; 32];
        hex::decode_to_slice(&entry.root, &mut root).map_err(|error| refused(format!("root of {origin}: {error}")))?;
        seen.insert(origin, Seen { size: entry.size, root });
    }
    Ok(seen)
}

/// Whole or not at all: a state file cut off would forget what was seen.
fn write_state(path: &Path, seen: &BTreeMap<String, Seen>) -> std::result::Result<(), Failure> {
    let entry = |seen: &Seen| SeenEntry {
        size: seen.size,
        root: hex::encode(seen.root),
    };
    let entries: BTreeMap<&String, SeenEntry> = seen.iter().map(|(origin, seen)| (origin, entry(seen))).collect();
    let refused = |error: &dyn std::fmt::Display| Failure(format!("cannot write {}: {error}", path.display()));
    let directory = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(|e| refused(&e))?;
    serde_json::to_writer_pretty(&mut file, &entries).map_err(|e| refused(&e))?;
    file.as_file().sync_all().map_err(|e| refused(&e))?;
    file.persist(path).map_err(|e| refused(&e))?;
    Ok(())
}
