//! Keys exchanged while the log goes on: over restarts, failures and pruning.

use std::{collections::BTreeMap, fs, io, io::Cursor, path::PathBuf};

use tapline_witness::{
    body::{Key, KeyAction, KeyRole},
    bundle::build::{BundleRequest, Prepared},
    checkpoint::Checkpoint,
    codec::Text,
    note::{Name, SignedNote, Verifier},
    policy::Policy,
    verify::{VerifyRequest, verify},
};

use super::support::*;
use crate::{
    log::{Faults, KEY_DIR, Log, LogError, LogOptions, NoFaults, Step, fsck, policy_of, prepare_key},
    store::{
        log_source::{LogSourceError, SqlLog},
        reader::Reader,
    },
};

use KeyAction::{Added, Retired};
use KeyRole::{Cosigner, Log as LogKey};

fn key_dir(place: &Place) -> PathBuf {
    place.data().join(KEY_DIR)
}

pub(super) fn turn(
    log: &mut Log,
    tick: u64,
    role: KeyRole,
    action: KeyAction,
    key: &Verifier,
) -> Result<u64, LogError> {
    let body = Key {
        role,
        action,
        name: Text::new(key.name().as_str()),
        public_key: key.public_key(),
    };
    let mut record = log.writer.checkout_blocking()?;
    let appended = log.chain.append(stamp(tick), &body.into(), &mut record)?;
    log.writer.submit(record)?;
    Ok(appended.seq)
}

pub(super) fn prepared(place: &Place, log: &Log, role: KeyRole) -> Verifier {
    prepare_key(&key_dir(place), log.chain.origin(), role).unwrap()
}

/// Key ids of those who sign a note.
fn signers(note: &str) -> Vec<u32> {
    let parsed = SignedNote::parse(note.as_bytes()).unwrap();
    parsed.signatures.iter().map(|line| line.key_id).collect()
}

pub(super) fn first_keys(log: &Log) -> [Verifier; 2] {
    let keys = log.chain.keys().keys();
    [keys[0].verifier.clone(), keys[1].verifier.clone()]
}

fn files(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(key_dir(place)).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A bundle of a range of a store, as the server would cut it, under the newest checkpoint.
pub(super) fn bundle(place: &Place, from: u64, to: u64, old: Option<u64>) -> Vec<u8> {
    let reader = Reader::open(&place.data()).unwrap();
    let latest = reader.latest_checkpoint().unwrap().unwrap();
    let cut: Result<Vec<u8>, LogSourceError> = reader.snapshot_or(|db| {
        let log = SqlLog(db);
        let old = old.map(|size| (size, log.note(size).unwrap().expect("a checkpoint of this size")));
        let request = BundleRequest {
            from,
            to,
            inputs: false,
            checkpoint: (latest.size, latest.note),
            old,
        };
        let mut out = Vec::new();
        Prepared::new(&log, request)?.0.write(&mut out)?;
        Ok(out)
    });
    cut.unwrap()
}

fn accepted(bundle: &[u8], policy: &str) -> Result<(), String> {
    let policy = Policy::parse(policy).unwrap();
    let seen = BTreeMap::new();
    let request = VerifyRequest {
        policy: &policy,
        seen: &seen,
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    let report = verify(Cursor::new(bundle), &request);
    if report.is_accepted() {
        Ok(())
    } else {
        Err(report.to_string())
    }
}

fn policy(place: &Place) -> String {
    let reader = Reader::open(&place.data()).unwrap();
    reader.snapshot_or(policy_of).unwrap()
}

/// Both roles, over restarts: what signs is what the leaves say, and bundles verify under the policy of before, as far as
/// somebody vouches, and under the one of after.
#[test]
fn keys_are_exchanged_and_the_log_goes_on() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..10).unwrap();
    let [old, old_time] = first_keys(&log);
    let before = log.chain.policy();
    assert_eq!(
        signers(&log.writer.flush().unwrap().note),
        [old.key_id(), old_time.key_id()]
    );
    let new = prepared(&place, &log, LogKey);
    let added = turn(&mut log, 10, LogKey, Added, &new).unwrap();
    run(&mut log, 10..20).unwrap();
    let between = log.writer.flush().unwrap();
    assert_eq!(signers(&between.note), [old.key_id(), old_time.key_id(), new.key_id()]);
    shut_down(log, 20);
    assert_eq!(
        policy(&place),
        format!(
            "log {}\nlog {}\nwitness time {}\nquorum none\n",
            old.to_vkey(),
            new.to_vkey(),
            old_time.to_vkey()
        )
    );
    accepted(&bundle(&place, 3, 15, None), &before).expect("both sign: the policy of before is enough");

    // In another process, the cosigner's as well.
    let mut log = place.open();
    boot(&mut log, 0);
    let new_time = prepared(&place, &log, Cosigner);
    turn(&mut log, 0, Cosigner, Added, &new_time).unwrap();
    run(&mut log, 1..10).unwrap();
    assert_eq!(signers(&log.writer.flush().unwrap().note).len(), 4);
    turn(&mut log, 9, LogKey, Retired, &old).unwrap();
    let retired = turn(&mut log, 9, Cosigner, Retired, &old_time).unwrap();
    run(&mut log, 10..20).unwrap();
    let after = log.writer.flush().unwrap();
    assert_eq!(signers(&after.note), [new.key_id(), new_time.key_id()]);
    assert_eq!(log.chain.vkey(), new.to_vkey());
    shut_down(log, 20);
    assert_eq!(
        files(&place),
        [
            format!("cosigner-{:08x}.key", new_time.key_id()),
            format!("log-{:08x}.key", new.key_id())
        ],
        "what is retired is erased"
    );
    // A process that dies before it erases them leaves that to the next.
    fs::copy(
        key_dir(&place).join(format!("log-{:08x}.key", new.key_id())),
        key_dir(&place).join("log-stray.key"),
    )
    .unwrap();

    let mut log = place.open();
    assert_eq!(log.chain.origin(), old.name().as_str());
    boot(&mut log, 0);
    run(&mut log, 1..300).unwrap();
    let size = shut_down(log, 300);
    let report = fsck(&place.data(), Some(&place.anchor())).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.leaves, size);

    let now = policy(&place);
    assert!(
        now.contains(&format!("#tapline-retired {:08x} {retired}\n", old_time.key_id())),
        "{now}"
    );
    let far = bundle(&place, 280, 300, None);
    accepted(&far, &now).expect("the policy of after");
    let refused = accepted(&far, &before).unwrap_err();
    assert!(refused.contains("AUTHENTIC   FAIL"), "{refused}");
    accepted(&bundle(&place, 280, 300, Some(between.size)), &before)
        .expect("vouched for by the checkpoint both signed");
    assert!(added < between.size);
}

/// The private half of a key that the log says signs has to be here, and a database with other keys is refused.
#[test]
fn a_log_without_its_newest_key_is_refused_by_name() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    let [old, _] = first_keys(&log);
    let new = prepared(&place, &log, LogKey);
    turn(&mut log, 0, LogKey, Added, &new).unwrap();
    shut_down(log, 0);
    let file = key_dir(&place).join(format!("log-{:08x}.key", new.key_id()));
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let refused = Log::open(place.options()).unwrap_err().to_string();
    assert!(
        refused.contains(&new.to_vkey()) && !refused.contains("PRIVATE"),
        "{refused}"
    );
    assert_eq!(files(&place).len(), 2, "nothing was made in its place");
    fs::write(&file, &text).unwrap();
    let open = Log::open(place.options()).unwrap_err();
    assert!(
        matches!(
            open,
            LogError::Misuse {
                field: "mode of a key file",
                ..
            }
        ),
        "{open}"
    );
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut log = place.open();
    boot(&mut log, 0);
    // A key that was made and that no leaf names: the process died in between. It signs nothing.
    prepared(&place, &log, LogKey);
    shut_down(log, 0);
    let mut log = place.open();
    boot(&mut log, 0);
    assert_eq!(signers(&log.writer.flush().unwrap().note).len(), 3);
    // Nothing that breaks the rules becomes a leaf.
    let size = log.chain.next_seq();
    let third = prepared(&place, &log, LogKey);
    for (action, key) in [(Added, &third), (Added, &new), (Retired, &third)] {
        let refused = turn(&mut log, 0, LogKey, action, key).unwrap_err();
        assert!(
            matches!(refused, LogError::Misuse { field: "KEY leaf", .. }),
            "{refused}"
        );
    }
    turn(&mut log, 0, LogKey, Retired, &old).unwrap();
    assert!(turn(&mut log, 0, LogKey, Retired, &new).is_err(), "the last one");
    assert_eq!(log.chain.next_seq(), size + 1);
    shut_down(log, 0);
}

/// Fails one step of the commits that a test begins to count.
struct FailLater {
    step: Step,
    persisted: bool,
    armed: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl FailLater {
    fn check(&self, step: Step, after: bool) -> io::Result<()> {
        let now = self.armed.load(std::sync::atomic::Ordering::SeqCst);
        if now && step == self.step && after == self.persisted {
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

impl Faults for FailLater {
    fn before(&mut self, step: Step) -> io::Result<()> {
        self.check(step, false)
    }
    fn after(&mut self, step: Step) -> io::Result<()> {
        self.check(step, true)
    }
}

/// Whatever step of the commit of a KEY leaf fails, the next start goes on, and signs as the leaves that were committed say.
#[test]
fn whatever_step_fails_the_keys_are_those_of_the_leaves() {
    for step in Step::COMMIT {
        for persisted in [false, true] {
            for action in [Added, Retired] {
                let place = Place::new();
                let armed = std::sync::Arc::default();
                let mut log = open_patiently(|| LogOptions {
                    faults: Box::new(FailLater {
                        step,
                        persisted,
                        armed: std::sync::Arc::clone(&armed),
                    }),
                    ..place.options()
                });
                boot(&mut log, 0);
                let [old, _] = first_keys(&log);
                let new = prepared(&place, &log, LogKey);
                if action == Retired {
                    turn(&mut log, 0, LogKey, Added, &new).unwrap();
                }
                log.writer.flush().unwrap();
                armed.store(true, std::sync::atomic::Ordering::SeqCst);
                let key = if action == Added { &new } else { &old };
                turn(&mut log, 0, LogKey, action, key).unwrap();
                assert!(log.writer.flush().is_err());
                drop(log);

                let what = format!("{step:?}, persisted {persisted}, {action:?}");
                let mut log = open_patiently(|| LogOptions {
                    faults: Box::new(NoFaults),
                    ..place.options()
                });
                boot(&mut log, 0);
                let committed = step > Step::Commit || (step == Step::Commit && persisted);
                let expected = match (action, committed) {
                    (Added, false) => vec![old.key_id()],
                    (Added, true) | (Retired, false) => vec![old.key_id(), new.key_id()],
                    (Retired, true) => vec![new.key_id()],
                };
                let note = log.writer.flush().unwrap().note;
                let signing = signers(&note);
                let log_keys = [old.key_id(), new.key_id()];
                let found: Vec<u32> = log_keys.into_iter().filter(|id| signing.contains(id)).collect();
                assert_eq!(found, expected, "{what}");
                let opened = log.chain.keys().open(note.as_bytes()).map(|signed| signed.checkpoint);
                assert_eq!(opened.unwrap().size, log.chain.next_seq(), "{what}");
                shut_down(log, 0);
                let report = fsck(&place.data(), None).unwrap();
                assert!(report.is_clean(), "{what}: {report}");
                let old_file = files(&place).contains(&"log.key".to_owned());
                assert_eq!(old_file, expected.contains(&old.key_id()), "{what}");
            }
        }
    }
}

/// A checkpoint that the wrong keys signed is found by `fsck`, and by the next start.
#[test]
fn a_checkpoint_by_the_wrong_keys_is_damage() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    let new = prepared(&place, &log, LogKey);
    turn(&mut log, 0, LogKey, Added, &new).unwrap();
    let size = shut_down(log, 0);
    let db = rusqlite::Connection::open(place.data().join(crate::store::DATABASE_FILE)).unwrap();
    let note: String = db
        .query_row("SELECT note FROM checkpoint WHERE size = ?1", [size as i64], |row| {
            row.get(0)
        })
        .unwrap();
    let line = note.lines().last().unwrap();
    let less = note.replace(&format!("{line}\n"), "");
    assert!(
        Checkpoint::from_text(SignedNote::parse(less.as_bytes()).unwrap().text)
            .unwrap()
            .origin
            == Name::new(new.name().as_str()).unwrap()
    );
    db.execute_batch("DROP TRIGGER checkpoint_is_never_changed").unwrap();
    let changed = db.execute(
        "UPDATE checkpoint SET note = ?1 WHERE size = ?2",
        rusqlite::params![less, size as i64],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(db);
    let report = fsck(&place.data(), None).unwrap();
    assert!(
        !report.is_clean() && report.to_string().contains("keys are in force there"),
        "{report}"
    );
    let refused = Log::open(place.options()).unwrap_err().to_string();
    assert!(refused.contains("keys are in force there"), "{refused}");
}
