//! Antennas: short upright dipoles on boards with losses.

use std::f64::consts::PI;

use super::{band::WAVELENGTH_M, vector::Vector};

/// Gain of both ends of a link together where they face each other on the level, as an amplitude (2.3 dB).
pub(super) const GAIN: f64 = 1.3;

/// Friis' amplitude at 1 m, `gain lambda / (4 pi)` (Friis, Proc. IRE 34, 1946): over d metres it is this by d.
pub(super) const FRIIS_M: f64 = GAIN * WAVELENGTH_M / (4.0 * PI);

/// Amplitude of one end along a direction of any length: the sine of the angle to the upright.
pub(super) fn pattern(direction: Vector) -> f64 {
    direction.level_length() / direction.length().max(1e-9)
}
