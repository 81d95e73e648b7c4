//! The count of skipped messages in an encoding that many clients share.
//!
//! One encoding of a subscription's message goes to all its clients, but each has skipped its own number
//! of messages. The shared encoding therefore holds a random 19-digit number in that place, and each
//! client's own count is put there on its way out ([`super::super::fanout`]). The number never leaves the
//! process, so nobody can make it appear anywhere else.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use async_graphql::Context;

use super::scalars::Long;

/// In a request whose encoding is shared: messages the whole group missed since the last one.
#[derive(Debug, Default)]
pub(crate) struct Shared(AtomicU64);

impl Shared {
    pub(crate) fn add(&self, messages: u64) {
        self.0.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
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
    if ctx.data_opt::<std::sync::Arc<Shared>>().is_some() {
        Long(stand_in())
    } else {
        own.into()
    }
}
