//! What walls are made of: reflection and transmission coefficients of a slab.
//!
//! Permittivity and conductivity after ITU-R P.2040-3, table 3: `eps_r = a f^b`, `sigma = c f^d` with f in GHz,
//! `eta = eps_r - j 17.98 sigma / f`. A slab of thickness d (section 2.2.2.2, "single-layer slab"):
//!
//! ```text
//! R = R' (1 - e^(-2jq)) / (1 - R'^2 e^(-2jq))       T = (1 - R'^2) e^(-jq) / (1 - R'^2 e^(-2jq))
//! q = 2 pi d / lambda * sqrt(eta - sin^2 theta)
//! ```
//!
//! R' is the Fresnel coefficient: transverse electric for upright walls, transverse magnetic for floors and ceilings,
//! because all antennas stand upright. That is exact for level paths and an approximation for slanted ones.

use num_complex::Complex64;
use tapline_dsp::detmath::{atan2_64, cos64, exp64, pow64, sin64};

use crate::scene::Scene;

/// Speed of light, m/s.
pub const LIGHT_M_S: f64 = 299_792_458.0;

/// The direction of the electric field against the plane of incidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polarisation {
    /// Across the plane of incidence (TE): an upright antenna and an upright wall.
    Across,
    /// Within the plane of incidence (TM): an upright antenna and a floor.
    Within,
}

/// A material, ready to be asked for its coefficients at the scene's carrier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Material {
    /// A homogeneous slab.
    Slab {
        /// Relative complex permittivity.
        eta: Complex64,
        /// Thickness in wavelengths.
        thickness_wavelengths: f64,
    },
    /// Fixed coefficients.
    Fixed {
        /// Amplitude reflection coefficient.
        reflection: f64,
        /// Amplitude transmission coefficient.
        transmission: f64,
    },
}

/// Name; a, b, c, d of P.2040-3 table 3; the thickness we give it, metres.
const TABLE: [(&str, [f64; 4], f64); 9] = [
    ("concrete", [5.24, 0.0, 0.0462, 0.7822], 0.20),
    ("brick", [3.91, 0.0, 0.0238, 0.16], 0.12),
    ("plasterboard", [2.73, 0.0, 0.0085, 0.9395], 0.026),
    ("wood", [1.99, 0.0, 0.0047, 1.0718], 0.03),
    ("glass", [6.31, 0.0, 0.0036, 1.3394], 0.006),
    ("ceiling-board", [1.48, 0.0, 0.0011, 1.0750], 0.015),
    ("chipboard", [2.58, 0.0, 0.0217, 0.78], 0.019),
    ("plywood", [2.71, 0.0, 0.33, 0.0], 0.018),
    ("metal", [1.0, 0.0, 1e7, 0.0], 0.002),
];

/// The materials a scene may name.
pub(crate) struct Materials {
    known: Vec<(String, Material)>,
}

impl Materials {
    /// The scene's own materials first, then the table's.
    pub(crate) fn new(scene: &Scene) -> Self {
        let ghz = scene.radio.centre_mhz / 1000.0;
        let wavelength_m = LIGHT_M_S / (scene.radio.centre_mhz * 1e6);
        let own = scene.material.iter().map(|m| {
            let material = Material::Fixed {
                reflection: m.reflection,
                transmission: m.transmission,
            };
            (m.name.clone(), material)
        });
        let table = TABLE.iter().map(|(name, [a, b, c, d], thickness_m)| {
            let (relative, sigma) = (a * pow64(ghz, *b), c * pow64(ghz, *d));
            let material = Material::Slab {
                eta: Complex64::new(relative, -17.98 * sigma / ghz),
                thickness_wavelengths: thickness_m / wavelength_m,
            };
            ((*name).to_owned(), material)
        });
        Self {
            known: own.chain(table).collect(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Material> {
        self.known.iter().find(|(known, _)| known == name).map(|(_, m)| *m)
    }

    pub(crate) fn names(&self) -> String {
        self.known
            .iter()
            .map(|(n, _)| n.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Material {
    /// Reflection and transmission coefficients at an angle of incidence given by its cosine, 0 to 1.
    ///
    /// The transmission is relative to free space over the slab's thickness, so that a ray drawn straight through
    /// keeps its geometric delay.
    pub(crate) fn coefficients(&self, cos_incidence: f64, polarisation: Polarisation) -> (Complex64, Complex64) {
        match *self {
            Self::Fixed {
                reflection,
                transmission,
            } => (Complex64::new(reflection, 0.0), Complex64::new(transmission, 0.0)),
            Self::Slab {
                eta,
                thickness_wavelengths,
            } => {
                let one = Complex64::new(1.0, 0.0);
                let inner = sqrt(eta - (1.0 - cos_incidence * cos_incidence));
                let fresnel = match polarisation {
                    Polarisation::Across => (cos_incidence - inner) / (inner + cos_incidence),
                    Polarisation::Within => (eta * cos_incidence - inner) / (eta * cos_incidence + inner),
                };
                let tau = core::f64::consts::TAU;
                let once = exp_minus_j(inner * (tau * thickness_wavelengths));
                let twice = once * once;
                let echo = one - fresnel * fresnel * twice;
                let air = exp_minus_j(Complex64::new(tau * thickness_wavelengths * cos_incidence, 0.0));
                (
                    fresnel * (one - twice) / echo,
                    (one - fresnel * fresnel) * once / echo * air.conj(),
                )
            }
        }
    }
}

/// `e^(-jz)`; an attenuation beyond 300 neper is silence.
fn exp_minus_j(z: Complex64) -> Complex64 {
    if z.im < -300.0 {
        return Complex64::new(0.0, 0.0);
    }
    let size = exp64(z.im);
    Complex64::new(size * cos64(z.re), -size * sin64(z.re))
}

/// The principal square root; for the lossy half plane (im <= 0) its imaginary part is not positive.
fn sqrt(z: Complex64) -> Complex64 {
    let size = z.norm_sqr().sqrt().sqrt();
    let half_angle = 0.5 * atan2_64(z.im, z.re);
    Complex64::new(size * cos64(half_angle), size * sin64(half_angle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Material {
        Materials::new(&Scene::builtin("demo").unwrap()).find(name).unwrap()
    }

    #[test]
    fn no_material_gives_back_more_power_than_it_gets() {
        for (name, ..) in TABLE {
            for step in 1..=20 {
                for polarisation in [Polarisation::Across, Polarisation::Within] {
                    let (r, t) = find(name).coefficients(f64::from(step) / 20.0, polarisation);
                    let sum = r.norm_sqr() + t.norm_sqr();
                    assert!(sum <= 1.0 + 1e-9, "{name} {step}: {sum}");
                }
            }
        }
    }

    #[test]
    fn metal_reflects_everything_and_grazing_incidence_does_too() {
        let (r, t) = find("metal").coefficients(1.0, Polarisation::Across);
        assert!((r.re + 1.0).abs() < 1e-3 && t.norm_sqr() < 1e-12, "{r} {t}");
        let (r, _) = find("concrete").coefficients(1e-4, Polarisation::Across);
        assert!((r.re + 1.0).abs() < 1e-3, "{r}");
    }

    #[test]
    fn a_thick_lossy_slab_is_a_half_space() {
        // Normal incidence on concrete at 2.437 GHz: (1 - sqrt(eta)) / (1 + sqrt(eta)) is about -0.39.
        let Material::Slab { eta, .. } = find("concrete") else {
            unreachable!()
        };
        let thick = Material::Slab {
            eta,
            thickness_wavelengths: 60.0,
        };
        let (r, t) = thick.coefficients(1.0, Polarisation::Across);
        let n = sqrt(eta);
        let expected = (1.0 - n) / (n + 1.0);
        assert!((r - expected).norm_sqr() < 1e-4, "{r} {expected}");
        assert!(t.norm_sqr() < 1e-3);
        assert!((-0.41..-0.37).contains(&expected.re), "{expected}");
    }

    #[test]
    fn tm_polarisation_has_a_brewster_angle() {
        // A loss-free half space reflects nothing of TM waves at tan(theta) = sqrt(eps).
        let eps: f64 = 3.66;
        let cos_brewster = 1.0 / (1.0 + eps).sqrt();
        let slab = Material::Slab {
            eta: Complex64::new(eps, 0.0),
            thickness_wavelengths: 0.3,
        };
        let (r, t) = slab.coefficients(cos_brewster, Polarisation::Within);
        assert!(r.norm_sqr() < 1e-20 && (t.norm_sqr() - 1.0).abs() < 1e-9, "{r} {t}");
    }
}
