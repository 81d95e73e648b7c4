//! Antenna gain by direction, as an amplitude factor.

use tapline_dsp::detmath::{clamp64, cos64, pow64, sin64};

use crate::{scene::Antenna, vector::Vec3};

/// Degrees to radians.
pub(crate) const DEGREE: f64 = core::f64::consts::PI / 180.0;

impl Antenna {
    /// Square root of the power gain towards `direction` (a unit vector from the antenna outwards).
    ///
    /// Dipole: `G = 1.64 (cos(pi/2 cos theta) / sin theta)^2` (Balanis, "Antenna Theory", 4.6). Patch: power falls from
    /// the lobe's gain g as `((1 + cos gamma) / 2)^n` to the gain behind b; n = g - 1, because the mean of that lobe over
    /// the sphere is `1 / (n + 1)`. A floor adds to it: the mean of the whole is `b + (g - b) / g`, and the pattern is
    /// divided by it, so that what is fed is what is radiated (Balanis, 2.5-2.9: a directivity has the mean 1).
    pub fn amplitude(&self, direction: Vec3) -> f64 {
        match *self {
            Self::Isotropic {} => 1.0,
            Self::Dipole {} => {
                let cos_theta = direction.z;
                let sin2 = 1.0 - cos_theta * cos_theta;
                if sin2 < 1e-9 {
                    return 0.0;
                }
                1.64_f64.sqrt() * cos64(core::f64::consts::FRAC_PI_2 * cos_theta) / sin2.sqrt()
            }
            Self::Patch {
                azimuth_deg,
                gain_dbi,
                back_dbi,
            } => {
                let (gain, back) = (pow64(10.0, gain_dbi / 10.0), pow64(10.0, back_dbi / 10.0));
                let angle = azimuth_deg * DEGREE;
                // Rounding may take it past the ends, and a power of a negative number is none.
                let cos_gamma = clamp64(direction.x * cos64(angle) + direction.y * sin64(angle), -1.0, 1.0);
                let n = if gain > 1.0 { gain - 1.0 } else { 0.0 };
                let shape = pow64((1.0 + cos_gamma) / 2.0, n);
                let mean = back + (gain - back) / (n + 1.0);
                ((back + (gain - back) * shape) / mean).sqrt()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean power gain over the sphere.
    fn mean_gain(antenna: Antenna) -> f64 {
        let (mut sum, n) = (0.0, 200);
        for i in 0..n {
            let z = -1.0 + (f64::from(i) + 0.5) * 2.0 / f64::from(n);
            for j in 0..n {
                let angle = (f64::from(j) + 0.5) * core::f64::consts::TAU / f64::from(n);
                let r = (1.0 - z * z).sqrt();
                let a = antenna.amplitude(Vec3::new(r * cos64(angle), r * sin64(angle), z));
                sum += a * a;
            }
        }
        sum / f64::from(n * n)
    }

    #[test]
    fn no_antenna_radiates_more_than_it_gets() {
        assert!((mean_gain(Antenna::Isotropic {}) - 1.0).abs() < 1e-12);
        assert!(
            (mean_gain(Antenna::Dipole {}) - 1.0).abs() < 0.01,
            "{}",
            mean_gain(Antenna::Dipole {})
        );
        for back_dbi in [-60.0, -10.0, 0.0, 6.0] {
            let patch = Antenna::Patch {
                azimuth_deg: 30.0,
                gain_dbi: 6.0,
                back_dbi,
            };
            assert!(
                (mean_gain(patch) - 1.0).abs() < 0.01,
                "{back_dbi} dBi: {}",
                mean_gain(patch)
            );
        }
    }

    #[test]
    fn straight_behind_a_patch_is_a_number() {
        let patch = Antenna::Patch {
            azimuth_deg: 225.0,
            gain_dbi: 5.0,
            back_dbi: -60.0,
        };
        let behind = patch.amplitude((Vec3::new(3.45, 2.95, 1.0) - Vec3::new(3.0, 2.5, 1.0)).unit());
        assert!(behind > 0.0 && behind < 1.1e-3, "{behind}");
    }

    #[test]
    fn lobes_point_where_they_should() {
        let patch = Antenna::Patch {
            azimuth_deg: 90.0,
            gain_dbi: 6.0,
            back_dbi: -10.0,
        };
        let north = patch.amplitude(Vec3::new(0.0, 1.0, 0.0));
        let south = patch.amplitude(Vec3::new(0.0, -1.0, 0.0));
        // Floor and lobe together: mean 0.1 + (10^0.6 - 0.1) / 10^0.6 before it is divided out, 0.31 dB.
        let mean_db = 10.0 * libm::log10(1.1 - 0.1 / libm::pow(10.0, 0.6));
        assert!((20.0 * libm::log10(north) - 6.0 + mean_db).abs() < 1e-9);
        assert!((20.0 * libm::log10(south) + 10.0 + mean_db).abs() < 1e-9);
        assert_eq!(Antenna::Dipole {}.amplitude(Vec3::new(0.0, 0.0, 1.0)), 0.0);
    }
}
