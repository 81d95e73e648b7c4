//! The three stages seen alike: how an instance is called, and what its answer must hold to be used.

use abi_stable::std_types::RVec;
use tapline_plugin_api::{
    StageError, StageKind,
    abi::{CirBox, TomographyBox, TrackerBox},
    canonical::Canonical,
    cir::{C32, CirSummary, reason},
    guard::code,
    tomography::TomographySummary,
    tracker::{MAX_TRACKS, Track, TrackerSummary, state},
};

use super::buffers::{CirBuffers, TomographyBuffers, TrackerBuffers};

/// Why an answer is not used.
#[derive(Debug, PartialEq)]
pub(super) enum Unfit {
    /// It holds a NaN or an infinity.
    NonFinite,
    /// It breaks the contract.
    Contract(&'static str),
}

/// One of the three stage kinds.
pub(super) trait Kind: Send + 'static {
    const STAGE: StageKind;
    type Instance: Send;
    type Buffers: Send;

    /// Calls the stage on the buffers.
    fn call(instance: &mut Self::Instance, buffers: &mut Self::Buffers) -> Result<(), StageError>;
    /// Makes the answer canonical in place (−0 becomes +0) and says whether it may be used.
    fn settle(buffers: &mut Self::Buffers) -> Result<(), Unfit>;
    /// Zeroes the answer.
    fn blank(buffers: &mut Self::Buffers);
    fn export(instance: &mut Self::Instance, into: &mut RVec<u8>) -> Result<(), StageError>;
    fn import(instance: &mut Self::Instance, state: &[u8]) -> Result<(), StageError>;
}

/// The `cir` stage.
pub(super) struct Cir;
/// The `tomography` stage.
pub(super) struct Tomography;
/// The `tracker` stage.
pub(super) struct Tracker;

macro_rules! state_calls {
    () => {
        fn export(instance: &mut Self::Instance, into: &mut RVec<u8>) -> Result<(), StageError> {
            instance.export_state(into).into_result()
        }
        fn import(instance: &mut Self::Instance, state: &[u8]) -> Result<(), StageError> {
            instance.import_state(state.into()).into_result()
        }
    };
}

impl Kind for Cir {
    const STAGE: StageKind = StageKind::Cir;
    type Instance = CirBox;
    type Buffers = CirBuffers;

    fn call(instance: &mut CirBox, buffers: &mut CirBuffers) -> Result<(), StageError> {
        let (input, mut output) = buffers.parts();
        instance.run(&input, &mut output).into_result()
    }

    fn settle(buffers: &mut CirBuffers) -> Result<(), Unfit> {
        let finite = buffers.taps.canonicalise() & buffers.summaries.canonicalise();
        when(finite, Unfit::NonFinite)?;
        let valid = |s: &CirSummary| s.valid <= 1 && s.ranging_valid <= 1;
        when(
            buffers.summaries.iter().all(valid),
            Unfit::Contract("CirSummary::valid and ranging_valid are 0 or 1"),
        )?;
        let possible = |s: &CirSummary| {
            let delays = [s.dominant_delay_s, s.dominant_delay_sigma_s, s.rms_delay_spread_s];
            delays.iter().all(|d| d.abs() <= LONGEST_DELAY_S)
        };
        when(
            buffers.summaries.iter().all(possible),
            Unfit::Contract("no delay is longer than a second"),
        )
    }

    fn blank(buffers: &mut CirBuffers) {
        buffers.taps.fill(C32::default());
        buffers.summaries.fill(CirSummary {
            reason: reason::NO_INPUT,
            ..CirSummary::default()
        });
    }

    state_calls!();
}

impl Kind for Tomography {
    const STAGE: StageKind = StageKind::Tomography;
    type Instance = TomographyBox;
    type Buffers = TomographyBuffers;

    fn call(instance: &mut TomographyBox, buffers: &mut TomographyBuffers) -> Result<(), StageError> {
        let (input, mut output) = buffers.parts();
        let summary = instance.run(&input, &mut output).into_result()?;
        buffers.summary = summary;
        Ok(())
    }

    fn settle(buffers: &mut TomographyBuffers) -> Result<(), Unfit> {
        let finite = buffers.mean.canonicalise() & buffers.variance.canonicalise() & buffers.summary.canonicalise();
        when(finite, Unfit::NonFinite)?;
        when(
            buffers.summary.valid <= 1,
            Unfit::Contract("TomographySummary::valid is 0 or 1"),
        )?;
        when(
            buffers.variance.iter().all(|&v| v >= 0.0),
            Unfit::Contract("an image variance is not negative"),
        )?;
        when(
            buffers
                .mean
                .iter()
                .chain(&buffers.variance)
                .all(|&v| v.abs() <= LARGEST),
            Unfit::Contract("no voxel's mean or variance is beyond 1e12"),
        )
    }

    fn blank(buffers: &mut TomographyBuffers) {
        buffers.mean.fill(0.0);
        buffers.variance.fill(0.0);
        buffers.summary = TomographySummary::default();
    }

    state_calls!();
}

impl Kind for Tracker {
    const STAGE: StageKind = StageKind::Tracker;
    type Instance = TrackerBox;
    type Buffers = TrackerBuffers;

    fn call(instance: &mut TrackerBox, buffers: &mut TrackerBuffers) -> Result<(), StageError> {
        let (input, mut output) = buffers.parts();
        let summary = instance.run(&input, &mut output).into_result()?;
        buffers.summary = summary;
        Ok(())
    }

    fn settle(buffers: &mut TrackerBuffers) -> Result<(), Unfit> {
        let finite = buffers.tracks.canonicalise() & buffers.summary.canonicalise();
        when(finite, Unfit::NonFinite)?;
        let count = buffers.summary.count as usize;
        when(
            count <= MAX_TRACKS,
            Unfit::Contract("TrackerSummary::count is at most MAX_TRACKS"),
        )?;
        let (used, rest) = buffers.tracks.split_at(count);
        when(
            used.windows(2).all(|pair| pair[0].id < pair[1].id),
            Unfit::Contract("tracks stand in ascending id"),
        )?;
        when(
            used.iter()
                .all(|t| t.state <= state::TERMINATED && (0.0..=1.0).contains(&t.existence)),
            Unfit::Contract("a track's state is 0 to 3, its existence 0 to 1"),
        )?;
        when(
            used.iter().all(track_is_possible),
            Unfit::Contract("no place, speed or covariance of a track is beyond 1e12"),
        )?;
        when(
            rest.iter().all(|t| *t == Track::default()),
            Unfit::Contract("tracks after TrackerSummary::count are zero"),
        )
    }

    fn blank(buffers: &mut TrackerBuffers) {
        buffers.tracks.fill(Track::default());
        buffers.summary = TrackerSummary::default();
    }

    state_calls!();
}

/// Longer than any echo on Earth, seconds.
const LONGEST_DELAY_S: f32 = 1.0;
/// Larger than any place, speed, variance or voxel there can be; sums and squares of smaller numbers stay finite, so that
/// nothing that is computed from an answer later is not.
const LARGEST: f32 = 1e12;

fn track_is_possible(track: &Track) -> bool {
    let keypoints = track.keypoints.iter().flat_map(|k| k.mean.iter().chain(&k.covariance));
    let mut numbers = track.mean.iter().chain(&track.covariance).chain(keypoints);
    numbers.all(|v| v.abs() <= LARGEST)
}

fn when(holds: bool, otherwise: Unfit) -> Result<(), Unfit> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The error of a stage whose answer breaks the contract.
pub(super) fn contract_error(what: &str) -> StageError {
    StageError::new(code::OUTPUT, format!("the stage's answer breaks the contract: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapline_plugin_api::geometry::Grid;

    fn tracker() -> TrackerBuffers {
        TrackerBuffers::new(Grid::default())
    }

    #[test]
    fn a_tracker_that_breaks_the_contract_is_told_so() {
        let mut b = tracker();
        assert_eq!(Tracker::settle(&mut b), Ok(()));
        b.summary.count = MAX_TRACKS as u32 + 1;
        assert!(matches!(Tracker::settle(&mut b), Err(Unfit::Contract(_))));
        b.summary.count = 2;
        assert!(matches!(Tracker::settle(&mut b), Err(Unfit::Contract(w)) if w.contains("ascending")));
        b.tracks[1].id = 1;
        assert_eq!(Tracker::settle(&mut b), Ok(()));
        b.tracks[0].keypoints[16].covariance[5] = f32::NAN;
        assert_eq!(Tracker::settle(&mut b), Err(Unfit::NonFinite));
        Tracker::blank(&mut b);
        assert_eq!(b, tracker());
    }

    /// Finite, and yet what is computed from it would not be.
    #[test]
    fn what_no_radio_could_see_is_no_answer() {
        let mut b = tracker();
        b.summary.count = 1;
        for axis in [0, 6, 11] {
            b.tracks[0].covariance[axis] = 3e38;
        }
        assert!(matches!(Tracker::settle(&mut b), Err(Unfit::Contract(w)) if w.contains("1e12")));
        Tracker::blank(&mut b);
        b.summary.count = 1;
        b.tracks[0].keypoints[3].mean[2] = -1e30;
        assert!(matches!(Tracker::settle(&mut b), Err(Unfit::Contract(w)) if w.contains("1e12")));

        let mut image = TomographyBuffers::new(Grid {
            nx: 2,
            ny: 1,
            nz: 1,
            ..Grid::default()
        });
        image.mean.fill(3e38);
        assert!(matches!(Tomography::settle(&mut image), Err(Unfit::Contract(w)) if w.contains("voxel")));
    }
}
