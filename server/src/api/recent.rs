//! The newest cycles in memory: what a client that comes back missed and the store may not have yet, since it writes
//! once a second.
//!
//! It follows the hub like any reader, so no client ever makes the cycle wait for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::timeout,
};

use crate::live::Cycle;

/// Cycles kept: a little more than six seconds.
const KEPT: usize = 128;
/// How long this may be behind the hub: it is woken with every cycle, but on a busy machine it runs when it can. What is
/// later than that is lost to who waits for it.
const BEHIND: Duration = Duration::from_secs(10);

/// The newest cycles, without a hole.
pub(super) struct Recent {
    cycles: Mutex<VecDeque<Arc<Cycle>>>,
    newest: watch::Sender<Option<u64>>,
}

impl Recent {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            cycles: Mutex::new(VecDeque::with_capacity(KEPT)),
            newest: watch::Sender::new(None),
        })
    }

    /// Takes cycles in until the hub is gone.
    pub(super) async fn follow(self: Arc<Self>, mut cycles: broadcast::Receiver<Arc<Cycle>>) {
        loop {
            match cycles.recv().await {
                Ok(cycle) => self.take(cycle),
                // A hole would pass for nothing missed.
                Err(RecvError::Lagged(_)) => self.cycles().clear(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn take(&self, cycle: Arc<Cycle>) {
        let number = cycle.cycle;
        let mut cycles = self.cycles();
        if cycles.len() == KEPT {
            cycles.pop_front();
        }
        cycles.push_back(cycle);
        drop(cycles);
        self.newest.send_replace(Some(number));
    }

    fn cycles(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Cycle>>> {
        // A panic elsewhere leaves the queue as it was: each change is one call.
        self.cycles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kept cycles from `first` to `last`, ascending and without a hole, once the hub's `last` has arrived here. They may
    /// begin after `first`, also when that was kept at the call.
    pub(super) async fn range(&self, first: u64, last: u64) -> Vec<Arc<Cycle>> {
        let mut newest = self.newest.subscribe();
        // Late or gone: then what is there has to do.
        let _ = timeout(BEHIND, newest.wait_for(|n| n.is_some_and(|n| n >= last))).await;
        let cycles = self.cycles();
        let within = cycles.iter().filter(|c| (first..=last).contains(&c.cycle));
        within.map(Arc::clone).collect()
    }

    /// The oldest kept cycle.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.cycles().front().map(|c| c.cycle)
    }
}
