//! The room as a server's configuration describes it.

use serde::Serialize;

use crate::scene::{Chip, Scene};

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
    /// Every ordered pair of nodes.
    pub links: Vec<SiteLink>,
    /// PHY tier of all frames, as the configuration writes it.
    pub tier: &'static str,
    /// Wi-Fi channel number; `None` when the carrier is not on one.
    pub channel: Option<u16>,
    /// Carrier, MHz.
    pub centre_mhz: f64,
    /// Datagrams name their transmitter (TLF1), or leave it to the time slot (ADR-018).
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
    /// Chip, as the configuration writes it.
    pub chip: &'static str,
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
}

impl SiteGeometry {
    pub(crate) fn new(scene: &Scene) -> Self {
        let outline = |[a, b]: [f64; 2], [c, d]: [f64; 2]| [[a, b], [c, b], [c, d], [a, d]];
        let ids = || scene.node.iter().map(|n| n.id);
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
                    chip: n.chip.name(),
                    simulated: true,
                })
                .collect(),
            links: ids()
                .flat_map(|tx| ids().filter(move |rx| *rx != tx).map(move |rx| SiteLink { tx, rx }))
                .collect(),
            tier: scene.radio.tier.name(),
            channel: channel(scene.radio.centre_mhz),
            centre_mhz: scene.radio.centre_mhz,
            names_transmitter: scene.radio.format == crate::scene::Format::Tlf1,
        }
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

/// IEEE 802.11 channel number of a carrier: 2.4 GHz 1 to 13 every 5 MHz from 2412, 5 GHz `(f - 5000) / 5`.
fn channel(mhz: f64) -> Option<u16> {
    let number = if (2412.0..=2472.0).contains(&mhz) {
        (mhz - 2407.0) / 5.0
    } else if (5150.0..=5895.0).contains(&mhz) {
        (mhz - 5000.0) / 5.0
    } else {
        return None;
    };
    (number.floor() == number).then_some(number as u16)
}
