//! The tomography and tracker stages through the contract, on simulated meshes and (with `TAPLINE_DATA`) on
//! public recordings.

#![allow(clippy::disallowed_methods, reason = "tests judge by the platform's functions")]

mod contract;
mod room;

/// Counts what each thread allocates.
#[global_allocator]
static ALLOCATOR: tapline_plugin_api::counting::Counting = tapline_plugin_api::counting::Counting;
