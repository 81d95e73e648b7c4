//! Where a person's guesses are, all in all, and what follows from it.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Floor, Kalman, Track};
use crate::detmath;

/// What a cloud's variance is credited with at least, square metres: a body's width.
const BODY_M2: f64 = 0.0225;

/// Mean and covariance of a cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Moments {
    /// x, y, vx, vy.
    pub(super) mean: [f64; 4],
    pub(super) covariance: [[f64; 4]; 4],
    /// Share that walks.
    pub(super) walking: f32,
    /// Share beyond a door.
    pub(super) gone: f32,
}

impl Moments {
    /// Whether all numbers of these moments are finite.
    pub(super) fn is_sound(&self) -> bool {
        self.mean
            .iter()
            .chain(self.covariance.as_flattened())
            .all(|v| v.is_finite())
            && (0.0..=1.01).contains(&self.walking)
            && (0.0..=1.01).contains(&self.gone)
    }
}

/// Somebody found where the guesses are; speed unknown but for what they say.
pub(super) fn born(m: &Moments, speed_m_s: f64) -> Kalman {
    let place = Floor {
        at_m: [m.mean[0], m.mean[1]],
        covariance: [
            m.covariance[0][0] + BODY_M2,
            m.covariance[0][1],
            m.covariance[1][1] + BODY_M2,
        ],
    };
    let mut kalman = Kalman::born(&place, speed_m_s);
    conform(&mut kalman, m);
    kalman
}

/// Distance of a track from the middle of the guesses, metres.
pub(super) fn away_m(track: &Track, m: &Moments) -> f64 {
    let [dx, dy] = [0, 1].map(|axis| track.kalman.mean[axis] - m.mean[axis]);
    (dx * dx + dy * dy).sqrt()
}

/// Existence after one measurement: a walk gains what the spectra say, nobody stays in a room that looks `vacant`, and who has
/// gone out by a door is soon gone.
pub(super) fn existence(before: f32, (gain, vacant): (f32, f32), m: &Moments, step_s: f32) -> f32 {
    /// Who is outside in front of the door is taken for gone with this time constant, seconds.
    const GONE_S: f32 = 0.25;
    /// Who stands by the door has so much of the cloud outside.
    const GONE_SHARE: f32 = 0.3;
    /// More nats than lie between the least existence and the greatest: what comes after a gap of many seconds stays a number.
    const MOST_NATS: f32 = 30.0;
    let held = detmath::clamp(before, 1e-6, 0.999);
    let gain = if m.walking > 0.5 { gain } else { 0.0 } - vacant;
    let odds = held / (1.0 - held) * detmath::exp(detmath::clamp(gain, -MOST_NATS, MOST_NATS));
    let stays = detmath::exp(-detmath::max(m.gone - GONE_SHARE, 0.0) * step_s / GONE_S);
    detmath::clamp(odds / (1.0 + odds), 1e-6, 0.999) * stays
}

/// Gives a track its cloud's mean and covariance; the height stays a prior.
pub(super) fn conform(kalman: &mut Kalman, m: &Moments) {
    const AXES: [usize; 4] = [0, 1, 3, 4];
    for (row, to) in AXES.into_iter().enumerate() {
        kalman.mean[to] = m.mean[row];
        for (column, at) in AXES.into_iter().enumerate() {
            let floor = if row != column {
                0.0
            } else if row < 2 {
                BODY_M2
            } else {
                1e-4
            };
            kalman.covariance[to][at] = m.covariance[row][column] + floor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many seconds without spectra bring more nats at once than `exp` has numbers for.
    #[test]
    fn existence_is_a_probability_whatever_comes_after_a_gap() {
        let walking = Moments {
            walking: 1.0,
            ..Moments::default()
        };
        for nats in [0.0, 5.0, 90.0, 400.0, f32::MAX] {
            for (gain, vacant) in [(nats, 0.0), (-nats, 0.0), (0.0, nats)] {
                let after = existence(0.6, (gain, vacant), &walking, 0.1);
                assert!((1e-6..=0.999).contains(&after), "{gain} {vacant}: {after}");
            }
        }
        assert!(existence(0.6, (400.0, 0.0), &walking, 0.1) > 0.99);
        assert!(existence(0.6, (0.0, 400.0), &walking, 0.1) < 0.01);
    }
}
