//! The radios as an array: their clocks, what each adds, how they hang together, what their places can tell, and
//! whether the quiet room is still the calibrated one.

use async_graphql::{ComplexObject, Context, Enum, ID, SimpleObject};
use tapline_dsp::array::{
    changes::{DriftClass, Verdict},
    clock,
    geometry::{self, LOCATED_M},
    placement::{NOTHING, Place, Worth},
};

use super::{api, site::Point};
use crate::{
    api::{
        access::{Leaves::*, Rule, Scope::Read, rule},
        array::Judged,
    },
    config::Site,
    live::LinkStatus,
};

/// What the fields give away: the configuration and the radios. A link that is off alone tells where somebody may sit.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("NodeClock", Read, Anyway, "driftPpm reason spreadUs state"),
    rule("Placement", Read, Anyway, "addsNothing hint room share"),
    rule("SiteArray", Read, Anyway, "change leftOut linkedPairs weakest"),
    rule("WeakestCut", Read, Anyway, "links nodes"),
    rule("ArrayChange", Read, Anyway, "agoS kind links node recalibrate"),
    rule("ArrayChange", Read, Zones, "path"),
    rule(
        "RoomGeometry",
        Read,
        Anyway,
        "evenness located medianErrorM newNode p10ErrorM p90ErrorM places worst",
    ),
    rule("NewNode", Read, Anyway, "at medianErrorM"),
    rule("LinkDrift", Read, Zones, "kind sigma steppedS"),
];

/// May a radio's clock be used to compare it with others?
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(remote = "clock::ClockState")]
enum ClockState {
    /// Yes.
    Admit,
    /// Its times are shown, not used.
    MonitorOnly,
    /// No.
    Reject,
}

/// Why a clock is judged so.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(remote = "clock::ClockReason")]
enum ClockReason {
    /// The spread is small enough: at most 200 microseconds.
    Steady,
    /// Fewer than eight seconds are known.
    TooShort,
    /// The spread is above 200 microseconds; above 1,000 it is rejected.
    Dispersed,
    /// Nothing for nine seconds.
    Stale,
    /// It runs backwards, or at a speed that no crystal has.
    Invalid,
    /// Neither its frames carry a time of capture, nor does it send clock messages.
    NoTime,
}

/// How well the clock of a radio follows the server's, over the last half minute.
#[derive(SimpleObject)]
pub(super) struct NodeClock {
    /// May it be used?
    state: ClockState,
    /// Why.
    reason: ClockReason,
    /// Standard deviation about a straight line, microseconds; null before eight seconds, and without times.
    spread_us: Option<f64>,
    /// Speed against the server's clock, parts per million, positive when it is slow; null before eight seconds, and without times.
    drift_ppm: Option<f64>,
}

impl From<clock::ClockReport> for NodeClock {
    fn from(report: clock::ClockReport) -> Self {
        Self {
            state: report.state.into(),
            reason: report.reason.into(),
            spread_us: report.spread_s.map(|s| s * 1e6),
            drift_ppm: report.drift_ppm,
        }
    }
}

/// What a radio adds to what the others can tell of people's places.
#[derive(SimpleObject)]
pub(super) struct Placement {
    /// True when no room is known worse by 5 % or more without it.
    adds_nothing: bool,
    /// How much worse the room it helps most is known without it: 0 is nothing, 0.5 is half as bad again.
    share: f64,
    /// Id of the room it helps most; null when it adds nothing.
    room: Option<ID>,
    /// The same in words, with what to do.
    hint: String,
}

impl Placement {
    fn new(worth: &Worth, judged: &Judged, site: &Site) -> Self {
        let room = site.rooms.get(worth.room).filter(|_| !worth.nothing());
        let hint = match room {
            Some(room) => format!(
                "Without it positions in {} are known {:.0} % worse.",
                room.id,
                100.0 * worth.share
            ),
            None => {
                let mut hint = format!(
                    "It adds nothing: without it no room is known worse by {:.0} % or more.",
                    100.0 * NOTHING
                );
                if let Some((room, place)) = best(judged) {
                    let ([x, y], id) = (place.at_m, &site.rooms[room].id);
                    hint += &format!(" A radio at ({x:.1}, {y:.1}) m, on the wall of {id}, would help more.");
                }
                hint
            }
        };
        Self {
            adds_nothing: worth.nothing(),
            share: worth.share,
            room: room.map(|r| r.id.as_str().into()),
            hint,
        }
    }
}

/// The room that another radio helps most, and where.
fn best(judged: &Judged) -> Option<(usize, Place)> {
    let gain = |room: usize, place: &Place| Some(place.median_m / judged.rooms.get(room)?.as_ref()?.median_m);
    let places = judged.places.iter().enumerate();
    let gains = places.filter_map(|(room, place)| {
        let place = (*place)?;
        Some((gain(room, &place)?, room, place))
    });
    gains
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, room, place)| (room, place))
}

/// The placement of a node; none when the site is too large to judge it.
pub(super) async fn placement(ctx: &Context<'_>, node: u16) -> async_graphql::Result<Option<Placement>> {
    let judged = api(ctx).array().await?;
    let worth = judged.worth.iter().find(|w| w.node == node);
    Ok(worth.map(|w| Placement::new(w, &judged, &api(ctx).hub.facts.site)))
}

/// The radios of the site as an array.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct SiteArray {
    /// Pairs of radios that are linked, in whatever direction and on however many channels.
    linked_pairs: u32,
    /// Where the mesh is weakest; null with fewer than two radios.
    weakest: Option<WeakestCut>,
    /// What was not computed because the site is too large for it (its fields are null); null when everything was.
    left_out: Option<&'static str>,
}

#[ComplexObject]
impl SiteArray {
    /// What the links together say of the quiet room; null before the server looked.
    async fn change(&self, ctx: &Context<'_>) -> Option<ArrayChange> {
        let (verdict, ago_s) = api(ctx).hub.diagnostics().change?;
        Some(ArrayChange::new(verdict, ago_s))
    }
}

/// The least links whose loss splits the mesh in two.
#[derive(SimpleObject)]
struct WeakestCut {
    /// How many; 0 when it is in two parts already.
    links: u32,
    /// Ids of the radios on the smaller side, ascending.
    nodes: Vec<u16>,
}

/// The radios of the site as an array.
pub(super) async fn site_array(ctx: &Context<'_>) -> async_graphql::Result<SiteArray> {
    let judged = api(ctx).array().await?;
    let nodes = &api(ctx).hub.facts.site.nodes;
    Ok(SiteArray {
        linked_pairs: judged.pairs as u32,
        weakest: judged.cut.as_ref().map(|cut| WeakestCut {
            links: cut.weight as u32,
            nodes: cut.side.iter().filter_map(|i| Some(nodes.get(*i)?.id)).collect(),
        }),
        left_out: judged.left_out,
    })
}

/// What the links together say of the quiet room.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum ChangeKind {
    /// Nothing is known: no calibration, or it is too young.
    Unknown,
    /// As calibrated.
    Stable,
    /// One link alone is off: something stands in it, or its radio changed.
    OneLink,
    /// All links of one radio are off and most others are not: it was moved or turned.
    NodeMoved,
    /// Several links stepped within a minute: the room was changed.
    RoomChanged,
    /// Several links went off slowly: temperature or ageing.
    SlowDrift,
}

/// What the links together say of the quiet room, looked at once a second while nobody moves.
#[derive(SimpleObject)]
struct ArrayChange {
    /// What it is.
    kind: ChangeKind,
    /// The radio that was moved; null unless the kind is `NODE_MOVED`.
    node: Option<u16>,
    /// Index of the link path that is off; null unless the kind is `ONE_LINK`.
    path: Option<u32>,
    /// Link paths that are off together; null unless the kind is `ROOM_CHANGED` or `SLOW_DRIFT`.
    links: Option<u32>,
    /// Seconds since the first of them stepped; null unless the kind is `ROOM_CHANGED`.
    ago_s: Option<u32>,
    /// True when the empty room should be learned again.
    recalibrate: bool,
}

impl ArrayChange {
    fn new(verdict: Verdict, ago_s: Option<u32>) -> Self {
        let (kind, node, path, links) = match verdict {
            Verdict::Unknown => (ChangeKind::Unknown, None, None, None),
            Verdict::Stable => (ChangeKind::Stable, None, None, None),
            Verdict::OneLink { link } => (ChangeKind::OneLink, None, Some(link as u32), None),
            Verdict::NodeMoved { node } => (ChangeKind::NodeMoved, Some(node), None, None),
            Verdict::RoomChanged { links, .. } => (ChangeKind::RoomChanged, None, None, Some(links as u32)),
            Verdict::SlowDrift { links } => (ChangeKind::SlowDrift, None, None, Some(links as u32)),
        };
        Self {
            kind,
            node,
            path,
            links,
            ago_s,
            recalibrate: verdict.recalibrate(),
        }
    }
}

/// What the places of the radios can tell of one person's place in a room: the Cramer-Rao bound of the shadow a body throws,
/// under a noise of 1 dB on each link. No estimator is better on average; how near ours comes docs/accuracy.md measures.
#[derive(SimpleObject)]
pub(super) struct RoomGeometry {
    /// Places on a grid that were looked at.
    places: u32,
    /// Median over them of the least root mean square error of a position, metres.
    median_error_m: f64,
    /// Its 10th percentile, metres: what is known best.
    p10_error_m: f64,
    /// Its 90th percentile, metres.
    p90_error_m: f64,
    /// Share of the places with an error of at most half a metre, 0 to 1.
    located: f64,
    /// How even the links see in all directions, median over the places: 1 is even, 0 is along one line only.
    evenness: f64,
    /// The place that is known worst.
    worst: Point,
    /// Where along the walls another radio, linked with all there are, would help most; null when none would improve the
    /// median by 5 %, and when the site is too large to search.
    new_node: Option<NewNode>,
}

/// A place for another radio.
#[derive(SimpleObject)]
struct NewNode {
    /// On the room's wall.
    at: Point,
    /// The room's median error with it, metres.
    median_error_m: f64,
}

fn point([x, y]: [f64; 2]) -> Point {
    Point { x, y }
}

/// What can be told of a room; none when it has no inside, or the site is too large.
pub(super) async fn room_geometry(ctx: &Context<'_>, room: usize) -> async_graphql::Result<Option<RoomGeometry>> {
    // What the description of `located` says.
    const { assert!(LOCATED_M == 0.5) };
    let judged = api(ctx).array().await?;
    let Some(g) = judged.rooms.get(room).and_then(Option::as_ref) else {
        return Ok(None);
    };
    let geometry::RoomGeometry {
        places,
        median_m,
        p10_m,
        p90_m,
        located,
        evenness,
        worst_m,
    } = *g;
    Ok(Some(RoomGeometry {
        places,
        median_error_m: median_m,
        p10_error_m: p10_m,
        p90_error_m: p90_m,
        located,
        evenness,
        worst: point(worst_m),
        new_node: judged.places.get(room).copied().flatten().map(|place| NewNode {
            at: point(place.at_m),
            median_error_m: place.median_m,
        }),
    }))
}

/// What kind of change the quiet profile of a link shows.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(remote = "DriftClass")]
enum DriftKind {
    /// Not known: no calibration, a path that measures strength only, or too little quiet time since.
    Unknown,
    /// As calibrated.
    Stable,
    /// Between well (below 2 standard deviations) and off (from 4 on).
    Drifting,
    /// Off, and it came slowly.
    Slow,
    /// Off, and it came within 45 seconds.
    Step,
}

/// How far the quiet profile of a link has moved from its calibration.
#[derive(SimpleObject)]
pub(super) struct LinkDrift {
    /// What kind of change.
    kind: DriftKind,
    /// Deviation when it was last known, standard deviations; null when it never was.
    sigma: Option<f64>,
    /// Seconds since it stepped; null unless the kind is `STEP`.
    stepped_s: Option<u32>,
}

impl From<&LinkStatus> for LinkDrift {
    fn from(status: &LinkStatus) -> Self {
        Self {
            kind: status.drift.into(),
            sigma: status.sigma.map(f64::from),
            stepped_s: status.stepped_s,
        }
    }
}
