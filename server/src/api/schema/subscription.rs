//! What is sent as it happens.

use std::sync::Arc;

use async_graphql::{Context, ID, Subscription};
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tapline_dsp::presence_coverage::inside;
use tapline_witness::outcome::AreaPresence;
use tokio::sync::broadcast::error::RecvError;

use super::{
    api,
    cycle::{CycleUpdate, OccupancyUpdate, PoseFrame, Snapshot},
    now,
    past::{Checkpoint, WorldUpdate},
    query::invalid,
    skips, world_class,
};
use crate::{
    api::{
        Api,
        access::{self, Leaves::Anyway, Rule, Scope::*, rule},
        error::Failure,
        history::{self, StoredCheckpoint},
        resume::{Mark, Replay},
    },
    config::Site,
};

/// Who may follow, and what the messages give away.
pub(in crate::api) const RULES: &[Rule] = &[rule(
    "Subscription",
    Subscribe,
    Anyway,
    "cycles occupancy poses witness world",
)];

/// One message a cycle.
#[derive(Default)]
pub(crate) struct CoreSubscription;

#[Subscription]
impl CoreSubscription {
    /// People and occupancy: one message a cycle, exactly 20 a second when nothing is left out.
    async fn poses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the site; a server senses one.")] site: Option<ID>,
        #[graphql(desc = "Only this room: its presence, count and zones, and the people inside its outline.")]
        room: Option<ID>,
        #[graphql(desc = "Only cycles of at least this quality, 0 to 1; an unknown quality is below any.")]
        min_quality: Option<f64>,
        #[graphql(desc = "At most so many messages a second, 0.1 to 20.")] max_rate_hz: Option<f64>,
    ) -> async_graphql::Result<impl Stream<Item = PoseFrame>> {
        let configured = &api(ctx).hub.facts.site;
        if let Some(found) = site.filter(|id| id.as_str() != configured.id) {
            return Err(invalid("site", found.as_str(), configured.id.clone()).into());
        }
        let room = room.map(|id| Filter::room(configured, id.as_str())).transpose()?;
        if let Some(found) = min_quality.filter(|q| !(0.0..=1.0).contains(q)) {
            return Err(invalid("minQuality", found, "0 to 1".to_owned()).into());
        }
        if let Some(found) = max_rate_hz.filter(|r| !(0.1..=20.0).contains(r)) {
            return Err(invalid("maxRateHz", found, "0.1 to 20".to_owned()).into());
        }
        // Slots, not seconds: the same cycles for everybody who asks the same.
        let every_ticks = max_rate_hz.map_or(1, |rate| (20.0 / rate).ceil() as u64);
        let mut next_tick = 0;
        let wanted = move |snapshot: &Snapshot| {
            let outcome = &snapshot.cycle.outcome;
            let good = min_quality.is_none_or(|least| outcome.quality.score.is_some_and(|q| f64::from(q) >= least));
            let due = outcome.tick >= next_tick;
            if good && due {
                next_tick = outcome.tick + every_ticks;
            }
            good && due
        };
        let frames = kept(snapshots(ctx), wanted);
        Ok(frames.map(move |snapshot| match &room {
            Some(room) => room.apply(snapshot).into(),
            None => snapshot.into(),
        }))
    }

    /// Occupancy: at once, and from then on whenever the state or count of the site, a room or a zone changes.
    async fn occupancy(&self, ctx: &Context<'_>) -> impl Stream<Item = OccupancyUpdate> {
        let mut before = None;
        let changed = move |snapshot: &Snapshot| {
            let o = &snapshot.cycle.outcome;
            let area = |place, a: &AreaPresence| (place, a.presence.state as u8, a.people);
            let rooms: Vec<_> = o.rooms.iter().map(|a| area(snapshot.room(a.area), a)).collect();
            let zones: Vec<_> = o.zones.iter().map(|a| area(snapshot.zone(a.area), a)).collect();
            let state = Some((o.presence.state as u8, o.people, rooms, zones));
            let changed = before != state;
            before = state;
            changed
        };
        // Who goes on has been told before.
        let now = stream::iter(now(ctx).filter(|_| ctx.data_opt::<Arc<Replay>>().is_none()));
        let now = marked(ctx, now);
        kept(now.chain(snapshots(ctx)), changed).map(OccupancyUpdate::from)
    }

    /// The WorldGraph: all of it at once, then what changed, as commits make it durable (about once a second); without what
    /// the privacy class in force does not let out.
    async fn world(&self, ctx: &Context<'_>) -> impl Stream<Item = async_graphql::Result<WorldUpdate>> + use<> {
        let api = Arc::clone(ctx.data_unchecked::<Arc<Api>>());
        let durable = api.hub.durable();
        stream::unfold(Some((api, durable, None::<history::World>)), |state| async move {
            let (api, mut durable, before) = state?;
            loop {
                if before.is_some() && durable.changed().await.is_err() {
                    return None;
                }
                durable.borrow_and_update();
                let rooms = api.hub.facts.site.rooms.len();
                let now = match api.read(|history| history.world(None)).await {
                    Ok(world) => world_class::visible(world, access::Bar::of(&api), rooms),
                    Err(failure) => return Some((Err(failure.into()), None)),
                };
                if let Some(update) = WorldUpdate::between(before.as_ref(), &now) {
                    return Some((Ok(update), Some((api, durable, Some(now)))));
                }
            }
        })
    }

    /// Checkpoints of the witness log: the newest at once, then each as it is published. What one covers is durable.
    async fn witness(&self, ctx: &Context<'_>) -> impl Stream<Item = Checkpoint> {
        let durable = api(ctx).hub.durable();
        let checkpoints = stream::unfold((durable, true), |(mut durable, first)| async move {
            if !first && durable.changed().await.is_err() {
                return None;
            }
            let now = durable.borrow_and_update().clone();
            Some((now, (durable, false)))
        });
        checkpoints
            .filter(|durable| std::future::ready(durable.size > 0))
            .map(|durable| {
                Checkpoint::from(StoredCheckpoint {
                    size: durable.size,
                    note: durable.note,
                })
            })
    }

    /// Whole cycles with their evidence: one message a cycle, exactly 20 a second.
    async fn cycles(&self, ctx: &Context<'_>) -> impl Stream<Item = CycleUpdate> {
        snapshots(ctx).map(CycleUpdate::from)
    }
}

/// Snapshots that pass; what was skipped before one that does not is counted into the next that does.
pub(super) fn kept(
    snapshots: impl Stream<Item = Snapshot>,
    mut passes: impl FnMut(&Snapshot) -> bool,
) -> impl Stream<Item = Snapshot> {
    let mut skipped = 0;
    snapshots.filter_map(move |mut snapshot| {
        skipped += snapshot.skipped;
        // What became of the wish to go on has to arrive, whatever is wanted otherwise.
        let passed = (passes(&snapshot) | snapshot.resumed.is_some()).then(|| {
            snapshot.skipped = std::mem::take(&mut skipped);
            snapshot
        });
        std::future::ready(passed)
    })
}

/// One room out of a site.
struct Filter {
    room: u16,
    zones: Vec<u16>,
    outline_m: Vec<[f32; 2]>,
}

impl Filter {
    fn room(site: &Site, id: &str) -> Result<Self, Failure> {
        let Some(room) = site.rooms.iter().position(|r| r.id == id) else {
            let known: Vec<_> = site.rooms.iter().map(|r| r.id.as_str()).collect();
            return Err(invalid("room", id, known.join(", ")));
        };
        let zones = site.zones.iter().enumerate().filter(|(_, z)| z.room == id);
        Ok(Self {
            room: room as u16,
            zones: zones.map(|(i, _)| i as u16).collect(),
            outline_m: site.rooms[room].outline_m.clone(),
        })
    }

    fn apply(&self, mut snapshot: Snapshot) -> Snapshot {
        let mut cycle = (*snapshot.cycle).clone();
        let outcome = &mut cycle.outcome;
        outcome.rooms.retain(|a| snapshot.room(a.area) == Some(self.room));
        let zone = |index| snapshot.zone(index).is_some_and(|place| self.zones.contains(&place));
        outcome.zones.retain(|a| zone(a.area));
        outcome.tracks.retain(|person| match person.position_m {
            [Some(x), Some(y), _] => inside(&self.outline_m, [x, y]),
            _ => false,
        });
        if let Some(room) = outcome.rooms.first() {
            (outcome.presence, outcome.people) = (room.presence, room.people);
        }
        snapshot.cycle = Arc::new(cycle);
        snapshot
    }
}

/// Every cycle from now on, or those that a client missed; what could not be kept up with is counted into the next one.
pub(super) fn snapshots(ctx: &Context<'_>) -> BoxStream<'static, Snapshot> {
    let cycles = match ctx.data_opt::<Arc<Replay>>() {
        Some(replay) => replay.take(),
        None => live(ctx).boxed(),
    };
    marked(ctx, cycles).boxed()
}

/// The same, and whoever writes the messages knows which cycle each is about.
fn marked<S: Stream<Item = Snapshot>>(ctx: &Context<'_>, cycles: S) -> impl Stream<Item = Snapshot> + use<S> {
    let shared = ctx.data_opt::<Arc<skips::Shared>>().cloned();
    cycles.inspect(move |snapshot| {
        if let Some(shared) = &shared {
            shared.set_mark(Mark {
                boot_id: snapshot.boot_id,
                cycle: snapshot.cycle.cycle,
            });
        }
    })
}

/// Every cycle from now on.
fn live(ctx: &Context<'_>) -> impl Stream<Item = Snapshot> + use<> {
    let hub = &api(ctx).hub;
    let boot_id = hub.facts.boot_id;
    let shared = ctx.data_opt::<Arc<skips::Shared>>().cloned();
    let state = (hub.subscribe(), hub.durable());
    stream::unfold(state, move |(mut cycles, durable)| {
        let shared = shared.clone();
        async move {
            let mut skipped = 0;
            let cycle = loop {
                match cycles.recv().await {
                    Ok(cycle) => break cycle,
                    Err(RecvError::Lagged(n)) => skipped += n,
                    Err(RecvError::Closed) => return None,
                }
            };
            if let Some(shared) = shared {
                shared.add(skipped);
            }
            let snapshot = Snapshot {
                durable: cycle.cycle < durable.borrow().size,
                cycle,
                boot_id,
                live: true,
                then: None,
                skipped,
                resumed: None,
            };
            Some((snapshot, (cycles, durable)))
        }
    })
}
