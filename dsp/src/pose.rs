//! Where a standing person's joints are when only the person's place and velocity are known.
//!
//! Nothing here is measured: the radio does not see limbs. A mean standing pose (segment heights and widths
//! as fractions of the stature: Drillis and Contini 1966, as tabulated by Winter, "Biomechanics and Motor
//! Control of Human Movement", 4th ed., fig. 4.1; the face from mean head breadth and pupil distance) is set
//! on the track's place, turned into the direction of travel as far as that is known, and given a covariance
//! that holds the track's own, the unknown heading, and the unknown posture.

use crate::detmath;

/// COCO joints.
pub const JOINTS: usize = 17;
/// Stature of the mean person, metres.
pub const STATURE_M: f32 = 1.7;
/// Radius of [`Joint::confidence`], metres.
pub const CONFIDENCE_RADIUS_M: f32 = 0.2;

/// Forward, left, up as fractions of the stature, and the posture's standard deviation on the floor, metres.
const POSE: [([f32; 3], f32); JOINTS] = [
    ([0.060, 0.000, 0.905], 0.15),  // nose
    ([0.050, 0.018, 0.936], 0.15),  // left eye
    ([0.050, -0.018, 0.936], 0.15), // right eye
    ([0.000, 0.044, 0.930], 0.15),  // left ear
    ([0.000, -0.044, 0.930], 0.15), // right ear
    ([0.000, 0.129, 0.818], 0.12),  // left shoulder
    ([0.000, -0.129, 0.818], 0.12), // right shoulder
    ([0.000, 0.140, 0.630], 0.20),  // left elbow
    ([0.000, -0.140, 0.630], 0.20), // right elbow
    ([0.000, 0.140, 0.485], 0.30),  // left wrist
    ([0.000, -0.140, 0.485], 0.30), // right wrist
    ([0.000, 0.096, 0.530], 0.10),  // left hip
    ([0.000, -0.096, 0.530], 0.10), // right hip
    ([0.000, 0.096, 0.285], 0.20),  // left knee
    ([0.000, -0.096, 0.285], 0.20), // right knee
    ([0.000, 0.096, 0.039], 0.25),  // left ankle
    ([0.000, -0.096, 0.039], 0.25), // right ankle
];

/// Standard deviation of a joint's height over its height: people differ by 4 % in stature, and who sits has
/// the head a third lower.
const HEIGHT_SPREAD: f32 = 0.2;
/// The same that does not shrink with the height, metres.
const HEIGHT_SIGMA_M: f32 = 0.05;

/// Place and velocity of a person on the floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// x, y, metres.
    pub at_m: [f32; 2],
    /// xx, xy, yy, square metres.
    pub covariance: [f32; 3],
    /// vx, vy, metres a second.
    pub velocity_m_s: [f32; 2],
    /// Its covariance, xx, xy, yy.
    pub velocity_covariance: [f32; 3],
    /// Height of the floor, metres.
    pub floor_m: f32,
}

/// One joint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Joint {
    /// x, y, z, metres.
    pub mean: [f32; 3],
    /// xx, xy, xz, yy, yz, zz, square metres.
    pub covariance: [f32; 6],
    /// Mass of this normal law within [`CONFIDENCE_RADIUS_M`] of its mean, 0 to 1, by [`ball_mass`].
    pub confidence: f32,
}

/// All joints, in COCO order.
pub fn joints(person: &Placed) -> [Joint; JOINTS] {
    let heading = Heading::of(person);
    POSE.map(|([forward, left, up], posture_m)| {
        let ([dx, dy], [hxx, hxy, hyy]) = heading.turn(forward * STATURE_M, left * STATURE_M);
        let height = up * STATURE_M;
        let height_sigma = HEIGHT_SPREAD * height + HEIGHT_SIGMA_M;
        let posture = posture_m * posture_m;
        let [xx, xy, yy] = person.covariance;
        let (xx, xy, yy) = (xx + hxx + posture, xy + hxy, yy + hyy + posture);
        let zz = height_sigma * height_sigma;
        Joint {
            mean: [person.at_m[0] + dx, person.at_m[1] + dy, person.floor_m + height],
            covariance: [xx, xy, 0.0, yy, 0.0, zz],
            confidence: ball_mass(xx, xy, yy, zz, CONFIDENCE_RADIUS_M),
        }
    })
}

/// A direction known up to a normal error of variance `sigma2`, radians squared.
struct Heading {
    cos: f32,
    sin: f32,
    sigma2: f32,
}

impl Heading {
    /// The direction of the velocity. Its error is the velocity's error across the direction, over the
    /// speed: who stands still has no known heading.
    fn of(person: &Placed) -> Self {
        let [vx, vy] = person.velocity_m_s;
        let speed2 = vx * vx + vy * vy;
        if speed2 < 1e-6 {
            return Self {
                cos: 1.0,
                sin: 0.0,
                sigma2: 50.0,
            };
        }
        let speed = speed2.sqrt();
        let (cos, sin) = (vx / speed, vy / speed);
        let [xx, xy, yy] = person.velocity_covariance;
        let across = sin * sin * xx - 2.0 * sin * cos * xy + cos * cos * yy;
        Self {
            cos,
            sin,
            sigma2: detmath::clamp(across / speed2, 0.0, 50.0),
        }
    }

    /// Mean and covariance of an offset turned by this direction: with angle error `N(0, s^2)` a vector of
    /// length r has mean length `r e^(-s^2/2)`, variance `r^2 (1 + e^(-2 s^2)) / 2` less the mean's square
    /// along itself, and `r^2 (1 - e^(-2 s^2)) / 2` across.
    fn turn(&self, forward: f32, left: f32) -> ([f32; 2], [f32; 3]) {
        let (ox, oy) = (
            self.cos * forward - self.sin * left,
            self.sin * forward + self.cos * left,
        );
        let shrink = detmath::exp(-0.5 * self.sigma2);
        let e2 = detmath::exp(-2.0 * self.sigma2);
        let along = detmath::max(0.5 * (1.0 + e2) - shrink * shrink, 0.0);
        let across = 0.5 * (1.0 - e2);
        let covariance = [
            along * ox * ox + across * oy * oy,
            (along - across) * ox * oy,
            along * oy * oy + across * ox * ox,
        ];
        ([shrink * ox, shrink * oy], covariance)
    }
}

/// Four-point Gauss-Legendre rule on 0 to 1.
const GAUSS: [(f32, f32); 4] = [
    (0.069_431_84, 0.173_927_42),
    (0.330_009_5, 0.326_072_58),
    (0.669_990_52, 0.326_072_58),
    (0.930_568_16, 0.173_927_42),
];

/// Mass of a normal law (z independent of x and y) within a ball round its mean: over z by quadrature, over
/// each disc in closed form with the round law of the same area (geometric mean of the axes). Exact when
/// the floor part is round; within 0.02 for axes up to 1 to 2.
pub fn ball_mass(xx: f32, xy: f32, yy: f32, zz: f32, radius_m: f32) -> f32 {
    let round = (detmath::max(xx * yy - xy * xy, 0.0)).sqrt();
    if round.is_nan() || zz.is_nan() || round <= 0.0 || zz <= 0.0 {
        return 0.0;
    }
    let mut mass = 0.0;
    for (at, weight) in GAUSS {
        let z2 = at * at * radius_m * radius_m;
        let disc = 1.0 - detmath::exp(-(radius_m * radius_m - z2) / (2.0 * round));
        mass += weight * disc * detmath::exp(-z2 / (2.0 * zz));
    }
    // Both halves of the ball, and the normalisation of the law of z.
    let mass = mass * 2.0 * radius_m / (core::f32::consts::TAU * zz).sqrt();
    detmath::clamp(mass, 0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(velocity_m_s: [f32; 2], velocity_variance: f32) -> Placed {
        Placed {
            at_m: [2.0, 3.0],
            covariance: [0.04, 0.0, 0.04],
            velocity_m_s,
            velocity_covariance: [velocity_variance, 0.0, velocity_variance],
            floor_m: 0.1,
        }
    }

    #[test]
    fn who_walks_east_has_the_left_shoulder_north() {
        let j = joints(&person([1.0, 0.0], 0.0));
        let [x, y, z] = j[5].mean;
        assert!((x - 2.0).abs() < 1e-6 && (y - 3.0 - 0.129 * 1.7).abs() < 1e-6 && (z - 0.1 - 0.818 * 1.7).abs() < 1e-6);
        assert!(j[0].mean[0] > 2.05);
    }

    #[test]
    fn who_stands_has_no_heading_and_wider_joints() {
        let still = joints(&person([0.0, 0.0], 0.01));
        let walking = joints(&person([1.0, 0.0], 0.001));
        for (s, w) in still.iter().zip(&walking) {
            assert!((s.mean[0] - 2.0).abs() < 1e-4 && (s.mean[1] - 3.0).abs() < 1e-4);
            assert!(s.covariance[0] + s.covariance[3] >= w.covariance[0] + w.covariance[3]);
            assert!(s.confidence <= w.confidence + 1e-6);
        }
        // Half the squared shoulder offset on each axis.
        let offset = 0.129 * 1.7_f32;
        assert!((still[5].covariance[0] - 0.04 - 0.0144 - 0.5 * offset * offset).abs() < 1e-4);
    }

    #[test]
    fn the_turned_covariance_is_that_of_sampled_headings() {
        let heading = Heading {
            cos: 0.8,
            sin: 0.6,
            sigma2: 0.3,
        };
        let (mean, covariance) = heading.turn(0.1, 0.2);
        // Midpoint quadrature over the angle error.
        let (mut w, mut m, mut c) = (0.0_f64, [0.0_f64; 2], [0.0_f64; 3]);
        for k in -4000..4000 {
            let a = (f64::from(k) + 0.5) * 1e-3;
            let p = (-a * a / 0.6).exp();
            let angle = 0.6_f64.atan2(0.8) + a;
            let (x, y) = (
                angle.cos() * 0.1 - angle.sin() * 0.2,
                angle.sin() * 0.1 + angle.cos() * 0.2,
            );
            w += p;
            m = [m[0] + p * x, m[1] + p * y];
            c = [c[0] + p * x * x, c[1] + p * x * y, c[2] + p * y * y];
        }
        let m = [m[0] / w, m[1] / w];
        let want = [c[0] / w - m[0] * m[0], c[1] / w - m[0] * m[1], c[2] / w - m[1] * m[1]];
        assert!((f64::from(mean[0]) - m[0]).abs() < 1e-4 && (f64::from(mean[1]) - m[1]).abs() < 1e-4);
        for (got, want) in covariance.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
        }
    }

    #[test]
    fn ball_mass_is_near_the_integral() {
        for [a, b, c] in [
            [0.1_f64, 0.1, 0.1],
            [0.3, 0.3, 0.3],
            [0.2, 0.4, 0.1],
            [0.15, 0.15, 0.4],
            [0.5, 0.3, 0.35],
        ] {
            let n = 60;
            let step = 0.4 / f64::from(n);
            let mut want = 0.0;
            let at = |i: i32| -0.2 + (f64::from(i) + 0.5) * step;
            for i in 0..n {
                for j in 0..n {
                    for k in 0..n {
                        let (x, y, z) = (at(i), at(j), at(k));
                        if x * x + y * y + z * z < 0.04 {
                            want += (-0.5 * ((x / a).powi(2) + (y / b).powi(2) + (z / c).powi(2))).exp();
                        }
                    }
                }
            }
            want *= step.powi(3) / ((2.0 * std::f64::consts::PI).powf(1.5) * a * b * c);
            let got = ball_mass((a * a) as f32, 0.0, (b * b) as f32, (c * c) as f32, 0.2);
            assert!((f64::from(got) - want).abs() < 0.02, "{a} {b} {c}: {got} {want}");
        }
        assert_eq!(ball_mass(0.0, 0.0, 0.0, 0.0, 0.2), 0.0);
    }
}
