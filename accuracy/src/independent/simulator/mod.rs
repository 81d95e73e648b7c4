//! A simulator of rooms, people and radios that shares nothing with `sim/` but the wire format.
//!
//! It was written from the description of the wire format alone, by somebody who had seen neither `sim/` nor `dsp/`:
//! what was set in rooms of the one can be tried in rooms of the other. A scene is a box with walls of brick, concrete
//! or plasterboard, furniture as points that scatter, four nodes that send in turn, and people who walk to and fro or
//! roam:
//!
//! * [`layout`], [`script`], [`scene`]: what is fixed of a scene, what people do, and what chance makes of it;
//! * [`walker`], [`unrest`], [`person`], [`body`]: how people move, and the cylinders that a wave meets;
//! * [`room`], [`slab`], [`paths`]: walls and what they reflect, ways by the image method and over clutter;
//! * [`shadow`], [`scatter`], [`echo`], [`link`]: what people change of a channel;
//! * [`receiver`], [`air`]: what nodes make of it, and what comes to the host;
//! * [`fleet`], [`recording`], [`truth`]: the three files.
//!
//! Equal scene, seed and number of antennas give equal bytes on one machine. It leaves out: people's echoes over two
//! walls and over each other, diffraction at furniture and walls, polarisation other than upright, coupling between
//! antennas, doors that shut, other networks.

mod air;
mod antenna;
mod band;
mod body;
mod complex;
mod curves;
mod echo;
mod fleet;
mod layout;
mod link;
mod paths;
mod person;
mod random;
mod receiver;
mod recording;
mod room;
mod scatter;
mod scene;
mod script;
mod shadow;
mod slab;
mod truth;
mod unrest;
mod vector;
mod walker;

use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

pub(super) use layout::Scenario;
use random::Random;
use recording::Recording;
use scene::Scene;

/// Where the files of a scene go.
pub(super) struct Files<'a> {
    /// The fleet file.
    pub(super) config: &'a Path,
    /// Datagrams as JSON lines: 30 MB with one antenna a node, 60 to 105 MB with four.
    pub(super) recording: &'a Path,
    /// As `tapline simulate --truth` writes it.
    pub(super) truth: &'a Path,
}

/// Simulates a scene. Room and people are the same for any number of antennas, radios are not.
pub(super) fn simulate(scenario: Scenario, seed: u64, antennas: usize, files: &Files<'_>) -> Result<(), String> {
    let name = scenario.name().bytes();
    let tag = name.fold(0_u64, |hash, byte| hash.wrapping_mul(131).wrapping_add(byte.into()));
    let scene = Scene::new(scenario, antennas, &mut Random::new(seed ^ tag.rotate_left(20)));
    let mut walks = Random::new(seed.wrapping_add(77) ^ tag.rotate_left(40));
    let people = walker::walk(&scene.room, &scene.plans, scenario.duration_s(), &mut walks);
    let mut radio = Random::new(seed.wrapping_add(1009) ^ tag.rotate_left(9));
    // Two numbers a node were for errors in surveyed positions, which there are none of.
    for _ in 0..2 * scene.nodes.len() {
        radio.normal();
    }
    let failed = |path: &Path, e: String| format!("cannot write {}: {e}", path.display());
    fs::write(files.config, fleet::fleet_file(&scene)).map_err(|e| failed(files.config, e.to_string()))?;
    create(files.truth)
        .and_then(|mut out| truth::write_truth(&scene, seed, &people, &mut out).map_err(|e| e.to_string()))
        .map_err(|e| failed(files.truth, e))?;
    create(files.recording)
        .and_then(|out| air::record(&scene, &people, &mut Recording::new(out), &mut radio))
        .map_err(|e| failed(files.recording, e))
}

fn create(path: &Path) -> Result<BufWriter<File>, String> {
    File::create(path).map(BufWriter::new).map_err(|e| e.to_string())
}
