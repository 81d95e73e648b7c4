//! The radios as an array: what their places can tell, how they hang together, whether their clocks and quiet levels
//! can be trusted.
//!
//! Nothing here is part of a cycle's outcome: it is what an operator is told, with reasons, so that the next node
//! goes where it helps.

pub mod changes;
pub mod clock;
pub mod geometry;
pub mod mesh;
pub mod placement;
