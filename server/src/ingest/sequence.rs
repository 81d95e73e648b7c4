//! Sequence numbers of one node: order, repeats, losses, restarts; and of one that signs, what was there before.

use borsh::{BorshDeserialize, BorshSerialize};

/// Frames back that are still told apart from repeats.
const WINDOW: i32 = 64;
/// A jump further than this in either direction is a restart of the node, not a loss: at 100 Hz, ten seconds.
const RESTART: i32 = 1_000;
/// So many old numbers in ascending order, and no new one between them, are a restart as well: a node that restarts soon after its
/// start leaps back less far.
const OLD_RUN: u32 = 8;

/// What a sequence number says of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Newer than all before.
    Newest,
    /// Late, but not seen before: the newest of its path at best.
    Late,
    /// Seen before.
    Repeat,
    /// Too far back to tell.
    TooLate,
    /// The first one, or the first after a restart.
    Restart,
}

/// The memory of one node's sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Sequence {
    newest: Option<u32>,
    /// Bit i: `newest - i` was seen.
    seen: u64,
    boot_count: Option<u16>,
    /// The last old number, and how many of them have come in ascending order.
    old: (u32, u32),
    /// Frames that never came, as far as numbers tell.
    pub lost: u64,
    /// Restarts noticed.
    pub restarts: u64,
}

impl Sequence {
    /// Takes a number; `boot_count` where the frame has one.
    pub fn take(&mut self, seq: u32, boot_count: Option<u16>) -> Order {
        let rebooted = boot_count.is_some() && self.boot_count.is_some() && boot_count != self.boot_count;
        self.boot_count = boot_count.or(self.boot_count);
        let Some(newest) = self.newest else {
            return self.restart(seq);
        };
        // Signed: a frame just behind a wrap is late, not four billion ahead.
        let ahead = seq.wrapping_sub(newest).cast_signed();
        if rebooted || !(-RESTART..=RESTART).contains(&ahead) {
            self.restarts += 1;
            return self.restart(seq);
        }
        if ahead > 0 {
            self.seen = if ahead < WINDOW { (self.seen << ahead) | 1 } else { 1 };
            self.lost += u64::from(ahead.unsigned_abs() - 1);
            self.newest = Some(seq);
            self.old.1 = 0;
            return Order::Newest;
        }
        let too_late = ahead <= -WINDOW;
        let bit = 1_u64.wrapping_shl(ahead.unsigned_abs());
        if !too_late && self.seen & bit == 0 {
            self.seen |= bit;
            self.lost = self.lost.saturating_sub(1);
            return Order::Late;
        }
        let (last, run) = self.old;
        let ascending = run > 0 && seq.wrapping_sub(last).cast_signed() > 0;
        self.old = (seq, if ascending { run + 1 } else { 1 });
        if self.old.1 == OLD_RUN {
            self.restarts += 1;
            return self.restart(seq);
        }
        if too_late { Order::TooLate } else { Order::Repeat }
    }

    fn restart(&mut self, seq: u32) -> Order {
        self.newest = Some(seq);
        self.seen = 1;
        self.old.1 = 0;
        Order::Restart
    }
}

/// What of a sender that signs has come: nobody's recording of it is taken a second time.
///
/// A restart is told by the boot count alone, which is under the code as the number is; without it a recording of small numbers would
/// pass for one.
#[derive(Clone, Debug, Default)]
pub struct Once {
    /// Boot count and number of the newest frame.
    frame: Option<(u16, u32)>,
    /// Bit i: the newest frame's number less i was there.
    seen: u64,
    /// Time of measurement, in milliseconds, and number of the newest report.
    report: Option<(u64, u32)>,
}

impl Once {
    /// Takes a frame.
    ///
    /// # Errors
    /// The reason it is not used: `old_boot`, `repeated`, `too_late`.
    pub fn frame(&mut self, boot_count: u16, seq: u32) -> Result<(), &'static str> {
        let Some((boot, newest)) = self.frame else {
            (self.frame, self.seen) = (Some((boot_count, seq)), 1);
            return Ok(());
        };
        // Signed: after 65,535 boots comes 0, which is one more.
        let boots = boot_count.wrapping_sub(boot).cast_signed();
        let ahead = seq.wrapping_sub(newest).cast_signed();
        if boots < 0 {
            return Err("old_boot");
        }
        if boots > 0 || ahead > 0 {
            self.seen = if boots == 0 && ahead < WINDOW {
                (self.seen << ahead) | 1
            } else {
                1
            };
            self.frame = Some((boot_count, seq));
            return Ok(());
        }
        if ahead <= -WINDOW {
            return Err("too_late");
        }
        let bit = 1_u64 << ahead.unsigned_abs();
        if self.seen & bit != 0 {
            return Err("repeated");
        }
        self.seen |= bit;
        Ok(())
    }

    /// Takes a report: a later one, or one more of the same time. Reports have no boot count, so none may be late.
    ///
    /// # Errors
    /// The reason it is not used: `repeated`, `too_late`.
    pub fn report(&mut self, capture_ms: u64, seq: u32) -> Result<(), &'static str> {
        if let Some((time_ms, newest)) = self.report {
            let ahead = seq.wrapping_sub(newest).cast_signed();
            if (capture_ms, ahead) == (time_ms, 0) {
                return Err("repeated");
            }
            if capture_ms < time_ms || (capture_ms == time_ms && ahead < 0) {
                return Err("too_late");
            }
        }
        self.report = Some((capture_ms, seq));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any other boot count was a restart, and so was a leap back or a run of old numbers: whoever had recorded signed frames
    /// of an empty room could play them while somebody was in it.
    #[test]
    fn a_recording_of_signed_frames_is_taken_once() {
        let mut once = Once::default();
        let now: Vec<(u16, u32)> = (0..3_000)
            .map(|seq| (1, seq))
            .chain((0..200).map(|seq| (2, seq)))
            .collect();
        assert!(now.iter().all(|(boot, seq)| once.frame(*boot, *seq).is_ok()));
        // All of it, forwards, and each part by itself.
        for (boot, seq) in now
            .iter()
            .chain(&now[..3_000])
            .chain(&now[3_000..])
            .chain(&now[3_140..])
        {
            assert!(once.frame(*boot, *seq).is_err(), "{boot} {seq}");
        }
        assert_eq!(once.frame(2, 200), Ok(()));
    }

    #[test]
    fn signed_frames_may_be_lost_or_late_and_boards_restart() {
        let mut once = Once::default();
        for (boot, seq, expected) in [
            (u16::MAX, 10, Ok(())),
            (u16::MAX, 12, Ok(())),
            (u16::MAX, 11, Ok(())),
            (u16::MAX, 11, Err("repeated")),
            // An hour of no radio.
            (u16::MAX, 400_000, Ok(())),
            (u16::MAX, 399_937, Ok(())),
            (u16::MAX, 399_936, Err("too_late")),
            (u16::MAX, 12, Err("too_late")),
            // The board restarts, and its count begins again with 0.
            (0, 3, Ok(())),
            (0, 2, Ok(())),
            (u16::MAX, 400_001, Err("old_boot")),
            (0, 4, Ok(())),
            // The frames' numbers wrap.
            (0, u32::MAX - 2_000_000_000, Err("too_late")),
            (1, u32::MAX, Ok(())),
            (1, 0, Ok(())),
            (1, u32::MAX, Err("repeated")),
        ] {
            assert_eq!(once.frame(boot, seq), expected, "{boot} {seq}");
        }
    }

    #[test]
    fn a_recording_of_signed_reports_is_taken_once() {
        let mut once = Once::default();
        for (capture_ms, seq, expected) in [
            (1_000, 7, Ok(())),
            (1_000, 7, Err("repeated")),
            // What one report cannot hold is in the next of the same time.
            (1_000, 8, Ok(())),
            (1_000, 7, Err("too_late")),
            (1_200, 9, Ok(())),
            (1_100, 10, Err("too_late")),
            // A restart: its numbers begin again, its time goes on.
            (9_000, 0, Ok(())),
            (1_200, 9, Err("too_late")),
        ] {
            assert_eq!(once.report(capture_ms, seq), expected, "{capture_ms} {seq}");
        }
    }

    fn check(numbers: &[u32], expect: &[Order]) -> Sequence {
        let mut sequence = Sequence::default();
        let got: Vec<Order> = numbers.iter().map(|n| sequence.take(*n, None)).collect();
        assert_eq!(got, expect);
        sequence
    }

    #[test]
    fn late_repeat_and_loss_are_told_apart() {
        use Order::{Late, Newest, Repeat, Restart, TooLate};
        let s = check(
            &[10, 11, 14, 12, 12, 14, 90, 20],
            &[Restart, Newest, Newest, Late, Repeat, Repeat, Newest, TooLate],
        );
        assert_eq!((s.lost, s.restarts), (1 + 75, 0));
    }

    #[test]
    fn a_wrap_is_no_restart_and_a_late_frame_no_leap() {
        use Order::{Late, Newest, Restart};
        let s = check(&[u32::MAX - 1, 0, u32::MAX, 1], &[Restart, Newest, Late, Newest]);
        assert_eq!((s.lost, s.restarts), (0, 0));
    }

    #[test]
    fn a_node_that_restarts_begins_anew() {
        use Order::{Newest, Restart};
        let s = check(&[50_000, 50_001, 3, 4], &[Restart, Newest, Restart, Newest]);
        assert_eq!(s.restarts, 1);
        let mut s = Sequence::default();
        assert_eq!(
            [s.take(5, Some(1)), s.take(6, Some(1)), s.take(7, Some(2))],
            [Restart, Newest, Restart]
        );
    }

    #[test]
    fn a_node_that_restarts_soon_after_its_start_is_not_deaf_until_it_has_caught_up() {
        let mut s = Sequence::default();
        for seq in 0..500 {
            s.take(seq, None);
        }
        let orders: Vec<Order> = (0..9).map(|seq| s.take(seq, None)).collect();
        assert!(orders[..7].iter().all(|o| *o == Order::TooLate), "{orders:?}");
        assert_eq!((&orders[7..], s.restarts), (&[Order::Restart, Order::Newest][..], 1));
        // A network that doubles every frame, or holds some back, restarts nobody.
        for seq in 9..100 {
            assert_eq!([s.take(seq, None), s.take(seq, None)], [Order::Newest, Order::Repeat]);
        }
        for seq in [10, 11, 12, 13, 14, 15, 16, 16, 15, 14] {
            assert!(matches!(s.take(seq, None), Order::TooLate | Order::Repeat));
        }
        assert_eq!(s.restarts, 1);
    }
}
