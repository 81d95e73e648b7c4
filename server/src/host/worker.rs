//! The thread that an instance lives on.
//!
//! A call into a stage cannot be interrupted. So every instance is owned by a thread of its own, and the
//! buffers are handed over for the call: when it does not come back in time, thread, instance and buffers
//! are given up, and nothing of the host is shared with what still runs in there.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use abi_stable::std_types::RVec;
use tapline_plugin_api::{StageError, guard::code};
use tapline_witness::disposition::Disposition;

use super::{
    fpenv,
    kind::{Kind, Unfit, contract_error},
};

/// What became of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageRun {
    /// Recorded in the witness.
    pub disposition: Disposition,
    /// Code of the stage's error, else 0.
    pub err_code: u32,
    /// Time on the worker, nanoseconds: a measurement, never witnessed.
    pub elapsed_ns: u64,
    /// The error in words, empty when there is none.
    pub message: String,
}

impl StageRun {
    pub(super) const fn of(disposition: Disposition) -> Self {
        Self {
            disposition,
            err_code: 0,
            elapsed_ns: 0,
            message: String::new(),
        }
    }

    /// Whether the instance must not be called again.
    pub const fn ends_the_instance(&self) -> bool {
        matches!(
            self.disposition,
            Disposition::Timeout | Disposition::Panic | Disposition::NonFinite | Disposition::FpEnv
        )
    }
}

enum Job<K: Kind> {
    Run(Box<K::Buffers>),
    Export,
    Import(Vec<u8>),
}

enum Done<K: Kind> {
    Run(Box<K::Buffers>, StageRun),
    Export(Result<RVec<u8>, StageError>),
    Import(Result<(), StageError>),
}

enum Slot<K: Kind> {
    Idle,
    Asked(Job<K>, Thread),
    Working,
    Answered(Done<K>),
    Stop,
}

struct Shared<K: Kind> {
    slot: Mutex<Slot<K>>,
    asked: Condvar,
    abandoned: AtomicBool,
}

impl<K: Kind> Shared<K> {
    /// Nothing panics while it holds the lock; should it, the slot is still whole.
    fn lock(&self) -> MutexGuard<'_, Slot<K>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the answer for the host; false when nobody waits for it any more.
    fn answer(&self, done: Done<K>, caller: &Thread) -> bool {
        let mut slot = self.lock();
        if matches!(*slot, Slot::Stop) {
            return false;
        }
        *slot = Slot::Answered(done);
        drop(slot);
        caller.unpark();
        true
    }
}

/// A handle to one worker thread and the instance on it.
pub(super) struct Worker<K: Kind> {
    shared: Arc<Shared<K>>,
}

impl<K: Kind> Worker<K> {
    /// Starts the thread; the instance is built on it, so that a constructor that hangs is given up too.
    pub(super) fn start(
        new: impl FnOnce() -> Result<K::Instance, StageError> + Send + 'static,
        within: Duration,
        given_up: &Arc<AtomicUsize>,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot::Working),
            asked: Condvar::new(),
            abandoned: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let count = Arc::clone(given_up);
        let caller = thread::current();
        thread::Builder::new()
            .name(format!("stage-{}", K::STAGE.name()))
            .spawn(move || live(&theirs, new, &caller, &count))
            .map_err(StartError::Thread)?;
        let worker = Self { shared };
        match worker.wait(Some(Instant::now() + within)) {
            Some(Done::Import(Ok(()))) => Ok(worker),
            Some(Done::Import(Err(error))) => Err(StartError::Stage(error)),
            _ => {
                worker.give_up(given_up);
                Err(StartError::Stage(StageError::new(
                    code::HOST,
                    format!("the constructor did not return within {} s", within.as_secs_f32()),
                )))
            }
        }
    }

    fn ask(&self, job: Job<K>) {
        *self.shared.lock() = Slot::Asked(job, thread::current());
        self.shared.asked.notify_one();
    }

    fn take(&self) -> Option<Done<K>> {
        let mut slot = self.shared.lock();
        if !matches!(*slot, Slot::Answered(_)) {
            return None;
        }
        match std::mem::replace(&mut *slot, Slot::Idle) {
            Slot::Answered(done) => Some(done),
            _ => None,
        }
    }

    fn wait(&self, until: Option<Instant>) -> Option<Done<K>> {
        loop {
            if let Some(done) = self.take() {
                return Some(done);
            }
            if !park(until) {
                return self.take();
            }
        }
    }

    /// Begins a call; the answer comes with [`poll`](Self::poll).
    pub(super) fn begin(&self, buffers: Box<K::Buffers>) {
        self.ask(Job::Run(buffers));
    }

    /// The answer, when it is there.
    pub(super) fn poll(&self) -> Option<(Box<K::Buffers>, StageRun)> {
        match self.take()? {
            Done::Run(buffers, run) => Some((buffers, run)),
            _ => None,
        }
    }

    /// The instance's whole state; none when it does not answer in time.
    pub(super) fn export(&self, within: Duration) -> Option<Result<RVec<u8>, StageError>> {
        self.ask(Job::Export);
        match self.wait(Some(Instant::now() + within))? {
            Done::Export(result) => Some(result),
            _ => None,
        }
    }

    /// Replaces the instance's state; none when it does not answer in time.
    pub(super) fn import(&self, state: Vec<u8>, within: Duration) -> Option<Result<(), StageError>> {
        self.ask(Job::Import(state));
        match self.wait(Some(Instant::now() + within))? {
            Done::Import(result) => Some(result),
            _ => None,
        }
    }

    /// Leaves the thread to itself. It is counted until it comes back, which may be never.
    pub(super) fn give_up(self, given_up: &AtomicUsize) {
        given_up.fetch_add(1, Ordering::Relaxed);
        // Before the stop that dropping the handle asks for.
        self.shared.abandoned.store(true, Ordering::Release);
    }
}

impl<K: Kind> Drop for Worker<K> {
    fn drop(&mut self) {
        // Not joined: the instance's destructor runs on its own thread and may take its time.
        *self.shared.lock() = Slot::Stop;
        self.shared.asked.notify_one();
    }
}

/// Why a worker did not start.
pub(super) enum StartError {
    Thread(std::io::Error),
    Stage(StageError),
}

/// Sleeps until a worker has answered or the time has come; false when it has.
pub(super) fn park(until: Option<Instant>) -> bool {
    match until {
        None => thread::park(),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
    }
    true
}

/// The thread's life: build, then answer jobs until told to stop or given up.
fn live<K: Kind>(
    shared: &Shared<K>,
    new: impl FnOnce() -> Result<K::Instance, StageError>,
    caller: &Thread,
    given_up: &AtomicUsize,
) {
    fpenv::restore();
    let built = guarded(new);
    let (instance, answer) = match built {
        Ok(instance) => match fpenv::restore() {
            None => (Some(instance), Ok(())),
            Some(found) => (None, Err(changed_fpenv(found))),
        },
        Err(error) => (None, Err(error)),
    };
    let mut wanted = shared.answer(Done::Import(answer), caller);
    if let Some(mut instance) = instance {
        while wanted && let Some((job, caller)) = next(shared) {
            let done = work::<K>(&mut instance, job);
            wanted = shared.answer(done, &caller);
        }
    }
    if shared.abandoned.load(Ordering::Acquire) {
        given_up.fetch_sub(1, Ordering::Relaxed);
    }
}

fn next<K: Kind>(shared: &Shared<K>) -> Option<(Job<K>, Thread)> {
    let mut slot = shared.lock();
    loop {
        match std::mem::replace(&mut *slot, Slot::Working) {
            Slot::Asked(job, caller) => return Some((job, caller)),
            Slot::Stop => return None,
            other => *slot = other,
        }
        slot = shared.asked.wait(slot).unwrap_or_else(PoisonError::into_inner);
    }
}

fn work<K: Kind>(instance: &mut K::Instance, job: Job<K>) -> Done<K> {
    match job {
        Job::Run(mut buffers) => {
            let run = call::<K>(instance, &mut buffers);
            Done::Run(buffers, run)
        }
        Job::Export => {
            let mut into = RVec::new();
            let result = guarded(|| K::export(instance, &mut into));
            Done::Export(strictly(result).map(|()| into))
        }
        Job::Import(state) => Done::Import(strictly(guarded(|| K::import(instance, &state)))),
    }
}

/// One call, measured and judged.
fn call<K: Kind>(instance: &mut K::Instance, buffers: &mut K::Buffers) -> StageRun {
    // What a stage does not write must not hold an earlier cycle's answer: a replay may begin with this one.
    K::blank(buffers);
    let begin = Instant::now();
    let result = guarded(|| K::call(instance, buffers));
    let changed = fpenv::restore();
    let settled = K::settle(buffers);
    let elapsed_ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let failed = |disposition, error: StageError| StageRun {
        disposition,
        err_code: error.code,
        elapsed_ns,
        message: error.message.into_string(),
    };
    let run = match (changed, result, settled) {
        (Some(found), ..) => failed(Disposition::FpEnv, changed_fpenv(found)),
        (None, Err(error), _) if error.code == code::PANIC => failed(Disposition::Panic, error),
        (None, Err(error), _) => failed(Disposition::Error, error),
        (None, Ok(()), Err(Unfit::NonFinite)) => failed(
            Disposition::NonFinite,
            StageError::new(code::OUTPUT, "the stage's answer holds a NaN or an infinity"),
        ),
        (None, Ok(()), Err(Unfit::Contract(what))) => failed(Disposition::Error, contract_error(what)),
        (None, Ok(()), Ok(())) => StageRun {
            elapsed_ns,
            ..StageRun::of(Disposition::Ran)
        },
    };
    if run.disposition != Disposition::Ran {
        K::blank(buffers);
    }
    run
}

fn changed_fpenv(found: u32) -> StageError {
    StageError::new(
        code::NUMERIC,
        format!("the stage left the floating-point control register at {found:#x}; it was restored"),
    )
}

fn strictly<T>(result: Result<T, StageError>) -> Result<T, StageError> {
    match fpenv::restore() {
        Some(found) => Err(changed_fpenv(found)),
        None => result,
    }
}

/// The guard inside the plugin answers a panic; this one is for the host's own code on this thread.
fn guarded<T>(f: impl FnOnce() -> Result<T, StageError>) -> Result<T, StageError> {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|_| Err(StageError::new(code::PANIC, "a panic outside the plugin's guard")))
}

#[cfg(test)]
mod tests {
    use tapline_plugin_api::{
        CirMethod, Description, Method, NUMERIC_PROFILE, StageKind,
        abi_stable::std_types::RStr,
        cir::{C32, CirInput, CirLinkSpec, CirOutput},
        conformance,
        describe::Setup,
        linked,
    };

    use super::super::{buffers::CirBuffers, kind::Cir};
    use super::*;

    /// Writes its first tap in its first call, and then nothing.
    struct Lazy {
        links: usize,
        calls: u32,
    }

    impl Method for Lazy {
        const DESCRIPTION: Description = Description {
            name: RStr::from_str("lazy"),
            version: RStr::from_str("1.0.0"),
            stage: StageKind::Cir,
            method: RStr::from_str("a test"),
            numeric_profile: NUMERIC_PROFILE,
            state_schema: 1,
            uses_rustfft: false,
        };
        fn export_state(&self, _: &mut RVec<u8>) -> Result<(), StageError> {
            Ok(())
        }
        fn import_state(&mut self, _: &[u8]) -> Result<(), StageError> {
            Ok(())
        }
    }

    impl CirMethod for Lazy {
        fn new(_: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError> {
            let links = links.len();
            Ok(Self { links, calls: 0 })
        }
        fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
            let taps: usize = input.links.iter().map(|l| l.tap_count as usize).sum();
            let fits = input.links.iter().all(|l| {
                let end = l.tone_offset as usize + l.tone_count as usize;
                l.tap_count == 3 * l.tone_count && end <= input.tones.len() && end <= input.mask.len()
            });
            if !fits || input.links.len() != self.links || output.taps.len() != taps {
                return Err(StageError::new(code::INPUT, "the buffers do not fit the links"));
            }
            if let Some(tap) = output.taps.first_mut().filter(|_| self.calls == 0) {
                *tap = C32 { re: 1.0, im: 0.0 };
            }
            self.calls += 1;
            Ok(())
        }
    }

    /// A rerun from a keyframe calls with fresh buffers: it found zeros where the live run had the cycle before, and a good log
    /// was called DIFFERS.
    #[test]
    fn what_a_stage_does_not_write_is_blank() {
        let specs = [CirLinkSpec { path: 0, tier: 0 }];
        let setup = Setup {
            config_toml: "".into(),
            step_s: 0.05,
        };
        let mut instance = (linked::cir::<Lazy>().new_cir)(&setup, specs.as_slice().into()).unwrap();
        let mut buffers = CirBuffers::new(&specs).unwrap();
        assert_eq!(call::<Cir>(&mut instance, &mut buffers).disposition, Disposition::Ran);
        assert_eq!(buffers.taps[0].re, 1.0);
        assert_eq!(call::<Cir>(&mut instance, &mut buffers).disposition, Disposition::Ran);
        assert_eq!(buffers.taps[0], C32::default());
    }

    /// And such a stage has no golden vectors.
    #[test]
    fn a_stage_that_does_not_write_its_whole_answer_is_not_proved() {
        let error = conformance::prove(&linked::cir::<Lazy>()).unwrap_err();
        assert!(error.to_string().contains("write its whole answer"), "{error}");
    }
}
