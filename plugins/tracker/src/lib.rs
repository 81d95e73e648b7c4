//! The stage `tracker` as a loadable plugin.

tapline_plugin_api::export_plugin!(tracker: tapline_stages::tracker::Tracker);
