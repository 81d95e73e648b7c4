//! What a user chooses, and the normalisation all of it is relative to.
//!
//! The tones of a link are divided by their Euclidean norm `|y|` over the measured tones, so a channel
//! with one path has `|x| = 1` and no correlation exceeds 1, whatever the receiver's gain (AGC) was.
//! `lambda`, objective and warm start live on this scale; the taps handed out are multiplied back.

/// The solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Plain iterative soft thresholding, always `max_iterations` of them: the comparison baseline.
    Ista,
    /// Accelerated with restart, ends at the gap.
    Fista,
    /// ADMM on the dual, the last steps by FISTA: for answers of many taps.
    Admm,
    /// Coordinate descent on a small set that grows; a link whose set grows too large goes on with ADMM.
    WorkingSet,
}

/// How the weight of the 1-norm is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lambda {
    /// The same for every link, on the normalised scale: a fraction of the whole channel's amplitude.
    Fixed(f32),
    /// `sigma sqrt(2 ln G)` with `sigma^2 = E|n|^2` of a complex tone: the universal threshold
    /// (Donoho and Johnstone 1994) for G columns of norm 1. Where the noise is unknown it is estimated
    /// ([`super::noise`]).
    Noise,
}

/// Settings of the stage; [`Settings::default`] is what the shipped configuration uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The solver.
    pub method: Method,
    /// The weight of the 1-norm.
    pub lambda: Lambda,
    /// Lower bound of a `lambda` found from noise: a tap this small beside the whole channel is never of
    /// use, and single precision certifies nothing far below.
    pub lambda_floor: f32,
    /// `lambda` as a fraction of the correlation of a channel of one path, where the noise is neither known
    /// nor estimable.
    pub lambda_fallback: f32,
    /// Relative duality gap to reach.
    pub gap_tolerance: f32,
    /// Iterations after which the solver gives up.
    pub max_iterations: u32,
    /// Start from the last cycle's taps.
    pub warm_start: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Fista,
            lambda: Lambda::Noise,
            lambda_floor: 1e-3,
            lambda_fallback: 0.1,
            gap_tolerance: 1e-3,
            max_iterations: 500,
            warm_start: true,
        }
    }
}
