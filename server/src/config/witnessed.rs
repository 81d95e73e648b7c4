//! The witnessed document: the part of the configuration that decides what a cycle computes.
//!
//! Its text is written once, stored and hashed verbatim. It holds site geometry, links, pipeline,
//! privacy and retention; never keys, tokens, addresses, paths or SSIDs.

use serde::Serialize;

use super::{
    Site,
    fleet::{Door, Node, Pipeline, Privacy, Retention, Room, Zone},
    site::PathKind,
};

#[derive(Serialize)]
struct Document<'s> {
    format: &'static str,
    id: &'s str,
    name: &'s str,
    privacy: &'s Privacy,
    retention: &'s Retention,
    pipeline: &'s Pipeline,
    room: &'s [Room],
    zone: &'s [Zone],
    door: &'s [Door],
    node: &'s [Node],
    path: Vec<PathRow>,
}

#[derive(Serialize)]
struct PathRow {
    tx: u16,
    rx: u16,
    tx_antenna: u8,
    rx_antenna: u8,
    channel: u16,
    tier: &'static str,
}

/// The text that is hashed into every cycle.
pub fn document(site: &Site) -> String {
    let path = site.paths.iter().map(|p| PathRow {
        tx: p.tx,
        rx: p.rx,
        tx_antenna: p.tx_antenna,
        rx_antenna: p.rx_antenna,
        channel: p.channel,
        tier: match p.kind {
            PathKind::Csi(tier) => tier.name(),
            PathKind::Rss => "RSS",
        },
    });
    let document = Document {
        format: "tapline witnessed configuration v1",
        id: &site.id,
        name: &site.name,
        privacy: &site.privacy,
        retention: &site.retention,
        pipeline: &site.pipeline,
        room: &site.rooms,
        zone: &site.zones,
        door: &site.doors,
        node: &site.nodes,
        path: path.collect(),
    };
    toml::to_string(&document).expect("plain tables of strings and numbers always serialise")
}
