//! The tracker's memory as bytes: [`People::export_state`] and [`People::import_state`].

use borsh::{BorshDeserialize, BorshSerialize};

use super::{MOST_TRACKS, People, REMEMBERED, Signature, Track, reid::Gone};
use crate::tomography::{Node, TomographyError};

/// All that a later cycle depends on and its input does not bring.
#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    next_id: u64,
    tracks: Vec<Track>,
    beliefs: Vec<Vec<f32>>,
    unknown_existence: f32,
    unknown: Vec<f32>,
    nodes: Vec<Node>,
    ends: Vec<(u32, u32)>,
    idle_s: Vec<f32>,
    signatures: Vec<Signature>,
    gone: Vec<Gone>,
}

impl State {
    /// What is wrong with it, for a floor of this many cells.
    fn fault(&self, cells: usize) -> Option<&'static str> {
        let is_belief = |b: &Vec<f32>| {
            b.len() == cells && b.iter().all(|p| (0.0..=1.001).contains(p)) && b.iter().sum::<f32>() > 0.5
        };
        let is_sound = |t: &Track| {
            (0.0..=1.0).contains(&t.existence)
                && t.coasted_s >= 0.0
                && t.coasted_s.is_finite()
                && t.kalman
                    .mean
                    .iter()
                    .chain(t.kalman.covariance.iter().flatten())
                    .all(|v| v.is_finite())
                && t.kalman.floor().is_sound()
        };
        if self.tracks.len() > MOST_TRACKS || self.beliefs.len() != self.tracks.len() {
            return Some("the number of tracks");
        }
        if self.signatures.len() != self.tracks.len() || !self.signatures.iter().all(Signature::is_sound) {
            return Some("a signature");
        }
        let is_past = |g: &Gone| {
            g.id < self.next_id
                && g.since_s >= 0.0
                && g.since_s.is_finite()
                && g.place.is_sound()
                && g.signature.is_sound()
        };
        if self.gone.len() > REMEMBERED || !self.gone.iter().all(is_past) {
            return Some("somebody who went");
        }
        let ascending = self.tracks.windows(2).all(|w| w[0].id < w[1].id);
        if !ascending || self.tracks.last().is_some_and(|t| t.id >= self.next_id) {
            return Some("the order of track ids");
        }
        if !(self.tracks.iter().all(is_sound) && (0.0..=1.0).contains(&self.unknown_existence)) {
            return Some("a track");
        }
        (!(self.beliefs.iter().all(is_belief) && is_belief(&self.unknown))).then_some("a belief")
    }
}

impl People {
    /// Appends the state. Room and doors are not part of it: they come with the input.
    ///
    /// # Errors
    /// What the writer says.
    pub fn export_state(&self, into: &mut impl borsh::io::Write) -> borsh::io::Result<()> {
        let (nodes, ends, idle_s) = self.field.memory();
        let state = State {
            next_id: self.next_id,
            tracks: self.tracks.clone(),
            beliefs: self.beliefs.clone(),
            unknown_existence: self.unknown_existence,
            unknown: self.unknown.clone(),
            nodes: nodes.to_vec(),
            ends: ends.to_vec(),
            idle_s: idle_s.to_vec(),
            signatures: self.signatures.clone(),
            gone: self.gallery.gone().to_vec(),
        };
        borsh::to_writer(into, &state)
    }

    /// Replaces the state by one that [`Self::export_state`] wrote for the same floor: every later cycle has
    /// the bits it would have had without the interruption.
    ///
    /// # Errors
    /// [`TomographyError::State`], and the state is as before.
    pub fn import_state(&mut self, blob: &[u8], max_links: usize) -> Result<(), TomographyError> {
        let misfit = |what| TomographyError::State { what };
        let state: State = borsh::from_slice(blob).map_err(|_| misfit("the encoding"))?;
        if let Some(what) = state.fault(self.cells.count()) {
            return Err(misfit(what));
        }
        if state.ends.len() > max_links {
            return Err(misfit("the number of links"));
        }
        let mut field = self.field.clone();
        field.restore(&state.nodes, state.ends, &state.idle_s)?;
        self.field = field;
        self.bound();
        self.next_id = state.next_id;
        self.unknown_existence = state.unknown_existence;
        self.unknown.copy_from_slice(&state.unknown);
        self.tracks.clear();
        self.tracks.extend(state.tracks);
        self.signatures.clear();
        self.signatures.extend(state.signatures);
        self.gallery.restore(state.gone);
        self.spare.append(&mut self.beliefs);
        for belief in &state.beliefs {
            let mut place = self.spare.pop().unwrap_or_else(|| vec![0.0; belief.len()]);
            place.copy_from_slice(belief);
            self.beliefs.push(place);
        }
        Ok(())
    }
}
