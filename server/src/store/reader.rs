//! Queries over read-only connections.
