//! Radio tomographic imaging: where in the room do the links say that something stands or moves?
//!
//! [`Imager`] takes the samples of all links and channels of a cycle, makes one [`Reading`] for each pair
//! of nodes ([`reading`]), and solves for one value and one variance a voxel by one of two methods:
//! sparse ([`l1`]) or smooth ([`tikhonov`]). All that depends on where nodes stand is computed once and
//! kept until a node moves or a link comes or goes.

mod cholesky;
mod geometry;
mod grid;
mod imager;
pub mod l1;
pub mod reading;
#[cfg(test)]
mod tests;
pub mod tikhonov;
mod weights;

pub use cholesky::Cholesky;
pub use geometry::{LinkGeometry, Node};
pub use grid::{ImageGrid, MAX_VOXELS};
pub use imager::{ImageSummary, Imager, ImagerConfig, Method};
pub use l1::{L1Config, L1Solver, Lit, Solved};
pub use reading::{LinkSample, Quantity, QuietSample, Reading, ReadingConfig};
pub use tikhonov::{TikhonovConfig, TikhonovSolver};
pub use weights::{LinkWeights, WeightModel, excess_path_m};

/// Why there is no image.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TomographyError {
    /// The grid cannot be used.
    #[error(
        "grid: {shape:?} voxels of {pitch_m:?} m found; expected finite corners, positive edges and 1 to {max} voxels"
    )]
    Grid {
        /// Voxels along x, y, z.
        shape: [usize; 3],
        /// Voxel edges, metres.
        pitch_m: [f32; 3],
        /// Most voxels allowed.
        max: usize,
    },
    /// Nodes do not ascend by id, or one stands nowhere.
    #[error("nodes: {count} found; expected ascending ids and finite positions")]
    Nodes {
        /// Nodes found.
        count: usize,
    },
    /// More links than the instance was built for.
    #[error("links: {found} found; this instance was built for at most {max}")]
    TooManyLinks {
        /// Links found.
        found: usize,
        /// Links the instance was built for.
        max: usize,
    },
    /// A buffer does not have one value a voxel.
    #[error("output: {found} values found; expected {expected}, one a voxel")]
    Length {
        /// Values found.
        found: usize,
        /// Voxels.
        expected: usize,
    },
    /// The state does not belong to this grid and configuration.
    #[error("state: {what} does not fit this grid and configuration; start without a state")]
    State {
        /// What does not fit.
        what: &'static str,
    },
    /// The normal matrix is not positive definite.
    #[error("the normal matrix is not positive definite; raise `clutter`")]
    Singular,
}
