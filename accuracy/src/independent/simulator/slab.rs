//! Walls, floor and ceiling: dielectric slabs in air.
//!
//! Reflection and transmission of a single layer after ITU-R P.2040 (section on single-layer slabs), at the carrier:
//! with r the coefficient of its face, `q = 2 pi d / lambda sqrt(eta - sin^2 theta)` and `e = exp(-2jq)`,
//! `R = r (1 - e) / (1 - r^2 e)` and `T = (1 - r^2) sqrt(e) / (1 - r^2 e)`. Materials are those of its table of
//! parameters, `sigma = c f^d` with f in GHz.
//!
//! The root of e is the one to the right of the imaginary axis, not always `exp(-jq)`: T may have the other sign. It is
//! used for people outside of the room only.

use std::f64::consts::TAU;

use super::{
    band::{CARRIER_HZ, WAVELENGTH_M},
    complex::Complex,
};

/// Permittivity of the vacuum, farad a metre.
const VACUUM_F_M: f64 = 8.854e-12;
const CARRIER_GHZ: f64 = 2.437;

/// A layer of one material.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slab {
    /// Relative permittivity.
    pub(super) permittivity: f64,
    /// Siemens a metre.
    pub(super) conductivity_s_m: f64,
    /// Metres.
    pub(super) thickness_m: f64,
}

/// How the electric field lies to the plane of incidence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Polarisation {
    /// Across it (TE): upright waves at walls.
    Across,
    /// In it (TM): upright waves at floor and ceiling.
    Within,
}

impl Slab {
    /// Brick.
    pub(super) fn brick(thickness_m: f64) -> Self {
        Self::of(3.91, 0.0238, 0.16, thickness_m)
    }

    /// Concrete.
    pub(super) fn concrete(thickness_m: f64) -> Self {
        Self::of(5.24, 0.0462, 0.7822, thickness_m)
    }

    /// Plasterboard.
    pub(super) fn plasterboard(thickness_m: f64) -> Self {
        Self::of(2.73, 0.0085, 0.9395, thickness_m)
    }

    /// Floorboard; the recommendation has it for 50 to 100 GHz only.
    pub(super) fn floorboard(thickness_m: f64) -> Self {
        Self::of(3.66, 0.0044, 1.3515, thickness_m)
    }

    fn of(permittivity: f64, conductivity_s_m: f64, exponent: f64, thickness_m: f64) -> Self {
        Self {
            permittivity,
            conductivity_s_m: conductivity_s_m * CARRIER_GHZ.powf(exponent),
            thickness_m,
        }
    }

    /// Field reflected by field arriving; `cos_incidence` is 1 for straight on.
    pub(super) fn reflection(&self, cos_incidence: f64, polarisation: Polarisation) -> Complex {
        let (face, twice) = self.face_and_two_passes(cos_incidence, polarisation);
        face * (Complex::ONE - twice) / (Complex::ONE - face * face * twice)
    }

    /// Field beyond by field arriving.
    pub(super) fn transmission(&self, cos_incidence: f64, polarisation: Polarisation) -> Complex {
        let (face, twice) = self.face_and_two_passes(cos_incidence, polarisation);
        (Complex::ONE - face * face) * twice.sqrt() / (Complex::ONE - face * face * twice)
    }

    /// Reflection of the first face, and what two passes through the slab do.
    fn face_and_two_passes(&self, cos_incidence: f64, polarisation: Polarisation) -> (Complex, Complex) {
        let cos = Complex::new(cos_incidence, 0.0);
        let permittivity = Complex::new(
            self.permittivity,
            -self.conductivity_s_m / (TAU * CARRIER_HZ * VACUUM_F_M),
        );
        let root = (permittivity - Complex::new(1.0 - cos_incidence * cos_incidence, 0.0)).sqrt();
        let face = match polarisation {
            Polarisation::Across => (cos - root) / (cos + root),
            Polarisation::Within => (permittivity * cos_incidence - root) / (permittivity * cos_incidence + root),
        };
        let twice = (Complex::new(0.0, -2.0 * TAU * self.thickness_m / WAVELENGTH_M) * root).exp();
        (face, twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slab_without_losses_does_not_reflect_goes_through() {
        let slab = Slab {
            conductivity_s_m: 0.0,
            ..Slab::concrete(0.17)
        };
        for cos in [1.0, 0.7, 0.2] {
            for polarisation in [Polarisation::Across, Polarisation::Within] {
                let sum = slab.reflection(cos, polarisation).power() + slab.transmission(cos, polarisation).power();
                assert!((sum - 1.0).abs() < 1e-9, "{cos} {polarisation:?}: {sum}");
            }
        }
    }

    #[test]
    fn air_reflects_nothing() {
        let air = Slab {
            permittivity: 1.0,
            conductivity_s_m: 0.0,
            thickness_m: 0.1,
        };
        assert!(air.reflection(0.6, Polarisation::Across).magnitude() < 1e-12);
    }
}
