//! One person through its life.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Kalman, TrackerConfig};
use crate::detmath;

/// Most people tracked at once.
pub const MOST_TRACKS: usize = 16;

/// Where a track stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Life {
    /// Seen, not confirmed.
    Tentative,
    /// Confirmed and measured.
    Active,
    /// Confirmed, without a measurement for a while.
    Lost,
    /// Ended in this cycle.
    Terminated,
}

/// One person.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Track {
    /// Ascending, never used twice.
    pub id: u64,
    /// Where it stands in its life.
    pub life: Life,
    /// Probability that the person exists.
    pub existence: f32,
    /// Cycles since birth.
    pub age_cycles: u32,
    /// Cycles since the last measurement.
    pub coasted_cycles: u32,
    /// Seconds since the last measurement.
    pub coasted_s: f32,
    /// Measurements so far.
    pub updates: u32,
    /// Position and velocity.
    pub kalman: Kalman,
}

impl Track {
    /// A tentative track, just measured for the first time.
    pub fn born(id: u64, existence: f32, kalman: Kalman) -> Self {
        Self {
            id,
            life: Life::Tentative,
            existence,
            age_cycles: 0,
            coasted_cycles: 0,
            coasted_s: 0.0,
            updates: 1,
            kalman,
        }
    }

    /// Whether all numbers of it are ones that a track can have.
    pub(super) fn is_sound(&self) -> bool {
        let numbers = self.kalman.mean.iter().chain(self.kalman.covariance.as_flattened());
        (0.0..=1.0).contains(&self.existence)
            && self.coasted_s >= 0.0
            && self.coasted_s.is_finite()
            && numbers.copied().all(f64::is_finite)
            && self.kalman.floor().is_sound()
    }

    /// One cycle more: confirmation (unless it has to wait), loss and death.
    pub fn grow_older(&mut self, config: &TrackerConfig, measured: bool, wait: bool, step_s: f32) {
        self.age_cycles = self.age_cycles.saturating_add(1);
        (self.coasted_cycles, self.coasted_s) = if measured {
            (0, 0.0)
        } else {
            (
                self.coasted_cycles.saturating_add(1),
                detmath::min(self.coasted_s + step_s, 1e6),
            )
        };
        let sure = !wait && self.existence >= config.confirm && self.updates >= config.confirm_updates;
        self.life = match self.life {
            _ if self.existence < config.drop || self.coasted_s > config.give_up_after_s => Life::Terminated,
            Life::Tentative if !sure => Life::Tentative,
            _ if self.coasted_s > config.lost_after_s => Life::Lost,
            _ => Life::Active,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::Floor;

    fn track(existence: f32) -> Track {
        let place = Floor {
            at_m: [1.0, 1.0],
            covariance: [0.1, 0.0, 0.1],
        };
        Track::born(1, existence, Kalman::born(&place, 1.0))
    }

    #[test]
    fn a_life() {
        let config = TrackerConfig::default();
        let mut t = track(0.6);
        t.grow_older(&config, true, false, 0.05);
        assert_eq!(t.life, Life::Tentative);
        (t.existence, t.updates) = (0.99, 2);
        t.grow_older(&config, true, true, 0.05);
        assert_eq!(t.life, Life::Tentative);
        t.grow_older(&config, true, false, 0.05);
        assert_eq!((t.life, t.coasted_cycles), (Life::Active, 0));
        for _ in 0..(config.lost_after_s / 0.05) as u32 + 1 {
            t.grow_older(&config, false, false, 0.05);
        }
        assert_eq!(t.life, Life::Lost);
        t.grow_older(&config, true, false, 0.05);
        assert_eq!(t.life, Life::Active);
        t.existence = 0.001;
        t.grow_older(&config, true, false, 0.05);
        assert_eq!(t.life, Life::Terminated);
    }
}
