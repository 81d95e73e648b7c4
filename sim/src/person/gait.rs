//! How a person holds themselves: 17 COCO joints from way, speed and posture.
//!
//! Stride length after Boulic, Magnenat-Thalmann, Thalmann ("A global human walking model with real-time kinematic
//! personification", The Visual Computer 6, 1990): `cycle length = 1.346 sqrt(v / Ht) Ht`, Ht the height of the hip.
//! Segment lengths as fractions of body height after Drillis and Contini (in Winter, "Biomechanics and Motor Control
//! of Human Movement", ch. 4). Unlike Boulic's angle curves, the legs are solved from the feet: a foot stands still on
//! the floor for half a cycle and swings to its next print for the other half, so a standing foot has no Doppler, also
//! in curves and while the speed changes. Knees follow from two-link inverse kinematics; arms swing against the legs.

use tapline_dsp::detmath::{cos64, sin64};

use super::{
    route::{Pose, Route},
    script::Stance,
};
use crate::vector::{Vec3, smoothstep};

/// The 17 COCO keypoints, in COCO order.
pub const JOINTS: [&str; 17] = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
];

// Fractions of body height.
const HIP: f64 = 0.530;
const HIP_HALF: f64 = 0.0955;
const THIGH: f64 = 0.245;
const SHANK: f64 = 0.246;
const ANKLE: f64 = 0.039;
const SHOULDER: f64 = 0.818;
const SHOULDER_HALF: f64 = 0.129;
const UPPER_ARM: f64 = 0.186;
const FOREARM: f64 = 0.146;
const EYE: f64 = 0.936;
/// Height of the hip when seated, of a usual chair.
const SEATED_HIP: f64 = 0.29;
/// Feet before the hip when seated.
const SEATED_FOOT: f64 = 0.24;
/// Speed from which the legs step fully.
const FULL_STEP_M_S: f64 = 0.4;
/// Largest lift of the ankle in swing, metres.
const LIFT_M: f64 = 0.09;

/// The frame of a body: origin between the hips on the floor, forward and left.
#[derive(Clone, Copy)]
struct Frame {
    x_m: f64,
    y_m: f64,
    forward: [f64; 2],
}

impl Frame {
    fn new(pose: Pose) -> Self {
        Self {
            x_m: pose.x_m,
            y_m: pose.y_m,
            forward: [cos64(pose.heading), sin64(pose.heading)],
        }
    }

    fn point(&self, forward_m: f64, left_m: f64, up_m: f64) -> Vec3 {
        let [fx, fy] = self.forward;
        Vec3::new(
            self.x_m + fx * forward_m - fy * left_m,
            self.y_m + fy * forward_m + fx * left_m,
            up_m,
        )
    }
}

/// Length of a full cycle (two steps), metres.
pub(crate) fn stride_m(height_m: f64, cruise_m_s: f64) -> f64 {
    let hip_m = HIP * height_m;
    1.346 * (cruise_m_s / hip_m).sqrt() * hip_m
}

/// All joints, metres in the site's frame.
pub(crate) fn joints(height_m: f64, stance: &Stance, route: Option<&Route>) -> [Vec3; 17] {
    let h = height_m;
    let frame = Frame::new(stance.pose);
    let step = smoothstep(stance.speed_m_s / FULL_STEP_M_S);
    let sit = stance.seated;
    let mix = |standing: f64, seated: f64| standing + (seated - standing) * sit;
    let stride_m = stride_m(h, stance.cruise_m_s);
    let cycle = stance.walked_m / stride_m;
    let swing = sin64(core::f64::consts::TAU * cycle);

    // Walking bends the knees a little; the trunk sinks and rises twice a cycle, lowest when both feet are down.
    let sink = 0.005 + step * (0.010 + 0.012 * (1.0 + cos64(2.0 * core::f64::consts::TAU * cycle)));
    let hip_up = mix((HIP - sink) * h, SEATED_HIP * h);
    let trunk = (SHOULDER - HIP) * h;

    let mut joints = [Vec3::default(); 17];
    for (side, sign) in [(0, 1.0), (1, -1.0)] {
        let hip = frame.point(0.02 * h * step * sign * swing, sign * HIP_HALF * h, hip_up);
        let standing = frame.point(mix(0.0, SEATED_FOOT * h), sign * HIP_HALF * h, ANKLE * h);
        let ankle = match route {
            Some(route) if step > 0.0 => standing.lerp(walking_foot(route, stance.walked_m, stride_m, sign, h), step),
            _ => standing,
        };
        let (knee, ankle) = leg(hip, ankle, frame, THIGH * h, SHANK * h);
        joints[11 + side] = hip;
        joints[13 + side] = knee;
        joints[15 + side] = ankle;

        let shoulder = frame.point(
            -0.015 * h * step * sign * swing,
            sign * SHOULDER_HALF * h,
            hip_up + trunk,
        );
        // An arm swings against the leg of its side: back when the leg is in front.
        let arm = mix(-0.45 * step * sign * swing, 0.35);
        let bend = mix(0.18 + step * (0.25 - 0.2 * sign * swing), 1.25);
        let elbow = shoulder + limb(frame, arm, UPPER_ARM * h);
        joints[5 + side] = shoulder;
        joints[7 + side] = elbow;
        joints[9 + side] = elbow + limb(frame, arm + bend, FOREARM * h);

        let up = hip_up + (EYE - HIP) * h;
        joints[1 + side] = frame.point(0.050 * h, sign * 0.018 * h, up);
        joints[3 + side] = frame.point(0.0, sign * 0.043 * h, up - 0.005 * h);
    }
    joints[0] = frame.point(0.060 * h, 0.0, hip_up + (EYE - 0.020 - HIP) * h);
    joints
}

/// A limb that hangs down at angle 0 and points forward at pi/2.
fn limb(frame: Frame, angle: f64, length_m: f64) -> Vec3 {
    let (ahead, down) = (sin64(angle) * length_m, cos64(angle) * length_m);
    Vec3::new(frame.forward[0] * ahead, frame.forward[1] * ahead, -down)
}

/// The ankle of a walking person: on its print for half a cycle around the moment the hip is above it, then in swing.
/// The left foot (`sign` +1) stands around cycle 0.25, the right around 0.75.
fn walking_foot(route: &Route, walked_m: f64, stride_m: f64, sign: f64, height_m: f64) -> Vec3 {
    let middle = 0.5 - 0.25 * sign;
    let phase = walked_m / stride_m - middle + 0.25;
    let cycle = phase.floor();
    let print = |cycle: f64| {
        let pose = route.at((cycle + middle) * stride_m);
        Frame::new(pose).point(0.0, sign * 0.6 * HIP_HALF * height_m, ANKLE * height_m)
    };
    let part = phase - cycle;
    if part < 0.5 {
        return print(cycle);
    }
    let swing = 2.0 * part - 1.0;
    let mut ankle = print(cycle).lerp(print(cycle + 1.0), smoothstep(swing));
    let lift = sin64(core::f64::consts::PI * swing);
    ankle.z += LIFT_M * lift * lift;
    ankle
}

/// Knee and ankle of a leg from hip to `target`; a target out of reach is drawn in along the leg (the heel lifts).
fn leg(hip: Vec3, target: Vec3, frame: Frame, thigh_m: f64, shank_m: f64) -> (Vec3, Vec3) {
    let reach_m = (thigh_m + shank_m) * 0.99;
    let direction = (target - hip).unit();
    let wanted_m = (target - hip).length();
    let distance_m = if wanted_m < reach_m { wanted_m } else { reach_m };
    let along_m = (distance_m * distance_m + thigh_m * thigh_m - shank_m * shank_m) / (2.0 * distance_m);
    let out2 = thigh_m * thigh_m - along_m * along_m;
    let forward = Vec3::new(frame.forward[0], frame.forward[1], 0.0);
    let out = (forward - direction * forward.dot(direction)).unit();
    let out_m = if out2 > 0.0 { out2.sqrt() } else { 0.0 };
    (hip + direction * along_m + out * out_m, hip + direction * distance_m)
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: f64 = 1.75;

    fn walking(walked_m: f64) -> (Stance, Route) {
        let route = Route::new(&[[0.0, 0.0], [6.0, 0.0], [6.0, 5.0]]);
        let stance = Stance {
            pose: route.at(walked_m),
            speed_m_s: 1.1,
            cruise_m_s: 1.1,
            walked_m,
            seated: 0.0,
            moving: true,
            part: Some(0),
        };
        (stance, route)
    }

    fn length(j: &[Vec3; 17], a: usize, b: usize) -> f64 {
        (j[a] - j[b]).length()
    }

    #[test]
    fn bones_keep_their_length_and_feet_stay_above_the_floor() {
        for i in 0..1000 {
            let (stance, route) = walking(f64::from(i) * 0.01);
            for seated in [0.0, 0.5, 1.0] {
                let stance = Stance {
                    seated,
                    speed_m_s: if seated > 0.0 { 0.0 } else { 1.1 },
                    ..stance
                };
                let j = joints(H, &stance, Some(&route));
                for side in 0..2 {
                    assert!((length(&j, 11 + side, 13 + side) - THIGH * H).abs() < 1e-9);
                    assert!((length(&j, 13 + side, 15 + side) - SHANK * H).abs() < 1e-9);
                    assert!((length(&j, 5 + side, 7 + side) - UPPER_ARM * H).abs() < 1e-9);
                    assert!((length(&j, 7 + side, 9 + side) - FOREARM * H).abs() < 1e-9);
                    assert!(j[15 + side].z > 0.03, "ankle {}", j[15 + side].z);
                }
            }
        }
    }

    #[test]
    fn joints_move_without_jumps_and_a_standing_foot_stands() {
        let (first, route) = walking(0.0);
        let mut last = joints(H, &first, Some(&route));
        let mut planted = 0;
        let n = 9000;
        for i in 1..=n {
            let (stance, route) = walking(f64::from(i) * 1e-3);
            let now = joints(H, &stance, Some(&route));
            for (a, b) in now.iter().zip(&last) {
                let moved_mm = (*a - *b).length() * 1e3;
                assert!(moved_mm < 6.0, "{moved_mm} mm for 1 mm of way");
            }
            planted += [15, 16]
                .iter()
                .filter(|k| (now[**k] - last[**k]).length() < 1e-6)
                .count();
            last = now;
        }
        // Each foot stands for half a cycle; near the ends of its stance the leg is stretched and the heel lifts.
        let share = f64::from(u32::try_from(planted).unwrap()) / f64::from(2 * n);
        assert!((0.35..=0.5).contains(&share), "share of planted steps {share}");
    }

    #[test]
    fn stride_is_that_of_boulic() {
        // 1.2 m/s at 1.75 m: 1.346 * sqrt(1.2 / 0.9275) * 0.9275 = 1.42 m.
        assert!((stride_m(H, 1.2) - 1.42).abs() < 0.005, "{}", stride_m(H, 1.2));
    }
}
