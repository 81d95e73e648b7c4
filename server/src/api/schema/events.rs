//! What changed from one cycle to the next: for home automation, alarms, diaries.

use async_graphql::{Context, Enum, ID, MergedObject, Object, SimpleObject, Subscription};
use futures_util::{Stream, StreamExt};
use std::sync::Arc;

use tapline_witness::outcome::Presence;

use super::{
    api,
    cycle::{AreaState, GateDecision, PrivacyClass, Skips, Snapshot, Stamp, WhyCode},
    scalars::Long,
    subscription::snapshots,
};
use crate::{
    api::{
        access::{self, Leaves, Leaves::*, Rule, Scope::*, rule},
        resume::Replay,
    },
    config::Site,
    live::Cycle,
};

/// Who may follow, and what the messages give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Subscription", Subscribe, Anyway, "events"),
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

/// What changed with one cycle.
#[derive(MergedObject)]
pub(crate) struct EventUpdate(Skips, Stamp, Happened);

impl EventUpdate {
    fn new(snapshot: Snapshot, events: Vec<Happening>) -> Self {
        let snapshot = Arc::new(snapshot);
        Self(Skips(Arc::clone(&snapshot)), Stamp(snapshot), Happened(events))
    }
}

pub(super) struct Happened(pub(super) Vec<Happening>);

#[Object]
impl Happened {
    /// What changed, in the order of its kinds; without what the privacy class in force does not let out.
    async fn events(&self, ctx: &Context<'_>) -> Vec<Event> {
        let bar = access::Bar::of(api(ctx));
        let shown = self.0.iter().filter(|h| bar.lets_out(h.leaves));
        shown
            .map(|h| {
                let name = |(id, seen): &(u64, Arc<Cycle>)| api(ctx).aliases.of(bar, &seen.outcome, *id);
                Event {
                    person: h.person.as_ref().map(|p| name(p).to_string().into()),
                    ..h.event.clone()
                }
            })
            .collect()
    }
}

/// An event and what it gives away.
pub(super) struct Happening {
    pub(super) leaves: Leaves,
    /// All but the person, whose name depends on what may leave when it is told.
    event: Event,
    /// Whom it is about, as a cycle has it that saw them.
    person: Option<(u64, Arc<Cycle>)>,
}

impl Happening {
    pub(super) fn kind(&self) -> EventKind {
        self.event.kind
    }
}

/// What kind of change.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub(super) enum EventKind {
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
pub(super) fn between(site: &Site, before: &Snapshot, after: &Snapshot) -> Vec<Happening> {
    let (b, a) = (&before.cycle.outcome, &after.cycle.outcome);
    let mut found = Vec::new();
    let happening = |leaves, event| Happening {
        leaves,
        event,
        person: None,
    };
    let mut anyway = |event| found.push(happening(Anyway, event));
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
    // Each cycle numbers areas by its own configuration; what is in only one of them, or not in that of now, is no change.
    let was = b.rooms.iter().map(|r| (before.room(r.area), r.presence));
    let is = a.rooms.iter().map(|r| (after.room(r.area), r.presence));
    let room = |i: usize| site.rooms.get(i).map(|r| r.id.as_str());
    for event in areas(AreaKind::Room, was, is, room) {
        anyway(event);
    }
    let was = b.zones.iter().map(|z| (before.zone(z.area), z.presence));
    let is = a.zones.iter().map(|z| (after.zone(z.area), z.presence));
    let zone = |i: usize| site.zones.get(i).map(|z| z.id.as_str());
    let zones = areas(AreaKind::Zone, was, is, zone);
    found.extend(zones.map(|event| happening(Zones, event)));
    let ids = |o: &tapline_witness::outcome::Outcome| o.tracks.iter().map(|p| p.id).collect::<Vec<_>>();
    let (were, are) = (ids(b), ids(a));
    let mut people = |kind, from: &[u64], missing_in: &[u64], seen: &Arc<Cycle>| {
        for id in from.iter().filter(|id| !missing_in.contains(id)) {
            found.push(Happening {
                person: Some((*id, Arc::clone(seen))),
                ..happening(People, event(kind))
            });
        }
    };
    people(EventKind::PersonAppeared, &are, &were, &after.cycle);
    people(EventKind::PersonGone, &were, &are, &before.cycle);
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

/// Areas of both cycles whose state is another. Areas by their index in the list of now.
fn areas<'a>(
    kind: AreaKind,
    before: impl Iterator<Item = (Option<u16>, Presence)> + Clone,
    after: impl Iterator<Item = (Option<u16>, Presence)>,
    name: impl Fn(usize) -> Option<&'a str>,
) -> impl Iterator<Item = Event> {
    after.filter_map(move |(place, is)| {
        let index = place?;
        let (_, was) = before.clone().find(|(b, was)| *b == place && was.state != is.state)?;
        Some(presence(name(usize::from(index))?, kind, was, is))
    })
}
