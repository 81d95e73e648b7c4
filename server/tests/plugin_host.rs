//! The plugin host over linked stages, over the built libraries, and over libraries that misbehave.
//!
//! The libraries are workspace members; `cargo build --workspace` (or `cargo xtask build`) puts them where these
//! tests look: beside the test's own target directory, or in TAPLINE_PLUGIN_DIR.

#[path = "plugin_host/bad.rs"]
mod bad;
#[path = "plugin_host/linked.rs"]
mod linked;
#[path = "plugin_host/loading.rs"]
mod loading;
#[path = "plugin_host/swapping.rs"]
mod swapping;
#[path = "plugin_host/tools.rs"]
mod tools;
