//! The instances of one stage at work: started together, run in parallel, collected in index order.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use abi_stable::std_types::RVec;
use tapline_plugin_api::{StageError, guard::code};
use tapline_witness::disposition::Disposition;

use super::{
    error::HostError,
    kind::Kind,
    worker::{self, StageRun, StartError, Worker},
};

/// How a stage is to be run in this cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOrder {
    /// From the call on, for all groups together; none: wait as long as it takes.
    pub deadline: Option<Duration>,
    /// A recorded disposition: `Skipped` and `Timeout` are obeyed without calling the stage; under all others
    /// the stage runs without a deadline and ends as it ends.
    pub obey: Option<Disposition>,
    /// True when there is nothing for the stage to look at: it is skipped, and that is no fault.
    pub idle: bool,
}

/// A stage that has less than this left of the cycle's time is not begun: it would be blamed for the lateness of another.
pub(super) const LEAST_TIME: Duration = Duration::from_millis(1);

impl RunOrder {
    /// The run of a stage that is not called; none when it is to be called. `all_late`: every instance of it was late.
    fn without_a_call(&self, failed: bool, all_late: bool) -> Option<StageRun> {
        let skipped = StageRun::of(Disposition::Skipped);
        let late = StageRun {
            err_code: code::DEADLINE,
            ..skipped.clone()
        };
        match self.obey {
            _ if failed || self.idle => Some(skipped),
            // Whatever was recorded as skipped with input at hand by a stage that works had no time left.
            Some(Disposition::Skipped) => Some(late),
            Some(Disposition::Timeout) if all_late => Some(StageRun::of(Disposition::Timeout)),
            Some(_) => None,
            None => self.deadline.filter(|left| *left < LEAST_TIME).map(|_| late),
        }
    }
}

/// What one instance is built from.
pub(super) type Build<K> = Arc<dyn Fn(usize) -> Result<<K as Kind>::Instance, StageError> + Send + Sync>;

/// A seat: an instance on its worker, and the buffers that go back and forth.
struct Seat<K: Kind> {
    worker: Option<Worker<K>>,
    /// None only while the worker has them.
    buffers: Option<Box<K::Buffers>>,
}

/// All instances of one stage of one generation.
pub(super) struct Bench<K: Kind> {
    seats: Vec<Seat<K>>,
    runs: Vec<StageRun>,
    make_buffers: Box<dyn Fn(usize) -> Box<K::Buffers> + Send>,
    given_up: Arc<AtomicUsize>,
    lanes: usize,
    failed: Option<StageRun>,
}

impl<K: Kind> Bench<K> {
    /// Builds `count` instances, each on its worker.
    pub(super) fn start(
        name: &str,
        count: usize,
        build: &Build<K>,
        make_buffers: impl Fn(usize) -> Box<K::Buffers> + Send + 'static,
        within: Duration,
        given_up: &Arc<AtomicUsize>,
    ) -> Result<Self, HostError> {
        let stage = K::STAGE.name();
        let mut seats = Vec::with_capacity(count);
        for index in 0..count {
            let build = Arc::clone(build);
            let worker = Worker::start(move || build(index), within, given_up).map_err(|error| match error {
                StartError::Thread(source) => HostError::Thread { stage, source },
                StartError::Stage(source) => HostError::Construct {
                    stage,
                    name: name.to_owned(),
                    source,
                },
            })?;
            seats.push(Seat {
                worker: Some(worker),
                buffers: Some(make_buffers(index)),
            });
        }
        Ok(Self {
            seats,
            runs: vec![StageRun::default(); count],
            make_buffers: Box::new(make_buffers),
            given_up: Arc::clone(given_up),
            lanes: thread::available_parallelism().map_or(1, usize::from),
            failed: None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    /// What ended the stage, if anything did: it is skipped until another generation takes over.
    pub(super) const fn failed(&self) -> Option<&StageRun> {
        self.failed.as_ref()
    }

    /// Ends the stage without a call: it was failed where its state comes from.
    pub(super) fn end(&mut self, why: StageRun) {
        self.failed = Some(why);
    }

    pub(super) fn runs(&self) -> &[StageRun] {
        &self.runs
    }

    /// True when there is an answer: the stage holds, and at least one instance ran.
    pub(super) fn answers(&self) -> bool {
        self.failed.is_none() && self.runs.iter().any(|r| r.disposition == Disposition::Ran)
    }

    pub(super) fn buffers(&self, index: usize) -> Option<&K::Buffers> {
        self.seats.get(index)?.buffers.as_deref()
    }

    /// The buffers of an instance, made anew when they went with a worker that was given up.
    pub(super) fn buffers_mut(&mut self, index: usize) -> &mut K::Buffers {
        let make = &self.make_buffers;
        self.seats[index].buffers.get_or_insert_with(|| make(index))
    }

    /// Runs every instance once.
    pub(super) fn run(&mut self, order: RunOrder) -> &[StageRun] {
        self.run_but(order, u64::MAX)
    }

    /// The same under a recorded `Timeout`: only the instances whose bit is set in `late` did not come back, the others
    /// are run and end as they end.
    pub(super) fn run_but(&mut self, order: RunOrder, late: u64) -> &[StageRun] {
        let is_late = |index: usize| late >> index.min(63) & 1 == 1;
        let all_late = (0..self.len()).all(is_late);
        match order.without_a_call(self.failed.is_some(), all_late) {
            Some(run) => {
                self.runs.fill(run);
                for index in 0..self.len() {
                    K::blank(self.buffers_mut(index));
                }
            }
            None => {
                let within = if order.obey.is_some() { None } else { order.deadline };
                let obeyed = order.obey == Some(Disposition::Timeout);
                self.run_all(within.map(|d| Instant::now() + d), |index| obeyed && is_late(index));
            }
        }
        if let Some(run) = self.runs.iter().find(|r| r.ends_the_instance()) {
            // One misbehaved: they are the same code, and part of the answer is no answer.
            self.failed = Some(run.clone());
            for index in 0..self.len() {
                K::blank(self.buffers_mut(index));
            }
        }
        &self.runs
    }

    fn run_all(&mut self, until: Option<Instant>, left_out: impl Fn(usize) -> bool) {
        let mut begun = 0;
        let mut ended = 0;
        self.runs.fill(StageRun::of(Disposition::Timeout));
        while ended < self.seats.len() {
            while begun < self.seats.len() && begun - ended < self.lanes {
                if left_out(begun) {
                    (begun, ended) = (begun + 1, ended + 1);
                    continue;
                }
                let seat = &mut self.seats[begun];
                let buffers = seat.buffers.take().unwrap_or_else(|| (self.make_buffers)(begun));
                if let Some(worker) = &seat.worker {
                    worker.begin(buffers);
                } else {
                    // Only a failed stage has an empty seat, and a failed stage is not run.
                    seat.buffers = Some(buffers);
                    ended += 1;
                }
                begun += 1;
            }
            let before = ended;
            for index in 0..begun {
                let seat = &mut self.seats[index];
                if seat.buffers.is_some() {
                    continue;
                }
                if let Some((buffers, run)) = seat.worker.as_ref().and_then(Worker::poll) {
                    seat.buffers = Some(buffers);
                    self.runs[index] = run;
                    ended += 1;
                }
            }
            if ended == before && !worker::park(until) {
                break;
            }
        }
        for seat in &mut self.seats {
            if seat.buffers.is_none()
                && let Some(worker) = seat.worker.take()
            {
                worker.give_up(&self.given_up);
            }
        }
    }

    /// Asks a seat for its state or hands it one; a worker that does not answer is given up.
    fn with_state<T>(
        &mut self,
        index: usize,
        ask: impl FnOnce(&Worker<K>) -> Option<Result<T, StageError>>,
    ) -> Result<T, HostError> {
        let seat = self.seats.get_mut(index);
        let why = match seat.and_then(|seat| seat.worker.take().map(|worker| (seat, worker))) {
            None => "the instance was given up earlier".to_owned(),
            Some((seat, worker)) => match ask(&worker) {
                Some(result) => {
                    seat.worker = Some(worker);
                    match result {
                        Ok(value) => return Ok(value),
                        Err(error) => error.to_string(),
                    }
                }
                None => {
                    worker.give_up(&self.given_up);
                    self.failed = Some(StageRun::of(Disposition::Timeout));
                    "the instance did not answer in time".to_owned()
                }
            },
        };
        Err(HostError::State {
            stage: K::STAGE.name(),
            index,
            why,
        })
    }

    /// The state of one instance.
    pub(super) fn export(&mut self, index: usize, within: Duration) -> Result<RVec<u8>, HostError> {
        self.with_state(index, |worker| worker.export(within))
    }

    /// Replaces the state of one instance.
    pub(super) fn import(&mut self, index: usize, state: &[u8], within: Duration) -> Result<(), HostError> {
        self.with_state(index, |worker| worker.import(state.to_vec(), within))
    }
}
