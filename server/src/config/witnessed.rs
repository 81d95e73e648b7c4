//! The witnessed document: the part of the configuration that decides what a cycle computes.
//!
//! Its text is written once, stored and hashed verbatim. It holds site geometry, links, pipeline,
//! privacy and retention; never keys, tokens, addresses, paths or SSIDs.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use tapline_dsp::tier::Tier;

use super::{
    ConfigError, Defaults, FLEET_VERSION, Fleet, FleetServer, FleetStore, Site, SiteFile,
    fleet::{Door, Link, LinkKind, Node, Object, Pipeline, Privacy, Retention, Room, Zone},
    limits,
    site::{self, PathKind},
};

/// First line of every document: what it is, and its version.
const FORMAT: &str = "tapline witnessed configuration v1";
/// Tier of a path that measures strength only.
const RSS: &str = "RSS";

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
    // Left out when there is none: documents of before read and write the same.
    #[serde(skip_serializing_if = "<[Object]>::is_empty")]
    object: &'s [Object],
    node: &'s [Node],
    path: Vec<PathRow>,
}

/// A link path, as a document lists it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathRow {
    pub(crate) tx: u16,
    pub(crate) rx: u16,
    pub(crate) tx_antenna: u8,
    pub(crate) rx_antenna: u8,
    pub(crate) channel: u16,
    tier: String,
}

impl PathRow {
    /// What it measures; none for a tier that this program does not know.
    pub(crate) fn kind(&self) -> Option<PathKind> {
        if self.tier == RSS {
            return Some(PathKind::Rss);
        }
        Tier::ALL.into_iter().find(|t| t.name() == self.tier).map(PathKind::Csi)
    }
}

/// The same document, read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    id: String,
    name: String,
    privacy: Privacy,
    retention: Retention,
    pipeline: Pipeline,
    #[serde(default)]
    room: Vec<Room>,
    #[serde(default)]
    zone: Vec<Zone>,
    #[serde(default)]
    door: Vec<Door>,
    #[serde(default)]
    object: Vec<Object>,
    #[serde(default)]
    node: Vec<Node>,
    #[serde(default)]
    path: Vec<PathRow>,
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
            PathKind::Csi(tier) => tier.name().to_owned(),
            PathKind::Rss => RSS.to_owned(),
        },
    });
    let document = Document {
        format: FORMAT,
        id: &site.id,
        name: &site.name,
        privacy: &site.privacy,
        retention: &site.retention,
        pipeline: &site.pipeline,
        room: &site.rooms,
        zone: &site.zones,
        door: &site.doors,
        object: &site.objects,
        node: &site.nodes,
        path: path.collect(),
    };
    toml::to_string(&document).expect("plain tables of strings and numbers always serialise")
}

/// Why a text is no witnessed document that this program can run.
#[derive(Debug, thiserror::Error)]
pub enum WitnessedError {
    /// It cannot be read.
    #[error("this is no witnessed configuration: {0}")]
    Syntax(String),
    /// It says what no configuration may say.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// This program would write it another way: it has keys or defaults that this program does not have, or the other way
    /// round.
    #[error("this program reads this witnessed configuration, but would write `{found}` where it says `{expected}`")]
    Differs {
        /// The first line that differs, as it is.
        expected: String,
        /// As this program would write it.
        found: String,
    },
}

/// The site that a document describes. What it does not hold (addresses, keys, the time zone) is as if nothing had been
/// configured; none of it decides what a cycle computes.
///
/// # Errors
/// [`WitnessedError`]: also when [`document`] of the site is not this very text.
pub fn read(text: &str) -> Result<Site, WitnessedError> {
    if text.len() > limits::FILE_BYTES {
        let found = format!("{} bytes, at most {} are allowed", text.len(), limits::FILE_BYTES);
        return Err(WitnessedError::Syntax(found));
    }
    let written: Written = toml::from_str(text).map_err(|e| WitnessedError::Syntax(e.message().to_owned()))?;
    if written.format != FORMAT {
        let found = format!("its format is {:?}, expected {FORMAT:?}", written.format);
        return Err(WitnessedError::Syntax(found));
    }
    let file = SiteFile {
        id: written.id,
        name: written.name,
        timezone: None,
        hosts: Vec::new(),
        room: written.room,
        zone: written.zone,
        door: written.door,
        object: written.object,
        node: written.node,
        link: links(&written.path),
        mesh: None,
        privacy: Some(written.privacy),
        pipeline: Some(written.pipeline),
        retention: Some(written.retention),
    };
    let fleet = Fleet {
        version: FLEET_VERSION,
        server: FleetServer::default(),
        store: FleetStore::default(),
        defaults: Defaults::default(),
        site: vec![file],
        text: text.to_owned(),
        path: Path::new("the witnessed configuration").to_owned(),
    };
    site::check(&fleet)?;
    let site = fleet.select(None, "")?;
    let again = document(&site);
    if again == text {
        return Ok(site);
    }
    let end = "(end)";
    let lines = |text: &'_ str| text.lines().chain([end]).map(str::to_owned).collect::<Vec<_>>();
    let differs = lines(text).into_iter().zip(lines(&again)).find(|(was, is)| was != is);
    let (expected, found) = differs.unwrap_or_default();
    Err(WitnessedError::Differs { expected, found })
}

/// Links that have these paths: the antennas of one link are numbered from 0 without gaps.
fn links(paths: &[PathRow]) -> Vec<Link> {
    let mut antennas: BTreeMap<(u16, u16, &str, u16), (u8, u8)> = BTreeMap::new();
    for p in paths {
        let most = antennas.entry((p.tx, p.rx, &p.tier, p.channel)).or_default();
        let count = |antenna: u8| antenna.saturating_add(1);
        *most = (most.0.max(count(p.tx_antenna)), most.1.max(count(p.rx_antenna)));
    }
    let link = |((tx, rx, tier, channel), (tx_antennas, rx_antennas)): ((u16, u16, &str, u16), _)| Link {
        tx,
        rx,
        kind: if tier == RSS { LinkKind::Rss } else { LinkKind::Csi },
        // The tier of a link that measures strength only is not looked at.
        tier: if tier == RSS { "LLTF-64" } else { tier }.to_owned(),
        channels: vec![channel],
        tx_antennas,
        rx_antennas,
    };
    antennas.into_iter().map(link).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tapline_witness::hash::Domain;

    use super::*;

    const FLEET: &str = r#"
        version = 1
        [[site]]
        id = "home"
        timezone = "Europe/Berlin"
        privacy.mode = "CareWithConsent"
        pipeline.front.motion_ratio = 2.3
        pipeline.stage.cir.taps = 5
        [[site.room]]
        id = "a"
        outline_m = [[0.1, 0.2], [4.3, 0.2], [4.3, 3.7]]
        [[site.zone]]
        id = "bed"
        room = "a"
        outline_m = [[1.0, 0.2], [4.0, 0.2], [4.0, 2.0]]
        [[site.node]]
        id = 1
        position_m = [0.0, 0.33, 1.1]
        mac_key_file = "secret"
        [[site.node]]
        id = 2
        position_m = [4.0, 0.0, 1.0]
        transmitter = 1
        simulated = true
        [[site.link]]
        tx = 1
        rx = 2
        tx_antennas = 2
        rx_antennas = 3
        channels = [1, 6]
        [[site.link]]
        tx = 2
        rx = 1
        kind = "rss"
    "#;

    fn site(text: &str) -> Site {
        let fleet = Fleet::parse(text, Path::new("test")).expect("a good fleet file");
        fleet.select(None, "").expect("one site")
    }

    #[test]
    fn a_document_is_read_as_the_site_it_was_written_from() {
        let site = site(FLEET);
        let text = document(&site);
        assert!(!text.contains("secret") && !text.contains("Berlin"), "{text}");
        let again = read(&text).expect("its own document");
        assert_eq!((site.paths.len(), &again.paths), (13, &site.paths));
        assert_eq!(again.nodes[1].position_m, site.nodes[1].position_m);
        assert_eq!(document(&again), text);
        let example = Fleet::load(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../config.example.toml"
        )));
        let example = example.expect("the example").select(None, "").expect("one site");
        assert!(read(&document(&example)).is_ok());
    }

    /// What a site without arrays is hashed into every cycle as does not change because there are arrays now.
    #[test]
    fn a_site_without_arrays_is_written_as_before_there_were_any() {
        let text = document(&site(FLEET));
        let nodes = "[[node]]\nid = 1\nname = \"\"\nposition_m = [0.0, 0.33, 1.1]\nrole = \"sensor\"\nchip = \"auto\"\n\
             simulated = false\n\n[[node]]\nid = 2\nname = \"\"\nposition_m = [4.0, 0.0, 1.0]\nrole = \"sensor\"\n\
             chip = \"auto\"\ntransmitter = 1\nsimulated = true\n\n[[path]]\n";
        assert!(text.contains(nodes), "{text}");
        let none = FLEET.replace("simulated = true", "simulated = true\nantennas_m = []");
        assert_eq!(document(&site(&none)), text);
        // Of the program before there were arrays, for this very site.
        let hash = blake3::Hash::from(Domain::Config.hash(text.as_bytes())).to_hex();
        assert_eq!(
            hash.as_str(),
            "928772aca3ff1b506cd5ba89a988b2f973bc3200f2b4f657a9156ef78dfff8b4"
        );
    }

    #[test]
    fn antennas_are_witnessed_and_read_again() {
        let array = "antennas_m = [[0.0, 0.0], [0.0, 0.06], [0.1, -0.0]]";
        let with = FLEET.replace("simulated = true", &format!("simulated = true\n{array}"));
        let site = site(&with);
        let text = document(&site);
        assert!(text.contains(array), "{text}");
        let again = read(&text).expect("its own document");
        assert_eq!(again.nodes[1].antennas_m, [[0.0, 0.0], [0.0, 0.06], [0.1, 0.0]]);
        assert_eq!((document(&again), again.paths), (text, site.paths));
        // A mesh is witnessed as its paths.
        let mesh = "version = 1\n[[site]]\nid = \"s\"\n[[site.node]]\nid = 1\nposition_m = [0.0, 0.0, 1.0]\n\
             antennas_m = [[0.0, 0.0], [0.0, 0.06]]\n[[site.node]]\nid = 2\nposition_m = [1.0, 0.0, 1.0]\n[site.mesh]\n";
        let site = self::site(mesh);
        let again = read(&document(&site)).expect("its own document");
        assert_eq!((again.paths.len(), again.paths), (3, site.paths));
    }

    #[test]
    fn what_this_program_would_not_write_is_refused() {
        let text = document(&site(FLEET));
        for (what, with, expect) in [
            ("configuration v1", "configuration v2", "v2"),
            ("tx_antenna = 1", "tx_antenna = 2", "would write"),
            ("name = \"home\"", "name = \"home\"\nmore = 1", "more"),
            ("4.3", "4e9", "metres"),
            ("id = \"home\"", "id = \"home\" # mine", "# mine"),
        ] {
            assert!(text.contains(what), "{what}: {text}");
            let error = read(&text.replacen(what, with, 1)).expect_err(with).to_string();
            assert!(error.contains(expect), "{error}");
        }
    }

    proptest! {
        #[test]
        fn hostile_documents_never_panic(at in 0usize..900, byte in any::<u8>()) {
            let mut bytes = document(&site(FLEET)).into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = read(&text);
            }
        }
    }
}
