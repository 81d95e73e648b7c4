//! `tapline verify`: what a bundle proves, to someone who trusts nothing but a policy file.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Seek},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use tapline_witness::{
    bundle::read::Bundle,
    checkpoint::Checkpoint,
    policy::Policy,
    rolled::{RolledUp, against_saved},
    verify::{Level, Report, Seen, Verdict, VerifyRequest, verify},
};

use super::{
    output::{Failure, Outcome, Result, print},
    rerun::Cpu,
};
use crate::run::rerun::Rerun;

/// What to verify, and against what.
#[derive(Args)]
pub(super) struct Options {
    /// The bundle
    #[arg(required_unless_present_any = ["fork", "data_dir"])]
    bundle: Option<PathBuf>,
    /// Whom to trust: a C2SP tlog-policy file. Keys are never taken from the bundle
    #[arg(long, value_name = "FILE", required_unless_present = "data_dir")]
    policy: Option<PathBuf>,
    /// What was seen of each log before; moved on when everything passes. A log it does not know is not consistent with anything:
    /// see --first-seen
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Begin to remember a log that the state file does not know yet, or a file that is not there yet
    #[arg(long, requires = "state")]
    first_seen: bool,
    /// A bundle that was saved before its leaves were pruned: every ROLLUP leaf of the bundle is held against its leaves
    #[arg(long, value_name = "FILE", requires = "bundle")]
    saved: Option<PathBuf>,
    /// The checkpoint must be signed within this time of now, for example `60s`
    #[arg(long, value_name = "TIME", value_parser = super::output::duration)]
    fresh: Option<Duration>,
    /// Compare two checkpoints instead: do they prove that the log forked?
    #[arg(long, num_args = 2, value_names = ["NOTE", "NOTE"], conflicts_with_all = ["bundle", "state", "fresh"])]
    fork: Option<Vec<PathBuf>>,
    /// Run the recorded cycles again, in a process of its own, and compare every bit. No code of the bundle is run
    #[arg(long)]
    replay: bool,
    /// Your own plugins, each checked against the manifest (default: only the stages built into this program)
    #[arg(long, value_name = "DIR", requires = "replay")]
    plugins: Option<PathBuf>,
    /// Which builds of them to run (default: the best for this machine)
    #[arg(long, value_name = "LEVEL", requires = "replay")]
    cpu: Option<Cpu>,
    /// On the box itself: replay from the raw input that this data directory keeps, in any privacy class
    #[arg(long, value_name = "DIR", requires = "replay", conflicts_with_all = ["bundle", "fork", "state", "fresh"])]
    data_dir: Option<PathBuf>,
    /// First leaf to replay from there, with the cycles since the keyframe before it (default: as early as raw input is kept)
    #[arg(long, value_name = "N", requires = "data_dir")]
    from: Option<u64>,
    /// One past the last leaf to replay from there (default: the end)
    #[arg(long, value_name = "N", requires = "data_dir")]
    to: Option<u64>,
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
    if let Some(data_dir) = &options.data_dir {
        return store_report(options, data_dir);
    }
    let path = options.policy.as_deref().unwrap_or(Path::new(""));
    let policy = Policy::parse(&text(path)?).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
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
        replay: options.replay,
    };
    let refused = |error| Failure(format!("cannot read {}: {error}", bundle.display()));
    let mut file = File::open(bundle).map_err(refused)?;
    let mut report = verify(BufReader::new(&mut file), &request);
    let is_known = report.origin.as_ref().is_some_and(|origin| seen.contains_key(origin));
    if options.first_seen && !is_known && matches!(report.verdict(Level::Consistent), Verdict::NotChecked(_)) {
        report.required.retain(|level| *level != Level::Consistent);
    }
    let mut replayed = None;
    // Only what is proved to be in the log is run again.
    if options.replay && *report.verdict(Level::Integrity) == Verdict::Pass {
        file.rewind().map_err(refused)?;
        let (verdict, rerun) = replay(options, Stdio::from(file))?;
        report.set(Level::Replayed, verdict);
        replayed = rerun;
    }
    let rolled = match &options.saved {
        None => None,
        Some(saved) => Some(rolled_up(policy, bundle, saved, &report)?),
    };
    let accepted = report.is_accepted() && rolled.as_deref().is_none_or(holds);
    if let (Some(path), true, Some((origin, now_seen))) = (&options.state, accepted, report.seen()) {
        seen.insert(origin, now_seen);
        write_state(path, &seen)?;
    }
    print(&shown(&report, replayed.as_ref(), rolled.as_deref(), options.json)?);
    Ok(if accepted { Outcome::Yes } else { Outcome::No })
}

/// What a store gives: whether it is a log that checks is for `fsck` to say.
fn store_report(options: &Options, data_dir: &Path) -> Result {
    let mut levels = Level::ALL.map(|level| {
        let why = format!(
            "this is no bundle: `tapline fsck {}` checks the log",
            data_dir.display()
        );
        (level, Verdict::NotChecked(why))
    });
    let (verdict, replayed) = replay(options, Stdio::null())?;
    let passed = verdict == Verdict::Pass;
    levels[Level::Replayed as usize].1 = verdict;
    let report = Report {
        origin: None,
        size: None,
        root: None,
        time_s: None,
        leaves: 0,
        cycles: None,
        cycles_opened: 0,
        inputs_opened: 0,
        levels: levels.to_vec(),
        required: vec![Level::Replayed],
    };
    print(&shown(&report, replayed.as_ref(), None, options.json)?);
    Ok(if passed { Outcome::Yes } else { Outcome::No })
}

/// Runs the cycles again in another process. One that dies, or says what cannot be read, proves nothing.
fn replay(options: &Options, input: Stdio) -> std::result::Result<(Verdict, Option<Rerun>), Failure> {
    let program = std::env::current_exe().map_err(Failure::of)?;
    let mut command = Command::new(program);
    command.arg("rerun").stdin(input).stdout(Stdio::piped());
    for (flag, path) in [("--plugins", &options.plugins), ("--data-dir", &options.data_dir)] {
        if let Some(path) = path {
            command.arg(flag).arg(path);
        }
    }
    for (flag, leaf) in [("--from", options.from), ("--to", options.to)] {
        if let Some(leaf) = leaf {
            command.args([flag, &leaf.to_string()]);
        }
    }
    if let Some(cpu) = options.cpu {
        command.args(["--cpu", cpu.level().name()]);
    }
    let out = command
        .output()
        .map_err(|e| Failure(format!("the replaying process cannot be started: {e}")))?;
    let line = String::from_utf8_lossy(&out.stdout);
    let rerun: Option<Rerun> = line.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let Some(rerun) = rerun.filter(|_| out.status.success()) else {
        let said = String::from_utf8_lossy(&out.stderr);
        let why = format!("the replaying process ended with {}: {}", out.status, said.trim_end());
        return Ok((Verdict::NotChecked(why), None));
    };
    let verdict = match (&rerun.difference, &rerun.reason) {
        (Some(difference), _) => Verdict::Fail(difference.to_string()),
        (None, Some(reason)) => Verdict::NotChecked(reason.clone()),
        (None, None) if rerun.passed() => Verdict::Pass,
        (None, None) => Verdict::NotChecked("no cycle was run again".to_owned()),
    };
    Ok((verdict, Some(rerun)))
}

/// Holds the ROLLUP leaves of a bundle against a saved one. That has to be of the same log, and verified as well.
fn rolled_up(
    policy: &Policy,
    bundle: &Path,
    saved: &Path,
    report: &Report,
) -> std::result::Result<Vec<RolledUp>, Failure> {
    if !report.is_accepted() {
        return Ok(Vec::new());
    }
    let open = |path: &Path| File::open(path).map_err(|e| Failure(format!("cannot read {}: {e}", path.display())));
    let nothing = BTreeMap::new();
    let request = VerifyRequest {
        policy,
        seen: &nothing,
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    let of_saved = verify(BufReader::new(open(saved)?), &request);
    if !of_saved.is_accepted() || of_saved.origin != report.origin {
        return Err(Failure(format!(
            "{} is not a bundle of this log that verifies:\n{of_saved}",
            saved.display()
        )));
    }
    let opened = |path: &Path| Bundle::open(BufReader::new(open(path)?)).map_err(Failure::of);
    against_saved(&mut opened(saved)?, &mut opened(bundle)?).map_err(Failure::of)
}

/// True when at least one rollup was checked and none is false.
fn holds(rolled: &[RolledUp]) -> bool {
    let failed = |r: &RolledUp| matches!(r.verdict, Verdict::Fail(_));
    rolled.iter().any(|r| r.verdict == Verdict::Pass) && !rolled.iter().any(failed)
}

fn shown(
    report: &Report,
    replayed: Option<&Rerun>,
    rolled: Option<&[RolledUp]>,
    json: bool,
) -> std::result::Result<String, Failure> {
    if !json {
        let verdict = if report.is_accepted() && rolled.is_none_or(holds) {
            "accepted"
        } else {
            "NOT accepted"
        };
        let replayed = replayed.map(line).unwrap_or_default();
        let rolled: String = rolled.into_iter().flatten().map(rollup_line).collect();
        return Ok(format!("{report}{replayed}{rolled}\n{verdict}"));
    }
    let mut value = serde_json::to_value(report).map_err(Failure::of)?;
    value["accepted"] = (report.is_accepted() && rolled.is_none_or(holds)).into();
    if let Some(rolled) = rolled {
        value["rollups"] = serde_json::to_value(rolled).map_err(Failure::of)?;
    }
    if let Some(replayed) = replayed {
        value["replay"] = serde_json::to_value(replayed).map_err(Failure::of)?;
    }
    Ok(value.to_string())
}

/// What became of a ROLLUP leaf, in words.
fn rollup_line(r: &RolledUp) -> String {
    let what = match &r.verdict {
        Verdict::Pass if r.outcomes => "PASS, outcomes too".to_owned(),
        Verdict::Pass => "PASS, without the outcomes, which were not saved or not stated".to_owned(),
        Verdict::Fail(why) => format!("FAIL  {why}"),
        Verdict::NotChecked(why) => format!("NOT_CHECKED  {why}"),
    };
    format!("\nROLLUP leaf {} over {} to {}: {what}", r.leaf, r.start, r.end)
}

/// What was run again, in words.
fn line(rerun: &Rerun) -> String {
    let Some((first, last)) = rerun.cycles else {
        return String::new();
    };
    let speed = rerun.recorded_s / rerun.took_s.max(1e-9);
    format!(
        "\nreplayed {} cycles, {first} to {last}, and {} states, bit for bit: {:.0} s in {:.1} s ({speed:.0} times real \
         time), CPU level {}, profile {}",
        rerun.count, rerun.states, rerun.recorded_s, rerun.took_s, rerun.cpu, rerun.profile
    )
}

/// Two notes of one log, of one size, with two roots, each signed by a key of the log in force at that size: only a log that
/// forked has signed both, and anyone with the policy can check it.
fn fork(policy: &Policy, first: &Path, second: &Path, json: bool) -> Result {
    let open = |path: &Path| -> std::result::Result<(String, Checkpoint), Failure> {
        let note = text(path)?;
        let refused = |why: &dyn std::fmt::Display| Failure(format!("{}: {why}", path.display()));
        let parsed = tapline_witness::note::SignedNote::parse(note.as_bytes()).map_err(|e| refused(&e))?;
        let head = Checkpoint::from_text(parsed.text).map_err(|e| refused(&e))?;
        let logs = policy.logs(&head.origin);
        if logs.is_empty() {
            return Err(refused(&format!("the policy names no log {}", head.origin)));
        }
        // Any of the log's keys in force: a fork is one, whichever of them signed it. With one that was retired, the log itself
        // signs nothing any more, only whoever stole it.
        let keys = policy.keys();
        let lines = parsed.verify(&keys).map_err(|e| refused(&e))?;
        for line in &lines {
            policy
                .refuse_retired(line.verifier, head.size)
                .map_err(|e| refused(&e))?;
        }
        if !lines.iter().any(|line| logs.contains(&line.verifier)) {
            return Err(refused(&format!("no signature line by {}", head.origin)));
        }
        Ok((note, head))
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

/// Whole or not at all, and for good: a state file cut off, or back at what it was, would forget what was seen.
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
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| refused(&e))
}

#[cfg(test)]
mod tests {
    use tapline_witness::bundle::build::{BundleRequest, Prepared};

    use super::*;
    use crate::{
        log::tests::support::{self, Place},
        store::{
            log_source::{LogSourceError, SqlLog},
            reader::Reader,
        },
    };

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    /// A state file that was deleted, or mistyped, stood for an empty one, and CONSISTENT passed. What was compared with nothing
    /// is remembered only by an order to, and nothing is when the command does not end well.
    #[test]
    fn a_log_is_remembered_by_an_order_and_only_when_all_is_well() {
        let place = Place::new();
        let mut log = place.open();
        support::boot(&mut log, 0);
        support::run(&mut log, 1..20).unwrap();
        let policy = Policy::parse(&log.chain.policy()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let durable = log.writer.close().unwrap();
        let bundle = dir.path().join("all.wbundle");
        let written: std::result::Result<(), LogSourceError> = Reader::open(&place.data()).unwrap().snapshot_or(|db| {
            let request = BundleRequest {
                from: 2,
                to: durable.size,
                inputs: false,
                checkpoint: (durable.size, durable.note.to_string()),
                old: None,
            };
            let mut file = File::create(&bundle).unwrap();
            Prepared::new(&SqlLog(db), request)?.0.write(&mut file)
        });
        written.unwrap();
        let state = dir.path().join("seen.json");
        let says = |bundle: &Path, first_seen: bool, saved: Option<&Path>| {
            let options = Options {
                bundle: Some(bundle.to_owned()),
                policy: None,
                state: Some(state.clone()),
                first_seen,
                saved: saved.map(Path::to_owned),
                fresh: None,
                fork: None,
                replay: false,
                plugins: None,
                cpu: None,
                data_dir: None,
                from: None,
                to: None,
                json: true,
            };
            bundle_report(&options, &policy, bundle).unwrap()
        };
        assert_eq!(says(&bundle, false, None), Outcome::No);
        // There is no ROLLUP leaf to be held against what was saved.
        assert_eq!(says(&bundle, true, Some(&bundle)), Outcome::No);
        assert!(!state.exists());
        assert_eq!(says(&bundle, true, None), Outcome::Yes);
        assert_eq!(says(&bundle, false, None), Outcome::Yes);
        // The order to begin is none to forget.
        let origin = read_state(&state).unwrap().into_keys().next().unwrap();
        let forked = BTreeMap::from([(origin, Seen { size: 3, root: [1; 32] })]);
        write_state(&state, &forked).unwrap();
        assert_eq!(says(&bundle, true, None), Outcome::No);
        assert_eq!(read_state(&state).unwrap(), forked);
    }

    /// A log that ran on in two copies of its directory signed two trees of one size. The two notes are the proof, for
    /// anyone who has the policy.
    #[test]
    fn two_histories_of_one_log_are_a_proven_fork() {
        let place = Place::new();
        let mut log = place.open();
        support::boot(&mut log, 0);
        support::run(&mut log, 1..20).unwrap();
        let policy_text = log.chain.policy();
        let policy = Policy::parse(&policy_text).unwrap();
        log.writer.close().unwrap();
        let copy = Place::new();
        self::copy(place.root.path(), copy.root.path());
        let dir = tempfile::tempdir().unwrap();
        // One more leaf in each, and the same number of them: BOOT differs by its boot id.
        let notes = [&place, &copy].map(|place| {
            let mut log = place.open();
            support::boot(&mut log, 0);
            let durable = log.writer.close().unwrap();
            let path = dir.path().join(hex::encode(durable.root));
            fs::write(&path, &*durable.note).unwrap();
            (path, durable.size)
        });
        let [(first, size), (second, other)] = notes;
        assert_eq!(size, other);
        let says = |a: &Path, b: &Path| fork(&policy, a, b, true);
        assert_eq!(says(&first, &second).unwrap(), Outcome::No, "a fork");
        assert_eq!(says(&first, &first).unwrap(), Outcome::Yes, "the same tree");

        // Two sizes can be one history.
        let mut log = place.open();
        support::boot(&mut log, 0);
        let later = dir.path().join("later");
        fs::write(&later, &*log.writer.close().unwrap().note).unwrap();
        assert_eq!(says(&second, &later).unwrap(), Outcome::Yes);

        // Nobody can make such a proof up: a root that the log did not sign is none of its notes.
        let note = fs::read_to_string(&first).unwrap();
        let root = note.lines().nth(2).unwrap();
        let forged = dir.path().join("forged");
        fs::write(
            &forged,
            note.replacen(
                root,
                &root.replacen(&root[..1], if root.starts_with('A') { "B" } else { "A" }, 1),
                1,
            ),
        )
        .unwrap();
        let refused = says(&first, &forged).unwrap_err().to_string();
        assert!(refused.contains("does not verify"), "{refused}");
        // Nor with a key that was retired before, and may be anybody's since.
        let retired_with = |leaf: u64| {
            let key = policy.keys()[0].key_id();
            let text = policy_text.replacen('\n', &format!("\n#tapline-retired {key:08x} {leaf}\n"), 1);
            fork(&Policy::parse(&text).unwrap(), &first, &second, true)
        };
        assert_eq!(retired_with(size).unwrap(), Outcome::No, "it may sign that size");
        let refused = retired_with(size - 1).unwrap_err().to_string();
        assert!(refused.contains("was retired with leaf"), "{refused}");
        // Nor of a log that the policy does not name.
        let stranger = Place::new();
        let mut log = stranger.open();
        support::boot(&mut log, 0);
        let strange = dir.path().join("strange");
        fs::write(&strange, &*log.writer.close().unwrap().note).unwrap();
        let refused = says(&first, &strange).unwrap_err().to_string();
        assert!(refused.contains("names no log"), "{refused}");
    }
}
