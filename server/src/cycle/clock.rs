//! When a slot ends: 50 ms apart, counted from boot, never drifting.

use std::time::Duration;

/// Length of a slot, nanoseconds: 20 Hz.
pub const SLOT_NS: u64 = 50_000_000;
/// Length of a slot, seconds.
pub const SLOT_S: f32 = 0.05;
/// The whole cycle must end before the next slot does.
pub const BUDGET: Duration = Duration::from_nanos(SLOT_NS);

/// Latency budgets of the stages 1 to 10 (brief: 4 nodes, 12 links, HT20 on a Pi-5-class core), milliseconds.
pub const STAGE_BUDGET_MS: [u32; 10] = [2, 2, 1, 2, 15, 2, 8, 8, 5, 5];

/// Names of the stages 1 to 10.
pub const STAGE_NAMES: [&str; 10] = [
    "ingest",
    "calibration",
    "phase_align",
    "fusion",
    "cir",
    "sense",
    "tomography",
    "tracker",
    "decide",
    "publish",
];

/// End of slot `tick`, nanoseconds after boot.
pub const fn slot_end_ns(first_end_ns: u64, tick: u64) -> u64 {
    first_end_ns + tick * SLOT_NS
}

/// The slot to run after `last` when it is `now_ns`: the next one, or, when whole slots have passed, the
/// latest that has ended. The difference to `last + 1` is the number of missed slots.
pub const fn next_slot(first_end_ns: u64, last: Option<u64>, now_ns: u64) -> u64 {
    let due = match last {
        None => 0,
        Some(tick) => tick + 1,
    };
    let Some(past) = now_ns.checked_sub(slot_end_ns(first_end_ns, due)) else {
        return due;
    };
    due + past / SLOT_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_cycle_misses_slots_and_stays_on_the_grid() {
        let first = 1_000;
        assert_eq!(next_slot(first, None, 0), 0);
        assert_eq!(next_slot(first, Some(0), first + 1), 1);
        assert_eq!(next_slot(first, Some(0), first + SLOT_NS), 1);
        assert_eq!(next_slot(first, Some(0), first + 2 * SLOT_NS - 1), 1);
        assert_eq!(next_slot(first, Some(0), first + 3 * SLOT_NS + 7), 3);
    }

    #[test]
    fn budgets_fit_the_cycle() {
        assert!(STAGE_BUDGET_MS.iter().sum::<u32>() <= 50);
    }
}
