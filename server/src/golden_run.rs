//! The whole cycle on a built-in scene: its digests must be the same on every machine and in every build.

use std::{path::PathBuf, sync::Arc};

use tapline_sim::{Scene, Simulator};
use tapline_witness::hash::Domain;

use crate::{
    config::{ConfigError, Fleet},
    cycle::{Core, SetupError, Slot, clock::SLOT_NS, host_spec},
    host::PluginHost,
    ingest::frames::Frames,
};

/// Slots of the golden run: the empty room is learned, somebody comes in and walks.
const SLOTS: u64 = 400;
/// How long the empty room is learned, nanoseconds.
const LEARN_NS: i64 = 10_000_000_000;
/// Seed of its scene.
const SEED: u64 = 1;
/// Its scene.
const SCENE: &str = "demo";

/// Why the golden run cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The scene.
    #[error("the built-in scene: {0}")]
    Scene(#[from] tapline_sim::SceneError),
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The cycle.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The stages.
    #[error(transparent)]
    Host(#[from] crate::host::HostError),
    /// Its empty room.
    #[error(transparent)]
    Calibration(#[from] tapline_dsp::calibration::ArtefactError),
    /// Its state.
    #[error(transparent)]
    State(#[from] crate::cycle::StateError),
}

/// A core over the built-in stages for a simulated room, and the room.
///
/// # Errors
/// [`GoldenError`].
pub fn simulated(scene: &str, seed: u64, cir: &str) -> Result<(Core, Simulator), GoldenError> {
    let simulator = Simulator::new(Scene::builtin(scene)?, seed)?;
    let text = format!("version = 1\n{}", simulator.site_config().to_fleet_toml());
    let fleet = Fleet::parse(&text, &PathBuf::from(scene))?;
    let site = Arc::new(fleet.select(None, "")?);
    let spec = host_spec(&site, PathBuf::new())?;
    let manifest = PluginHost::linked_manifest(&spec, [cir, "", ""], Vec::new())?;
    Ok((Core::new(site, PluginHost::new(spec, manifest)?)?, simulator))
}

/// Name and digest of each whole-cycle run: over every stages list and outcome, then the state at the end.
///
/// # Errors
/// [`GoldenError`].
pub fn digests() -> Result<Vec<(String, [u8; 32])>, GoldenError> {
    let mut all = Vec::new();
    for cir in ["cir-dense", "cir-fft"] {
        let (mut core, mut simulator) = simulated(SCENE, SEED, cir)?;
        core.front.start_calibration(LEARN_NS);
        let mut hasher = Domain::Blob.hasher();
        let mut frames = Frames::default();
        let mut datagram = Vec::new();
        let mut next = simulator.next_datagram(&mut datagram);
        for tick in 0..SLOTS {
            let end_ns = tick * SLOT_NS;
            frames.clear();
            while let Some(emission) = next.filter(|e| e.time_ns <= end_ns) {
                frames.push(u32::from(emission.node), emission.time_ns, &datagram);
                datagram.clear();
                next = simulator.next_datagram(&mut datagram);
            }
            let t_ms = (end_ns / 1_000_000).cast_signed();
            core.step(&Slot {
                cycle: tick,
                tick,
                end_ns,
                t_ms,
                frames: &frames,
                deadline: None,
                obey: None,
            });
            hasher.update(core.stages_list());
            hasher.update(core.outcome_bytes());
            if let Some(Ok(learned)) = core.front.take_calibration() {
                core.front.load_calibration(&learned)?;
            }
        }
        let mut state = Vec::new();
        core.export_state(&mut state)?;
        hasher.update(&state);
        all.push((format!("cycle-{SCENE}-{cir}"), *hasher.finalize().as_bytes()));
    }
    Ok(all)
}
