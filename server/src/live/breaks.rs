//! When the cycle rests: whoever has much to do that can wait does it then.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::cycle::clock::SLOT_NS;

/// Microseconds of a rest that are given away: the next cycle begins in fewer than 50 ms, and what was begun before has to end
/// first.
const REST_US: u64 = 35_000;
const SLOT_US: u64 = SLOT_NS / 1_000;

/// When the last cycle ended.
#[derive(Debug)]
pub struct Breaks {
    origin: Instant,
    /// Microseconds since the origin, plus one; 0 before the first cycle.
    ended: AtomicU64,
}

impl Default for Breaks {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            ended: AtomicU64::new(0),
        }
    }
}

impl Breaks {
    /// A cycle has ended.
    pub(super) fn cycle_ended(&self) {
        self.ended.store(self.now_us() + 1, Ordering::Relaxed);
    }

    /// Returns at once while the cycle rests, else when it rests again; after a slot's time in any case.
    pub fn wait(&self) {
        let begun = Instant::now();
        while !resting(self.ended.load(Ordering::Relaxed), self.now_us()) && begun.elapsed().as_nanos() < SLOT_NS.into()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn now_us(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }
}

/// Where no cycle ran for two slots, none runs.
const fn resting(ended: u64, now_us: u64) -> bool {
    let since = (now_us + 1).saturating_sub(ended);
    ended == 0 || since < REST_US || since > 2 * SLOT_US
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_begins_with_the_end_of_a_cycle_and_ends_before_the_next() {
        assert!(resting(0, 0) && resting(0, 10_000_000), "no cycle yet");
        let ended = 1_000_001;
        for (since_us, expected) in [
            (0, true),
            (34_000, true),
            (36_000, false),
            (99_000, false),
            (101_000, true),
        ] {
            assert_eq!(resting(ended, 1_000_000 + since_us), expected, "{since_us}");
        }
    }

    #[test]
    fn nobody_waits_longer_than_a_slot() {
        let breaks = Breaks::default();
        breaks.wait();
        // A cycle that ends far in the future rests in no moment of this test.
        let never = Instant::now().checked_sub(Duration::from_millis(60));
        let breaks = Breaks {
            origin: never.expect("a machine that runs for a while"),
            ended: AtomicU64::new(1),
        };
        let begun = Instant::now();
        breaks.wait();
        assert!(
            begun.elapsed() >= Duration::from_millis(35),
            "no rest between 60 and 100 ms"
        );
    }
}
