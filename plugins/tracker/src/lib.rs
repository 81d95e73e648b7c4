//! The stage `tracker` as a loadable plugin.
