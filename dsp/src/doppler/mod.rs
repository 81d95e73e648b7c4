//! Doppler of a moving body, by pair of nodes: how fast the paths by way of it grow or shrink.
//!
//! What moves adds to the empty room's channel a part whose phase turns with the length `L` of its path,
//! `exp(-2 pi i L / lambda)`. [`Reference`] takes the empty room off a frame and leaves three numbers of that part;
//! [`Series`] keeps them for a window; [`Pairs`] makes of the window, of both directions of a pair together, the
//! power at each path rate `dL/dt`.

mod pairs;
pub(crate) mod reference;
mod series;

pub use pairs::{PairSpectrum, Pairs};
pub use reference::Reference;
pub use series::{Sample, Series};

/// Length of the window, seconds.
pub const WINDOW_S: f32 = 0.7;
/// Path rates of a spectrum.
pub const RATE_BINS: usize = 65;
/// Distance of two path rates, m/s; the middle one is zero.
pub const RATE_STEP_M_S: f32 = 0.1;
/// Delay filters of a frame.
pub const FILTERS: usize = 3;
/// Delay of each filter against the direct path, as metres of way: a body near it, in the room, and by way of a wall.
pub const FILTER_M: [f32; FILTERS] = [0.5, 3.0, 6.0];
/// Powers of a pair: for each delay filter, one a path rate.
pub const POWERS: usize = FILTERS * RATE_BINS;

/// The path rate of a bin, m/s.
pub fn rate_m_s(bin: usize) -> f32 {
    (bin as f32 - (RATE_BINS / 2) as f32) * RATE_STEP_M_S
}
