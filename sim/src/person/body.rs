//! The body that a wave meets: 13 segments that scatter and a screen that casts the shadow.

use super::{gait, script::Script};
use crate::{
    channel::{scatter::Segment, shadow::Screen},
    random::{Purpose, Stream},
    scene::Person,
    vector::Vec3,
};

/// Segments of a body: head, chest, belly; left and right of upper arm, forearm, thigh, shank, foot.
pub const SEGMENTS: usize = 13;

/// A person at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// 17 COCO joints.
    pub joints: [Vec3; 17],
    /// What scatters.
    pub segments: [Segment; SEGMENTS],
    /// What casts the shadow.
    pub screen: Screen,
    /// Place between the hips, on the floor plan, metres.
    pub at: [f64; 2],
    /// Velocity of that place, m/s.
    pub velocity_m_s: [f64; 2],
    /// 0 standing, 1 seated.
    pub seated: f64,
    /// Walks, turns, sits down or gets up; breathing alone is not moving.
    pub moving: bool,
}

impl Body {
    /// The middle of the chest.
    pub(crate) fn middle(&self) -> Vec3 {
        self.segments[1].at
    }
}

/// A person as a function of time.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) id: u32,
    height_m: f64,
    breaths_hz: f64,
    breath_m: f64,
    breath_phase: f64,
    script: Script,
}

/// Pairs of joints that limbs connect (left side; the right side is one further), radius as a fraction of height.
const LIMBS: [(usize, usize, f64); 4] = [(5, 7, 0.028), (7, 9, 0.024), (11, 13, 0.048), (13, 15, 0.034)];

impl Actor {
    pub(crate) fn new(person: &Person, seed: u64) -> Self {
        let mut random = Stream::new(seed, Purpose::Person, [u64::from(person.id), 0, 0]);
        Self {
            id: person.id,
            height_m: person.height_m,
            breaths_hz: person.breaths_min / 60.0,
            breath_m: person.breath_mm * 1e-3,
            breath_phase: random.uniform(),
            script: Script::new(person),
        }
    }

    /// The body at a time; `None` when the person is not there.
    pub(crate) fn at(&self, t_s: f64) -> Option<Body> {
        let stance = self.script.at(t_s)?;
        let route = stance.part.and_then(|p| self.script.route(p));
        let joints = gait::joints(self.height_m, &stance, route);
        let facing = [
            tapline_dsp::detmath::cos64(stance.pose.heading),
            tapline_dsp::detmath::sin64(stance.pose.heading),
        ];
        // Chest wall out and in: half the amplitude to each side of the mean.
        let breath = tapline_dsp::detmath::sin64(core::f64::consts::TAU * (self.breaths_hz * t_s + self.breath_phase));
        let h = self.height_m;
        let top_m = joints[1].z + 0.064 * h;
        Some(Body {
            segments: segments(&joints, h, facing, 0.5 * self.breath_m * breath),
            screen: Screen {
                x_m: stance.pose.x_m,
                y_m: stance.pose.y_m,
                top_m,
                breadth_m: 0.26 * h,
                depth_m: 0.15 * h,
                facing,
            },
            joints,
            at: [stance.pose.x_m, stance.pose.y_m],
            velocity_m_s: [facing[0] * stance.speed_m_s, facing[1] * stance.speed_m_s],
            seated: stance.seated,
            moving: stance.moving,
        })
    }
}

fn segments(joints: &[Vec3; 17], height_m: f64, facing: [f64; 2], breath_m: f64) -> [Segment; SEGMENTS] {
    let h = height_m;
    let middle = |a: usize, b: usize| joints[a].lerp(joints[b], 0.5);
    let (hips, shoulders, ears) = (middle(11, 12), middle(5, 6), middle(3, 4));
    let up = Vec3::new(0.0, 0.0, 1.0);
    let forward = Vec3::new(facing[0], facing[1], 0.0);
    let spine = (shoulders - hips).unit();
    let mut all = [Segment::default(); SEGMENTS];
    all[0] = Segment {
        at: ears,
        axis: up,
        half_length_m: 0.068 * h,
        radius_m: 0.05 * h,
    };
    // The chest wall moves forward and back by the breath, the belly half as much.
    all[1] = Segment {
        at: hips.lerp(shoulders, 0.75) + forward * breath_m,
        axis: spine,
        half_length_m: 0.085 * h,
        radius_m: 0.085 * h,
    };
    all[2] = Segment {
        at: hips.lerp(shoulders, 0.25) + forward * (0.5 * breath_m),
        axis: spine,
        half_length_m: 0.085 * h,
        radius_m: 0.08 * h,
    };
    for (i, (from, to, radius)) in LIMBS.into_iter().enumerate() {
        for side in 0..2 {
            let (a, b) = (joints[from + side], joints[to + side]);
            all[3 + 2 * i + side] = Segment {
                at: a.lerp(b, 0.5),
                axis: (b - a).unit(),
                half_length_m: 0.5 * (b - a).length(),
                radius_m: radius * h,
            };
        }
    }
    for side in 0..2 {
        all[11 + side] = Segment {
            at: joints[15 + side] + forward * (0.05 * h) - up * (0.02 * h),
            axis: forward,
            half_length_m: 0.076 * h,
            radius_m: 0.024 * h,
        };
    }
    all
}
