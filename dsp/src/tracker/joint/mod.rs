//! People by arrays of antennas, all together.
//!
//! Two people who walk share every spectrum, and a filter for each alone mostly follows one of them with both. Here a guess is a
//! set: where each person is, how fast, and whether it walks. Sets are weighed by the law of whole spectra of links to nodes with several
//! antennas ([`law`]), which tell from where each path rate comes. Somebody new is looked for beside the people of likely sets.
//!
//! Every cycle brings the spectra of a part of the links ([`TURN_TICKS`](crate::bearing::TURN_TICKS)); after about one turn through all of
//! them sets are copied by weight, and tracks are told, born and ended.

mod chains;
mod echo;
mod law;
mod motion;
mod search;
mod sets;
mod shift;
mod state;
mod weights;

use borsh::{BorshDeserialize, BorshSerialize};

use self::{
    chains::Chains,
    echo::{Link, Profile},
    law::{PEOPLE_MAX, Window},
    search::Search,
    sets::Sets,
    shift::Shift,
};
use super::{
    Entrance, Life, Track, TrackerConfig,
    floor_plan::{FloorPlan, Place},
    moments::{Moments, away_m, born, conform, existence},
    sequence::Sequence,
};
use crate::{
    bearing::{ANTENNAS_MAX, DELAYS, DelayBasis, RATES, SPECTRUM},
    detmath,
    tier::Tier,
};

/// Links that a place on the floor needs.
const LINKS_MIN: usize = 3;
/// A turn through all links, seconds.
const TURN_S: f32 = 0.2;
/// Most links of one cycle that are looked at.
const LINKS_CYCLE_MAX: usize = 4;
/// Support that a walk has by chance, nats a turn.
const SUPPORT_BY_CHANCE: f32 = 1.2;
/// Below this, nats a second, a room that looks empty says nothing against somebody who keeps still: such a person leaves 0.1 in the
/// simulator's `sitting-still-arrays`, an empty room 1.7.
const VACANT_MIN: f32 = 0.4;
/// Numbers of a spectrum that are one antenna's.
const ONE_ANTENNA: usize = 2 * DELAYS * RATES;
/// Chains that turn nothing.
const STRAIGHT: [[f32; 2]; ANTENNAS_MAX] = [[1.0, 0.0]; ANTENNAS_MAX];
/// Within this distance of another filter's track a person is the same one, metres.
const SAME_M: f64 = 1.0;
/// A track of this age has shown that it is somebody, seconds.
const YOUNG_S: f32 = 4.0;

/// Parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointConfig {
    /// Weight of a link's log-likelihood: windows overlap, and walls repeat what a body sends.
    pub trust: f32,
    /// How often somebody who walks stops, a second.
    pub stops_per_s: f32,
    /// How often somebody who stands walks on, a second.
    pub starts_per_s: f32,
    /// How often somebody who walks turns, a second.
    pub turns_per_s: f32,
    /// Density of a walker's acceleration otherwise, m/s a square root of a second.
    pub acceleration: f32,
    /// Speed that few exceed indoors, m/s.
    pub speed_most_m_s: f32,
    /// Nats against a guess that goes through a wall.
    pub wall: f32,
    /// Jitter of copied guesses, metres.
    pub jitter_m: f32,
    /// The same for velocities, m/s.
    pub jitter_m_s: f32,
    /// Share of sets in which one person is, each turn, where somebody lost would be: a way back.
    pub stray: f32,
    /// Nats against such a set.
    pub stray_price: f32,
    /// Share of newcomers that can be anywhere in a room that has doors.
    pub birth_anywhere: f32,
    /// Nats, summed over turns less those by chance, at which somebody new is taken for found (Page 1954).
    pub birth: f32,
    /// Nats a turn that the best of newcomers has by chance.
    pub birth_by_chance: f32,
    /// Standard deviation below which the search has found somebody, metres.
    pub found_m: f32,
    /// Distance from known people that a find needs, metres.
    pub apart_m: f32,
}

impl Default for JointConfig {
    fn default() -> Self {
        Self {
            trust: 0.021,
            stops_per_s: 0.3,
            starts_per_s: 0.4,
            turns_per_s: 0.5,
            acceleration: 0.3,
            speed_most_m_s: 1.4,
            wall: 5.0,
            jitter_m: 0.05,
            jitter_m_s: 0.06,
            stray: 0.01,
            stray_price: 9.0,
            birth_anywhere: 0.1,
            birth: 16.0,
            birth_by_chance: 1.2,
            found_m: 0.6,
            apart_m: 0.5,
        }
    }
}

/// Where one antenna of an array is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Antenna {
    /// Its node.
    pub node: u32,
    /// Its number in the node's frames.
    pub antenna: u32,
    /// x and y, metres.
    pub at_m: [f32; 2],
}

/// A link to an array as a cycle brings it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayLink {
    /// The node that sends, by its first antenna.
    pub tx: u32,
    /// The node that receives.
    pub rx: u32,
    /// Antennas.
    pub antennas: u32,
    /// Tier of its frames.
    pub tier: Tier,
    /// Wavelength, metres.
    pub wavelength_m: f32,
    /// Path rates that differ by this look the same, m/s.
    pub period_m_s: f32,
    /// Noise of the empty room, as a share of its power.
    pub noise: f32,
}

/// What a cycle brings.
#[derive(Clone, Copy, Debug)]
pub struct JointCycle<'a, A> {
    /// Seconds since the last cycle.
    pub step_s: f32,
    /// Whether measurements may be used.
    pub accept: bool,
    /// Where the antennas are, ascending by node and antenna.
    pub antennas: A,
    /// Links with a spectrum in this cycle.
    pub links: &'a [ArrayLink],
    /// Their spectra, [`SPECTRUM`] numbers each.
    pub spectra: &'a [f32],
    /// How like the empty room the links look: nats a second against somebody who keeps still, 0 when that says nothing.
    pub vacancy: f32,
}

/// One link in one cycle.
#[derive(Clone, Debug)]
struct Seen {
    /// Its place among all links met so far: where its gains are kept.
    id: usize,
    link: Link,
    window: Window,
    basis: usize,
    says: Says,
}

/// What a link in one cycle is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Where people are; an array, what its chains turn by, too.
    Where,
    /// What its chains turn by, which is not known yet: its antennas weigh one by one.
    Chains,
    /// By how much everybody is off together: one antenna of an array that weighs.
    Shift,
}

/// What is known of one person beside the sets.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Person {
    /// By link, how strong its echoes are there against the usual.
    gains: Vec<f32>,
    /// Nats by which its walk was borne out in this turn.
    support: f32,
    /// Seconds since birth.
    age_s: f32,
    /// Seconds for which it has walked where an older one walks.
    same_s: f32,
}

/// The people, by arrays.
#[derive(Clone, Debug)]
pub struct Joint {
    config: TrackerConfig,
    c: JointConfig,
    plan: FloorPlan,
    bases: Vec<(Tier, DelayBasis)>,
    /// Links met so far: sender and receiver.
    known: Vec<[u32; 2]>,
    chains: Chains,
    shift: Shift,
    seen: Vec<Seen>,
    sequence: Sequence,
    tracks: Vec<Track>,
    people: Vec<Person>,
    sets: Sets,
    search: Search,
    next_id: u64,
    leads: bool,
    /// Seconds since the last turn ended; negative until there were spectra.
    turn_s: f32,
    /// Links weighed in this turn.
    weighed: usize,
    /// Seconds since spectra were used.
    blind_s: f32,
}

impl Joint {
    /// Nobody yet.
    pub fn new(config: TrackerConfig, c: JointConfig) -> Self {
        Self {
            config,
            c,
            plan: FloorPlan::default(),
            bases: Vec::new(),
            known: Vec::new(),
            chains: Chains::default(),
            shift: Shift::default(),
            seen: Vec::with_capacity(LINKS_CYCLE_MAX * (1 + ANTENNAS_MAX)),
            sequence: Sequence::new(0x6a6f_696e_7400_0000),
            tracks: Vec::with_capacity(PEOPLE_MAX),
            people: Vec::with_capacity(PEOPLE_MAX),
            sets: Sets::new(),
            search: Search::new(),
            next_id: 1,
            leads: false,
            turn_s: -1.0,
            weighed: 0,
            blind_s: 0.0,
        }
    }

    /// True once [`Self::lead`] was called: from then on this is who counts people.
    pub fn engaged(&self) -> bool {
        self.leads
    }

    /// Whether it could lead: the chains of most links are known. One who only walked in is found better by others.
    pub fn ready(&self) -> bool {
        let links = self.known.iter().filter(|k| self.chains.known(k[1])).count();
        links >= LINKS_MIN && 2 * links >= self.known.len()
    }

    /// How like the empty room the links look, where arrays have spectra: a little says nothing.
    pub fn vacancy(&self, vacancy: f32) -> f32 {
        if self.turn_s >= 0.0 && vacancy < VACANT_MIN {
            0.0
        } else {
            vacancy
        }
    }

    /// Counts people from now on. New ids are above those of `before`, who counted up to now; the first person here keeps the id it had
    /// there.
    pub fn lead(&mut self, before: &[Track]) {
        self.leads = true;
        self.begin_after(before.last().map_or(0, |t| t.id));
        for k in 0..self.tracks.len() {
            let at = &self.tracks[k].kalman.mean;
            let off = |t: &Track| {
                let (dx, dy) = (t.kalman.mean[0] - at[0], t.kalman.mean[1] - at[1]);
                dx * dx + dy * dy
            };
            let same = before.iter().filter(|t| k == 0 && off(t) < SAME_M * SAME_M);
            let same = same.min_by(|a, b| off(a).total_cmp(&off(b))).map(|t| t.id);
            self.tracks[k].id = same.unwrap_or_else(|| {
                self.next_id += 1;
                self.next_id - 1
            });
        }
    }

    /// Who is there, by ascending id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Probability that there is somebody not yet found.
    pub fn unknown_existence(&self) -> f32 {
        self.search.existence(self.c.birth)
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
            self.search.forget();
        }
    }

    /// One cycle; gives whether measurements were used. Allocates only when links come or people do.
    pub fn step<A>(&mut self, cycle: &JointCycle<'_, A>) -> bool
    where
        A: Iterator<Item = Antenna> + Clone,
    {
        self.bury();
        self.observe(cycle);
        if self.turn_s < 0.0 {
            // A handful of links makes no place on the floor.
            if self.known.len() < LINKS_MIN || !self.plan.known() {
                return false;
            }
            self.turn_s = 0.0;
        }
        let step_s = cycle.step_s;
        let measured = cycle.accept && !self.seen.is_empty();
        self.turn_s = detmath::min(self.turn_s + step_s, 3600.0);
        self.blind_s = if measured {
            0.0
        } else {
            detmath::min(self.blind_s + step_s, 3600.0)
        };
        let density = f64::from(self.config.acceleration_density);
        self.tracks
            .iter_mut()
            .for_each(|t| t.kalman.predict(f64::from(step_s), density));
        self.sets
            .predict(self.tracks.len(), step_s, &self.plan, &self.c, &mut self.sequence);
        self.search.predict(step_s, &self.plan, &self.c, &mut self.sequence);
        if measured {
            self.weigh();
        }
        // A cycle between two spectra is no gap.
        let current = cycle.accept && self.blind_s < 2.0 * TURN_S;
        let due = self.turn_s >= TURN_S - 0.5 * step_s && self.weighed > 0;
        if due {
            self.end_turn(cycle.vacancy);
        }
        for (track, person) in self.tracks.iter_mut().zip(&mut self.people) {
            track.grow_older(&self.config, current, false, step_s);
            person.age_s = detmath::min(person.age_s + step_s, 3600.0);
        }
        if due {
            self.give_birth();
        }
        current
    }

    fn bury(&mut self) {
        for k in (0..self.tracks.len()).rev() {
            if self.tracks[k].life == Life::Terminated {
                self.tracks.remove(k);
                self.people.remove(k);
                self.sets.remove(k);
            }
        }
    }

    /// Takes the spectra of a cycle; links with an antenna of unknown place are left out.
    fn observe<A: Iterator<Item = Antenna> + Clone>(&mut self, cycle: &JointCycle<'_, A>) {
        self.seen.clear();
        let mut links = 0;
        for (l, spectrum) in cycle.links.iter().zip(cycle.spectra.chunks_exact(SPECTRUM)) {
            let place = |node: u32, antenna: u32| {
                let mut all = cycle.antennas.clone();
                all.find(|a| a.node == node && a.antenna == antenna).map(|a| a.at_m)
            };
            let mut rx_m = [[0.0; 2]; ANTENNAS_MAX];
            let antennas = l.antennas as usize;
            if !(2..=ANTENNAS_MAX).contains(&antennas) {
                continue;
            }
            let found = rx_m[..antennas]
                .iter_mut()
                .enumerate()
                .all(|(a, to)| place(l.rx, a as u32).map(|at| *to = at).is_some());
            let (true, Some(tx_m)) = (found, place(l.tx, 0)) else {
                continue;
            };
            let sound = [l.wavelength_m, l.period_m_s, l.noise]
                .iter()
                .all(|v| *v > 0.0 && v.is_finite());
            if !sound || links == LINKS_CYCLE_MAX || spectrum.iter().any(|v| !v.is_finite()) {
                continue;
            }
            let link = Link {
                tx_m,
                rx_m,
                antennas,
                wavelength_m: l.wavelength_m,
                period_m_s: l.period_m_s,
                noise: l.noise,
                profile: Profile::new(l.period_m_s),
            };
            let (id, basis) = (self.link_id([l.tx, l.rx]), self.basis(l.tier));
            let known = self.chains.known(l.rx);
            let (each, says) = if known {
                (Says::Shift, Says::Where)
            } else {
                (Says::Where, Says::Chains)
            };
            let turn = self.shift.antenna(antennas);
            for antenna in (0..antennas).filter(|a| !known || *a == turn) {
                let one = spectrum.chunks_exact(ONE_ANTENNA).nth(antenna).unwrap_or_default();
                let link = link.only(antenna);
                let window = Window::new(one, link.dimensions(), &STRAIGHT);
                self.seen.push(Seen {
                    id,
                    link,
                    window,
                    basis,
                    says: each,
                });
            }
            let window = Window::new(spectrum, link.dimensions(), &self.chains.back(l.rx));
            self.seen.push(Seen {
                id,
                link,
                window,
                basis,
                says,
            });
            links += 1;
        }
    }

    fn link_id(&mut self, ends: [u32; 2]) -> usize {
        self.known.iter().position(|k| *k == ends).unwrap_or_else(|| {
            self.known.push(ends);
            for person in &mut self.people {
                person.gains.resize(self.known.len(), 1.0);
            }
            self.known.len() - 1
        })
    }

    fn basis(&mut self, tier: Tier) -> usize {
        self.bases.iter().position(|(t, _)| *t == tier).unwrap_or_else(|| {
            self.bases.push((tier, DelayBasis::new(tier)));
            self.bases.len() - 1
        })
    }

    /// Weighs sets and search by this cycle's links.
    fn weigh(&mut self) {
        let trust = self.c.trust;
        let people = self.tracks.len();
        for seen in self.seen.iter().filter(|s| s.says == Says::Where) {
            let basis = &self.bases[seen.basis].1;
            self.sets.weigh(seen, basis, people, trust);
        }
        self.sets.settle();
        let others = self.sets.likely(&mut self.sequence);
        let off_m = self.shift.off_m();
        for seen in &self.seen {
            let basis = &self.bases[seen.basis].1;
            if seen.says == Says::Shift {
                self.shift.add(&self.sets.tried(seen, basis, &others, people, trust));
                continue;
            }
            if seen.link.antennas > 1 && people > 0 {
                let ahead = self.sets.ahead(seen, basis, &others, people, off_m);
                self.chains.learn((self.known[seen.id][1], seen.link.antennas), &ahead);
            }
            if seen.says == Says::Where {
                self.sets.tell(seen, basis, &others, &mut self.people, trust);
                self.sets.weigh_lost(seen, basis, &others, &self.people, trust);
                self.search
                    .weigh(seen, basis, (&self.sets, &others, &self.people), trust);
            }
        }
        self.weighed += self.seen.len();
    }

    /// Tells tracks from sets, copies sets by weight, and judges who is there.
    fn end_turn(&mut self, vacancy: f32) {
        let turn_s = core::mem::replace(&mut self.turn_s, 0.0);
        self.weighed = 0;
        self.shift.end_turn(turn_s);
        // The last spectra of a turn may be some cycles ago.
        self.sets.settle();
        let people = self.tracks.len();
        let vacant = detmath::min(self.vacancy(vacancy) * turn_s, 5.0);
        if people > 0 {
            let best = self.sets.densest(people, &mut self.sequence);
            self.sets.lock(&best, people);
            for k in 0..people {
                let moments = self.sets.moments(k, &best, people, &self.plan);
                let (track, person) = (&mut self.tracks[k], &mut self.people[k]);
                conform(&mut track.kalman, &moments);
                track.updates = track.updates.saturating_add(1);
                // Who was followed for long is not lost because another walks beside.
                let most = if person.age_s < YOUNG_S { 1.5 } else { 0.3 };
                let gain = detmath::clamp(person.support - SUPPORT_BY_CHANCE, -most, most);
                track.existence = existence(track.existence, (gain, vacant), &moments, turn_s);
                person.support = 0.0;
            }
            self.end_doubles(turn_s);
            self.sets.resample(people, &self.c, &self.plan, &mut self.sequence);
            self.sets.stray(people, &self.c, &mut self.sequence);
        }
        self.search.end_turn(&self.plan, &self.c, &mut self.sequence);
    }

    /// Ends a track that walks where an older one does: one body's echoes can hold two for a while.
    fn end_doubles(&mut self, turn_s: f32) {
        /// So close and so alike, metres and metres a second.
        const CLOSE_M: f64 = 0.4;
        const ALIKE_M_S: f64 = 0.3;
        /// For so long, seconds.
        const LONG_S: f32 = 1.5;
        for k in 1..self.tracks.len() {
            let mean = self.tracks[k].kalman.mean;
            let double = self.tracks[..k].iter().any(|older| {
                let off = |i: usize| older.kalman.mean[i] - mean[i];
                let (away, faster) = (off(0) * off(0) + off(1) * off(1), off(3) * off(3) + off(4) * off(4));
                away < CLOSE_M * CLOSE_M && faster < ALIKE_M_S * ALIKE_M_S
            });
            let walks = mean[3] * mean[3] + mean[4] * mean[4] > 0.04;
            let person = &mut self.people[k];
            person.same_s = if double && walks {
                person.same_s + turn_s
            } else {
                detmath::max(person.same_s - turn_s, 0.0)
            };
            if person.same_s > LONG_S {
                self.tracks[k].existence = 0.0;
            }
        }
    }

    /// Turns what the search found into a track, once it is likely, in one place, and nobody's who is known.
    fn give_birth(&mut self) {
        let people = self.tracks.len();
        if people == PEOPLE_MAX || !self.search.ripe(self.c.birth) {
            return;
        }
        let m = self.search.moments(&self.plan);
        let spread = (m.covariance[0][0] + m.covariance[1][1]).sqrt();
        let inside = self.plan.at(m.mean[0] as f32, m.mean[1] as f32) == Place::Inside;
        let near = |t: &Track| away_m(t, &m) < f64::from(self.c.apart_m);
        if spread > f64::from(self.c.found_m) || m.walking < 0.5 || !inside || self.tracks.iter().any(near) {
            return;
        }
        let kalman = born(&m, f64::from(self.c.speed_most_m_s));
        self.sets.add(people, &self.search, &self.plan, &mut self.sequence);
        // What made it a find makes it sure.
        self.tracks.push(Track::born(self.next_id, 0.97, kalman));
        self.people.push(Person {
            gains: vec![1.0; self.known.len()],
            ..Person::default()
        });
        self.next_id += 1;
        self.search.forget();
    }
}

/// What moments need of one guess: its weight, and the guess.
fn moments<'g>(of: impl Iterator<Item = (f32, &'g motion::Guess)> + Clone, plan: &FloorPlan) -> Moments {
    let mut m = Moments::default();
    let numbers = |g: &motion::Guess| [g.at_m[0], g.at_m[1], g.velocity_m_s[0], g.velocity_m_s[1]].map(f64::from);
    let total: f64 = of.clone().map(|(w, _)| f64::from(w)).sum();
    let scale = 1.0 / detmath::max64(total, f64::MIN_POSITIVE);
    for (w, g) in of.clone() {
        let w = f64::from(w) * scale;
        m.mean.iter_mut().zip(numbers(g)).for_each(|(sum, v)| *sum += w * v);
        m.walking += w as f32 * f32::from(u8::from(g.walks));
        if plan.at(g.at_m[0], g.at_m[1]) != Place::Inside {
            m.gone += w as f32;
        }
    }
    for (w, g) in of {
        let w = f64::from(w) * scale;
        let v = numbers(g);
        let off: [f64; 4] = core::array::from_fn(|k| v[k] - m.mean[k]);
        for row in 0..4 {
            for column in 0..4 {
                m.covariance[row][column] += w * off[row] * off[column];
            }
        }
    }
    m
}

#[cfg(test)]
mod tests;
