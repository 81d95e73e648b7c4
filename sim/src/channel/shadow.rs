//! What a body takes from a ray that passes near it: knife-edge diffraction at a screen.
//!
//! The body is an opaque upright rectangle across the ray, as wide as an ellipse of shoulder breadth and chest depth
//! looks from there. The Fresnel-Kirchhoff integral over what the rectangle leaves open is, by Babinet,
//!
//! ```text
//! E / E0 = 1 - (j/2) [F(u2) - F(u1)] [F(w2) - F(w1)],     u = x sqrt(2/lambda (1/d1 + 1/d2))
//! ```
//!
//! with x the distances of the four edges from the ray and d1, d2 the lengths of the way before and after: ITU-R
//! P.526-15 section 5.2 (rectangular apertures and screens). One edge alone is the knife edge of its section 4.1 (the
//! J(nu) of equation 31, -6.02 dB at grazing).

use num_complex::Complex64;

use super::{fresnel::fresnel, paths::Path};
use crate::vector::{Vec3, smoothstep};

/// A body as a ray sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Screen {
    /// Where it stands.
    pub x_m: f64,
    /// Where it stands.
    pub y_m: f64,
    /// Its top.
    pub top_m: f64,
    /// Shoulder breadth.
    pub breadth_m: f64,
    /// Chest depth.
    pub depth_m: f64,
    /// Direction it faces: cosine and sine.
    pub facing: [f64; 2],
}

/// Edges further out than this many Fresnel units do nothing; the effect fades between the two.
const FADE_FROM: f64 = 8.0;
const FADE_TO: f64 = 10.0;
/// Distance from a leg's end over which a body comes into play, metres.
const END_FADE_M: f64 = 0.3;

/// The factor on a path's amplitude.
pub(crate) fn on_path(path: &Path, screen: &Screen, wavelength_m: f64) -> Complex64 {
    let total_m: f64 = path.legs().map(|(a, b)| (b - a).length()).sum();
    let (mut factor, mut before_m) = (Complex64::new(1.0, 0.0), 0.0);
    for (a, b) in path.legs() {
        factor *= on_leg(a, b, before_m, total_m, screen, wavelength_m);
        before_m += (b - a).length();
    }
    factor
}

fn on_leg(a: Vec3, b: Vec3, before_m: f64, total_m: f64, screen: &Screen, wavelength_m: f64) -> Complex64 {
    let open = Complex64::new(1.0, 0.0);
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let level_m = (dx * dx + dy * dy).sqrt();
    let length_m = (b - a).length();
    if level_m < 0.05 {
        return open;
    }
    let (ex, ey) = (dx / level_m, dy / level_m);
    let (px, py) = (screen.x_m - a.x, screen.y_m - a.y);
    let fraction = (px * ex + py * ey) / level_m;
    let near_end_m = if fraction < 0.5 {
        fraction * level_m
    } else {
        (1.0 - fraction) * level_m
    };
    if near_end_m <= 0.0 {
        return open;
    }
    let d1 = before_m + fraction * length_m;
    let d2 = total_m - d1;
    let per_metre = (2.0 / wavelength_m * (1.0 / d1 + 1.0 / d2)).sqrt();

    let aside_m = ex * py - ey * px;
    // Facing against the ray: shoulders span it when the body looks along it.
    let along = screen.facing[0] * ex + screen.facing[1] * ey;
    let across2 = 1.0 - along * along;
    let half_m =
        0.5 * (screen.breadth_m * screen.breadth_m * along * along + screen.depth_m * screen.depth_m * across2).sqrt();
    let nearest = (aside_m.abs() - half_m) * per_metre;
    if nearest >= FADE_TO {
        return open;
    }
    let height_m = a.z + (b.z - a.z) * fraction;
    let above = (height_m - screen.top_m) * per_metre;
    if above >= FADE_TO {
        return open;
    }
    let furthest = if above > nearest { above } else { nearest };
    let fade = (1.0 - smoothstep((furthest - FADE_FROM) / (FADE_TO - FADE_FROM))) * smoothstep(near_end_m / END_FADE_M);

    let level = fresnel((aside_m + half_m) * per_metre) - fresnel((aside_m - half_m) * per_metre);
    let upright = fresnel((screen.top_m - height_m) * per_metre) - fresnel(-height_m * per_metre);
    open - Complex64::new(0.0, 0.5 * fade) * level * upright
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::material::LIGHT_M_S;

    const WAVELENGTH_M: f64 = LIGHT_M_S / 2.437e9;

    fn path(height_m: f64) -> Path {
        let mut points = [Vec3::default(); 4];
        points[0] = Vec3::new(0.0, 0.0, height_m);
        points[1] = Vec3::new(5.0, 0.0, height_m);
        Path {
            points,
            order: 0,
            delay_s: 5.0 / LIGHT_M_S,
            amplitude: Complex64::new(1.0, 0.0),
        }
    }

    fn screen(y_m: f64, breadth_m: f64, top_m: f64) -> Screen {
        Screen {
            x_m: 2.5,
            y_m,
            top_m,
            breadth_m,
            depth_m: breadth_m,
            facing: [1.0, 0.0],
        }
    }

    fn db(factor: Complex64) -> f64 {
        10.0 * libm::log10(factor.norm_sqr())
    }

    #[test]
    fn a_half_plane_is_the_knife_edge_of_p526() {
        // P.526-15, equation (31): J(nu) = 6.9 + 20 log(sqrt((nu-0.1)^2+1) + nu - 0.1), good to 0.1 dB for nu > -0.7.
        let scale = (2.0 / WAVELENGTH_M * (1.0 / 2.5 + 1.0 / 2.5)).sqrt();
        for nu in [-0.5, 0.0, 0.5, 1.0, 2.0] {
            let breadth_m = 400.0;
            let edge_m = nu / scale;
            // A very wide, very tall screen whose side edge reaches `nu` past a ray high above the floor.
            let wide = screen(edge_m - breadth_m / 2.0, breadth_m, 400.0);
            let half = {
                let u = fresnel(edge_m * scale) - fresnel((edge_m - breadth_m) * scale);
                Complex64::new(1.0, 0.0) - Complex64::new(0.0, 0.5) * u * Complex64::new(1.0, -1.0)
            };
            let j = 6.9 + 20.0 * libm::log10(((nu - 0.1) * (nu - 0.1) + 1.0_f64).sqrt() + nu - 0.1);
            assert!((db(half) + j).abs() < 0.15, "nu {nu}: {} against {}", -db(half), j);
            let real = on_path(&path(200.0), &wide, WAVELENGTH_M);
            assert!((db(real) - db(half)).abs() < 0.1, "nu {nu}: {} {}", db(real), db(half));
        }
    }

    #[test]
    fn a_person_on_the_line_costs_several_decibels_and_one_far_away_nothing() {
        let on_line = db(on_path(&path(1.2), &screen(0.0, 0.45, 1.75), WAVELENGTH_M));
        assert!((-14.0..-3.0).contains(&on_line), "{on_line} dB");
        assert_eq!(
            on_path(&path(1.2), &screen(4.0, 0.45, 1.75), WAVELENGTH_M),
            Complex64::new(1.0, 0.0)
        );
        // A ray over the head is free as well.
        let over = db(on_path(&path(1.2), &screen(0.0, 0.45, 0.2), WAVELENGTH_M));
        assert!(over.abs() < 1.0, "{over} dB");
    }

    #[test]
    fn crossing_changes_the_factor_without_a_jump() {
        let mut last: Option<Complex64> = None;
        for i in -4000..4000 {
            let f = on_path(&path(1.2), &screen(f64::from(i) * 1e-3, 0.45, 1.75), WAVELENGTH_M);
            if let Some(last) = last {
                assert!((f - last).norm_sqr().sqrt() < 0.02, "at {i} mm");
            }
            last = Some(f);
        }
    }
}
