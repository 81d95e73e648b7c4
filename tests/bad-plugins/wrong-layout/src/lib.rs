//! Agrees on the loader version but lays its root module out otherwise: refused by abi_stable's layout check.

#![allow(missing_docs, reason = "StableAbi generates items without documentation")]

use abi_stable::{
    StableAbi,
    library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult},
    package_version_strings,
    prefix_type::PrefixTypeTrait,
    sabi_types::VersionStrings,
};
use tapline_plugin_api::describe::Description;

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    #[sabi(last_prefix_field)]
    pub describe: extern "C" fn(u32) -> Description,
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "tapline_plugin";
    const NAME: &'static str = "tapline_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

extern "C" fn describe(_: u32) -> Description {
    unreachable!("nobody gets as far as this")
}

fn module() -> PluginModuleRef {
    PluginModule { describe }.leak_into_prefix()
}

extern "C" fn root() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(module)
}

// SAFETY: no other symbol of this library has the name.
#[unsafe(export_name = "tapline_loader_version")]
static LOADER_VERSION: u32 = tapline_plugin_api::LOADER_VERSION;

// SAFETY: no other symbol of this library has the name.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static ROOT: LibHeader =
    // SAFETY: `root` hands out a `PluginModuleRef` of this crate.
    unsafe { LibHeader::from_constructor::<PluginModuleRef>(root, CheckTypeLayout::Yes) };
