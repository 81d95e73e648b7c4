//! Prints the `[[site]]` part of a fleet configuration for a scene: `cargo run -p tapline-sim --example site -- demo`.

#![allow(clippy::print_stdout, reason = "a program that prints a document")]

use tapline_sim::{Scene, SceneError, Simulator};

fn main() -> Result<(), SceneError> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "demo".to_owned());
    let simulator = Simulator::new(Scene::builtin(&name)?, 1)?;
    print!("{}", simulator.site_config().to_fleet_toml());
    Ok(())
}
