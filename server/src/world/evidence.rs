//! When evidence becomes an edge, and when a person has moved to another place.
//!
//! Both are asked 20 times a second and answered by noise as well. An edge that came and went with it would say
//! nothing and fill the store, so both have to hold for a while before they count. Numbers of cycles are those of a log's
//! leaves, and may lie before its beginning where a replay went on from a state: ages are differences that wrap.

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::PresenceState;

use super::graph::EdgeKind;

/// A link has to move for this many cycles in a row before that is evidence: half a second.
const STREAK_CYCLES: u64 = 10;
/// Evidence is kept for this long after a link was last seen moving: 10 s.
const HOLD_CYCLES: u64 = 200;
/// A person has to be in another place for this long before it is theirs: 1 s.
const SETTLE_CYCLES: u64 = 20;

/// What motion says about a state.
pub(super) fn speaks(state: PresenceState) -> Option<EdgeKind> {
    match state {
        PresenceState::OccupiedMoving | PresenceState::OccupiedStill => Some(EdgeKind::Supports),
        PresenceState::Empty => Some(EdgeKind::Contradicts),
        PresenceState::Unknown => None,
    }
}

/// The motion of one link, as evidence about one area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Spell {
    /// The first and the last cycle in which it moved without a break.
    moving: Option<(u64, u64)>,
    /// The edge that stands for it.
    pub(super) edge: Option<EdgeKind>,
}

impl Spell {
    /// Takes a cycle: the edge that stands after it, for an area in this state.
    pub(super) fn after(&mut self, cycle: u64, moves: bool, state: PresenceState) -> Option<EdgeKind> {
        if moves {
            let unbroken = self.moving.filter(|(_, last)| last.wrapping_add(1) == cycle);
            self.moving = Some((unbroken.map_or(cycle, |(first, _)| first), cycle));
        }
        let (first, last) = self.moving?;
        let held = self.edge.is_some() && cycle.wrapping_sub(last) <= HOLD_CYCLES;
        let begins = last.wrapping_sub(first) + 1 >= STREAK_CYCLES && last == cycle;
        self.edge = speaks(state).filter(|_| held || begins);
        self.edge
    }

    /// Moves on the numbers of the cycles.
    pub(super) fn shift(&mut self, by: u64) {
        if let Some((first, last)) = &mut self.moving {
            (*first, *last) = (first.wrapping_add(by), last.wrapping_add(by));
        }
    }
}

/// Where a person is, without the flicker at a border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Stay {
    /// The place they are counted to.
    pub place: Option<u16>,
    /// Another place, and since when they were seen there without a break.
    other: Option<(Option<u16>, u64)>,
}

impl Stay {
    /// Somebody who was first seen here.
    pub(super) fn at(place: Option<u16>) -> Self {
        Self { place, other: None }
    }

    /// Takes a cycle in which they were seen in `place`.
    pub(super) fn seen(&mut self, cycle: u64, place: Option<u16>) {
        if place == self.place {
            self.other = None;
            return;
        }
        let since = self
            .other
            .filter(|(other, _)| *other == place)
            .map_or(cycle, |(_, since)| since);
        if cycle.wrapping_sub(since) + 1 >= SETTLE_CYCLES {
            *self = Self::at(place);
        } else {
            self.other = Some((place, since));
        }
    }

    /// Moves on the numbers of the cycles.
    pub(super) fn shift(&mut self, by: u64) {
        if let Some((_, since)) = &mut self.other {
            *since = since.wrapping_add(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_begins_with_a_streak_and_ends_long_after_it() {
        let mut spell = Spell::default();
        let mut seen = |cycle: u64, moves: bool, state: PresenceState| spell.after(cycle, moves, state);
        let occupied = PresenceState::OccupiedMoving;
        // Every second cycle is no streak.
        for cycle in 0..100 {
            assert_eq!(seen(cycle, cycle % 2 == 0, occupied), None, "{cycle}");
        }
        for cycle in 100..100 + STREAK_CYCLES - 1 {
            assert_eq!(seen(cycle, true, occupied), None, "{cycle}");
        }
        assert_eq!(seen(109, true, occupied), Some(EdgeKind::Supports));
        assert_eq!(seen(110, false, PresenceState::Empty), Some(EdgeKind::Contradicts));
        assert_eq!(seen(109 + HOLD_CYCLES, false, occupied), Some(EdgeKind::Supports));
        assert_eq!(seen(110 + HOLD_CYCLES, false, occupied), None);
        assert_eq!(seen(111 + HOLD_CYCLES, true, occupied), None, "a new streak is needed");
    }

    #[test]
    fn nothing_is_said_about_what_is_unknown() {
        let mut spell = Spell::default();
        for cycle in 0..50 {
            assert_eq!(spell.after(cycle, true, PresenceState::Unknown), None);
        }
    }

    #[test]
    fn who_stands_on_a_border_stays_where_they_were() {
        let mut stay = Stay::at(Some(0));
        for cycle in 0..200 {
            stay.seen(cycle, Some((cycle % 3 == 0).into()));
            assert_eq!(stay.place, Some(0), "{cycle}");
        }
        for cycle in 200..200 + SETTLE_CYCLES {
            assert_eq!(stay.place, Some(0), "{cycle}");
            stay.seen(cycle, Some(1));
        }
        assert_eq!(stay.place, Some(1));
    }
}
