//! The tracker's configuration: what can be set, its defaults and bounds.

use serde::Deserialize;
use tapline_dsp::tracker::{FieldConfig, JointConfig, TrackerConfig, WalkersConfig};
use tapline_plugin_api::StageError;

use crate::tomography::check;

/// The configuration table; every key may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Table {
    body_db: f32,
    fade_power: f32,
    detour_power: f32,
    quiet: f32,
    spread: f32,
    body_radius_m: f32,
    shadow: f32,
    coherence_s: f32,
    walk_m2_s: f32,
    acceleration_density: f32,
    speed_m_s: f32,
    births_per_s: f32,
    birth_anywhere: f32,
    life_s: f32,
    beyond_m: f32,
    birth: f32,
    birth_apart: f32,
    confirm: f32,
    confirm_updates: u32,
    drop: f32,
    lost_after_s: f32,
    give_up_after_s: f32,
    reid_weight: f32,
    reid_least_cosine: f32,
    reid_looks: f32,
    reid_memory_s: f32,
    pub(super) doppler: DopplerTable,
    pub(super) arrays: ArraysTable,
}

/// The table `doppler` in it: what holds where channel state information shows Doppler. `births-per-s`, `life-s`, `birth`, `confirm`
/// and what follows from them are those above.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DopplerTable {
    trust: f32,
    speed_m_s: f32,
    speed_most_m_s: f32,
    acceleration: f32,
    heading_s: f32,
    starts_and_stops_per_s: f32,
    wall: f32,
    jitter_m: f32,
    jitter_m_s: f32,
    quiet_energy: f32,
    motion: f32,
    explained: f32,
    stray: f32,
    birth_anywhere: f32,
    found_m: f32,
    apart_m: f32,
}

impl Default for DopplerTable {
    fn default() -> Self {
        let w = WalkersConfig::default();
        Self {
            trust: w.trust,
            speed_m_s: w.speed_m_s,
            speed_most_m_s: w.speed_most_m_s,
            acceleration: w.acceleration,
            heading_s: w.heading_s,
            starts_and_stops_per_s: w.starts_and_stops_per_s,
            wall: w.wall,
            jitter_m: w.jitter_m,
            jitter_m_s: w.jitter_m_s,
            quiet_energy: w.quiet_energy,
            motion: w.motion,
            explained: w.explained,
            stray: w.stray,
            birth_anywhere: w.birth_anywhere,
            found_m: w.found_m,
            apart_m: w.apart_m,
        }
    }
}

impl DopplerTable {
    pub(super) fn walkers(&self) -> Result<WalkersConfig, StageError> {
        check("doppler.trust", self.trust, 0.01, 2.0)?;
        check("doppler.speed-m-s", self.speed_m_s, 0.01, 10.0)?;
        check("doppler.speed-most-m-s", self.speed_most_m_s, 0.1, 20.0)?;
        check("doppler.acceleration", self.acceleration, 0.01, 10.0)?;
        check("doppler.heading-s", self.heading_s, 0.1, 1000.0)?;
        check(
            "doppler.starts-and-stops-per-s",
            self.starts_and_stops_per_s,
            0.001,
            10.0,
        )?;
        check("doppler.wall", self.wall, 0.0, 1000.0)?;
        check("doppler.jitter-m", self.jitter_m, 0.001, 1.0)?;
        check("doppler.jitter-m-s", self.jitter_m_s, 0.001, 1.0)?;
        check("doppler.quiet-energy", self.quiet_energy, 1.0, 1000000.0)?;
        check("doppler.motion", self.motion, 0.0, 100.0)?;
        check("doppler.explained", self.explained, 0.0, 1.0)?;
        check("doppler.stray", self.stray, 0.0, 0.5)?;
        check("doppler.birth-anywhere", self.birth_anywhere, 0.0, 1.0)?;
        check("doppler.found-m", self.found_m, 0.05, 10.0)?;
        check("doppler.apart-m", self.apart_m, 0.0, 10.0)?;
        Ok(WalkersConfig {
            trust: self.trust,
            speed_m_s: self.speed_m_s,
            speed_most_m_s: self.speed_most_m_s,
            acceleration: self.acceleration,
            heading_s: self.heading_s,
            starts_and_stops_per_s: self.starts_and_stops_per_s,
            wall: self.wall,
            jitter_m: self.jitter_m,
            jitter_m_s: self.jitter_m_s,
            quiet_energy: self.quiet_energy,
            motion: self.motion,
            explained: self.explained,
            stray: self.stray,
            birth_anywhere: self.birth_anywhere,
            found_m: self.found_m,
            apart_m: self.apart_m,
        })
    }
}

/// The table `arrays` in it: what holds where nodes have several receive antennas.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ArraysTable {
    trust: f32,
    stops_per_s: f32,
    starts_per_s: f32,
    turns_per_s: f32,
    acceleration: f32,
    speed_most_m_s: f32,
    wall: f32,
    jitter_m: f32,
    jitter_m_s: f32,
    stray: f32,
    stray_price: f32,
    birth_anywhere: f32,
    birth: f32,
    birth_by_chance: f32,
    found_m: f32,
    apart_m: f32,
}

impl Default for ArraysTable {
    fn default() -> Self {
        let j = JointConfig::default();
        Self {
            trust: j.trust,
            stops_per_s: j.stops_per_s,
            starts_per_s: j.starts_per_s,
            turns_per_s: j.turns_per_s,
            acceleration: j.acceleration,
            speed_most_m_s: j.speed_most_m_s,
            wall: j.wall,
            jitter_m: j.jitter_m,
            jitter_m_s: j.jitter_m_s,
            stray: j.stray,
            stray_price: j.stray_price,
            birth_anywhere: j.birth_anywhere,
            birth: j.birth,
            birth_by_chance: j.birth_by_chance,
            found_m: j.found_m,
            apart_m: j.apart_m,
        }
    }
}

impl ArraysTable {
    pub(super) fn joint(&self) -> Result<JointConfig, StageError> {
        check("arrays.trust", self.trust, 0.001, 0.2)?;
        check("arrays.stops-per-s", self.stops_per_s, 0.001, 10.0)?;
        check("arrays.starts-per-s", self.starts_per_s, 0.001, 10.0)?;
        check("arrays.turns-per-s", self.turns_per_s, 0.0, 10.0)?;
        check("arrays.acceleration", self.acceleration, 0.01, 10.0)?;
        check("arrays.speed-most-m-s", self.speed_most_m_s, 0.1, 20.0)?;
        check("arrays.wall", self.wall, 0.0, 1000.0)?;
        check("arrays.jitter-m", self.jitter_m, 0.001, 1.0)?;
        check("arrays.jitter-m-s", self.jitter_m_s, 0.001, 1.0)?;
        check("arrays.stray", self.stray, 0.0, 0.5)?;
        check("arrays.stray-price", self.stray_price, 0.0, 100.0)?;
        check("arrays.birth-anywhere", self.birth_anywhere, 0.0, 1.0)?;
        check("arrays.birth", self.birth, 1.0, 1000.0)?;
        check("arrays.birth-by-chance", self.birth_by_chance, 0.1, 10.0)?;
        check("arrays.found-m", self.found_m, 0.05, 10.0)?;
        check("arrays.apart-m", self.apart_m, 0.0, 10.0)?;
        Ok(JointConfig {
            trust: self.trust,
            stops_per_s: self.stops_per_s,
            starts_per_s: self.starts_per_s,
            turns_per_s: self.turns_per_s,
            acceleration: self.acceleration,
            speed_most_m_s: self.speed_most_m_s,
            wall: self.wall,
            jitter_m: self.jitter_m,
            jitter_m_s: self.jitter_m_s,
            stray: self.stray,
            stray_price: self.stray_price,
            birth_anywhere: self.birth_anywhere,
            birth: self.birth,
            birth_by_chance: self.birth_by_chance,
            found_m: self.found_m,
            apart_m: self.apart_m,
        })
    }
}

impl Default for Table {
    fn default() -> Self {
        let t = TrackerConfig::default();
        let f = t.field;
        Self {
            body_db: f.body_db,
            fade_power: f.fade_power,
            detour_power: f.detour_power,
            quiet: f.quiet,
            spread: f.spread,
            body_radius_m: f.body_radius_m,
            shadow: f.shadow,
            coherence_s: f.coherence_s,
            walk_m2_s: t.walk_m2_s,
            acceleration_density: t.acceleration_density,
            speed_m_s: t.speed_m_s,
            births_per_s: t.births_per_s,
            birth_anywhere: t.birth_anywhere,
            life_s: t.life_s,
            beyond_m: t.beyond_m,
            birth: t.birth,
            birth_apart: t.birth_apart,
            confirm: t.confirm,
            confirm_updates: t.confirm_updates,
            drop: t.drop,
            lost_after_s: t.lost_after_s,
            give_up_after_s: t.give_up_after_s,
            reid_weight: t.reid_weight,
            reid_least_cosine: t.reid_least_cosine,
            reid_looks: t.reid_looks,
            reid_memory_s: t.reid_memory_s,
            doppler: DopplerTable::default(),
            arrays: ArraysTable::default(),
        }
    }
}

impl Table {
    pub(super) fn tracker(&self) -> Result<TrackerConfig, StageError> {
        check("body-db", self.body_db, 0.01, 100.0)?;
        check("fade-power", self.fade_power, 0.0, 2.0)?;
        check("detour-power", self.detour_power, 0.0, 4.0)?;
        check("quiet", self.quiet, 0.1, 10.0)?;
        check("spread", self.spread, 0.1, 10.0)?;
        check("body-radius-m", self.body_radius_m, 0.01, 2.0)?;
        check("shadow", self.shadow, 0.0, 0.95)?;
        check("coherence-s", self.coherence_s, 0.01, 10.0)?;
        check("walk-m2-s", self.walk_m2_s, 1e-4, 10.0)?;
        check("acceleration-density", self.acceleration_density, 1e-4, 100.0)?;
        check("speed-m-s", self.speed_m_s, 0.01, 10.0)?;
        check("births-per-s", self.births_per_s, 1e-6, 10.0)?;
        check("birth-anywhere", self.birth_anywhere, 0.0, 1.0)?;
        check("life-s", self.life_s, 1.0, 1e6)?;
        check("beyond-m", self.beyond_m, 0.0, 100.0)?;
        check("birth", self.birth, 0.01, 0.99)?;
        check("birth-apart", self.birth_apart, 0.0, 10.0)?;
        check("confirm", self.confirm, 0.01, 0.99)?;
        check("confirm-updates", self.confirm_updates as f32, 1.0, 1000.0)?;
        check("drop", self.drop, 1e-4, 0.5)?;
        check("lost-after-s", self.lost_after_s, 0.05, 600.0)?;
        check("give-up-after-s", self.give_up_after_s, 0.1, 3600.0)?;
        check("reid-weight", self.reid_weight, 0.0, 1.0)?;
        check("reid-least-cosine", self.reid_least_cosine, -1.0, 1.0)?;
        check("reid-looks", self.reid_looks, 0.0, 10_000.0)?;
        check("reid-memory-s", self.reid_memory_s, 0.0, 86_400.0)?;
        Ok(TrackerConfig {
            field: FieldConfig {
                body_db: self.body_db,
                fade_power: self.fade_power,
                detour_power: self.detour_power,
                quiet: self.quiet,
                spread: self.spread,
                body_radius_m: self.body_radius_m,
                shadow: self.shadow,
                coherence_s: self.coherence_s,
            },
            walk_m2_s: self.walk_m2_s,
            acceleration_density: self.acceleration_density,
            speed_m_s: self.speed_m_s,
            births_per_s: self.births_per_s,
            birth_anywhere: self.birth_anywhere,
            life_s: self.life_s,
            beyond_m: self.beyond_m,
            birth: self.birth,
            birth_apart: self.birth_apart,
            confirm: self.confirm,
            confirm_updates: self.confirm_updates,
            drop: self.drop,
            lost_after_s: self.lost_after_s,
            give_up_after_s: self.give_up_after_s,
            reid_weight: self.reid_weight,
            reid_least_cosine: self.reid_least_cosine,
            reid_looks: self.reid_looks,
            reid_memory_s: self.reid_memory_s,
        })
    }
}
