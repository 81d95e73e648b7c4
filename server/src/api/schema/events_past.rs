//! What changed in the past: what the subscription `events` tells, found in the stored cycles.

use std::sync::Arc;

use async_graphql::{
    Context, MergedObject, Object, SimpleObject,
    connection::{Connection, Edge, EmptyFields},
};
use rusqlite::{OptionalExtension as _, params};

use super::{
    api,
    cycle::{Snapshot, Stamp},
    events::{EventKind, Happened, Happening, between},
    past,
    query::newest_first,
    scalars::{Long, Timestamp},
};
use crate::api::{
    access::{Bar, Leaves::Anyway, Rule, Scope::Read, rule},
    error::Failure,
    history::CyclePage,
};

/// Who may ask, and what the answers give away. Events that the class in force does not let out are left out as a whole, in
/// [`Happened`] as in the search: a cycle in which nothing else changed is not named.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "events"),
    rule(
        "PastEventsConnection",
        Read,
        Anyway,
        "edges nodes pageInfo searchedCycles searchOn",
    ),
    rule("PastEventsEdge", Read, Anyway, "cursor node"),
    rule(
        "PastEvents",
        Read,
        Anyway,
        "events ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness",
    ),
];

/// Cycles with events of one page at most.
const PAGE: i32 = 100;
/// Cycles that one question looks through at most: ten minutes.
const SEARCH: u64 = 12_000;
/// What looking through them costs, beside what is found: to compare a cycle takes a tenth of answering a field of it.
const SEARCHED: usize = SEARCH as usize / 10;
/// Cycles read at once.
const CHUNK: usize = 500;

/// What changed with one cycle of the past.
#[derive(MergedObject)]
pub(crate) struct PastEvents(Stamp, Happened);

impl PastEvents {
    fn new(snapshot: Snapshot, events: Vec<Happening>) -> Self {
        Self(Stamp(Arc::new(snapshot)), Happened(events))
    }
}

/// How far a page was searched.
#[derive(SimpleObject)]
pub(crate) struct Searched {
    /// Cycles that were looked through for this page.
    searched_cycles: Long,
    /// Cursor to give as `after` to search on where this page ended, also when it is empty: one question looks through at most
    /// ten minutes of cycles. Null when there is nothing older.
    search_on: Option<String>,
}

type Page = Connection<u64, PastEvents, Searched, EmptyFields>;

/// Events of the past.
#[derive(Default)]
pub(crate) struct PastEventsQuery;

/// Events of the past.
#[Object]
impl PastEventsQuery {
    /// What changed, newest first: one entry for each stored cycle in which anything did, as the subscription `events` tells it.
    /// Cycles are kept as long as `site.retention.outcomeHours`; the cursor is the cycle's number. Where the clock was set back,
    /// times are held against the order of the cycles.
    #[graphql(complexity = "usize::try_from(first).unwrap_or(0) * child_complexity + SEARCHED")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Not before this time.")] from: Option<Timestamp>,
        #[graphql(desc = "Before this time.")] to: Option<Timestamp>,
        #[graphql(desc = "Only changes of these kinds; without it all.")] kinds: Option<Vec<EventKind>>,
        #[graphql(desc = "Older than this cursor.")] after: Option<String>,
        #[graphql(desc = "So many cycles with changes, 1 to 100.", default = 20)] first: i32,
    ) -> async_graphql::Result<Page> {
        let (after, first) = newest_first(after.as_deref(), first, PAGE)?;
        let mut newest = after.map_or(Some(u64::MAX), |cycle| cycle.checked_sub(1));
        if let Some(to) = to {
            newest = newest.min(newest_before(ctx, to).await?);
        }
        let search = Search {
            from_ns: from.map(|at| at.wall_ns),
            kinds,
            first: first as usize,
        };
        let mut page = match newest {
            Some(newest) => search.run(ctx, newest).await?,
            None => nothing(),
        };
        page.has_previous_page = after.is_some();
        Ok(page)
    }
}

fn nothing() -> Page {
    let searched = Searched {
        searched_cycles: Long::from(0_u64),
        search_on: None,
    };
    Connection::with_additional_fields(false, false, searched)
}

/// The newest cycle before this time; none when there is none.
async fn newest_before(ctx: &Context<'_>, to: Timestamp) -> Result<Option<u64>, Failure> {
    let read = api(ctx).read_store(move |db| {
        let sql = "SELECT seq FROM cycle WHERE wall_ns < ?1 ORDER BY wall_ns DESC, seq DESC LIMIT 1";
        let mut statement = db.prepare_cached(sql)?;
        let found = statement.query_row(params![to.wall_ns], |row| row.get::<_, i64>(0));
        Ok(found.optional()?.map(i64::cast_unsigned))
    });
    read.await
}

/// What is looked for.
struct Search {
    from_ns: Option<i64>,
    kinds: Option<Vec<EventKind>>,
    first: usize,
}

impl Search {
    /// Looks from this cycle on, back in time.
    async fn run(&self, ctx: &Context<'_>, newest: u64) -> Result<Page, Failure> {
        let (site, bar) = (&api(ctx).hub.facts.site, Bar::of(api(ctx)));
        let mut page = nothing();
        let (mut last, mut looked) = (newest, 0_u64);
        // A change shows in the later of two cycles: it waits for the one before it.
        let mut later: Option<Snapshot> = None;
        loop {
            let chunk = CyclePage {
                first: 0,
                last,
                newest_first: true,
                limit: CHUNK,
            };
            let found = past::cycles(api(ctx), chunk).await?;
            let whole = found.len() == CHUNK;
            for before in found {
                last = before.cycle.cycle.saturating_sub(1);
                let Some(after) = later.replace(before.clone()) else {
                    continue;
                };
                if self.from_ns.is_some_and(|from_ns| after.cycle.wall_ns < from_ns) {
                    page.additional_fields.searched_cycles = looked.into();
                    return Ok(page);
                }
                looked += 1;
                let mut events = between(site, &before, &after);
                events.retain(|h| bar.lets_out(h.leaves) && self.wants(h.kind()));
                let cycle = after.cycle.cycle;
                if !events.is_empty() {
                    page.edges.push(Edge::new(cycle, PastEvents::new(after, events)));
                }
                if page.edges.len() == self.first || looked == SEARCH {
                    page.has_next_page = true;
                    page.additional_fields.searched_cycles = looked.into();
                    page.additional_fields.search_on = Some(cycle.to_string());
                    return Ok(page);
                }
            }
            if !whole || last == 0 {
                page.additional_fields.searched_cycles = looked.into();
                return Ok(page);
            }
        }
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}
