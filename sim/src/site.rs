//! The room as a server's configuration describes it.

use serde::Serialize;

use crate::scene::{Chip, Format, Role, Scene};

/// What a fleet configuration needs: the same rooms, zones, doors, nodes and links that are simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteGeometry {
    /// The scene's name.
    pub id: String,
    /// The scene's title.
    pub name: String,
    /// Rooms.
    pub rooms: Vec<SiteRoom>,
    /// Zones.
    pub zones: Vec<SiteZone>,
    /// Doors.
    pub doors: Vec<SiteDoor>,
    /// Radios.
    pub nodes: Vec<SiteNode>,
    /// Every pair of a node that transmits and one that listens.
    pub links: Vec<SiteLink>,
    /// PHY tier of all frames, as the configuration writes it.
    pub tier: &'static str,
    /// Wi-Fi channel number; `None` when the carrier is not on one.
    pub channel: Option<u16>,
    /// Carrier, MHz.
    pub centre_mhz: f64,
    /// Datagrams name their transmitter (TLF1) or not (ADR-018).
    pub names_transmitter: bool,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteRoom {
    /// Identifier.
    pub id: String,
    /// Corners `[x, y]`, metres, anticlockwise.
    pub outline_m: [[f64; 2]; 4],
    /// Floor to ceiling, metres.
    pub height_m: f64,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteZone {
    /// Identifier.
    pub id: String,
    /// Its room.
    pub room: String,
    /// Corners `[x, y]`, metres, anticlockwise.
    pub outline_m: [[f64; 2]; 4],
}

/// A door.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteDoor {
    /// Identifier.
    pub id: String,
    /// Its room.
    pub room: String,
    /// Middle of the opening, metres.
    pub at_m: [f64; 2],
    /// Width, metres.
    pub width_m: f64,
}

/// A radio.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteNode {
    /// The number in its datagrams.
    pub id: u16,
    /// `[x, y, z]`, metres.
    pub position_m: [f64; 3],
    /// Places of its antennas from there, metres on the floor plane; empty for a single one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub antennas_m: Vec<[f64; 2]>,
    /// `sensor` (reports, and may transmit) or `transmitter` (is never heard by UDP).
    pub role: &'static str,
    /// Chip, as the configuration writes it.
    pub chip: &'static str,
    /// The node it hears, when its frames do not say (ADR-018).
    pub transmitter: Option<u16>,
    /// Always true.
    pub simulated: bool,
}

/// A link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SiteLink {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// Its antennas.
    pub rx_antennas: usize,
}

impl SiteGeometry {
    pub(crate) fn new(scene: &Scene) -> Self {
        let outline = |[a, b]: [f64; 2], [c, d]: [f64; 2]| [[a, b], [c, b], [c, d], [a, d]];
        let without = |role| scene.node.iter().filter(move |n| n.role != role);
        let names_transmitter = scene.radio.format == Format::Tlf1;
        let transmitter = without(Role::Receiver)
            .map(|n| n.id)
            .next()
            .filter(|_| !names_transmitter);
        Self {
            id: scene.name.clone(),
            name: scene.title.clone(),
            rooms: scene
                .room
                .iter()
                .map(|r| SiteRoom {
                    id: r.id.clone(),
                    outline_m: outline([r.min.x, r.min.y], [r.max.x, r.max.y]),
                    height_m: r.max.z - r.min.z,
                })
                .collect(),
            zones: scene
                .zone
                .iter()
                .map(|z| SiteZone {
                    id: z.id.clone(),
                    room: z.room.clone(),
                    outline_m: outline(z.min, z.max),
                })
                .collect(),
            doors: scene
                .door
                .iter()
                .map(|d| SiteDoor {
                    id: d.id.clone(),
                    room: d.room.clone(),
                    at_m: d.at,
                    width_m: d.width_m,
                })
                .collect(),
            nodes: scene
                .node
                .iter()
                .map(|n| SiteNode {
                    id: n.id,
                    position_m: n.at.into(),
                    antennas_m: n.antennas_m.clone(),
                    role: if n.role == Role::Transmitter {
                        "transmitter"
                    } else {
                        "sensor"
                    },
                    chip: n.chip.name(),
                    transmitter: transmitter.filter(|t| *t != n.id),
                    simulated: true,
                })
                .collect(),
            links: without(Role::Receiver)
                .flat_map(|tx| {
                    without(Role::Transmitter).map(move |rx| SiteLink {
                        tx: tx.id,
                        rx: rx.id,
                        rx_antennas: rx.antennas(),
                    })
                })
                .filter(|link| link.tx != link.rx)
                .collect(),
            tier: scene.radio.tier.name(),
            channel: channel(scene.radio.centre_mhz),
            centre_mhz: scene.radio.centre_mhz,
            names_transmitter,
        }
    }
}

impl SiteGeometry {
    /// The `[[site]]` part of a fleet configuration.
    pub fn to_fleet_toml(&self) -> String {
        let text = |s: &str| toml::Value::from(s).to_string();
        let mut out = format!("[[site]]\nid = {}\nname = {}\n", text(&self.id), text(&self.name));
        let mut part = |kind: &str, lines: &[(&str, String)]| {
            out += &format!("\n[[site.{kind}]]\n");
            for (key, value) in lines {
                out += &format!("{key} = {value}\n");
            }
        };
        for room in &self.rooms {
            let (outline, height) = (format!("{:?}", room.outline_m), format!("{:?}", room.height_m));
            part(
                "room",
                &[("id", text(&room.id)), ("outline_m", outline), ("height_m", height)],
            );
        }
        for zone in &self.zones {
            let outline = format!("{:?}", zone.outline_m);
            part(
                "zone",
                &[
                    ("id", text(&zone.id)),
                    ("room", text(&zone.room)),
                    ("outline_m", outline),
                ],
            );
        }
        for door in &self.doors {
            let (at, width) = (format!("{:?}", door.at_m), format!("{:?}", door.width_m));
            part(
                "door",
                &[
                    ("id", text(&door.id)),
                    ("room", text(&door.room)),
                    ("at_m", at),
                    ("width_m", width),
                ],
            );
        }
        for node in &self.nodes {
            let mut lines = vec![
                ("id", node.id.to_string()),
                ("position_m", format!("{:?}", node.position_m)),
                ("role", text(node.role)),
                ("chip", text(node.chip)),
                ("simulated", node.simulated.to_string()),
            ];
            if !node.antennas_m.is_empty() {
                lines.push(("antennas_m", format!("{:?}", node.antennas_m)));
            }
            lines.extend(node.transmitter.map(|t| ("transmitter", t.to_string())));
            part("node", &lines);
        }
        for link in &self.links {
            let mut lines = vec![
                ("tx", link.tx.to_string()),
                ("rx", link.rx.to_string()),
                ("tier", text(self.tier)),
            ];
            if link.rx_antennas > 1 {
                lines.push(("rx_antennas", link.rx_antennas.to_string()));
            }
            lines.extend(self.channel.map(|c| ("channels", format!("[{c}]"))));
            part("link", &lines);
        }
        out
    }
}

impl Chip {
    /// The name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esp32 => "esp32",
            Self::Esp32s3 => "esp32s3",
            Self::Esp32c3 => "esp32c3",
            Self::Esp32c5 => "esp32c5",
            Self::Esp32c6 => "esp32c6",
        }
    }
}

/// IEEE 802.11 channel number whose centre a carrier is (802.11-2020 annex E): 2.4 GHz `(f - 2407) / 5`,
/// 5 GHz `(f - 5000) / 5`, 6 GHz `(f - 5950) / 5`.
fn channel(mhz: f64) -> Option<u16> {
    let number = if (2412.0..=2472.0).contains(&mhz) {
        (mhz - 2407.0) / 5.0
    } else if (5150.0..=5895.0).contains(&mhz) {
        (mhz - 5000.0) / 5.0
    } else if (5955.0..=7115.0).contains(&mhz) {
        (mhz - 5950.0) / 5.0
    } else {
        return None;
    };
    (number.floor() == number).then_some(number as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_the_scene_as_configuration() {
        let site = SiteGeometry::new(&Scene::builtin("demo").unwrap());
        assert_eq!((site.nodes.len(), site.links.len(), site.channel), (4, 12, Some(6)));
        let table: toml::Table = site.to_fleet_toml().parse().unwrap();
        let written = &table["site"][0];
        assert_eq!(written["id"].as_str(), Some("demo"));
        assert_eq!(written["link"].as_array().map(Vec::len), Some(12));
        assert_eq!(written["room"][0]["outline_m"][2][0].as_float(), Some(6.0));
        assert!(
            written["node"]
                .as_array()
                .unwrap()
                .iter()
                .all(|n| n["simulated"].as_bool() == Some(true))
        );
    }

    #[test]
    fn arrays_are_written_with_their_links_and_single_antennas_without_a_word() {
        let mut scene = Scene::builtin("two-crossing-arrays").unwrap();
        scene.node[0].antennas_m = vec![[0.0, -0.03], [0.0, 0.03]];
        scene.node[1].antennas_m.clear();
        let table: toml::Table = SiteGeometry::new(&scene).to_fleet_toml().parse().unwrap();
        let (nodes, links) = (&table["site"][0]["node"], &table["site"][0]["link"]);
        assert_eq!(nodes[0]["antennas_m"].to_string(), "[[0.0, -0.03], [0.0, 0.03]]");
        assert!(nodes[1].get("antennas_m").is_none());
        let mut written = [None; 5];
        for link in links.as_array().unwrap() {
            let rx = link["rx"].as_integer().unwrap();
            written[rx as usize] = link.get("rx_antennas").and_then(toml::Value::as_integer);
        }
        assert_eq!(written, [None, Some(2), None, Some(4), Some(4)]);
    }

    #[test]
    fn channels_are_those_of_802_11() {
        let numbers = [2412.0, 2437.0, 2438.0, 5180.0, 5210.0].map(channel);
        assert_eq!(numbers, [Some(1), Some(6), None, Some(36), Some(42)]);
    }
}
