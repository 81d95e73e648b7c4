//! Stage 9, first half: from evidence to the complete outcome, before the privacy gate.

use tapline_dsp::{
    detmath,
    front::{AreaEvidence, Front, LinkEvidence, valid},
    gate::{Decision, GateReason},
    presence,
    presence_coverage::inside,
    quality::{self, QualityEvidence},
};
use tapline_plugin_api::{
    cir::CirSummary,
    tomography::{LinkObservation, TomographySummary, observed},
    tracker::{Track, TrackerSummary, gate},
};
use tapline_witness::outcome::{
    AreaPresence, Contradiction, Gate, LinkReport, OUTCOME_VERSION, Outcome, Person, Presence, PresenceState, Reason,
};

use super::{persons, published::Published};
use crate::config::{Path, Site};

/// Image peak over its own standard deviation from which an image shows somebody.
const IMAGE_SIGMA: f32 = 3.0;
/// Probability beyond which evidence counts as saying so, for contradictions.
const SURE: f32 = 0.9;

/// What the plugin stages left in this cycle.
pub(super) struct Seen<'s> {
    pub(super) image: TomographySummary,
    pub(super) mean: &'s [f32],
    pub(super) variance: &'s [f32],
    pub(super) people: TrackerSummary,
    pub(super) tracks: &'s [Track],
    pub(super) stages_share: f32,
}

/// Link observations for tomography and tracker, in path order. `cir` says where a path stands in the CIR arrays.
pub(super) fn observations(
    links: &[LinkEvidence],
    paths: &[Path],
    cir: &[Option<u32>],
    into: &mut Vec<LinkObservation>,
) {
    into.clear();
    into.extend(links.iter().zip(paths).zip(cir).map(|((link, path), cir)| {
        let bits = [
            (valid::RSS, observed::RSS),
            (valid::RSS | valid::QUIET, observed::QUIET),
            (valid::CHANGE, observed::CHANGE),
        ];
        let seen = bits
            .iter()
            .fold(0, |all, (has, bit)| if link.has(*has) { all | bit } else { all });
        LinkObservation {
            path: u32::from(link.path),
            tx: u32::from(path.tx),
            rx: u32::from(path.rx),
            channel: u32::from(path.channel),
            observed: if cir.is_some() { seen | observed::CIR } else { seen },
            cir: cir.unwrap_or(0),
            rss_dbm: link.rss_dbm,
            quiet_dbm: link.quiet_dbm,
            attenuation_db: link.attenuation_db,
            noise_db: link.quiet_std_db,
            change: link.change,
            change_quiet: link.change_quiet,
            age_s: link.age_s,
            reserved: 0,
        }
    }));
}

/// The gate's decision as the tracker knows it.
pub(super) fn gate_code(front: &Front) -> u32 {
    match front.gate().0 {
        Decision::Accept => gate::ACCEPT,
        Decision::PredictOnly => gate::PREDICT_ONLY,
        Decision::Reject => gate::REJECT,
        Decision::Recalibrate => gate::RECALIBRATE,
    }
}

/// Fills the outcome with all that is known, contradictions and quality included.
pub(super) fn outcome(
    site: &Site,
    front: &Front,
    cir: impl Fn(usize) -> Option<CirSummary>,
    seen: &Seen<'_>,
    published: &mut Published,
    out: &mut Outcome,
) {
    out.version = OUTCOME_VERSION;
    let out_tick = out.tick;
    let (decision, reason, coherence) = front.gate();
    out.gate = match decision {
        Decision::Accept => Gate::Accept,
        Decision::PredictOnly => Gate::PredictOnly,
        Decision::Reject => Gate::Reject,
        Decision::Recalibrate => Gate::Recalibrate,
    };
    out.gate_reason = match reason {
        GateReason::Coherent => Reason::None,
        GateReason::NoInput | GateReason::Stale => Reason::NoInput,
        GateReason::LowCoherence => Reason::GateRejected,
        GateReason::Drifted => Reason::Drifted,
    };
    persons::persons(seen.tracks, &mut out.tracks);
    out.people = (seen.people.valid == 1).then(|| seen.tracks.iter().filter(|t| persons::is_active(t)).count() as u16);
    let join = |published: &mut Published, place: usize, evidence: &AreaEvidence, nobody: f32| {
        let config = front.config();
        published.join(
            place,
            out_tick,
            config.step_s,
            presence_of(evidence),
            nobody,
            &config.presence,
        )
    };
    let nobody = no_one(&out.tracks, |_| true);
    out.presence = join(published, 0, front.site(), nobody);
    areas(
        site,
        front,
        |place, evidence, nobody| join(published, place, evidence, nobody),
        out,
    );
    links(front, cir, &mut out.links);
    judge(front, coherence, seen, out);
}

/// Probability that none of the active tracks that count is somebody; exactly 1 without any.
fn no_one(tracks: &[Person], counts: impl Fn(&Person) -> bool) -> f32 {
    let active = tracks.iter().filter(|p| p.active && counts(p));
    active.fold(1.0, |none, p| none * (1.0 - detmath::clamp(p.existence, 0.0, 1.0)))
}

fn areas(site: &Site, front: &Front, mut join: impl FnMut(usize, &AreaEvidence, f32) -> Presence, out: &mut Outcome) {
    let rooms = site.rooms.len();
    out.rooms.clear();
    out.zones.clear();
    for (index, evidence) in front.areas().iter().enumerate() {
        let (outline, list, area) = match index.checked_sub(rooms) {
            None => (&site.rooms[index].outline_m, &mut out.rooms, index),
            Some(zone) => (&site.zones[zone].outline_m, &mut out.zones, zone),
        };
        let here = |p: &Person| match p.position_m {
            [Some(x), Some(y), _] => p.active && inside(outline, [x, y]),
            _ => false,
        };
        let people = out.people.map(|_| out.tracks.iter().filter(|p| here(p)).count() as u16);
        let nobody = no_one(&out.tracks, here);
        list.push(AreaPresence {
            area: area as u16,
            presence: join(index + 1, evidence, nobody),
            people,
        });
    }
}

fn presence_of(evidence: &AreaEvidence) -> Presence {
    Presence {
        state: match evidence.state {
            presence::PresenceState::Unknown => PresenceState::Unknown,
            presence::PresenceState::Empty => PresenceState::Empty,
            presence::PresenceState::OccupiedMoving => PresenceState::OccupiedMoving,
            presence::PresenceState::OccupiedStill => PresenceState::OccupiedStill,
        },
        probability: evidence.probability,
        reason: match evidence.reason {
            presence::PresenceReason::NoInput => Reason::NoInput,
            presence::PresenceReason::NotCalibrated => Reason::NotCalibrated,
            presence::PresenceReason::GateRejected => Reason::GateRejected,
            presence::PresenceReason::NotCovered => Reason::NotCovered,
            presence::PresenceReason::Motion => Reason::Motion,
            presence::PresenceReason::Attenuation => Reason::Attenuation,
            presence::PresenceReason::Held => Reason::Held,
            presence::PresenceReason::Quiet => Reason::Quiet,
        },
        since_tick: evidence.since_tick,
    }
}

fn links(front: &Front, cir: impl Fn(usize) -> Option<CirSummary>, into: &mut Vec<LinkReport>) {
    into.clear();
    into.extend(front.links().iter().enumerate().map(|(path, link)| {
        let summary = cir(path).filter(|s| s.valid == 1);
        let ns = |seconds: f32| seconds * 1e9;
        LinkReport {
            path: path as u16,
            age_ms: link.has(valid::AGE).then_some((link.age_s * 1e3) as u32),
            coherence: link.has(valid::COHERENCE).then_some(link.coherence),
            motion_ratio: link.has(valid::CHANGE).then_some(link.motion_ratio),
            delay_ns: summary.map(|s| ns(s.dominant_delay_s)),
            delay_sigma_ns: summary
                .filter(|s| s.dominant_delay_sigma_s > 0.0)
                .map(|s| ns(s.dominant_delay_sigma_s)),
            delay_spread_ns: summary.map(|s| ns(s.rms_delay_spread_s)),
            k_factor_db: summary.map(|s| s.k_factor_db),
            gap: summary.map(|s| s.relative_gap),
        }
    }));
}

/// Contradictions, then the quality score with its evidence.
fn judge(front: &Front, coherence: Option<f32>, seen: &Seen<'_>, out: &mut Outcome) {
    let evidence = front.site();
    let list = &mut out.quality.contradictions;
    list.clear();
    let surely = |p: Option<f32>, sure: bool| p.is_some_and(|p| if sure { p >= SURE } else { p <= 1.0 - SURE });
    let certain = |t: &Track| persons::is_active(t) && t.existence >= SURE && t.coasted_cycles == 0;
    let followed = seen.tracks.iter().any(certain);
    if surely(evidence.probability, false) && followed {
        list.push(Contradiction::EmptyButTracked);
    }
    // Whoever is followed bears the motion out: few CSI links make no image of one person.
    if surely(evidence.moving_probability, true) && seen.image.valid == 1 && !followed && !shows_somebody(seen) {
        list.push(Contradiction::MotionWithoutImage);
    }
    let fresh = front
        .links()
        .iter()
        .filter(|l| l.has(valid::AGE) && l.age_s <= front.config().frame_age_max_s)
        .count();
    let clock = f32::from(front.clock_quality()) / 100.0;
    // Only CSI frames of several paths are compared in time; one sweep of an RSS mesh takes longer than the guard.
    if fresh >= 2 && front.clock_quality() == 0 && front.fused().is_some() {
        list.push(Contradiction::ClockSpread);
    }
    let links = front.links().len().max(1) as f32;
    out.quality.links_share = fresh as f32 / links;
    out.quality.coherence = coherence;
    out.quality.stages_share = seen.stages_share;
    out.quality.score = quality::score(&QualityEvidence {
        links_share: out.quality.links_share,
        coherence,
        stages_share: seen.stages_share,
        clock: if front.fused().is_some() { clock } else { 1.0 },
        contradictions: list.len() as u32,
    });
}

fn shows_somebody(seen: &Seen<'_>) -> bool {
    seen.mean
        .iter()
        .zip(seen.variance)
        .any(|(mean, variance)| *mean > 0.0 && mean * mean > IMAGE_SIGMA * IMAGE_SIGMA * variance)
}

/// Age of the newest frame of any path at the end of the slot, milliseconds.
pub(super) fn age_ms(front: &Front) -> Option<u32> {
    let ages = front.links().iter().filter(|l| l.has(valid::AGE)).map(|l| l.age_s);
    ages.reduce(tapline_dsp::detmath::min).map(|s| (s * 1e3) as u32)
}
