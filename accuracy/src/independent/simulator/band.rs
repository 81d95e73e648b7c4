//! The band: the tones of HT40 about one carrier, and what one way adds to each.
//!
//! Fields are `exp(+j omega t)`: a way of length d turns one by `exp(-j k d)`, exactly at every tone.

use std::f64::consts::TAU;

use super::complex::Complex;

/// Speed of light, metres a second.
pub(super) const LIGHT_M_S: f64 = 299_792_458.0;
/// Middle of the band.
pub(super) const CARRIER_HZ: f64 = 2.437e9;
/// From tone to tone.
pub(super) const SPACING_HZ: f64 = 312.5e3;
/// Wavelength of the carrier.
pub(super) const WAVELENGTH_M: f64 = LIGHT_M_S / CARRIER_HZ;
/// Wavenumber of the carrier, radians a metre.
pub(super) const WAVENUMBER_RAD_M: f64 = TAU * CARRIER_HZ / LIGHT_M_S;
/// Highest tone; the lowest is its negative.
pub(super) const LAST_TONE: i32 = 58;
/// Tones that are computed, those about the carrier that nobody sends among them.
pub(super) const TONES: usize = 117;
/// Tones that are sent.
pub(super) const SENT_TONES: usize = 114;

/// One number a tone, from the lowest tone up.
pub(super) type Tones = [Complex; TONES];

/// Response of a link: `[antenna][tone]`, field received by field sent.
pub(super) type Response = Vec<Tones>;

/// The tones that are sent: place in [`Tones`], and number.
pub(super) fn sent() -> impl Iterator<Item = (usize, i32)> {
    (-LAST_TONE..=LAST_TONE).enumerate().filter(|(_, tone)| tone.abs() >= 2)
}

/// Adds a way of this length and amplitude (at the carrier, without the turn of the way).
pub(super) fn add_way(amplitude: Complex, length_m: f64, into: &mut Tones) {
    let wavenumber_step_rad_m = TAU * SPACING_HZ / LIGHT_M_S;
    let lowest_rad_m = WAVENUMBER_RAD_M - wavenumber_step_rad_m * f64::from(LAST_TONE);
    let mut field = amplitude * Complex::turn(-lowest_rad_m * length_m);
    let step = Complex::turn(-wavenumber_step_rad_m * length_m);
    for tone in into.iter_mut() {
        *tone += field;
        field *= step;
    }
}
