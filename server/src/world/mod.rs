//! The WorldGraph: what is believed about the site now, each belief with where it comes from.
//!
//! Nodes and edges have stable ids and come out in ascending order. The static part follows from the
//! configuration; the dynamic part (persons, events, occupancy) from published outcomes only, so the
//! graph never holds what the privacy class withheld. A belief that does not change extends its
//! interval instead of adding a node, and everything dynamic is bounded. Places are metres east, north and up of the
//! site's origin, as the configuration gives them.

mod evidence;
mod fixed;
mod graph;
mod plan;
#[cfg(test)]
mod tests;
mod update;

pub use graph::{Edge, EdgeKind, Interval, Node, NodeId, NodeKind, Place, Provenance};
pub use plan::Plan;
pub use update::{Change, World};
