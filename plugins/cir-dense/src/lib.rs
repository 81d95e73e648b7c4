//! The stage `cir-dense` as a loadable plugin.
