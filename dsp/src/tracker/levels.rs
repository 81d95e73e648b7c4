//! Where on the floor a body disturbs which pair of nodes how much: computed once for each geometry.

use super::{FieldConfig, hull::segment_distance_m};
use crate::{
    detmath,
    tomography::{ImageGrid, LinkGeometry, excess_path_m},
};

/// Steps in which the log disturbance is kept.
pub(super) const LEVELS: usize = 128;
/// Log disturbance of level 0, and of a step.
const LOWEST: f32 = -6.0;
const STEP: f32 = 0.08;
/// Finer steps at which `ln sqrt(1 + e^(2t))` is tabulated.
const FINE: usize = 4;
const FINE_STEP: f32 = STEP / FINE as f32;
/// The table covers `t` from `-REACH` to `REACH`; below it the function is 0, above it is `t`.
const REACH: f32 = 6.0;

/// Least distance product over length, and least detour, metres: nearer, the far-field model is singular.
pub(super) const NEAR_M: f32 = 0.05;
/// Closeness to a line below which a cell is not on it.
const LEAST_CLOSENESS: f32 = 0.02;

/// The logarithmic scale of levels, with its tables.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    squared: [f32; LEVELS],
    /// `ln sqrt(1 + e^(2t))` from `-REACH` in steps of [`FINE_STEP`].
    rise: Vec<f32>,
}

impl Scale {
    /// Computes the tables.
    pub(super) fn new() -> Self {
        let points = (2.0 * REACH / FINE_STEP) as usize + 1;
        Self {
            squared: core::array::from_fn(|l| detmath::exp(2.0 * (LOWEST + STEP * l as f32))),
            rise: (0..points)
                .map(|k| 0.5 * detmath::ln_1p(detmath::exp(2.0 * (FINE_STEP * k as f32 - REACH))))
                .collect(),
        }
    }

    /// The level of a log disturbance.
    fn level(log_disturbance: f32) -> u8 {
        let level = (log_disturbance - LOWEST) / STEP + 0.5;
        detmath::clamp(level, 0.0, (LEVELS - 1) as f32) as u8
    }

    /// Squared disturbance of a level, at unit sensitivity.
    #[inline]
    pub(super) fn squared(&self, level: u8) -> f32 {
        self.squared[usize::from(level) % LEVELS]
    }

    /// For each level, by how much the disturbance lifts `ln S` above a floor, where `log_ratio` is the log
    /// of sensitivity over floor: `ln sqrt(1 + e^(2 (level + log_ratio)))`.
    pub(super) fn rises(&self, log_ratio: f32) -> [f32; LEVELS] {
        let first = (log_ratio + LOWEST + REACH) / FINE_STEP;
        let first = detmath::clamp(first, -1e6, 1e6);
        let last = self.rise.len() - 1;
        core::array::from_fn(|l| {
            let k = first + (FINE * l) as f32;
            if k <= 0.0 {
                0.0
            } else if k as usize >= last {
                k * FINE_STEP - REACH
            } else {
                self.rise[k as usize]
            }
        })
    }
}

/// Levels and lines of all pairs.
#[derive(Clone, Debug)]
pub(super) struct GeometryMap {
    floor: ImageGrid,
    levels: Vec<u8>,
    line_offsets: Vec<usize>,
    lines: Vec<(u32, f32)>,
}

impl GeometryMap {
    /// For a floor, without pairs.
    pub(super) fn empty(floor: ImageGrid) -> Self {
        Self {
            floor,
            levels: Vec::new(),
            line_offsets: vec![0],
            lines: Vec::new(),
        }
    }

    /// Computes all pairs of a geometry.
    pub(super) fn rebuild(&mut self, geometry: &LinkGeometry, config: &FieldConfig) {
        let cells = self.floor.voxels();
        self.levels.clear();
        self.lines.clear();
        self.line_offsets.truncate(1);
        // A cell stands for all places in it: half a pitch widens the body.
        let half = 0.5 * self.floor.pitch_m[0];
        let radius2 = config.body_radius_m * config.body_radius_m + half * half;
        for pair in 0..geometry.pairs().len() {
            let [a, b] = geometry.end_points(pair);
            for cell in 0..cells {
                let at = self.floor.centre(self.floor.coordinates(cell));
                self.levels
                    .push(Scale::level(self.log_disturbance(at, a, b, config.detour_power)));
                let off = segment_distance_m([at[0], at[1]], [a[0], a[1]], [b[0], b[1]]);
                let closeness = detmath::exp(-off * off / radius2);
                if closeness > LEAST_CLOSENESS {
                    self.lines.push((cell as u32, closeness));
                }
            }
            self.line_offsets.push(self.lines.len());
        }
    }

    /// `ln(l / (d1 d2)) - p ln e` at unit sensitivity.
    fn log_disturbance(&self, at: [f32; 3], a: [f32; 3], b: [f32; 3], detour_power: f32) -> f32 {
        let length = detmath::max(self.floor.distance(a, b), NEAR_M);
        let spread = self.floor.distance(at, a) * self.floor.distance(at, b) / length + NEAR_M;
        let detour = detmath::max(excess_path_m(&self.floor, at, a, b), NEAR_M);
        -detmath::ln(spread) - detour_power * detmath::ln(detour)
    }

    /// Level of each cell for a pair.
    pub(super) fn levels_of(&self, pair: u32) -> &[u8] {
        let cells = self.floor.voxels();
        &self.levels[pair as usize * cells..(pair as usize + 1) * cells]
    }

    /// Cells on the line between a pair, with their closeness to it, 0 to 1.
    pub(super) fn line_of(&self, pair: u32) -> &[(u32, f32)] {
        &self.lines[self.line_offsets[pair as usize]..self.line_offsets[pair as usize + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_are_the_function_they_tabulate() {
        let scale = Scale::new();
        for ratio in [-9.0, -2.3, 0.0, 0.7, 5.0] {
            for (l, got) in scale.rises(ratio).iter().enumerate() {
                let t = f64::from(ratio) + f64::from(LOWEST) + f64::from(STEP) * l as f64;
                let want = 0.5 * (1.0 + (2.0 * t).exp()).ln();
                assert!((f64::from(*got) - want).abs() < 0.03, "{ratio} {l}: {got} {want}");
            }
        }
    }
}
