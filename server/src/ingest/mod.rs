//! From the outside to the cycle: sockets, recordings, the checks between.

mod admit;
pub mod allow;
pub mod frames;
pub mod gatekeeper;
pub mod intake;
pub mod sequence;
pub mod udp;
