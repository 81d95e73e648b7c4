//! The memory as bytes.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    Joint, Person,
    chains::Chains,
    law::PEOPLE_MAX,
    search::Search,
    sets::{Lost, Set, Sets},
    shift::Shift,
};
use crate::{
    tomography::TomographyError,
    tracker::{Track, sequence::Sequence},
};

/// Most links that are remembered.
const KNOWN_MAX: usize = 4096;

/// All that a later cycle depends on and its input does not bring.
#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    known: Vec<[u32; 2]>,
    chains: Chains,
    shift: Shift,
    sequence: Sequence,
    tracks: Vec<Track>,
    people: Vec<Person>,
    sets: Vec<Set>,
    logs: Vec<f32>,
    lost: Vec<Lost>,
    search: Search,
    next_id: u64,
    leads: bool,
    turn_s: f32,
    weighed: u32,
    blind_s: f32,
}

impl State {
    fn fault(&self) -> Option<&'static str> {
        if self.tracks.len() > PEOPLE_MAX || self.people.len() != self.tracks.len() {
            return Some("the number of people");
        }
        let ascending = self.tracks.windows(2).all(|w| w[0].id < w[1].id);
        if !ascending || self.tracks.last().is_some_and(|t| t.id >= self.next_id) {
            return Some("the order of track ids");
        }
        let person = |p: &Person| {
            p.gains.len() == self.known.len()
                && p.gains.iter().all(|g| *g >= 0.0 && g.is_finite())
                && [p.support, p.age_s, p.same_s].iter().all(|v| v.is_finite())
        };
        if !(self.tracks.iter().all(Track::is_sound) && self.people.iter().all(person)) {
            return Some("a person");
        }
        let times = [self.turn_s, self.blind_s];
        if self.known.len() > KNOWN_MAX || times.iter().any(|s| !(s.is_finite() && *s <= 3600.0)) {
            return Some("the links or the time since their spectra");
        }
        if !(self.chains.is_sound() && self.shift.is_sound()) {
            return Some("a receive chain, or where people are together");
        }
        // Without people nothing was drawn yet, and nothing is written.
        let sets = if self.tracks.is_empty() {
            self.sets.is_empty() && self.logs.is_empty() && self.lost.is_empty()
        } else {
            Sets::is_sound(&self.sets, &self.logs, &self.lost, self.tracks.len())
        };
        (!(sets && self.search.is_sound())).then_some("a set")
    }
}

impl Joint {
    /// Appends the state. Room, antennas and spectra are not part of it: they come with the input.
    ///
    /// # Errors
    /// What the writer says.
    pub fn export_state(&self, into: &mut impl borsh::io::Write) -> borsh::io::Result<()> {
        let nobody = self.tracks.is_empty();
        let state = State {
            known: self.known.clone(),
            chains: self.chains.clone(),
            shift: self.shift,
            sequence: self.sequence,
            tracks: self.tracks.clone(),
            people: self.people.clone(),
            sets: if nobody { Vec::new() } else { self.sets.sets.clone() },
            logs: if nobody { Vec::new() } else { self.sets.logs.clone() },
            lost: self.sets.lost.clone(),
            search: self.search.clone(),
            next_id: self.next_id,
            leads: self.leads,
            turn_s: self.turn_s,
            weighed: self.weighed as u32,
            blind_s: self.blind_s,
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
        let state: State = borsh::from_slice(blob).map_err(|_| misfit("the encoding of the people by arrays"))?;
        if let Some(what) = state.fault() {
            return Err(misfit(what));
        }
        let (config, c) = (self.config, self.c);
        *self = Self::new(config, c);
        if !state.tracks.is_empty() {
            self.sets.restore(state.sets, state.logs, state.lost);
        }
        (self.known, self.chains, self.shift) = (state.known, state.chains, state.shift);
        (self.tracks, self.people, self.search) = (state.tracks, state.people, state.search);
        self.sequence = state.sequence;
        (self.next_id, self.leads, self.weighed) = (state.next_id, state.leads, state.weighed as usize);
        (self.turn_s, self.blind_s) = (state.turn_s, state.blind_s);
        Ok(())
    }
}
