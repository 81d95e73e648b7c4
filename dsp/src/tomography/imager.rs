//! The imager: samples in, image out, geometry kept.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    ImageGrid, L1Config, L1Solver, LinkGeometry, LinkSample, LinkWeights, Lit, Node, Reading, ReadingConfig,
    TikhonovConfig, TikhonovSolver, TomographyError, WeightModel, reading,
};

/// How the image is solved for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Sparse and non-negative, with a certified gap.
    L1(L1Config),
    /// Smooth, with its posterior variance, in closed form.
    Tikhonov(TikhonovConfig),
}

impl Default for Method {
    fn default() -> Self {
        Self::Tikhonov(TikhonovConfig::default())
    }
}

/// All that is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImagerConfig {
    /// How readings are made.
    pub reading: ReadingConfig,
    /// Which voxels a link sees.
    pub model: WeightModel,
    /// Largest excess path of a voxel that belongs to a link, metres.
    pub excess_m: f32,
    /// How the image is solved for.
    pub method: Method,
    /// Fewest pairs of nodes with a reading for which there is an image.
    pub min_links: u32,
}

impl Default for ImagerConfig {
    fn default() -> Self {
        Self {
            reading: ReadingConfig::default(),
            model: WeightModel::Ellipse,
            excess_m: 0.1,
            method: Method::default(),
            min_links: 3,
        }
    }
}

/// How an image came about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImageSummary {
    /// False when too few links have a reading: the image is then zero and says nothing.
    pub valid: bool,
    /// Pairs of nodes used.
    pub links_used: u32,
    /// Iterations, objective, gap (gap 0 for the closed form).
    pub solved: Solved,
}

use super::Solved;

#[derive(Clone, Debug)]
enum Solver {
    L1(Box<L1Solver>),
    Tikhonov(TikhonovSolver),
}

/// What an imager remembers from cycle to cycle.
#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    nodes: Vec<Node>,
    ends: Vec<(u32, u32)>,
    /// L1: what was lit in the last image.
    warm: Option<Vec<Lit>>,
    /// Tikhonov: the variances in the factor.
    factored: Option<Vec<Option<f32>>>,
}

/// Makes images; one instance a site.
#[derive(Clone, Debug)]
pub struct Imager {
    config: ImagerConfig,
    grid: ImageGrid,
    max_links: usize,
    geometry: LinkGeometry,
    weights: LinkWeights,
    readings: Vec<Option<Reading>>,
    solver: Option<Solver>,
}

impl Imager {
    /// An imager for a grid and at most `max_links` samples a cycle.
    pub fn new(config: ImagerConfig, grid: ImageGrid, max_links: usize) -> Self {
        Self {
            config,
            grid,
            max_links,
            geometry: LinkGeometry::default(),
            weights: LinkWeights::default(),
            readings: Vec::new(),
            solver: None,
        }
    }

    /// The grid.
    pub fn grid(&self) -> &ImageGrid {
        &self.grid
    }

    /// One image. `mean` and `variance` hold one value a voxel and are filled whatever the outcome.
    ///
    /// Allocates when a node moved, a link came or went, or (Tikhonov) the set of answering links or their
    /// noise changed; otherwise not.
    ///
    /// # Errors
    /// When nodes, links or buffers break the contract, or the matrix is singular.
    pub fn image(
        &mut self,
        nodes: impl ExactSizeIterator<Item = Node> + Clone,
        samples: &[LinkSample],
        mean: &mut [f32],
        variance: &mut [f32],
    ) -> Result<ImageSummary, TomographyError> {
        for found in [mean.len(), variance.len()] {
            if found != self.grid.voxels() {
                return Err(TomographyError::Length {
                    found,
                    expected: self.grid.voxels(),
                });
            }
        }
        mean.fill(0.0);
        variance.fill(0.0);
        if samples.len() > self.max_links {
            return Err(TomographyError::TooManyLinks {
                found: samples.len(),
                max: self.max_links,
            });
        }
        if self.solver.is_none() || !self.geometry.fits(nodes.clone(), samples) {
            let nodes: Vec<_> = nodes.collect();
            self.rebuild(&nodes, samples.iter().map(|s| (s.tx, s.rx)).collect())?;
        }
        let combined = reading::combine(&self.geometry, samples, &self.config.reading, &mut self.readings);
        let links_used = self.drop_blind_links(combined);
        if links_used < self.config.min_links {
            return Ok(ImageSummary {
                links_used,
                ..ImageSummary::default()
            });
        }
        let solved = match &mut self.solver {
            Some(Solver::L1(solver)) => solver.solve(&self.readings, mean, variance),
            Some(Solver::Tikhonov(solver)) => {
                let objective = solver
                    .solve(&self.readings, mean, variance)
                    .ok_or(TomographyError::Singular)?;
                Solved {
                    objective,
                    ..Solved::default()
                }
            }
            None => Solved::default(),
        };
        Ok(ImageSummary {
            valid: true,
            links_used,
            solved,
        })
    }

    /// A link that crosses no voxel says nothing about the image.
    fn drop_blind_links(&mut self, combined: usize) -> u32 {
        let mut used = combined as u32;
        for (pair, reading) in self.readings.iter_mut().enumerate() {
            if reading.is_some() && self.weights.row(pair).0.is_empty() {
                *reading = None;
                used -= 1;
            }
        }
        used
    }

    fn rebuild(&mut self, nodes: &[Node], ends: Vec<(u32, u32)>) -> Result<(), TomographyError> {
        self.geometry = LinkGeometry::build(nodes, ends)?;
        self.weights = self
            .geometry
            .weights(&self.grid, self.config.model, self.config.excess_m);
        self.readings = vec![None; self.geometry.pairs().len()];
        self.solver = Some(match self.config.method {
            Method::L1(config) => Solver::L1(Box::new(L1Solver::new(config, &self.weights, self.grid.voxels()))),
            Method::Tikhonov(config) => Solver::Tikhonov(TikhonovSolver::new(config, &self.grid, &self.weights)),
        });
        Ok(())
    }

    /// Appends the state; see [`Self::import_state`].
    ///
    /// # Errors
    /// Never for memory writers; what the writer says otherwise.
    pub fn export_state(&self, into: &mut impl borsh::io::Write) -> borsh::io::Result<()> {
        let state = self.solver.as_ref().map(|solver| State {
            nodes: self.geometry.nodes().to_vec(),
            ends: self.geometry.ends().to_vec(),
            warm: match solver {
                Solver::L1(s) => Some(s.warm_start().to_vec()),
                Solver::Tikhonov(_) => None,
            },
            factored: match solver {
                Solver::Tikhonov(s) => Some(s.factored().to_vec()),
                Solver::L1(_) => None,
            },
        });
        borsh::to_writer(into, &state)
    }

    /// Replaces the state by one that [`Self::export_state`] wrote for the same grid and configuration:
    /// every later image has the bits it would have had without the interruption.
    ///
    /// # Errors
    /// [`TomographyError::State`], and the state is as before.
    pub fn import_state(&mut self, blob: &[u8]) -> Result<(), TomographyError> {
        let misfit = |what| TomographyError::State { what };
        let state: Option<State> = borsh::from_slice(blob).map_err(|_| misfit("the encoding"))?;
        let mut fresh = Self::new(self.config, self.grid, self.max_links);
        if let Some(state) = state {
            if state.ends.len() > self.max_links {
                return Err(misfit("the number of links"));
            }
            fresh.rebuild(&state.nodes, state.ends)?;
            let fits = match (&mut fresh.solver, state.warm, state.factored) {
                (Some(Solver::L1(s)), Some(lit), None) => s.set_warm_start(&lit),
                (Some(Solver::Tikhonov(s)), None, Some(variances)) => s.factorise(&variances),
                _ => false,
            };
            fits.then_some(()).ok_or_else(|| misfit("the solver's memory"))?;
        }
        *self = fresh;
        Ok(())
    }
}
