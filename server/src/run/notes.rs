//! What a capture says beside datagrams and slots: everything else that decided what its cycles computed.
//!
//! The first note of a capture says what was in force when it began. Every later one stands before the slot from which it
//! holds. The bytes are borsh: integers and float bits little-endian, enums as one byte in the order of their variants.

use std::{path::Path, sync::Arc};

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_wire::recording::{ReadOptions, RecordBody, Recording};

use super::replay::ReplayError;
use crate::{
    config::{PrivacyMode, Site, check_outline, witnessed},
    host::swap::StateHandling,
};

/// A note.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) enum Note {
    /// The first of a capture.
    Begin(Box<Begin>),
    /// Other code from the next slot on.
    Manifest {
        /// The manifest's text, verbatim.
        text: String,
        /// What became of the states of cir, tomography, tracker: 0 kept, 1 imported, 2 reset, 3 no such stage.
        state: [u8; 3],
        /// Result and reason of the SWAP leaf.
        leaf: (u8, u16),
    },
    /// Another privacy mode or other outlines of zones from the next slot on.
    Configured {
        /// What may differ.
        now: SiteNow,
        /// Hash of the witnessed configuration with it.
        config_hash: [u8; 32],
    },
    /// The empty room is learned from the next slot on.
    StartCalibration {
        /// Until this monotonic time, nanoseconds.
        end_ns: u64,
    },
    /// What was being learned is given up.
    StopCalibration,
    /// The disk was too slow for the capture: so many slots that were run are not in it.
    Lost(u64),
    /// So many slots that were run are not in it: they ran in a class in which no raw measurement is kept.
    Withheld(u64),
}

/// What was in force when a capture began.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Begin {
    /// The manifest's text, verbatim.
    pub manifest: String,
    /// The witnessed configuration, verbatim.
    pub config: String,
    /// What operators may have ordered over the fleet file.
    pub now: SiteNow,
    /// The calibration in force, as a file's bytes.
    pub calibration: Option<Vec<u8>>,
    /// State of the cycle before the first slot; none when that was the first of the process.
    pub state: Option<Vec<u8>>,
}

/// What orders may change of a site.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct SiteNow {
    /// Code of the privacy mode.
    mode: u8,
    /// Corners of every zone, metres, in configuration order.
    outlines_m: Vec<Vec<[f32; 2]>>,
}

impl Note {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Writing to memory fails on NaN alone, and outlines were checked when they were taken.
        borsh::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ReplayError> {
        borsh::from_slice(bytes)
            .map_err(|error| ReplayError::not_as_recorded(format!("a note in it is damaged: {error}")))
    }
}

impl SiteNow {
    pub(super) fn of(site: &Site) -> Self {
        Self {
            mode: site.privacy.mode.code(),
            outlines_m: site.zones.iter().map(|z| z.outline_m.clone()).collect(),
        }
    }

    /// Puts it over a site.
    pub(super) fn apply(&self, site: &mut Site) -> Result<(), ReplayError> {
        let mode = PrivacyMode::from_code(self.mode);
        let outlines = &self.outlines_m;
        let (Some(mode), true) = (mode, outlines.iter().all(|o| check_outline("outline", o).is_ok())) else {
            return Err(ReplayError::not_as_recorded(
                "a note in it holds an impossible configuration".to_owned(),
            ));
        };
        if outlines.len() != site.zones.len() {
            return Err(ReplayError::not_as_recorded(format!(
                "it has {} zones, the fleet file has {}",
                outlines.len(),
                site.zones.len()
            )));
        }
        site.privacy.mode = mode;
        for (zone, outline) in site.zones.iter_mut().zip(outlines) {
            zone.outline_m.clone_from(outline);
        }
        Ok(())
    }

    /// A copy of a site with it.
    pub(super) fn over(&self, site: &Site) -> Result<Arc<Site>, ReplayError> {
        let mut site = site.clone();
        self.apply(&mut site)?;
        Ok(Arc::new(site))
    }
}

impl Begin {
    /// What a recording began with; none for one that is no capture.
    ///
    /// # Errors
    /// A file that cannot be read, or a capture whose beginning is damaged.
    pub fn of(path: &Path) -> Result<Option<Self>, ReplayError> {
        let mut recording = Recording::open(path, &ReadOptions::default())?;
        if recording.capture_header().is_none() {
            return Ok(None);
        }
        if let Some(RecordBody::Note(bytes)) = recording.next().transpose()?.map(|r| r.body)
            && let Note::Begin(begin) = Note::from_bytes(&bytes)?
        {
            return Ok(Some(*begin));
        }
        Err(ReplayError::not_as_recorded(
            "its beginning, which says what was in force, is damaged or missing".to_owned(),
        ))
    }

    /// Makes a site of the fleet file the one that was in force.
    ///
    /// # Errors
    /// [`ReplayError::NotAsRecorded`] with the first line that differs.
    pub fn apply(&self, site: &mut Site) -> Result<(), ReplayError> {
        self.now.apply(site)?;
        self.agrees(&witnessed::document(site))
    }

    /// Compares a witnessed configuration with the one that was in force.
    pub(super) fn agrees(&self, config: &str) -> Result<(), ReplayError> {
        if config == self.config {
            return Ok(());
        }
        let end = "(end)";
        let (was, is) = self
            .config
            .lines()
            .chain([end])
            .zip(config.lines().chain([end]))
            .find(|(was, is)| was != is)
            .unwrap_or_default();
        Err(ReplayError::not_as_recorded(format!(
            "another configuration was in force: the capture has `{was}`, the fleet file gives `{is}`; name the fleet \
             file it was made with (--config, --site)"
        )))
    }
}

/// Code of what became of a stage's state.
pub(super) const fn code(handling: StateHandling) -> u8 {
    match handling {
        StateHandling::Kept => 0,
        StateHandling::Imported => 1,
        StateHandling::Reset => 2,
        StateHandling::None => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn notes_come_back_from_their_bytes() {
        let now = SiteNow {
            mode: 4,
            outlines_m: vec![vec![[0.5, 1.0], [2.0, 3.0]]],
        };
        for note in [
            Note::Begin(Box::new(Begin {
                manifest: "m".to_owned(),
                config: "c".to_owned(),
                now: now.clone(),
                calibration: Some(vec![1, 2]),
                state: None,
            })),
            Note::Manifest {
                text: "other".to_owned(),
                state: [0, 2, 3],
                leaf: (2, 6),
            },
            Note::Configured {
                now,
                config_hash: [7; 32],
            },
            Note::StartCalibration { end_ns: u64::MAX },
            Note::StopCalibration,
            Note::Lost(3),
        ] {
            assert_eq!(Note::from_bytes(&note.to_bytes()).unwrap(), note);
        }
    }

    proptest! {
        #[test]
        fn hostile_notes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Note::from_bytes(&bytes);
        }
    }
}
