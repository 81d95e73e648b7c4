//! The two threads beside the cycle: one prepares, one computes in the shadow.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    thread,
    time::Duration,
};

use tapline_plugin_api::StageKind;
use tapline_witness::body::swap_reason;

use crate::host::{
    Generation, HostError, Manifest,
    candidate::{Candidate, Ready, RecoveryOrder, Refused},
    shadow::{Feed, Shadow, ShadowCycle},
    swap::{Carried, Preparer},
};

/// Cycles that a candidate may be behind before it counts as too slow: two seconds.
const BEHIND: usize = 40;

/// Work for the swap thread; the number is the attempt's.
pub(super) enum Job {
    Candidate(u64, Manifest, Box<Candidate>),
    Recovery(u64, Box<RecoveryOrder>),
}

/// What it made.
pub(super) enum Done {
    Candidate(u64, Result<Box<Ready>, Box<Refused>>),
    Recovery(u64, Vec<StageKind>, Result<Option<Box<Ready>>, HostError>),
}

impl Done {
    pub(super) const fn id(&self) -> u64 {
        match self {
            Self::Candidate(id, _) | Self::Recovery(id, ..) => *id,
        }
    }
}

/// Starts the swap thread. It ends with its sender.
pub(super) fn start(preparer: Preparer) -> io::Result<(Sender<Job>, Receiver<Done>)> {
    let (jobs, orders) = channel();
    let (results, done) = channel();
    thread::Builder::new().name("tapline-swap".into()).spawn(move || {
        // A recovery should not have to wait for golden vectors.
        preparer.warm_up();
        for job in orders {
            let result = match job {
                Job::Candidate(id, current, candidate) => {
                    Done::Candidate(id, preparer.candidate(&current, &candidate).map(Box::new))
                }
                Job::Recovery(id, order) => {
                    let made = preparer.recover(&order).map(|ready| ready.map(Box::new));
                    Done::Recovery(id, order.failed, made)
                }
            };
            if results.send(result).is_err() {
                return;
            }
        }
    })?;
    Ok((jobs, done))
}

/// What the shadow thread says.
pub(super) enum Shown {
    /// One cycle.
    Compared(ShadowCycle),
    /// A reason code, and words.
    Failed(u16, String),
    /// It saw every cycle it was to see.
    Ended(Box<Generation>),
}

/// The cycle thread's end of a shadow run. Dropping it ends the thread.
pub(super) struct ShadowLine {
    feeds: Option<SyncSender<Feed>>,
    shown: Receiver<Shown>,
    left: u32,
}

/// The candidate is too far behind.
pub(super) struct TooSlow;

impl ShadowLine {
    pub(super) const fn wants_more(&self) -> bool {
        self.left > 0
    }

    /// Hands over a cycle; never waits.
    pub(super) fn feed(&mut self, feed: Feed) -> Result<(), TooSlow> {
        let Some(feeds) = &self.feeds else { return Ok(()) };
        match feeds.try_send(feed) {
            // A thread that ended has said why.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => return Err(TooSlow),
        }
        self.left -= 1;
        if self.left == 0 {
            self.feeds = None;
        }
        Ok(())
    }

    pub(super) fn poll(&self) -> Option<Shown> {
        self.shown.try_recv().ok()
    }
}

/// Starts the shadow thread over a generation, for so many cycles.
pub(super) fn start_shadow(
    generation: Generation,
    carried: Carried,
    cycles: u32,
    within: Duration,
) -> io::Result<ShadowLine> {
    let (feeds, fed) = sync_channel(BEHIND);
    let (show, shown) = channel();
    let body = move || run(generation, &carried, within, &fed, &show);
    thread::Builder::new().name("tapline-shadow".into()).spawn(body)?;
    Ok(ShadowLine {
        feeds: Some(feeds),
        shown,
        left: cycles,
    })
}

fn run(generation: Generation, carried: &Carried, within: Duration, fed: &Receiver<Feed>, show: &Sender<Shown>) {
    let mut shadow = Shadow::new(generation);
    if let Err(error) = shadow.adopt(carried) {
        let _ = show.send(Shown::Failed(swap_reason::STATE, error.to_string()));
        return;
    }
    for feed in fed {
        let cycle = shadow.run(&feed, within);
        let failure = shadow.failure();
        // Nobody listens any more when the attempt was given up.
        if show.send(Shown::Compared(cycle)).is_err() {
            return;
        }
        if let Some((stage, run)) = failure {
            let why = format!("{} ended in {} {}", stage.name(), run.disposition.name(), run.message);
            let _ = show.send(Shown::Failed(super::reason_of(&run), why.trim_end().to_owned()));
            return;
        }
    }
    let _ = show.send(match shadow.into_generation() {
        Ok(generation) => Shown::Ended(Box::new(generation)),
        Err(error) => Shown::Failed(swap_reason::STATE, error.to_string()),
    });
}
