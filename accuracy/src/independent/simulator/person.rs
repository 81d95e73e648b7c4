//! A person as a function of time.

use super::curves::between;

/// From moment to moment of a track, seconds.
pub(super) const MOMENT_S: f64 = 0.01;
/// In this time somebody fades in and out, far outside of the room, seconds.
pub(super) const FADE_S: f64 = 1.2;

/// A person at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stance {
    /// Between the hips, on the floor plan.
    pub(super) at_m: [f64; 2],
    /// Direction of front and way, from east towards north; it counts on beyond a turn.
    pub(super) heading_rad: f64,
    pub(super) speed_m_s: f64,
    /// Grows by a turn with each pair of steps.
    pub(super) gait_rad: f64,
    /// How much of a full gait the limbs do, 0 standing, about 1 walking.
    pub(super) gait: f64,
    /// 0 standing, 1 seated.
    pub(super) seated: f64,
    /// How far a trunk's middle sways, east and north.
    pub(super) sway_m: [f64; 2],
    /// -1.25 to 1.25, out to in.
    pub(super) breath: f64,
    /// How far an arm is lifted beyond its swing.
    pub(super) fidget_rad: f64,
    /// 0 not there yet, 1 there.
    pub(super) presence: f64,
}

/// Somebody and all their moments.
pub(super) struct Person {
    /// From 1.
    pub(super) id: u32,
    pub(super) height_m: f64,
    /// Half the breadth and half the depth of the trunk.
    pub(super) half_breadth_m: f64,
    pub(super) half_depth_m: f64,
    /// The number of the track's first moment, from the beginning of the scene.
    pub(super) first: usize,
    pub(super) track: Vec<Stance>,
}

impl Stance {
    /// Velocity that is walked; who is pushed aside moves otherwise.
    pub(super) fn velocity_m_s(&self) -> [f64; 2] {
        [
            self.speed_m_s * self.heading_rad.cos(),
            self.speed_m_s * self.heading_rad.sin(),
        ]
    }
}

impl Person {
    /// At a time of the scene; none before and after the track.
    pub(super) fn at(&self, time_s: f64) -> Option<Stance> {
        let moment = time_s / MOMENT_S - self.first as f64;
        if moment < 0.0 {
            return None;
        }
        let index = moment as usize;
        let (before, after) = (self.track.get(index)?, self.track.get(index + 1)?);
        let mix = |part: fn(&Stance) -> f64| between(part(before), part(after), moment - index as f64);
        let left_s = (self.track.len() - 1 - index) as f64 * MOMENT_S;
        Some(Stance {
            at_m: [mix(|s| s.at_m[0]), mix(|s| s.at_m[1])],
            heading_rad: mix(|s| s.heading_rad),
            speed_m_s: mix(|s| s.speed_m_s),
            gait_rad: mix(|s| s.gait_rad),
            gait: mix(|s| s.gait),
            seated: mix(|s| s.seated),
            sway_m: [mix(|s| s.sway_m[0]), mix(|s| s.sway_m[1])],
            breath: mix(|s| s.breath),
            fidget_rad: mix(|s| s.fidget_rad),
            presence: mix(|s| s.presence).min(left_s / FADE_S),
        })
    }
}
