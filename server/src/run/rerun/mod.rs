//! Does the named code really produce this? A rerun of recorded cycles, compared bit for bit with what the log commits to.
//!
//! It begins with the state of a keyframe (or with the BOOT leaf, when no cycle lies between), feeds the recorded input,
//! and obeys what the leaves say was decided by time or by people: dispositions, manifests, configurations, calibrations and
//! the orders to learn one. Of every cycle all stage digests, the outcome, the state of keyframes and the leaf itself, and
//! with it W, have to come out. Only plugins of the caller's own directory run, each checked against the manifest.
//!
//! What is missing here is no difference: it is [`Unavailable`], and nothing is said about the log.

mod difference;
mod material;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tapline_dsp::calibration::CalibrationArtefact;
use tapline_plugin_api::{abi::PluginModule, guard::code};
use tapline_witness::{
    body::{Body, CalibrationSource, Cycle},
    bundle::build::KeptCycle,
    disposition::Disposition,
    hash::{Domain, Field, Hash, ZERO, commit},
    leaf::{self, Header, Leaf, flags},
    lists,
};

pub use self::{
    difference::Difference,
    material::{BundleMaterial, Material, StoreMaterial},
};
use super::{
    engine::{InForce, facts},
    order::Order,
};
use crate::{
    config::{Site, witnessed},
    cycle::{Core, Obey, Slot, clock::SLOT_NS, host_spec},
    host::{Manifest, PluginHost, fingerprint, manifest::CpuLevel, program, stages::LINKED},
    ingest::frames::Frames,
};

/// How far back BOOT is looked for when no cycle lies between.
const BOOT_LEAVES: u64 = 64;

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Raw input that may not be given out.
    #[error("UNAVAILABLE(privacy): {0}")]
    Privacy(String),
    /// Raw input that is not here.
    #[error("UNAVAILABLE(inputs): {0}")]
    Inputs(String),
    /// Code that is not here.
    #[error("UNAVAILABLE(code): {0}")]
    Code(String),
    /// Another program than the one that ran.
    #[error("UNAVAILABLE(host): {0}")]
    Host(String),
    /// An artefact or configuration that is not here or that this program does not know.
    #[error("UNAVAILABLE(artefact): {0}")]
    Artefact(String),
}

impl Unavailable {
    fn unreadable(error: impl std::fmt::Display) -> Self {
        Self::Inputs(error.to_string())
    }
}

/// Why a rerun ended early.
enum Stop {
    Unavailable(Unavailable),
    Differs(Box<Difference>),
}

impl From<Unavailable> for Stop {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

/// Which code may run.
#[derive(Clone)]
pub struct RerunOptions {
    /// The caller's plugins; none: only the stages built into this program.
    pub plugins: Option<PathBuf>,
    /// Which builds of them; none: the best for this machine.
    pub cpu: Option<CpuLevel>,
    /// The stages that are built into the program.
    pub linked: &'static [PluginModule],
}

impl Default for RerunOptions {
    fn default() -> Self {
        Self {
            plugins: None,
            cpu: None,
            linked: LINKED,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rerun {
    /// Why nothing can be said, or the difference in words; none when every bit came out.
    pub reason: Option<String>,
    /// Where the runs part, if they do.
    pub difference: Option<Difference>,
    /// Leaf with which it began: a keyframe whose state was taken over, or a BOOT.
    pub from: Option<u64>,
    /// First and last cycle that came out bit for bit.
    pub cycles: Option<(u64, u64)>,
    /// How many.
    pub count: u64,
    /// States of keyframes that came out.
    pub states: u64,
    /// Recorded time of them, seconds.
    pub recorded_s: f64,
    /// Time it took, seconds, without loading plugins.
    pub took_s: f64,
    /// CPU level of the builds that ran.
    pub cpu: String,
    /// Numeric profile of the cycles.
    pub profile: String,
}

impl Rerun {
    /// True when every bit of every cycle came out.
    pub const fn passed(&self) -> bool {
        self.reason.is_none() && self.count > 0
    }
}

/// Runs recorded cycles again.
pub fn rerun(material: &mut dyn Material, options: &RerunOptions, progress: &mut dyn FnMut(f64)) -> Rerun {
    let cpu = options.cpu.unwrap_or_else(CpuLevel::of_this_machine);
    let mut run = Run {
        options,
        material,
        state: None,
        frames: Frames::default(),
        bytes: Vec::new(),
        report: Rerun {
            cpu: cpu.name().to_owned(),
            profile: "none claimed".to_owned(),
            ..Rerun::default()
        },
        last_tick: None,
    };
    let stopped = run.all(progress);
    let mut report = run.report;
    match stopped {
        Ok(()) if report.count == 0 => report.reason = Some("no cycle follows the keyframe".to_owned()),
        Ok(()) => {}
        Err(Stop::Unavailable(why)) => report.reason = Some(why.to_string()),
        Err(Stop::Differs(difference)) => {
            report.reason = Some(difference.to_string());
            report.difference = Some(*difference);
        }
    }
    report
}

/// What runs.
struct Running {
    core: Core,
    in_force: InForce,
    /// A calibration that the last cycle ended and that no leaf has put in force yet.
    learned: Option<CalibrationArtefact>,
}

struct Run<'a> {
    options: &'a RerunOptions,
    material: &'a mut dyn Material,
    state: Option<Running>,
    frames: Frames,
    bytes: Vec<u8>,
    report: Rerun,
    last_tick: Option<u64>,
}

impl Run<'_> {
    fn all(&mut self, progress: &mut dyn FnMut(f64)) -> Result<(), Stop> {
        let range = self.material.range();
        let first = self.begin(range.start)?;
        self.report.from = Some(first);
        let mut begun: Option<Instant> = None;
        for seq in first..range.end {
            let bytes = self.need_leaf(seq)?;
            let leaf = leaf::decode(&bytes).map_err(Unavailable::unreadable)?;
            match &leaf.body {
                Body::Cycle(cycle) => {
                    let kept = self.material.kept(seq)?;
                    let kept = kept.ok_or_else(|| missing(seq, "what it commits to"))?;
                    if self.state.is_none() {
                        self.take_over(cycle, &kept, seq)?;
                        begun = Some(Instant::now());
                        continue;
                    }
                    begun.get_or_insert_with(Instant::now);
                    self.cycle(&leaf, cycle, &kept, &bytes)?;
                    self.report.took_s = begun.map_or(0.0, |b| b.elapsed().as_secs_f64());
                    if self.report.count.is_multiple_of(200) {
                        progress(self.report.recorded_s);
                    }
                }
                body => self.between(seq, body)?,
            }
        }
        Ok(())
    }

    /// The BOOT leaf when no cycle lies between it and the keyframe, else the keyframe.
    fn begin(&mut self, keyframe: u64) -> Result<u64, Stop> {
        for seq in (keyframe.saturating_sub(BOOT_LEAVES)..keyframe).rev() {
            let Some(bytes) = self.material.leaf(seq)? else { break };
            match leaf::decode(&bytes).map_err(Unavailable::unreadable)?.body {
                Body::Boot(_) => return Ok(seq),
                Body::Cycle(_) => break,
                _ => {}
            }
        }
        Ok(keyframe)
    }

    fn need_leaf(&mut self, seq: u64) -> Result<Vec<u8>, Unavailable> {
        self.material.leaf(seq)?.ok_or_else(|| missing(seq, "the leaf"))
    }

    fn artefact(&mut self, what: &str, domain: Domain, hash: &Hash) -> Result<Vec<u8>, Unavailable> {
        let name = || format!("the {what} {}", hex::encode(hash));
        let bytes = self.material.blob(hash)?;
        let bytes = bytes.ok_or_else(|| Unavailable::Artefact(format!("{} is not here", name())))?;
        if domain.hash(&bytes) == *hash {
            return Ok(bytes);
        }
        Err(Unavailable::Artefact(format!("{} does not hash to its name", name())))
    }

    fn text(&mut self, what: &str, domain: Domain, hash: &Hash) -> Result<String, Unavailable> {
        let bytes = self.artefact(what, domain, hash)?;
        String::from_utf8(bytes).map_err(|_| Unavailable::Artefact(format!("the {what} is no text")))
    }

    /// The manifest with this hash, when its code can be had here.
    fn manifest(&mut self, hash: &Hash) -> Result<Manifest, Unavailable> {
        let text = self.text("manifest", Domain::Manifest, hash)?;
        let manifest = Manifest::parse(text).map_err(|e| Unavailable::Artefact(e.to_string()))?;
        if !program::is_named(&manifest) {
            let why = "the manifest does not say which program it is for";
            return Err(Unavailable::Host(why.to_owned()));
        }
        program::is_this(&manifest).map_err(|e| Unavailable::Host(e.to_string()))?;
        let file = |p: &crate::host::manifest::PluginRow| p.linked.is_none().then(|| p.name.clone());
        let files: Vec<String> = manifest.plugins().iter().filter_map(file).collect();
        if self.options.plugins.is_none() && !files.is_empty() {
            let why = format!(
                "it ran through plugin files ({}): say where yours are with --plugins",
                files.join(", ")
            );
            return Err(Unavailable::Code(why));
        }
        Ok(manifest)
    }

    fn site(&mut self, hash: &Hash) -> Result<Arc<Site>, Unavailable> {
        let text = self.text("configuration", Domain::Config, hash)?;
        let site = witnessed::read(&text).map_err(|e| Unavailable::Artefact(e.to_string()))?;
        Ok(Arc::new(site))
    }

    fn start(&mut self, manifest_hash: Hash, config_hash: Hash) -> Result<Running, Unavailable> {
        let manifest = self.manifest(&manifest_hash)?;
        let site = self.site(&config_hash)?;
        let code = |e: &dyn std::fmt::Display| Unavailable::Code(e.to_string());
        let directory = self.options.plugins.clone().unwrap_or_default();
        let mut spec = host_spec(&site, directory).map_err(|e| code(&e))?;
        spec.cpu = self.options.cpu;
        spec.linked = self.options.linked;
        let host = PluginHost::new(spec, manifest).map_err(|e| code(&e))?;
        let core = Core::new(site, host).map_err(|e| code(&e))?;
        Ok(Running {
            core,
            in_force: InForce {
                manifest_hash,
                config_hash,
                calibration_id: ZERO,
                numeric_profile: 0,
            },
            learned: None,
        })
    }

    /// Begins with the state after a keyframe.
    fn take_over(&mut self, cycle: &Cycle, kept: &KeptCycle, seq: u64) -> Result<(), Stop> {
        let (_, state) = kept
            .state
            .as_ref()
            .ok_or_else(|| missing(seq, "the state of the keyframe"))?;
        let mut running = self.start(cycle.manifest_hash, cycle.config_hash)?;
        running
            .core
            .import_state(state)
            .map_err(|e| Unavailable::Artefact(e.to_string()))?;
        running.in_force.calibration_id = cycle.calibration_id;
        running.settle();
        self.state = Some(running);
        Ok(())
    }

    /// Obeys a leaf between two cycles.
    fn between(&mut self, seq: u64, body: &Body) -> Result<(), Stop> {
        if let Body::Boot(boot) = body {
            self.state = Some(self.start(boot.manifest_hash, boot.config_hash)?);
            self.last_tick = None;
            return Ok(());
        }
        let artefact = match body {
            Body::Calibration(c) if c.source == CalibrationSource::Loaded => {
                let bytes = self.artefact("calibration", Domain::Calibration, &c.new_calibration_id)?;
                let artefact = CalibrationArtefact::from_bytes(&bytes);
                Some(artefact.map_err(|e| Unavailable::Artefact(e.to_string()))?)
            }
            _ => None,
        };
        let Some(running) = &mut self.state else { return Ok(()) };
        match body {
            Body::Calibration(c) => {
                let artefact = artefact.or_else(|| running.learned.take());
                let found = artefact
                    .as_ref()
                    .map_or(ZERO, |a| Domain::Calibration.hash(&a.to_bytes()));
                if found != c.new_calibration_id {
                    return differs(
                        seq,
                        "stage 2 calibration",
                        (
                            "digest of what was learned".to_owned(),
                            hex::encode(c.new_calibration_id),
                            hex::encode(found),
                        ),
                    );
                }
                if let Some(artefact) = &artefact {
                    let loaded = running.core.front.load_calibration(artefact);
                    loaded.map_err(|e| Unavailable::Artefact(e.to_string()))?;
                }
                running.in_force.calibration_id = c.new_calibration_id;
            }
            Body::Audit(audit) => match Order::from_action(audit.action.as_str()) {
                Some(Order::StartCalibration { end_ns }) => {
                    running.core.front.start_calibration(end_ns.cast_signed());
                }
                Some(Order::StopCalibration) => running.core.front.stop_calibration(),
                None => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// Puts in force what the next cycle ran under. That leaves announced it was checked with the log.
    fn put_in_force(&mut self, cycle: &Cycle) -> Result<(), Stop> {
        let Some(in_force) = self.state.as_ref().map(|running| running.in_force) else {
            return Ok(());
        };
        if in_force.manifest_hash != cycle.manifest_hash {
            let manifest = self.manifest(&cycle.manifest_hash)?;
            let code = |e: &dyn std::fmt::Display| Unavailable::Code(e.to_string());
            if let Some(running) = &mut self.state {
                let host = &mut running.core.host;
                let generation = host.preparer().prepare(manifest).map_err(|e| code(&e))?;
                host.activate(generation).map_err(|e| code(&e))?;
            }
        }
        if in_force.config_hash != cycle.config_hash {
            let site = self.site(&cycle.config_hash)?;
            if let Some(running) = &mut self.state {
                if !same_but_for_orders(running.core.site(), &site) {
                    let why = "the configuration changed in more than privacy mode and zones while it ran";
                    return Err(Unavailable::Artefact(why.to_owned()).into());
                }
                running
                    .core
                    .set_site(site)
                    .map_err(|e| Unavailable::Artefact(e.to_string()))?;
            }
        }
        if let Some(running) = &mut self.state {
            running.in_force.manifest_hash = cycle.manifest_hash;
            running.in_force.config_hash = cycle.config_hash;
            running.in_force.numeric_profile = cycle.numeric_profile;
        }
        if cycle.numeric_profile == 1 {
            if fingerprint::numeric_profile() != 1 {
                let why = "this machine computes other bits than ieee-strict-1";
                return Err(Unavailable::Host(why.to_owned()).into());
            }
            self.report.profile = crate::host::manifest::PROFILE.to_owned();
        }
        Ok(())
    }

    /// Runs a cycle and compares everything.
    fn cycle(&mut self, leaf: &Leaf, cycle: &Cycle, kept: &KeptCycle, bytes: &[u8]) -> Result<(), Stop> {
        let header = &leaf.header;
        let seq = header.seq;
        self.put_in_force(cycle)?;
        let [inputs, stages, outcome] = [0, 1, 2].map(|i| kept.fields[i].as_ref());
        let (Some(inputs), Some(stages), Some(outcome)) = (inputs, stages, outcome) else {
            return Err(missing(seq, "raw input, stages or outcome").into());
        };
        let Some(running) = &mut self.state else { return Ok(()) };
        self.frames.clear();
        for input in lists::inputs(&inputs.1) {
            let input = input.map_err(Unavailable::unreadable)?;
            self.frames.push(input.source_id, input.arrival_mono_ns, input.bytes);
        }
        let core = &mut running.core;
        let report = core.step(&Slot {
            cycle: seq,
            tick: header.tick,
            end_ns: header.mono_ns,
            t_ms: header.wall_ns.div_euclid(1_000_000),
            frames: &self.frames,
            deadline: None,
            obey: Some(obey(&stages.1)?),
        });
        if core.inputs_list() != inputs.1 {
            return differs(
                seq,
                "stage 1 ingest",
                difference::of_bytes(&inputs.1, core.inputs_list()),
            );
        }
        let of_outcome = difference::of_outcomes(&outcome.1, core.outcome_bytes());
        if core.stages_list() != stages.1 {
            let (stage, (element, mut expected, mut got)) = difference::of_stages(&stages.1, core.stages_list());
            // The log holds digests of what stages left; the first number that was published differently is the bits.
            if let Some((path, was, is)) = of_outcome {
                expected += &format!(" (outcome {path} {was})");
                got += &format!(" (outcome {path} {is})");
            }
            return differs(seq, &stage, (element, expected, got));
        }
        if core.outcome_bytes() != outcome.1 {
            let bytes = || difference::of_bytes(&outcome.1, core.outcome_bytes());
            return differs(seq, "outcome", of_outcome.unwrap_or_else(bytes));
        }
        let mut state = ZERO;
        if header.flags & flags::KEYFRAME != 0 {
            let (salt, recorded) = kept
                .state
                .as_ref()
                .ok_or_else(|| missing(seq, "the state of a keyframe"))?;
            // Which stage did not give its state in time, time decided.
            core.fail_as_in(recorded);
            self.bytes.clear();
            core.export_state(&mut self.bytes)
                .map_err(|e| Unavailable::Code(e.to_string()))?;
            if self.bytes != *recorded {
                return differs(seq, "state", difference::of_bytes(recorded, &self.bytes));
            }
            state = commit(Field::State, salt, &self.bytes);
            self.report.states += 1;
        }
        let (flags, body) = facts(core, &running.in_force, header.tick, &report).leaf([
            commit(Field::Inputs, &inputs.0, core.inputs_list()),
            commit(Field::Stages, &stages.0, core.stages_list()),
            commit(Field::Outcome, &outcome.0, core.outcome_bytes()),
            state,
        ]);
        let again = Leaf {
            header: Header { flags, ..*header },
            body,
        };
        self.bytes.clear();
        leaf::encode(&again.header, &again.body, &mut self.bytes).map_err(Unavailable::unreadable)?;
        if self.bytes != bytes {
            let place = difference::of_values(leaf, &again);
            let bytes = || difference::of_bytes(bytes, &self.bytes);
            return differs(seq, "leaf", place.unwrap_or_else(bytes));
        }
        running.settle();
        self.count(seq, header.tick);
        Ok(())
    }

    fn count(&mut self, seq: u64, tick: u64) {
        let first = self.report.cycles.map_or(seq, |(first, _)| first);
        self.report.cycles = Some((first, seq));
        self.report.count += 1;
        let slots = self.last_tick.map_or(1, |last| tick.saturating_sub(last));
        self.report.recorded_s += Duration::from_nanos(SLOT_NS.saturating_mul(slots)).as_secs_f64();
        self.last_tick = Some(tick);
    }
}

impl Running {
    /// What the driver does after each slot: takes a calibration that has just ended.
    fn settle(&mut self) {
        if let Some(ended) = self.core.front.take_calibration() {
            self.learned = ended.ok();
        }
    }
}

/// What a cycle's stages came to, as the replay has to obey it.
fn obey(stages: &[u8]) -> Result<Obey, Unavailable> {
    let mut obey = Obey {
        stages: [Disposition::Ran; 3],
        late_groups: 0,
        failed: [false; 3],
    };
    let mut group = 0;
    for entry in lists::stages(stages) {
        let entry = entry.map_err(Unavailable::unreadable)?;
        let Some(slot) = [5, 7, 8].iter().position(|stage| *stage == entry.stage_id) else {
            continue;
        };
        let late = entry.disposition == Disposition::Timeout;
        if slot == 0 {
            obey.late_groups |= u64::from(late) << group.min(63_u32);
            group += 1;
        }
        // What was skipped for want of input is skipped for the same reason again; with input at hand it had failed.
        let skipped = entry.disposition == Disposition::Skipped;
        let without_time = skipped && entry.err_code == code::DEADLINE;
        obey.failed[slot] |= skipped && entry.err_code == 0;
        if late || without_time {
            obey.stages[slot] = entry.disposition;
        }
    }
    Ok(obey)
}

/// May a running site become this one? Orders change the privacy mode and the outlines of zones, nothing else.
fn same_but_for_orders(now: &Site, next: &Site) -> bool {
    let mut like_now = next.clone();
    like_now.privacy.clone_from(&now.privacy);
    if like_now.zones.len() != now.zones.len() {
        return false;
    }
    for (zone, was) in like_now.zones.iter_mut().zip(&now.zones) {
        zone.outline_m.clone_from(&was.outline_m);
    }
    witnessed::document(&like_now) == witnessed::document(now)
}

fn missing(seq: u64, what: &str) -> Unavailable {
    Unavailable::Inputs(format!("cycle {seq}: {what} is not here"))
}

fn differs<T>(seq: u64, stage: &str, (element, expected, got): (String, String, String)) -> Result<T, Stop> {
    Err(Stop::Differs(Box::new(Difference {
        seq,
        stage: stage.to_owned(),
        element,
        expected,
        got,
    })))
}

#[cfg(test)]
mod tests;
