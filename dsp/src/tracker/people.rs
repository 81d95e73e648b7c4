//! The tracker: one Bernoulli belief a person, and one for somebody not yet known.
//!
//! Each person is an existence probability `r` and a belief over the floor. A cycle with fresh evidence
//! multiplies the belief by the likelihood ratio of its place, given what the other people explain, and
//! takes `r` to `r L / (1 - r + r L)`, where `L` is the belief's mean ratio: track-before-detect, with no
//! threshold between the links and the person (Ristic, Vo, Vo and Farina, "A tutorial on Bernoulli filters",
//! IEEE Trans. Signal Processing 2013). The unknown somebody starts at the doors or, with less weight,
//! anywhere; once likely enough, it becomes a track and a new unknown takes its place.

use super::{Entrance, FloorCells, Hull, Kalman, Life, LinkField, MOST_TRACKS, Track, TrackerConfig};
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
    pub(super) unknown: Vec<f32>,
    pub(super) unknown_existence: f32,
    pub(super) next_id: u64,
    newborn: Vec<f32>,
    outline: Vec<[f32; 2]>,
    entrances: Vec<Entrance>,
    pub(super) spare: Vec<Vec<f32>>,
    evidence: Vec<f32>,
    explained: Vec<f32>,
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
            unknown: newborn.clone(),
            unknown_existence: 0.0,
            next_id: 1,
            newborn,
            outline: Vec::new(),
            entrances: Vec::new(),
            spare: vec![vec![0.0; n]; MOST_TRACKS],
            evidence: vec![0.0; n],
            explained: Vec::new(),
            cells,
        }
    }

    /// The tracks, ascending by id; those that ended in the last cycle are among them.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
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
        for track in &mut self.tracks {
            track.grow_older(&self.config, measured, cycle.step_s);
        }
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
        for k in 0..=self.tracks.len() {
            self.explained.clear();
            self.explained.resize(self.field.answering(), 0.0);
            for (j, (track, belief)) in self.tracks.iter().zip(&self.beliefs).enumerate() {
                if j != k {
                    self.field.add_explained(belief, track.existence, &mut self.explained);
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

    /// Turns the unknown somebody into a track once it is likely enough.
    fn give_birth(&mut self) {
        if self.unknown_existence < self.config.birth {
            return;
        }
        // No spare belief: the house is full.
        let Some(mut belief) = self.spare.pop() else { return };
        belief.copy_from_slice(&self.unknown);
        let place = self.cells.moments(&belief);
        let speed = f64::from(self.config.speed_m_s);
        self.tracks.push(Track::born(
            self.next_id,
            self.unknown_existence,
            Kalman::born(&place, speed),
        ));
        self.beliefs.push(belief);
        self.next_id += 1;
        self.unknown.copy_from_slice(&self.newborn);
        self.unknown_existence = 0.0;
    }
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
    use super::bernoulli;

    #[test]
    fn existence_follows_the_odds() {
        // Even odds, evidence 3 to 1.
        assert!((bernoulli(0.5, 3.0_f32.ln()) - 0.75).abs() < 1e-6);
        assert_eq!(bernoulli(0.5, 100.0), 0.999);
        assert_eq!(bernoulli(1.0, -100.0), 1e-6);
    }
}
