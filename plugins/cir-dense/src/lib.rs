//! The stage `cir-dense` as a loadable plugin.

use tapline_plugin_api::export_plugin;

export_plugin!(cir: tapline_stages::cir::CirDense);
