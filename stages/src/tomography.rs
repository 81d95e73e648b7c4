//! Stage `tomography`: [`tapline_dsp::tomography`] behind the contract.

use serde::Deserialize;
use tapline_dsp::tomography::{
    ImageGrid, Imager, ImagerConfig, L1Config, LinkSample, Method as Solve, Node, Quantity, QuietSample, ReadingConfig,
    TikhonovConfig, TomographyError, WeightModel,
};
use tapline_plugin_api::{
    Description, Method, NUMERIC_PROFILE, StageError, StageKind, TomographyMethod,
    abi_stable::std_types::{RStr, RVec},
    describe::Setup,
    geometry::{Grid, NodePosition},
    guard::code,
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary, observed},
};

/// Version of the state blob.
const STATE_SCHEMA: u32 = 2;

/// The configuration table; every key may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    method: MethodName,
    quantity: QuantityName,
    weights: WeightsName,
    excess_m: f32,
    strongest: u32,
    max_age_s: f32,
    clutter: f32,
    min_links: u32,
    sparsity: f32,
    tolerance: f32,
    max_iterations: u32,
    prior_sigma: f32,
    correlation_m: f32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MethodName {
    L1,
    Tikhonov,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QuantityName {
    Deviation,
    Attenuation,
    Change,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WeightsName {
    Ellipse,
    InverseArea,
}

impl Default for Table {
    fn default() -> Self {
        let imager = ImagerConfig::default();
        let (l1, tikhonov) = (L1Config::default(), TikhonovConfig::default());
        Self {
            method: MethodName::Tikhonov,
            quantity: QuantityName::Deviation,
            weights: WeightsName::Ellipse,
            excess_m: imager.excess_m,
            strongest: imager.reading.strongest,
            max_age_s: imager.reading.max_age_s,
            clutter: imager.reading.clutter,
            min_links: imager.min_links,
            sparsity: l1.sparsity,
            tolerance: l1.tolerance,
            max_iterations: l1.max_iterations,
            prior_sigma: tikhonov.sigma,
            correlation_m: tikhonov.correlation_m,
        }
    }
}

impl Table {
    fn imager(&self) -> Result<ImagerConfig, StageError> {
        check("excess-m", self.excess_m, 0.001, 20.0)?;
        check("max-age-s", self.max_age_s, 0.01, 60.0)?;
        check("clutter", self.clutter, 0.01, 100.0)?;
        check("sparsity", self.sparsity, 0.01, 100.0)?;
        check("tolerance", self.tolerance, 1e-6, 1.0)?;
        check("max-iterations", self.max_iterations as f32, 1.0, 10_000.0)?;
        check("prior-sigma", self.prior_sigma, 0.01, 1000.0)?;
        check("correlation-m", self.correlation_m, 0.01, 100.0)?;
        Ok(ImagerConfig {
            reading: ReadingConfig {
                quantity: match self.quantity {
                    QuantityName::Deviation => Quantity::Deviation,
                    QuantityName::Attenuation => Quantity::Attenuation,
                    QuantityName::Change => Quantity::Change,
                },
                strongest: self.strongest,
                max_age_s: self.max_age_s,
                clutter: self.clutter,
            },
            model: match self.weights {
                WeightsName::Ellipse => WeightModel::Ellipse,
                WeightsName::InverseArea => WeightModel::InverseArea,
            },
            excess_m: self.excess_m,
            method: match self.method {
                MethodName::L1 => Solve::L1(L1Config {
                    sparsity: self.sparsity,
                    tolerance: self.tolerance,
                    max_iterations: self.max_iterations,
                }),
                MethodName::Tikhonov => Solve::Tikhonov(TikhonovConfig {
                    sigma: self.prior_sigma,
                    correlation_m: self.correlation_m,
                }),
            },
            min_links: self.min_links,
        })
    }
}

/// The shipped tomography method: sparse or smooth imaging, chosen by the key `method`.
pub struct Tomography {
    imager: Imager,
    grid: Grid,
    samples: Vec<LinkSample>,
}

impl Method for Tomography {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("tomography"),
        version: RStr::from_str(env!("CARGO_PKG_VERSION")),
        stage: StageKind::Tomography,
        method: RStr::from_str(
            "radio tomographic imaging: Tikhonov with exponential prior, or L1 by an active set with certified gap",
        ),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: STATE_SCHEMA,
        uses_rustfft: false,
    };

    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        let mut blob = header(&self.grid, STATE_SCHEMA);
        self.imager
            .export_state(&mut blob)
            .map_err(|e| StageError::new(code::STATE, e.to_string()))?;
        into.extend_from_slice(&blob);
        Ok(())
    }

    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let rest = after_header(&self.grid, STATE_SCHEMA, state)?;
        self.imager
            .import_state(rest)
            .map_err(|e| StageError::new(code::STATE, e.to_string()))
    }
}

impl TomographyMethod for Tomography {
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError> {
        let config = parse::<Table>(setup)?.imager()?;
        check_links(max_links)?;
        let image_grid = image_grid(grid).map_err(|e| StageError::new(code::CONFIG, e.to_string()))?;
        Ok(Self {
            imager: Imager::new(config, image_grid, max_links as usize),
            grid: *grid,
            samples: Vec::with_capacity(max_links as usize),
        })
    }

    fn run(
        &mut self,
        input: &TomographyInput<'_>,
        output: &mut TomographyOutput<'_>,
    ) -> Result<TomographySummary, StageError> {
        if input.grid != self.grid {
            let message = format!(
                "grid: found {:?}, this instance was built for {:?}",
                input.grid, self.grid
            );
            return Err(StageError::new(code::INPUT, message));
        }
        // Bounded before it is copied: a longer list would grow the buffer.
        if input.links.len() > self.samples.capacity() {
            let found = input.links.len();
            let max = self.samples.capacity();
            return Err(input_error(&TomographyError::TooManyLinks { found, max }));
        }
        self.samples.clear();
        self.samples.extend(input.links.iter().map(link_sample));
        let nodes = input.nodes.iter().map(node);
        let summary = self
            .imager
            .image(
                nodes,
                &self.samples,
                output.mean.as_mut_slice(),
                output.variance.as_mut_slice(),
            )
            .map_err(|e| input_error(&e))?;
        Ok(TomographySummary {
            valid: u32::from(summary.valid),
            links_used: summary.links_used,
            iterations: summary.solved.iterations,
            objective: summary.solved.objective,
            relative_gap: summary.solved.relative_gap,
            reserved: 0,
        })
    }
}

fn input_error(error: &TomographyError) -> StageError {
    let code = match error {
        TomographyError::Singular => code::NUMERIC,
        _ => code::INPUT,
    };
    StageError::new(code, error.to_string())
}

/// Parses a plugin's table; unknown keys and wrong types are told with line and column.
pub(crate) fn parse<T: for<'de> Deserialize<'de>>(setup: &Setup) -> Result<T, StageError> {
    toml::from_str(setup.config_toml.as_str()).map_err(|e| StageError::new(code::CONFIG, e.to_string()))
}

/// Refuses a number outside its range, naming key, value and range.
pub(crate) fn check(key: &str, found: f32, low: f32, high: f32) -> Result<(), StageError> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(StageError::new(
        code::CONFIG,
        format!("{key} = {found}: expected {low} to {high}"),
    ))
}

/// Most link paths of a site: bounds what an instance allocates.
const MAX_LINKS: u32 = 65_536;

/// Refuses more links than any site has.
pub(crate) fn check_links(found: u32) -> Result<(), StageError> {
    if found <= MAX_LINKS {
        return Ok(());
    }
    Err(StageError::new(
        code::CONFIG,
        format!("max_links = {found}: expected at most {MAX_LINKS}"),
    ))
}

/// The contract's grid as that of the numeric code.
pub(crate) fn image_grid(grid: &Grid) -> Result<ImageGrid, TomographyError> {
    ImageGrid::new(
        [grid.origin_x_m, grid.origin_y_m, grid.origin_z_m],
        [grid.pitch_m, grid.pitch_m, grid.pitch_z_m],
        [grid.nx as usize, grid.ny as usize, grid.nz as usize],
    )
}

pub(crate) fn node(position: &NodePosition) -> Node {
    Node {
        id: position.node,
        at_m: [position.x_m, position.y_m, position.z_m],
    }
}

pub(crate) fn link_sample(link: &LinkObservation) -> LinkSample {
    let has = |bit| link.observed & bit != 0;
    LinkSample {
        tx: link.tx,
        rx: link.rx,
        quiet: has(observed::QUIET).then_some(QuietSample {
            quiet_dbm: link.quiet_dbm,
            attenuation_db: link.attenuation_db,
            noise_db: link.noise_db,
        }),
        change: has(observed::CHANGE).then_some((link.change, link.change_quiet)),
        age_s: link.age_s,
    }
}

/// What a state blob starts with: its schema and the grid it belongs to.
pub(crate) fn header(grid: &Grid, schema: u32) -> Vec<u8> {
    let floats = [
        grid.origin_x_m,
        grid.origin_y_m,
        grid.origin_z_m,
        grid.pitch_m,
        grid.pitch_z_m,
    ]
    .map(f32::to_bits);
    [schema, grid.nx, grid.ny, grid.nz]
        .iter()
        .chain(&floats)
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

/// What follows the header of [`header`], when it is that of this grid.
pub(crate) fn after_header<'a>(grid: &Grid, schema: u32, state: &'a [u8]) -> Result<&'a [u8], StageError> {
    state.strip_prefix(header(grid, schema).as_slice()).ok_or_else(|| {
        let message = format!("state: expected schema {schema} for {grid:?}, found another; start without a state");
        StageError::new(code::STATE, message)
    })
}
