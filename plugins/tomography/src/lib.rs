//! The stage `tomography` as a loadable plugin.

tapline_plugin_api::export_plugin!(tomography: tapline_stages::tomography::Tomography);
