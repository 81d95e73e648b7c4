//! Witness log: format, tree, checkpoint, verifier; needs no server.
//!
//! Four layers (docs/witness-format.md): the cycle record ("leaf") with its BLAKE3 witness W, the
//! RFC 6962 tree over leaf bytes, the signed checkpoint, and replay.

#![forbid(unsafe_code)]

pub mod disposition;
pub mod outcome;
