//! Witness log: format, tree, checkpoint, verifier; needs no server.
//!
//! Four layers (docs/witness-format.md), and the question each answers:
//!
//! | layer | module | question |
//! |---|---|---|
//! | cycle record ("leaf"), its BLAKE3 witness W, chained by `prev` | [`leaf`], [`body`], [`hash`], [`walk`] | what was decided, from what, by what code |
//! | RFC 6962 tree over leaf bytes | [`tree`], [`tile`], [`proof`] | is it in the log, is the log append-only |
//! | signed checkpoint | [`checkpoint`], [`note`], [`keyset`] | who says so |
//! | replay | the server | does the named code really produce this |
//!
//! What a leaf only commits to is encoded by [`lists`] (inputs, stages) and [`outcome`] with
//! [`outcome_codec`]; [`render`] is how an outcome is shown.

#![forbid(unsafe_code)]

pub mod body;
pub mod bundle;
pub mod checkpoint;
pub mod codec;
pub mod disposition;
pub mod hash;
pub mod keyset;
pub mod leaf;
pub mod lists;
pub mod note;
pub mod outcome;
pub mod outcome_codec;
pub mod policy;
pub mod proof;
pub mod render;
pub mod rolled;
pub mod rollup;
pub mod tile;
pub mod tree;
pub mod verify;
pub mod walk;
mod who;
