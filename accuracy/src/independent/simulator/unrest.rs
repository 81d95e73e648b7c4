//! What nobody can keep from doing: sway, breath, a shifted arm.

use std::f64::consts::TAU;

use super::{
    curves::between,
    person::{MOMENT_S, Stance},
    random::Random,
};

/// Time constants of the two filters behind sway, seconds.
const SWAY_S: [f64; 2] = [1.2, 0.35];
/// Standard deviation of a sway, standing and seated, metres.
const SWAY_M: [f64; 2] = [0.0055, 0.0015];
/// Time between two shifts of an arm, in the mean, seconds.
const FIDGET_S: f64 = 14.0;

/// Somebody's unrest.
pub(super) struct Unrest {
    breath_hz: f64,
    breath_rad: f64,
    /// East and north: after the first and after the second filter.
    sway: [[f64; 2]; 2],
    arm_rad: f64,
    arm_left_s: f64,
}

impl Unrest {
    /// Of a person with a breath of their own.
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            breath_hz: random.between(0.2, 0.32),
            breath_rad: random.between(0.0, TAU),
            sway: [[0.0; 2]; 2],
            arm_rad: 0.0,
            arm_left_s: 0.0,
        }
    }

    /// One moment on.
    pub(super) fn step(&mut self, now: &mut Stance, random: &mut Random) {
        let scale_m = between(SWAY_M[0], SWAY_M[1], now.seated);
        for axis in 0..2 {
            let [first, second] = &mut self.sway;
            first[axis] += -first[axis] * MOMENT_S / SWAY_S[0] + (2.0 * MOMENT_S / SWAY_S[0]).sqrt() * random.normal();
            second[axis] += (first[axis] - second[axis]) * MOMENT_S / SWAY_S[1];
            // The second filter takes a little of the first one's variance.
            now.sway_m[axis] = scale_m * 1.15 * second[axis];
        }
        self.breath_rad += TAU * self.breath_hz * (1.0 + 0.05 * self.sway[0][0]) * MOMENT_S;
        now.breath = self.breath_rad.sin() + 0.25 * (2.0 * self.breath_rad + 0.7).sin();
        if self.arm_left_s <= 0.0 && random.unit() < MOMENT_S / FIDGET_S {
            self.arm_rad = random.within(0.35);
            self.arm_left_s = random.between(0.8, 2.0);
        }
        if self.arm_left_s > 0.0 {
            self.arm_left_s -= MOMENT_S;
        }
        let goal_rad = if self.arm_left_s > 0.0 { self.arm_rad } else { 0.0 };
        now.fidget_rad += (goal_rad - now.fidget_rad) * MOMENT_S / 0.4;
    }
}
