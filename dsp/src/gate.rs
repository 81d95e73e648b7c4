//! The coherence gate: may this cycle's measurements move the filters?
//!
//! Accept from 0.85, Reject below 0.50, between them PredictOnly, with a hysteresis of 0.05 at both edges (the
//! constants users know from other systems); no new frame means PredictOnly, and Reject after 200 cycles of none.
//! Recalibrate needs the profile off its baseline on half of the links for 900 cycles running while nobody moves;
//! it is advice, never an act: a person who sits down and stays looks the same, so only the operator can know.

use borsh::{BorshDeserialize, BorshSerialize};

/// What the filters may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Decision {
    /// Use the measurements.
    Accept,
    /// Predict, do not update.
    #[default]
    PredictOnly,
    /// The measurements are not to be trusted.
    Reject,
    /// The calibration no longer fits the room; measurements are used.
    Recalibrate,
}

/// Why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum GateReason {
    /// Coherent, or no CSI whose coherence could be judged.
    Coherent,
    /// No frame in this cycle.
    #[default]
    NoInput,
    /// No frame for [`GateConfig::stale_ticks`].
    Stale,
    /// Coherence below the accepting threshold.
    LowCoherence,
    /// The room drifted off its calibration.
    Drifted,
}

/// Thresholds of the gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateConfig {
    /// Coherence from which measurements are accepted.
    pub accept: f32,
    /// Coherence below which they are rejected.
    pub reject: f32,
    /// Extra coherence needed to leave a worse state.
    pub hysteresis: f32,
    /// Cycles without any frame after which the input counts as dead.
    pub stale_ticks: u32,
    /// Drift of a link, in standard deviations of its calibration, that counts.
    pub drift_sigma: f32,
    /// Cycles the drift must last.
    pub drift_ticks: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            accept: 0.85,
            reject: 0.5,
            hysteresis: 0.05,
            stale_ticks: 200,
            drift_sigma: 4.0,
            drift_ticks: 900,
        }
    }
}

/// What the gate sees in one cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GateInput {
    /// Paths with a frame in this cycle.
    pub fresh_paths: u32,
    /// Median signal coherence over fresh CSI paths; none when there are none.
    pub coherence: Option<f32>,
    /// Calibrated links with a slow profile, and those of them that are off by more than `drift_sigma`.
    pub drift_links: (u32, u32),
    /// True while anything moves: drift is not judged then.
    pub motion: bool,
}

/// The gate with its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Gate {
    decision: Decision,
    reason: GateReason,
    /// Last level among Accept, PredictOnly, Reject, for the hysteresis.
    level: Decision,
    silent_ticks: u32,
    drift_ticks: u32,
}

impl Gate {
    /// The decision in force and why.
    pub fn state(&self) -> (Decision, GateReason) {
        (self.decision, self.reason)
    }

    /// Takes one cycle.
    pub fn step(&mut self, input: &GateInput, config: &GateConfig) {
        let (judged, off) = input.drift_links;
        if input.fresh_paths > 0 && !input.motion {
            // Half of the links, rounded up; one good cycle ends the run.
            self.drift_ticks = if judged > 0 && 2 * off >= judged {
                self.drift_ticks.saturating_add(1)
            } else {
                0
            };
        }
        if input.fresh_paths == 0 {
            self.silent_ticks = self.silent_ticks.saturating_add(1);
            (self.decision, self.reason) = if self.silent_ticks >= config.stale_ticks {
                (Decision::Reject, GateReason::Stale)
            } else {
                (Decision::PredictOnly, GateReason::NoInput)
            };
            return;
        }
        self.silent_ticks = 0;
        self.level = match input.coherence {
            None => Decision::Accept,
            Some(c) => {
                let better = |edge: f32, held: bool| c >= if held { edge } else { edge + config.hysteresis };
                if better(config.accept, self.level == Decision::Accept) {
                    Decision::Accept
                } else if better(config.reject, self.level != Decision::Reject) {
                    Decision::PredictOnly
                } else {
                    Decision::Reject
                }
            }
        };
        (self.decision, self.reason) = match self.level {
            Decision::Accept if self.drift_ticks >= config.drift_ticks => (Decision::Recalibrate, GateReason::Drifted),
            Decision::Accept => (Decision::Accept, GateReason::Coherent),
            level => (level, GateReason::LowCoherence),
        };
    }

    /// Forgets the drift: a new calibration is in force.
    pub fn calibrated(&mut self) {
        self.drift_ticks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(inputs: impl IntoIterator<Item = GateInput>) -> Vec<(Decision, GateReason)> {
        let mut gate = Gate::default();
        inputs
            .into_iter()
            .map(|input| {
                gate.step(&input, &GateConfig::default());
                gate.state()
            })
            .collect()
    }

    fn coherent(c: f32) -> GateInput {
        GateInput {
            fresh_paths: 1,
            coherence: Some(c),
            ..GateInput::default()
        }
    }

    #[test]
    fn hysteresis_by_hand() {
        use Decision::{Accept, PredictOnly, Reject};
        let decisions: Vec<_> = run([0.86, 0.91, 0.86, 0.84, 0.88, 0.49, 0.53, 0.56, 0.91].map(coherent))
            .into_iter()
            .map(|(decision, _)| decision)
            .collect();
        assert_eq!(
            decisions,
            [
                PredictOnly,
                Accept,
                Accept,
                PredictOnly,
                PredictOnly,
                Reject,
                Reject,
                PredictOnly,
                Accept
            ]
        );
    }

    #[test]
    fn silence_predicts_then_rejects_and_ends() {
        let states = run([GateInput::default(); 200].into_iter().chain([coherent(0.99)]));
        assert_eq!(states[0], (Decision::PredictOnly, GateReason::NoInput));
        assert_eq!(states[198], (Decision::PredictOnly, GateReason::NoInput));
        assert_eq!(states[199], (Decision::Reject, GateReason::Stale));
        assert_eq!(states[200], (Decision::Accept, GateReason::Coherent));
    }

    #[test]
    fn lasting_drift_without_motion_asks_for_calibration() {
        let off = GateInput {
            drift_links: (4, 2),
            ..coherent(0.99)
        };
        let moving = GateInput {
            motion: true,
            drift_links: (4, 4),
            ..coherent(0.99)
        };
        assert!(run(vec![moving; 2000]).iter().all(|s| s.0 == Decision::Accept));
        let states = run(vec![off; 900]);
        assert_eq!(states[898].0, Decision::Accept);
        assert_eq!(states[899], (Decision::Recalibrate, GateReason::Drifted));
        let fine = GateInput {
            drift_links: (4, 1),
            ..coherent(0.99)
        };
        assert_eq!(
            run(vec![off; 899].into_iter().chain([fine, off])).last().unwrap().0,
            Decision::Accept
        );
    }
}
