//! Sequence numbers of one node: order, repeats, losses, restarts.

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

#[cfg(test)]
mod tests {
    use super::*;

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
