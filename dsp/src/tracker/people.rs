//! The tracker: one Bernoulli belief a person, and one for somebody not yet known.
//!
//! Each person is an existence probability `r` and a belief over the floor. A cycle with fresh evidence
//! multiplies the belief by the likelihood ratio of its place, given what the other people explain, and
//! takes `r` to `r L / (1 - r + r L)`, where `L` is the belief's mean ratio: track-before-detect, with no
//! threshold between the links and the person (Ristic, Vo, Vo and Farina, "A tutorial on Bernoulli filters",
//! IEEE Trans. Signal Processing 2013). The unknown somebody starts at the doors or, with less weight,
//! anywhere; once likely enough, it becomes a track and a new unknown takes its place.

use super::{
    Entrance, Floor, FloorCells, Hull, Kalman, Life, LinkField, MOST_TRACKS, Signature, Track, TrackerConfig,
    reid::{Gallery, Gone},
};
use crate::{
    detmath,
    tomography::{ImageGrid, LinkSample, Node, TomographyError},
};

/// What a cycle brings.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a, N> {
    /// Seconds since the last one.
    pub step_s: f32,
    /// Whether measurements may be used (the coherence gate).
    pub accept: bool,
    /// Nodes, ascending by id.
    pub nodes: N,
    /// One sample a link and channel.
    pub samples: &'a [LinkSample],
}

/// The tracker; one instance a site.
#[derive(Clone, Debug)]
pub struct People {
    pub(super) config: TrackerConfig,
    pub(super) cells: FloorCells,
    pub(super) field: LinkField,
    pub(super) tracks: Vec<Track>,
    /// One a track, in the same order.
    pub(super) beliefs: Vec<Vec<f32>>,
    /// One a track, in the same order.
    pub(super) signatures: Vec<Signature>,
    pub(super) gallery: Gallery,
    pub(super) unknown: Vec<f32>,
    pub(super) unknown_existence: f32,
    pub(super) next_id: u64,
    newborn: Vec<f32>,
    outline: Vec<[f32; 2]>,
    entrances: Vec<Entrance>,
    pub(super) spare: Vec<Vec<f32>>,
    evidence: Vec<f32>,
    explained: Vec<f32>,
    /// One a track, in the same order: what it is expected to cause, by pair.
    share: Vec<Vec<f32>>,
}

impl People {
    /// A tracker for a floor, without walls or doors until [`Self::set_room`].
    pub fn new(config: TrackerConfig, grid: &ImageGrid) -> Self {
        let cells = FloorCells::new(grid);
        let n = cells.count();
        let mut newborn = vec![0.0; n];
        cells.mixture(1.0, core::iter::empty(), &mut newborn);
        Self {
            config,
            field: LinkField::new(config.field, grid),
            tracks: Vec::with_capacity(MOST_TRACKS),
            beliefs: Vec::with_capacity(MOST_TRACKS),
            signatures: Vec::with_capacity(MOST_TRACKS),
            gallery: Gallery::new(),
            unknown: newborn.clone(),
            unknown_existence: 0.0,
            next_id: 1,
            newborn,
            outline: Vec::new(),
            entrances: Vec::new(),
            spare: vec![vec![0.0; n]; MOST_TRACKS],
            evidence: vec![0.0; n],
            explained: Vec::new(),
            share: vec![Vec::new(); MOST_TRACKS],
            cells,
        }
    }

    /// The tracks, ascending by id; those that ended in the last cycle are among them.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// What was collected of each of [`Self::tracks`], in the same order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Probability that there is somebody whom no track stands for.
    pub fn unknown_existence(&self) -> f32 {
        self.unknown_existence
    }

    /// Sets where people can be and where they come in. Does nothing when both are as before.
    pub fn set_room(
        &mut self,
        outline: impl ExactSizeIterator<Item = [f32; 2]> + Clone,
        entrances: impl ExactSizeIterator<Item = Entrance> + Clone,
    ) {
        let same_walls = self.outline.len() == outline.len() && self.outline.iter().copied().eq(outline.clone());
        let same_doors =
            self.entrances.len() == entrances.len() && self.entrances.iter().copied().eq(entrances.clone());
        if same_walls && same_doors {
            return;
        }
        self.outline = outline.collect();
        self.entrances = entrances.collect();
        self.bound();
    }

    /// Sets the open cells, and where somebody new may be among them.
    pub(super) fn bound(&mut self) {
        let hull = Hull::of(self.field.memory().0.iter().map(|n| [n.at_m[0], n.at_m[1]]));
        self.cells.set_bounds(&self.outline, &hull, self.config.beyond_m);
        let anywhere = if self.entrances.is_empty() {
            1.0
        } else {
            self.config.birth_anywhere
        };
        let share = (1.0 - anywhere) / self.entrances.len().max(1) as f32;
        let bumps = self.entrances.iter().map(|e| (e.at_m, e.spread_m(), share));
        self.cells.mixture(anywhere, bumps, &mut self.newborn);
    }

    /// One cycle; gives whether measurements were used. Allocates only when a node moved, a link came or
    /// went, or the room changed.
    ///
    /// # Errors
    /// When nodes break the contract; the tracks are then predicted.
    pub fn step<N>(&mut self, cycle: &Cycle<'_, N>) -> Result<bool, TomographyError>
    where
        N: ExactSizeIterator<Item = Node> + Clone,
    {
        self.bury();
        self.predict(cycle.step_s);
        let fresh = self.field.observe(cycle.nodes.clone(), cycle.samples, cycle.step_s)?;
        if self.field.moved() {
            self.bound();
        }
        let measured = fresh && cycle.accept;
        if measured {
            self.update();
        }
        self.grow_older(measured, cycle.step_s);
        if measured {
            self.give_birth();
        }
        Ok(measured)
    }

    /// Removes what ended in the last cycle.
    fn bury(&mut self) {
        for k in (0..self.tracks.len()).rev() {
            if self.tracks[k].life == Life::Terminated {
                self.tracks.remove(k);
                self.spare.push(self.beliefs.remove(k));
                self.signatures.remove(k);
            }
        }
    }

    fn predict(&mut self, step_s: f32) {
        let c = self.config;
        let walked = c.walk_m2_s * step_s;
        let stay = detmath::exp(-step_s / c.life_s);
        for (track, belief) in self.tracks.iter_mut().zip(&mut self.beliefs) {
            self.cells.diffuse(belief, walked);
            track.existence *= stay;
            track
                .kalman
                .predict(f64::from(step_s), f64::from(c.acceleration_density));
        }
        self.cells.diffuse(&mut self.unknown, walked);
        // The unknown: still there, or newly come.
        let old = self.unknown_existence * stay;
        let new = (1.0 - self.unknown_existence) * detmath::min(c.births_per_s * step_s, 0.5);
        let total = old + new;
        if total > 0.0 {
            for (u, n) in self.unknown.iter_mut().zip(&self.newborn) {
                *u = (old * *u + new * n) / total;
            }
        }
        self.unknown_existence = total;
    }

    fn update(&mut self) {
        let pairs = self.field.answering();
        for k in 0..self.tracks.len() {
            self.explain(k, pairs);
        }
        for k in 0..=self.tracks.len() {
            self.explained.clear();
            self.explained.resize(pairs, 0.0);
            for (j, own) in self.share.iter().enumerate().take(self.tracks.len()) {
                if j != k {
                    self.explained.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                }
            }
            self.field.evidence(&self.explained, &mut self.evidence);
            match self.tracks.get_mut(k) {
                Some(track) => {
                    let belief = &mut self.beliefs[k];
                    if let Some(gain) = self.cells.weigh(belief, &self.evidence) {
                        track.existence = bernoulli(track.existence, gain);
                        track.updates = track.updates.saturating_add(1);
                        track.kalman.conform(&self.cells.moments(belief));
                        self.explain(k, pairs);
                    }
                }
                None => {
                    if let Some(gain) = self.cells.weigh(&mut self.unknown, &self.evidence) {
                        self.unknown_existence = bernoulli(self.unknown_existence, gain);
                    }
                }
            }
        }
    }

    /// Confirms, loses, ends; with re-identification on, remembers who ended and recognises who was confirmed.
    fn grow_older(&mut self, measured: bool, step_s: f32) {
        let c = self.config;
        let recognises = c.reid_weight > 0.0;
        if recognises {
            self.gallery.grow_older(step_s, c.reid_memory_s);
        }
        let mut confirmed = [0_u64; MOST_TRACKS];
        let mut newcomers = [(Floor::default(), Signature::default()); MOST_TRACKS];
        let mut count = 0;
        for (track, signature) in self.tracks.iter_mut().zip(&mut self.signatures) {
            if measured && track.existence >= c.confirm {
                let [x, y, _, vx, vy, _] = track.kalman.mean.map(|v| v as f32);
                self.field.sign([x, y], [vx, vy], signature);
            }
            let before = track.life;
            let wait = recognises && !self.gallery.gone().is_empty() && signature.looks() < c.reid_looks;
            track.grow_older(&c, measured, wait, step_s);
            match (before, track.life) {
                (Life::Tentative, Life::Active | Life::Lost) if recognises => {
                    confirmed[count] = track.id;
                    newcomers[count] = (track.kalman.floor(), *signature);
                    count += 1;
                }
                (Life::Active | Life::Lost, Life::Terminated) if recognises => self.gallery.remember(Gone {
                    id: track.id,
                    place: track.kalman.floor(),
                    since_s: 0.0,
                    signature: *signature,
                }),
                _ => {}
            }
        }
        if count > 0 {
            let mut known = [None; MOST_TRACKS];
            self.gallery.recognise(&c, &newcomers[..count], &mut known[..count]);
            for (new, old) in confirmed.iter().zip(known) {
                if let Some(old) = old {
                    self.rename(*new, old);
                }
            }
        }
    }

    /// Gives a track the id of an earlier one; tracks stay in the order of their ids.
    fn rename(&mut self, new: u64, old: u64) {
        let Some(from) = self.tracks.iter().position(|t| t.id == new) else {
            return;
        };
        let (mut track, belief) = (self.tracks.remove(from), self.beliefs.remove(from));
        let signature = self.signatures.remove(from);
        track.id = old;
        let to = self.tracks.partition_point(|t| t.id < old);
        self.tracks.insert(to, track);
        self.beliefs.insert(to, belief);
        self.signatures.insert(to, signature);
    }

    /// What track `k` is expected to cause, by pair: computed once a belief, not once for every other person.
    fn explain(&mut self, k: usize, pairs: usize) {
        let share = &mut self.share[k];
        share.clear();
        share.resize(pairs, 0.0);
        self.field
            .add_explained(&self.beliefs[k], self.tracks[k].existence, share);
    }

    /// Turns the unknown somebody into a track once it is likely enough, and apart from all tracks.
    fn give_birth(&mut self) {
        if self.unknown_existence < self.config.birth {
            return;
        }
        let place = self.cells.moments(&self.unknown);
        if near(&self.tracks, &place, self.config.birth_apart) {
            // The search begins anew.
            self.unknown.copy_from_slice(&self.newborn);
            self.unknown_existence = 0.0;
            return;
        }
        // No spare belief: the house is full.
        let Some(mut belief) = self.spare.pop() else { return };
        belief.copy_from_slice(&self.unknown);
        let speed = f64::from(self.config.speed_m_s);
        self.tracks.push(Track::born(
            self.next_id,
            self.unknown_existence,
            Kalman::born(&place, speed),
        ));
        self.beliefs.push(belief);
        self.signatures.push(Signature::default());
        self.next_id += 1;
        self.unknown.copy_from_slice(&self.newborn);
        self.unknown_existence = 0.0;
    }
}

/// Whether one of these tracks lies within `sigmas` standard deviations, its own and the place's, of a place.
fn near(tracks: &[Track], place: &Floor, sigmas: f32) -> bool {
    let least2 = f64::from(sigmas) * f64::from(sigmas);
    let living = tracks.iter().filter(|t| t.life != Life::Terminated);
    living
        .filter_map(|t| t.kalman.floor().distance2(place, 0.0))
        .any(|d2| d2 < least2)
}

/// Existence after evidence whose log-likelihood ratio is `gain`; never certain either way.
fn bernoulli(existence: f32, gain: f32) -> f32 {
    let held = detmath::clamp(existence, 1e-9, 0.999_999);
    let odds = detmath::ln(held / (1.0 - held)) + gain;
    let p = 1.0 / (1.0 + detmath::exp(-detmath::clamp(odds, -30.0, 30.0)));
    detmath::clamp(p, 1e-6, 0.999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tomography::QuietSample;

    const STEP_S: f32 = 0.05;

    /// Eight nodes round a room of 6 m x 6 m.
    fn nodes() -> Vec<Node> {
        [
            [0.0, 0.0],
            [3.0, 0.0],
            [6.0, 0.0],
            [6.0, 3.0],
            [6.0, 6.0],
            [3.0, 6.0],
            [0.0, 6.0],
            [0.0, 3.0],
        ]
        .iter()
        .zip(1..)
        .map(|(at, id)| Node {
            id,
            at_m: [at[0], at[1], 1.0],
        })
        .collect()
    }

    /// Every pair's strength with somebody at a place who disturbs lines of sight by `body_db`.
    fn samples(at: Option<[f32; 2]>, body_db: f32) -> Vec<LinkSample> {
        let nodes = nodes();
        let mut all = Vec::new();
        for (i, a) in nodes.iter().enumerate() {
            for b in &nodes[i + 1..] {
                let attenuation_db = at.map_or(0.0, |at| {
                    let d = |n: &Node| detmath::hypot(at[0] - n.at_m[0], at[1] - n.at_m[1]);
                    let length = detmath::hypot(a.at_m[0] - b.at_m[0], a.at_m[1] - b.at_m[1]);
                    body_db * detmath::exp(-6.0 * (d(a) + d(b) - length))
                });
                all.push(LinkSample {
                    tx: a.id,
                    rx: b.id,
                    quiet: Some(QuietSample {
                        quiet_dbm: -50.0,
                        attenuation_db,
                        noise_db: 1.0,
                    }),
                    change: Some((1.0 + attenuation_db, 1.0)),
                    age_s: 0.0,
                });
            }
        }
        all
    }

    /// Somebody is there, goes, and somebody comes: the ids seen, and the last belief.
    fn visit(reid_weight: f32, second_db: f32) -> (Vec<u64>, Vec<f32>, Vec<u8>) {
        let grid = ImageGrid::new([0.0, 0.0, 0.0], [0.5, 0.5, 1.0], [12, 12, 1]).unwrap();
        let config = TrackerConfig {
            reid_weight,
            ..TrackerConfig::default()
        };
        let mut people = People::new(config, &grid);
        let mut ids = Vec::new();
        for (seconds, at, body_db) in [
            (20.0, Some([2.2, 3.3]), 8.0),
            (60.0, None, 0.0),
            (20.0, Some([2.4, 3.3]), second_db),
        ] {
            let all = samples(at, body_db);
            for _ in 0..(seconds / STEP_S) as u32 {
                let cycle = Cycle {
                    step_s: STEP_S,
                    accept: true,
                    nodes: nodes().into_iter(),
                    samples: &all,
                };
                assert!(people.step(&cycle).unwrap());
                let sure = people.tracks().iter().filter(|t| t.life == Life::Active);
                sure.for_each(|t| {
                    if ids.last() != Some(&t.id) {
                        ids.push(t.id);
                    }
                });
            }
        }
        let mut state = Vec::new();
        people.export_state(&mut state).unwrap();
        (ids, people.beliefs[0].clone(), state)
    }

    #[test]
    fn who_comes_back_has_the_old_id_when_signatures_count() {
        let (without, belief, _) = visit(0.0, 8.0);
        assert!(without.len() == 2 && without[0] < without[1], "{without:?}");
        let (with, same_belief, state) = visit(0.4, 8.0);
        assert_eq!(with, [without[0]]);
        // The signature names people, it does not move them.
        assert_eq!(belief, same_belief);
        // And a state with somebody who went, and with a signature, goes on.
        let grid = ImageGrid::new([0.0, 0.0, 0.0], [0.5, 0.5, 1.0], [12, 12, 1]).unwrap();
        let mut again = People::new(TrackerConfig::default(), &grid);
        again.import_state(&state, 100).unwrap();
        let mut exported = Vec::new();
        again.export_state(&mut exported).unwrap();
        assert!(exported == state && again.signatures[0].looks() > 10.0);
    }

    /// Most people at once, while somebody disturbs the links far more than the model knows of one.
    fn most_at_once(config: TrackerConfig) -> usize {
        let grid = ImageGrid::new([0.0, 0.0, 0.0], [0.5, 0.5, 1.0], [12, 12, 1]).unwrap();
        let mut people = People::new(config, &grid);
        let all = samples(Some([2.2, 3.3]), 60.0);
        let mut most = 0;
        for _ in 0..(30.0 / STEP_S) as u32 {
            let cycle = Cycle {
                step_s: STEP_S,
                accept: true,
                nodes: nodes().into_iter(),
                samples: &all,
            };
            people.step(&cycle).unwrap();
            most = most.max(people.tracks().len());
        }
        most
    }

    #[test]
    fn a_place_holds_one_body() {
        let config = TrackerConfig::default();
        assert_eq!(most_at_once(config), 1);
        let stacks = TrackerConfig {
            birth_apart: 0.0,
            ..config
        };
        assert!(most_at_once(stacks) > 1);
    }

    #[test]
    fn existence_follows_the_odds() {
        // Even odds, evidence 3 to 1.
        assert!((bernoulli(0.5, 3.0_f32.ln()) - 0.75).abs() < 1e-6);
        assert_eq!(bernoulli(0.5, 100.0), 0.999);
        assert_eq!(bernoulli(1.0, -100.0), 1e-6);
    }
}
