//! Speaks a loader version that this host does not know: refused at the first integer.

/// A version of the future.
// SAFETY: no other symbol of this library has the name.
#[unsafe(export_name = "tapline_loader_version")]
pub static LOADER_VERSION: u32 = tapline_plugin_api::LOADER_VERSION + 98;
