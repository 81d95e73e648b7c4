//! The canonical form of what a stage wrote: −0 becomes +0, and nothing but finite numbers remains.
//!
//! The host brings every answer into this form before it is hashed and before the next stage reads it, so
//! hashed bytes and consumed bytes are the same.

use crate::{
    cir::{C32, CirSummary},
    tomography::TomographySummary,
    tracker::{Keypoint, Track, TrackerSummary},
};

/// A record with floats in it.
pub trait Canonical {
    /// Turns every −0 into +0; false when a value is a NaN or an infinity.
    fn canonicalise(&mut self) -> bool;
}

impl Canonical for f32 {
    fn canonicalise(&mut self) -> bool {
        if *self == 0.0 {
            *self = 0.0;
        }
        self.is_finite()
    }
}

impl<T: Canonical> Canonical for [T] {
    fn canonicalise(&mut self) -> bool {
        // Every element is visited even after a NaN: the buffer is canonical throughout.
        self.iter_mut().fold(true, |finite, item| item.canonicalise() & finite)
    }
}

macro_rules! by_fields {
    ($($record:ty { $($field:ident),* })*) => {$(
        impl Canonical for $record {
            fn canonicalise(&mut self) -> bool {
                $(self.$field.canonicalise())&*
            }
        }
    )*};
}

by_fields! {
    C32 { re, im }
    CirSummary {
        dominant_delay_s, dominant_delay_sigma_s, dominant_ratio, rms_delay_spread_s, k_factor_db, objective,
        relative_gap
    }
    TomographySummary { objective, relative_gap }
    TrackerSummary { people_mean, people_variance }
    Keypoint { mean, covariance, confidence }
    Track { existence, mean, covariance, keypoints }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_zero_becomes_plus_zero_and_nan_is_seen() {
        let mut values = [-0.0_f32, 1.0, -1.0];
        assert!(values.canonicalise());
        assert_eq!(values.map(f32::to_bits), [0.0_f32, 1.0, -1.0].map(f32::to_bits));
        let mut values = [f32::NAN, -0.0, f32::NEG_INFINITY];
        assert!(!values.canonicalise());
        assert_eq!(values[1].to_bits(), 0);
    }

    #[test]
    fn every_float_of_a_track_counts() {
        let mut track = Track::default();
        assert!(track.canonicalise());
        track.keypoints[16].covariance[5] = f32::INFINITY;
        assert!(!track.canonicalise());
    }
}
