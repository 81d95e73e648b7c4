//! The sensing server: ingest, cycle, plugin host, world, store, API.
//!
//! ARCHITECTURE.md is the map. Modules in the order data passes them:

#![allow(
    clippy::disallowed_methods,
    reason = "only what is witnessed is bound: see the modules that warn"
)]

pub mod api;
pub mod cli;
pub mod config;
#[warn(clippy::disallowed_methods)]
pub mod cycle;
pub mod export;
#[warn(clippy::disallowed_methods)]
pub mod golden_run;
pub mod host;
pub mod ingest;
pub mod live;
pub mod log;
mod ordered;
pub mod rollup;
pub mod run;
pub mod scope;
pub mod store;
pub mod tokens;
#[warn(clippy::disallowed_methods)]
pub mod world;

/// This machine's name; empty when it has none.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
