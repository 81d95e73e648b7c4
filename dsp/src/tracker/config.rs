//! Parameters of the tracker.

use super::FieldConfig;

/// Parameters of the tracker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerConfig {
    /// The link model.
    pub field: FieldConfig,
    /// Position variance that walking adds on each axis, square metres a second.
    pub walk_m2_s: f32,
    /// Spectral density of the white acceleration, m^2/s^3.
    pub acceleration_density: f32,
    /// Standard deviation of a newborn track's speed on each axis, m/s.
    pub speed_m_s: f32,
    /// Rate at which somebody new comes, per second.
    pub births_per_s: f32,
    /// Mean time a person stays, seconds.
    pub life_s: f32,
    /// How far outside the hull of the nodes people are looked for, metres.
    pub beyond_m: f32,
    /// Existence at which the unknown somebody becomes a tentative track.
    pub birth: f32,
    /// Share of births that can be anywhere in a room that has doors.
    pub birth_anywhere: f32,
    /// How far from every track, in standard deviations of both, the unknown somebody becomes one: nearer, it is taken
    /// for what that track leaves unexplained.
    pub birth_apart: f32,
    /// Existence at which a track is confirmed.
    pub confirm: f32,
    /// Measurements before a track is confirmed.
    pub confirm_updates: u32,
    /// Existence below which a track ends.
    pub drop: f32,
    /// Seconds without a measurement after which a track is lost.
    pub lost_after_s: f32,
    /// Seconds without a measurement after which a track ends.
    pub give_up_after_s: f32,
    /// What the signature counts for in re-identification, 0 to 1; 0 switches it off.
    pub reid_weight: f32,
    /// Cosine of two signatures below which they are not one person's.
    pub reid_least_cosine: f32,
    /// Looks that a signature rests on before it is compared: while somebody is remembered, a track waits for them
    /// before it is confirmed.
    pub reid_looks: f32,
    /// How long somebody who went is remembered, seconds.
    pub reid_memory_s: f32,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            field: FieldConfig::default(),
            walk_m2_s: 0.4,
            acceleration_density: 0.3,
            speed_m_s: 0.8,
            births_per_s: 0.02,
            life_s: 600.0,
            beyond_m: 0.5,
            birth: 0.5,
            birth_anywhere: 0.5,
            birth_apart: 2.0,
            confirm: 0.95,
            confirm_updates: 2,
            drop: 0.02,
            lost_after_s: 2.0,
            give_up_after_s: 30.0,
            reid_weight: 0.0,
            reid_least_cosine: 0.5,
            reid_looks: 60.0,
            reid_memory_s: 300.0,
        }
    }
}
