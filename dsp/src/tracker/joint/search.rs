//! Somebody new: guesses beside the people who are known.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    JointConfig, Person, Seen, moments,
    motion::Guess,
    sets::{Likely, Sets, beside},
    weights,
};
use crate::{
    bearing::DelayBasis,
    detmath,
    tracker::{floor_plan::FloorPlan, moments::Moments, sequence::Sequence},
};

/// Guesses.
const GUESSES: usize = 200;
/// Share of them that begins anew whenever they are copied.
const FRESH: f32 = 0.15;
/// A turn speaks against a guess by no more than this, and for somebody new by no more than that, nats.
const AGAINST_MOST: f32 = 6.0;
const FOR_MOST: f32 = 3.0;

/// The search.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Search {
    guesses: Vec<Guess>,
    logs: Vec<f32>,
    /// Nats for each in this turn.
    turn: Vec<f32>,
    shares: Vec<f32>,
    /// Evidence for somebody new, nats; never below zero.
    sum: f32,
    begun: bool,
    #[borsh(skip)]
    spare: (Vec<Guess>, Vec<u32>),
}

impl Search {
    pub(super) fn new() -> Self {
        Self {
            guesses: vec![Guess::default(); GUESSES],
            logs: vec![0.0; GUESSES],
            turn: vec![0.0; GUESSES],
            shares: vec![1.0 / GUESSES as f32; GUESSES],
            sum: 0.0,
            begun: false,
            spare: (Vec::with_capacity(GUESSES), Vec::with_capacity(GUESSES)),
        }
    }

    /// Begins anew with the next cycle.
    pub(super) fn forget(&mut self) {
        self.begun = false;
    }

    /// Whether there is enough evidence for somebody new.
    pub(super) fn ripe(&self, birth: f32) -> bool {
        self.begun && self.sum > birth
    }

    /// Probability of somebody new, by the share of the evidence that a find needs: even at all of it.
    pub(super) fn existence(&self, birth: f32) -> f32 {
        detmath::min(0.5 * self.sum / birth, 0.5)
    }

    pub(super) fn predict(&mut self, step_s: f32, plan: &FloorPlan, c: &JointConfig, sequence: &mut Sequence) {
        if !self.begun {
            for guess in &mut self.guesses {
                *guess = Guess::newcomer(c.birth_anywhere, plan, sequence);
            }
            self.logs.fill(0.0);
            self.turn.fill(0.0);
            (self.sum, self.begun) = (0.0, true);
            return;
        }
        for (guess, log) in self.guesses.iter_mut().zip(&mut self.logs) {
            *log -= guess.predict(step_s, plan, c, sequence);
        }
    }

    /// Weighs all guesses by one link, beside the people of likely sets.
    pub(super) fn weigh(
        &mut self,
        seen: &Seen,
        basis: &DelayBasis,
        (sets, likely, people): (&Sets, &Likely, &[Person]),
        trust: f32,
    ) {
        for (at, set) in likely.iter().enumerate() {
            sets.given(*set, (seen, basis), people, None, |others| {
                let guesses = self.guesses.iter().zip(&mut self.turn).skip(at).step_by(likely.len());
                for (guess, turn) in guesses.filter(|(guess, _)| guess.walks) {
                    *turn += beside(others, guess, (seen, basis), trust);
                }
            });
        }
    }

    /// Sums the turn's evidence up (Page 1954) and copies likely guesses over unlikely ones.
    pub(super) fn end_turn(&mut self, plan: &FloorPlan, c: &JointConfig, sequence: &mut Sequence) {
        weights::shares(&mut self.logs, &mut self.shares);
        let mut mean = 0.0;
        for ((log, turn), share) in self.logs.iter_mut().zip(&mut self.turn).zip(&self.shares) {
            let nats = detmath::clamp(core::mem::take(turn), -AGAINST_MOST, 30.0);
            mean += share * detmath::exp(nats);
            *log += nats;
        }
        let evidence = detmath::min(detmath::ln(detmath::max(mean, f32::MIN_POSITIVE)), FOR_MOST);
        self.sum = detmath::clamp(self.sum + evidence - c.birth_by_chance, 0.0, 1e3);
        weights::shares(&mut self.logs, &mut self.shares);
        if self.ripe(c.birth) || weights::effective(&self.shares) >= 0.5 * GUESSES as f32 {
            return;
        }
        let (before, from) = &mut self.spare;
        weights::systematic(&self.shares, sequence, from);
        before.clear();
        before.extend_from_slice(&self.guesses);
        for (guess, from) in self.guesses.iter_mut().zip(from) {
            *guess = before[*from as usize];
            guess.jitter(c, sequence);
            if sequence.even() < FRESH {
                *guess = Guess::newcomer(c.birth_anywhere, plan, sequence);
            }
        }
        self.logs.fill(0.0);
        self.shares.fill(1.0 / GUESSES as f32);
    }

    /// Where somebody new would be.
    pub(super) fn moments(&self, plan: &FloorPlan) -> Moments {
        moments(self.shares.iter().copied().zip(&self.guesses), plan)
    }

    /// One of the guesses, by its share.
    pub(super) fn draw(&self, sequence: &mut Sequence) -> &Guess {
        &self.guesses[weights::pick(&self.shares, sequence)]
    }

    /// Whether it is complete and finite.
    pub(super) fn is_sound(&self) -> bool {
        let arrays = [&self.logs, &self.turn, &self.shares];
        self.guesses.len() == GUESSES
            && self.guesses.iter().all(Guess::is_sound)
            && arrays
                .iter()
                .all(|a| a.len() == GUESSES && a.iter().all(|v| v.is_finite()))
            && self.shares.iter().all(|s| *s >= 0.0)
            && self.sum >= 0.0
            && self.sum.is_finite()
    }
}
