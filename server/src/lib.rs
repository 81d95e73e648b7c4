//! The sensing server: ingest, cycle, plugin host, world, store, API.
//!
//! ARCHITECTURE.md is the map. Modules in the order data passes them:

pub mod api;
pub mod cli;
pub mod config;
pub mod cycle;
pub mod golden_run;
pub mod host;
pub mod ingest;
pub mod live;
pub mod log;
pub mod rollup;
pub mod run;
pub mod scope;
pub mod store;
pub mod tokens;
pub mod world;

/// This machine's name; empty when it has none.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
