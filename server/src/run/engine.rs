//! A slot from its frames to a leaf in the log and a message to the readers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tapline_dsp::front::CalibrationStatus;
use tapline_witness::{
    body::{
        Audit, AuditResult, Body, ClockQuality, Config, GapReason, OutcomeCode, PrivacyClass, PrivacyMode,
        PrivacyModeCode, SwapResult,
    },
    codec::Text,
    disposition::Disposition,
    hash::{Domain, Hash, ZERO},
    leaf::flags,
};

use super::{
    calibration::{Calibrations, moved},
    notes::{self, Begin, Note, SiteNow},
    order::Order,
};
use crate::{
    config::{Site, witnessed},
    cycle::{Core, Obey, Report, Slot, StateError, WITNESS_PARTS},
    host::{Generation, HostError, swap::Activation},
    ingest::frames::Frames,
    live::{self, Cycle, Hub},
    log::{Appended, Blob, Chain, CycleFacts, LogError, Record, Stamp, Writer},
    store::{StoreError, reader::Reader, rows::WorldChange},
    world::{Change, Node, Place, World},
};

/// The input of one slot, as its driver knows it.
pub struct SlotInput<'f> {
    /// Slot number since boot.
    pub tick: u64,
    /// Its end.
    pub stamp: Stamp,
    /// Its end in the time base of the input, milliseconds.
    pub t_ms: i64,
    /// What arrived in it.
    pub frames: &'f Frames,
    /// How long the plugin stages may take together.
    pub deadline: Option<Duration>,
    /// Dispositions to obey.
    pub obey: Option<Obey>,
}

/// What became of a slot.
#[derive(Clone, Copy, Debug)]
pub struct Stepped {
    /// Where its leaf stands.
    pub leaf: Appended,
    /// The time it was computed for.
    pub stamp: Stamp,
    /// What the step did.
    pub report: Report,
}

/// Why the engine has to stop.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The log cannot go on.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A keyframe's state cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is in force and named by every leaf.
#[derive(Clone, Copy, Debug)]
pub struct InForce {
    /// The manifest.
    pub manifest_hash: Hash,
    /// The witnessed configuration.
    pub config_hash: Hash,
    /// The calibration; zero for none.
    pub calibration_id: Hash,
    /// 1 for `ieee-strict-1`; 0 when this machine's numerics are not proved.
    pub numeric_profile: u16,
}

/// The cycle, its log, its readers.
pub struct Engine {
    /// The cycle.
    pub core: Core,
    /// The end of the log.
    pub chain: Chain,
    /// The log's writer.
    pub writer: Writer,
    /// What every leaf names.
    pub in_force: InForce,
    hub: Option<Arc<Hub>>,
    calibrations: Calibrations,
    /// How long a slot may wait for a free record.
    patience: Duration,
    /// Rows for the next record: beliefs that an earlier process left open.
    ended: Vec<WorldChange>,
    /// What changed since the last slot that decides what the next one computes: for captures.
    notes: Vec<Note>,
    /// A ROLLUP leaf that found no free record yet.
    rollup: Option<Body>,
    /// The record of the next slot, once [`Self::ready`] has it.
    reserved: Option<Record>,
    /// A record was waited for in vain, or for longer than a slot may, since the last slot that ran.
    log_was_busy: bool,
}

/// Times of the parts of witnessing.
struct Parts {
    since: Instant,
    took_ns: [u32; WITNESS_PARTS.len()],
}

impl Parts {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            took_ns: [0; WITNESS_PARTS.len()],
        }
    }

    fn end(&mut self, part: usize) {
        let now = Instant::now();
        self.took_ns[part] = u32::try_from((now - self.since).as_nanos()).unwrap_or(u32::MAX);
        self.since = now;
    }

    fn sum_us(&self) -> u32 {
        let sum: u64 = self.took_ns.iter().map(|ns| u64::from(*ns)).sum();
        (sum / 1_000) as u32
    }
}

impl Engine {
    /// Joins the parts. The log has its BOOT leaf already.
    pub fn new(
        core: Core,
        chain: Chain,
        writer: Writer,
        in_force: InForce,
        hub: Option<Arc<Hub>>,
        patience: Duration,
    ) -> Self {
        Self {
            core,
            chain,
            writer,
            in_force,
            hub,
            calibrations: Calibrations::default(),
            patience,
            ended: Vec::new(),
            notes: Vec::new(),
            rollup: None,
            reserved: None,
            log_was_busy: false,
        }
    }

    /// Makes sure of the record of the next slot, before anything of the slot is done: what has no record must not be
    /// decided. False when the disk is too slow: the slot is to be missed, and its input waits for the next one.
    ///
    /// # Errors
    /// When the log has ended.
    pub fn ready(&mut self) -> Result<bool, EngineError> {
        if self.reserved.is_none() {
            match self.writer.checkout(self.patience) {
                Err(LogError::Busy { waiting }) => self.wait_for_the_log(waiting),
                record => self.reserved = Some(record?),
            }
        }
        Ok(self.reserved.is_some())
    }

    /// Why slots were missed since the last one that ran.
    pub const fn missed_because(&self) -> GapReason {
        if self.log_was_busy {
            GapReason::LogBusy
        } else {
            GapReason::Overrun
        }
    }

    /// Runs a slot: stages 1 to 9, the leaf, the readers.
    ///
    /// # Errors
    /// When the log cannot take the leaf: the process must not go on as if it had. [`LogError::Busy`] when [`Self::ready`]
    /// was not asked: the slot did not run then.
    pub fn slot(&mut self, input: &SlotInput<'_>) -> Result<Stepped, EngineError> {
        let mut record = match self.reserved.take() {
            Some(record) => record,
            None => self.writer.checkout(self.patience)?,
        };
        // Whoever writes a capture has taken them by now.
        self.notes.clear();
        // The leaf says the time the cycle was computed for: a replay has nothing else to go by.
        let stamp = self.chain.settled(input.stamp);
        let mut report = self.core.step(&Slot {
            cycle: self.chain.next_seq(),
            tick: input.tick,
            end_ns: stamp.mono_ns,
            t_ms: input.t_ms,
            frames: input.frames,
            deadline: input.deadline,
            obey: input.obey,
        });
        let mut parts = Parts::begin();
        record.inputs.extend_from_slice(self.core.inputs_list());
        record.stages.extend_from_slice(self.core.stages_list());
        record.outcome.extend_from_slice(self.core.outcome_bytes());
        parts.end(0);
        if self.chain.keyframe_due(&self.in_force.manifest_hash) {
            record.state = self.writer.state_buffer();
            self.core.export_state(&mut record.state)?;
        }
        parts.end(1);
        record.world.append(&mut self.ended);
        world_rows(&self.core.world, &mut record);
        parts.end(2);
        let facts = facts(&self.core, &self.in_force, input.tick, &report);
        if self.hub.is_some() {
            record.stage_us = Some(core::array::from_fn(|stage| report.stage[stage].1));
        }
        let leaf = self.chain.append_cycle(stamp, &facts, &mut record)?;
        parts.end(3);
        self.writer.submit(record)?;
        self.log_was_busy = false;
        parts.end(4);
        report.witness_ns = parts.took_ns;
        report.stage[8].1 += parts.sum_us();
        let begun = Instant::now();
        self.publish(input, leaf, &report);
        report.stage[9] = (Disposition::Ran, begun.elapsed().as_micros() as u32);
        self.calibrations.settle(
            &mut self.core,
            &mut self.chain,
            &self.writer,
            &mut self.in_force,
            input.stamp,
        )?;
        self.roll_up(input.stamp)?;
        self.writer.breathe();
        Ok(Stepped { leaf, stamp, report })
    }

    /// Appends the ROLLUP leaf that the writer thread has made, if it has.
    fn roll_up(&mut self, stamp: Stamp) -> Result<(), EngineError> {
        if self.rollup.is_none() {
            self.rollup = self.writer.rollup_due().map(|rollup| Body::Rollup(*rollup));
        }
        let Some(body) = &self.rollup else { return Ok(()) };
        let mut record = match self.writer.checkout(Duration::ZERO) {
            // It is in no hurry.
            Err(LogError::Busy { .. }) => return Ok(()),
            record => record?,
        };
        self.chain.append(stamp, body, &mut record)?;
        self.rollup = None;
        Ok(self.writer.submit(record)?)
    }

    /// Appends a leaf of another kind than CYCLE, with the artefacts it names. It says what was ordered or done and cannot be
    /// left out, so it waits for a slow disk; slots that pass meanwhile are missed.
    ///
    /// # Errors
    /// When the log cannot take it.
    pub fn append(&mut self, stamp: Stamp, body: &Body, blobs: Vec<Blob>) -> Result<Appended, EngineError> {
        let mut record = match self.writer.checkout(self.patience) {
            Err(LogError::Busy { waiting }) => {
                self.wait_for_the_log(waiting);
                self.writer.checkout_blocking()?
            }
            record => record?,
        };
        record.blobs = blobs;
        let appended = self.chain.append(stamp, body, &mut record)?;
        self.writer.submit(record)?;
        Ok(appended)
    }

    fn wait_for_the_log(&mut self, waiting: usize) {
        if !std::mem::replace(&mut self.log_was_busy, true) {
            tracing::warn!(
                waiting,
                "the disk is too slow for the log: slots are missed until it has caught up; look at what else writes to it"
            );
        }
    }

    /// Puts a generation in force with the cycle of `tick`; to be called between two slots. Whoever calls it writes the
    /// SWAP leaf that says so, with this result and reason. The next cycle is a keyframe.
    ///
    /// # Errors
    /// [`HostError::State`]: what runs stays.
    pub fn put_in_force(
        &mut self,
        generation: Generation,
        tick: u64,
        (result, reason): (SwapResult, u16),
    ) -> Result<Activation, HostError> {
        let activation = match result {
            SwapResult::RolledBack => self.core.host.go_back(generation)?,
            _ => self.core.host.activate(generation)?,
        };
        self.notes.push(Note::Manifest {
            text: self.core.host.manifest().text().to_owned(),
            state: activation.state.map(notes::code),
            leaf: (result as u8, reason),
        });
        self.in_force.manifest_hash = activation.new_manifest_hash;
        if let Some(hub) = &self.hub {
            let manifest = self.core.host.manifest();
            hub.publish_manifest(live::InForce {
                text: manifest.text().to_owned(),
                hash: activation.new_manifest_hash,
                generation: manifest.generation(),
                since_tick: tick,
            });
        }
        Ok(activation)
    }

    /// Takes another configuration of the same site from `tick` on: a CONFIG leaf names it, and a PRIVACY_MODE leaf another
    /// mode.
    ///
    /// # Errors
    /// When the log cannot go on.
    pub fn configure(&mut self, stamp: Stamp, tick: u64, site: Arc<Site>, operator: Hash) -> Result<(), EngineError> {
        let text = witnessed::document(&site);
        let hash = Domain::Config.hash(text.as_bytes());
        if hash == self.in_force.config_hash {
            return Ok(());
        }
        let old_mode = mode_code(self.core.site());
        if let Err(error) = self.core.set_site(site) {
            // The order was checked before it was taken.
            tracing::error!(%error, "the configuration stays as it was");
            return Ok(());
        }
        let body = Body::Config(Config {
            old_config_hash: self.in_force.config_hash,
            new_config_hash: hash,
            effective_tick: tick,
            operator,
        });
        let blob = Blob {
            hash,
            kind: "config",
            bytes: text.into_bytes(),
        };
        self.append(stamp, &body, vec![blob])?;
        self.in_force.config_hash = hash;
        let new_mode = mode_code(self.core.site());
        if new_mode != old_mode {
            let body = Body::PrivacyMode(PrivacyMode {
                old_mode,
                new_mode,
                effective_tick: tick,
                operator,
            });
            self.append(stamp, &body, Vec::new())?;
        }
        self.notes.push(Note::Configured {
            now: SiteNow::of(self.core.site()),
            config_hash: hash,
        });
        Ok(())
    }

    /// Ends what an earlier process believed and did not live to end: nobody knows what became of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn end_beliefs_of_earlier_boots(&mut self, store: &Reader) -> Result<(), StoreError> {
        let world = store.world(None)?;
        let nodes = world.nodes.into_iter();
        self.ended.extend(nodes.map(|n| WorldChange::NodeGone { id: n.id }));
        let edges = world.edges.into_iter();
        self.ended.extend(edges.map(|e| WorldChange::EdgeGone {
            src: e.src,
            dst: e.dst,
            kind: e.kind,
        }));
        Ok(())
    }

    /// Learns the empty room from now on, until a monotonic time. The log says so: a replay of the log has to know.
    ///
    /// # Errors
    /// When the log cannot go on.
    pub fn start_calibration(&mut self, stamp: Stamp, end_ns: u64) -> Result<(), EngineError> {
        self.audit(stamp, ZERO, &Order::StartCalibration { end_ns }.to_string(), ZERO)?;
        self.calibrations.start(&mut self.core, end_ns);
        self.notes.push(Note::StartCalibration { end_ns });
        Ok(())
    }

    /// Gives up a calibration that is being learned.
    ///
    /// # Errors
    /// When the log cannot go on.
    pub fn stop_calibration(&mut self, stamp: Stamp) -> Result<(), EngineError> {
        self.audit(stamp, ZERO, &Order::StopCalibration.to_string(), ZERO)?;
        self.core.front.stop_calibration();
        self.notes.push(Note::StopCalibration);
        Ok(())
    }

    /// Records that somebody did something: an AUDIT leaf.
    ///
    /// # Errors
    /// When the log cannot go on.
    pub fn audit(&mut self, stamp: Stamp, operator: Hash, action: &str, target: Hash) -> Result<(), EngineError> {
        let body = Body::Audit(Audit {
            operator,
            action: Text::new(action),
            target,
            result: AuditResult::Done,
        });
        self.append(stamp, &body, Vec::new()).map(|_| ())
    }

    /// True while a calibration is being learned.
    pub fn calibrating(&self) -> bool {
        matches!(
            self.core.front.calibration_status(),
            CalibrationStatus::Running { .. } | CalibrationStatus::Finished
        )
    }

    /// Where calibration stands, one line.
    pub fn calibration_line(&self) -> String {
        self.calibrations.line(&self.core)
    }

    /// Where calibration stands, with what it knows of each link path.
    pub fn calibration(&self) -> live::Calibration {
        self.calibrations.status(&self.core, &self.in_force)
    }

    /// The last calibration that ended well, as a file's bytes.
    pub fn calibration_file(&self) -> Option<&[u8]> {
        self.calibrations.file()
    }

    /// Puts a calibration file in force and says so in the log.
    ///
    /// # Errors
    /// The file does not fit, or the log cannot go on.
    pub fn load_calibration(&mut self, bytes: &[u8], stamp: Stamp) -> Result<usize, super::start::StartError> {
        self.calibrations.load(
            bytes,
            &mut self.core,
            &mut self.chain,
            &self.writer,
            &mut self.in_force,
            stamp,
        )
    }

    /// Puts the calibration of an earlier process in force again, as far as it is of this site. One that does not fit is
    /// left, and the status says why.
    ///
    /// # Errors
    /// When the store cannot be read or the log cannot go on.
    pub fn reload_calibration(&mut self, store: &Reader, stamp: Stamp) -> Result<(), super::live::ServeError> {
        let Some(kept) = store.last_calibration()? else {
            return Ok(());
        };
        let refused = match moved(&kept.config, &witnessed::document(self.core.site())) {
            Some(what) => Some(what),
            None => match self.load_calibration(&kept.artefact, stamp) {
                Ok(0) => Some("it is not of these link paths".to_owned()),
                Ok(_) => None,
                Err(super::start::StartError::Engine(error)) => return Err(error.into()),
                Err(error) => Some(error.to_string()),
            },
        };
        if let Some(why) = &refused {
            tracing::warn!(why, "the calibration of the earlier process is not used");
        }
        self.calibrations.reloaded(kept.since_ns, refused);
        Ok(())
    }

    /// What changed since this was asked last: it holds for the next slot, and a capture has to say it.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// What a capture that begins with the next slot has to say first.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be given.
    pub fn begin(&mut self) -> Result<Begin, StateError> {
        let mut state = None;
        if self.chain.last_tick().is_some() {
            self.core.export_state(state.insert(Vec::new()))?;
        }
        Ok(Begin {
            manifest: self.core.host.manifest().text().to_owned(),
            config: witnessed::document(self.core.site()),
            now: SiteNow::of(self.core.site()),
            calibration: self.calibrations.file().map(<[u8]>::to_vec),
            state,
        })
    }

    /// Goes on from the state that a capture began with. Its cycles are numbered by the leaves of another log.
    ///
    /// # Errors
    /// [`StateError`]; the engine is then to be discarded.
    pub(super) fn go_on_from(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.core.import_state(state)?;
        self.core.world.go_on_in_another_log(self.chain.next_seq());
        Ok(())
    }

    fn publish(&self, input: &SlotInput<'_>, leaf: Appended, report: &Report) {
        let Some(hub) = &self.hub else { return };
        hub.publish(Arc::new(Cycle {
            cycle: leaf.seq,
            witness: leaf.witness,
            wall_ns: input.stamp.wall_ns,
            outcome: self.core.outcome().clone(),
            outcome_bytes: self.core.outcome_bytes().to_vec(),
            stages: report.stage,
        }));
        hub.scope.show(&self.core, input.tick, &report.stage);
    }
}

/// The site's privacy mode as leaves have it.
pub(super) fn mode_code(site: &Site) -> PrivacyModeCode {
    PrivacyModeCode::from_byte(site.privacy.mode.code()).unwrap_or(PrivacyModeCode::StrictNoIdentity)
}

/// What the leaf of a step says beside its commitments.
pub(super) fn facts(core: &Core, in_force: &InForce, tick: u64, report: &Report) -> CycleFacts {
    let outcome = core.outcome();
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    let mode = core.site().privacy.mode;
    CycleFacts {
        tick,
        flags: flag(outcome.simulated, flags::SIMULATED)
            | flag(outcome.privacy_class > mode.class(), flags::DEMOTED)
            | flag(report.degraded_clock, flags::DEGRADED_CLOCK),
        clock_quality: match report.clock_quality {
            _ if report.csi_frames == 0 => ClockQuality::Unknown,
            100 => ClockQuality::Good,
            _ => ClockQuality::Spread,
        },
        privacy_class: PrivacyClass::from_byte(outcome.privacy_class).unwrap_or(PrivacyClass::Restricted),
        privacy_mode: PrivacyModeCode::from_byte(outcome.privacy_mode).unwrap_or(PrivacyModeCode::StrictNoIdentity),
        outcome_code: outcome_code(report, outcome),
        n_inputs: report.inputs,
        n_stages: report.stages,
        numeric_profile: in_force.numeric_profile,
        manifest_hash: in_force.manifest_hash,
        config_hash: in_force.config_hash,
        calibration_id: in_force.calibration_id,
    }
}

/// How a cycle ended, as its leaf says it.
pub fn outcome_code(report: &Report, outcome: &tapline_witness::outcome::Outcome) -> OutcomeCode {
    match report {
        r if r.deadline => OutcomeCode::Deadline,
        r if r.fault => OutcomeCode::StageFault,
        r if r.csi_frames == 0 && r.rss_values == 0 => OutcomeCode::NoInput,
        _ if outcome.gate == tapline_witness::outcome::Gate::Reject => OutcomeCode::Rejected,
        _ => OutcomeCode::Ok,
    }
}

/// Rows for the store from what changed in the graph.
fn world_rows(world: &World, record: &mut Record) {
    for change in world.changes() {
        record.world.push(match change {
            Change::Node(id) => {
                let Some((node, ..)) = world.node(*id) else { continue };
                WorldChange::Node {
                    id: id.to_string(),
                    kind: id.kind().name().to_owned(),
                    label: label(node),
                }
            }
            Change::Gone(id, ..) => WorldChange::NodeGone { id: id.to_string() },
            Change::Edge(edge) => WorldChange::Edge {
                src: edge.from.to_string(),
                dst: edge.to.to_string(),
                kind: edge.kind.name().to_owned(),
                label: "{}".to_owned(),
            },
            Change::EdgeGone(edge) => WorldChange::EdgeGone {
                src: edge.from.to_string(),
                dst: edge.to.to_string(),
                kind: edge.kind.name().to_owned(),
            },
        });
    }
}

/// Attributes of a node, JSON.
pub(super) fn label(node: &Node) -> String {
    match node {
        Node::Fixed { name, place } => match place {
            Place::Between => serde_json::json!({ "name": name }),
            Place::Point(at) => serde_json::json!({ "name": name, "position_m": at }),
            Place::Spot(at) => serde_json::json!({ "name": name, "position_m": at }),
            Place::Line(ends) => serde_json::json!({ "name": name, "ends_m": ends }),
            Place::Outline(corners) => serde_json::json!({ "name": name, "outline_m": corners }),
        },
        Node::Privacy { mode, class, demotion } => {
            serde_json::json!({ "mode": mode, "class": class, "demotion": demotion })
        }
        Node::Person { position_m, sigma_m } => serde_json::json!({ "position_m": position_m, "sigma_m": sigma_m }),
        Node::State { presence, reason } => serde_json::json!({ "presence": presence.name(), "reason": reason.name() }),
        Node::Event { area, from, to } => serde_json::json!({ "area": area, "from": from.name(), "to": to.name() }),
    }
    .to_string()
}
