//! Exports the loader version and nothing else.

/// As `export_plugin!` would.
// SAFETY: no other symbol of this library has the name.
#[unsafe(export_name = "tapline_loader_version")]
pub static LOADER_VERSION: u32 = tapline_plugin_api::LOADER_VERSION;
