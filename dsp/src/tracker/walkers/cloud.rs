//! A cloud of guesses where one person is, how fast, and whether it walks (a particle filter).
//!
//! Gordon, Salmond and Smith, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation", IEE Proc. F 1993; with
//! jitter after resampling (regularised: Musso, Oudjane and Le Gland 2001), or the few that are copied would never part.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    WalkersConfig,
    field::{Guesses, RateField, Rates},
};
use crate::{
    detmath,
    tracker::{
        floor_plan::{FloorPlan, Place},
        moments::Moments,
        sequence::Sequence,
    },
};

/// Guesses in a cloud.
pub(super) const GUESSES: usize = 2_000;

/// One person's cloud. Arrays of one length, [`GUESSES`].
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Cloud {
    x: Vec<f32>,
    y: Vec<f32>,
    vx: Vec<f32>,
    vy: Vec<f32>,
    walks: Vec<u8>,
    /// Logarithm of the weight, the largest 0.
    log: Vec<f32>,
    /// Weights, sum 1.
    weight: Vec<f32>,
    /// Sum of `exp(log)` of which the weights are shares.
    total: f64,
}

impl Cloud {
    pub(super) fn new() -> Self {
        let zeros = || vec![0.0; GUESSES];
        Self {
            x: zeros(),
            y: zeros(),
            vx: zeros(),
            vy: zeros(),
            walks: vec![1; GUESSES],
            log: zeros(),
            weight: vec![1.0 / GUESSES as f32; GUESSES],
            total: f64::from(GUESSES as u32),
        }
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.x.copy_from_slice(&other.x);
        self.y.copy_from_slice(&other.y);
        self.vx.copy_from_slice(&other.vx);
        self.vy.copy_from_slice(&other.vy);
        self.walks.copy_from_slice(&other.walks);
        self.log.copy_from_slice(&other.log);
        self.weight.copy_from_slice(&other.weight);
        self.total = other.total;
    }

    /// Somebody new: at the doors, or anywhere.
    pub(super) fn newborn(&mut self, plan: &FloorPlan, c: &WalkersConfig, sequence: &mut Sequence) {
        for i in 0..GUESSES {
            self.place_newcomer(i, c.birth_anywhere, plan, c, sequence);
        }
        self.level();
    }

    /// Makes all weights equal.
    fn level(&mut self) {
        self.log.fill(0.0);
        self.weight.fill(1.0 / GUESSES as f32);
        self.total = f64::from(GUESSES as u32);
    }

    fn place_newcomer(
        &mut self,
        i: usize,
        anywhere: f32,
        plan: &FloorPlan,
        c: &WalkersConfig,
        sequence: &mut Sequence,
    ) {
        [self.x[i], self.y[i]] = plan.newcomer(anywhere, sequence);
        self.walks[i] = 1;
        self.vx[i] = c.speed_m_s * sequence.normal();
        self.vy[i] = c.speed_m_s * sequence.normal();
    }

    /// Moves every guess on by `step_s`.
    pub(super) fn predict(&mut self, step_s: f32, plan: &FloorPlan, c: &WalkersConfig, sequence: &mut Sequence) {
        let keep = detmath::exp(-step_s / c.heading_s);
        let push = c.acceleration * step_s.sqrt();
        let change = detmath::min(c.starts_and_stops_per_s * step_s, 0.5);
        for i in 0..GUESSES {
            if sequence.even() < change {
                self.walks[i] ^= 1;
                let starts = f32::from(self.walks[i]);
                self.vx[i] = starts * c.speed_m_s * sequence.normal();
                self.vy[i] = starts * c.speed_m_s * sequence.normal();
            } else if self.walks[i] != 0 {
                self.vx[i] = keep * self.vx[i] + push * sequence.normal();
                self.vy[i] = keep * self.vy[i] + push * sequence.normal();
            }
            let before = plan.at(self.x[i], self.y[i]);
            self.x[i] += self.vx[i] * step_s;
            self.y[i] += self.vy[i] * step_s;
            let speed = detmath::hypot(self.vx[i], self.vy[i]);
            let fast = detmath::max(speed - c.speed_most_m_s, 0.0);
            // Only doors lead in and out.
            let wall = match (before, plan.at(self.x[i], self.y[i])) {
                (Place::Inside, Place::Outside) | (Place::Outside, Place::Inside) => c.wall,
                _ => 0.0,
            };
            self.log[i] -= 10.0 * fast * step_s + wall;
        }
    }

    /// Weighs every guess that walks by the field (times `trust`) and by `gain`, against standing still. Gives the evidence
    /// of the field alone: logarithm of the mean, over those who walk, of what it weighs them by.
    pub(super) fn weigh(&mut self, field: &mut RateField, trust: f32, gain: f32, scratch: &mut Vec<f32>) -> f32 {
        field.at(self.guesses(), scratch);
        let mut most = f32::MIN;
        let mut walked = 0.0;
        for (i, nats) in scratch.iter().enumerate() {
            if self.walks[i] != 0 {
                self.log[i] += trust * nats + gain;
                walked += f64::from(self.weight[i]);
            }
            most = detmath::max(most, self.log[i]);
        }
        let (mut sum, mut walking) = (0.0, 0.0);
        for i in 0..GUESSES {
            self.log[i] -= most;
            let w = if self.log[i] < -40.0 {
                0.0
            } else {
                detmath::exp(self.log[i])
            };
            self.weight[i] = w;
            sum += f64::from(w);
            walking += f64::from(w) * f64::from(self.walks[i]);
        }
        let scale = (1.0 / sum) as f32;
        self.weight.iter_mut().for_each(|w| *w *= scale);
        let before = core::mem::replace(&mut self.total, sum) * walked;
        if walking > 0.0 && before > 0.0 {
            most - gain + detmath::ln64(walking / before) as f32
        } else {
            0.0
        }
    }

    /// Copies likely guesses over unlikely ones once few carry the weight; a share of them begins anew as newcomers,
    /// a share of whom can be `anywhere`.
    pub(super) fn resample(
        &mut self,
        (fresh, anywhere): (f32, f32),
        plan: &FloorPlan,
        c: &WalkersConfig,
        sequence: &mut Sequence,
        spare: &mut Self,
    ) {
        let squares: f32 = self.weight.iter().map(|w| w * w).sum();
        if squares * GUESSES as f32 <= 2.0 {
            return;
        }
        spare.copy_from(self);
        let step = 1.0 / f64::from(GUESSES as u32);
        let mut at = f64::from(sequence.even()) * step;
        let (mut from, mut reached) = (0, f64::from(spare.weight[0]));
        for i in 0..GUESSES {
            while reached < at && from + 1 < GUESSES {
                from += 1;
                reached += f64::from(spare.weight[from]);
            }
            at += step;
            self.walks[i] = spare.walks[from];
            self.x[i] = spare.x[from] + c.jitter_m * sequence.normal();
            self.y[i] = spare.y[from] + c.jitter_m * sequence.normal();
            let walks = f32::from(self.walks[i]);
            self.vx[i] = spare.vx[from] + walks * c.jitter_m_s * sequence.normal();
            self.vy[i] = spare.vy[from] + walks * c.jitter_m_s * sequence.normal();
        }
        self.level();
        for _ in 0..(fresh * GUESSES as f32) as usize {
            let i = (sequence.even() * GUESSES as f32) as usize;
            self.place_newcomer(i.min(GUESSES - 1), anywhere, plan, c, sequence);
        }
    }

    /// Mean, covariance, and what share walks and has left.
    pub(super) fn moments(&self, plan: &FloorPlan) -> Moments {
        let mut m = Moments::default();
        for i in 0..GUESSES {
            let w = f64::from(self.weight[i]);
            for (sum, v) in m.mean.iter_mut().zip(self.guess(i)) {
                *sum += w * v;
            }
            m.walking += self.weight[i] * f32::from(self.walks[i]);
            if plan.at(self.x[i], self.y[i]) != Place::Inside {
                m.gone += self.weight[i];
            }
        }
        for i in 0..GUESSES {
            let w = f64::from(self.weight[i]);
            let from = self.guess(i);
            let off: [f64; 4] = core::array::from_fn(|k| from[k] - m.mean[k]);
            for row in 0..4 {
                for column in 0..4 {
                    m.covariance[row][column] += w * off[row] * off[column];
                }
            }
        }
        m
    }

    fn guess(&self, i: usize) -> [f64; 4] {
        [self.x[i], self.y[i], self.vx[i], self.vy[i]].map(f64::from)
    }

    /// Path rates of the guesses: mean and standard deviation by pair.
    pub(super) fn rates(&self, field: &mut RateField, into: &mut Vec<Rates>) {
        field.rates(self.guesses(), &self.weight, into);
    }

    fn guesses(&self) -> Guesses<'_> {
        Guesses {
            x: &self.x,
            y: &self.y,
            vx: &self.vx,
            vy: &self.vy,
        }
    }

    /// Whether the arrays have their length and all numbers are finite.
    pub(super) fn is_sound(&self) -> bool {
        let arrays = [&self.x, &self.y, &self.vx, &self.vy, &self.log, &self.weight];
        arrays
            .iter()
            .all(|a| a.len() == GUESSES && a.iter().all(|v| v.is_finite()))
            && self.walks.len() == GUESSES
            && self.walks.iter().all(|w| *w <= 1)
            && self.weight.iter().all(|w| *w >= 0.0)
            && self.total.is_finite()
            && self.total > 0.0
    }
}
