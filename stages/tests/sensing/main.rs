//! The tomography and tracker stages through the contract, on simulated meshes and (with `TAPLINE_DATA`) on
//! public recordings.

mod contract;
mod room;

/// Counts what each thread allocates.
#[global_allocator]
static ALLOCATOR: tapline_plugin_api::counting::Counting = tapline_plugin_api::counting::Counting;
