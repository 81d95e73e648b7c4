//! The count of skipped messages in an encoding that many clients share.
//!
//! One encoding of a subscription's message goes to all its clients, but each has skipped its own number
//! of messages. The shared encoding therefore holds a random 19-digit number in that place, and each
//! client's own count is put there on its way out ([`super::super::fanout`]). The number never leaves the
//! process, so nobody can make it appear anywhere else.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_graphql::Context;

use super::scalars::Long;
use crate::api::resume::Mark;

/// What a subscription that runs says beside its messages.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Messages the whole group missed since the last one.
    missed: AtomicU64,
    /// The cycle the newest message is about.
    mark: Mutex<Option<Mark>>,
    /// Its messages go to one client.
    alone: bool,
}

impl Shared {
    /// For a run whose messages go to one client.
    pub(crate) fn alone() -> Self {
        Self {
            alone: true,
            ..Self::default()
        }
    }

    pub(crate) fn add(&self, messages: u64) {
        self.missed.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn set_mark(&self, mark: Mark) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark);
    }

    pub(crate) fn mark(&self) -> Option<Mark> {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number that stands for a client's own count.
pub(crate) fn stand_in() -> i64 {
    static STAND_IN: OnceLock<i64> = OnceLock::new();
    *STAND_IN.get_or_init(|| {
        let mut bytes = [0_u8; 8];
        // Without entropy the number can be guessed; nothing that a client sends is ever written as a bare
        // number into a message, so a guess gains nothing.
        let _ = getrandom::fill(&mut bytes);
        const FLOOR: u64 = 1_000_000_000_000_000_000;
        (FLOOR + u64::from_le_bytes(bytes) % (8 * FLOOR)) as i64
    })
}

/// The count to put into a message.
pub(crate) fn number(ctx: &Context<'_>, own: u64) -> Long {
    if ctx.data_opt::<Arc<Shared>>().is_some_and(|shared| !shared.alone) {
        Long(stand_in())
    } else {
        own.into()
    }
}
