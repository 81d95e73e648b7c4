//! What moves, as a node with several receive antennas sees it: how fast the way by it grows, how long that way is, and from
//! where it comes.
//!
//! One antenna tells two people apart by their path rates alone, and they are the same twice a step. The phases of one frame
//! over antennas half a wavelength apart tell from which side each rate comes. [`Reference`] takes the empty room off a frame of all
//! antennas at once (one oscillator and one clock turn them all), [`DelayBasis`] keeps what its tones say about the length of the
//! way, and [`Arrays`] makes of a window of such frames a complex vector for each path rate.

mod basis;
mod links;
mod reference;

pub use basis::{DELAYS, DelayBasis};
pub use links::{ArraySpectrum, Arrays, RATES, TURN_TICKS};
pub use reference::Reference;

/// Most antennas of an array.
pub const ANTENNAS_MAX: usize = 4;
/// Most numbers that one frame of a link leaves: [`DELAYS`] an antenna.
pub const DIMENSIONS_MAX: usize = ANTENNAS_MAX * DELAYS;
/// Most links that are looked at.
pub const LINKS_MAX: usize = 64;
/// Numbers of a spectrum: for each dimension the real parts by rising path rate, then the imaginary ones.
pub const SPECTRUM: usize = 2 * DIMENSIONS_MAX * RATES;
