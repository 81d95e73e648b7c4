//! Looks at every cycle of a soak, and at the process and its files once a virtual hour.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tapline_witness::outcome::{Outcome, PresenceState};

use super::report::{Hour, Report, Sample, Soaked, Summary};
use crate::{
    config::Site,
    ingest::gatekeeper::Gatekeeper,
    run::{Engine, Stepped, histogram::Histogram},
    store::DATABASE_FILE,
};

/// Cycles of an hour's row; a run of less than four hours has rows of a quarter of it.
const ROWS: u64 = 4;
/// Samples of a report, as in the published baseline.
const SAMPLES: u64 = 1_566;

/// What was seen so far.
pub(super) struct Watcher {
    data_dir: PathBuf,
    cycles: u64,
    row: u64,
    every: u64,
    done: u64,
    latency: Histogram,
    nodes_most: usize,
    edges_most: usize,
    hours: Vec<Hour>,
    samples: Vec<Sample>,
    moments: Moments,
}

#[derive(Default)]
struct Moments {
    variance: Mean,
    confidence: Mean,
    kp_spread: Mean,
    present: u64,
    people: Option<u16>,
    people_changes: u64,
}

/// Mean and standard deviation of what comes one by one (Welford).
#[derive(Default)]
struct Mean {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn std(&self) -> f64 {
        (self.squares / self.count.max(1.0)).sqrt()
    }
}

impl Watcher {
    pub(super) fn new(data_dir: &Path, cycles: u64) -> Self {
        let row = if cycles >= ROWS * super::HOUR {
            super::HOUR
        } else {
            (cycles / ROWS).max(1)
        };
        Self {
            data_dir: data_dir.to_owned(),
            cycles,
            row,
            every: cycles.div_ceil(SAMPLES).max(1),
            done: 0,
            latency: Histogram::default(),
            nodes_most: 0,
            edges_most: 0,
            hours: Vec::new(),
            samples: Vec::new(),
            moments: Moments::default(),
        }
    }

    /// Takes a cycle; false when that was the last.
    pub(super) fn cycle(&mut self, engine: &Engine, gate: &Gatekeeper, stepped: &Stepped) -> bool {
        let outcome = engine.core.outcome();
        let times = stepped.report.stage.iter().map(|(_, micros)| *micros);
        self.latency.add(times.sum());
        let variance = greatest(outcome.links.iter().filter_map(|l| l.motion_ratio));
        let kp_spread = outcome.tracks.first().map_or(0.0, spread_m);
        let present = matches!(
            outcome.presence.state,
            PresenceState::OccupiedStill | PresenceState::OccupiedMoving
        );
        let m = &mut self.moments;
        m.variance.add(variance);
        m.confidence
            .add(f64::from(outcome.presence.probability.unwrap_or_default()));
        m.kp_spread.add(kp_spread);
        m.present += u64::from(present);
        m.people_changes += u64::from(self.done > 0 && m.people != outcome.people);
        m.people = outcome.people;
        if self.done.is_multiple_of(self.every) {
            self.samples.push(Sample {
                tick: outcome.tick,
                n_nodes: heard(outcome, engine.core.site()),
                variance,
                motion: mean(outcome.links.iter().filter_map(|l| l.motion_ratio)),
                presence: present,
                confidence: outcome.presence.probability,
                est_persons: outcome.people,
                n_persons_rendered: outcome.tracks.iter().filter(|t| t.keypoints.is_some()).count(),
                kp_spread,
                rssi: gate
                    .counters()
                    .nodes
                    .values()
                    .map(|n| n.rssi_dbm.map(f64::from))
                    .collect(),
            });
        }
        if self.done.is_multiple_of(20) {
            self.nodes_most = self.nodes_most.max(engine.core.world.nodes().count());
            self.edges_most = self.edges_most.max(engine.core.world.edges().count());
        }
        self.done += 1;
        if self.done.is_multiple_of(self.row) {
            self.end_row();
        }
        self.done < self.cycles
    }

    fn end_row(&mut self) {
        let bytes = |name: String| std::fs::metadata(self.data_dir.join(name)).map_or(0, |m| m.len());
        self.hours.push(Hour {
            until_h: self.done as f64 / super::HOUR as f64,
            p50_us: self.latency.quantile(0.5),
            p99_us: self.latency.quantile(0.99),
            rss_kb: resident_kb(),
            graph_nodes: self.nodes_most,
            graph_edges: self.edges_most,
            database_bytes: bytes(DATABASE_FILE.to_owned()),
            wal_bytes: bytes(format!("{DATABASE_FILE}-wal")),
        });
        self.latency = Histogram::default();
        (self.nodes_most, self.edges_most) = (0, 0);
    }

    pub(super) fn report(self) -> Report {
        let m = self.moments;
        Report {
            samples: self.samples,
            summary: Summary {
                variance_mean: m.variance.mean,
                variance_std: m.variance.std(),
                confidence_mean: m.confidence.mean,
                kp_spread_mean: m.kp_spread.mean,
                kp_spread_std: m.kp_spread.std(),
                person_count_changes: m.people_changes,
                presence_ratio: m.present as f64 / self.done.max(1) as f64,
                total_frames: self.done,
            },
            soak: Soaked {
                hours: self.hours,
                ..Soaked::default()
            },
        }
    }
}

/// Nodes that a link heard of within a second.
fn heard(outcome: &Outcome, site: &Site) -> usize {
    let fresh = outcome
        .links
        .iter()
        .filter(|l| l.age_ms.is_some_and(|age| age <= 1_000));
    let nodes: BTreeSet<u16> = fresh
        .filter_map(|l| site.paths.get(usize::from(l.path)).map(|p| p.rx))
        .collect();
    nodes.len()
}

/// Root mean square distance of the joints from their middle, metres.
fn spread_m(person: &tapline_witness::outcome::Person) -> f64 {
    let Some(keypoints) = &person.keypoints else { return 0.0 };
    let axes = (0..3).map(|axis| {
        let mut along = Mean::default();
        let known = keypoints.iter().filter_map(|k| k.position_m[axis]);
        known.for_each(|value| along.add(f64::from(value)));
        along.std().powi(2)
    });
    axes.sum::<f64>().sqrt()
}

fn greatest(values: impl Iterator<Item = f32>) -> f64 {
    values.map(f64::from).fold(0.0, f64::max)
}

fn mean(values: impl Iterator<Item = f32>) -> f64 {
    let mut mean = Mean::default();
    values.for_each(|value| mean.add(f64::from(value)));
    mean.mean
}

/// Resident set of this process, kB.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}
