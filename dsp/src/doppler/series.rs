//! The last moments of one link path, frame by frame.

use borsh::{BorshDeserialize, BorshSerialize};

/// Most frames kept.
const SAMPLES_MAX: usize = 64;
/// Frames that come closer together say nothing new about people, nanoseconds.
const SPACING_NS: i64 = 15_000_000;

/// What moved, in one frame: `N` complex numbers (real, imaginary), in amplitudes of the empty room.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Sample<const N: usize> {
    /// When the frame came.
    pub time_ns: i64,
    /// One a delay filter, or [`DELAYS`](crate::bearing::DELAYS) an antenna.
    pub value: [[f32; 2]; N],
}

/// Samples of one path, ascending in time.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Series<const N: usize>(Vec<Sample<N>>);

impl<const N: usize> Default for Series<N> {
    fn default() -> Self {
        Self(Vec::with_capacity(SAMPLES_MAX))
    }
}

impl<const N: usize> Series<N> {
    /// Takes one; leaves out what comes too soon after the one before, or before it.
    pub fn push(&mut self, sample: Sample<N>) {
        if let Some(last) = self.0.last()
            && sample.time_ns.saturating_sub(last.time_ns) < SPACING_NS
        {
            return;
        }
        if self.0.len() == SAMPLES_MAX {
            self.0.remove(0);
        }
        self.0.push(sample);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Those later than `after_ns`, and not later than `until_ns`.
    pub fn between(&self, after_ns: i64, until_ns: i64) -> &[Sample<N>] {
        let from = self.0.partition_point(|s| s.time_ns <= after_ns);
        let to = self.0.partition_point(|s| s.time_ns <= until_ns);
        &self.0[from.min(to)..to]
    }

    /// Whether all numbers are finite and all times ascend; makes room for more when so.
    pub(crate) fn restored(&mut self) -> bool {
        let sound = self.0.len() <= SAMPLES_MAX
            && self.0.windows(2).all(|w| w[0].time_ns < w[1].time_ns)
            && self
                .0
                .iter()
                .flat_map(|s| s.value.as_flattened())
                .all(|v| v.is_finite());
        if sound {
            self.0.reserve_exact(SAMPLES_MAX - self.0.len());
        }
        sound
    }
}
