//! The WorldGraph: what is believed about the site now, each belief with where it comes from.
//!
//! Nodes and edges have stable ids and come out in ascending order. The static part follows from the
//! configuration; the dynamic part (persons, events, occupancy) from published outcomes only, so the
//! graph never holds what the privacy class withheld. A belief that does not change extends its
//! interval instead of adding a node, and everything dynamic is bounded.

mod graph;
mod update;

pub use graph::{Edge, EdgeKind, Interval, Node, NodeId, NodeKind, Provenance};
pub use update::{Change, World};
