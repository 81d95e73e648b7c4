//! What one part of a body sends from one direction into another.
//!
//! Physical optics in the stationary-phase limit (Knott, Shaeffer and Tuley, "Radar Cross Section", ch. 5): a cylinder
//! of length L whose section has the radius of curvature rho where it is lit has
//!
//! ```text
//! sigma = k rho L^2 cos(b/2) sinc^2(k L s / 2)
//! ```
//!
//! with b the bistatic angle and s the part of the two directions' sum along the axis, and its field is turned by a
//! quarter of pi; a sphere has `sigma = pi a^2` and no turn. The wave turns round on the surface, not in the middle.
//! Both are multiplied by the reflection of skin over fat and muscle, E along the cylinder.

use std::f64::consts::PI;

use super::{
    band::WAVENUMBER_RAD_M,
    body::{Part, Shape},
    complex::Complex,
    curves::sinc,
    vector::Vector,
};

/// Relative permittivity of skin over fat and muscle.
const SKIN: Complex = Complex::new(36.0, -10.5);
/// Nearer than this to straight through there is no point that reflects (length of the level sum of the directions).
const THROUGH: f64 = 0.02;

/// How a part scatters.
pub(super) struct Scattering {
    /// `sqrt(sigma / (4 pi))` with the field's turn, metres.
    pub(super) amplitude_m: Complex,
    /// Where the wave turns round.
    pub(super) at: Vector,
}

/// Of a part, for unit vectors from it towards both ends. None where the wave goes straight through: that is the
/// shadow's.
pub(super) fn scattering(part: &Part, to_tx: Vector, to_rx: Vector) -> Option<Scattering> {
    let sum = to_tx + to_rx;
    let along = sum.dot(part.axis);
    let flat = sum - part.axis * along;
    let across = flat.length();
    if across < THROUGH {
        return None;
    }
    let normal = flat * (1.0 / across);
    let skin = skin((0.5 * sum.length()).clamp(0.02, 1.0));
    let cylinder = |length_m: f64, curvature_m: f64, surface: Vector| {
        let root_sigma_m = (WAVENUMBER_RAD_M * curvature_m * 0.5 * across).sqrt()
            * length_m
            * sinc(0.5 * WAVENUMBER_RAD_M * length_m * along);
        Scattering {
            amplitude_m: skin * Complex::turn(PI / 4.0) * (root_sigma_m / (4.0 * PI).sqrt()),
            at: part.middle + surface,
        }
    };
    Some(match part.shape {
        Shape::Sphere { radius_m } => Scattering {
            amplitude_m: skin * (0.5 * radius_m),
            at: part.middle + sum.unit() * radius_m,
        },
        Shape::Round { length_m, radius_m } => cylinder(length_m, radius_m, normal * radius_m),
        Shape::Elliptic {
            length_m,
            side,
            half_axes_m: [a, b],
        } => {
            // Support function, point and curvature of the ellipse where its normal is `normal`.
            let other = part.axis.cross(side);
            let (nx, ny) = (normal.dot(side), normal.dot(other));
            let support_m = ((a * nx).powi(2) + (b * ny).powi(2)).sqrt();
            let surface = side * (a * a * nx / support_m) + other * (b * b * ny / support_m);
            cylinder(length_m, (a * b).powi(2) / support_m.powi(3), surface)
        }
    })
}

/// Reflection of a half space of skin, E across the plane of incidence.
fn skin(cos_incidence: f64) -> Complex {
    let cos = Complex::new(cos_incidence, 0.0);
    let root = (SKIN - Complex::new(1.0 - cos_incidence * cos_incidence, 0.0)).sqrt();
    (cos - root) / (cos + root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends in the same direction, at right angles to the axis.
    fn seen_back(shape: Shape) -> Scattering {
        let part = Part {
            middle: Vector::default(),
            axis: Vector::UP,
            shape,
            is_arm: false,
        };
        let east = Vector::new(1.0, 0.0, 0.0);
        scattering(&part, east, east).expect("it is lit")
    }

    fn sigma_m2(scattering: &Scattering) -> f64 {
        4.0 * PI * scattering.amplitude_m.power() / skin(1.0).power()
    }

    #[test]
    fn cross_sections_are_those_of_the_books() {
        let (length_m, radius_m) = (0.25, 0.05);
        let round = seen_back(Shape::Round { length_m, radius_m });
        let wanted_m2 = WAVENUMBER_RAD_M * radius_m * length_m * length_m;
        assert!((sigma_m2(&round) / wanted_m2 - 1.0).abs() < 1e-9);
        let sphere = seen_back(Shape::Sphere { radius_m });
        assert!((sigma_m2(&sphere) / (PI * radius_m * radius_m) - 1.0).abs() < 1e-9);
        assert!((sphere.at.x - radius_m).abs() < 1e-12 && (round.at.x - radius_m).abs() < 1e-12);
    }

    #[test]
    fn a_circle_is_an_ellipse_of_equal_axes() {
        let (length_m, radius_m) = (0.25, 0.12);
        let round = seen_back(Shape::Round { length_m, radius_m });
        let side = Vector::level(0.7);
        let elliptic = seen_back(Shape::Elliptic {
            length_m,
            side,
            half_axes_m: [radius_m; 2],
        });
        assert!((round.amplitude_m - elliptic.amplitude_m).magnitude() < 1e-12);
        assert!((round.at - elliptic.at).length() < 1e-12);
    }

    #[test]
    fn straight_through_nothing_reflects() {
        let part = Part {
            middle: Vector::default(),
            axis: Vector::UP,
            shape: Shape::Sphere { radius_m: 0.1 },
            is_arm: false,
        };
        let east = Vector::new(1.0, 0.0, 0.0);
        assert!(scattering(&part, east, east * -1.0).is_none());
    }
}
