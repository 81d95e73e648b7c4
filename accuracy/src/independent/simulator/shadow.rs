//! What people take from a way that passes near them.
//!
//! A body is an opaque upright strip across the ray, as wide as an ellipse of its breadth and depth looks from there.
//! The Fresnel-Kirchhoff integral over it, by Babinet's principle, is what it takes of the field (ITU-R P.526,
//! rectangular screens):
//!
//! ```text
//! lost = (j/2) [F(u2) - F(u1)] [F(w2) - F(w1)],     u = x sqrt(2 (d1 + d2) / (lambda d1 d2))
//! ```
//!
//! with x the distances of its four edges from the ray, F Fresnel's integral, d1 and d2 the lengths of the wave before
//! and after. Bodies are round, so beyond 2.5 Fresnel units from the edge the ripples are faded out, to nothing at 8.

use super::{
    band::WAVELENGTH_M,
    body::Body,
    complex::Complex,
    curves::{between, fresnel, step},
    paths::Corners,
    room::Room,
    vector::Vector,
};

/// A wave is never shorter than this before or after a body, metres.
const SHORTEST_M: f64 = 0.05;
/// Within this of an end of a leg (on the level) a shadow fades, metres.
const END_M: f64 = 0.12;
/// Fresnel units beyond the edge: from here on ripples fade, to nothing at the other.
const FADE_FROM: f64 = 2.5;
const FADE_TO: f64 = 8.0;

/// Half of the integral over everything: `(1 + j) / 2` makes one of `F(inf) - F(-inf)`.
const HALF: Complex = Complex::new(0.5, 0.5);

/// Somebody who casts a shadow.
#[derive(Clone, Copy)]
pub(super) struct Obstacle<'a> {
    pub(super) body: &'a Body,
    /// 1 in the room, 0 outside: walls are in the way there.
    pub(super) inside: f64,
}

impl<'a> Obstacle<'a> {
    /// This body in the room.
    pub(super) fn new(room: &Room, body: &'a Body) -> Self {
        let Vector { x, y, .. } = body.middle;
        let [width_m, depth_m, _] = room.size_m;
        let inside_m = x.min(width_m - x).min(y).min(depth_m - y);
        Self {
            body,
            inside: step((inside_m + 0.15) / 0.3),
        }
    }

    /// What is taken of a wave from `from` to `to` that has come some way before and goes some way after.
    fn takes(&self, from: Vector, to: Vector, before_m: f64, after_m: f64) -> Complex {
        let body = self.body;
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let level_m2 = dx * dx + dy * dy;
        if level_m2 < 1e-6 {
            return Complex::ZERO;
        }
        let fraction = ((body.middle.x - from.x) * dx + (body.middle.y - from.y) * dy) / level_m2;
        if fraction <= 0.0 || fraction >= 1.0 {
            return Complex::ZERO;
        }
        let level_m = level_m2.sqrt();
        let length_m = (to - from).length();
        let (d1_m, d2_m) = (before_m + fraction * length_m, after_m + (1.0 - fraction) * length_m);
        let beside_m = ((body.middle.x - from.x) * dy - (body.middle.y - from.y) * dx) / level_m;
        let across = (dy / level_m * body.side.x - dx / level_m * body.side.y).abs();
        let half_m =
            ((body.half_breadth_m * across).powi(2) + body.half_depth_m.powi(2) * (1.0 - across * across)).sqrt();
        let units_per_m = (2.0 * (d1_m + d2_m) / (WAVELENGTH_M * d1_m.max(SHORTEST_M) * d2_m.max(SHORTEST_M))).sqrt();
        let beyond = (beside_m.abs() - half_m) * units_per_m;
        if beyond > FADE_TO {
            return Complex::ZERO;
        }
        let z_m = between(from.z, to.z, fraction);
        let level = (fresnel((half_m - beside_m) * units_per_m) - fresnel((-half_m - beside_m) * units_per_m)) * HALF;
        let upright = (fresnel((body.top_m - z_m) * units_per_m) - fresnel(-z_m * units_per_m)) * HALF;
        let ripples = 1.0 - step((beyond - FADE_FROM) / (FADE_TO - FADE_FROM));
        let ends = step(fraction.min(1.0 - fraction) * level_m / END_M);
        level * upright * (ripples * ends * self.inside)
    }
}

/// What is left of a way through these points: 1 when nobody is near.
pub(super) fn left_of(points: &[Vector], corners: Corners, obstacles: &[Obstacle<'_>]) -> Complex {
    let lengths_m = points.windows(2).map(|leg| (leg[1] - leg[0]).length());
    let total_m: f64 = lengths_m.sum();
    let mut left = Complex::ONE;
    for obstacle in obstacles {
        let mut before_m = 0.0;
        for leg in points.windows(2) {
            let length_m = (leg[1] - leg[0]).length();
            let taken = match corners {
                Corners::Mirror => obstacle.takes(leg[0], leg[1], before_m, total_m - before_m - length_m),
                Corners::Scatter => obstacle.takes(leg[0], leg[1], 0.0, 0.0),
            };
            before_m += length_m;
            left *= Complex::ONE - taken;
        }
    }
    left
}
