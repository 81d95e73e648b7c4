//! From the outside to the cycle: sockets, recordings, the checks between.

pub mod allow;
pub mod frames;
pub mod intake;
pub mod sequence;
