//! The front end's state as bytes, exact.
//!
//! Layout: `u32` version, `u32` paths, `u32` places, then borsh of each path's memory, each place's filter, the gate,
//! the running
//! calibration, tick and slot end, a finished calibration that was not taken yet, and what moved at each link to an array.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Front, FrontError, calibrating::Calibrating, path::Memory};
use crate::{
    calibration::{CalibrationArtefact, CalibrationRefused},
    gate::Gate,
    presence::PresenceFilter,
};

/// Version of the exported state.
const STATE_VERSION: u32 = 5;

impl Front {
    /// Appends the state to `into`: with the same configuration, importing it and running on gives the bits that
    /// running on here gives. Exported between cycles, after [`Front::sense`] and before the next frame.
    ///
    /// # Errors
    /// What borsh says: it refuses a NaN, which no state should hold.
    pub fn export_state(&self, into: &mut Vec<u8>) -> borsh::io::Result<()> {
        (STATE_VERSION, self.paths.len() as u32, self.areas.len() as u32).serialize(into)?;
        for path in &self.paths {
            path.memory.serialize(into)?;
        }
        for filter in self.areas.filters() {
            filter.serialize(into)?;
        }
        (self.gate, self.calibrating, self.tick, self.end_ns).serialize(into)?;
        self.finished.serialize(into)?;
        self.bearings.moved().try_for_each(|moved| moved.serialize(into))
    }

    /// Restores an exported state. Everything in it is checked; on an error nothing has changed.
    ///
    /// # Errors
    /// [`FrontError::State`] when it is damaged or of another version or configuration.
    pub fn import_state(&mut self, state: &[u8]) -> Result<(), FrontError> {
        let mut restored = self.clone();
        restored.read_state(state)?;
        *self = restored;
        Ok(())
    }

    fn read_state(&mut self, mut state: &[u8]) -> Result<(), FrontError> {
        let input = &mut state;
        let header: (u32, u32, u32) = read(input)?;
        let expected = (STATE_VERSION, self.paths.len() as u32, self.areas.len() as u32);
        if header != expected {
            return Err(FrontError::State {
                reason: format!("(version, paths, places) must be {expected:?}, found {header:?}"),
            });
        }
        for (at, path) in self.paths.iter_mut().enumerate() {
            let memory: Memory = read(input)?;
            path.restore(memory, &self.config).map_err(|what| FrontError::State {
                reason: format!("path {at}: {what}"),
            })?;
        }
        let mut filters = Vec::with_capacity(self.areas.len());
        for at in 0..self.areas.len() {
            let filter: PresenceFilter = read(input)?;
            if !filter.sound() {
                return Err(FrontError::State {
                    reason: format!("place {at}: a probability is outside 0 to 1"),
                });
            }
            filters.push(filter);
        }
        self.areas.restore(filters);
        let (gate, calibrating, tick, end_ns): (Gate, Calibrating, u64, i64) = read(input)?;
        let finished: Option<Result<CalibrationArtefact, CalibrationRefused>> = read(input)?;
        if let Some(Ok(artefact)) = &finished {
            artefact.check().map_err(|error| FrontError::State {
                reason: error.to_string(),
            })?;
        }
        for (at, moved) in self.bearings.moved_mut().enumerate() {
            *moved = read(input)?;
            if !moved.restored() {
                return Err(FrontError::State {
                    reason: format!("array link {at}: a number is not finite, or a time is out of order"),
                });
            }
        }
        self.bearings.derive(&self.paths, false);
        if !input.is_empty() {
            return Err(FrontError::State {
                reason: format!("{} bytes are left over", input.len()),
            });
        }
        (self.gate, self.calibrating, self.tick, self.end_ns) = (gate, calibrating, tick, end_ns);
        self.finished = finished;
        Ok(())
    }
}

fn read<T: BorshDeserialize>(input: &mut &[u8]) -> Result<T, FrontError> {
    T::deserialize(input).map_err(|error| FrontError::State {
        reason: error.to_string(),
    })
}
