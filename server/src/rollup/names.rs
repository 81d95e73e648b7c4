//! Rooms, zones and links as the witnessed configuration of a cycle names them.

use std::collections::BTreeMap;

use serde::Deserialize;
use tapline_dsp::presence_coverage::inside;

use super::row::{Kind, Series};

/// Edge of a cell of the heat map, metres, whatever the image's own pitch: the map must outlive a change of that.
const CELL_M: f32 = 0.25;
/// Makes the number of every cell within 8 km positive.
const CELL_ORIGIN: i32 = 1 << 15;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    room: Vec<RoomRow>,
    zone: Vec<ZoneRow>,
    path: Vec<PathRow>,
}

#[derive(Deserialize)]
struct RoomRow {
    id: String,
    outline_m: Vec<[f32; 2]>,
}

#[derive(Deserialize)]
struct ZoneRow {
    id: String,
    outline_m: Vec<[f32; 2]>,
}

#[derive(Deserialize)]
struct PathRow {
    tx: u16,
    rx: u16,
}

/// The series of a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    rooms: Vec<(Series, Vec<[f32; 2]>)>,
    zones: Vec<(Series, Vec<[f32; 2]>)>,
    links: Vec<Series>,
    heat: Vec<Series>,
}

impl Names {
    /// The names in a witnessed configuration's text. What cannot be read has none: its areas are then named by
    /// their index.
    pub fn of(text: &str) -> Self {
        let document: Document = toml::from_str(text).unwrap_or_default();
        let area = |kind: &str, id: &str| Series::new(Kind::Area, format!("{kind}:{id}"));
        Self {
            heat: document
                .room
                .iter()
                .map(|r| Series::new(Kind::Heat, format!("room:{}", r.id)))
                .collect(),
            rooms: document
                .room
                .into_iter()
                .map(|r| (area("room", &r.id), r.outline_m))
                .collect(),
            zones: document
                .zone
                .into_iter()
                .map(|z| (area("zone", &z.id), z.outline_m))
                .collect(),
            links: document
                .path
                .into_iter()
                .map(|p| Series::new(Kind::Link, format!("{}-{}", p.tx, p.rx)))
                .collect(),
        }
    }

    /// The series of a room.
    pub(super) fn room(&self, index: u16) -> Series {
        let named = self.rooms.get(usize::from(index)).map(|(series, _)| series.clone());
        named.unwrap_or_else(|| Series::new(Kind::Area, format!("room:#{index}")))
    }

    /// The series of a zone.
    pub(super) fn zone(&self, index: u16) -> Series {
        let named = self.zones.get(usize::from(index)).map(|(series, _)| series.clone());
        named.unwrap_or_else(|| Series::new(Kind::Area, format!("zone:#{index}")))
    }

    /// The series of the link a path belongs to.
    pub(super) fn link(&self, path: u16) -> Series {
        let named = self.links.get(usize::from(path)).cloned();
        named.unwrap_or_else(|| Series::new(Kind::Link, format!("path:#{path}")))
    }

    /// The finest place a point lies in: `zone:ID`, else `room:ID`; none outside of every room.
    pub(super) fn place(&self, at_m: [f32; 2]) -> Option<&str> {
        let in_one =
            |places: &'_ [(Series, Vec<[f32; 2]>)]| places.iter().position(|(_, outline)| inside(outline, at_m));
        let zone = in_one(&self.zones).map(|i| self.zones[i].0.key.as_str());
        zone.or_else(|| in_one(&self.rooms).map(|i| self.rooms[i].0.key.as_str()))
    }

    /// The heat series of the room a point lies in; the site's own outside of every room.
    pub(super) fn heat(&self, at_m: [f32; 2]) -> Series {
        let room = self.rooms.iter().position(|(_, outline)| inside(outline, at_m));
        room.map_or_else(|| Series::new(Kind::Heat, "site"), |i| self.heat[i].clone())
    }

    /// Every area by name, for whoever lists them.
    pub fn areas(&self) -> BTreeMap<&str, &[[f32; 2]]> {
        let all = self.rooms.iter().chain(&self.zones);
        all.map(|(series, outline)| (series.key.as_str(), outline.as_slice()))
            .collect()
    }
}

/// The cell of the heat map a point lies in: `y << 16 | x`, each counted from 8192 m south-west of the origin.
pub fn cell_at(at_m: [f32; 2]) -> u32 {
    // Dividing by a power of two is exact.
    let index = |m: f32| {
        ((m / CELL_M).floor() as i32)
            .saturating_add(CELL_ORIGIN)
            .clamp(0, 0xffff) as u32
    };
    index(at_m[1]) << 16 | index(at_m[0])
}

/// South-west corner of a cell, metres; its edges are 0.25 m.
pub fn cell_corner_m(cell: u32) -> [f32; 2] {
    let corner = |index: u32| (index as i32 - CELL_ORIGIN) as f32 * CELL_M;
    [corner(cell & 0xffff), corner(cell >> 16)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witnessed_configuration_names_its_places() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.example.toml");
        let fleet = crate::config::Fleet::load(&path).unwrap();
        let names = Names::of(&crate::config::witnessed::document(&fleet.select(None, "").unwrap()));
        assert_eq!(names.room(0).key, "room:room");
        assert_eq!(names.zone(0).key, "zone:desk");
        assert_eq!(names.link(1).key, "100-2");
        assert_eq!(names.zone(7).key, "zone:#7");
        assert_eq!(names.place([1.0, 3.0]), Some("zone:desk"));
        assert_eq!(names.place([3.0, 1.0]), Some("room:room"));
        assert_eq!(names.place([-3.0, 1.0]), None);
        assert_eq!(
            (names.heat([3.0, 1.0]).key.as_str(), names.heat([9.0, 1.0]).key.as_str()),
            ("room:room", "site")
        );
    }

    #[test]
    fn a_cell_has_its_corner_and_lies_within_its_numbers() {
        for at in [[0.0, 0.0], [1.3, -7.9], [-0.01, 0.26], [8_000.0, -8_000.0]] {
            let corner = cell_corner_m(cell_at(at));
            for axis in 0..2 {
                assert!(
                    corner[axis] <= at[axis] && at[axis] < corner[axis] + CELL_M,
                    "{at:?} {corner:?}"
                );
            }
        }
        assert_eq!(cell_at([f32::MAX, f32::MIN]), 0xffff);
    }
}
