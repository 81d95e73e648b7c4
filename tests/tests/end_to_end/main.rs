//! The built programs, used as a user uses them. `cargo xtask test` builds them first.

mod arrays;
mod bundle;
mod demo;
mod live;
mod operator;
mod plugins;
mod readme;
mod recorded;
mod remote;
mod replay;
mod rerun;
mod state;
mod successor;
