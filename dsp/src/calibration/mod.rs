//! Empty-room calibration: what every link path looks like while nobody is there.
//!
//! [`Learner`] watches one path by wall clock and yields a [`PathBaseline`] or says why not; [`artefact`] makes the
//! site's baselines one versioned file that carries the identity of every path, its tones, its gain and the time
//! it was taken. [`levels`] holds the quantile sketch behind the quiet levels.

pub mod artefact;
pub mod learner;
pub mod levels;

pub use artefact::{ArtefactError, CalibrationArtefact, PathIdentity};
pub use learner::{CalibrationRefused, Learner};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{detmath, motion::MotionStat};

/// Coherent variance that white noise alone can show, as a share of its variance. The covariance of neighbouring
/// frames over a window of 50 to 100 frames and some tens of tones has a standard deviation of 0.02 to 0.04 of the
/// noise variance (tones of one receiver are not independent).
pub const WHITE_SHARE: f32 = 0.05;
/// The same for tones a thirteenth of the band apart: what the filters of an ESP32-C3 leave common to them, the most
/// of the chips looked at (0.05 to 0.2).
pub const FILTER_SHARE: f32 = 0.2;

/// The quiet level of a path's motion statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct QuietLevel {
    /// Windows it was learned from.
    pub windows: u32,
    /// Mean standard deviation, gain-normalised amplitude (CSI) or dB (RSS).
    pub std: f32,
    /// Mean variance: the noise of the receiver.
    pub variance: f32,
    /// Level the coherent variance of quiet windows stays below (mean and two standard deviations); none when frames
    /// come too slowly.
    pub coherent: Option<f32>,
    /// The same for the smooth variance; none for RSS paths.
    pub smooth: Option<f32>,
}

impl QuietLevel {
    /// Amplitude of the fluctuation now over that of the quiet room, 0 or more: about 1 or less while nobody moves.
    pub fn motion_ratio(&self, now: &MotionStat) -> f32 {
        let (change, quiet) = self.change(now);
        change / quiet
    }

    /// Fluctuation now and in the quiet room, as amplitudes in the same unit: coherent where both know it, else
    /// smooth, else whole. The quiet level of either part grows with the white noise of the moment
    /// ([`WHITE_SHARE`], [`FILTER_SHARE`]), so that a receiver that is noisier today than at its calibration does not
    /// seem to move.
    pub fn change(&self, now: &MotionStat) -> (f32, f32) {
        let part = |now_part: f32, quiet: f32, share: f32| {
            (
                detmath::max(now_part, 0.0).sqrt(),
                (quiet + share * now.without(now_part)).sqrt(),
            )
        };
        match ((now.coherent, self.coherent), (now.smooth, self.smooth)) {
            ((Some(coherent), Some(quiet)), _) => part(coherent, quiet, WHITE_SHARE),
            (_, (Some(smooth), Some(quiet))) => part(smooth, quiet, FILTER_SHARE),
            _ => (now.std, self.std),
        }
    }
}

/// The empty room as one path sees it. Arrays run over the path's tones (one value for RSS paths).
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct PathBaseline {
    /// Frames the profile was learned from, one a tick at most.
    pub frames: u32,
    /// Tones measured in at least half of the frames: 1, else 0.
    pub mask: Vec<u8>,
    /// Mean gain-normalised amplitude.
    pub amplitude: Vec<f32>,
    /// Its variance over the frames.
    pub amplitude_variance: Vec<f32>,
    /// Circular mean of the aligned phase, radians in (-pi, pi].
    pub phase_rad: Vec<f32>,
    /// Circular dispersion of the aligned phase, `1 - R`, 0 (constant) to 1 (uniform).
    pub phase_dispersion: Vec<f32>,
    /// Tones the motion statistic uses: 1, else 0.
    pub chosen: Vec<u8>,
    /// Mean raw amplitude, the receiver's unit: the gain at calibration. 0 for RSS paths.
    pub gain: f32,
    /// Mean AGC setting, dB, where the receiver reports one.
    pub agc_db: Option<f32>,
    /// Mean received strength, dBm, where it is reported.
    pub rss_dbm: Option<f32>,
    /// Its standard deviation, dB.
    pub rss_std_db: f32,
    /// The quiet level of the motion statistic.
    pub quiet: QuietLevel,
    /// Of a further antenna of an array, by how much each tone's phase is ahead of the first antenna's, radians in (-pi, pi]; empty
    /// for all others.
    pub cross_phase_rad: Vec<f32>,
}
