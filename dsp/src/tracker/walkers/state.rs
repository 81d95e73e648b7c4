//! The walkers' memory as bytes.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{MOST_WALKERS, Walkers, cloud::Cloud};
use crate::{
    tomography::TomographyError,
    tracker::{Track, moments::Moments, sequence::Sequence},
};

/// All that a later cycle depends on and its input does not bring.
#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    sequence: Sequence,
    tracks: Vec<Track>,
    clouds: Vec<(Cloud, Moments)>,
    search: Cloud,
    search_existence: f32,
    search_begun: bool,
    next_id: u64,
    since_s: f32,
}

impl State {
    fn fault(&self) -> Option<&'static str> {
        if self.tracks.len() > MOST_WALKERS || self.clouds.len() != self.tracks.len() {
            return Some("the number of walkers");
        }
        let ascending = self.tracks.windows(2).all(|w| w[0].id < w[1].id);
        if !ascending || self.tracks.last().is_some_and(|t| t.id >= self.next_id) {
            return Some("the order of track ids");
        }
        if !(self.tracks.iter().all(Track::is_sound) && (0.0..=1.0).contains(&self.search_existence)) {
            return Some("a walker");
        }
        if !(self.since_s.is_finite() && self.since_s <= 3600.0) {
            return Some("the time since the last spectra");
        }
        let sound = self.search.is_sound() && self.clouds.iter().all(|(c, m)| c.is_sound() && m.is_sound());
        (!sound).then_some("a cloud")
    }
}

impl Walkers {
    /// Appends the state. Room, nodes and spectra are not part of it: they come with the input.
    ///
    /// # Errors
    /// What the writer says.
    pub fn export_state(&self, into: &mut impl borsh::io::Write) -> borsh::io::Result<()> {
        let state = State {
            sequence: self.sequence,
            tracks: self.tracks.clone(),
            clouds: self.walkers.iter().map(|w| (w.cloud.clone(), w.moments)).collect(),
            search: self.search.clone(),
            search_existence: self.search_existence,
            search_begun: self.search_begun,
            next_id: self.next_id,
            since_s: self.since_s,
        };
        borsh::to_writer(into, &state)
    }

    /// Replaces the state by one that [`Self::export_state`] wrote: every later cycle has the bits it would have had
    /// without the interruption.
    ///
    /// # Errors
    /// [`TomographyError::State`], and the state is as before.
    pub fn import_state(&mut self, blob: &[u8]) -> Result<(), TomographyError> {
        let misfit = |what| TomographyError::State { what };
        let state: State = borsh::from_slice(blob).map_err(|_| misfit("the encoding of the walkers"))?;
        if let Some(what) = state.fault() {
            return Err(misfit(what));
        }
        let (config, c) = (self.config, self.c);
        *self = Self::new(config, c);
        self.sequence = state.sequence;
        self.tracks.extend(state.tracks);
        for (cloud, moments) in &state.clouds {
            if let Some(mut walker) = self.spare.pop() {
                walker.cloud.copy_from(cloud);
                walker.moments = *moments;
                self.walkers.push(walker);
            }
        }
        self.search.copy_from(&state.search);
        self.search_existence = state.search_existence;
        self.search_begun = state.search_begun;
        self.next_id = state.next_id;
        self.since_s = state.since_s;
        Ok(())
    }
}
