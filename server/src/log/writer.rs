//! The writer thread: takes records, commits them in groups, hands the emptied records back.

use std::{
    cell::Cell,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tapline_witness::{body::Rollup, hash::Hash, leaf::Kind};
use tokio::sync::watch;

use super::{
    LogError, Record,
    commit::Committer,
    cut_off::CutOff,
    forget::{self, Forgotten},
    prune::Pruner,
};
use crate::store::{
    retention::{Retention, free_pages},
    rollup::Roller,
    schema::BUSY_TIMEOUT,
};

/// How far the log is durable and published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Leaves under the latest published checkpoint.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The signed checkpoint; empty while the log is.
    pub note: Arc<str>,
    /// Time of its cosignature, Unix seconds.
    pub time_s: u64,
}

/// How the writer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Records between checkout and commit; the bound of the queue.
    pub records: usize,
    /// How long a record waits for others while somebody calls [`Writer::breathe`], else a quarter more at most; none means
    /// only `batch` and flushes make commits, so that checkpoints fall at the same sizes in every run (replay).
    pub interval: Option<Duration>,
    /// Records after which a commit does not wait any longer. At most half of `records`.
    pub batch: usize,
    /// What is forgotten when.
    pub retention: Retention,
    /// Tiles of 256 leaves that a ROLLUP leaf is over; none when the log is not rolled up and so never pruned.
    pub window_tiles: Option<u64>,
}

/// Ten minutes of cycles, to the tile: each ROLLUP leaf keeps 9 kB (itself and the hashes of its tile) for ever.
pub const WINDOW_TILES: u64 = 47;

impl WriterOptions {
    /// For `serve`: once a second, 12.8 s of cycles may wait for a slow disk.
    pub const fn live(retention: Retention) -> Self {
        Self {
            records: 256,
            interval: Some(Duration::from_secs(1)),
            batch: 128,
            retention,
            window_tiles: Some(WINDOW_TILES),
        }
    }

    /// For `replay`: by count alone.
    pub const fn replay() -> Self {
        Self {
            records: 1024,
            interval: None,
            batch: 512,
            retention: Retention::FOREVER,
            window_tiles: None,
        }
    }
}

#[allow(clippy::large_enum_variant, reason = "nearly every message is a record")]
enum Message {
    Record(Record),
    Flush(SyncSender<()>),
}

/// The cycle thread's end of the log.
///
/// When the disk is slower than the cycles, records run out: [`Self::checkout`] then fails with
/// [`LogError::Busy`] after the wait it was given. The cycle that has no record must not run: nothing is
/// lost silently, because nothing was decided. Its tick is a missed tick, and the next leaf that can be
/// appended is a GAP with reason `LogBusy`.
#[derive(Debug)]
pub struct Writer {
    to_writer: Option<SyncSender<Message>>,
    free: Receiver<Record>,
    states: Receiver<Vec<u8>>,
    rollups: Receiver<Box<Rollup>>,
    options: WriterOptions,
    /// Records handed over since the thread was last woken, and when the first of them was.
    unannounced: Cell<usize>,
    waiting_since: Cell<Option<Instant>>,
    /// Set before the thread is woken: it commits what it has.
    wanted: Arc<AtomicBool>,
    durable: watch::Receiver<Durable>,
    ended: Arc<OnceLock<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn spawn(
        committer: Committer,
        durable: Durable,
        options: WriterOptions,
        roller: Option<Roller>,
    ) -> Result<Self, LogError> {
        let records = options.records.max(2);
        let options = WriterOptions {
            records,
            batch: options.batch.clamp(1, records / 2),
            ..options
        };
        // Room for every record and a flush: submitting never blocks.
        let (to_writer, messages) = sync_channel(records + 1);
        let (give_back, free) = sync_channel(records);
        for _ in 0..records {
            // The channel has room for all of them.
            let _ = give_back.try_send(Record::with_capacity());
        }
        // One: a keyframe comes with every 256th cycle, and its record may come back to the cycle much later.
        let (give_state, states) = sync_channel(1);
        let (to_cycle, rollups) = sync_channel(1);
        let (published, durable) = watch::channel(durable);
        let ended = Arc::new(OnceLock::new());
        let wanted = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            committer,
            messages,
            wanted: Arc::clone(&wanted),
            give_back,
            give_state,
            published,
            ended: Arc::clone(&ended),
            pruner: (options.window_tiles).map(|tiles| Pruner::new(tiles, to_cycle, roller.is_some())),
            roller,
            cut_off: CutOff::default(),
            options,
        };
        let thread = std::thread::Builder::new()
            .name("tapline-log".into())
            .spawn(move || worker.run())
            .map_err(LogError::io("log writer thread"))?;
        Ok(Self {
            to_writer: Some(to_writer),
            free,
            states,
            rollups,
            options,
            unannounced: Cell::new(0),
            waiting_since: Cell::new(None),
            wanted,
            durable,
            ended,
            thread: Some(thread),
        })
    }

    /// An empty record, waiting for one at most this long.
    ///
    /// # Errors
    /// [`LogError::Busy`] when none became free, [`LogError::Ended`] when the log did.
    pub fn checkout(&self, wait: Duration) -> Result<Record, LogError> {
        let record = self.free.recv_timeout(wait).map_err(|error| match error {
            RecvTimeoutError::Timeout => LogError::Busy {
                waiting: self.options.records,
            },
            RecvTimeoutError::Disconnected => self.end(),
        })?;
        if self.ended.get().is_some() {
            return Err(self.end());
        }
        Ok(record)
    }

    /// The ROLLUP leaf that is to be appended next, when there is one. Whoever takes it appends it.
    pub fn rollup_due(&self) -> Option<Box<Rollup>> {
        self.rollups.try_recv().ok()
    }

    /// An empty record, however long it takes: for replay, which has no deadline, and for start and stop.
    pub fn checkout_blocking(&self) -> Result<Record, LogError> {
        self.free.recv().map_err(|_| self.end())
    }

    /// An empty buffer for the state of a keyframe: that of an earlier one, when it is on disk.
    pub fn state_buffer(&self) -> Vec<u8> {
        let mut buffer = self.states.try_recv().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Hands a record with its leaf to the writer. Never blocks, and wakes the writer for urgent leaves and whole batches
    /// only: a thread that is woken may be run at once where its waker runs, and the cycle would wait for the commit.
    ///
    /// # Errors
    /// [`LogError::Ended`]: the process has to stop, and recover at its next start.
    pub fn submit(&self, record: Record) -> Result<(), LogError> {
        let urgent = is_urgent(record.kind);
        self.send(Message::Record(record))?;
        self.unannounced.set(self.unannounced.get() + 1);
        if urgent || self.unannounced.get() >= self.options.batch {
            self.wake();
        } else if self.waiting_since.get().is_none() {
            self.waiting_since.set(Some(Instant::now()));
        }
        Ok(())
    }

    /// To be called when the cycle is done and nothing is urgent until the next: wakes the writer when a commit is due.
    pub fn breathe(&self) {
        if let (Some(since), Some(interval)) = (self.waiting_since.get(), self.options.interval)
            && since.elapsed() + EARLY >= interval
        {
            self.wake();
        }
    }

    fn wake(&self) {
        self.unannounced.set(0);
        self.waiting_since.set(None);
        // After the records: whoever sees this sees them.
        self.wanted.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Waits until everything submitted is durable and published.
    pub fn flush(&self) -> Result<Durable, LogError> {
        let (done, wait) = sync_channel(1);
        self.send(Message::Flush(done))?;
        self.wake();
        wait.recv().map_err(|_| self.end())?;
        Ok(self.durable.borrow().clone())
    }

    /// Follows what is durable; cheap to clone and to read from any thread or task.
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Flushes, ends the writer thread and truncates the write-ahead log.
    pub fn close(mut self) -> Result<Durable, LogError> {
        let durable = self.flush()?;
        self.join();
        match self.ended.get() {
            Some(_) => Err(self.end()),
            None => Ok(durable),
        }
    }

    fn send(&self, message: Message) -> Result<(), LogError> {
        let Some(to_writer) = &self.to_writer else {
            return Err(self.end());
        };
        to_writer.send(message).map_err(|_| self.end())
    }

    fn end(&self) -> LogError {
        let reason = self.ended.get().map_or("the writer thread is gone", String::as_str);
        LogError::Ended {
            reason: reason.to_owned(),
        }
    }

    fn join(&mut self) {
        self.to_writer = None;
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer shows as `ended` or a closed channel.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread commits what it has and ends.
        self.join();
    }
}

/// A commit may come this much before its time, rather than a cycle later.
const EARLY: Duration = Duration::from_millis(25);
/// Idle slots after which the write-ahead log is checkpointed.
const WAL_CHECKPOINT_EVERY: u32 = 10;
/// Rows forgotten in one idle slot: well below a tenth of a second of work.
const FORGET_BATCH: u32 = 200;
/// Free pages given back to the file system in one idle slot.
const FREE_PAGES: u32 = 64;
/// Longest that a live log adds up when it is closed.
const ADD_UP_AT_CLOSE: Duration = Duration::from_secs(2);

struct Worker {
    committer: Committer,
    messages: Receiver<Message>,
    wanted: Arc<AtomicBool>,
    give_back: SyncSender<Record>,
    give_state: SyncSender<Vec<u8>>,
    published: watch::Sender<Durable>,
    ended: Arc<OnceLock<String>>,
    options: WriterOptions,
    roller: Option<Roller>,
    pruner: Option<Pruner>,
    /// What was forgotten stands in the write-ahead log until that is cut off.
    cut_off: CutOff,
}

impl Worker {
    fn run(mut self) {
        if let Err(error) = self.work() {
            tracing::error!(%error, "the log ended");
            let _ = self.ended.set(error.to_string());
            // Waiting flushes and checkouts end when the channels are dropped with `self`.
        }
    }

    fn work(&mut self) -> Result<(), LogError> {
        let mut batch = Vec::with_capacity(self.options.batch);
        let mut commits = 0;
        loop {
            let (flush, open) = self.collect(&mut batch);
            if !batch.is_empty() {
                // Before a waiting flush is let go with `flush`: whoever asked is told why.
                let ended = Arc::clone(&self.ended);
                self.commit(&mut batch).inspect_err(|error| {
                    let _ = ended.set(error.to_string());
                })?;
                commits += 1;
            }
            if let Some(done) = flush {
                // Whoever asked may be gone; nothing depends on the answer.
                let _ = done.send(());
            }
            if !open {
                self.add_up_the_rest()?;
                while forget::step(&mut self.committer.db)? != Forgotten::Nothing {}
                self.checkpoint_wal("TRUNCATE")?;
                return Ok(());
            }
            self.idle(commits)?;
        }
    }

    /// Fills the batch until it is full or urgent, a commit is due, a flush is asked for, or nobody can send any more
    /// (`false`).
    fn collect(&self, batch: &mut Vec<Record>) -> (Option<SyncSender<()>>, bool) {
        match self.options.interval {
            Some(interval) => self.collect_in_time(batch, interval + interval / 4),
            None => self.collect_by_count(batch),
        }
    }

    /// Sleeps until it is woken, or so long that whoever should wake it runs no cycles.
    fn collect_in_time(&self, batch: &mut Vec<Record>, longest: Duration) -> (Option<SyncSender<()>>, bool) {
        let mut due = Instant::now() + longest;
        loop {
            let wanted = self.wanted.swap(false, Ordering::Acquire);
            match self.drain(batch) {
                Drained::Empty => {}
                Drained::Stopped(flush) => {
                    // There may be more behind.
                    self.wanted.fetch_or(wanted, Ordering::Relaxed);
                    return (flush, true);
                }
                Drained::Ended => return (None, false),
            }
            let now = Instant::now();
            if !batch.is_empty() && (wanted || now >= due) {
                return (None, true);
            }
            if now >= due {
                due = now + longest;
            }
            std::thread::park_timeout(due - now);
        }
    }

    /// Takes what is there, up to a full batch, an urgent leaf or a flush.
    fn drain(&self, batch: &mut Vec<Record>) -> Drained {
        while batch.len() < self.options.batch {
            match self.messages.try_recv() {
                Ok(Message::Record(record)) => {
                    let urgent = is_urgent(record.kind);
                    batch.push(record);
                    if urgent {
                        return Drained::Stopped(None);
                    }
                }
                Ok(Message::Flush(done)) => return Drained::Stopped(Some(done)),
                Err(TryRecvError::Empty) => return Drained::Empty,
                Err(TryRecvError::Disconnected) => return Drained::Ended,
            }
        }
        Drained::Stopped(None)
    }

    fn collect_by_count(&self, batch: &mut Vec<Record>) -> (Option<SyncSender<()>>, bool) {
        while batch.len() < self.options.batch {
            match self.messages.recv() {
                Ok(Message::Record(record)) => batch.push(record),
                Ok(Message::Flush(done)) => return (Some(done), true),
                Err(_) => return (None, false),
            }
        }
        (None, true)
    }

    fn commit(&mut self, batch: &mut Vec<Record>) -> Result<(), LogError> {
        let committed = self.committer.commit(batch)?;
        let durable = Durable {
            size: committed.size,
            root: committed.root,
            note: committed.note.into(),
            time_s: committed.time_s,
        };
        let published = &self.published;
        self.committer.publish(|| {
            published.send_replace(durable);
        })?;
        for mut record in batch.drain(..) {
            let state = std::mem::take(&mut record.state);
            if state.capacity() > 0 {
                // Freed here when there is one already.
                let _ = self.give_state.try_send(state);
            }
            record.clear();
            // The cycle thread may have dropped its end already.
            let _ = self.give_back.try_send(record);
        }
        Ok(())
    }

    /// Adds up what waits. Of a live log for a moment only: the next start goes on where this ends.
    fn add_up_the_rest(&mut self) -> Result<(), LogError> {
        let Some(roller) = &mut self.roller else { return Ok(()) };
        let begun = Instant::now();
        while roller.step(&mut self.committer.db, true)? {
            if self.options.interval.is_some() && begun.elapsed() > ADD_UP_AT_CLOSE {
                break;
            }
        }
        Ok(())
    }

    fn idle(&mut self, commits: u32) -> Result<(), LogError> {
        if let Some(roller) = &mut self.roller {
            roller.step(&mut self.committer.db, false)?;
        }
        let mut freed = self.options.retention.forget(&self.committer.db, FORGET_BATCH)? > 0;
        let forgotten = forget::step(&mut self.committer.db)?;
        freed |= forgotten != Forgotten::Nothing;
        if forgotten == Forgotten::Whole {
            self.cut_off.want(Instant::now());
        }
        if let Some(pruner) = &mut self.pruner {
            freed |= pruner.step(&mut self.committer)?;
        }
        if freed {
            free_pages(&self.committer.db, FREE_PAGES)?;
        }
        if self.cut_off.is_due(Instant::now()) {
            let done = self.try_to_cut_off()?;
            self.cut_off.tried(done, Instant::now());
        } else if commits.is_multiple_of(WAL_CHECKPOINT_EVERY) {
            self.checkpoint_wal("PASSIVE")?;
        }
        Ok(())
    }

    /// Cuts the write-ahead log off when nobody holds that back; true when nobody did. SQLite would wait for its readers as
    /// long as for a lock, and the records of the cycles with it.
    fn try_to_cut_off(&self) -> Result<bool, LogError> {
        let db = &self.committer.db;
        db.busy_timeout(Duration::ZERO)?;
        let done = self.checkpoint_wal("TRUNCATE");
        db.busy_timeout(BUSY_TIMEOUT)?;
        done
    }

    /// True when all of it was done.
    fn checkpoint_wal(&self, mode: &str) -> Result<bool, LogError> {
        // Readers may hold it back ("busy" in the answer): a later slot tries again.
        let busy: bool = self
            .committer
            .db
            .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0))?;
        Ok(!busy)
    }
}

/// Why the writer took no more from its channel.
enum Drained {
    /// Nothing is there.
    Empty,
    /// A full batch, an urgent leaf, or a flush.
    Stopped(Option<SyncSender<()>>),
    /// Nothing is there, and nobody can send any more.
    Ended,
}

/// Leaves that are signed at once: a swap waits for its durable leaf, a change of mode or key must be seen.
fn is_urgent(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Swap | Kind::PrivacyMode | Kind::Key | Kind::Shutdown))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::Ordering,
        time::{Duration, Instant},
    };

    use super::super::tests::support::{Place, boot, open_patiently, run, turn_mode};
    use crate::log::{Log, LogOptions, WriterOptions};

    /// Long enough that nothing is committed by it while a test runs; less than a machine runs before it can run a test.
    const NEVER: Duration = Duration::from_secs(120);
    const STUCK: Duration = Duration::from_secs(60);

    fn open(place: &Place, interval: Duration) -> Log {
        let options = || LogOptions {
            writer: WriterOptions {
                interval: Some(interval),
                batch: 16,
                records: 64,
                ..place.options().writer
            },
            ..place.options()
        };
        let mut log = open_patiently(options);
        boot(&mut log, 0);
        log.writer.flush().unwrap();
        // The flush was done maybe before its call to wake up came: that one is not to be taken for one of the test's.
        while log.writer.wanted.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        log
    }

    fn published(log: &Log) -> u64 {
        log.writer.durable.borrow().size
    }

    fn until_published(log: &Log, size: u64) {
        let begun = Instant::now();
        while published(log) < size {
            assert!(begun.elapsed() < STUCK, "{} of {size} are published", published(log));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_writer_sleeps_until_a_commit_is_due_and_a_cycle_is_done() {
        let place = Place::new();
        let mut log = open(&place, NEVER);
        run(&mut log, 1..4).unwrap();
        log.writer.breathe();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(published(&log), 2, "nothing is due");
        let long_ago = Instant::now().checked_sub(NEVER).expect("a machine that runs for long");
        log.writer.waiting_since.set(Some(long_ago));
        log.writer.breathe();
        until_published(&log, 5);
        log.writer.breathe();
        run(&mut log, 4..6).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(published(&log), 5, "the next wait has begun");
        assert_eq!(log.writer.close().unwrap().size, 7);
    }

    #[test]
    fn a_whole_batch_and_an_urgent_leaf_wait_for_nobody() {
        let place = Place::new();
        let mut log = open(&place, NEVER);
        run(&mut log, 1..17).unwrap();
        until_published(&log, 18);
        run(&mut log, 17..20).unwrap();
        turn_mode(&mut log, 20);
        until_published(&log, 22);
        assert_eq!(log.writer.close().unwrap().size, 22);
    }

    #[test]
    fn where_no_cycle_runs_records_are_committed_all_the_same() {
        let place = Place::new();
        let mut log = open(&place, Duration::from_millis(100));
        run(&mut log, 1..4).unwrap();
        until_published(&log, 5);
    }
}
