//! How people walk, stop and start, and where they come from.

use borsh::{BorshDeserialize, BorshSerialize};

use super::JointConfig;
use crate::{
    detmath,
    tracker::{
        floor_plan::{FloorPlan, Place},
        sequence::Sequence,
    },
};

/// Nats a second, for each metre a second, against speeds above the greatest.
const FAST: f32 = 10.0;
/// Share of the jitter that guesses have who stand.
const STANDS: f32 = 0.3;
/// Speeds of somebody who sets out, m/s.
const SPEEDS_M_S: (f32, f32) = (0.3, 1.1);

/// A guess where one person is.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Guess {
    pub(super) at_m: [f32; 2],
    pub(super) velocity_m_s: [f32; 2],
    pub(super) walks: bool,
}

impl Guess {
    /// Somebody who walks, anywhere in the room.
    pub(super) fn anywhere(plan: &FloorPlan, sequence: &mut Sequence) -> Self {
        Self::walking(plan.newcomer(1.0, sequence), sequence)
    }

    /// Somebody who has just come: at a door, or, by a share, anywhere.
    pub(super) fn newcomer(anywhere: f32, plan: &FloorPlan, sequence: &mut Sequence) -> Self {
        Self::walking(plan.newcomer(anywhere, sequence), sequence)
    }

    fn walking(at_m: [f32; 2], sequence: &mut Sequence) -> Self {
        Self {
            at_m,
            velocity_m_s: set_out(sequence),
            walks: true,
        }
    }

    /// Moves on by `step_s`; gives the nats that speak against it.
    pub(super) fn predict(&mut self, step_s: f32, plan: &FloorPlan, c: &JointConfig, sequence: &mut Sequence) -> f32 {
        let chance = sequence.even();
        if !self.walks {
            if chance < c.starts_per_s * step_s {
                (self.walks, self.velocity_m_s) = (true, set_out(sequence));
            }
        } else if chance < c.stops_per_s * step_s {
            (self.walks, self.velocity_m_s) = (false, [0.0; 2]);
        } else if chance < (c.stops_per_s + c.turns_per_s) * step_s {
            self.turn(sequence);
        } else {
            let push = c.acceleration * step_s.sqrt();
            self.velocity_m_s = self.velocity_m_s.map(|v| v + push * sequence.normal());
        }
        let before = plan.at(self.at_m[0], self.at_m[1]);
        for (at, v) in self.at_m.iter_mut().zip(self.velocity_m_s) {
            *at += v * step_s;
        }
        let fast = detmath::max(self.speed_m_s() - c.speed_most_m_s, 0.0);
        // Only doors lead in and out.
        let wall = match (before, plan.at(self.at_m[0], self.at_m[1])) {
            (Place::Inside, Place::Outside) | (Place::Outside, Place::Inside) => c.wall,
            _ => 0.0,
        };
        FAST * fast * step_s + wall
    }

    /// Another way: mostly a bend at about the same speed.
    fn turn(&mut self, sequence: &mut Sequence) {
        let speed = if sequence.even() < 0.7 {
            self.speed_m_s() * detmath::exp(0.15 * sequence.normal())
        } else {
            SPEEDS_M_S.0 + (SPEEDS_M_S.1 - SPEEDS_M_S.0) * sequence.even()
        };
        let [vx, vy] = self.velocity_m_s;
        let heading = detmath::atan2(vy, vx)
            + if sequence.even() < 0.7 {
                1.2 * sequence.normal()
            } else {
                core::f32::consts::TAU * sequence.even()
            };
        let speed = detmath::max(speed, 0.2);
        self.velocity_m_s = [speed * detmath::cos(heading), speed * detmath::sin(heading)];
    }

    /// A little off, so that copies part; less of who stands, or it would wander.
    pub(super) fn jitter(&mut self, c: &JointConfig, sequence: &mut Sequence) {
        let off_m = if self.walks { c.jitter_m } else { STANDS * c.jitter_m };
        self.at_m = self.at_m.map(|v| v + off_m * sequence.normal());
        if self.walks {
            self.velocity_m_s = self.velocity_m_s.map(|v| v + c.jitter_m_s * sequence.normal());
        }
    }

    /// The same, elsewhere.
    pub(super) fn moved(mut self, [x, y]: [f32; 2]) -> Self {
        self.at_m = [self.at_m[0] + x, self.at_m[1] + y];
        self
    }

    fn speed_m_s(&self) -> f32 {
        let [vx, vy] = self.velocity_m_s;
        (vx * vx + vy * vy).sqrt()
    }

    /// Squared distance, velocities with it.
    pub(super) fn off2(&self, other: &Self) -> f32 {
        let square = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
        square(self.at_m, other.at_m) + 0.3 * square(self.velocity_m_s, other.velocity_m_s)
    }

    /// Squared distance of the places, square metres.
    pub(super) fn away2(&self, other: &Self) -> f32 {
        let (dx, dy) = (self.at_m[0] - other.at_m[0], self.at_m[1] - other.at_m[1]);
        dx * dx + dy * dy
    }

    pub(super) fn is_sound(&self) -> bool {
        self.at_m.iter().chain(&self.velocity_m_s).all(|v| v.is_finite())
    }
}

fn set_out(sequence: &mut Sequence) -> [f32; 2] {
    let speed = SPEEDS_M_S.0 + (SPEEDS_M_S.1 - SPEEDS_M_S.0) * sequence.even();
    let heading = core::f32::consts::TAU * sequence.even();
    [speed * detmath::cos(heading), speed * detmath::sin(heading)]
}
