//! Questions.

use async_graphql::{
    Context, Object, OutputType,
    connection::{self, Connection, Edge, EmptyFields},
};

use super::{
    api,
    calibrations::Calibration,
    cycle::CycleObject,
    link::Link,
    now,
    past::{self, Checkpoint, Leaf, TrackPoint, World},
    person::PEOPLE,
    scalars::{Long, hex},
    site::Site,
    status::{DecisionTrace, Document, Node, Plugin, Server, UnknownSender},
    world_class,
};
use crate::api::{
    Api,
    access::{self, Leaves::*, Rule, Scope::*, rule},
    error::Failure,
    history::CyclePage,
};

/// Who may ask, and what the answers give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Query",
        Read,
        Anyway,
        "server site nodes unknownSenders links plugins manifest config calibration why cycle cycles leaf checkpoint world",
    ),
    rule("Query", Read, People, "tracks"),
    rule("CycleConnection", Read, Anyway, "edges nodes pageInfo"),
    rule("CycleEdge", Read, Anyway, "cursor node"),
    rule(
        "PageInfo",
        Read,
        Anyway,
        "endCursor hasNextPage hasPreviousPage startCursor",
    ),
];

/// Cycles of one page at most.
const PAGE: usize = 500;
/// Cycles `tracks` reads at most: one minute.
const TRACK_CYCLES: u64 = 1_200;

/// Questions about now and the past.
#[derive(Default)]
pub(crate) struct CoreQuery;

#[Object]
impl CoreQuery {
    /// This server process.
    async fn server(&self) -> Server {
        Server
    }

    /// The site this server senses.
    async fn site(&self) -> Site {
        Site
    }

    /// Configured radios, ascending id.
    async fn nodes(&self, ctx: &Context<'_>) -> Vec<Node> {
        nodes(api(ctx))
    }

    /// Senders that are not configured, with the configuration lines that would admit each.
    async fn unknown_senders(&self, ctx: &Context<'_>) -> Vec<UnknownSender> {
        let diagnostics = api(ctx).hub.diagnostics();
        diagnostics.unknown.iter().map(UnknownSender::from).collect()
    }

    /// Link paths, ascending.
    async fn links(&self, ctx: &Context<'_>) -> Vec<Link> {
        (0..api(ctx).hub.facts.site.paths.len())
            .map(|path| Link { path })
            .collect()
    }

    /// Plugins, active and failed.
    async fn plugins(&self, ctx: &Context<'_>) -> Vec<Plugin> {
        let diagnostics = api(ctx).hub.diagnostics();
        diagnostics.plugins.iter().map(Plugin::from).collect()
    }

    /// The plugin manifest that is bound into every cycle from now on; a swap or a recovery replaces it.
    async fn manifest(&self, ctx: &Context<'_>) -> Document {
        let manifest = api(ctx).hub.manifest();
        Document {
            hash: hex(&manifest.hash),
            text: manifest.text.clone(),
        }
    }

    /// The part of the configuration that is bound into every cycle; it holds no keys, addresses or paths.
    async fn config(&self, ctx: &Context<'_>) -> Document {
        let configured = api(ctx).hub.configured();
        Document {
            hash: hex(&configured.hash),
            text: configured.text.clone(),
        }
    }

    /// The empty-room calibration.
    async fn calibration(&self, ctx: &Context<'_>) -> Calibration {
        Calibration {
            now: api(ctx).hub.diagnostics().calibration.clone(),
        }
    }

    /// Why the state of each room and of the site is what it is.
    async fn why(&self, ctx: &Context<'_>) -> Vec<DecisionTrace> {
        let api = api(ctx);
        let zones_shown = api.hub.latest().is_some_and(|c| !c.outcome.zones.is_empty());
        let zones = &api.hub.facts.site.zones;
        let diagnostics = api.hub.diagnostics();
        let areas = diagnostics.why.iter();
        areas
            .filter(|(area, _)| zones_shown || !zones.iter().any(|z| z.id == **area))
            .map(|(area, lines)| DecisionTrace {
                area: area.clone(),
                lines: lines.clone(),
            })
            .collect()
    }

    /// One cycle: the newest, or the one with this number. Null when there is none, or when retention has
    /// taken it.
    async fn cycle(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the cycle; without it the newest.")] number: Option<Long>,
    ) -> async_graphql::Result<Option<CycleObject>> {
        let Some(number) = number else {
            return Ok(now(ctx).map(CycleObject::from));
        };
        let number = natural("number", number)?;
        if let Some(latest) = now(ctx).filter(|s| s.cycle.cycle == number) {
            return Ok(Some(latest.into()));
        }
        let page = CyclePage {
            first: number,
            last: number,
            newest_first: false,
            limit: 1,
        };
        Ok(past::cycles(api(ctx), page).await?.pop().map(CycleObject::from))
    }

    /// Past cycles, ascending, page by page: `first`/`after` from the oldest, `last`/`before` from the
    /// newest. Without arguments: the newest 20. At most 500 a page. The cursor is the cycle number, so a page
    /// stays what it is while new cycles arrive.
    #[graphql(complexity = "page_size(first, last) * child_complexity + 1")]
    async fn cycles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only cycles after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only cycles before this cursor.")] before: Option<String>,
        #[graphql(desc = "The oldest so many of them.")] first: Option<i32>,
        #[graphql(desc = "The newest so many of them.")] last: Option<i32>,
    ) -> async_graphql::Result<Connection<u64, CycleObject>> {
        for (what, size) in [("first", first), ("last", last)] {
            if let Some(found) = size.filter(|n| !(0..=PAGE as i32).contains(n)) {
                return Err(invalid(what, found, format!("0 to {PAGE}")).into());
            }
        }
        connection::query(after, before, first, last, |after, before, first, last| async move {
            page(ctx, after, before, first, last).await
        })
        .await
    }

    /// Where people were: one entry a person and cycle, ascending. Without a range: the newest cycle. At most
    /// 1,200 cycles (one minute) a question.
    #[graphql(complexity = "cycles_asked(from_cycle, to_cycle) * PEOPLE * child_complexity + 1")]
    async fn tracks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Lowest cycle number, inclusive.")] from_cycle: Option<Long>,
        #[graphql(desc = "Highest cycle number, inclusive.")] to_cycle: Option<Long>,
        #[graphql(desc = "Only this person.")] person: Option<async_graphql::ID>,
    ) -> async_graphql::Result<Vec<TrackPoint>> {
        let person = person.as_ref().map(|id| id.as_str());
        let Some(from) = from_cycle else {
            if to_cycle.is_some() {
                return Err(invalid(
                    "fromCycle",
                    "nothing",
                    "a cycle number, when toCycle is given".to_owned(),
                )
                .into());
            }
            let latest: Vec<_> = now(ctx).into_iter().collect();
            return Ok(TrackPoint::all(api(ctx), &latest, person));
        };
        let from = natural("fromCycle", from)?;
        let to = match to_cycle {
            Some(to) => natural("toCycle", to)?,
            None => from.saturating_add(TRACK_CYCLES - 1),
        };
        if to < from || to - from >= TRACK_CYCLES {
            let allowed = format!("{from} to {}", from.saturating_add(TRACK_CYCLES - 1));
            return Err(invalid("toCycle", to, allowed).into());
        }
        let page = CyclePage {
            first: from,
            last: to,
            newest_first: false,
            limit: TRACK_CYCLES as usize,
        };
        Ok(TrackPoint::all(api(ctx), &past::cycles(api(ctx), page).await?, person))
    }

    /// The WorldGraph after the newest stored cycle, or after the one with this number, as far as it is kept; without what
    /// the privacy class in force does not let out.
    #[graphql(complexity = "50 * child_complexity")]
    async fn world(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the cycle; without it the newest.")] at_cycle: Option<Long>,
    ) -> async_graphql::Result<World> {
        let at = at_cycle.map(|n| natural("atCycle", n)).transpose()?;
        let api = api(ctx);
        let world = api.read(move |history| history.world(at)).await?;
        let rooms = api.hub.facts.site.rooms.len();
        Ok(world_class::visible(world, access::Bar::of(api), rooms).into())
    }

    /// A leaf of the witness log; null when there is none of this number, or when retention has taken it.
    async fn leaf(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the leaf.")] seq: Long,
    ) -> async_graphql::Result<Option<Leaf>> {
        let seq = natural("seq", seq)?;
        let durable = api(ctx).hub.durable().borrow().size;
        let stored = api(ctx).read(move |history| history.leaf(seq)).await?;
        Ok(stored.map(|leaf| Leaf::new(seq, &leaf, durable)).transpose()?)
    }

    /// A published checkpoint of the witness log: the newest, or the one of this size. Null when there is none.
    async fn checkpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Leaves it covers; without it the newest.")] size: Option<Long>,
    ) -> async_graphql::Result<Option<Checkpoint>> {
        let size = size.map(|n| natural("size", n)).transpose()?;
        let stored = api(ctx).read(move |history| history.checkpoint(size)).await?;
        Ok(stored.map(Checkpoint::from))
    }
}

/// Configured radios with what is known of them.
pub(super) fn nodes(api: &Api) -> Vec<Node> {
    let diagnostics = api.hub.diagnostics();
    let nodes = api.hub.facts.site.nodes.iter();
    nodes
        .map(|n| Node {
            configured: n.clone(),
            status: diagnostics.nodes.iter().find(|s| s.node == n.id).cloned(),
        })
        .collect()
}

/// Cycles that `tracks` reads for these arguments; of wrong ones it will read none.
fn cycles_asked(from: Option<Long>, to: Option<Long>) -> usize {
    let Some(from) = from else { return 1 };
    let most = TRACK_CYCLES as i64;
    let asked = to.map_or(most, |to| to.0.saturating_sub(from.0).saturating_add(1));
    asked.clamp(0, most) as usize
}

fn page_size(first: Option<i32>, last: Option<i32>) -> usize {
    usize::try_from(first.or(last).unwrap_or(20)).unwrap_or(0)
}

async fn page(
    ctx: &Context<'_>,
    after: Option<u64>,
    before: Option<u64>,
    first: Option<usize>,
    last: Option<usize>,
) -> Result<Connection<u64, CycleObject, EmptyFields, EmptyFields>, async_graphql::Error> {
    let size = first.or(last).unwrap_or(20);
    let newest_first = first.is_none();
    let mut connection = Connection::new(false, false);
    let low = after.map_or(Some(0), |c| c.checked_add(1));
    let high = before.map_or(Some(u64::MAX), |c| c.checked_sub(1));
    let (Some(low), Some(high)) = (low, high) else {
        return Ok(connection);
    };
    if low > high {
        return Ok(connection);
    }
    let page = CyclePage {
        first: low,
        last: high,
        newest_first,
        limit: size + 1,
    };
    let mut found = past::cycles(api(ctx), page).await?;
    let more = found.len() > size;
    found.truncate(size);
    if newest_first {
        found.reverse();
        connection.has_previous_page = more;
        connection.has_next_page = before.is_some();
    } else {
        connection.has_next_page = more;
        connection.has_previous_page = after.is_some();
    }
    connection.edges.extend(
        found
            .into_iter()
            .map(|s| Edge::new(s.cycle.cycle, CycleObject::from(s))),
    );
    Ok(connection)
}

/// An argument that may not be negative.
fn natural(what: &'static str, found: Long) -> Result<u64, Failure> {
    found
        .unsigned()
        .ok_or_else(|| invalid(what, found.0, "a whole number from 0".to_owned()))
}

/// Arguments of a connection that goes from the newest back: the cursor to go on below, and how many.
pub(super) fn newest_first(after: Option<&str>, first: i32, most: i32) -> Result<(Option<u64>, u32), Failure> {
    if !(1..=most).contains(&first) {
        return Err(invalid("first", first, format!("1 to {most}")));
    }
    let parse = |text: &str| {
        let wrong = || invalid("after", text.escape_default(), "a cursor of an earlier page".to_owned());
        text.parse().map_err(|_| wrong())
    };
    Ok((after.map(parse).transpose()?, first.unsigned_abs()))
}

/// A page of them, of which one more than `first` was read where there are more; `entry` gives cursor and node.
pub(super) fn page_back<L, T: OutputType>(
    mut found: Vec<L>,
    (before, first): (Option<u64>, u32),
    entry: impl Fn(L) -> (u64, T),
) -> Connection<u64, T, EmptyFields, EmptyFields> {
    let more = found.len() > first as usize;
    found.truncate(first as usize);
    let mut connection = Connection::new(before.is_some(), more);
    let edges = found
        .into_iter()
        .map(entry)
        .map(|(cursor, node)| Edge::new(cursor, node));
    connection.edges.extend(edges);
    connection
}

pub(crate) fn invalid(what: &'static str, found: impl ToString, expected: String) -> Failure {
    Failure::Invalid {
        what,
        found: found.to_string(),
        expected,
    }
}
