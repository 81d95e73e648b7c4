//! An engine without a clock, and what it left.

use super::*;

/// Whatever a busy machine does: an attempt that takes longer is stuck.
pub(super) const STUCK: Duration = Duration::from_secs(120);

/// An engine that runs as `serve` does, but for the clock.
pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    pub(super) engine: Engine,
    pub(super) hub: Arc<Hub>,
    pub(super) _commands: Receiver<Command>,
    pub(super) swaps: Swaps,
    pub(super) simulator: Simulator,
    pub(super) frames: Frames,
    pub(super) datagram: Vec<u8>,
    pub(super) next: Option<tapline_sim::Emission>,
    pub(super) tick: u64,
    pub(super) capture: Option<Capture>,
    pub(super) recorder: Option<Recorder>,
    /// To the recorder slots are of a class stricter than the engine says.
    pub(super) demoted: bool,
    /// The capture takes no slot.
    pub(super) disk_full: bool,
    /// How long the plugin stages of a slot may take together.
    pub(super) deadline: Option<Duration>,
}

/// The fleet file of a simulated room.
pub(super) fn fleet(simulator: &Simulator) -> Fleet {
    let text = format!("version = 1\n{}", simulator.site_config().to_fleet_toml());
    Fleet::parse(&text, Path::new("scene.toml")).unwrap()
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with("steady", None)
    }

    pub(super) fn with(cir: &str, faults: Option<Box<dyn Faults>>) -> Self {
        Self::over(LINKED, cir, faults)
    }

    pub(super) fn over(linked: &'static [PluginModule], cir: &str, faults: Option<Box<dyn Faults>>) -> Self {
        Self::in_scene("demo", linked, cir, faults)
    }

    pub(super) fn in_scene(
        scene: &str,
        linked: &'static [PluginModule],
        cir: &str,
        faults: Option<Box<dyn Faults>>,
    ) -> Self {
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

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            mono_ns: 1_000_000_000 + self.tick * SLOT_NS,
            wall_ns: 1_000_000_000_000 + (self.tick * SLOT_NS).cast_signed(),
        }
    }

    /// One slot; the disposition of cir.
    pub(super) fn slot(&mut self) -> Disposition {
        self.slot_of_all()[0]
    }

    /// One slot; the dispositions of cir, tomography and tracker.
    pub(super) fn slot_of_all(&mut self) -> [Disposition; 3] {
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

    pub(super) fn ask(&mut self, kind: AttemptKind, source: Source, table: Option<&str>, shadow_cycles: u32) -> u64 {
        self.ask_for(kind, source, table, shadow_cycles, false)
    }

    pub(super) fn ask_for(
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

    pub(super) fn ask_with(
        &mut self,
        kind: AttemptKind,
        candidate: Candidate,
        shadow_cycles: u32,
        review: bool,
    ) -> u64 {
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
    pub(super) fn until_final(&mut self, attempt: u64) -> Arc<Attempt> {
        self.until(|rig| rig.hub.attempts.get(attempt).filter(|a| a.phase.is_final()))
    }

    pub(super) fn until<T>(&mut self, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
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
    pub(super) fn end(self) -> (Vec<Swap>, Vec<(u64, Hash, bool)>) {
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
pub(super) fn check_in_force(swaps: &[Swap], cycles: &[(u64, Hash, bool)], first: Hash) {
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

pub(super) fn built_in(name: &str) -> Source {
    Source::Linked(name.to_owned())
}
