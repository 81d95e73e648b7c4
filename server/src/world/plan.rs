//! What the site's plan says about places: who sees which area, and where a point lies.

use tapline_dsp::presence_coverage::{SHARE_MIN, channel_khz, fresnel_share, inside, wavelength_m};

use crate::config::{PrivacyMode, Site, Zone};

/// A link that sees an area, with the paths that measure it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// The room; none is the site, for a link that sees no room.
    pub room: Option<u16>,
    /// Indices of its paths, ascending.
    pub paths: Vec<u16>,
}

/// The plan of a site, as the graph needs it in every cycle. It follows from the configuration and is no state.
#[derive(Clone, Debug)]
pub struct Plan {
    rooms: Vec<Vec<[f32; 2]>>,
    zones: Vec<Vec<[f32; 2]>>,
    sightings: Vec<Sighting>,
    mode: PrivacyMode,
    ratio_threshold: f32,
}

impl Plan {
    /// The plan of a site whose front stages take motion above `ratio_threshold` quiet levels for somebody's.
    pub fn of(site: &Site, ratio_threshold: f32) -> Self {
        Self {
            rooms: site.rooms.iter().map(|room| room.outline_m.clone()).collect(),
            zones: outlines(&site.zones),
            sightings: sightings(site),
            mode: site.privacy.mode,
            ratio_threshold,
        }
    }

    /// Takes what an order changes of a site: the outlines of zones and the privacy mode. Which link sees what stays.
    pub fn edit(&mut self, site: &Site) {
        self.zones = outlines(&site.zones);
        self.mode = site.privacy.mode;
    }

    /// Number of rooms: areas of an outcome are the rooms, then the zones.
    pub(super) fn rooms(&self) -> u16 {
        self.rooms.len() as u16
    }

    /// The first room around a point.
    pub(super) fn room_at(&self, at_m: [f32; 2]) -> Option<u16> {
        position(&self.rooms, at_m)
    }

    /// The first zone around a point.
    pub(super) fn zone_at(&self, at_m: [f32; 2]) -> Option<u16> {
        position(&self.zones, at_m)
    }

    /// Which links see what, ascending.
    pub(super) fn sightings(&self) -> &[Sighting] {
        &self.sightings
    }

    /// What the site lets out before any demotion.
    pub(super) fn mode(&self) -> PrivacyMode {
        self.mode
    }

    /// Another mode.
    #[cfg(test)]
    pub(super) fn set_mode(&mut self, mode: PrivacyMode) {
        self.mode = mode;
    }

    /// Motion over the quiet level from which on a link speaks of somebody.
    pub(super) fn ratio_threshold(&self) -> f32 {
        self.ratio_threshold
    }
}

fn outlines(zones: &[Zone]) -> Vec<Vec<[f32; 2]>> {
    zones.iter().map(|zone| zone.outline_m.clone()).collect()
}

fn position(outlines: &[Vec<[f32; 2]>], at_m: [f32; 2]) -> Option<u16> {
    outlines
        .iter()
        .position(|outline| inside(outline, at_m))
        .map(|i| i as u16)
}

/// By the rule of the front stages: the first Fresnel zone of a path has a share of its own in the room.
fn sightings(site: &Site) -> Vec<Sighting> {
    let mut all: Vec<Sighting> = Vec::new();
    let mut add = |tx: u16, rx: u16, room: Option<u16>, path: usize| {
        // Paths are sorted: those of one link follow each other.
        let near = all.iter_mut().rev().take(site.rooms.len() + 1);
        let known = near.into_iter().find(|s| (s.tx, s.rx, s.room) == (tx, rx, room));
        match known {
            Some(sighting) => sighting.paths.push(path as u16),
            None => all.push(Sighting {
                tx,
                rx,
                room,
                paths: vec![path as u16],
            }),
        }
    };
    for (index, path) in site.paths.iter().enumerate() {
        let ends = [path.tx, path.rx].map(|id| site.node(id).map(|n| [n.position_m[0], n.position_m[1]]));
        let [Some(a), Some(b)] = ends else { continue };
        let wavelength = wavelength_m(channel_khz(path.channel));
        let mut sees_none = true;
        for (room, r) in site.rooms.iter().enumerate() {
            if fresnel_share(a, b, wavelength, &r.outline_m) >= SHARE_MIN {
                sees_none = false;
                add(path.tx, path.rx, Some(room as u16), index);
            }
        }
        if sees_none {
            add(path.tx, path.rx, None, index);
        }
    }
    all.sort_unstable_by_key(|s| (s.tx, s.rx, s.room));
    all
}
