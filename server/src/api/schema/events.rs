//! What changed from one cycle to the next: for home automation, alarms, diaries.

use async_graphql::{
    Context, Enum, ID, MergedObject, Object, SimpleObject, Subscription,
    connection::{Connection, Edge, EmptyFields},
};
use futures_util::{Stream, StreamExt};
use std::sync::Arc;

use tapline_witness::outcome::{AreaPresence, Presence};

use super::{
    api,
    cycle::{AreaState, GateDecision, PrivacyClass, Skips, Snapshot, Stamp, WhyCode},
    now, past,
    query::{invalid, natural, newest_first},
    scalars::Long,
    subscription::snapshots,
};
use crate::{
    api::{
        access::{self, Leaves, Leaves::*, Rule, Scope::*, rule},
        history::CyclePage,
        resume::Replay,
    },
    config::Site,
};

/// Who may follow, and what the messages give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Subscription", Subscribe, Anyway, "events"),
    rule("Query", Read, Anyway, "events"),
    rule("PastEventsConnection", Read, Anyway, "edges nodes pageInfo"),
    rule("PastEventsEdge", Read, Anyway, "cursor node"),
    rule(
        "PastEvents",
        Read,
        Anyway,
        "events ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness",
    ),
    rule(
        "EventUpdate",
        Read,
        Anyway,
        "events resumption skipped ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness",
    ),
    // Events of zones and people are left out of the list as a whole when the class does not let them out.
    rule(
        "Event",
        Read,
        Anyway,
        "area areaKind fromClass fromGate fromState kind missedSlots reason toClass toGate toState",
    ),
    rule("Event", Read, People, "person"),
];

/// Changes as they happen.
#[derive(Default)]
pub(crate) struct EventsSubscription;

#[Subscription]
impl EventsSubscription {
    /// What changed: one message for each cycle in which anything did. Presence of the site, its rooms and zones; people
    /// who come and go; the privacy class; the gate; missed slots; a new process.
    async fn events(&self, ctx: &Context<'_>) -> impl Stream<Item = EventUpdate> + use<> {
        let site = api(ctx).hub.facts.site.clone();
        // Who goes on is told what changed since the last message, not since the first missed cycle.
        let mut before = ctx.data_opt::<Arc<Replay>>().and_then(|replay| replay.before());
        let mut skipped = 0;
        snapshots(ctx).filter_map(move |mut snapshot| {
            let events = before
                .as_ref()
                .map(|b| between(&site, b, &snapshot))
                .unwrap_or_default();
            skipped += snapshot.skipped;
            before = Some(snapshot.clone());
            let told = !events.is_empty() || snapshot.resumed.is_some();
            std::future::ready(told.then(|| {
                snapshot.skipped = std::mem::take(&mut skipped);
                EventUpdate::new(snapshot, events)
            }))
        })
    }
}

/// Cycles that a question looks through at most: ten minutes.
const CYCLES: u64 = 12_000;
/// Cycles read from the store at once.
const READ: usize = 600;
/// Entries of one page at most.
const PAGE: i32 = 500;

/// Changes of the past.
#[derive(Default)]
pub(crate) struct EventsQuery;

#[Object]
impl EventsQuery {
    /// What changed, ascending: one entry for each stored cycle in which anything did, as far back as outcomes are kept.
    /// Without a range: the newest ten minutes. At most 12,000 cycles (ten minutes) a question; of occupancy alone,
    /// `occupancyChanges` knows years.
    #[graphql(complexity = "100 + 20 * child_complexity")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Lowest cycle number, inclusive.")] from_cycle: Option<Long>,
        #[graphql(desc = "Highest cycle number, inclusive.")] to_cycle: Option<Long>,
        #[graphql(desc = "Only what happened after this cursor.")] after: Option<String>,
        #[graphql(desc = "So many, 1 to 500.", default = 100)] first: i32,
    ) -> async_graphql::Result<Connection<u64, PastEvents, EmptyFields, EmptyFields>> {
        let (after, first) = newest_first(after.as_deref(), first, PAGE)?;
        let newest = now(ctx).map_or(0, |s| s.cycle.cycle);
        let to = to_cycle.map_or(Ok(newest), |n| natural("toCycle", n))?;
        let from = match from_cycle {
            Some(from) => natural("fromCycle", from)?,
            None => (to + 1).saturating_sub(CYCLES),
        };
        if to.saturating_sub(from) >= CYCLES {
            let allowed = format!("up to {}", from.saturating_add(CYCLES - 1));
            return Err(invalid("toCycle", to, allowed).into());
        }
        let site = &api(ctx).hub.facts.site;
        // One more cycle in front: what changed with the first is told as well.
        let mut next = after.map_or(from, |a| a.max(from)).saturating_sub(1);
        let mut before: Option<Snapshot> = None;
        let mut connection = Connection::new(after.is_some(), false);
        'pages: while next <= to {
            let page = CyclePage {
                first: next,
                last: to,
                newest_first: false,
                limit: READ,
            };
            let found = past::cycles(ctx, page).await?;
            let whole = found.len() == READ;
            for snapshot in found {
                let cycle = snapshot.cycle.cycle;
                next = cycle + 1;
                let events = before
                    .as_ref()
                    .filter(|_| cycle >= from && after.is_none_or(|a| cycle > a))
                    .map(|b| between(site, b, &snapshot))
                    .unwrap_or_default();
                before = Some(snapshot.clone());
                if events.is_empty() {
                    continue;
                }
                if connection.edges.len() == first as usize {
                    connection.has_next_page = true;
                    break 'pages;
                }
                let entry = PastEvents(Stamp(Arc::new(snapshot)), Happened(events));
                connection.edges.push(Edge::new(cycle, entry));
            }
            if !whole {
                break;
            }
        }
        Ok(connection)
    }
}

/// What changed with one cycle of the past.
#[derive(MergedObject)]
pub(crate) struct PastEvents(Stamp, Happened);

/// What changed with one cycle.
#[derive(MergedObject)]
pub(crate) struct EventUpdate(Skips, Stamp, Happened);

impl EventUpdate {
    fn new(snapshot: Snapshot, events: Vec<Happening>) -> Self {
        let snapshot = Arc::new(snapshot);
        Self(Skips(Arc::clone(&snapshot)), Stamp(snapshot), Happened(events))
    }
}

struct Happened(Vec<Happening>);

#[Object]
impl Happened {
    /// What changed, in the order of its kinds; without what the privacy class in force does not let out.
    async fn events(&self, ctx: &Context<'_>) -> Vec<Event> {
        let bar = access::Bar::of(api(ctx));
        let shown = self.0.iter().filter(|h| bar.lets_out(h.leaves));
        shown.map(|h| h.event.clone()).collect()
    }
}

/// An event and what it gives away.
struct Happening {
    leaves: Leaves,
    event: Event,
}

/// What kind of change.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum EventKind {
    /// The process was started anew between this cycle and the one before.
    Restarted,
    /// Slots passed without a cycle.
    SlotsMissed,
    /// The privacy class changed.
    PrivacyClass,
    /// The decision of the coherence gate changed.
    Gate,
    /// The presence of an area changed.
    Presence,
    /// Somebody is tracked who was not.
    PersonAppeared,
    /// Somebody is no longer tracked.
    PersonGone,
}

/// What an area is.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum AreaKind {
    /// The whole site.
    Site,
    /// A room.
    Room,
    /// A zone of a room.
    Zone,
}

/// One change.
#[derive(Clone, SimpleObject)]
struct Event {
    /// What kind of change; it says which of the other fields are there.
    kind: EventKind,
    /// Id of the site, room or zone; null when the change is not about one.
    area: Option<ID>,
    /// What `area` is; null without one.
    area_kind: Option<AreaKind>,
    /// Presence before; null unless the kind is `PRESENCE`.
    from_state: Option<AreaState>,
    /// Presence now; null unless the kind is `PRESENCE`.
    to_state: Option<AreaState>,
    /// What decided the presence or the gate; null for other kinds.
    reason: Option<WhyCode>,
    /// The person, as in `tracks`; null unless somebody came or went.
    person: Option<ID>,
    /// Privacy class before; null unless the kind is `PRIVACY_CLASS`.
    from_class: Option<PrivacyClass>,
    /// Privacy class now; null unless the kind is `PRIVACY_CLASS`.
    to_class: Option<PrivacyClass>,
    /// The gate's decision before; null unless the kind is `GATE`.
    from_gate: Option<GateDecision>,
    /// The gate's decision now; null unless the kind is `GATE`.
    to_gate: Option<GateDecision>,
    /// 50 ms slots that passed without a cycle; null unless the kind is `SLOTS_MISSED`.
    missed_slots: Option<Long>,
}

fn event(kind: EventKind) -> Event {
    Event {
        kind,
        area: None,
        area_kind: None,
        from_state: None,
        to_state: None,
        reason: None,
        person: None,
        from_class: None,
        to_class: None,
        from_gate: None,
        to_gate: None,
        missed_slots: None,
    }
}

/// Everything that is another thing in `after` than in `before`.
fn between(site: &Site, before: &Snapshot, after: &Snapshot) -> Vec<Happening> {
    let (b, a) = (&before.cycle.outcome, &after.cycle.outcome);
    let mut found = Vec::new();
    let mut anyway = |event| {
        found.push(Happening { leaves: Anyway, event });
    };
    if before.boot_id != after.boot_id {
        anyway(event(EventKind::Restarted));
    } else if a.tick > b.tick + 1 + after.skipped {
        anyway(Event {
            missed_slots: Some((a.tick - b.tick - 1 - after.skipped).into()),
            ..event(EventKind::SlotsMissed)
        });
    }
    if b.privacy_class != a.privacy_class {
        anyway(Event {
            from_class: PrivacyClass::from_code(b.privacy_class),
            to_class: PrivacyClass::from_code(a.privacy_class),
            ..event(EventKind::PrivacyClass)
        });
    }
    if b.gate != a.gate {
        anyway(Event {
            from_gate: Some(b.gate.into()),
            to_gate: Some(a.gate.into()),
            reason: Some(a.gate_reason.into()),
            ..event(EventKind::Gate)
        });
    }
    if b.presence.state != a.presence.state {
        anyway(presence(&site.id, AreaKind::Site, b.presence, a.presence));
    }
    let room = |i: usize| site.rooms.get(i).map(|r| r.id.as_str());
    for event in areas(AreaKind::Room, &b.rooms, &a.rooms, room) {
        anyway(event);
    }
    let zone = |i: usize| site.zones.get(i).map(|z| z.id.as_str());
    let zones = areas(AreaKind::Zone, &b.zones, &a.zones, zone);
    found.extend(zones.map(|event| Happening { leaves: Zones, event }));
    let ids = |o: &tapline_witness::outcome::Outcome| o.tracks.iter().map(|p| p.id).collect::<Vec<_>>();
    let (were, are) = (ids(b), ids(a));
    let mut people = |kind, from: &[u64], missing_in: &[u64]| {
        for id in from.iter().filter(|id| !missing_in.contains(id)) {
            let person = Some(id.to_string().into());
            let event = Event { person, ..event(kind) };
            found.push(Happening { leaves: People, event });
        }
    };
    people(EventKind::PersonAppeared, &are, &were);
    people(EventKind::PersonGone, &were, &are);
    found
}

fn presence(area: &str, kind: AreaKind, before: Presence, after: Presence) -> Event {
    Event {
        area: Some(area.into()),
        area_kind: Some(kind),
        from_state: Some(before.state.into()),
        to_state: Some(after.state.into()),
        reason: Some(after.reason.into()),
        ..event(EventKind::Presence)
    }
}

/// Areas of both cycles whose state is another.
fn areas<'a>(
    kind: AreaKind,
    before: &'a [AreaPresence],
    after: &'a [AreaPresence],
    name: impl Fn(usize) -> Option<&'a str> + 'a,
) -> impl Iterator<Item = Event> + 'a {
    after.iter().filter_map(move |a| {
        let b = before
            .iter()
            .find(|b| b.area == a.area && b.presence.state != a.presence.state)?;
        Some(presence(name(usize::from(a.area))?, kind, b.presence, a.presence))
    })
}
