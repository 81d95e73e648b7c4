//! The body that a wave meets: twelve cylinders and a sphere that scatter, and a strip that casts the shadow.
//!
//! The trunk is four upright elliptic cylinders, one on the other; each thigh, shank, upper arm and forearm is a round
//! one; the head is a sphere. Limbs swing as sines of the gait's phase, arms against legs; a foot on the floor does not
//! quite stand still. Lengths are fractions of the height.

use std::f64::consts::{PI, TAU};

use super::{
    curves::{between, step},
    person::{Person, Stance},
    vector::Vector,
};

/// One part of the body.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) middle: Vector,
    /// Unit vector along it.
    pub(super) axis: Vector,
    pub(super) shape: Shape,
    /// The trunk can hide it.
    pub(super) is_arm: bool,
}

/// What a part is like, metres.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Sphere {
        radius_m: f64,
    },
    Round {
        length_m: f64,
        radius_m: f64,
    },
    /// The first half axis is along `side`, the second across it and the part's axis.
    Elliptic {
        length_m: f64,
        side: Vector,
        half_axes_m: [f64; 2],
    },
}

/// A person as a radio sees them.
pub(super) struct Body {
    pub(super) parts: Vec<Part>,
    /// The middle of the trunk.
    pub(super) middle: Vector,
    /// The shadow's height.
    pub(super) top_m: f64,
    /// Half the breadth (along `side`) and half the depth of what casts the shadow.
    pub(super) half_breadth_m: f64,
    pub(super) half_depth_m: f64,
    /// Unit vector from shoulder to shoulder.
    pub(super) side: Vector,
    /// 0 not there, 1 there.
    pub(super) presence: f64,
}

/// The four cylinders of the trunk from below: breadth and depth by those of the person, what of the breath they show.
const TRUNK: [(f64, f64, f64); 4] = [(0.95, 1.0, 0.2), (0.86, 0.92, 1.0), (0.97, 1.0, 1.0), (1.05, 0.95, 0.8)];

/// Where limbs hang.
struct Frame<'a> {
    person: &'a Person,
    stance: &'a Stance,
    front: Vector,
    left: Vector,
    /// Between the feet, on the floor.
    foot: Vector,
    hip_z_m: f64,
    shoulder_z_m: f64,
    side: Vector,
    /// 0 standing, 1 seated, without a bend at either.
    seated: f64,
}

impl Body {
    /// A person in a stance.
    pub(super) fn new(person: &Person, stance: &Stance) -> Self {
        let height_m = person.height_m;
        let front = Vector::level(stance.heading_rad);
        let left = Vector::new(-front.y, front.x, 0.0);
        let [x_m, y_m] = stance.at_m;
        let bob_m = 0.018 * stance.gait * (2.0 * stance.gait_rad).cos();
        let seated = step(stance.seated);
        let hip_z_m = between(0.53 * height_m + bob_m, 0.50, seated);
        let twist_rad = 0.09 * stance.gait * (stance.gait_rad + PI).cos();
        let frame = Frame {
            person,
            stance,
            front,
            left,
            foot: Vector::new(x_m, y_m, 0.0) + left * (0.018 * stance.gait * stance.gait_rad.sin()),
            hip_z_m,
            shoulder_z_m: hip_z_m + 0.29 * height_m,
            side: left * twist_rad.cos() + front * twist_rad.sin(),
            seated,
        };
        let mut parts = Vec::with_capacity(13);
        frame.add_trunk(&mut parts);
        let head_z_m = frame.shoulder_z_m + 0.115 * height_m;
        parts.push(Part {
            middle: frame.above(head_z_m) + front * 0.03,
            axis: Vector::UP,
            shape: Shape::Sphere { radius_m: 0.092 },
            is_arm: false,
        });
        frame.add_limbs(&mut parts);
        Self {
            parts,
            middle: frame.above(0.5 * (hip_z_m + frame.shoulder_z_m)),
            top_m: head_z_m + 0.10,
            half_breadth_m: person.half_breadth_m + 0.05,
            half_depth_m: person.half_depth_m + 0.01,
            side: frame.side,
            presence: stance.presence,
        }
    }
}

impl Frame<'_> {
    /// The body's middle at a height: sway turns it about the ankles, most at the head.
    fn above(&self, z_m: f64) -> Vector {
        self.foot + Vector::UP * z_m + self.lean(z_m)
    }

    fn lean(&self, z_m: f64) -> Vector {
        let [x_m, y_m] = self.stance.sway_m;
        Vector::new(x_m, y_m, 0.0) * (z_m / (0.55 * self.person.height_m))
    }

    fn add_trunk(&self, parts: &mut Vec<Part>) {
        let count = TRUNK.len() as f64;
        let length_m = 0.345 * self.person.height_m / count;
        for (i, (breadth, depth, breath)) in TRUNK.into_iter().enumerate() {
            let z_m = self.hip_z_m - 0.05 * self.person.height_m + length_m * (i as f64 + 0.5);
            // The chest rises 2 to 4 mm, the belly as much.
            let rise_m = 0.0022 * self.stance.breath * breath;
            let forward_m = 0.03 * self.stance.gait * (i as f64 / count);
            parts.push(Part {
                middle: self.above(z_m) + self.front * (forward_m + 0.5 * rise_m),
                axis: Vector::UP,
                shape: Shape::Elliptic {
                    length_m,
                    side: self.side,
                    half_axes_m: [
                        self.person.half_breadth_m * breadth,
                        self.person.half_depth_m * depth + rise_m,
                    ],
                },
                is_arm: false,
            });
        }
    }

    fn add_limbs(&self, parts: &mut Vec<Part>) {
        let (height_m, stance, seated) = (self.person.height_m, self.stance, self.seated);
        // The radius is that of somebody 1.75 m tall.
        let mut limb = |from: Vector, direction: Vector, length_m: f64, radius_m: f64, is_arm: bool| {
            parts.push(Part {
                middle: from + direction * (0.5 * length_m),
                axis: direction,
                shape: Shape::Round {
                    length_m,
                    radius_m: radius_m * height_m / 1.75,
                },
                is_arm,
            });
            from + direction * length_m
        };
        // As far as the legs must swing for the stride of this speed.
        let swing_rad = 1.25 / (TAU * 0.53) * (0.45 + 0.35 * stance.speed_m_s);
        for (sign, gait_rad, fidget_rad) in [
            (1.0, stance.gait_rad, stance.fidget_rad),
            (-1.0, stance.gait_rad + PI, 0.4 * stance.fidget_rad),
        ] {
            let thigh_rad = between(swing_rad * stance.gait.min(1.0) * gait_rad.cos(), 1.42, seated);
            let bent = (-gait_rad.sin()).max(0.0).powf(1.5);
            let knee_rad = between(0.05 + 0.9 * stance.gait * bent, 1.40, seated);
            let hip = self.foot + self.left * (0.09 * sign) + Vector::UP * self.hip_z_m + self.lean(self.hip_z_m);
            let knee = limb(
                hip,
                self.hanging(thigh_rad, 0.03 * sign),
                0.245 * height_m,
                0.070,
                false,
            );
            limb(
                knee,
                self.hanging(thigh_rad - knee_rad, 0.0),
                0.246 * height_m,
                0.048,
                false,
            );
            let arm_rad = between(0.05 + 0.40 * stance.gait * (gait_rad + PI).cos(), 0.35, seated) + fidget_rad;
            let shoulder = self.foot
                + self.side * ((self.person.half_breadth_m + 0.045) * sign)
                + Vector::UP * self.shoulder_z_m
                + self.lean(self.shoulder_z_m);
            let elbow = limb(
                shoulder,
                self.hanging(arm_rad, 0.06 * sign),
                0.186 * height_m,
                0.045,
                true,
            );
            let forearm_rad = arm_rad + 0.25 + 0.2 * stance.gait + 0.9 * seated;
            limb(elbow, self.hanging(forearm_rad, 0.0), 0.22 * height_m, 0.034, true);
        }
    }

    /// The direction that hangs down, turned forward by this angle and leaning to the left by this much.
    fn hanging(&self, forward_rad: f64, leftward: f64) -> Vector {
        (self.front * forward_rad.sin() - Vector::UP * forward_rad.cos() + self.left * leftward).unit()
    }
}
