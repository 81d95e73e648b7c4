//! One slot, stages 1 to 9.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_dsp::front::Front;
use tapline_plugin_api::{
    StageKind,
    cir::C32,
    guard::code,
    tomography::observed,
    tracker::{ArrayLink, DopplerPair},
};
use tapline_witness::{
    disposition::Disposition,
    lists::{HOST_STAGE, Input},
    outcome::Outcome,
    outcome_codec::encode_outcome,
};

use super::{
    clock::SLOT_S,
    decide::{self, Seen},
    privacy::PrivacyGate,
    published::Published,
    setup::{self, SetupError},
    stages::StageList,
};
use crate::{
    config::Site,
    host::{CirBuffers, PluginHost, RunOrder, StageRun},
    ingest::{
        frames::Frames,
        intake::{Intake, Taken, centre_khz_of},
    },
    world::{Plan, World},
};

/// Clock quality below which a leaf says that the clock was degraded.
const DEGRADED_CLOCK: u8 = 50;

/// Longest step that the stages are told of, slots: an hour.
const LONGEST_STEP_SLOTS: u64 = 72_000;

/// Dispositions to obey on replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obey {
    /// Of the stages cir, tomography and tracker.
    pub stages: [Disposition; 3],
    /// Under a `Timeout` of cir: the groups that were late, a bit each from group 0 on.
    pub late_groups: u64,
    /// Stages that were skipped because they had failed before. What a call ends fails here by itself; what gave no state
    /// in time between two cycles does not.
    pub failed: [bool; 3],
}

impl Obey {
    /// These dispositions; a stage that was late was late as a whole.
    pub const fn whole(stages: [Disposition; 3]) -> Self {
        Self {
            stages,
            late_groups: u64::MAX,
            failed: [false; 3],
        }
    }
}

/// The recorded input of one cycle.
pub struct Slot<'f> {
    /// Number of the cycle: `seq` of its leaf.
    pub cycle: u64,
    /// Slot number since boot.
    pub tick: u64,
    /// End of the slot, monotonic nanoseconds since boot.
    pub end_ns: u64,
    /// End of the slot in the time base of the input, milliseconds.
    pub t_ms: i64,
    /// What arrived in it.
    pub frames: &'f Frames,
    /// How long the plugin stages may take together; none: as long as they like.
    pub deadline: Option<Duration>,
    /// Dispositions to obey instead of deciding.
    pub obey: Option<Obey>,
}

/// What witnessing a cycle consists of: lists and outcome copied into a record, the state of a keyframe, changes of the
/// graph, commitments and leaf, the record handed to the writer thread.
pub const WITNESS_PARTS: [&str; 5] = ["copies", "state", "changes", "leaf", "handover"];

/// What a step did, beside its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Frames that were looked at.
    pub inputs: u32,
    /// CSI frames that fed a link.
    pub csi_frames: u32,
    /// RSS values that fed a link.
    pub rss_values: u32,
    /// Entries of the stages list.
    pub stages: u16,
    /// Clock quality, 0 to 100.
    pub clock_quality: u8,
    /// True when the clock quality is too low to trust the grouping.
    pub degraded_clock: bool,
    /// What became of the stages 1 to 10, and the microseconds each took (10 is the publisher's).
    pub stage: [(Disposition, u32); 10],
    /// Of stage 9, what the witness took: a time for each of [`WITNESS_PARTS`], nanoseconds.
    pub witness_ns: [u32; WITNESS_PARTS.len()],
    /// True when any plugin stage neither ran nor was skipped for want of input.
    pub fault: bool,
    /// True when a plugin stage ran into the deadline.
    pub deadline: bool,
    /// The groups of cir that were late, a bit each from group 0 on.
    pub late_groups: u64,
    /// The stages cir, tomography and tracker that had input and were skipped because they had failed.
    pub failed: [bool; 3],
}

/// Why a state cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[error("this state does not fit the configuration and plugins: {0}")]
pub struct StateError(String);

/// The whole state of a cycle and the code that advances it.
pub struct Core {
    site: Arc<Site>,
    intake: Intake,
    /// Stages 1 to 4 and 6. Public for the calibration calls of the driver.
    pub front: Front,
    /// Stages 5, 7 and 8.
    pub host: PluginHost,
    privacy: PrivacyGate,
    published: Published,
    /// The live graph.
    pub world: World,
    /// What the graph has to know of the configuration.
    plan: Plan,
    /// Per path: where it stands in the CIR arrays of all groups.
    cir_index: Vec<Option<u32>>,
    /// Per path: its group and place in it.
    cir_place: Vec<Option<(usize, usize)>>,
    stage_list: StageList,
    /// Slot of the last step.
    last_tick: Option<u64>,
    inputs: Vec<u8>,
    outcome: Outcome,
    outcome_bytes: Vec<u8>,
    not_used: Vec<(&'static str, u64)>,
    state_buffers: StateBuffers,
}

/// A state that is read.
#[derive(BorshDeserialize)]
struct StateBlob {
    version: u16,
    intake: Vec<u8>,
    front: Vec<u8>,
    host: Vec<u8>,
    privacy: PrivacyGate,
    published: Published,
    world: World,
    last_tick: Option<u64>,
}

/// A state that is written: the fields of [`StateBlob`].
#[derive(BorshSerialize)]
struct StateParts<'a> {
    version: u16,
    intake: &'a [u8],
    front: &'a [u8],
    host: &'a [u8],
    privacy: &'a PrivacyGate,
    published: &'a Published,
    world: &'a World,
    last_tick: Option<u64>,
}

/// Filled anew for each keyframe, so that it faults no fresh memory in.
#[derive(Default)]
struct StateBuffers {
    intake: Vec<u8>,
    front: Vec<u8>,
    host: Vec<u8>,
}

const STATE_VERSION: u16 = 5;

impl Core {
    /// Builds the cycle of a site around a plugin host.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(site: Arc<Site>, mut host: PluginHost) -> Result<Self, SetupError> {
        let front = Front::new(setup::front_config(&site))?;
        let mut cir_index = vec![None; site.paths.len()];
        let mut cir_place = vec![None; site.paths.len()];
        let mut index = 0;
        for group in 0..host.groups() {
            for (place, link) in host
                .cir_buffers(group)
                .into_iter()
                .flat_map(|b| b.links.iter().enumerate())
            {
                cir_index[link.path as usize] = Some(index);
                cir_place[link.path as usize] = Some((group, place));
                index += 1;
            }
        }
        setup::fill_scene(&site, host.scene_mut());
        let plan = Plan::of(&site, front.config().presence.ratio_threshold);
        Ok(Self {
            intake: Intake::new(&site),
            front,
            host,
            privacy: PrivacyGate::default(),
            published: Published::new(site.rooms.len() + site.zones.len()),
            world: World::of(&site, &plan),
            plan,
            cir_index,
            cir_place,
            stage_list: StageList::default(),
            last_tick: None,
            inputs: Vec::new(),
            outcome: setup::outcome(),
            outcome_bytes: Vec::with_capacity(setup::outcome_bytes(&site)),
            not_used: Vec::new(),
            state_buffers: StateBuffers::default(),
            site,
        })
    }

    /// Runs one slot through stages 1 to 9.
    pub fn step(&mut self, slot: &Slot<'_>) -> Report {
        let mut report = Report::default();
        let mut timer = Timer::start();
        self.stage_list.clear();
        self.ingest(slot, &mut report);
        timer.lap(&mut report, 1, Disposition::Ran);
        self.front.begin_tick(slot.tick, slot.end_ns.cast_signed());
        self.front.calibrate();
        timer.lap(&mut report, 2, Disposition::Ran);
        self.front.align();
        self.stage_list.aligned(&self.front, self.site.paths.len());
        timer.lap(&mut report, 3, Disposition::Ran);
        self.front.fuse();
        self.stage_list.fused(&self.front);
        timer.lap(&mut report, 4, Disposition::Ran);
        let left = |timer: &Timer| slot.deadline.map(|d| d.saturating_sub(timer.begun.elapsed()));
        let cir = self.cir(left(&timer), slot.obey, &mut report);
        timer.lap(&mut report, 5, cir);
        self.front.sense(self.published.occupied());
        self.stage_list.sensed(&self.front);
        report.clock_quality = self.front.clock_quality();
        report.degraded_clock = self.front.fused().is_some() && report.clock_quality < DEGRADED_CLOCK;
        timer.lap(&mut report, 6, Disposition::Ran);
        self.fill_scene(slot.tick);
        let tomography = self.tomography(left(&timer), slot.obey, &mut report);
        timer.lap(&mut report, 7, tomography);
        let tracker = self.tracker(left(&timer), slot.obey, &mut report);
        timer.lap(&mut report, 8, tracker);
        self.decide(slot, &report);
        timer.lap(&mut report, 9, Disposition::Ran);
        report.stages = self.stage_list.count;
        report
    }

    fn ingest(&mut self, slot: &Slot<'_>, report: &mut Report) {
        self.inputs.clear();
        self.intake.simulated = false;
        for frame in slot.frames.iter() {
            let input = Input {
                source_id: frame.source,
                arrival_mono_ns: frame.arrival_ns,
                bytes: frame.bytes,
            };
            if input.put(&mut self.inputs).is_err() {
                self.note_not_used("too_long");
                continue;
            }
            report.inputs += 1;
            match self.intake.take(&frame, &mut self.front) {
                Taken::Csi => report.csi_frames += 1,
                Taken::Rss(values) => report.rss_values += values,
                Taken::Other(reason) | Taken::NotUsed(reason) => self.note_not_used(reason),
            }
        }
    }

    fn note_not_used(&mut self, reason: &'static str) {
        match self.not_used.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, count)) => *count += 1,
            None => self.not_used.push((reason, 1)),
        }
    }

    fn cir(&mut self, deadline: Option<Duration>, obey: Option<Obey>, report: &mut Report) -> Disposition {
        let mut any = false;
        for group in 0..self.host.groups() {
            any |= fill_group(self.host.cir_buffers_mut(group), &self.front, &self.site);
        }
        let plugin = plugin_index(&self.host, StageKind::Cir);
        let late = obey.map_or(u64::MAX, |o| o.late_groups);
        self.fail_as_recorded(obey, StageKind::Cir, any);
        self.host
            .run_cir_but(order(deadline, obey.map(|o| o.stages[0]), any), late);
        let mut whole = None;
        for (group, run) in self.host.runs(StageKind::Cir).iter().enumerate() {
            whole = Some(whole.map_or(run.disposition, |before| worse(before, run.disposition)));
            note(report, run, (StageKind::Cir, plugin), any);
            report.late_groups |= u64::from(run.disposition == Disposition::Timeout) << group.min(63);
            match self
                .host
                .cir_buffers(group)
                .filter(|_| run.disposition == Disposition::Ran)
            {
                Some(buffers) => self.stage_list.plugin(5, plugin, |out| {
                    out.floats(bytemuck::cast_slice(&buffers.taps));
                    out.bytes(bytemuck::cast_slice(&buffers.summaries));
                }),
                None => self.stage_list.absent(5, plugin, run.disposition, run.err_code),
            }
        }
        whole.unwrap_or_else(|| {
            self.stage_list.absent(5, plugin, Disposition::Skipped, 0);
            Disposition::Skipped
        })
    }

    fn fill_scene(&mut self, tick: u64) {
        let scene = self.host.scene_mut();
        scene.step_s = step_s(self.last_tick.replace(tick), tick);
        scene.gate = decide::gate_code(&self.front);
        scene.presence = self.front.site().probability.unwrap_or(-1.0);
        scene.vacancy = self.front.vacancy();
        decide::observations(self.front.links(), &self.site.paths, &self.cir_index, &mut scene.links);
        let (pairs, spectra) = self.front.doppler();
        scene.doppler.clear();
        scene.doppler.extend(pairs.iter().map(|p| DopplerPair {
            a: p.a.into(),
            b: p.b.into(),
            samples: p.samples,
            energy: p.energy,
        }));
        scene.spectra.clear();
        scene.spectra.extend_from_slice(spectra);
        let (links, spectra) = self.front.bearings();
        scene.arrays.clear();
        scene.arrays.extend(links.iter().map(|l| ArrayLink {
            tx: l.tx.into(),
            rx: l.rx.into(),
            antennas: l.antennas.into(),
            samples: l.samples,
            tier: l.tier.code(),
            wavelength_m: l.wavelength_m,
            period_m_s: l.period_m_s,
            noise: l.noise,
        }));
        scene.array_spectra.clear();
        scene.array_spectra.extend_from_slice(spectra);
    }

    fn tomography(&mut self, deadline: Option<Duration>, obey: Option<Obey>, report: &mut Report) -> Disposition {
        let any = self
            .host
            .scene_mut()
            .links
            .iter()
            .any(|l| l.observed & !observed::CIR != 0);
        self.fail_as_recorded(obey, StageKind::Tomography, any);
        let obey = obey.map(|o| o.stages[1]);
        let run = self.host.run_tomography(order(deadline, obey, any));
        let plugin = plugin_index(&self.host, StageKind::Tomography);
        match self
            .host
            .tomography_output()
            .filter(|_| run.disposition == Disposition::Ran)
        {
            Some(out) => self.stage_list.plugin(7, plugin, |bytes| {
                bytes.bytes(bytemuck::bytes_of(&out.summary));
                bytes.floats(&out.mean);
                bytes.floats(&out.variance);
            }),
            None => self.stage_list.absent(7, plugin, run.disposition, run.err_code),
        }
        note(report, &run, (StageKind::Tomography, plugin), any);
        run.disposition
    }

    fn tracker(&mut self, deadline: Option<Duration>, obey: Option<Obey>, report: &mut Report) -> Disposition {
        self.fail_as_recorded(obey, StageKind::Tracker, true);
        let obey = obey.map(|o| o.stages[2]);
        // The tracker predicts even when there is nothing to see.
        let run = self.host.run_tracker(order(deadline, obey, true));
        let plugin = plugin_index(&self.host, StageKind::Tracker);
        match self
            .host
            .tracker_output()
            .filter(|_| run.disposition == Disposition::Ran)
        {
            Some(out) => self.stage_list.plugin(8, plugin, |bytes| {
                bytes.bytes(bytemuck::bytes_of(&out.summary));
                bytes.bytes(bytemuck::cast_slice(&out.tracks));
            }),
            None => self.stage_list.absent(8, plugin, run.disposition, run.err_code),
        }
        note(report, &run, (StageKind::Tracker, plugin), true);
        run.disposition
    }

    /// Takes a stage out that was out in the recorded run.
    fn fail_as_recorded(&mut self, obey: Option<Obey>, stage: StageKind, any_input: bool) {
        if any_input && obey.is_some_and(|o| o.failed[stage as usize]) {
            self.host.fail(stage);
        }
    }

    fn decide(&mut self, slot: &Slot<'_>, report: &Report) {
        let plugin_stages = [5, 7, 8].map(|s: usize| report.stage[s - 1].0);
        let wanted = plugin_stages.iter().filter(|d| **d != Disposition::Skipped).count();
        let ran = plugin_stages.iter().filter(|d| **d == Disposition::Ran).count();
        let [_, image_ran, tracker_ran] = plugin_stages.map(|d| d == Disposition::Ran);
        let image = self.host.tomography_output().filter(|_| image_ran);
        let people = self.host.tracker_output().filter(|_| tracker_ran);
        let seen = Seen {
            image: image.map(|b| b.summary).unwrap_or_default(),
            mean: image.map_or(&[], |b| &b.mean),
            variance: image.map_or(&[], |b| &b.variance),
            people: people.map(|b| b.summary).unwrap_or_default(),
            tracks: people.map_or(&[], |b| &b.tracks[..b.summary.count as usize]),
            stages_share: if wanted == 0 { 0.0 } else { ran as f32 / wanted as f32 },
        };
        let (host, place) = (&self.host, &self.cir_place);
        let cir = |path: usize| {
            // A group that gave no answer holds zeros, which are no valid summary: an error costs its own links only.
            let (group, member) = place[path]?;
            host.cir_buffers(group)?.summaries.get(member).copied()
        };
        let out = &mut self.outcome;
        out.tick = slot.tick;
        out.t_ms = slot.t_ms;
        out.simulated = self.intake.simulated;
        decide::outcome(&self.site, &self.front, cir, &seen, &mut self.published, out);
        out.age_ms = decide::age_ms(&self.front);
        self.privacy.apply(self.site.privacy.mode, out);
        self.outcome_bytes.clear();
        // The stages' outputs are finite, and so is what is computed from them: the host checked the plugins' for size, too,
        // and the front stages never divide by zero.
        encode_outcome(out, &mut self.outcome_bytes).expect("an outcome of finite numbers has an encoding");
        self.world.update(slot.cycle, out, &self.plan);
    }

    /// The outcome of the last step.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The outcome of the last step as it is committed.
    pub fn outcome_bytes(&self) -> &[u8] {
        &self.outcome_bytes
    }

    /// `inputs_list` of the last step.
    pub fn inputs_list(&self) -> &[u8] {
        &self.inputs
    }

    /// `stages_list` of the last step.
    pub fn stages_list(&self) -> &[u8] {
        &self.stage_list.bytes
    }

    /// Datagrams that the first stage did not use since start, by reason.
    pub fn not_used(&self) -> &[(&'static str, u64)] {
        &self.not_used
    }

    /// Takes another configuration of the same site, between two cycles: the privacy mode and the outlines of zones may
    /// differ, nothing else.
    ///
    /// # Errors
    /// [`SetupError`]: what was stays.
    ///
    /// # Panics
    /// When the areas are others.
    pub fn set_site(&mut self, site: Arc<Site>) -> Result<(), SetupError> {
        let outlines = |site: &Site| site.zones.iter().map(|z| z.outline_m.clone()).collect::<Vec<_>>();
        if outlines(&site) != outlines(&self.site) {
            self.front.set_areas(setup::front_config(&site).areas)?;
            self.world.edit_zones(&site.zones);
        }
        self.plan.edit(&site);
        self.site = site;
        Ok(())
    }

    /// The site.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Sequence numbers of the nodes.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Appends the whole state: a core that imports it continues bit for bit.
    ///
    /// # Errors
    /// [`StateError`] when a plugin cannot give its state, or a number of the front end is none.
    pub fn export_state(&mut self, into: &mut Vec<u8>) -> Result<(), StateError> {
        let StateBuffers { intake, front, host } = &mut self.state_buffers;
        intake.clear();
        front.clear();
        host.clear();
        self.intake.export_state(intake);
        self.front.export_state(front).map_err(|e| StateError(e.to_string()))?;
        self.host.export_state(host).map_err(|e| StateError(e.to_string()))?;
        let parts = StateParts {
            version: STATE_VERSION,
            intake,
            front,
            host,
            privacy: &self.privacy,
            published: &self.published,
            world: &self.world,
            last_tick: self.last_tick,
        };
        borsh::to_writer(into, &parts).map_err(|e| StateError(e.to_string()))
    }

    /// Takes the stages out that have failed in a recorded state: a stage that did not give its state in time is failed
    /// from that keyframe on. Whatever else the bytes say is not looked at.
    pub fn fail_as_in(&mut self, state: &[u8]) {
        if let Ok(blob) = borsh::from_slice::<StateBlob>(state) {
            self.host.fail_as_in(&blob.host);
        }
    }

    /// Takes over a state.
    ///
    /// # Errors
    /// [`StateError`]; the core is then to be discarded.
    pub fn import_state(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let fail = |what: &dyn std::fmt::Display| StateError(what.to_string());
        let blob: StateBlob = borsh::from_slice(bytes).map_err(|e| fail(&e))?;
        if blob.version != STATE_VERSION {
            return Err(StateError(format!(
                "found version {}, expected {STATE_VERSION}",
                blob.version
            )));
        }
        if !self.intake.import_state(&blob.intake) {
            return Err(StateError("the nodes' sequence numbers are of another site".to_owned()));
        }
        if !blob.published.fits(self.site.rooms.len() + self.site.zones.len()) {
            return Err(StateError("the published states are of another site".to_owned()));
        }
        self.front.import_state(&blob.front).map_err(|e| fail(&e))?;
        self.host.import_state(&blob.host).map_err(|e| fail(&e))?;
        (self.privacy, self.published, self.world) = (blob.privacy, blob.published, blob.world);
        self.last_tick = blob.last_tick;
        Ok(())
    }
}

/// Fills one group's input from the front stages; true when any of its paths has a frame.
fn fill_group(buffers: &mut CirBuffers, front: &Front, site: &Site) -> bool {
    let mut any = false;
    for link in &mut buffers.links {
        let path = link.path as usize;
        let spec = &site.paths[path];
        (link.tx, link.rx) = (u32::from(spec.tx), u32::from(spec.rx));
        link.antennas = u32::from(spec.tx_antenna) | u32::from(spec.rx_antenna) << 16;
        link.centre_khz = centre_khz_of(spec.channel);
        link.present = u32::from(front.present(path));
        link.noise_variance = front.noise_variance(path);
        link.age_s = front.age_s(path).unwrap_or(0.0);
        any |= link.present == 1;
        let at = link.tone_offset as usize..(link.tone_offset + link.tone_count) as usize;
        let (tones, mask) = front.tones(path);
        for (to, from) in buffers.tones[at.clone()].iter_mut().zip(tones) {
            // Adding zero makes -0 into +0: what is consumed is what is hashed.
            *to = C32 {
                re: from.re + 0.0,
                im: from.im + 0.0,
            };
        }
        buffers.mask[at].copy_from_slice(mask);
    }
    any
}

/// Seconds from the last slot that ran to this one: slots can be missed. Before the first there is only the nominal period.
fn step_s(last_tick: Option<u64>, tick: u64) -> f32 {
    let slots = last_tick.map_or(1, |last| tick.saturating_sub(last).max(1));
    slots.min(LONGEST_STEP_SLOTS) as f32 * SLOT_S
}

/// Index of a stage's plugin in the manifest.
fn plugin_index(host: &PluginHost, stage: StageKind) -> u16 {
    let plugins = host.manifest().plugins();
    plugins
        .iter()
        .position(|p| p.stage == stage)
        .map_or(HOST_STAGE, |i| i as u16)
}

fn order(deadline: Option<Duration>, obey: Option<Disposition>, any_input: bool) -> RunOrder {
    RunOrder {
        deadline,
        obey,
        idle: !any_input,
    }
}

fn note(report: &mut Report, run: &StageRun, (stage, plugin): (StageKind, u16), any_input: bool) {
    report.deadline |= run.disposition == Disposition::Timeout || run.err_code == code::DEADLINE;
    let skipped_for_nothing = run.disposition == Disposition::Skipped && any_input;
    report.failed[stage as usize] |= plugin != HOST_STAGE && skipped_for_nothing && run.err_code == 0;
    report.fault |= !matches!(run.disposition, Disposition::Ran | Disposition::Skipped) || skipped_for_nothing;
}

/// One group's fault is the stage's; a stage ran when all its groups did. Of two faults the one that a replay has to obey
/// counts, then the one that ends the stage, then the first.
fn worse(a: Disposition, b: Disposition) -> Disposition {
    let weight = |d| match d {
        Disposition::Ran => 0,
        Disposition::Skipped | Disposition::Error => 1,
        Disposition::Panic | Disposition::NonFinite | Disposition::FpEnv => 2,
        Disposition::Timeout => 3,
    };
    if weight(b) > weight(a) { b } else { a }
}

/// Times the stages for operators; nothing it measures reaches an outcome.
struct Timer {
    begun: Instant,
    lap: Instant,
}

impl Timer {
    fn start() -> Self {
        let now = Instant::now();
        Self { begun: now, lap: now }
    }

    fn lap(&mut self, report: &mut Report, stage: usize, disposition: Disposition) {
        let now = Instant::now();
        report.stage[stage - 1] = (disposition, (now - self.lap).as_micros() as u32);
        self.lap = now;
    }
}

#[cfg(test)]
mod tests {
    use super::{Disposition, step_s, worse};

    #[test]
    fn a_step_is_what_passed_within_an_hour() {
        assert_eq!((step_s(None, 7), step_s(Some(6), 7)), (0.05, 0.05));
        assert_eq!((step_s(Some(7), 27), step_s(Some(7), 7)), (1.0, 0.05));
        assert_eq!((step_s(Some(0), 72_000), step_s(Some(0), u64::MAX)), (3_600.0, 3_600.0));
    }

    #[test]
    fn of_two_faults_the_one_that_a_replay_obeys_counts() {
        use Disposition::{Error, Panic, Ran, Timeout};
        for (first, second, whole) in [
            (Ran, Ran, Ran),
            (Ran, Error, Error),
            (Error, Ran, Error),
            (Error, Timeout, Timeout),
            (Timeout, Error, Timeout),
            (Panic, Timeout, Timeout),
            (Error, Panic, Panic),
        ] {
            assert_eq!(worse(first, second), whole, "{first:?} {second:?}");
        }
    }
}
