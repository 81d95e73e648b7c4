//! The exchange of plugins in a whole engine, on simulated frames, slot by slot without a clock.

mod begun;
mod late;
mod recorded;
mod tracker;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi::PluginModule,
    abi_stable::std_types::{RStr, RVec},
    cir::{C32, CirInput, CirLinkSpec, CirOutput, CirSummary},
    describe::Setup,
    guard::code,
    linked,
};
use tapline_sim::{Scene, Simulator};
use tapline_witness::{
    body::{Body, Gap, GapReason, Host, Swap, SwapResult, swap_reason},
    hash::Domain,
    leaf::{self, flags},
};

use super::*;
use crate::{
    config::Fleet,
    cycle::{clock::SLOT_NS, host_spec},
    host::{PluginHost, program},
    ingest::frames::Frames,
    live::Command,
    log::{Faults, LogOptions, Step, fsck},
    run::{
        SlotInput,
        capture::Capture,
        notes::Begin,
        recordings::Recorder,
        replay::{ReplayError, ReplayOptions, Summary, replay},
        start::{Prepared, Started},
    },
    store::reader::{CycleData, Reader},
};

/// Whatever a busy machine does: an attempt that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// What a [`Plain`] stage is like.
trait Flavour: Send + 'static {
    const NAME: &'static str;
    /// What it answers above its number of calls.
    const ADD: f32 = 0.0;
    /// Panics in its forty-first call, which no golden vector reaches.
    const PANICS: bool = false;
    /// Never returns from that call.
    const HANGS: bool = false;
    /// Of the instances only those with so few links hang.
    const HANGS_BELOW: usize = usize::MAX;
    /// Answers a NaN in that call.
    const NAN: bool = false;
    /// Answers with an error from that call on.
    const ERRS: bool = false;
    /// Of the instances only those with so many links do.
    const ERRS_FROM: usize = 0;
    /// Never gives its state after that call.
    const MUTE: bool = false;
}

struct Steady;
impl Flavour for Steady {
    const NAME: &'static str = "steady";
}

struct Other;
impl Flavour for Other {
    const NAME: &'static str = "other";
    const ADD: f32 = 0.5;
}

struct Panics;
impl Flavour for Panics {
    const NAME: &'static str = "panics";
    const PANICS: bool = true;
}

struct Nan;
impl Flavour for Nan {
    const NAME: &'static str = "nan";
    const NAN: bool = true;
}

struct Hangs;
impl Flavour for Hangs {
    const NAME: &'static str = "hangs";
    const HANGS: bool = true;
}

struct Errs;
impl Flavour for Errs {
    const NAME: &'static str = "errs";
    const ERRS: bool = true;
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    gain: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

/// A stage that answers its number of calls in every tap, so that its state shows.
struct Plain<F> {
    gain: f32,
    calls: u32,
    links: usize,
    flavour: PhantomData<F>,
}

impl<F: Flavour> Method for Plain<F> {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str(F::NAME),
        version: RStr::from_str("1.0.0"),
        stage: StageKind::Cir,
        method: RStr::from_str("a test"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    };
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        if F::MUTE && self.calls > 40 {
            std::thread::sleep(Duration::MAX);
        }
        into.extend_from_slice(&self.calls.to_le_bytes());
        Ok(())
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let bytes = state
            .try_into()
            .map_err(|_| StageError::new(code::STATE, "expected 4 bytes"))?;
        self.calls = u32::from_le_bytes(bytes);
        Ok(())
    }
}

impl<F: Flavour> CirMethod for Plain<F> {
    fn new(setup: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError> {
        let config: Config =
            toml::from_str(&setup.config_toml).map_err(|e| StageError::new(code::CONFIG, e.to_string()))?;
        Ok(Self {
            gain: config.gain,
            calls: 0,
            links: links.len(),
            flavour: PhantomData,
        })
    }
    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        let taps: usize = input.links.iter().map(|l| l.tap_count as usize).sum();
        let fits = input.links.iter().all(|l| {
            let end = l.tone_offset as usize + l.tone_count as usize;
            l.tap_count == 3 * l.tone_count && end <= input.tones.len() && end <= input.mask.len()
        });
        if !fits || input.links.len() != self.links || output.taps.len() != taps {
            return Err(StageError::new(code::INPUT, "the buffers do not fit the links"));
        }
        assert!(!(F::PANICS && self.calls == 40), "as written");
        if F::HANGS && self.calls == 40 && self.links < F::HANGS_BELOW {
            std::thread::sleep(Duration::MAX);
        }
        if F::ERRS && self.calls == 40 && self.links >= F::ERRS_FROM {
            return Err(StageError::new(code::INPUT, "not this input"));
        }
        let re = if F::NAN && self.calls == 40 {
            f32::NAN
        } else {
            self.gain * self.calls as f32 + F::ADD
        };
        self.calls += 1;
        output.taps.as_mut_slice().fill(C32 { re, im: 0.0 });
        output.summaries.as_mut_slice().fill(CirSummary {
            valid: 1,
            ..CirSummary::default()
        });
        Ok(())
    }
}

const LINKED: &[PluginModule] = &[
    linked::cir::<Plain<Steady>>(),
    linked::cir::<Plain<Other>>(),
    linked::cir::<Plain<Panics>>(),
    linked::cir::<Plain<Nan>>(),
];

/// An engine that runs as `serve` does, but for the clock.
struct Rig {
    dir: tempfile::TempDir,
    engine: Engine,
    hub: Arc<Hub>,
    _commands: Receiver<Command>,
    swaps: Swaps,
    simulator: Simulator,
    frames: Frames,
    datagram: Vec<u8>,
    next: Option<tapline_sim::Emission>,
    tick: u64,
    capture: Option<Capture>,
    recorder: Option<Recorder>,
    /// To the recorder slots are of a class stricter than the engine says.
    demoted: bool,
    /// The capture takes no slot.
    disk_full: bool,
    /// How long the plugin stages of a slot may take together.
    deadline: Option<Duration>,
}

/// The fleet file of a simulated room.
fn fleet(simulator: &Simulator) -> Fleet {
    let text = format!("version = 1\n{}", simulator.site_config().to_fleet_toml());
    Fleet::parse(&text, Path::new("scene.toml")).unwrap()
}

impl Rig {
    fn new() -> Self {
        Self::with("steady", None)
    }

    fn with(cir: &str, faults: Option<Box<dyn Faults>>) -> Self {
        Self::over(LINKED, cir, faults)
    }

    fn over(linked: &'static [PluginModule], cir: &str, faults: Option<Box<dyn Faults>>) -> Self {
        Self::in_scene("demo", linked, cir, faults)
    }

    fn in_scene(scene: &str, linked: &'static [PluginModule], cir: &str, faults: Option<Box<dyn Faults>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut simulator = Simulator::new(Scene::builtin(scene).unwrap(), 1).unwrap();
        let fleet = fleet(&simulator);
        let site = Arc::new(fleet.select(None, "").unwrap());
        let mut spec = host_spec(&site, PathBuf::new()).unwrap();
        // Other stages than cir would only cost time.
        spec.linked = linked;
        let manifest = PluginHost::linked_manifest(&spec, [cir, "", ""], program::host_stages()).unwrap();
        let host = PluginHost::new(spec, manifest).unwrap();
        let prepared = Prepared::over(fleet, site, host).unwrap();
        let mut log = LogOptions::live(dir.path().join("data"));
        if let Some(faults) = faults {
            log.faults = faults;
        }
        let stamp = Stamp {
            mono_ns: 0,
            wall_ns: 1_000,
        };
        let started = prepared.start(log, stamp, Host::default(), 1, STUCK, true).unwrap();
        let Started { engine, hub } = started;
        let (hub, commands) = hub.unwrap();
        let swaps = Swaps::start(&engine, &hub, STUCK).unwrap();
        let mut datagram = Vec::new();
        let next = simulator.next_datagram(&mut datagram);
        Self {
            dir,
            engine,
            hub,
            _commands: commands,
            swaps,
            simulator,
            frames: Frames::default(),
            datagram,
            next,
            tick: 0,
            capture: None,
            recorder: None,
            demoted: false,
            disk_full: false,
            deadline: None,
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            mono_ns: 1_000_000_000 + self.tick * SLOT_NS,
            wall_ns: 1_000_000_000_000 + (self.tick * SLOT_NS).cast_signed(),
        }
    }

    /// One slot; the disposition of cir.
    fn slot(&mut self) -> Disposition {
        self.slot_of_all()[0]
    }

    /// One slot; the dispositions of cir, tomography and tracker.
    fn slot_of_all(&mut self) -> [Disposition; 3] {
        self.frames.clear();
        while let Some(emission) = self.next.filter(|e| e.time_ns <= self.tick * SLOT_NS) {
            let arrival_ns = 1_000_000_000 + emission.time_ns;
            self.frames.push(u32::from(emission.node), arrival_ns, &self.datagram);
            self.datagram.clear();
            self.next = self.simulator.next_datagram(&mut self.datagram);
        }
        let stamp = self.stamp();
        self.swaps.before_slot(&mut self.engine, self.tick, stamp).unwrap();
        let input = SlotInput {
            tick: self.tick,
            stamp,
            t_ms: stamp.wall_ns.div_euclid(1_000_000),
            frames: &self.frames,
            deadline: self.deadline,
            obey: None,
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(&mut self.engine, self.tick, stamp);
        }
        let notes = self.engine.take_notes();
        let stepped = self.engine.slot(&input).unwrap();
        let class = self.engine.core.outcome().privacy_class + u8::from(self.demoted);
        if let Some(recorder) = &mut self.recorder {
            recorder.slot(&self.frames, self.tick, stepped.stamp, &stepped.report, &notes, class);
        }
        if let Some(capture) = self.capture.as_mut().filter(|_| !self.disk_full) {
            capture.slot(&self.frames, self.tick, stepped.stamp, &stepped.report, &notes);
        }
        self.swaps.after_slot(&mut self.engine, self.tick, stamp).unwrap();
        self.tick += 1;
        [5, 7, 8].map(|stage: usize| stepped.report.stage[stage - 1].0)
    }

    fn ask(&mut self, kind: AttemptKind, source: Source, table: Option<&str>, shadow_cycles: u32) -> u64 {
        self.ask_for(kind, source, table, shadow_cycles, false)
    }

    fn ask_for(
        &mut self,
        kind: AttemptKind,
        source: Source,
        table: Option<&str>,
        shadow_cycles: u32,
        review: bool,
    ) -> u64 {
        let candidate = Candidate {
            stage: StageKind::Cir,
            source,
            blake3: None,
            table: table.map(str::to_owned),
        };
        self.ask_with(kind, candidate, shadow_cycles, review)
    }

    fn ask_with(&mut self, kind: AttemptKind, candidate: Candidate, shadow_cycles: u32, review: bool) -> u64 {
        let old_manifest_hash = self.engine.in_force.manifest_hash;
        let attempt = self.hub.attempts.begin(true, |id| Attempt {
            kind,
            old_manifest_hash,
            ..crate::live::attempt::tests::attempt(id, Phase::Queued)
        });
        let attempt = attempt.expect("no other attempt is under way").id;
        let order = SwapOrder {
            attempt,
            candidate,
            shadow_cycles,
            review,
            operator: Domain::Operator.hash(b"a test"),
        };
        let stamp = self.stamp();
        self.swaps.order(&mut self.engine, order, stamp).unwrap();
        attempt
    }

    /// Runs slots until an attempt has ended. What other threads do takes its time, which no slot may wait for.
    fn until_final(&mut self, attempt: u64) -> Arc<Attempt> {
        self.until(|rig| rig.hub.attempts.get(attempt).filter(|a| a.phase.is_final()))
    }

    fn until<T>(&mut self, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(begun.elapsed() < STUCK, "stuck: {:?}", self.hub.attempts.list().last());
            self.slot();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the log, wants it clean, and gives its SWAP leaves and, of every cycle, tick, manifest and keyframe flag.
    fn end(self) -> (Vec<Swap>, Vec<(u64, Hash, bool)>) {
        let data = self.dir.path().join("data");
        drop(self.swaps);
        let durable = self.engine.writer.close().unwrap();
        let report = fsck(&data, None).unwrap();
        assert!(report.is_clean(), "{report}");
        let (mut swaps, mut cycles) = (Vec::new(), Vec::new());
        for bytes in Reader::open(&data).unwrap().leaves(0, durable.size).unwrap() {
            let decoded = leaf::decode(&bytes).unwrap();
            match decoded.body {
                Body::Swap(swap) => swaps.push(swap),
                Body::Cycle(c) => {
                    cycles.push((
                        decoded.header.tick,
                        c.manifest_hash,
                        decoded.header.flags & flags::KEYFRAME != 0,
                    ));
                }
                _ => {}
            }
        }
        assert!(cycles.windows(2).all(|w| w[1].0 == w[0].0 + 1), "a tick is missing");
        (swaps, cycles)
    }
}

/// Every cycle runs under what the last leaf in force names, and the first under another manifest is a keyframe.
fn check_in_force(swaps: &[Swap], cycles: &[(u64, Hash, bool)], first: Hash) {
    let mut before = first;
    for (tick, manifest, keyframe) in cycles {
        let named = swaps
            .iter()
            .rfind(|s| s.result != SwapResult::Rejected && s.effective_tick <= *tick);
        assert_eq!(*manifest, named.map_or(first, |s| s.new_manifest_hash), "tick {tick}");
        assert!(
            *manifest == before || *keyframe,
            "tick {tick} is the first under its manifest, and no keyframe"
        );
        before = *manifest;
    }
}

fn built_in(name: &str) -> Source {
    Source::Linked(name.to_owned())
}

#[test]
fn a_to_b_to_a_leaves_three_hashes_and_misses_no_cycle() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 6);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    let b = rig.engine.in_force.manifest_hash;
    assert_eq!((applied.new_manifest_hash, rig.hub.manifest().hash), (Some(b), b));
    assert_eq!(rig.hub.manifest().generation, 2);
    let (shadow, cir) = (&applied.shadow, applied.shadow.stages[0]);
    assert_eq!((shadow.done, shadow.cycles.len()), (6, 6));
    // Other code: it ran on every cycle, and its numbers are near, not equal.
    assert_eq!((cir.cycles, cir.shadow_ran), (6, 6), "{cir:?}");
    assert!(
        cir.equal < cir.values && cir.max_difference > 0.0 && cir.shadow_mean_us > 0.0,
        "{cir:?}"
    );
    assert!(applied.vectors[0] > 0 && applied.vectors[1] == applied.vectors[0]);
    assert!(applied.changes.iter().any(|c| c == "cir.name: steady -> other"));
    assert_eq!(rig.slot(), Disposition::Ran);

    let id = rig.ask(AttemptKind::Swap, built_in("steady"), None, 0);
    let again = rig.until_final(id);
    assert_eq!(again.phase, Phase::Applied, "{}", again.message);
    let c = rig.engine.in_force.manifest_hash;
    assert!(a != b && b != c && a != c);
    rig.slot();
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 2);
    assert!(
        swaps
            .iter()
            .all(|s| s.result == SwapResult::Applied && s.vectors_run > 0 && s.golden_set != ZERO)
    );
    assert_eq!(swaps[0].effective_tick, applied.effective_tick.unwrap());
    assert_eq!(swaps[0].operator, Domain::Operator.hash(b"a test"));
    check_in_force(&swaps, &cycles, a);
}

/// An operator who wants to look first is asked after the comparison, and nothing is in the log before the answer.
#[test]
fn a_swap_under_review_waits_for_its_decision() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    let operator = Domain::Operator.hash(b"another");
    let mut ended = Vec::new();
    for (go, phase, shadow_cycles) in [
        (false, Phase::Rejected, 3),
        (true, Phase::Applied, 3),
        (false, Phase::Rejected, 0),
    ] {
        let wanted = if ended.len() < 2 { "other" } else { "steady" };
        let id = rig.ask_for(AttemptKind::Swap, built_in(wanted), None, shadow_cycles, true);
        let waits = rig.until(|rig| rig.hub.attempts.get(id).filter(|a| a.phase == Phase::Compared));
        assert_eq!((waits.shadow.done, waits.leaf), (shadow_cycles, None));
        for _ in 0..60 {
            rig.slot();
        }
        assert_eq!(rig.hub.attempts.get(id).unwrap().phase, Phase::Compared, "it waits");
        let (tick, stamp) = (rig.tick, rig.stamp());
        // Another attempt's number decides nothing.
        rig.swaps
            .decide(&mut rig.engine, (id + 1, go, operator), tick, stamp)
            .unwrap();
        assert_eq!(rig.hub.attempts.get(id).unwrap().phase, Phase::Compared);
        rig.swaps
            .decide(&mut rig.engine, (id, go, operator), tick, stamp)
            .unwrap();
        let end = rig.until_final(id);
        assert_eq!(end.phase, phase, "{}", end.message);
        ended.push(end);
    }
    let (swaps, cycles) = rig.end();
    let said: Vec<_> = swaps.iter().map(|s| (s.result, s.reason)).collect();
    let no = (SwapResult::Rejected, swap_reason::OPERATOR);
    assert_eq!(said, [no, (SwapResult::Applied, swap_reason::NONE), no]);
    assert!(
        swaps.iter().all(|s| s.operator == operator),
        "who decided stands in the leaf"
    );
    check_in_force(&swaps, &cycles, a);
}

/// A candidate that nobody decides about does not hold up the next attempt for ever.
#[test]
fn a_review_that_nobody_answers_ends() {
    let mut rig = Rig::new();
    rig.slot();
    let id = rig.ask_for(AttemptKind::Swap, built_in("other"), None, 0, true);
    rig.until(|rig| rig.hub.attempts.get(id).filter(|a| a.phase == Phase::Compared));
    let gap = Body::Gap(Gap {
        first_tick: rig.tick,
        last_tick: rig.tick + REVIEW_TICKS - 1,
        frames_lost: 0,
        reason: GapReason::Overrun,
    });
    let stamp = rig.stamp();
    rig.engine.append(stamp, &gap, Vec::new()).unwrap();
    rig.tick += REVIEW_TICKS;
    let forgotten = rig.until_final(id);
    assert_eq!(
        (forgotten.phase, forgotten.reason),
        (Phase::Rejected, swap_reason::OPERATOR)
    );
    assert!(forgotten.message.contains("nobody confirmed"), "{}", forgotten.message);
}

/// The same code with another table: its state goes over, and an operator may go back.
#[test]
fn state_goes_over_and_a_rollback_comes_at_once() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let table = "gain = 2.0";
    let id = rig.ask(AttemptKind::Swap, built_in("steady"), Some(table), 4);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    assert_eq!(
        applied.state.unwrap(),
        [StateHandling::Imported, StateHandling::None, StateHandling::None]
    );
    assert!(
        rig.hub.manifest().text.contains(table),
        "the manifest carries the table that no file holds"
    );
    rig.slot();
    let id = rig.ask(AttemptKind::Rollback, Source::Before, None, 0);
    let back = rig.until_final(id);
    assert_eq!(
        (back.phase, back.reason),
        (Phase::RolledBack, swap_reason::OPERATOR),
        "{}",
        back.message
    );
    rig.slot();
    let (swaps, cycles) = rig.end();
    assert_eq!(
        (swaps[0].state != ZERO, swaps[1].result),
        (true, SwapResult::RolledBack)
    );
    check_in_force(&swaps, &cycles, a);
}

/// Whatever an operator took out by a rollback came back by itself when the plugin before failed.
#[test]
fn what_was_rolled_back_does_not_come_back() {
    // Of the built-in stages the first that is left would take over.
    const THREE: &[PluginModule] = &[
        linked::cir::<Plain<Steady>>(),
        linked::cir::<Plain<Nan>>(),
        linked::cir::<Plain<Other>>(),
    ];
    let mut rig = Rig::over(THREE, "steady", None);
    rig.slot();
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
    let id = rig.ask(AttemptKind::Rollback, Source::Before, None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::RolledBack);
    assert!(rig.hub.manifest().text.contains("\"steady\""));
    let before = rig.engine.core.host.before(StageKind::Cir);
    assert_eq!(before, None, "there was none before it");
    rig.engine.core.host.fail(StageKind::Cir);
    let recovery = rig.until_final(id + 1);
    assert_eq!(
        (recovery.kind, recovery.phase),
        (AttemptKind::Recovery, Phase::RolledBack),
        "{}",
        recovery.message
    );
    let text = &rig.hub.manifest().text;
    assert!(text.contains("\"nan\"") && !text.contains("\"other\""), "{text}");
}

#[test]
fn what_is_refused_leaves_a_leaf() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    rig.slot();
    for (kind, source, table, reason) in [
        (AttemptKind::Swap, built_in("no-such-stage"), None, swap_reason::LOAD),
        (
            AttemptKind::Swap,
            built_in("other"),
            Some("lambda = \"often\""),
            swap_reason::LOAD,
        ),
        (
            AttemptKind::Swap,
            Source::Directory("other".to_owned()),
            None,
            swap_reason::LOAD,
        ),
        (AttemptKind::Swap, built_in("steady"), None, swap_reason::LOAD),
        (AttemptKind::Rollback, Source::Before, None, swap_reason::LOAD),
    ] {
        let id = rig.ask(kind, source, table, 0);
        let refused = rig.until_final(id);
        assert_eq!(
            (refused.phase, refused.reason),
            (Phase::Rejected, reason),
            "{}",
            refused.message
        );
        assert!(!refused.message.is_empty());
    }
    assert_eq!(rig.hub.manifest().hash, a);
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 5);
    assert!(swaps.iter().all(|s| s.result == SwapResult::Rejected));
    check_in_force(&swaps, &cycles, a);
}

/// Keeps the disk from answering while it is held.
struct Held(Arc<AtomicBool>);

impl Faults for Held {
    fn before(&mut self, _: Step) -> io::Result<()> {
        while self.0.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
    fn after(&mut self, _: Step) -> io::Result<()> {
        Ok(())
    }
}

/// A leaf that is not durable at its tick is withdrawn by a second one, and every verifier knows.
#[test]
fn a_swap_whose_leaf_is_not_durable_does_not_happen() {
    let held = Arc::new(AtomicBool::new(false));
    let mut rig = Rig::with("steady", Some(Box::new(Held(Arc::clone(&held)))));
    let a = rig.engine.in_force.manifest_hash;
    rig.slot();
    held.store(true, Ordering::Release);
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 0);
    let begun = Instant::now();
    while !rig.hub.attempts.get(id).unwrap().phase.is_final() {
        // Few slots while it is prepared: the log holds only so many records while the disk does not answer.
        if rig.hub.attempts.get(id).unwrap().phase != Phase::Committed {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(begun.elapsed() < STUCK);
        rig.slot();
    }
    let refused = rig.hub.attempts.get(id).unwrap();
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::NOT_DURABLE)
    );
    for _ in 0..3 {
        rig.slot();
    }
    held.store(false, Ordering::Release);
    let (swaps, cycles) = rig.end();
    let results: Vec<_> = swaps.iter().map(|s| s.result).collect();
    assert_eq!(results, [SwapResult::Applied, SwapResult::Rejected]);
    assert!(cycles.iter().all(|(_, manifest, _)| *manifest == a));
}

#[test]
fn a_stage_that_panics_is_skipped_then_replaced() {
    skipped_then_replaced("panics", Disposition::Panic, swap_reason::PANIC);
}

#[test]
fn a_stage_that_answers_nan_is_skipped_then_replaced() {
    skipped_then_replaced("nan", Disposition::NonFinite, swap_reason::NONFINITE);
}

fn skipped_then_replaced(stage: &str, disposition: Disposition, reason: u16) {
    let mut rig = Rig::with(stage, None);
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..200 {
        if rig.slot() == disposition {
            break;
        }
    }
    let panicked = rig.tick - 1;
    assert!((40..199).contains(&panicked), "no slot ended so");
    let recovery = rig.until_final(1);
    assert_eq!(
        (recovery.kind, recovery.phase),
        (AttemptKind::Recovery, Phase::RolledBack),
        "{}",
        recovery.message
    );
    assert_eq!(recovery.reason, reason);
    assert_eq!(rig.slot(), Disposition::Ran);
    assert_eq!(rig.hub.manifest().generation, 2);
    assert!(rig.hub.manifest().text.contains("steady"));
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 1);
    assert_eq!((swaps[0].result, swaps[0].reason), (SwapResult::RolledBack, reason));
    assert!(swaps[0].effective_tick > panicked);
    check_in_force(&swaps, &cycles, a);
}

/// An order that came in the slot in which a stage failed was refused, and took the recovery under way along: the stage stayed
/// skipped, its attempt open, and nobody could order anything any more.
#[test]
fn an_order_in_the_slot_of_a_failure_leaves_the_recovery_alone() {
    let mut rig = Rig::with("panics", None);
    // Queued in the slot of the failure, taken in front of the next.
    let queue = |rig: &Rig| {
        let attempt = |id| crate::live::attempt::tests::attempt(id, Phase::Queued);
        rig.hub.attempts.begin(true, attempt).expect("no other is under way").id
    };
    let ordered = (0..200).find_map(|_| {
        let id = queue(&rig);
        if rig.slot() == Disposition::Panic {
            return Some(id);
        }
        rig.hub
            .attempts
            .update(&crate::live::attempt::tests::attempt(id, Phase::Rejected));
        None
    });
    let ordered = ordered.expect("no slot panicked");
    let order = SwapOrder {
        attempt: ordered,
        candidate: Candidate {
            stage: StageKind::Cir,
            source: built_in("other"),
            blake3: None,
            table: None,
        },
        shadow_cycles: 0,
        review: false,
        operator: ZERO,
    };
    let stamp = rig.stamp();
    rig.swaps.order(&mut rig.engine, order, stamp).unwrap();
    let refused = rig.hub.attempts.get(ordered).unwrap();
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::SUPERSEDED),
        "{}",
        refused.message
    );
    let recovery = rig.until_final(ordered + 1);
    assert_eq!(
        (recovery.kind, recovery.phase),
        (AttemptKind::Recovery, Phase::RolledBack),
        "{}",
        recovery.message
    );
    assert_eq!(rig.slot(), Disposition::Ran);
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
}

/// The only stage of its kind has failed itself, so nothing takes over; an operator still can change it.
#[test]
fn a_stage_that_nothing_replaces_waits_for_an_order() {
    const ONLY: &[PluginModule] = &[linked::cir::<Plain<Panics>>()];
    let mut rig = Rig::over(ONLY, "panics", None);
    let a = rig.engine.in_force.manifest_hash;
    let given_up = rig.until_final(1);
    assert_eq!(
        (given_up.kind, given_up.phase),
        (AttemptKind::Recovery, Phase::Rejected),
        "{}",
        given_up.message
    );
    assert_eq!(rig.slot(), Disposition::Skipped);
    let id = rig.ask(AttemptKind::Swap, built_in("panics"), Some("gain = 2.0"), 3);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    assert_eq!(rig.slot(), Disposition::Ran);
    let (swaps, cycles) = rig.end();
    let results: Vec<_> = swaps.iter().map(|s| s.result).collect();
    assert_eq!(results, [SwapResult::Rejected, SwapResult::Applied]);
    check_in_force(&swaps, &cycles, a);
}

/// A candidate that misbehaves in the shadow never touches the cycle.
#[test]
fn a_candidate_that_panics_in_the_shadow_is_refused() {
    let mut rig = Rig::with("steady", None);
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let id = rig.ask(AttemptKind::Swap, built_in("panics"), None, 60);
    let refused = rig.until_final(id);
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::PANIC),
        "{}",
        refused.message
    );
    assert_eq!(refused.shadow.done, 41);
    assert_eq!(rig.slot(), Disposition::Ran);
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 1);
    check_in_force(&swaps, &cycles, a);
}

/// A candidate that passes its golden vectors and then answers this site's input with an error, or has no time for it, was
/// applied and stayed: a stage that returns an error is not failed. Under review the operator is told.
#[test]
fn a_candidate_that_owes_answers_in_the_shadow_is_refused() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<Steady>>(), linked::cir::<Plain<Errs>>()];
    let mut rig = Rig::over(BOTH, "steady", None);
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let id = rig.ask(AttemptKind::Swap, built_in("errs"), None, 60);
    let refused = rig.until_final(id);
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::ERROR),
        "{}",
        refused.message
    );
    assert_eq!((refused.shadow.done, refused.shadow.stages[0].shadow_ran), (60, 40));

    let id = rig.ask_for(AttemptKind::Swap, built_in("errs"), None, 60, true);
    let waits = rig.until(|rig| rig.hub.attempts.get(id).filter(|a| a.phase == Phase::Compared));
    assert!(waits.message.contains("gave no answer (ERROR)"), "{}", waits.message);
    let (tick, stamp) = (rig.tick, rig.stamp());
    rig.swaps
        .decide(&mut rig.engine, (id, false, ZERO), tick, stamp)
        .unwrap();

    rig.swaps.shadow_time = Duration::ZERO;
    let id = rig.ask(AttemptKind::Swap, built_in("errs"), None, 3);
    let late = rig.until_final(id);
    assert_eq!(
        (late.phase, late.reason),
        (Phase::Rejected, swap_reason::DEADLINE),
        "{}",
        late.message
    );
    assert_eq!(rig.slot(), Disposition::Ran);
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 3);
    check_in_force(&swaps, &cycles, a);
}

/// Of every cycle of a store: its leaf's manifest, configuration and calibration, and what it commits to.
fn witnessed_cycles(data: &Path) -> BTreeMap<u64, ([Hash; 3], CycleData)> {
    let reader = Reader::open(data).unwrap();
    let mut all = BTreeMap::new();
    // A page at a time.
    let mut leaves: Vec<Vec<u8>> = Vec::new();
    while let page = reader.leaves(leaves.len() as u64, 100_000).unwrap()
        && !page.is_empty()
    {
        leaves.extend(page);
    }
    for bytes in leaves {
        let decoded = leaf::decode(&bytes).unwrap();
        if let Body::Cycle(c) = decoded.body {
            let data = reader.cycle_data(decoded.header.seq).unwrap().unwrap();
            all.insert(
                decoded.header.tick,
                ([c.manifest_hash, c.config_hash, c.calibration_id], data),
            );
        }
    }
    all
}

/// Replays a capture of a rig's room over its linked stages.
fn replay_over(linked: &'static [PluginModule], capture: &Path, data: &Path) -> Result<Summary, ReplayError> {
    replay_in("empty-room", linked, capture, data)
}

fn replay_in(
    scene: &str,
    linked: &'static [PluginModule],
    capture: &Path,
    data: &Path,
) -> Result<Summary, ReplayError> {
    let begin = Begin::of(capture)?.expect("a capture");
    let simulator = Simulator::new(Scene::builtin(scene).unwrap(), 1).unwrap();
    let fleet = fleet(&simulator);
    let mut site = fleet.select(None, "").unwrap();
    begin.apply(&mut site)?;
    let site = Arc::new(site);
    let mut spec = host_spec(&site, PathBuf::new()).unwrap();
    spec.linked = linked;
    let host = PluginHost::new(spec, crate::host::Manifest::parse(begin.manifest.clone()).unwrap()).unwrap();
    let options = ReplayOptions {
        recording: capture.to_owned(),
        data_dir: data.to_owned(),
        real_time: false,
        calibration: None,
        learn: None,
        passes: 1,
        soak: None,
        recorded: Some(begin),
        out: None,
        trace: None,
        progress: &mut |_| {},
    };
    replay(Prepared::over(fleet, site, host).unwrap(), options)
}

/// Begun in the middle of a run, with a calibration in force; then another configuration, a swap with a table, a
/// calibration that is given up and one that is learned, a plugin that panics and the recovery: the replay of the capture
/// comes to the very cycles of the live run. Where a plugin is not there any more it says so.
#[test]
fn a_capture_obeys_swaps_recoveries_and_orders() {
    const LESS: &[PluginModule] = &[linked::cir::<Plain<Steady>>(), linked::cir::<Plain<Panics>>()];
    let mut rig = Rig::in_scene("empty-room", LINKED, "steady", None);
    let learn = |rig: &mut Rig, slots: u64| {
        let (stamp, end_ns) = (rig.stamp(), rig.stamp().mono_ns + slots * SLOT_NS);
        rig.engine.start_calibration(stamp, end_ns).unwrap();
        for _ in 0..slots + 2 {
            rig.slot();
        }
    };
    learn(&mut rig, 80);
    assert_ne!(
        rig.engine.in_force.calibration_id,
        ZERO,
        "{}",
        rig.engine.calibration_line()
    );
    let file = rig.dir.path().join("run.tlc");
    // What was ordered before the first slot is in what the capture begins with.
    let mode = |rig: &mut Rig, mode| {
        let site = crate::config::Site {
            privacy: crate::config::Privacy { mode },
            ..(**rig.engine.core.site()).clone()
        };
        let (stamp, tick) = (rig.stamp(), rig.tick);
        rig.engine.configure(stamp, tick, Arc::new(site), ZERO).unwrap();
    };
    mode(&mut rig, crate::config::PrivacyMode::RawResearch);
    let begin = rig.engine.begin().unwrap();
    rig.engine.take_notes();
    let first = rig.tick;
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    for _ in 0..5 {
        rig.slot();
    }
    mode(&mut rig, crate::config::PrivacyMode::StrictNoIdentity);
    let id = rig.ask(AttemptKind::Swap, built_in("other"), Some("gain = 2.0"), 3);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
    let (stamp, end_ns) = (rig.stamp(), rig.stamp().mono_ns + 80 * SLOT_NS);
    rig.engine.start_calibration(stamp, end_ns).unwrap();
    rig.slot();
    let stamp = rig.stamp();
    rig.engine.stop_calibration(stamp).unwrap();
    mode(&mut rig, crate::config::PrivacyMode::CareWithConsent);
    let before = rig.engine.in_force.calibration_id;
    learn(&mut rig, 80);
    assert_ne!(rig.engine.in_force.calibration_id, before);
    let id = rig.ask(AttemptKind::Swap, built_in("panics"), None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
    let recovered = rig.until_final(id + 1);
    assert_eq!(recovered.phase, Phase::RolledBack, "{}", recovered.message);
    for _ in 0..10 {
        assert_eq!(rig.slot(), Disposition::Ran);
    }
    rig.capture.take().unwrap().finish();
    let dir = rig.dir.path().to_owned();
    let kept = tempfile::tempdir().unwrap();
    let (copy, again) = (kept.path().join("run.tlc"), kept.path().join("again"));
    std::fs::copy(&file, &copy).unwrap();
    drop(rig.swaps);
    rig.engine.writer.close().unwrap();
    let live = witnessed_cycles(&dir.join("data"));

    let summary = replay_over(LINKED, &copy, &again).unwrap();
    assert!(summary.not_used.is_empty(), "{:?}", summary.not_used);
    let replayed = witnessed_cycles(&again);
    let live: BTreeMap<_, _> = live.into_iter().filter(|(tick, _)| *tick >= first).collect();
    assert_eq!(live.keys().collect::<Vec<_>>(), replayed.keys().collect::<Vec<_>>());
    let mut seen = [const { BTreeSet::new() }; 3];
    for (tick, (names, was)) in &live {
        let (found, is) = &replayed[tick];
        assert_eq!(names, found, "manifest, configuration, calibration of tick {tick}");
        for (seen, name) in seen.iter_mut().zip(names) {
            seen.insert(*name);
        }
        assert!(was.inputs == is.inputs, "inputs of tick {tick}");
        assert!(was.stages == is.stages, "stages of tick {tick}");
        assert!(was.outcome == is.outcome, "outcome of tick {tick}");
    }
    assert_eq!(seen.map(|s| s.len()), [4, 3, 2]);
    assert!(fsck(&again, None).unwrap().is_clean());
    // Each change of the mode is a leaf of its own, with the mode before.
    let report = fsck(&dir.join("data"), None).unwrap();
    assert!(report.is_clean(), "{report}");
    let mut modes = Vec::new();
    for bytes in Reader::open(&dir.join("data")).unwrap().leaves(0, 100_000).unwrap() {
        if let Body::PrivacyMode(mode) = leaf::decode(&bytes).unwrap().body {
            modes.push((mode.old_mode, mode.new_mode));
        }
    }
    use tapline_witness::body::PrivacyModeCode::{CareWithConsent, RawResearch, StrictNoIdentity};
    assert_eq!(
        modes[modes.len() - 2..],
        [(RawResearch, StrictNoIdentity), (StrictNoIdentity, CareWithConsent)]
    );

    let error = replay_over(LESS, &copy, &kept.path().join("less")).unwrap_err();
    let is =
        matches!(&error, ReplayError::NotAsRecorded { what } if what.contains("`other`") && what.contains("from slot"));
    assert!(is, "{error}");
}

/// Slots that the disk did not take are missed, never passed over in silence.
#[test]
fn a_capture_with_a_hole_is_not_replayed_as_recorded() {
    let mut rig = Rig::in_scene("empty-room", LINKED, "steady", None);
    let file = rig.dir.path().join("run.tlc");
    let begin = rig.engine.begin().unwrap();
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    rig.slot();
    rig.slot();
    rig.disk_full = true;
    rig.slot();
    rig.capture.as_mut().unwrap().lose();
    rig.disk_full = false;
    rig.slot();
    rig.capture.take().unwrap().finish();
    let error = replay_over(LINKED, &file, &rig.dir.path().join("again")).unwrap_err();
    let is = matches!(&error, ReplayError::NotAsRecorded { what } if what.starts_with("1 slots before slot 3"));
    assert!(is, "{error}");
    rig.end();
}

/// A stage that hangs takes the whole time of its cycle, so the two after it have none: they are skipped, not blamed, and
/// only the one that hung is replaced. The replay of the capture obeys all of it.
#[test]
fn only_the_stage_that_hangs_is_replaced() {
    const ALL: &[PluginModule] = &[
        linked::cir::<Plain<Steady>>(),
        linked::cir::<Plain<Hangs>>(),
        linked::tomography::<tapline_stages::tomography::Tomography>(),
        linked::tracker::<tapline_stages::tracker::Tracker>(),
    ];
    let mut rig = Rig::in_scene("empty-room", ALL, "hangs", None);
    rig.deadline = Some(Duration::from_millis(400));
    let first = rig.engine.core.host.manifest().clone();
    let file = rig.dir.path().join("run.tlc");
    let begin = rig.engine.begin().unwrap();
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    let [cir, later @ ..] = std::iter::repeat_with(|| rig.slot_of_all())
        .take(200)
        .find(|all| !matches!(all[0], Disposition::Ran | Disposition::Skipped))
        .expect("a slot in which it hangs");
    assert_eq!((cir, later), (Disposition::Timeout, [Disposition::Skipped; 2]));
    let hung = rig.tick - 1;
    let recovery = rig.until_final(1);
    assert_eq!(
        (recovery.kind, recovery.phase, recovery.reason),
        (AttemptKind::Recovery, Phase::RolledBack, swap_reason::DEADLINE),
        "{}",
        recovery.message
    );
    assert_eq!(rig.slot_of_all(), [Disposition::Ran; 3]);
    let second = rig.engine.core.host.manifest().clone();
    assert_ne!(second.plugin(StageKind::Cir), first.plugin(StageKind::Cir));
    for stage in [StageKind::Tomography, StageKind::Tracker] {
        assert_eq!(second.plugin(stage), first.plugin(stage));
        assert_eq!(recovery.state.unwrap()[stage as usize], StateHandling::Kept);
    }
    rig.capture.take().unwrap().finish();
    let data = rig.dir.path().join("data");
    drop(rig.swaps);
    rig.engine.writer.close().unwrap();
    let live = witnessed_cycles(&data);
    let entries = tapline_witness::lists::stages(&live[&hung].1.stages);
    let late: Vec<_> = entries
        .map(Result::unwrap)
        .filter(|e| [7, 8].contains(&e.stage_id))
        .map(|e| (e.disposition, e.err_code))
        .collect();
    assert_eq!(late, [(Disposition::Skipped, code::DEADLINE); 2]);

    let again = rig.dir.path().join("again");
    replay_over(ALL, &file, &again).unwrap();
    let replayed = witnessed_cycles(&again);
    assert_eq!(live.keys().collect::<Vec<_>>(), replayed.keys().collect::<Vec<_>>());
    for (tick, (names, was)) in &live {
        let (found, is) = &replayed[tick];
        assert_eq!(names, found, "tick {tick}");
        assert!(was.stages == is.stages || *tick == hung, "stages of tick {tick}");
        assert!(was.outcome == is.outcome, "outcome of tick {tick}");
    }
}
