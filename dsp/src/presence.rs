//! Presence of the site, a room or a zone: a three-state filter over fused link evidence.
//!
//! Hidden states are *empty*, *moving* and *still*. People come in and go out moving; they settle and stir. Each
//! cycle the state is predicted with those rates and weighed with the likelihood ratio of the links' motion
//! evidence (Rabiner 1989, forward recursion), so the published probability is a posterior under stated
//! parameters: after the last motion it falls only as fast as a still person would have stirred again.
//!
//! One path's log-likelihood ratio of a state against *empty* is logistic in the log of a ratio to its own quiet
//! level, `f(ratio) = slope * ln(ratio / threshold)` held within limits, the slope being 8 for the noise-free motion
//! ratio of CSI and 4 for the coarser ratios of received strengths. With the motion ratio `m`: *moving* `f(m)`,
//! *still* 0. A path of received strengths also has a level ratio `d`, the deviation from its quiet level: then
//! *moving* is `f(d) + min(f(m), 0)` and *still* `f(d) - max(f(m), 0)`, so that the level says whether anybody is
//! there and the fluctuation whether they move. (The profile of a CSI path drifts too
//! much over days to say that; where it is as it was a minute ago, in the empty room, `front::vacancy` takes from *still*.)
//!
//! Links of an area are fused as a mixture: a person affects each link with a share `affected`, so a quiet link is
//! weak evidence and a moving one strong. Links are correlated (one body, one interferer), so N of them count as
//! sqrt(N). Windows overlap from cycle to cycle; so that no frame counts twice, the window's evidence weighs the
//! belief of *before the window*, predicted up to now. The filter therefore answers at once, without a lag of its own.
//!
//! The published state follows the probability with hysteresis and a minimum dwell.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::detmath;

/// Published state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum PresenceState {
    /// Not known, see the reason.
    #[default]
    Unknown,
    /// Nobody.
    Empty,
    /// Somebody, moving.
    OccupiedMoving,
    /// Somebody, still.
    OccupiedStill,
}

/// What decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum PresenceReason {
    /// No frame arrived lately, or not for long enough yet.
    #[default]
    NoInput,
    /// No quiet level has been learned or loaded.
    NotCalibrated,
    /// The gate rejected the measurements.
    GateRejected,
    /// No link passes through the area.
    NotCovered,
    /// Motion evidence above its threshold.
    Motion,
    /// Received strength off its quiet level, without motion.
    Attenuation,
    /// The evidence changed, minimum dwell, hysteresis or a person's persistence holds the state.
    Held,
    /// All evidence below its thresholds.
    Quiet,
}

/// Parameters; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresenceConfig {
    /// Rate at which somebody enters an empty area, 1/s.
    pub enter_per_s: f32,
    /// Rate at which a moving person settles, 1/s.
    pub settle_per_s: f32,
    /// Rate at which a still person stirs, 1/s.
    pub stir_per_s: f32,
    /// Rate at which a moving person leaves for good, 1/s.
    pub leave_per_s: f32,
    /// Probabilities of empty, moving and still before any evidence.
    pub initial: [f32; 3],
    /// Ratio to the quiet level at which a path's evidence changes sides.
    pub ratio_threshold: f32,
    /// Log-likelihood ratio a factor e of a CSI path's motion ratio is worth.
    pub slope: f32,
    /// The same for the ratios of an RSS path.
    pub rss_slope: f32,
    /// Limits of one path's log-likelihood ratio.
    pub llr_limits: [f32; 2],
    /// Probability from which an area counts as occupied, and below which as empty again.
    pub occupied: [f32; 2],
    /// Probability of moving, given occupied, from which it counts as moving, and below which as still again.
    pub moving: [f32; 2],
    /// Least time an occupied state is published once it is, seconds.
    pub dwell_s: f32,
    /// Evidence older than this is no evidence, seconds.
    pub evidence_age_max_s: f32,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            enter_per_s: 1.0 / 120.0,
            settle_per_s: 1.0 / 5.0,
            stir_per_s: 1.0 / 10.0,
            leave_per_s: 1.0 / 60.0,
            initial: [0.6, 0.25, 0.15],
            ratio_threshold: 1.6,
            slope: 8.0,
            rss_slope: 4.0,
            llr_limits: [-4.0, 6.0],
            occupied: [0.6, 0.4],
            moving: [0.6, 0.4],
            dwell_s: 1.0,
            evidence_age_max_s: 2.0,
        }
    }
}

impl PresenceConfig {
    /// A path's log-likelihood ratios of (moving, still) against empty from its motion ratio and, where it has
    /// one, its level ratio.
    pub fn path_llr(&self, motion_ratio: f32, level_ratio: Option<f32>) -> Llr {
        match level_ratio {
            None => Llr {
                moving: self.logistic(motion_ratio, self.slope),
                still: 0.0,
            },
            Some(ratio) => {
                let motion = self.logistic(motion_ratio, self.rss_slope);
                let level = self.logistic(ratio, self.rss_slope);
                let low = self.llr_limits[0];
                Llr {
                    moving: detmath::max(level + detmath::min(motion, 0.0), low),
                    still: detmath::max(level - detmath::max(motion, 0.0), low),
                }
            }
        }
    }

    fn logistic(&self, ratio: f32, slope: f32) -> f32 {
        let [low, high] = self.llr_limits;
        if ratio <= 0.0 {
            return low;
        }
        detmath::clamp(slope * detmath::ln(ratio / self.ratio_threshold), low, high)
    }
}

/// Log-likelihood ratios against *empty*.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Llr {
    /// Of *moving*.
    pub moving: f32,
    /// Of *still*.
    pub still: f32,
}

impl Llr {
    /// The better of the two: what speaks for anybody being there.
    pub fn somebody(self) -> f32 {
        detmath::max(self.moving, self.still)
    }
}

/// Fuses the log-likelihood ratios of an area's links, in the order they are added.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkFusion {
    sum: Llr,
    links: u32,
}

impl LinkFusion {
    /// Adds one link. `affected`: the share of positions in the area from which a person affects it, 0 to 1.
    pub fn add(&mut self, llr: Llr, affected: f32) {
        let mixture = |llr: f32| detmath::ln((1.0 - affected) + affected * detmath::exp(llr));
        self.sum.moving += mixture(llr.moving);
        self.sum.still += mixture(llr.still);
        self.links += 1;
    }

    /// The fused log-likelihood ratios of one window; none without a link.
    pub fn finish(self) -> Option<Llr> {
        let count = (self.links as f32).sqrt();
        (self.links > 0).then(|| Llr {
            moving: self.sum.moving / count,
            still: self.sum.still / count,
        })
    }
}

/// Probabilities of empty, moving, still.
type Belief = [f64; 3];

/// Longest window whose evidence is weighed against the belief of before it, cycles.
const PAST_MAX: usize = 128;

/// The filter of one area.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct PresenceFilter {
    /// Probabilities of empty, moving, still.
    belief: Belief,
    /// The beliefs of the last cycles, a ring; the newest stands before `next`.
    past: Vec<Belief>,
    next: u32,
    state: PresenceState,
    reason: PresenceReason,
    since_tick: u64,
    /// Seconds since the last evidence; huge before the first.
    without_s: f32,
    in_state_s: f32,
}

impl PresenceFilter {
    /// A filter that knows nothing yet.
    pub fn new(config: &PresenceConfig) -> Self {
        Self {
            belief: config.initial.map(f64::from),
            past: vec![config.initial.map(f64::from); PAST_MAX],
            next: 0,
            state: PresenceState::Unknown,
            reason: PresenceReason::NoInput,
            since_tick: 0,
            without_s: f32::MAX,
            in_state_s: f32::MAX,
        }
    }

    /// The published state.
    pub fn state(&self) -> PresenceState {
        self.state
    }

    /// What decided it.
    pub fn reason(&self) -> PresenceReason {
        self.reason
    }

    /// Tick at which it began.
    pub fn since_tick(&self) -> u64 {
        self.since_tick
    }

    /// Probability that anybody is there; none while the state is Unknown.
    pub fn probability(&self) -> Option<f32> {
        (self.state != PresenceState::Unknown).then(|| self.occupied())
    }

    /// Probability that somebody moves there; none while the state is Unknown.
    pub fn moving_probability(&self) -> Option<f32> {
        (self.state != PresenceState::Unknown).then(|| self.belief[1] as f32)
    }

    fn occupied(&self) -> f32 {
        (self.belief[1] + self.belief[2]) as f32
    }

    /// True when all numbers are probabilities (a state import checks it).
    pub fn sound(&self) -> bool {
        self.past.len() == PAST_MAX
            && (self.next as usize) < PAST_MAX
            && self
                .past
                .iter()
                .flatten()
                .chain(&self.belief)
                .all(|p| (0.0..=1.0).contains(p))
            && [self.without_s, self.in_state_s].iter().all(|t| *t >= 0.0)
    }

    /// One cycle of `step_s` seconds. `evidence`: the fused log-likelihood ratios of one window and the window's
    /// length in seconds; without it the reason why there is none.
    pub fn step(
        &mut self,
        tick: u64,
        step_s: f32,
        evidence: Result<(Llr, f32), PresenceReason>,
        config: &PresenceConfig,
    ) {
        let newest = self.next as usize;
        self.past[newest] = self.belief;
        self.next = ((newest + 1) % PAST_MAX) as u32;
        self.in_state_s += step_s;
        self.without_s += step_s;
        match evidence {
            Ok((llr, window_s)) => {
                let back = detmath::clamp(window_s / step_s, 1.0, PAST_MAX as f32) as usize;
                self.belief = self.past[(newest + PAST_MAX + 1 - back) % PAST_MAX];
                for _ in 0..back {
                    self.predict(step_s, config);
                }
                self.weigh(llr);
                self.without_s = 0.0;
                self.decide(tick, llr, config);
            }
            Err(reason) => {
                self.predict(step_s, config);
                let structural = matches!(reason, PresenceReason::NotCalibrated | PresenceReason::NotCovered);
                if structural || self.without_s > config.evidence_age_max_s || self.state == PresenceState::Unknown {
                    self.change(tick, PresenceState::Unknown, reason);
                    if structural {
                        self.belief = config.initial.map(f64::from);
                        self.past.fill(self.belief);
                    }
                }
            }
        }
    }

    fn predict(&mut self, step_s: f32, config: &PresenceConfig) {
        // Rates are far below one a step; held to a half so that no configuration makes a probability negative.
        let share = |rate: f32| f64::from(detmath::clamp(rate * step_s, 0.0, 0.5));
        let [empty, moving, still] = self.belief;
        let (enter, leave) = (share(config.enter_per_s) * empty, share(config.leave_per_s) * moving);
        let (settle, stir) = (share(config.settle_per_s) * moving, share(config.stir_per_s) * still);
        self.belief = [
            empty - enter + leave,
            moving + enter - leave - settle + stir,
            still + settle - stir,
        ];
        for p in &mut self.belief {
            *p = detmath::max64(*p, 0.0);
        }
    }

    fn weigh(&mut self, llr: Llr) {
        self.belief[1] *= detmath::exp64(f64::from(llr.moving));
        self.belief[2] *= detmath::exp64(f64::from(llr.still));
        let sum = self.belief[0] + self.belief[1] + self.belief[2];
        for p in &mut self.belief {
            // The floor keeps every state reachable however long the other evidence lasted.
            *p = detmath::max64(*p / sum, 1e-9);
        }
    }

    fn decide(&mut self, tick: u64, llr: Llr, config: &PresenceConfig) {
        use PresenceState::{Empty, OccupiedMoving, OccupiedStill, Unknown};
        let occupied_now = matches!(self.state, OccupiedMoving | OccupiedStill);
        let edge = |[on, off]: [f32; 2], is_on: bool| if is_on { off } else { on };
        let first = self.state == Unknown;
        let probability = self.occupied();
        let occupied = probability
            >= if first {
                0.5
            } else {
                edge(config.occupied, occupied_now)
            };
        let moving_share = self.belief[1] as f32 / probability;
        let moving = moving_share
            >= if first {
                0.5
            } else {
                edge(config.moving, self.state == OccupiedMoving)
            };
        let wanted = match (occupied, moving) {
            (false, _) => Empty,
            (true, true) => OccupiedMoving,
            (true, false) => OccupiedStill,
        };
        // Somebody who comes is published at once; what was published as occupied stays for the minimum dwell.
        let held = occupied_now && self.in_state_s < config.dwell_s;
        let state = if held { self.state } else { wanted };
        let reason = match state {
            OccupiedMoving if llr.moving >= 0.0 => PresenceReason::Motion,
            OccupiedStill if llr.still > 0.0 => PresenceReason::Attenuation,
            Empty if llr.moving < 0.0 => PresenceReason::Quiet,
            _ => PresenceReason::Held,
        };
        self.change(tick, state, reason);
    }

    fn change(&mut self, tick: u64, state: PresenceState, reason: PresenceReason) {
        self.reason = reason;
        if self.state != state {
            (self.state, self.since_tick, self.in_state_s) = (state, tick, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_S: f32 = 0.05;

    fn run(filter: &mut PresenceFilter, from: u64, ticks: u64, llr: f32) {
        for tick in from..from + ticks {
            filter.step(
                tick,
                STEP_S,
                Ok((
                    Llr {
                        moving: llr,
                        still: 0.0,
                    },
                    1.0,
                )),
                &PresenceConfig::default(),
            );
            assert!((filter.belief.iter().sum::<f64>() - 1.0).abs() < 1e-6 && filter.sound());
        }
    }

    #[test]
    fn quiet_is_empty_and_motion_is_somebody_who_stays_a_while() {
        let config = PresenceConfig::default();
        let mut filter = PresenceFilter::new(&config);
        assert_eq!((filter.state(), filter.probability()), (PresenceState::Unknown, None));
        run(&mut filter, 0, 600, -3.0);
        assert_eq!(
            (filter.state(), filter.reason()),
            (PresenceState::Empty, PresenceReason::Quiet)
        );
        assert!(filter.probability().unwrap() < 0.1);
        run(&mut filter, 600, 40, 6.0);
        assert_eq!(
            (filter.state(), filter.reason()),
            (PresenceState::OccupiedMoving, PresenceReason::Motion)
        );
        assert!(filter.probability().unwrap() > 0.99);
        run(&mut filter, 640, 100, -3.0);
        assert_eq!(
            (filter.state(), filter.reason()),
            (PresenceState::OccupiedStill, PresenceReason::Held)
        );
        run(&mut filter, 740, 20 * 120, -3.0);
        assert_eq!(filter.state(), PresenceState::Empty);
    }

    #[test]
    fn weak_evidence_does_not_occupy_a_room() {
        let mut filter = PresenceFilter::new(&PresenceConfig::default());
        run(&mut filter, 0, 400, -3.0);
        run(&mut filter, 400, 3, 2.5);
        run(&mut filter, 403, 40, -3.0);
        assert_eq!((filter.state(), filter.since_tick()), (PresenceState::Empty, 0));
    }

    #[test]
    fn silence_is_unknown_after_a_while() {
        let config = PresenceConfig::default();
        let mut filter = PresenceFilter::new(&config);
        run(&mut filter, 0, 100, -3.0);
        for tick in 100..142 {
            assert!(tick > 139 || filter.state() == PresenceState::Empty);
            filter.step(tick, STEP_S, Err(PresenceReason::NoInput), &config);
        }
        assert_eq!(
            (filter.state(), filter.reason()),
            (PresenceState::Unknown, PresenceReason::NoInput)
        );
        filter.step(200, STEP_S, Err(PresenceReason::NotCovered), &config);
        assert_eq!(filter.probability(), None);
    }

    #[test]
    fn evidence_by_hand() {
        let config = PresenceConfig::default();
        let llr = |moving, still| Llr { moving, still };
        assert_eq!(config.path_llr(0.0, None), llr(-4.0, 0.0));
        assert_eq!(config.path_llr(config.ratio_threshold, None), llr(0.0, 0.0));
        assert_eq!(config.path_llr(1e9, None), llr(6.0, 0.0));
        // A shadow that does not move, one that does, and nothing at all.
        assert_eq!(config.path_llr(0.0, Some(1e9)), llr(2.0, 6.0));
        assert_eq!(config.path_llr(1e9, Some(1e9)), llr(6.0, 0.0));
        assert_eq!(config.path_llr(0.0, Some(0.0)), llr(-4.0, -4.0));
        let mut fusion = LinkFusion::default();
        assert_eq!(fusion.finish(), None);
        fusion.add(llr(0.0, 0.0), 0.3);
        fusion.add(llr(0.0, 0.0), 0.7);
        assert!(fusion.finish().unwrap().moving.abs() < 1e-6);
        let mut sure = LinkFusion::default();
        sure.add(llr(-3.0, 2.0), 1.0);
        let fused = sure.finish().unwrap();
        assert!((fused.moving + 3.0).abs() < 1e-6 && (fused.still - 2.0).abs() < 1e-6);
    }
}
