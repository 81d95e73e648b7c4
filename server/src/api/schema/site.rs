//! The site as configured, with what is known of each area now.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{
    api,
    array::{self, RoomGeometry, SiteArray},
    cycle::{Presence, PrivacyMode},
    scalars::decimal,
};
use crate::api::access::{Leaves::*, Rule, Scope::Read, rule};
use crate::config;

/// What the fields give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Point", Read, Anyway, "x y"),
    rule(
        "Site",
        Read,
        Anyway,
        "array doors id name presence privacyMode retention rooms zones",
    ),
    rule(
        "Retention",
        Read,
        Anyway,
        "leafHours outcomeHours rawInputKept rawMinutes",
    ),
    rule(
        "Room",
        Read,
        Anyway,
        "doors geometry heightM id name outline people presence zones",
    ),
    rule("Room", Read, Zones, "why"),
    rule("Zone", Read, Anyway, "id name outline room"),
    rule("Zone", Read, Zones, "people presence why"),
    rule("Door", Read, Anyway, "at id room widthM"),
];

/// A point on the floor.
#[derive(SimpleObject)]
pub(crate) struct Point {
    /// Metres.
    pub(crate) x: f64,
    /// Metres.
    pub(crate) y: f64,
}

impl From<[f32; 2]> for Point {
    fn from([x, y]: [f32; 2]) -> Self {
        Self {
            x: decimal(x),
            y: decimal(y),
        }
    }
}

/// The site this server senses.
pub(crate) struct Site;

/// The site this server senses.
#[Object]
impl Site {
    /// Short name in the fleet file.
    async fn id(&self, ctx: &Context<'_>) -> ID {
        configured(ctx).id.as_str().into()
    }

    /// Name for people.
    async fn name<'c>(&self, ctx: &Context<'c>) -> &'c str {
        &configured(ctx).name
    }

    /// Rooms, in the fleet file's order.
    async fn rooms(&self, ctx: &Context<'_>) -> Vec<Room> {
        (0..configured(ctx).rooms.len()).map(Room).collect()
    }

    /// Zones, in the fleet file's order.
    async fn zones(&self, ctx: &Context<'_>) -> Vec<Zone> {
        (0..configured(ctx).zones.len()).map(Zone).collect()
    }

    /// Doors, in the fleet file's order.
    async fn doors(&self, ctx: &Context<'_>) -> Vec<Door> {
        configured(ctx).doors.iter().map(Door::from).collect()
    }

    /// Presence at the site as a whole; null before the first cycle.
    async fn presence(&self, ctx: &Context<'_>) -> Option<Presence> {
        Some(api(ctx).hub.latest()?.outcome.presence.into())
    }

    /// Privacy mode in force: the fleet file's, or what `setPrivacyMode` made it.
    async fn privacy_mode(&self, ctx: &Context<'_>) -> Option<PrivacyMode> {
        PrivacyMode::from_code(api(ctx).hub.configured().site.privacy.mode.code())
    }

    /// The radios as an array: how they hang together, and whether the quiet room is still the calibrated one.
    async fn array(&self, ctx: &Context<'_>) -> async_graphql::Result<SiteArray> {
        array::site_array(ctx).await
    }

    /// How long what is kept.
    async fn retention(&self, ctx: &Context<'_>) -> Retention {
        let r = &configured(ctx).retention;
        Retention {
            raw_input_kept: r.raw == config::RawStore::Disk,
            raw_minutes: r.raw_minutes,
            outcome_hours: r.outcome_hours,
            leaf_hours: r.leaf_hours,
        }
    }
}

fn configured<'c>(ctx: &Context<'c>) -> &'c config::Site {
    &api(ctx).hub.facts.site
}

/// How long what is kept.
#[derive(SimpleObject)]
struct Retention {
    /// True when raw input is kept at all.
    raw_input_kept: bool,
    /// Raw input is kept this long, minutes.
    raw_minutes: u32,
    /// What cycles published is kept this long, hours.
    outcome_hours: u32,
    /// Leaves are kept this long once they are rolled up, hours.
    leaf_hours: u32,
}

/// A room of the site.
pub(crate) struct Room(pub(crate) usize);

/// A room of the site.
#[Object]
impl Room {
    /// Short name in the fleet file.
    async fn id(&self, ctx: &Context<'_>) -> ID {
        self.room(ctx).id.as_str().into()
    }

    /// Name for people.
    async fn name<'c>(&self, ctx: &Context<'c>) -> &'c str {
        or_id(&self.room(ctx).name, &self.room(ctx).id)
    }

    /// Corners, counter-clockwise, metres.
    async fn outline(&self, ctx: &Context<'_>) -> Vec<Point> {
        self.room(ctx).outline_m.iter().copied().map(Point::from).collect()
    }

    /// Floor to ceiling, metres.
    async fn height_m(&self, ctx: &Context<'_>) -> f64 {
        decimal(self.room(ctx).height_m)
    }

    /// Zones in it.
    async fn zones(&self, ctx: &Context<'_>) -> Vec<Zone> {
        let zones = configured(ctx).zones.iter().enumerate();
        zones
            .filter(|(_, z)| z.room == self.room(ctx).id)
            .map(|(i, _)| Zone(i))
            .collect()
    }

    /// Its doors.
    async fn doors(&self, ctx: &Context<'_>) -> Vec<Door> {
        let doors = configured(ctx).doors.iter();
        doors.filter(|d| d.room == self.room(ctx).id).map(Door::from).collect()
    }

    /// What the places of the radios can tell of people's places in it; null when it has no inside, and when the site is too
    /// large to judge that (`site.array.leftOut`).
    async fn geometry(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<RoomGeometry>> {
        array::room_geometry(ctx, self.0).await
    }

    /// Presence in it in the newest cycle; null when nothing was said about it.
    async fn presence(&self, ctx: &Context<'_>) -> Option<Presence> {
        let cycle = api(ctx).hub.latest()?;
        let mut areas = cycle.outcome.rooms.iter();
        areas.find(|a| usize::from(a.area) == self.0).map(|a| a.presence.into())
    }

    /// People in it in the newest cycle; null when they cannot be counted.
    async fn people(&self, ctx: &Context<'_>) -> Option<u16> {
        let cycle = api(ctx).hub.latest()?;
        cycle
            .outcome
            .rooms
            .iter()
            .find(|a| usize::from(a.area) == self.0)?
            .people
    }

    /// Why its state is what it is: evidence, thresholds, since when; one statement a line. Empty when the privacy class
    /// lets out rooms only: the lines name links.
    async fn why(&self, ctx: &Context<'_>) -> Vec<String> {
        why(ctx, &self.room(ctx).id)
    }
}

impl Room {
    fn room<'c>(&self, ctx: &Context<'c>) -> &'c config::Room {
        &configured(ctx).rooms[self.0]
    }
}

/// A zone within a room.
pub(crate) struct Zone(pub(crate) usize);

/// A zone within a room.
#[Object]
impl Zone {
    /// Short name in the fleet file.
    async fn id(&self, ctx: &Context<'_>) -> ID {
        self.zone(ctx).id.as_str().into()
    }

    /// Name for people.
    async fn name<'c>(&self, ctx: &Context<'c>) -> &'c str {
        or_id(&self.zone(ctx).name, &self.zone(ctx).id)
    }

    /// Id of the room it lies in.
    async fn room(&self, ctx: &Context<'_>) -> ID {
        self.zone(ctx).room.as_str().into()
    }

    /// Corners, counter-clockwise, metres.
    async fn outline(&self, ctx: &Context<'_>) -> Vec<Point> {
        let site = &api(ctx).hub.configured().site;
        let zone = site.zones.get(self.0).unwrap_or_else(|| self.zone(ctx));
        zone.outline_m.iter().copied().map(Point::from).collect()
    }

    /// Presence in it in the newest cycle; null when nothing was said about it, as when the privacy class
    /// lets out rooms only.
    async fn presence(&self, ctx: &Context<'_>) -> Option<Presence> {
        let cycle = api(ctx).hub.latest()?;
        let mut areas = cycle.outcome.zones.iter();
        areas.find(|a| usize::from(a.area) == self.0).map(|a| a.presence.into())
    }

    /// People in it in the newest cycle; null when they cannot be counted.
    async fn people(&self, ctx: &Context<'_>) -> Option<u16> {
        let cycle = api(ctx).hub.latest()?;
        cycle
            .outcome
            .zones
            .iter()
            .find(|a| usize::from(a.area) == self.0)?
            .people
    }

    /// Why its state is what it is; empty when the privacy class lets out rooms only.
    async fn why(&self, ctx: &Context<'_>) -> Vec<String> {
        let shown = api(ctx)
            .hub
            .latest()
            .is_some_and(|c| c.outcome.zones.iter().any(|a| usize::from(a.area) == self.0));
        if shown {
            why(ctx, &self.zone(ctx).id)
        } else {
            Vec::new()
        }
    }
}

impl Zone {
    fn zone<'c>(&self, ctx: &Context<'c>) -> &'c config::Zone {
        &configured(ctx).zones[self.0]
    }
}

/// The decision trace of an area.
pub(crate) fn why(ctx: &Context<'_>, area: &str) -> Vec<String> {
    api(ctx).hub.diagnostics().why.get(area).cloned().unwrap_or_default()
}

fn or_id<'c>(name: &'c str, id: &'c str) -> &'c str {
    if name.is_empty() { id } else { name }
}

/// A door of a room.
#[derive(SimpleObject)]
pub(crate) struct Door {
    /// Short name in the fleet file.
    id: ID,
    /// Id of the room it opens.
    room: ID,
    /// Middle of the opening, metres.
    at: Point,
    /// Width, metres.
    width_m: f64,
}

impl From<&config::Door> for Door {
    fn from(d: &config::Door) -> Self {
        Self {
            id: d.id.as_str().into(),
            room: d.room.as_str().into(),
            at: d.at_m.into(),
            width_m: decimal(d.width_m),
        }
    }
}
