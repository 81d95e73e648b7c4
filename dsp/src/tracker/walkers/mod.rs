//! People by the Doppler of many pairs of nodes.
//!
//! Channel state information from a handful of nodes says little by its strength: echoes by way of walls drown it. But the
//! phase of what moves turns once a wavelength, and six pairs see six different rates of one walk. Each person is a cloud
//! of guesses (place, velocity, walks or stands), moved on as people walk and weighed by the power that each pair's
//! spectrum has at the guess's path rate. Who stands is not seen, and kept where the walk ended. One more cloud looks for somebody new.

pub mod body;
mod cloud;
mod field;
mod state;

pub use field::Pair;

use self::{
    cloud::Cloud,
    field::{RateField, Rates},
};
use super::{
    Entrance, Life, Track, TrackerConfig,
    floor_plan::FloorPlan,
    moments::{Moments, away_m, born, conform, existence},
    sequence::Sequence,
};
use crate::{detmath, tomography::Node};

/// Most people followed at once by Doppler: each costs a cloud.
pub const MOST_WALKERS: usize = 4;
/// Share of the search that begins anew whenever its guesses are copied.
const SEARCH_FRESH: f32 = 0.05;
/// Pairs that a place on the floor needs.
const PAIRS_MIN: usize = 3;
/// Parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WalkersConfig {
    /// Weight of one spectrum: windows overlap, and walls repeat what a body sends.
    pub trust: f32,
    /// Standard deviation of a newcomer's velocity on each axis, m/s.
    pub speed_m_s: f32,
    /// Speed that few exceed indoors, m/s.
    pub speed_most_m_s: f32,
    /// Density of a walker's acceleration, m/s a square root of a second.
    pub acceleration: f32,
    /// Time over which a walker's velocity is forgotten, seconds.
    pub heading_s: f32,
    /// How often somebody stops who walks, or walks on who stands, a second.
    pub starts_and_stops_per_s: f32,
    /// Nats against a guess that goes through a wall.
    pub wall: f32,
    /// Jitter of copied guesses, metres and m/s.
    pub jitter_m: f32,
    /// The same for velocities.
    pub jitter_m_s: f32,
    /// Energy between standing and walking, in units of the quiet room's noise.
    pub quiet_energy: f32,
    /// Nats a second that energy says for walking or standing at a factor of e from `quiet_energy`; twice as many at e^2, and never more.
    pub motion: f32,
    /// Share of a known person's part in a spectrum that is taken off for others.
    pub explained: f32,
    /// Share of a person's guesses that begin anew anywhere in the room whenever guesses are copied: a way back for who was lost.
    pub stray: f32,
    /// Share of newcomers that can be anywhere in a room that has doors.
    pub birth_anywhere: f32,
    /// Standard deviation below which the search has found somebody, metres.
    pub found_m: f32,
    /// Distance from known people that a find needs, metres.
    pub apart_m: f32,
}

impl Default for WalkersConfig {
    fn default() -> Self {
        Self {
            trust: 0.4,
            speed_m_s: 0.7,
            speed_most_m_s: 1.5,
            acceleration: 1.0,
            heading_s: 2.0,
            starts_and_stops_per_s: 0.4,
            wall: 5.0,
            jitter_m: 0.08,
            jitter_m_s: 0.12,
            quiet_energy: 6.0,
            motion: 6.0,
            explained: 0.85,
            stray: 0.02,
            birth_anywhere: 0.3,
            found_m: 1.1,
            apart_m: 0.7,
        }
    }
}

/// What a cycle brings.
#[derive(Clone, Copy, Debug)]
pub struct WalkersCycle<'a, N> {
    /// Seconds since the last cycle.
    pub step_s: f32,
    /// Whether measurements may be used.
    pub accept: bool,
    /// Where the nodes are.
    pub nodes: N,
    /// Pairs with a spectrum in this cycle; none in others.
    pub pairs: &'a [Pair],
    /// Their spectra, [`POWERS`](crate::doppler::POWERS) each.
    pub spectra: &'a [f32],
    /// How like the empty room the links look: nats a second against somebody who keeps still, 0 when that says nothing.
    pub vacancy: f32,
}

/// One person: the cloud, and what it did in the last measurement.
#[derive(Clone, Debug)]
struct Walker {
    cloud: Cloud,
    moments: Moments,
    rates: Vec<Rates>,
}

/// The people, by Doppler.
#[derive(Clone, Debug)]
pub struct Walkers {
    config: TrackerConfig,
    c: WalkersConfig,
    plan: FloorPlan,
    field: RateField,
    sequence: Sequence,
    tracks: Vec<Track>,
    walkers: Vec<Walker>,
    spare: Vec<Walker>,
    search: Cloud,
    search_existence: f32,
    search_begun: bool,
    next_id: u64,
    /// Seconds since the last spectra; negative until there were any.
    since_s: f32,
    scratch: Vec<f32>,
    scratch_cloud: Cloud,
}

impl Walkers {
    /// Nobody yet.
    pub fn new(config: TrackerConfig, c: WalkersConfig) -> Self {
        let walker = || Walker {
            cloud: Cloud::new(),
            moments: Moments::default(),
            rates: Vec::with_capacity(field::PAIRS_MAX),
        };
        Self {
            config,
            c,
            plan: FloorPlan::default(),
            field: RateField::new(),
            sequence: Sequence::new(0x7461_706c_696e_6500),
            tracks: Vec::with_capacity(MOST_WALKERS),
            walkers: Vec::with_capacity(MOST_WALKERS),
            spare: (0..MOST_WALKERS).map(|_| walker()).collect(),
            search: Cloud::new(),
            search_existence: 0.0,
            search_begun: false,
            next_id: 1,
            since_s: -1.0,
            scratch: Vec::with_capacity(cloud::GUESSES),
            scratch_cloud: Cloud::new(),
        }
    }

    /// True once spectra of enough pairs came: from then on this is who counts people, not their strengths.
    pub fn engaged(&self) -> bool {
        self.since_s >= 0.0
    }

    /// Who is there, by ascending id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Probability that there is somebody not yet found.
    pub fn unknown_existence(&self) -> f32 {
        self.search_existence
    }

    /// Ids of newcomers are above this one.
    pub fn begin_after(&mut self, id: u64) {
        self.next_id = self.next_id.max(id + 1);
    }

    /// Sets where people can be and where they come in.
    pub fn set_room(
        &mut self,
        outline: impl ExactSizeIterator<Item = [f32; 2]> + Clone,
        doors: impl ExactSizeIterator<Item = Entrance> + Clone,
    ) {
        // The first plan after a start or a restored state changes nothing that is known.
        let known = self.plan.known();
        if self.plan.set(outline, doors) && known {
            self.search_begun = false;
        }
    }

    /// One cycle; gives whether measurements were used. Allocates only when nodes or pairs come.
    pub fn step<N>(&mut self, cycle: &WalkersCycle<'_, N>) -> bool
    where
        N: ExactSizeIterator<Item = Node> + Clone,
    {
        self.bury();
        let used = self.field.observe(cycle.nodes.clone(), cycle.pairs, cycle.spectra);
        let due = used >= PAIRS_MIN && self.plan.known();
        if self.engaged() {
            self.since_s = detmath::min(self.since_s + cycle.step_s, 3600.0);
        } else if due {
            self.since_s = cycle.step_s;
        } else {
            return false;
        }
        let measured = due && cycle.accept;
        if due {
            self.predict();
            if measured {
                self.update(cycle.vacancy);
            }
            self.since_s = 0.0;
        } else {
            let (step, density) = (f64::from(cycle.step_s), f64::from(self.config.acceleration_density));
            self.tracks.iter_mut().for_each(|t| t.kalman.predict(step, density));
        }
        // A cycle between two windows is no gap.
        let current = measured || (!due && self.since_s < 0.25 && cycle.accept);
        for track in &mut self.tracks {
            track.grow_older(&self.config, current, false, cycle.step_s);
        }
        if measured {
            self.give_birth();
        }
        current
    }

    fn bury(&mut self) {
        for k in (0..self.tracks.len()).rev() {
            if self.tracks[k].life == Life::Terminated {
                self.tracks.remove(k);
                let walker = self.walkers.remove(k);
                self.spare.push(walker);
            }
        }
    }

    fn predict(&mut self) {
        let step_s = self.since_s;
        if !self.search_begun {
            self.search.newborn(&self.plan, &self.c, &mut self.sequence);
            (self.search_begun, self.search_existence) = (true, 0.0);
        }
        let stay = detmath::exp(-step_s / self.config.life_s);
        for (walker, track) in self.walkers.iter_mut().zip(&mut self.tracks) {
            walker.cloud.predict(step_s, &self.plan, &self.c, &mut self.sequence);
            walker.cloud.rates(&mut self.field, &mut walker.rates);
            track.existence *= stay;
        }
        self.search.predict(step_s, &self.plan, &self.c, &mut self.sequence);
        let coming = detmath::min(self.config.births_per_s * step_s, 0.5);
        self.search_existence = self.search_existence * stay + (1.0 - self.search_existence) * coming;
    }

    fn update(&mut self, vacancy: f32) {
        let step_s = self.since_s;
        let vacant = detmath::min(vacancy * step_s, 5.0);
        let c = self.c;
        let motion = self.field.motion(c.quiet_energy, c.motion) * step_s;
        for k in 0..self.tracks.len() {
            let others = self.others_walk(Some(k));
            self.given_all_but(Some(k));
            let gain = if motion > 0.0 { motion * (1.0 - others) } else { motion };
            let walker = &mut self.walkers[k];
            let evidence = walker.cloud.weigh(&mut self.field, c.trust, gain, &mut self.scratch);
            walker.cloud.resample(
                (c.stray, 1.0),
                &self.plan,
                &c,
                &mut self.sequence,
                &mut self.scratch_cloud,
            );
            walker.moments = walker.cloud.moments(&self.plan);
            walker.cloud.rates(&mut self.field, &mut walker.rates);
            let track = &mut self.tracks[k];
            track.updates = track.updates.saturating_add(1);
            track.existence = existence(
                track.existence,
                (detmath::max(gain, 0.0) + borne_out(evidence, step_s), vacant),
                &walker.moments,
                step_s,
            );
            conform(&mut track.kalman, &walker.moments);
        }
        let others = self.others_walk(None);
        self.given_all_but(None);
        let gain = if motion > 0.0 { motion * (1.0 - others) } else { motion };
        let evidence = self.search.weigh(&mut self.field, c.trust, gain, &mut self.scratch);
        self.search.resample(
            (SEARCH_FRESH, c.birth_anywhere),
            &self.plan,
            &c,
            &mut self.sequence,
            &mut self.scratch_cloud,
        );
        // Where nothing moves nobody is found: who stands is not seen.
        let gain = if motion > 0.0 {
            gain + borne_out(evidence, step_s)
        } else {
            motion
        };
        let odds = self.search_existence / (1.0 - detmath::min(self.search_existence, 0.9999));
        let odds = odds * detmath::exp(detmath::clamp(gain, -5.0, 5.0));
        self.search_existence = detmath::clamp(odds / (1.0 + odds), 1e-6, 0.999);
    }

    /// How surely anybody else walks.
    fn others_walk(&self, but: Option<usize>) -> f32 {
        let all = self.walkers.iter().zip(&self.tracks).enumerate();
        all.filter(|(k, _)| Some(*k) != but)
            .map(|(_, (w, t))| w.moments.walking * t.existence)
            .fold(0.0, detmath::max)
    }

    fn given_all_but(&mut self, but: Option<usize>) {
        let all = self.walkers.iter().zip(&self.tracks).enumerate();
        let pairs = self.field.pairs();
        let others = all
            .filter(|(k, (w, _))| Some(*k) != but && w.rates.len() == pairs)
            .map(|(_, (w, t))| (w.rates.as_slice(), w.moments.walking * t.existence));
        self.field.given(self.c.explained, others);
    }

    /// Turns what the search found into a track, once it is likely, in one place, and nobody's who is known.
    fn give_birth(&mut self) {
        if self.search_existence < self.config.birth {
            return;
        }
        let m = self.search.moments(&self.plan);
        let spread = (m.covariance[0][0] + m.covariance[1][1]).sqrt();
        if spread > f64::from(self.c.found_m) || m.gone > 0.5 {
            return;
        }
        let near = |t: &Track| away_m(t, &m) < f64::from(self.c.apart_m);
        if !self.tracks.iter().any(near)
            && let Some(mut walker) = self.spare.pop()
        {
            walker.cloud.copy_from(&self.search);
            walker.cloud.rates(&mut self.field, &mut walker.rates);
            walker.moments = m;
            let kalman = born(&m, f64::from(self.c.speed_m_s));
            self.tracks
                .push(Track::born(self.next_id, self.search_existence, kalman));
            self.walkers.push(walker);
            self.next_id += 1;
        }
        self.search_begun = false;
    }
}

/// Nats for somebody behind a cloud whose walking guesses the spectra bear out by `evidence` in `step_s`.
fn borne_out(evidence: f32, step_s: f32) -> f32 {
    /// A cloud that follows somebody has more evidence than this, nats a second; one whose rates others explain has less.
    const EVEN: f32 = -6.0;
    detmath::clamp(evidence - EVEN * step_s, -3.0 * step_s, 3.0 * step_s)
}
