//! What the power at a path rate says about somebody who walks: the table of `dsp/src/tracker/walkers/body.rs`, from made-up rooms.
//!
//! `cargo run --release -p tapline-benches --bin walk-spectra` prints the table as the Rust constant, and how far it is from the one
//! that is compiled in. Rooms, radios and walks come from a seed, spectra from the product's own front end: the same numbers in every
//! run. A walk counts once a pair of nodes, beside 16 walks that nobody takes. `--seed 9001 --scene 1` prints such a room instead: those
//! that `cargo xtask accuracy made-up-rooms` scores, from seeds that the table has not seen.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod room;
mod spectra;
mod table;
mod walks;

use std::process::ExitCode;

use clap::Parser;
use tapline_benches::cir_scene::Random;
use tapline_sim::{Scene, Simulator};

use self::table::Counts;

/// Cells with fewer walks are not compared.
const WALKS_LEAST: f32 = 50.0;

#[derive(Parser)]
struct Options {
    /// Rooms: one person walks in the first half of them, two in the others
    #[arg(long, default_value_t = 60)]
    rooms: u32,
    /// Seed of rooms, radios and walks
    #[arg(long, default_value_t = 2)]
    seed: u64,
    /// Print the scene file of this seed's room with so many people, and count nothing
    #[arg(long, value_name = "PEOPLE")]
    scene: Option<u32>,
}

/// What goes wrong here is for the reader only.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("walk-spectra: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(people) = options.scene {
        print!("{}", room::scene(&mut Random(options.seed), people));
        return Ok(());
    }
    let mut counts = Counts::default();
    for at in 0..options.rooms {
        let people = if 2 * at < options.rooms { 1 } else { 2 };
        let seed = options.seed.wrapping_mul(1_000).wrapping_add(at.into());
        let mut random = Random(seed);
        let scene = Scene::from_toml(&room::scene(&mut random, people))?;
        let measured = spectra::measure(&mut Simulator::new(scene, seed)?)?;
        let walks = walks::count(&measured, &mut random, &mut counts);
        eprintln!("room {}: {people} in it, {walks} moments of a walk", at + 1);
    }
    print!("{}", table::report(&counts, WALKS_LEAST));
    Ok(())
}
