//! placeholder
use super::{
    error::HostError,
    manifest::{CpuLevel, PluginRow},
    registry::PluginState,
};
use std::path::Path;
use tapline_plugin_api::abi::PluginModule;
pub(super) fn load(
    _: &Path,
    _: &PluginRow,
    _: Option<CpuLevel>,
    _: &mut impl FnMut(PluginState, &str),
) -> Result<PluginModule, HostError> {
    unreachable!()
}
