//! Panics when its root module is asked for: an error of the ABI handshake.

use tapline_plugin_api::{abi::PluginModule, export_module};

export_module!(module());

fn module() -> PluginModule {
    panic!("this plugin panics in its initialiser")
}
