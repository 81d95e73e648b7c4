//! How far everybody is off together.
//!
//! Chains are learned from where people are, and people are found by the chains: if all were taken for standing 20 cm further east, angles
//! would be learned that bear that out. Directions alone never tell. The lengths of the ways and the path rates do, and for these
//! an antenna by itself is enough, whose chain turns nothing that counts. So each link is also judged by one antenna: with everybody where they
//! are, and a little to every side. The sums over some seconds of walks say by how far everybody is off (the top of the parabola through
//! three of them), and chains are learned from where people then are.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::detmath;

/// How far to every side everybody is tried, metres.
const STEP_M: f32 = 0.2;
/// Where they are, and to both sides along both axes, metres.
pub(super) const TRIED_M: [[f32; 2]; 5] = [[0.0, 0.0], [STEP_M, 0.0], [-STEP_M, 0.0], [0.0, STEP_M], [0.0, -STEP_M]];
/// What is older counts less, seconds.
const MEMORY_S: f32 = 10.0;
/// Curvature of what is known before: with so little evidence nobody is moved far, nats a square metre.
const BEFORE: f32 = 100.0;
/// No sum is larger: what a state brings beyond it is nonsense.
const NATS_MOST: f32 = 1e12;
/// Further off than this is not believed, metres.
const MOST_M: f32 = 0.4;

/// Evidence for people being elsewhere, all of them by the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Shift {
    /// Sums by [`TRIED_M`].
    nats: [f32; 5],
    /// Turns, going round: every turn judges by another antenna.
    turns: u8,
}

impl Shift {
    /// The antenna of so many by which a link is judged in this turn.
    pub(super) fn antenna(&self, antennas: usize) -> usize {
        usize::from(self.turns) % antennas
    }

    /// Takes what one link says of each of [`TRIED_M`].
    pub(super) fn add(&mut self, nats: &[f32; 5]) {
        self.nats.iter_mut().zip(nats).for_each(|(sum, n)| *sum += n);
    }

    pub(super) fn end_turn(&mut self, turn_s: f32) {
        let keep = detmath::max(1.0 - turn_s / MEMORY_S, 0.0);
        self.nats.iter_mut().for_each(|n| *n *= keep);
        self.turns = self.turns.wrapping_add(1);
    }

    /// By how much everybody should be moved, metres.
    pub(super) fn off_m(&self) -> [f32; 2] {
        let [here, rest @ ..] = self.nats;
        [[rest[0], rest[1]], [rest[2], rest[3]]].map(|[ahead, back]| {
            let slope = (ahead - back) / (2.0 * STEP_M);
            let curvature = (2.0 * here - ahead - back) / (STEP_M * STEP_M);
            detmath::clamp(slope / (detmath::max(curvature, 0.0) + BEFORE), -MOST_M, MOST_M)
        })
    }

    pub(super) fn is_sound(&self) -> bool {
        self.nats.iter().all(|n| n.abs() < NATS_MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parabolas with their tops 0.1 m east and 0.3 m south of where people are.
    #[test]
    fn the_top_of_a_parabola_is_found_once_there_is_evidence() {
        let mut shift = Shift::default();
        assert_eq!(shift.off_m(), [0.0; 2]);
        let nats = TRIED_M.map(|[x, y]| 7.0 - 100.0 * ((x - 0.1) * (x - 0.1) + (y + 0.3) * (y + 0.3)));
        let mut before = 0.0;
        for _ in 0..200 {
            shift.add(&nats);
            shift.end_turn(0.2);
            let [east_m, _] = shift.off_m();
            assert!(east_m > before - 1e-4);
            before = east_m;
        }
        let [east_m, north_m] = shift.off_m();
        assert!(
            (east_m - 0.1).abs() < 0.01 && (north_m + 0.3).abs() < 0.01,
            "{east_m} {north_m}"
        );
        // Evidence that grows to a side says no more than this.
        shift.add(&[0.0, 1e4, -1e4, 0.0, 0.0]);
        assert_eq!(shift.off_m()[0], MOST_M);
        shift.end_turn(60.0);
        assert_eq!((shift.off_m(), shift.is_sound()), ([0.0; 2], true));
        for nonsense in [f32::NAN, f32::INFINITY, -1e38] {
            shift.nats[3] = nonsense;
            assert!(!shift.is_sound(), "{nonsense}");
        }
    }

    #[test]
    fn every_antenna_has_its_turn() {
        let mut shift = Shift::default();
        let seen: Vec<_> = (0..5)
            .map(|_| {
                shift.end_turn(0.2);
                shift.antenna(4)
            })
            .collect();
        assert_eq!(seen, [1, 2, 3, 0, 1]);
    }
}
