//! What is published of an area: the motion evidence's belief and the tracker's people, joined so that state and
//! probability always agree.
//!
//! The presence filter knows motion and shadows; the tracker knows a person who stands still in the image. Somebody
//! is there when either is right: `p = 1 - (1 - p_filter) * product (1 - existence)` over the area's active tracks.
//! (The two rest on the same radio and are not independent; when both speak the probability is a little too sure,
//! never on the wrong side of either.) The state follows `p` with the same hysteresis and dwell as the filter's own;
//! a state that only the dwell keeps has the reason HELD.

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_dsp::presence::PresenceConfig;
use tapline_witness::outcome::{Presence, PresenceState, Reason};

/// What was published last, for the site and every area. Part of the exported state.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Published(Vec<Memory>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Memory {
    state: u8,
    since_tick: u64,
}

impl Published {
    /// Memory for the site and its areas.
    pub(super) fn new(areas: usize) -> Self {
        Self(vec![Memory::default(); areas + 1])
    }

    /// True when it was made for this many areas.
    pub(super) fn fits(&self, areas: usize) -> bool {
        self.0.len() == areas + 1
    }

    /// True when the site was published as occupied.
    pub(super) fn occupied(&self) -> bool {
        self.0[0].state >= PresenceState::OccupiedMoving as u8
    }

    /// What to publish at `place` (0 is the site, then the areas). `nobody`: the product of `1 - existence` over the
    /// active tracks there; 1 without any.
    pub(super) fn join(
        &mut self,
        place: usize,
        tick: u64,
        step_s: f32,
        filter: Presence,
        nobody: f32,
        config: &PresenceConfig,
    ) -> Presence {
        let memory = &mut self.0[place];
        let was_occupied = memory.state >= PresenceState::OccupiedMoving as u8;
        let mut joined = filter;
        if let Some(p) = filter.probability {
            // The subtraction is left out without a track: then the filter's own bits are published.
            let p = if nobody < 1.0 { 1.0 - (1.0 - p) * nobody } else { p };
            joined.probability = Some(p);
            if filter.state == PresenceState::Empty {
                let edge = config.occupied[usize::from(was_occupied)];
                let held = was_occupied && (tick - memory.since_tick) as f32 * step_s < config.dwell_s;
                if nobody < 1.0 && p >= edge {
                    (joined.state, joined.reason) = (PresenceState::OccupiedStill, Reason::Attenuation);
                } else if held {
                    (joined.state, joined.reason) = (PresenceState::OccupiedStill, Reason::Held);
                }
            }
        }
        if memory.state != joined.state as u8 {
            *memory = Memory {
                state: joined.state as u8,
                since_tick: tick,
            };
        }
        joined.since_tick = memory.since_tick;
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(p: f32) -> Presence {
        Presence {
            state: PresenceState::Empty,
            probability: Some(p),
            reason: Reason::Quiet,
            since_tick: 3,
        }
    }

    /// A track set the state to OCCUPIED_STILL while the published probability stayed that of an empty room: 0.02.
    #[test]
    fn state_and_probability_never_disagree() {
        let config = PresenceConfig::default();
        for step in 0..=100_u16 {
            for track in 0..=100_u16 {
                let (p, existence) = (0.59 * f32::from(step) / 100.0, f32::from(track) / 100.0);
                let mut published = Published::new(0);
                let joined = published.join(0, 7, 0.05, empty(p), 1.0 - existence, &config);
                let probability = joined.probability.expect("known");
                assert!(probability >= p);
                assert_eq!(
                    joined.state == PresenceState::OccupiedStill,
                    probability >= config.occupied[0]
                );
            }
        }
    }

    #[test]
    fn a_flickering_track_is_held_and_the_state_says_since_when() {
        let config = PresenceConfig::default();
        let mut published = Published::new(1);
        let mut at = |tick, nobody| published.join(1, tick, 0.05, empty(0.05), nobody, &config);
        assert_eq!((at(0, 1.0).state, at(0, 1.0).since_tick), (PresenceState::Empty, 0));
        let seen = at(10, 0.1);
        assert_eq!(
            (seen.state, seen.since_tick, seen.reason),
            (PresenceState::OccupiedStill, 10, Reason::Attenuation)
        );
        // Below the upper edge, above the lower one: still the same state.
        assert_eq!(
            (at(11, 0.5).state, at(11, 0.5).since_tick),
            (PresenceState::OccupiedStill, 10)
        );
        // The track is gone: the minimum dwell of one second is kept, and the reason says that it is no more than that.
        let held = at(12, 1.0);
        assert_eq!(
            (held.state, held.reason, held.since_tick),
            (PresenceState::OccupiedStill, Reason::Held, 10)
        );
        let gone = at(30, 1.0);
        assert_eq!(
            (gone.state, gone.probability, gone.since_tick),
            (PresenceState::Empty, Some(0.05), 30)
        );
    }

    #[test]
    fn unknown_stays_unknown_and_the_filters_bits_pass() {
        let config = PresenceConfig::default();
        let unknown = Presence {
            state: PresenceState::Unknown,
            probability: None,
            reason: Reason::NotCalibrated,
            since_tick: 0,
        };
        let mut published = Published::new(0);
        assert_eq!(published.join(0, 5, 0.05, unknown, 0.01, &config), unknown);
        let p = 0.123_456_79_f32;
        let joined = published.join(0, 6, 0.05, empty(p), 1.0, &config);
        assert_eq!(joined.probability.map(f32::to_bits), Some(p.to_bits()));
    }
}
