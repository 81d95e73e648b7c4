//! Points in, people out, of the tracker's own parts: its Kalman filter, its optimal assignment, its life of a track with
//! its defaults.
//!
//! The product has no such tracker: it follows people before anything is detected, on the links themselves. What is
//! put together here serves to compare the parts with another tracker on detections that both are given. Only odds and
//! costs are this file's. With the chance `d` to be detected, the density `N` of the detection's place under the track and
//! the density `k` of false detections, the odds of existence `r` change by `1 - d` where nothing is assigned, else by `1 - d + d N / k`
//! (integrated probabilistic data association with the assigned detection only; Musicki, Evans and Stankovic, IEEE Trans.
//! Automatic Control 39, 1994); a pair costs `-ln(r d N / k) + ln(1 - r d)`, so that the surest tracks come first (best
//! assignment of a multi-Bernoulli filter; Williams, IEEE Trans. Aerospace and Electronic Systems 51, 2015).

use tapline_dsp::tracker::{Assignment, Floor, Kalman, Life, Track, TrackerConfig};

/// What the tracker takes for granted of any detector: not told how good the one at hand is.
const DETECTED: f64 = 0.9;
/// False detections a cycle and square metre.
const FALSE_M2: f64 = 0.1 / 30.0;
/// Existence of what was detected once.
const NEWBORN: f32 = 0.1;
/// Squared Mahalanobis distance in two dimensions that 99 % stay within.
const GATE: f64 = 9.21;
const MOST_EXISTENCE: f64 = 0.999;

/// The parts, put together.
pub(super) struct PointTracker {
    config: TrackerConfig,
    tracks: Vec<Track>,
    next_id: u64,
}

impl PointTracker {
    pub(super) fn new() -> Self {
        Self {
            config: TrackerConfig::default(),
            tracks: Vec::new(),
            next_id: 1,
        }
    }

    /// One cycle with these detections; at most 32 are looked at.
    pub(super) fn step(&mut self, step_s: f32, detections: &[Floor]) {
        let c = self.config;
        self.tracks.retain(|t| t.life != Life::Terminated);
        let mut assignment = Assignment::new(self.tracks.len(), detections.len());
        for (row, track) in self.tracks.iter_mut().enumerate() {
            track
                .kalman
                .predict(f64::from(step_s), f64::from(c.acceleration_density));
            for (column, detection) in detections.iter().enumerate() {
                if let Some(ratio) = ratio(track, detection) {
                    let exists = f64::from(track.existence) * DETECTED;
                    // Costs are not negative: moved up alike.
                    assignment.set(row, column, 100.0 - (exists * ratio / (1.0 - exists)).ln());
                }
            }
        }
        let solved = assignment.solve();
        let mut taken = vec![false; detections.len()];
        for (track, column) in self.tracks.iter_mut().zip(solved) {
            let mut odds = 1.0 - DETECTED;
            if let Some(column) = column {
                taken[column] = true;
                odds += DETECTED * ratio(track, &detections[column]).unwrap_or_default();
                track.kalman.update(&detections[column]);
                track.updates = track.updates.saturating_add(1);
            }
            let held = f64::from(track.existence) * f64::from(-step_s / c.life_s).exp();
            let exists = held * odds / (1.0 - held + held * odds);
            track.existence = exists.min(MOST_EXISTENCE) as f32;
            track.grow_older(&c, column.is_some(), false, step_s);
        }
        for (detection, _) in detections.iter().zip(taken).filter(|(_, taken)| !taken) {
            let kalman = Kalman::born(detection, f64::from(c.speed_m_s));
            self.tracks.push(Track::born(self.next_id, NEWBORN, kalman));
            self.next_id += 1;
        }
    }

    /// Those that the product would publish: all but Tentative ones and those that ended.
    pub(super) fn published(&self) -> impl Iterator<Item = &Track> {
        self.tracks
            .iter()
            .filter(|t| matches!(t.life, Life::Active | Life::Lost))
    }
}

/// Density of a detection's place under a track over that of false detections; none outside the gate.
fn ratio(track: &Track, detection: &Floor) -> Option<f64> {
    let (d2, determinant) = track.kalman.distance2(detection).filter(|(d2, _)| *d2 <= GATE)?;
    Some((-0.5 * d2).exp() / (core::f64::consts::TAU * determinant.sqrt() * FALSE_M2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64) -> Floor {
        Floor {
            at_m: [x, y],
            covariance: [0.01, 0.0, 0.01],
        }
    }

    #[test]
    fn two_who_walk_keep_their_ids_and_a_flash_is_nobody() {
        let mut tracker = PointTracker::new();
        for k in 0..100 {
            let x = 0.05 * f64::from(k);
            let mut seen = vec![at(x, 1.0), at(5.0 - x, 3.0)];
            if k == 50 {
                seen.insert(0, at(0.5, 4.5));
            }
            tracker.step(0.05, &seen);
        }
        let found: Vec<_> = tracker.published().map(|t| (t.id, t.kalman.floor().at_m)).collect();
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 2]);
        assert!(
            (found[0].1[0] - 4.95).abs() < 0.1 && (found[1].1[0] - 0.05).abs() < 0.1,
            "{found:?}"
        );
        (0..100).for_each(|_| tracker.step(0.05, &[]));
        assert_eq!(tracker.published().count(), 0);
    }
}
