//! The calibration artefact: the site's empty-room baselines as one versioned file.
//!
//! Bytes: the eight bytes `TLCAL\0\0\x03`, then the borsh encoding of [`CalibrationArtefact`] (little-endian, raw
//! IEEE-754 bits); without any array of antennas `TLCAL\0\0\x02`, and the encoding without `cross_phase_rad`.
//! Whoever witnesses a calibration hashes exactly these bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

use super::PathBaseline;

/// First bytes of the file: a name and the version of what follows.
pub const MAGIC: [u8; 8] = *b"TLCAL\0\0\x03";
/// Those of a file without the phases between an array's antennas: sites without arrays go on as before there were any.
const MAGIC_2: [u8; 8] = *b"TLCAL\0\0\x02";
/// Largest file that is read.
pub const BYTES_MAX: usize = 64 << 20;

/// Which path a baseline belongs to. A baseline is used only where all of it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct PathIdentity {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// Antenna of the transmitter.
    pub tx_antenna: u8,
    /// Antenna of the receiver.
    pub rx_antenna: u8,
    /// Channel number.
    pub channel: u16,
    /// Code of the PHY tier, which fixes the tone grid; none for RSS paths.
    pub tier: Option<u8>,
}

/// Empty-room baselines of a site.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct CalibrationArtefact {
    /// When it began, in the time base of the input, nanoseconds.
    pub start_ns: i64,
    /// When it ended.
    pub end_ns: i64,
    /// One a calibrated path, ascending by identity.
    pub paths: Vec<(PathIdentity, PathBaseline)>,
}

/// Why an artefact cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ArtefactError {
    /// Not such a file, or of another version.
    #[error("not a calibration of this version: expected {MAGIC:02x?}, found {found:02x?}; calibrate again")]
    Magic {
        /// First bytes found.
        found: Vec<u8>,
    },
    /// Too long to be one.
    #[error("a calibration has at most {BYTES_MAX} bytes, found {found}")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// The encoding is broken.
    #[error("the calibration is damaged: {reason}; calibrate again")]
    Damaged {
        /// What the decoder met.
        reason: String,
    },
    /// A value no calibration can have.
    #[error("the calibration of path {path:?} is not valid: {what}; calibrate again")]
    Invalid {
        /// The path.
        path: PathIdentity,
        /// What is wrong.
        what: &'static str,
    },
    /// It belongs to another site.
    #[error(
        "none of the {found} calibrated link paths is one of this site's {expected}; was it made for another site?"
    )]
    NoPathMatches {
        /// Link paths of the site.
        expected: usize,
        /// Link paths in the artefact.
        found: usize,
    },
}

impl CalibrationArtefact {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let arrays = self.paths.iter().any(|(_, b)| !b.cross_phase_rad.is_empty());
        // Writing to memory fails on NaN alone, and baselines are made of finite numbers only (`check`).
        let (magic, body) = if arrays {
            (MAGIC, borsh::to_vec(self).unwrap_or_default())
        } else {
            let plain = version_2::Artefact::from(self.clone());
            (MAGIC_2, borsh::to_vec(&plain).unwrap_or_default())
        };
        let mut bytes = magic.to_vec();
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads a file's bytes back; everything in it is checked.
    ///
    /// # Errors
    /// [`ArtefactError`], naming what was expected and found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtefactError> {
        if bytes.len() > BYTES_MAX {
            return Err(ArtefactError::TooLong { found: bytes.len() });
        }
        let damaged = |error: borsh::io::Error| ArtefactError::Damaged {
            reason: error.to_string(),
        };
        let artefact: Self = if let Some(body) = bytes.strip_prefix(&MAGIC) {
            borsh::from_slice(body).map_err(damaged)?
        } else if let Some(body) = bytes.strip_prefix(&MAGIC_2) {
            borsh::from_slice::<version_2::Artefact>(body).map_err(damaged)?.into()
        } else {
            return Err(ArtefactError::Magic {
                found: bytes[..bytes.len().min(MAGIC.len())].to_vec(),
            });
        };
        artefact.check()?;
        Ok(artefact)
    }

    /// Checks order, sizes and numbers.
    ///
    /// # Errors
    /// [`ArtefactError::Invalid`] naming the path.
    pub fn check(&self) -> Result<(), ArtefactError> {
        for (i, (path, baseline)) in self.paths.iter().enumerate() {
            let invalid = |what| Err(ArtefactError::Invalid { path: *path, what });
            if i > 0 && self.paths[i - 1].0 >= *path {
                return invalid("paths are not in ascending order");
            }
            let channels = match path.tier {
                None => 1,
                Some(code) => match crate::tier::Tier::from_code(u32::from(code)) {
                    Some(tier) => tier.tones(),
                    None => return invalid("unknown tier"),
                },
            };
            if let Some(what) = baseline.fault(channels) {
                return invalid(what);
            }
        }
        Ok(())
    }

    /// The baseline of a path.
    pub fn find(&self, path: &PathIdentity) -> Option<&PathBaseline> {
        let at = self.paths.binary_search_by(|(identity, _)| identity.cmp(path)).ok()?;
        Some(&self.paths[at].1)
    }
}

/// The encoding without arrays.
mod version_2 {
    use super::{BorshDeserialize, BorshSerialize, CalibrationArtefact, PathBaseline, PathIdentity};
    use crate::calibration::QuietLevel;

    #[derive(BorshSerialize, BorshDeserialize)]
    pub(super) struct Artefact {
        start_ns: i64,
        end_ns: i64,
        paths: Vec<(PathIdentity, Baseline)>,
    }

    #[derive(BorshSerialize, BorshDeserialize)]
    struct Baseline {
        frames: u32,
        mask: Vec<u8>,
        amplitude: Vec<f32>,
        amplitude_variance: Vec<f32>,
        phase_rad: Vec<f32>,
        phase_dispersion: Vec<f32>,
        chosen: Vec<u8>,
        gain: f32,
        agc_db: Option<f32>,
        rss_dbm: Option<f32>,
        rss_std_db: f32,
        quiet: QuietLevel,
    }

    /// The same baseline as the other type, which has these fields more.
    macro_rules! as_another {
        ($b:ident, $to:ident { $($more:tt)* }) => {
            $to {
                frames: $b.frames,
                mask: $b.mask,
                amplitude: $b.amplitude,
                amplitude_variance: $b.amplitude_variance,
                phase_rad: $b.phase_rad,
                phase_dispersion: $b.phase_dispersion,
                chosen: $b.chosen,
                gain: $b.gain,
                agc_db: $b.agc_db,
                rss_dbm: $b.rss_dbm,
                rss_std_db: $b.rss_std_db,
                quiet: $b.quiet,
                $($more)*
            }
        };
    }

    impl From<CalibrationArtefact> for Artefact {
        fn from(artefact: CalibrationArtefact) -> Self {
            let baseline = |b: PathBaseline| as_another!(b, Baseline {});
            Self {
                start_ns: artefact.start_ns,
                end_ns: artefact.end_ns,
                paths: artefact
                    .paths
                    .into_iter()
                    .map(|(path, b)| (path, baseline(b)))
                    .collect(),
            }
        }
    }

    impl From<Artefact> for CalibrationArtefact {
        fn from(old: Artefact) -> Self {
            let baseline = |b: Baseline| {
                as_another!(
                    b,
                    PathBaseline {
                        cross_phase_rad: Vec::new()
                    }
                )
            };
            Self {
                start_ns: old.start_ns,
                end_ns: old.end_ns,
                paths: old.paths.into_iter().map(|(path, b)| (path, baseline(b))).collect(),
            }
        }
    }
}

impl PathBaseline {
    /// What is wrong with this baseline for a path of `channels` values a frame; none when it is sound.
    pub fn fault(&self, channels: usize) -> Option<&'static str> {
        let arrays = [
            &self.amplitude,
            &self.amplitude_variance,
            &self.phase_rad,
            &self.phase_dispersion,
        ];
        if arrays.iter().any(|a| a.len() != channels) || [&self.mask, &self.chosen].iter().any(|m| m.len() != channels)
        {
            return Some("its arrays do not have one value a tone");
        }
        if !self.cross_phase_rad.is_empty() && self.cross_phase_rad.len() != channels {
            return Some("its phases against the first antenna are not one a tone");
        }
        if arrays.iter().any(|a| a.iter().any(|v| !v.is_finite()))
            || self.cross_phase_rad.iter().any(|v| !v.is_finite())
        {
            return Some("a number is not finite");
        }
        if self.amplitude.iter().chain(&self.amplitude_variance).any(|&v| v < 0.0) {
            return Some("an amplitude or a variance is negative");
        }
        let positive = |v: f32| v.is_finite() && v > 0.0;
        let quiet = &self.quiet;
        if !positive(quiet.std)
            || !quiet.variance.is_finite()
            || [quiet.coherent, quiet.smooth].iter().flatten().any(|c| !positive(*c))
        {
            return Some("its quiet level is not positive");
        }
        if !positive(self.rss_std_db) || self.rss_dbm.is_some_and(|v| !v.is_finite()) || !self.gain.is_finite() {
            return Some("its received strength or gain is not a number");
        }
        self.agc_db
            .is_some_and(|v| !v.is_finite())
            .then_some("its AGC setting is not a number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::QuietLevel;
    use proptest::prelude::*;

    fn artefact() -> CalibrationArtefact {
        let baseline = PathBaseline {
            frames: 1,
            mask: vec![1],
            amplitude: vec![0.0],
            amplitude_variance: vec![0.0],
            phase_rad: vec![0.0],
            phase_dispersion: vec![1.0],
            chosen: vec![1],
            rss_dbm: Some(-60.0),
            rss_std_db: 1.0,
            quiet: QuietLevel {
                windows: 0,
                std: 1.0,
                variance: 1.0,
                coherent: None,
                smooth: Some(1e-5),
            },
            ..PathBaseline::default()
        };
        let path = |rx| PathIdentity {
            tx: 1,
            rx,
            channel: 11,
            ..PathIdentity::default()
        };
        CalibrationArtefact {
            start_ns: 5,
            end_ns: 9,
            paths: vec![(path(2), baseline.clone()), (path(3), baseline)],
        }
    }

    #[test]
    fn comes_back_from_its_bytes() {
        let artefact = artefact();
        assert_eq!(CalibrationArtefact::from_bytes(&artefact.to_bytes()).unwrap(), artefact);
        assert!(artefact.find(&artefact.paths[1].0).is_some());
        assert!(artefact.to_bytes().starts_with(&MAGIC_2));
        let mut array = artefact;
        array.paths[1].1.cross_phase_rad = vec![-0.5];
        assert!(array.to_bytes().starts_with(&MAGIC));
        assert_eq!(CalibrationArtefact::from_bytes(&array.to_bytes()).unwrap(), array);
        array.paths[1].1.cross_phase_rad = vec![-0.5, 0.5];
        assert!(matches!(array.check(), Err(ArtefactError::Invalid { what, .. }) if what.contains("first antenna")));
    }

    #[test]
    fn says_what_is_wrong() {
        let bytes = artefact().to_bytes();
        assert!(matches!(
            CalibrationArtefact::from_bytes(&bytes[1..]),
            Err(ArtefactError::Magic { .. })
        ));
        assert!(matches!(
            CalibrationArtefact::from_bytes(&bytes[..bytes.len() - 1]),
            Err(ArtefactError::Damaged { .. })
        ));
        let mut swapped = artefact();
        swapped.paths.swap(0, 1);
        assert!(matches!(swapped.check(), Err(ArtefactError::Invalid { what, .. }) if what.contains("order")));
        let mut wrong = artefact();
        wrong.paths[0].0.tier = Some(0);
        assert!(matches!(wrong.check(), Err(ArtefactError::Invalid { .. })));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), magic: bool) {
            if magic {
                bytes.splice(0..0, if bytes.len() % 2 == 0 { MAGIC } else { MAGIC_2 });
            }
            let _ = CalibrationArtefact::from_bytes(&bytes);
        }

        #[test]
        fn a_changed_byte_is_an_error_or_another_artefact(at in 0_usize..400, flip in 1_u8..=255) {
            let mut bytes = artefact().to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            if let Ok(read) = CalibrationArtefact::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
