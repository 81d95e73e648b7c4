//! What makes a library a plugin: three exported symbols, written by [`export_plugin!`](crate::export_plugin).
//!
//! | symbol | what it is | when the host reads it |
//! |---|---|---|
//! | `tapline_loader_version` | a `u32`, [`LOADER_VERSION`](crate::LOADER_VERSION) | first, before any other trust |
//! | [`ROOT_SYMBOL`] | abi_stable's library header: layouts, then the root module | after the version agreed |
//! | `tapline_allocations` | `extern "C" fn() -> u64`, allocations of the calling thread | conformance only |

#![allow(
    unsafe_code,
    reason = "abi_stable's header trusts its maker to name the module's type"
)]

use abi_stable::{
    library::{CheckTypeLayout, LibHeader, RootModuleResult},
    prefix_type::PrefixTypeTrait,
};

use crate::abi::{PluginModule, PluginModuleRef};

/// Name of the symbol that holds [`LOADER_VERSION`](crate::LOADER_VERSION).
pub const LOADER_VERSION_SYMBOL: &str = "tapline_loader_version";
/// Name of the symbol that holds abi_stable's library header.
pub const ROOT_SYMBOL: &str = abi_stable::library::ROOT_MODULE_LOADER_NAME;
/// Name of the function that answers the number of allocations made by the calling thread.
pub const ALLOCATIONS_SYMBOL: &str = "tapline_allocations";

/// Makes the header of a library from the function that hands out its root module.
///
/// # Safety
/// `constructor` must return what [`call_root`] returned.
pub const unsafe fn header(constructor: extern "C" fn() -> RootModuleResult) -> LibHeader {
    // SAFETY: by this function's contract the erased module is a `PluginModuleRef`.
    unsafe { LibHeader::from_constructor::<PluginModuleRef>(constructor, CheckTypeLayout::Yes) }
}

/// Runs `module`, turning a panic into an error that the host can read.
pub fn call_root(module: fn() -> PluginModuleRef) -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(module)
}

/// The module as abi_stable wants it: leaked, once for the life of the library.
pub fn leaked(module: PluginModule) -> PluginModuleRef {
    module.leak_into_prefix()
}

/// The fields of a loaded module, copied out: from here on it is used like a linked one.
pub fn copied(module: PluginModuleRef) -> PluginModule {
    PluginModule {
        describe: module.describe(),
        new_cir: module.new_cir(),
        new_tomography: module.new_tomography(),
        new_tracker: module.new_tracker(),
    }
}

/// Makes the crate a plugin: `export_plugin!(cir: MyMethod)`, `tomography:` or `tracker:`.
///
/// Once a crate, in a `cdylib`. It exports the symbols of [`entry`](crate::entry) and installs
/// [`Counting`](crate::counting::Counting) as the library's allocator, so that the conformance suite can
/// count what a loaded plugin allocates.
#[macro_export]
macro_rules! export_plugin {
    (cir: $method:ty) => {
        $crate::export_module!($crate::linked::cir::<$method>());
    };
    (tomography: $method:ty) => {
        $crate::export_module!($crate::linked::tomography::<$method>());
    };
    (tracker: $method:ty) => {
        $crate::export_module!($crate::linked::tracker::<$method>());
    };
}

/// As [`export_plugin!`](crate::export_plugin), from an expression of type
/// [`PluginModule`](crate::abi::PluginModule) that is evaluated once, when the host loads the library.
#[macro_export]
macro_rules! export_module {
    ($module:expr) => {
        const _: () = {
            // The guard catches a panic as it unwinds; one that aborts takes the whole server along.
            assert!(
                cfg!(panic = "unwind"),
                "a Tapline plugin is built with panic = \"unwind\": take `panic = \"abort\"` out of the profile"
            );

            #[global_allocator]
            static ALLOCATOR: $crate::counting::Counting = $crate::counting::Counting;

            #[unsafe(export_name = "tapline_loader_version")]
            static LOADER_VERSION: u32 = $crate::LOADER_VERSION;

            #[unsafe(export_name = "tapline_allocations")]
            extern "C" fn tapline_allocations() -> u64 {
                $crate::counting::allocations()
            }

            fn tapline_module() -> $crate::abi::PluginModuleRef {
                $crate::entry::leaked($module)
            }

            extern "C" fn tapline_root() -> $crate::abi_stable::library::RootModuleResult {
                $crate::entry::call_root(tapline_module)
            }

            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT: $crate::abi_stable::library::LibHeader =
                // SAFETY: `tapline_root` returns what `call_root` returned.
                unsafe { $crate::entry::header(tapline_root) };
        };
    };
}
