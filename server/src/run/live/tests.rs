//! The cycle in real time, with a disk that keeps the log waiting.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tapline_sim::{Scene, Simulator};
use tapline_witness::{
    body::{Body, GapReason, Host},
    leaf,
};

use super::*;
use crate::{
    config::Fleet,
    cycle::host_spec,
    host::{PluginHost, program},
    log::{Faults, Step, fsck},
};

/// Whatever a busy machine does: what takes longer is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A disk that takes its time while somebody holds it up.
struct Slow(Arc<AtomicBool>);

impl Faults for Slow {
    fn before(&mut self, step: Step) -> io::Result<()> {
        while step == Step::Commit && self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn after(&mut self, _: Step) -> io::Result<()> {
        Ok(())
    }
}

fn until(mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < STUCK, "stuck");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_slow_disk_misses_slots_and_says_so_and_loses_no_input() {
    let dir = tempfile::tempdir().unwrap();
    let mut simulator = Simulator::new(Scene::builtin("demo").unwrap(), 1).unwrap();
    let text = format!("version = 1\n{}", simulator.site_config().to_fleet_toml());
    let fleet = Fleet::parse(&text, Path::new("scene.toml")).unwrap();
    let site = Arc::new(fleet.select(None, "").unwrap());
    // No plugin stages: they would only cost time.
    let spec = host_spec(&site, PathBuf::new()).unwrap();
    let manifest = PluginHost::linked_manifest(&spec, ["", "", ""], program::host_stages()).unwrap();
    let host = PluginHost::new(spec, manifest).unwrap();
    let gate = Arc::new(Gatekeeper::new(&fleet.server, &site, &node_keys(&site).unwrap()));
    let held = Arc::new(AtomicBool::new(false));
    let mut log = LogOptions::live(dir.path().join("data"));
    log.writer = WriterOptions {
        records: 8,
        batch: 4,
        interval: Some(Duration::from_millis(100)),
        ..log.writer
    };
    log.faults = Box::new(Slow(Arc::clone(&held)));
    let stamp = Stamp {
        mono_ns: 0,
        wall_ns: wall_ns(),
    };
    let prepared = Prepared::over(fleet, site, host).unwrap();
    let Started { engine, hub } = prepared.start(log, stamp, Host::default(), 1, PATIENCE, true).unwrap();
    let (hub, commands) = hub.unwrap();
    let durable = engine.writer.durable();
    let stop = Arc::new(AtomicBool::new(false));
    let live = Live {
        recorder: Recorder::new(Arc::clone(&hub)),
        swaps: Swaps::start(&engine, &hub, DEADLINE).unwrap(),
        engine,
        gate: Arc::clone(&gate),
        hub: Arc::clone(&hub),
        commands,
        capture: None,
        deadline: DEADLINE,
        boot: Instant::now(),
        stop: Arc::clone(&stop),
    };
    let boot = live.boot;
    let cycle = std::thread::spawn(move || live.run());
    let size = || durable.borrow().size;
    until(|| cycle.is_finished() || size() > 6);

    held.store(true, Ordering::Relaxed);
    // They come while no slot can run.
    let begun = Instant::now();
    let (mut datagram, mut sent) = (Vec::new(), 0);
    while begun.elapsed() < Duration::from_millis(1_500) {
        simulator.next_datagram(&mut datagram).unwrap();
        gate.admit(None, boot.elapsed().as_nanos() as u64, &datagram).unwrap();
        sent += 1;
        datagram.clear();
        std::thread::sleep(Duration::from_millis(20));
    }
    // An order that comes meanwhile is not lost either.
    hub.command(Command::StopCalibration).unwrap();
    let before = size();
    held.store(false, Ordering::Relaxed);
    until(|| cycle.is_finished() || size() > before + 12);
    stop.store(true, Ordering::Relaxed);
    cycle.join().unwrap().unwrap();

    let data = dir.path().join("data");
    let report = fsck(&data, None).unwrap();
    assert!(report.is_clean(), "{report}");
    let leaves = Reader::open(&data).unwrap().leaves(0, size()).unwrap();
    let (mut last, mut named, mut inputs, mut busy, mut orders) = (None, 0, 0, 0, 0);
    for bytes in &leaves {
        let decoded = leaf::decode(bytes).unwrap();
        match decoded.body {
            Body::Cycle(cycle) => {
                let tick = decoded.header.tick;
                let missed = tick - last.map_or(0, |last: u64| last + 1);
                assert!(
                    named == missed || (named == 0 && missed < GAP_SLOTS),
                    "tick {tick}: {missed} missed"
                );
                inputs += cycle.n_inputs;
                (last, named) = (Some(tick), 0);
            }
            Body::Gap(gap) => {
                assert_eq!(gap.first_tick, last.map_or(0, |last| last + 1));
                named = gap.last_tick + 1 - gap.first_tick;
                if gap.reason == GapReason::LogBusy {
                    busy += named;
                }
            }
            Body::Audit(_) => orders += 1,
            _ => {}
        }
    }
    assert!(busy > 10, "{busy} slots had no record");
    assert_eq!((inputs, orders), (sent, 1));
    let end = leaf::decode(leaves.last().unwrap()).unwrap().body;
    assert!(matches!(end, Body::Shutdown(_)), "{end:?}");
}
