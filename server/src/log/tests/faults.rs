//! Every step of the commit fails before it did anything and after it did all, and the process is killed
//! at any moment. `fsck` is the oracle, and nothing that was published may be missing.

use std::{
    io,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::support::*;
use crate::log::{Faults, Log, LogError, LogOptions, Step, fsck};

/// Fails one step of one commit.
struct FailOnce {
    step: Step,
    commit: u32,
    persisted: bool,
    seen: u32,
}

impl FailOnce {
    fn check(&mut self, step: Step, after: bool) -> io::Result<()> {
        if step != self.step || after != self.persisted {
            return Ok(());
        }
        self.seen += 1;
        if self.seen == self.commit {
            Err(io::Error::other("injected"))
        } else {
            Ok(())
        }
    }
}

impl Faults for FailOnce {
    fn before(&mut self, step: Step) -> io::Result<()> {
        self.check(step, false)
    }
    fn after(&mut self, step: Step) -> io::Result<()> {
        self.check(step, true)
    }
}

fn assert_clean(place: &Place) -> u64 {
    let report = fsck(&place.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    report.leaves
}

#[test]
fn whatever_step_fails_the_log_recovers() {
    for step in Step::COMMIT {
        for persisted in [false, true] {
            for commit in [1, 2, 17] {
                let place = Place::new();
                let faults = FailOnce {
                    step,
                    commit,
                    persisted,
                    seen: 0,
                };
                let mut log = Log::open(LogOptions {
                    faults: Box::new(faults),
                    ..place.options()
                })
                .unwrap();
                let durable = log.writer.durable();
                boot(&mut log, 0);
                // 17 commits of 16 records: the 17th fills the second tile.
                let error = run(&mut log, 1..300)
                    .and_then(|()| log.writer.flush().map(|_| ()))
                    .unwrap_err();
                assert!(error.to_string().contains("injected"), "{step:?}: {error}");
                drop(log);

                let what = format!("{step:?} of commit {commit}, persisted {persisted}");
                let mut log = place.open();
                let published = durable.borrow().clone();
                assert!(
                    log.recovered.size >= published.size,
                    "{what}: published leaves are lost"
                );
                let committed = step > Step::Commit || (step == Step::Commit && persisted);
                let commits = u64::from(commit) - u64::from(!committed);
                assert_eq!(log.recovered.size, 16 * commits, "{what}");
                boot(&mut log, 0);
                run(&mut log, 1..40).unwrap();
                let size = shut_down(log, 40);
                assert_eq!(assert_clean(&place), size, "{what}");
            }
        }
    }
}

#[test]
fn after_a_failure_nothing_is_accepted() {
    let place = Place::new();
    let faults = FailOnce {
        step: Step::Commit,
        commit: 1,
        persisted: false,
        seen: 0,
    };
    let mut log = Log::open(LogOptions {
        faults: Box::new(faults),
        ..place.options()
    })
    .unwrap();
    boot(&mut log, 0);
    assert!(log.writer.flush().is_err());
    assert!(matches!(run(&mut log, 1..100), Err(LogError::Ended { .. })));
    assert!(matches!(
        log.writer.checkout(Duration::from_millis(1)),
        Err(LogError::Ended { .. })
    ));
}

const CHILD_DIR: &str = "TAPLINE_KILL_TEST_DIR";

/// Not a test by itself: the process that [`killed_at_any_moment`] starts and kills. It appends until then,
/// and prints each published size.
#[test]
#[ignore = "started by killed_at_any_moment"]
#[allow(clippy::print_stdout, reason = "its parent reads what it prints")]
fn child_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let mut options = LogOptions::live(dir);
    options.writer.interval = Some(Duration::from_millis(3));
    let mut log = Log::open(options).unwrap();
    let durable = log.writer.durable();
    boot(&mut log, 0);
    for tick in 1.. {
        run(&mut log, tick..tick + 1).unwrap();
        println!("published {}", durable.borrow().size);
    }
}

#[test]
fn killed_at_any_moment() {
    let place = Place::new();
    let mut published = 0;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "log::tests::faults::child_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD_DIR, place.data())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment will do; this one differs from run to run.
        let jitter = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() % 120;
        std::thread::sleep(Duration::from_millis(30 + u64::from(jitter)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        // The last line may be cut off by the kill.
        let whole = printed.rfind('\n').map_or("", |end| &printed[..end]);
        let sizes = whole
            .lines()
            .filter_map(|line| line.strip_prefix("published ")?.parse::<u64>().ok());
        published = sizes.max().unwrap_or(published).max(published);
        if !place.data().join("tapline.db").exists() {
            continue;
        }
        let log = place.open();
        assert!(
            log.recovered.size >= published,
            "round {round}: {published} published, {:?} left",
            log.recovered
        );
        drop(log);
        assert_clean(&place);
    }
    assert!(published > 0, "no child got as far as publishing");
}
