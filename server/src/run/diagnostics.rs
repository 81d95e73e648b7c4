//! What the running server says of itself: node health, counters, decision traces. None of it is witnessed.

use std::time::Instant;

use tapline_dsp::{
    array::changes::{LinkWatch, Verdict, verdict},
    front::{AreaEvidence, valid},
    presence::PresenceState,
};
use tapline_witness::hash::Hash;

use super::Engine;
use crate::{
    config::{NodeRole, Path, Site},
    ingest::gatekeeper::{Counters, Gatekeeper},
    live::{Diagnostics, Hub, LinkStatus, NodeStatus, PluginStatus},
};

/// A node that was silent for longer is not well, seconds.
const SILENT_S: f64 = 2.0;

/// Remembers what rates are taken from.
pub(super) struct Observer {
    before: Counters,
    at: Instant,
    links: Links,
}

/// The quiet levels of the links since the calibration in force.
#[derive(Default)]
struct Links {
    calibration_id: Hash,
    watches: Vec<LinkWatch>,
}

impl Observer {
    pub(super) fn new(gate: &Gatekeeper) -> Self {
        Self {
            before: gate.counters(),
            at: Instant::now(),
            links: Links::default(),
        }
    }

    /// Everything, as of now: `now_ns` by the clock of arrivals.
    pub(super) fn look(
        &mut self,
        engine: &Engine,
        gate: &Gatekeeper,
        now_ns: u64,
        cycles: u64,
        missed_ticks: u64,
    ) -> Diagnostics {
        let now = Instant::now();
        let span_s = (now - self.at).as_secs_f64().max(1e-3);
        let counters = gate.counters();
        let site = engine.core.site();
        let sequences = engine.core.intake().sequences();
        let clocks = engine.core.intake().clocks();
        let sensors = site.nodes.iter().filter(|n| n.role == NodeRole::Sensor);
        let nodes = sensors.map(|node| {
            let count = counters.nodes.get(&node.id).cloned().unwrap_or_default();
            let before = self.before.nodes.get(&node.id).map_or(0, |c| c.frames);
            let sequence = sequences.get(&node.id);
            let last_seen_s = count.last_seen.map(|t| (now - t).as_secs_f64());
            let rate_hz = (count.frames - before) as f64 / span_s;
            let lost = sequence.map_or(0, |s| s.lost);
            NodeStatus {
                node: node.id,
                last_seen_s,
                rate_hz,
                loss: (count.frames > 0).then(|| lost as f64 / (lost + count.frames) as f64),
                frames: count.frames,
                reboots: sequence.map_or(0, |s| s.restarts),
                not_used: count.not_used,
                rssi_dbm: count.rssi_dbm,
                address: count.address,
                health: health(last_seen_s, rate_hz),
                clock: clocks.get(&node.id).map(|c| c.report(now_ns.cast_signed())),
            }
        });
        let (links, change) = self.links.look(engine, now_ns);
        let mut not_used = counters.not_used.clone();
        for (reason, count) in engine.core.not_used() {
            *not_used.entry(reason).or_default() += count;
        }
        let diagnostics = Diagnostics {
            nodes: nodes.collect(),
            unknown: counters.unknown.values().cloned().collect(),
            plugins: plugins(engine),
            received: counters.received.clone(),
            not_used,
            missed_ticks,
            cycles,
            why: why(engine, site),
            calibration: engine.calibration(),
            links,
            change: Some(change),
        };
        (self.before, self.at) = (counters, now);
        diagnostics
    }
}

impl Links {
    /// Takes one second of every link.
    fn look(&mut self, engine: &Engine, now_ns: u64) -> (Vec<LinkStatus>, (Verdict, Option<u32>)) {
        let (front, paths) = (&engine.core.front, &engine.core.site().paths);
        let now_s = (now_ns / 1_000_000_000) as u32;
        if self.watches.len() != paths.len() || self.calibration_id != engine.in_force.calibration_id {
            self.calibration_id = engine.in_force.calibration_id;
            self.watches = vec![LinkWatch::default(); paths.len()];
        }
        // Whoever walks about is no change of the room.
        let quiet = front.site().state != PresenceState::OccupiedMoving;
        for (watch, link) in self.watches.iter_mut().zip(front.links()) {
            watch.second(now_s, (quiet && link.has(valid::DRIFT)).then_some(link.drift_sigma));
        }
        let ago = |at_s: u32| now_s.saturating_sub(at_s);
        let status = |(watch, path): (&LinkWatch, &Path)| LinkStatus {
            drift: watch.class(),
            sigma: watch.sigma(),
            stepped_s: watch.stepped_at().map(ago),
            // The way by a body grows by its speed at either end.
            walk_m_s: front.path_rate_limit_m_s(path.tx, path.rx).map(|limit| 0.5 * limit),
        };
        let links = self.watches.iter().zip(paths).map(status).collect();
        let ends: Vec<_> = paths.iter().map(|p| (p.tx, p.rx)).collect();
        let verdict = verdict(&self.watches, &ends);
        let since = match verdict {
            Verdict::RoomChanged { at_s, .. } => Some(ago(at_s)),
            _ => None,
        };
        (links, (verdict, since))
    }
}

impl Observer {
    /// The plugins alone, as of now; everything else stays as it was last seen.
    pub(super) fn show_plugins(&self, engine: &Engine, hub: &Hub) {
        let mut diagnostics = (*hub.diagnostics()).clone();
        diagnostics.plugins = plugins(engine);
        hub.publish_diagnostics(diagnostics);
    }
}

fn health(last_seen_s: Option<f64>, rate_hz: f64) -> (&'static str, String) {
    match last_seen_s {
        None => (
            "never seen",
            "no frame since the server started: is it on, and does it send to this address and port?".to_owned(),
        ),
        Some(s) if s > SILENT_S => ("silent", format!("no frame for {s:.0} s")),
        Some(_) if rate_hz < 10.0 => ("slow", format!("{rate_hz:.1} frames a second; 20 or more are wanted")),
        Some(_) => ("ok", format!("{rate_hz:.0} frames a second")),
    }
}

fn plugins(engine: &Engine) -> Vec<PluginStatus> {
    let rows = engine.core.host.manifest().plugins();
    let describe = |s: &crate::host::PluginStatus| {
        let row = rows.iter().find(|r| r.name == s.name);
        PluginStatus {
            name: s.name.clone(),
            version: s.version.clone(),
            stage: s.stage.name(),
            generation: s.generation,
            method: s.method.clone(),
            state: s.state.name(),
            reason: (!s.reason.is_empty()).then(|| s.reason.clone()),
            blake3: (!s.linked).then(|| s.blake3.clone()),
            golden: row.map_or_else(String::new, |r| hex::encode(r.golden.0)),
        }
    };
    engine.core.host.registry().snapshot().iter().map(describe).collect()
}

/// The decision trace of every area, in words.
fn why(engine: &Engine, site: &Site) -> std::collections::BTreeMap<String, Vec<String>> {
    let names = site.rooms.iter().map(|r| &r.id).chain(site.zones.iter().map(|z| &z.id));
    let areas = names
        .zip(engine.core.front.areas())
        .map(|(name, area)| (name.clone(), trace(area, site)));
    areas
        .chain([("site".to_owned(), trace(engine.core.front.site(), site))])
        .collect()
}

fn trace(area: &AreaEvidence, site: &Site) -> Vec<String> {
    let t = &area.trace;
    let mut lines = vec![
        format!(
            "state {:?} because {:?}, since tick {}",
            area.state, area.reason, area.since_tick
        ),
        format!(
            "{} of {} covering links have usable evidence",
            t.links_used, t.links_covering
        ),
    ];
    if let (Some(p), Some(llr)) = (area.probability, t.llr) {
        lines.push(format!(
            "probability of somebody {p:.3}, evidence of motion (log-likelihood ratio) {llr:+.2}; the state changes at {:.2}",
            t.probability_threshold
        ));
    }
    for link in t.links.iter().take(usize::from(t.links_named)) {
        let Some(path) = site.paths.get(usize::from(link.path)) else {
            continue;
        };
        lines.push(format!(
            "link {} to {}: {:.1} times its quiet level (threshold {:.1}), counts {:+.2}",
            path.tx, path.rx, link.motion_ratio, t.ratio_threshold, link.llr
        ));
    }
    lines
}
