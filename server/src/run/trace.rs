//! The decision trace of a cycle as one JSON line: what `replay --trace` writes. Nothing of it is witnessed.

use serde::Serialize;
use tapline_dsp::{
    front::{AreaEvidence, LinkEvidence, valid},
    presence::PresenceState,
};

use crate::{
    config::{Path, Site},
    cycle::Core,
};

#[derive(Serialize)]
struct Line<'s> {
    tick: u64,
    t_ms: i64,
    gate: String,
    gate_reason: String,
    coherence: Option<f32>,
    clock_quality: u8,
    areas: Vec<Area<'s>>,
    links: Vec<Link>,
}

/// Why an area is in the state it is in.
#[derive(Serialize)]
struct Area<'s> {
    area: &'s str,
    state: &'static str,
    reason: String,
    since_tick: u64,
    probability: Option<f32>,
    moving_probability: Option<f32>,
    /// Fused log-likelihood ratio of somebody against nobody.
    llr: Option<f32>,
    ratio_threshold: f32,
    probability_threshold: f32,
    links_used: u16,
    links_covering: u16,
    loudest: Vec<Loud>,
}

#[derive(Serialize)]
struct Loud {
    tx: u16,
    rx: u16,
    channel: u16,
    motion_ratio: f32,
    llr: f32,
}

/// One path's evidence.
#[derive(Serialize)]
struct Link {
    tx: u16,
    rx: u16,
    rx_antenna: u8,
    channel: u16,
    age_s: Option<f32>,
    motion_ratio: Option<f32>,
    level_ratio: Option<f32>,
    coherence: Option<f32>,
    drift_sigma: Option<f32>,
    /// Quiet level, quiet level minus now, and the quiet level's standard deviation: with the two after them what the
    /// tracker by strength is given of this path.
    quiet_dbm: Option<f32>,
    attenuation_db: Option<f32>,
    noise_db: Option<f32>,
    change: Option<f32>,
    change_quiet: Option<f32>,
}

/// The line of the step that has just been made, without its end.
pub(super) fn line(core: &Core, tick: u64, t_ms: i64) -> String {
    let (site, front) = (core.site(), &core.front);
    let (gate, gate_reason, coherence) = front.gate();
    let names = site.rooms.iter().map(|r| &r.id).chain(site.zones.iter().map(|z| &z.id));
    let areas = names
        .zip(front.areas())
        .map(|(name, evidence)| area(name, evidence, site));
    let line = Line {
        tick,
        t_ms,
        gate: format!("{gate:?}"),
        gate_reason: format!("{gate_reason:?}"),
        coherence,
        clock_quality: front.clock_quality(),
        areas: std::iter::once(area("site", front.site(), site)).chain(areas).collect(),
        links: front
            .links()
            .iter()
            .zip(&site.paths)
            .map(|(e, path)| link(e, path))
            .collect(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

fn area<'s>(name: &'s str, e: &AreaEvidence, site: &Site) -> Area<'s> {
    let t = &e.trace;
    let named = t.links.iter().take(usize::from(t.links_named));
    Area {
        area: name,
        state: match e.state {
            PresenceState::Unknown => "UNKNOWN",
            PresenceState::Empty => "EMPTY",
            PresenceState::OccupiedMoving => "OCCUPIED_MOVING",
            PresenceState::OccupiedStill => "OCCUPIED_STILL",
        },
        reason: format!("{:?}", e.reason),
        since_tick: e.since_tick,
        probability: e.probability,
        moving_probability: e.moving_probability,
        llr: t.llr,
        ratio_threshold: t.ratio_threshold,
        probability_threshold: t.probability_threshold,
        links_used: t.links_used,
        links_covering: t.links_covering,
        loudest: named
            .filter_map(|l| {
                let path = site.paths.get(usize::from(l.path))?;
                Some(Loud {
                    tx: path.tx,
                    rx: path.rx,
                    channel: path.channel,
                    motion_ratio: l.motion_ratio,
                    llr: l.llr,
                })
            })
            .collect(),
    }
}

fn link(e: &LinkEvidence, path: &Path) -> Link {
    let known = |bit: u32, value: f32| e.has(bit).then_some(value);
    Link {
        tx: path.tx,
        rx: path.rx,
        rx_antenna: path.rx_antenna,
        channel: path.channel,
        age_s: known(valid::AGE, e.age_s),
        motion_ratio: known(valid::CHANGE, e.motion_ratio),
        level_ratio: known(valid::LEVEL, e.level_ratio),
        coherence: known(valid::COHERENCE, e.coherence),
        drift_sigma: known(valid::DRIFT, e.drift_sigma),
        quiet_dbm: known(valid::RSS | valid::QUIET, e.quiet_dbm),
        attenuation_db: known(valid::RSS | valid::QUIET, e.attenuation_db),
        noise_db: known(valid::RSS | valid::QUIET, e.quiet_std_db),
        change: known(valid::CHANGE, e.change),
        change_quiet: known(valid::CHANGE, e.change_quiet),
    }
}
