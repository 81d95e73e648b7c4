//! The smallest complete plugin: copy this crate to start your own (docs/plugins.md walks through it).
//!
//! It is a `tomography` stage by back-projection. Each link whose short-time change exceeds its quiet level
//! spreads that excess evenly over the voxels inside an ellipse round its two nodes; a voxel's value is the mean
//! over the links that see it, smoothed over time. Mean: change over quiet change, minus one. Variance: of that
//! mean, if each link's value had variance 1; [`UNSEEN_VARIANCE`] where no link looks.
//! Cost: links x voxels. Method: Wilson and Patwari, "Radio Tomographic Imaging", IEEE TMC 9(5), 2010, the
//! ellipse weights of section 3; back-projection in place of their regularised inverse.

#![forbid(unsafe_code)]

use tapline_plugin_api::{
    Description, Method, NUMERIC_PROFILE, StageError, StageKind, TomographyMethod,
    abi_stable::std_types::{RStr, RVec},
    describe::Setup,
    detmath, export_plugin,
    geometry::{Grid, NodePosition},
    guard::code,
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary, observed},
};

// One line makes the crate a plugin: the exported symbols, the panic guard, the counting allocator.
export_plugin!(tomography: BackProjection);

/// Variance of a voxel that no link looks at.
pub const UNSEEN_VARIANCE: f32 = 100.0;
/// Excess beyond this says nothing more, and a sum of such stays finite.
const EXCESS_MAX: f32 = 1e3;

/// The plugin's own table in the configuration.
#[derive(Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// A voxel is inside when the way over it is at most this much longer than the direct one, metres.
    ellipse_m: f32,
    /// Weight of the new image in the smoothed one, 0 to 1.
    smoothing: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ellipse_m: 0.5,
            smoothing: 0.2,
        }
    }
}

/// An instance: serves one site, holds the smoothed image.
pub struct BackProjection {
    config: Config,
    grid: Grid,
    max_links: usize,
    image: Vec<f32>,
}

impl Method for BackProjection {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("minimal"),
        version: RStr::from_str(env!("CARGO_PKG_VERSION")),
        stage: StageKind::Tomography,
        method: RStr::from_str("back-projection of link change over ellipses (Wilson and Patwari 2010)"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    };

    /// The image, one little-endian `f32` a voxel.
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        for value in &self.image {
            into.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let (values, rest) = state.as_chunks::<4>();
        let finite = values.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite());
        // Checked whole before anything changes: a refused blob leaves the state as it was.
        if values.len() != self.image.len() || !rest.is_empty() || !finite {
            let expected = 4 * self.image.len();
            let message = format!(
                "expected {expected} bytes of finite numbers, found {} bytes",
                state.len()
            );
            return Err(StageError::new(code::STATE, message));
        }
        for (value, bytes) in self.image.iter_mut().zip(values) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }
}

impl TomographyMethod for BackProjection {
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError> {
        let wrong = |message: String| StageError::new(code::CONFIG, message);
        let config: Config = toml::from_str(&setup.config_toml).map_err(|e| wrong(e.to_string()))?;
        if !(0.01..=10.0).contains(&config.ellipse_m) {
            return Err(wrong(format!(
                "ellipse_m is {}, allowed is 0.01 to 10",
                config.ellipse_m
            )));
        }
        if !(0.0..=1.0).contains(&config.smoothing) {
            return Err(wrong(format!("smoothing is {}, allowed is 0 to 1", config.smoothing)));
        }
        Ok(Self {
            config,
            grid: *grid,
            max_links: max_links as usize,
            image: vec![0.0; grid.voxels()],
        })
    }

    fn run(
        &mut self,
        input: &TomographyInput<'_>,
        output: &mut TomographyOutput<'_>,
    ) -> Result<TomographySummary, StageError> {
        self.check(input, output)?;
        let nodes = input.nodes.as_slice();
        let evidence = || input.links.iter().filter_map(|link| Evidence::of(link, nodes));
        let links_used = evidence().count() as u32;
        for (voxel, (mean, variance)) in output.mean.iter_mut().zip(output.variance.iter_mut()).enumerate() {
            let at = self.centre(voxel);
            let (mut sum, mut seen_by) = (0.0, 0.0);
            // In the order of the links, always: the order of a float sum is part of its bits.
            for link in evidence().filter(|link| link.way_over(at) <= self.config.ellipse_m) {
                sum += link.excess;
                seen_by += 1.0;
            }
            let now = if seen_by > 0.0 { sum / seen_by } else { 0.0 };
            let smoothed = &mut self.image[voxel];
            *smoothed += self.config.smoothing * (now - *smoothed);
            *mean = *smoothed;
            *variance = if seen_by > 0.0 { 1.0 / seen_by } else { UNSEEN_VARIANCE };
        }
        Ok(TomographySummary {
            valid: u32::from(links_used > 0),
            links_used,
            iterations: 1,
            ..TomographySummary::default()
        })
    }
}

impl BackProjection {
    /// What the host promised when it built the instance, checked before anything is indexed by it.
    fn check(&self, input: &TomographyInput<'_>, output: &TomographyOutput<'_>) -> Result<(), StageError> {
        let voxels = self.image.len();
        let (mean, variance) = (output.mean.len(), output.variance.len());
        if input.grid == self.grid && mean == voxels && variance == voxels && input.links.len() <= self.max_links {
            return Ok(());
        }
        let message = format!(
            "expected {:?}, {voxels} voxels and at most {} links, found {:?}, {mean} means, {variance} variances and {} links",
            self.grid,
            self.max_links,
            input.grid,
            input.links.len()
        );
        Err(StageError::new(code::INPUT, message))
    }

    /// Centre of a voxel, metres.
    fn centre(&self, voxel: usize) -> [f32; 3] {
        let (nx, ny) = (self.grid.nx as usize, self.grid.ny as usize);
        let (ix, iy, iz) = (voxel % nx, voxel / nx % ny, voxel / nx / ny);
        [
            self.grid.origin_x_m + (ix as f32 + 0.5) * self.grid.pitch_m,
            self.grid.origin_y_m + (iy as f32 + 0.5) * self.grid.pitch_m,
            self.grid.origin_z_m + (iz as f32 + 0.5) * self.grid.pitch_z_m,
        ]
    }
}

/// A link that says something.
struct Evidence {
    from: [f32; 3],
    to: [f32; 3],
    excess: f32,
}

impl Evidence {
    /// None when the link has no change, no quiet level, or an end that is nowhere.
    fn of(link: &LinkObservation, nodes: &[NodePosition]) -> Option<Self> {
        if link.observed & observed::CHANGE == 0 || link.change_quiet <= 0.0 {
            return None;
        }
        let place = |node: u32| {
            let at = nodes.binary_search_by_key(&node, |n| n.node).ok()?;
            let place = [nodes[at].x_m, nodes[at].y_m, nodes[at].z_m];
            place.iter().all(|v| v.is_finite()).then_some(place)
        };
        let ratio = link.change / link.change_quiet;
        let excess = ratio
            .is_finite()
            .then(|| detmath::clamp(ratio - 1.0, 0.0, EXCESS_MAX))?;
        Some(Self {
            from: place(link.tx)?,
            to: place(link.rx)?,
            excess,
        })
    }

    /// How much longer the way over this point is than the direct one, metres.
    fn way_over(&self, at: [f32; 3]) -> f32 {
        distance(self.from, at) + distance(at, self.to) - distance(self.from, self.to)
    }
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    let [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    (x * x + y * y + z * z).sqrt()
}
