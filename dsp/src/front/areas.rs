//! From link evidence to the presence of the site, its rooms and zones.

use super::{
    config::{FrontConfig, PathKind},
    evidence::{AreaEvidence, DecisionTrace, LinkEvidence, TRACE_LINKS, TraceLink, valid},
};
use crate::{
    presence::{LinkFusion, Llr, PresenceFilter, PresenceReason, PresenceState},
    presence_coverage::{self, SHARE_MIN},
};

/// What a path adds to its evidence.
pub(super) struct View {
    /// Whether it has a baseline.
    pub(super) calibrated: bool,
    /// Length of its window, seconds; 0 without one.
    pub(super) span_s: f32,
    /// Log-likelihood ratio of nobody against somebody who keeps still, from its profile of the empty room of late; none without one.
    pub(super) vacancy: Option<f32>,
}

/// One link: all paths between two nodes, both directions. Their evidence is one body's evidence.
#[derive(Clone, Debug)]
struct Link {
    nodes: (u16, u16),
    wavelength_m: f32,
    /// Sums over the paths with evidence in this cycle, and how many those were.
    llr_sum: Llr,
    paths_used: u32,
    span_sum_s: f32,
    calibrated: bool,
    /// Sum over the CSI paths with evidence, and how many those were.
    vacancy_sum: f32,
    vacancy_paths: u32,
    /// Mean over the paths.
    llr: Llr,
    loudest: TraceLink,
}

/// The site or an area with the links that see it.
#[derive(Clone, Debug)]
struct Place {
    /// Index of the link and the share of positions in the place that affect it.
    covering: Vec<(u32, f32)>,
    filter: PresenceFilter,
    evidence: AreaEvidence,
    /// Of the link that looks least like the empty room; 0 when nothing is known.
    vacancy: f32,
}

/// Presence of everything the configuration names. Place 0 is the site.
#[derive(Clone, Debug)]
pub(super) struct Areas {
    link_of_path: Vec<u32>,
    links: Vec<Link>,
    places: Vec<Place>,
    outputs: Vec<AreaEvidence>,
}

impl Areas {
    pub(super) fn new(config: &FrontConfig) -> Self {
        let mut pairs: Vec<(u16, u16)> = config.paths.iter().map(|p| (p.tx.min(p.rx), p.tx.max(p.rx))).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let link_of_path: Vec<u32> = config
            .paths
            .iter()
            .map(|p| pairs.partition_point(|pair| *pair < (p.tx.min(p.rx), p.tx.max(p.rx))) as u32)
            .collect();
        let mut links: Vec<Link> = pairs
            .iter()
            .map(|&nodes| Link {
                nodes,
                wavelength_m: 0.0,
                llr_sum: Llr::default(),
                llr: Llr::default(),
                paths_used: 0,
                span_sum_s: 0.0,
                calibrated: false,
                vacancy_sum: 0.0,
                vacancy_paths: 0,
                loudest: TraceLink::default(),
            })
            .collect();
        for (path, &link) in config.paths.iter().zip(&link_of_path) {
            let khz = match path.kind {
                PathKind::Csi { centre_khz, .. } if centre_khz > 0 => centre_khz,
                _ => presence_coverage::channel_khz(path.channel),
            };
            let wavelength = presence_coverage::wavelength_m(khz);
            links[link as usize].wavelength_m = crate::detmath::max(links[link as usize].wavelength_m, wavelength);
        }

        // The share of positions from which a person affects a link falls with the number of links: one link that is
        // the whole site is affected from everywhere worth knowing, forty-five of a mesh see a person one in seven.
        let affected = 1.0 / (links.len().max(1) as f32).sqrt();
        let place = |covering: Vec<(u32, f32)>| Place {
            covering,
            filter: PresenceFilter::new(&config.presence),
            evidence: AreaEvidence::default(),
            vacancy: 0.0,
        };
        let mut places = vec![place((0..links.len() as u32).map(|i| (i, affected)).collect())];
        let position = |node: u16| {
            let at = config.nodes.binary_search_by_key(&node, |(id, _)| *id).ok()?;
            let [x, y, _] = config.nodes[at].1;
            Some([x, y])
        };
        for area in &config.areas {
            let mut covering: Vec<(u32, f32)> = Vec::new();
            for (i, link) in links.iter().enumerate() {
                if let (Some(a), Some(b)) = (position(link.nodes.0), position(link.nodes.1)) {
                    let share = presence_coverage::fresnel_share(a, b, link.wavelength_m, &area.outline_m);
                    if share >= SHARE_MIN {
                        covering.push((i as u32, share));
                    }
                }
            }
            let affected = 1.0 / (covering.len().max(1) as f32).sqrt();
            covering.iter_mut().for_each(|(_, share)| *share *= affected);
            places.push(place(covering));
        }
        let outputs = vec![AreaEvidence::default(); config.areas.len()];
        Self {
            link_of_path,
            links,
            places,
            outputs,
        }
    }

    pub(super) fn site(&self) -> &AreaEvidence {
        &self.places[0].evidence
    }

    /// Of the site; 0 when nothing is known.
    pub(super) fn vacancy(&self) -> f32 {
        self.places[0].vacancy
    }

    pub(super) fn areas(&self) -> &[AreaEvidence] {
        &self.outputs
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &PresenceFilter> {
        self.places.iter().map(|place| &place.filter)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn restore(&mut self, filters: Vec<PresenceFilter>) {
        for (place, filter) in self.places.iter_mut().zip(filters) {
            place.filter = filter;
        }
    }

    /// One cycle. `rejected`: the gate refuses this cycle's measurements. `view`: what a path adds to its evidence.
    pub(super) fn step(
        &mut self,
        tick: u64,
        evidence: &[LinkEvidence],
        view: impl Fn(usize) -> View,
        rejected: bool,
        config: &FrontConfig,
    ) {
        self.collect(evidence, view, config);
        for place in &mut self.places {
            place.step(tick, &self.links, rejected, config);
        }
        for (output, place) in self.outputs.iter_mut().zip(&self.places[1..]) {
            *output = place.evidence;
        }
    }

    fn collect(&mut self, evidence: &[LinkEvidence], view: impl Fn(usize) -> View, config: &FrontConfig) {
        for link in &mut self.links {
            (link.llr_sum, link.paths_used, link.span_sum_s, link.calibrated) = (Llr::default(), 0, 0.0, false);
            (link.vacancy_sum, link.vacancy_paths) = (0.0, 0);
            link.loudest = TraceLink::default();
        }
        for (path, e) in evidence.iter().enumerate() {
            let link = &mut self.links[self.link_of_path[path] as usize];
            let view = view(path);
            link.calibrated |= view.calibrated;
            if !e.has(valid::CHANGE) {
                continue;
            }
            let llr = config
                .presence
                .path_llr(e.motion_ratio, e.has(valid::LEVEL).then_some(e.level_ratio));
            link.llr_sum.moving += llr.moving;
            link.llr_sum.still += llr.still;
            link.vacancy_sum += view.vacancy.unwrap_or(0.0);
            link.vacancy_paths += u32::from(view.vacancy.is_some());
            link.span_sum_s += view.span_s + e.age_s;
            if link.paths_used == 0 || e.motion_ratio > link.loudest.motion_ratio {
                link.loudest = TraceLink {
                    path: e.path,
                    motion_ratio: e.motion_ratio,
                    llr: 0.0,
                };
            }
            link.paths_used += 1;
        }
        for link in self.links.iter_mut().filter(|l| l.paths_used > 0) {
            let paths = link.paths_used as f32;
            link.llr = Llr {
                moving: link.llr_sum.moving / paths,
                still: link.llr_sum.still / paths,
            };
            link.loudest.llr = link.llr.somebody();
        }
    }
}

impl Link {
    /// Mean over the CSI paths; one that does not know how the empty room looks counts as 0.
    fn vacancy(&self) -> Option<f32> {
        (self.vacancy_paths > 0).then(|| self.vacancy_sum / self.vacancy_paths as f32)
    }
}

impl Place {
    fn step(&mut self, tick: u64, links: &[Link], rejected: bool, config: &FrontConfig) {
        let presence = &config.presence;
        let mut fusion = LinkFusion::default();
        let mut trace = DecisionTrace {
            links_covering: self.covering.len() as u16,
            ratio_threshold: presence.ratio_threshold,
            ..DecisionTrace::default()
        };
        let (mut span_sum_s, mut paths, mut calibrated) = (0.0_f32, 0_u32, false);
        let mut vacancy: Option<f32> = None;
        for &(at, affected) in &self.covering {
            let link = &links[at as usize];
            calibrated |= link.calibrated;
            if link.paths_used == 0 {
                continue;
            }
            fusion.add(link.llr, affected);
            vacancy = match (vacancy, link.vacancy()) {
                (Some(least), Some(v)) => Some(crate::detmath::min(least, v)),
                (either, or) => either.or(or),
            };
            trace.links_used += 1;
            trace.name(link.loudest);
            span_sum_s += link.span_sum_s;
            paths += link.paths_used;
        }
        // Echoes lead by everybody: whoever keeps still changes most links, and one that is changed outweighs all that are not.
        self.vacancy = vacancy.unwrap_or(0.0);
        let fused = fusion.finish().map(|llr| Llr {
            still: llr.still - self.vacancy,
            ..llr
        });
        trace.llr = fused.map(Llr::somebody);
        let input = if self.covering.is_empty() {
            Err(PresenceReason::NotCovered)
        } else if !calibrated {
            Err(PresenceReason::NotCalibrated)
        } else if rejected {
            Err(PresenceReason::GateRejected)
        } else {
            let window_s = crate::detmath::max(span_sum_s / paths.max(1) as f32, config.window.window_s);
            fused.map(|llr| (llr, window_s)).ok_or(PresenceReason::NoInput)
        };
        self.filter.step(tick, config.step_s, input, presence);
        let occupied = matches!(
            self.filter.state(),
            PresenceState::OccupiedMoving | PresenceState::OccupiedStill
        );
        trace.probability_threshold = presence.occupied[usize::from(occupied)];
        self.evidence = AreaEvidence {
            state: self.filter.state(),
            probability: self.filter.probability(),
            moving_probability: self.filter.moving_probability(),
            reason: self.filter.reason(),
            since_tick: self.filter.since_tick(),
            trace,
        };
    }
}

impl DecisionTrace {
    /// Keeps the loudest links, the earlier of two equals first.
    fn name(&mut self, link: TraceLink) {
        let named = self.links_named as usize;
        let at = self.links[..named]
            .iter()
            .position(|kept| link.llr > kept.llr)
            .unwrap_or(named);
        if at < TRACE_LINKS {
            let last = named.min(TRACE_LINKS - 1);
            self.links.copy_within(at..last, at + 1);
            self.links[at] = link;
            self.links_named = (named + 1).min(TRACE_LINKS) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_names_the_loudest_first() {
        let mut trace = DecisionTrace::default();
        for (path, llr) in [(0, 1.0), (1, 3.0), (2, 2.0), (3, 3.0), (4, -1.0), (5, 2.5)] {
            trace.name(TraceLink {
                path,
                motion_ratio: 0.0,
                llr,
            });
        }
        let paths: Vec<_> = trace.links.iter().map(|l| l.path).collect();
        assert_eq!((paths, trace.links_named), (vec![1, 3, 5, 2], 4));
    }
}
