//! When the write-ahead log is cut off after something was forgotten, so that its bytes are in no file.
//!
//! A reader that stays in its snapshot holds that back, and may do so for as long as a download takes. Asking again has a
//! price, so it is asked less and less often.

use std::time::{Duration, Instant};

/// Wait after the first attempt that was held back; it doubles with each that is.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Whether the write-ahead log holds something that was forgotten, and when to try again.
#[derive(Debug, Default)]
pub(super) struct CutOff {
    due: Option<Instant>,
    wait: Duration,
}

impl CutOff {
    /// Something was forgotten: to be done now. Whoever held back an earlier attempt is tried again.
    pub(super) fn want(&mut self, now: Instant) {
        (self.due, self.wait) = (Some(now), FIRST_WAIT);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Takes what came of an attempt.
    pub(super) fn tried(&mut self, done: bool, now: Instant) {
        self.due = (!done).then(|| now + self.wait);
        self.wait = (2 * self.wait).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_back_asks_less_often_and_goes_on_asking() {
        let (mut cut, start) = (CutOff::default(), Instant::now());
        assert!(!cut.is_due(start), "nothing was forgotten");
        cut.want(start);
        let (mut now, mut waits) = (start, Vec::new());
        while waits.len() < 9 {
            assert!(cut.is_due(now));
            cut.tried(false, now);
            let begun = now;
            while !cut.is_due(now) {
                now += Duration::from_millis(500);
            }
            waits.push((now - begun).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        cut.tried(true, now);
        assert!(!cut.is_due(now + LONGEST_WAIT));
    }
}
