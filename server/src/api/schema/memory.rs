//! What was last night and last year: rollups (docs/memory.md).

use async_graphql::{
    Context, Enum, ID, Object, SimpleObject,
    connection::{Connection, Edge, EmptyFields},
};

use super::{
    api,
    query::invalid,
    scalars::{Long, Timestamp},
};
use crate::{
    api::{
        Api,
        access::{self, Leaves, Leaves::*, Rule, Scope::*, rule},
        error::Failure,
    },
    cycle::clock::STAGE_NAMES,
    rollup::{
        Calendar, Kind, Level, Occupancy, Row, Series, cell_corner_m,
        fields::{area, cycles, flow, heat, link, person, stages},
        quantile,
    },
    store::rollup::query::{self, Point, Points},
};

/// What the answers give away. What is of a zone is refused in one place below, [`area_series`].
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Query",
        Read,
        Anyway,
        "history linkHistory operationHistory occupancyChanges lastOccupied",
    ),
    rule("Query", Read, Zones, "flows"),
    // Time in a cell is the way of a person where only one is there.
    rule("Query", Read, People, "heatMap"),
    rule("Query", Read, Identity, "peopleSeen"),
    rule("History", Read, Anyway, "area knownTo level points timezone"),
    rule(
        "HistoryPoint",
        Read,
        Anyway,
        "cycles emptyS entries from longestStayS movingS occupiedShare peopleMean peopleS staysEnded stillS to unknownS",
    ),
    rule("LinkHistory", Read, Anyway, "knownTo level points rx tx"),
    rule(
        "LinkHistoryPoint",
        Read,
        Anyway,
        "coherenceLeast coherenceMean freshShare from reports to",
    ),
    rule("LinkHistoryPoint", Read, Zones, "motionMean motionMost"),
    rule("OperationHistory", Read, Anyway, "knownTo level points"),
    rule(
        "OperationHistoryPoint",
        Read,
        Anyway,
        "accepted cycles deadlines demoted faults from longestMs missed predictOnly qualityMean recalibrate rejected \
         simulated stages to",
    ),
    rule("StageTime", Read, Anyway, "meanMs p50Ms p99Ms stage"),
    rule("OccupancyChangeConnection", Read, Anyway, "edges nodes pageInfo"),
    rule("OccupancyChangeEdge", Read, Anyway, "cursor node"),
    rule("OccupancyChange", Read, Anyway, "area at cycle state"),
    rule("LastOccupied", Read, Anyway, "at now"),
    rule("HeatMap", Read, People, "cellM cells level"),
    rule("HeatCell", Read, People, "seconds x y"),
    rule("Flow", Read, Zones, "from people to"),
    rule("PersonSeen", Read, Identity, "activeS meanX meanY person seenS wayM"),
];

/// Seconds of a cycle.
const SLOT_S: f64 = 0.05;
/// Changes of one page at most.
const PAGE: i32 = 500;
/// Points without a wish.
const POINTS: i32 = 500;

/// How long the window of a point is.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub(crate) enum HistoryLevel {
    /// One second.
    Second,
    /// One minute.
    Minute,
    /// One hour of the site's clock.
    Hour,
    /// One day of the site's calendar: 23 to 25 hours.
    Day,
}

impl From<HistoryLevel> for Level {
    fn from(level: HistoryLevel) -> Self {
        match level {
            HistoryLevel::Second => Self::Second,
            HistoryLevel::Minute => Self::Minute,
            HistoryLevel::Hour => Self::Hour,
            HistoryLevel::Day => Self::Day,
        }
    }
}

impl From<Level> for HistoryLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Second => Self::Second,
            Level::Minute => Self::Minute,
            Level::Hour => Self::Hour,
            Level::Day => Self::Day,
        }
    }
}

/// Questions about the past, from rollups.
#[derive(Default)]
pub(crate) struct MemoryQuery;

#[Object]
impl MemoryQuery {
    /// Occupancy over time of the site, a room or a zone: at the finest level that answers within `points`, or at the one
    /// asked for.
    #[graphql(complexity = "windows(points) * child_complexity")]
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of a room or zone; without it the whole site.")] area: Option<ID>,
        #[graphql(desc = "From this time, inclusive.")] from: Timestamp,
        #[graphql(desc = "Up to this time; without it up to now.")] to: Option<Timestamp>,
        #[graphql(desc = "The level of the points; without it the finest that answers.")] level: Option<HistoryLevel>,
        #[graphql(desc = "Most points, 1 to 10000.", default_with = "POINTS")] points: i32,
    ) -> async_graphql::Result<History> {
        let series = area_series(api(ctx), area.as_ref())?;
        let name = area.unwrap_or_else(|| api(ctx).hub.facts.site.id.as_str().into());
        let (points, zone) = read(ctx, series, from, to, level, points).await?;
        Ok(History {
            area: name,
            level: points.level.into(),
            timezone: zone,
            known_to: seconds(points.known_to_s),
            points: points.points.iter().map(Into::into).collect(),
        })
    }

    /// How well two radios heard each other over time, all their paths together.
    #[graphql(complexity = "windows(points) * child_complexity")]
    #[allow(clippy::too_many_arguments, reason = "arguments of a GraphQL field")]
    async fn link_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sending node.")] tx: i32,
        #[graphql(desc = "The receiving node.")] rx: i32,
        #[graphql(desc = "From this time, inclusive.")] from: Timestamp,
        #[graphql(desc = "Up to this time; without it up to now.")] to: Option<Timestamp>,
        #[graphql(desc = "The level of the points; without it the finest that answers.")] level: Option<HistoryLevel>,
        #[graphql(desc = "Most points, 1 to 10000.", default_with = "POINTS")] points: i32,
    ) -> async_graphql::Result<LinkHistory> {
        let series = Series::new(Kind::Link, format!("{tx}-{rx}"));
        let (points, _) = read(ctx, series, from, to, level, points).await?;
        Ok(LinkHistory {
            tx,
            rx,
            level: points.level.into(),
            known_to: seconds(points.known_to_s),
            points: points.points.iter().map(Into::into).collect(),
        })
    }

    /// How the server itself did over time: cycles, missed slots, the gate, stage times.
    #[graphql(complexity = "windows(points) * child_complexity")]
    async fn operation_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From this time, inclusive.")] from: Timestamp,
        #[graphql(desc = "Up to this time; without it up to now.")] to: Option<Timestamp>,
        #[graphql(desc = "The level of the points; without it the finest that answers.")] level: Option<HistoryLevel>,
        #[graphql(desc = "Most points, 1 to 10000.", default_with = "POINTS")] points: i32,
    ) -> async_graphql::Result<OperationHistory> {
        let (counted, _) = read(ctx, Series::cycles(), from, to, level, points).await?;
        let times = Series::new(Kind::Stages, "");
        let (timed, _) = read(ctx, times, from, to, Some(counted.level.into()), points).await?;
        // The same windows, unless one was closed between the two questions.
        let points = counted.points.iter().map(|point| {
            let times = timed.points.iter().find(|t| t.window == point.window);
            OperationHistoryPoint::new(point, times.map(|t| &t.row))
        });
        Ok(OperationHistory {
            level: counted.level.into(),
            known_to: seconds(counted.known_to_s),
            points: points.collect(),
        })
    }

    /// Changes of occupancy, newest first, page by page (`first`, `after`): of the site, its rooms and zones, or of one of
    /// them.
    #[graphql(complexity = "25 * child_complexity")]
    async fn occupancy_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the site, a room or a zone; without it all.")] area: Option<ID>,
        #[graphql(desc = "Not before this time.")] from: Option<Timestamp>,
        #[graphql(desc = "Older than this cursor.")] after: Option<String>,
        #[graphql(desc = "So many, 1 to 500.", default = 50)] first: i32,
    ) -> async_graphql::Result<Connection<String, OccupancyChange, EmptyFields, EmptyFields>> {
        if !(1..=PAGE).contains(&first) {
            return Err(invalid("first", first, format!("1 to {PAGE}")).into());
        }
        let api = api(ctx);
        let one = match &area {
            Some(area) => Some(area_series(api, Some(area))?.key),
            None => None,
        };
        let older = after.as_deref().map(parse_cursor).transpose()?;
        let from_ms = from.map_or(i64::MIN, |t| t.wall_ns.div_euclid(1_000_000));
        let limit = first.unsigned_abs() + 1;
        let mut found = api
            .read_store(move |db| query::changes(db, one.as_deref(), older, from_ms, limit))
            .await?;
        let more = found.len() > first.unsigned_abs() as usize;
        found.truncate(first.unsigned_abs() as usize);
        let mut connection = Connection::new(after.is_some(), more);
        let zones_shown = access::Bar::of(api).lets_out(Zones);
        for (change, number) in found {
            if change.area.starts_with("zone:") && !zones_shown {
                continue;
            }
            let cursor = format!("{}.{}.{number}", change.t_ms, change.seq);
            let node = OccupancyChange {
                at: Timestamp {
                    wall_ns: change.t_ms.saturating_mul(1_000_000),
                },
                cycle: change.seq.into(),
                area: shown_name(api, &change.area),
                state: change.to.into(),
            };
            connection.edges.push(Edge::new(cursor, node));
        }
        Ok(connection)
    }

    /// When somebody was last in a place; null when nobody was, as far as is remembered.
    async fn last_occupied(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of a room or zone; without it the whole site.")] area: Option<ID>,
    ) -> async_graphql::Result<Option<LastOccupied>> {
        let key = area_series(api(ctx), area.as_ref())?.key;
        let found = api(ctx).read_store(move |db| query::last_occupied(db, &key)).await?;
        Ok(found.map(|(t_ms, now)| LastOccupied {
            at: Timestamp {
                wall_ns: t_ms.saturating_mul(1_000_000),
            },
            now,
        }))
    }

    /// Where in a room people spent their time; null where no single person leaves, by the privacy class or by a mode that lets
    /// out counts only. Whole windows are added up: days, and at both ends shorter ones, down to seconds where these are kept.
    #[graphql(complexity = "50 * child_complexity")]
    async fn heat_map(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the room.")] room: ID,
        #[graphql(desc = "From this time, inclusive.")] from: Timestamp,
        #[graphql(desc = "Up to this time; without it up to now.")] to: Option<Timestamp>,
    ) -> async_graphql::Result<Option<HeatMap>> {
        let site = &api(ctx).hub.facts.site;
        if site.room(room.as_str()).is_none() {
            return Err(unknown_area(api(ctx), room.as_str()).into());
        }
        let series = Series::new(Kind::Heat, format!("room:{}", room.as_str()));
        let (range, calendar) = (range(from, to)?, calendar(api(ctx)));
        let (level, row) = api(ctx)
            .read_store(move |db| {
                let stretches = query::cover(db, &calendar, range)?;
                let longest = stretches.iter().map(|s| s.0).max().unwrap_or(Level::Second);
                Ok((longest, query::total(db, &series, &stretches)?))
            })
            .await?;
        debug_assert_eq!(row.sum[heat::TOTAL], row.map.values().sum::<u64>());
        let cells = row.map.iter().map(|(cell, cycles)| {
            let [x, y] = cell_corner_m(*cell);
            HeatCell {
                x: f64::from(x),
                y: f64::from(y),
                seconds: slots(*cycles),
            }
        });
        Ok(Some(HeatMap {
            level: level.into(),
            cell_m: 0.25,
            cells: cells.collect(),
        }))
    }

    /// How many people went from where to where: between zones, and rooms outside of zones. Windows as of `heatMap`.
    #[graphql(complexity = "20 * child_complexity")]
    async fn flows(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From this time, inclusive.")] from: Timestamp,
        #[graphql(desc = "Up to this time; without it up to now.")] to: Option<Timestamp>,
    ) -> async_graphql::Result<Vec<Flow>> {
        let (range, calendar) = (range(from, to)?, calendar(api(ctx)));
        let rows = api(ctx)
            .read_store(move |db| {
                let stretches = query::cover(db, &calendar, range)?;
                let mut rows = Vec::new();
                for key in query::keys(db, Kind::Flow)? {
                    let row = query::total(db, &Series::new(Kind::Flow, key.clone()), &stretches)?;
                    rows.push((key, row.sum[flow::CROSSINGS]));
                }
                Ok(rows)
            })
            .await?;
        let api = api(ctx);
        let flows = rows
            .into_iter()
            .filter(|(_, people)| *people > 0)
            .filter_map(|(key, people)| {
                let (from, to) = key.split_once('>')?;
                Some(Flow {
                    from: shown_name(api, from),
                    to: shown_name(api, to),
                    people: people.into(),
                })
            });
        Ok(flows.collect())
    }

    /// People of a time, ascending by number; only from cycles whose class let identities out. Windows as of `heatMap`.
    #[graphql(complexity = "20 * child_complexity")]
    async fn people_seen(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From this time, inclusive.")] from: Timestamp,
        #[graphql(desc = "Up to this time; without it up to now.")] to: Option<Timestamp>,
    ) -> async_graphql::Result<Vec<PersonSeen>> {
        let (range, calendar) = (range(from, to)?, calendar(api(ctx)));
        let people = api(ctx)
            .read_store(move |db| query::people(db, &query::cover(db, &calendar, range)?))
            .await?;
        Ok(people.iter().take(1_000).map(PersonSeen::from).collect())
    }
}

/// Occupancy over time.
#[derive(SimpleObject)]
pub(crate) struct History {
    /// Id of the site, room or zone.
    area: ID,
    /// The level that answered.
    level: HistoryLevel,
    /// IANA time zone in which hours and days begin.
    timezone: String,
    /// Up to here the level knows; later points come when their time has passed.
    known_to: Timestamp,
    /// Ascending; a window in which the server did not run has none.
    points: Vec<HistoryPoint>,
}

/// A place over one window.
#[derive(SimpleObject)]
struct HistoryPoint {
    /// Begin of the window.
    from: Timestamp,
    /// Its end.
    to: Timestamp,
    /// Cycles the server ran in it, 50 ms each.
    cycles: Long,
    /// Seconds of which the state was not known.
    unknown_s: f64,
    /// Seconds empty.
    empty_s: f64,
    /// Seconds with somebody who moved.
    moving_s: f64,
    /// Seconds with somebody who was still.
    still_s: f64,
    /// Share of the time with a known state in which somebody was there, 0 to 1; null when none is known.
    occupied_share: Option<f64>,
    /// Mean number of people while it was known (seven stands for more); null when it never was.
    people_mean: Option<f64>,
    /// Seconds with 0, 1, 2, 3, 4, 5, 6, and seven or more people; a ninth number for an unknown count.
    people_s: Vec<f64>,
    /// Stays that began.
    entries: Long,
    /// Stays that ended.
    stays_ended: Long,
    /// The longest of the stays that ended, seconds.
    longest_stay_s: f64,
}

impl From<&Point> for HistoryPoint {
    fn from(point: &Point) -> Self {
        let sum = &point.row.sum;
        let state = |k: usize| slots(sum[area::STATE + k]);
        let known = sum[area::STATE + 1] + sum[area::STATE + 2] + sum[area::STATE + 3];
        let occupied = sum[area::STATE + 2] + sum[area::STATE + 3];
        let people = &sum[area::PEOPLE..area::PEOPLE + 9];
        let counted: u64 = people[..8].iter().sum();
        let heads: u64 = people[..8].iter().zip(0..).map(|(cycles, n)| cycles * n).sum();
        Self {
            from: seconds(point.window.start_s),
            to: seconds(point.window.end_s),
            cycles: point.cycles.into(),
            unknown_s: state(0),
            empty_s: state(1),
            moving_s: state(2),
            still_s: state(3),
            occupied_share: share(occupied, known),
            people_mean: share(heads, counted),
            people_s: people.iter().map(|cycles| slots(*cycles)).collect(),
            entries: sum[area::ENTRIES].into(),
            stays_ended: sum[area::STAYS].into(),
            longest_stay_s: point.row.peak[area::LONGEST_S] as f64,
        }
    }
}

/// A pair of radios over time.
#[derive(SimpleObject)]
pub(crate) struct LinkHistory {
    /// The sending node.
    tx: i32,
    /// The receiving node.
    rx: i32,
    /// The level that answered.
    level: HistoryLevel,
    /// Up to here the level knows.
    known_to: Timestamp,
    /// Ascending.
    points: Vec<LinkHistoryPoint>,
}

/// A pair of radios over one window.
#[derive(SimpleObject)]
struct LinkHistoryPoint {
    /// Begin of the window.
    from: Timestamp,
    /// Its end.
    to: Timestamp,
    /// Reports: paths times cycles.
    reports: Long,
    /// Share of them with a frame in their slot, 0 to 1; null without a report.
    fresh_share: Option<f64>,
    /// Mean coherence with the calibration, 0 to 1; null without one.
    coherence_mean: Option<f64>,
    /// Least coherence, 0 to 1; null without one.
    coherence_least: Option<f64>,
    /// Mean motion, in quiet levels; null without one.
    motion_mean: Option<f64>,
    /// Largest motion, in quiet levels; null without one.
    motion_most: Option<f64>,
}

impl From<&Point> for LinkHistoryPoint {
    fn from(point: &Point) -> Self {
        let Row { sum, peak, .. } = &point.row;
        let has = |n: usize| sum[n] > 0;
        Self {
            from: seconds(point.window.start_s),
            to: seconds(point.window.end_s),
            reports: sum[link::REPORTS].into(),
            fresh_share: share(sum[link::FRESH], sum[link::REPORTS]),
            coherence_mean: share(sum[link::COHERENCE], sum[link::COHERENCE_N]).map(|c| c / 65_536.0),
            coherence_least: has(link::COHERENCE_N).then(|| 1.0 - peak[link::COHERENCE_LEAST] as f64 / 65_536.0),
            motion_mean: share(sum[link::MOTION], sum[link::MOTION_N]).map(|m| m / 1_024.0),
            motion_most: has(link::MOTION_N).then(|| peak[link::MOTION_MAX] as f64 / 1_024.0),
        }
    }
}

/// The server over time.
#[derive(SimpleObject)]
pub(crate) struct OperationHistory {
    /// The level that answered.
    level: HistoryLevel,
    /// Up to here the level knows.
    known_to: Timestamp,
    /// Ascending.
    points: Vec<OperationHistoryPoint>,
}

/// The server over one window.
#[derive(SimpleObject)]
struct OperationHistoryPoint {
    /// Begin of the window.
    from: Timestamp,
    /// Its end.
    to: Timestamp,
    /// Cycles.
    cycles: Long,
    /// Slots without a cycle.
    missed: Long,
    /// Cycles whose measurements the gate accepted.
    accepted: Long,
    /// Cycles in which it let the filters predict only.
    predict_only: Long,
    /// Cycles whose measurements it rejected.
    rejected: Long,
    /// Cycles in which it asked for a new calibration.
    recalibrate: Long,
    /// Cycles in which a stage failed.
    faults: Long,
    /// Cycles in which a stage ran out of time.
    deadlines: Long,
    /// Cycles whose privacy class was stricter than their mode's.
    demoted: Long,
    /// Cycles with simulated input.
    simulated: Long,
    /// Mean quality, 0 to 1; null when none is known.
    quality_mean: Option<f64>,
    /// The longest cycle, milliseconds; null when no times were kept.
    longest_ms: Option<f64>,
    /// Times of the whole cycle and of the stages; empty when none were kept.
    stages: Vec<StageTime>,
}

/// Times of a stage over one window.
#[derive(SimpleObject)]
struct StageTime {
    /// Its name; `cycle` for all stages together.
    stage: String,
    /// Mean, milliseconds.
    mean_ms: f64,
    /// Median, milliseconds, up to 6 % too high.
    p50_ms: f64,
    /// 99 of 100 cycles took at most this long, milliseconds, up to 6 % too high.
    p99_ms: f64,
}

impl OperationHistoryPoint {
    fn new(point: &Point, times: Option<&Row>) -> Self {
        let sum = &point.row.sum;
        let gate = |k: usize| Long::from(sum[cycles::GATE + k]);
        let code = |code: tapline_witness::body::OutcomeCode| Long::from(sum[cycles::CODE + code as usize]);
        let timed = times.filter(|row| row.sum[stages::CYCLES] > 0);
        Self {
            from: seconds(point.window.start_s),
            to: seconds(point.window.end_s),
            cycles: point.cycles.into(),
            missed: sum[cycles::MISSED].into(),
            accepted: gate(0),
            predict_only: gate(1),
            rejected: gate(2),
            recalibrate: gate(3),
            faults: code(tapline_witness::body::OutcomeCode::StageFault),
            deadlines: code(tapline_witness::body::OutcomeCode::Deadline),
            demoted: sum[cycles::DEMOTED].into(),
            simulated: sum[cycles::SIMULATED].into(),
            quality_mean: share(sum[cycles::QUALITY], sum[cycles::QUALITY_N]).map(|q| q / 65_536.0),
            longest_ms: timed.map(|row| row.peak[stages::LONGEST] as f64 / 1e3),
            stages: timed.map(stage_times).unwrap_or_default(),
        }
    }
}

fn stage_times(row: &Row) -> Vec<StageTime> {
    let names = std::iter::once("cycle").chain(STAGE_NAMES.iter().copied()).take(10);
    let milliseconds = |us: u64| us as f64 / 1e3;
    names
        .enumerate()
        .map(|(stage, name)| {
            let from = (stage as u32) << 16;
            let counts = row
                .map
                .range(from..from + (1 << 16))
                .map(|(bucket, count)| (bucket - from, *count))
                .collect();
            StageTime {
                stage: name.to_owned(),
                mean_ms: row.sum[stages::MICROS + stage] as f64 / row.sum[stages::CYCLES] as f64 / 1e3,
                p50_ms: quantile(&counts, 0.5).map_or(0.0, milliseconds),
                p99_ms: quantile(&counts, 0.99).map_or(0.0, milliseconds),
            }
        })
        .collect()
}

/// Whether somebody is in a place.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum OccupancyState {
    /// Not known.
    Unknown,
    /// Nobody.
    Empty,
    /// Somebody.
    Occupied,
}

impl From<Occupancy> for OccupancyState {
    fn from(occupancy: Occupancy) -> Self {
        match occupancy {
            Occupancy::Unknown => Self::Unknown,
            Occupancy::Empty => Self::Empty,
            Occupancy::Occupied => Self::Occupied,
        }
    }
}

/// The occupancy of a place changed.
#[derive(SimpleObject)]
pub(crate) struct OccupancyChange {
    /// When; not known since the last cycle before nobody looked for ten seconds.
    at: Timestamp,
    /// The cycle that says so.
    cycle: Long,
    /// Id of the site, room or zone.
    area: ID,
    /// From then on.
    state: OccupancyState,
}

/// When somebody was last in a place.
#[derive(SimpleObject)]
pub(crate) struct LastOccupied {
    /// When the last one left, or was last seen before the server stopped for a while; while somebody is there, when they came.
    at: Timestamp,
    /// True while somebody is there.
    now: bool,
}

/// Time spent in the cells of a room.
#[derive(SimpleObject)]
pub(crate) struct HeatMap {
    /// The longest of the windows that were added up.
    level: HistoryLevel,
    /// Edge of a cell, metres.
    cell_m: f64,
    /// Cells in which somebody was.
    cells: Vec<HeatCell>,
}

/// A cell of a heat map.
#[derive(SimpleObject)]
struct HeatCell {
    /// West edge, metres.
    x: f64,
    /// South edge, metres.
    y: f64,
    /// Seconds that people spent in it, added up over people.
    seconds: f64,
}

/// People who went from one place to another.
#[derive(SimpleObject)]
pub(crate) struct Flow {
    /// Id of the room or zone they left.
    from: ID,
    /// Id of the room or zone they went to.
    to: ID,
    /// How often that happened.
    people: Long,
}

/// A person over a time.
#[derive(SimpleObject)]
pub(crate) struct PersonSeen {
    /// The person, as in `tracks`; whoever has the same id after the tracker began anew is counted in.
    person: ID,
    /// Seconds they were tracked.
    seen_s: f64,
    /// Of which with measurements.
    active_s: f64,
    /// Way they went, metres.
    way_m: f64,
    /// Mean position x, metres; null without one.
    mean_x: Option<f64>,
    /// Mean position y, metres; null without one.
    mean_y: Option<f64>,
}

impl From<&(u64, Row)> for PersonSeen {
    fn from((id, row): &(u64, Row)) -> Self {
        let sum = &row.sum;
        let metres = |millimetres: f64| (millimetres - person::ORIGIN_MM as f64) / 1e3;
        let mean = |axis: usize| share(sum[axis], sum[person::POSITIONS]).map(metres);
        Self {
            person: id.to_string().into(),
            seen_s: slots(sum[person::CYCLES]),
            active_s: slots(sum[person::ACTIVE]),
            way_m: sum[person::WAY_MM] as f64 / 1e3,
            mean_x: mean(person::X_MM),
            mean_y: mean(person::Y_MM),
        }
    }
}

fn slots(cycles: u64) -> f64 {
    cycles as f64 * SLOT_S
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn seconds(s: i64) -> Timestamp {
    Timestamp {
        wall_ns: s.saturating_mul(1_000_000_000),
    }
}

/// Whole seconds of a stretch of time; the end rounded up.
fn range(from: Timestamp, to: Option<Timestamp>) -> Result<(i64, i64), Failure> {
    let from_s = from.wall_ns.div_euclid(1_000_000_000);
    let to_s = to.map_or(i64::MAX / 1_000_000_000, |t| -(-t.wall_ns).div_euclid(1_000_000_000));
    if to_s <= from_s {
        return Err(invalid("to", "a time before `from`", "a later one".to_owned()));
    }
    Ok((from_s, to_s))
}

/// The site's calendar.
fn calendar(api: &Api) -> Calendar {
    Calendar::of(&api.hub.facts.site.timezone).unwrap_or_default()
}

/// What so many points cost: a tenth of a list that is drawn from the cycles themselves, and no less than a short one.
fn windows(points: i32) -> usize {
    usize::try_from(points).unwrap_or(0).div_ceil(10).max(50)
}

async fn read(
    ctx: &Context<'_>,
    series: Series,
    from: Timestamp,
    to: Option<Timestamp>,
    level: Option<HistoryLevel>,
    points: i32,
) -> Result<(Points, String), Failure> {
    let most = query::MAX_POINTS;
    let wanted = u32::try_from(points)
        .ok()
        .filter(|n| (1..=most).contains(n))
        .ok_or_else(|| invalid("points", points, format!("1 to {most}")))?;
    let range = range(from, to)?;
    let calendar = calendar(api(ctx));
    let zone = calendar.name().to_owned();
    let points = api(ctx)
        .read_store(move |db| {
            let level = match level {
                Some(level) => level.into(),
                None => {
                    // Without an end the question ends where the seconds do.
                    let known_to_s = query::extent(db, Level::Second)?.to_s;
                    query::finest(db, range.0, range.1.min(known_to_s.max(range.0)), wanted)?
                }
            };
            query::points(db, &calendar, &series, level, range, wanted)
        })
        .await?;
    Ok((points, zone))
}

/// The series of the site, a room or a zone; a zone's does not leave under Restricted.
fn area_series(api: &Api, area: Option<&ID>) -> Result<Series, Failure> {
    let site = &api.hub.facts.site;
    let Some(id) = area.map(|id| id.as_str()).filter(|id| *id != site.id) else {
        return Ok(Series::new(Kind::Area, "site"));
    };
    if site.room(id).is_some() {
        return Ok(Series::new(Kind::Area, format!("room:{id}")));
    }
    if site.zones.iter().any(|z| z.id == id) {
        let bar = access::Bar::of(api);
        if !bar.lets_out(Leaves::Zones) {
            return Err(Failure::privacy("the history of a zone".to_owned(), bar.class));
        }
        return Ok(Series::new(Kind::Area, format!("zone:{id}")));
    }
    Err(unknown_area(api, id))
}

fn unknown_area(api: &Api, found: &str) -> Failure {
    let site = &api.hub.facts.site;
    let rooms = site.rooms.iter().map(|r| r.id.as_str());
    let zones = site.zones.iter().map(|z| z.id.as_str());
    let known: Vec<_> = std::iter::once(site.id.as_str()).chain(rooms).chain(zones).collect();
    invalid("area", found.escape_default(), known.join(", "))
}

/// `room:living` as a client knows it: `living`; the site by its own id.
fn shown_name(api: &Api, key: &str) -> ID {
    match key.split_once(':') {
        Some((_, id)) => id.into(),
        None => api.hub.facts.site.id.as_str().into(),
    }
}

fn parse_cursor(text: &str) -> Result<query::Before, Failure> {
    let mut parts = text.split('.');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let parsed = (|| Some((next()?, next()?.cast_unsigned(), next()?)))();
    parsed.ok_or_else(|| invalid("after", text.escape_default(), "a cursor of an earlier page".to_owned()))
}
