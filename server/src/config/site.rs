//! One site, checked and resolved.

use std::collections::{BTreeMap, BTreeSet};

use tapline_dsp::tier::Tier;
use tapline_wire::BinLayout;
use toml::de::{DeTable, DeValue};

use crate::rollup::Calendar;

use super::{
    ConfigError, FLEET_VERSION, Fleet, Problem,
    fleet::{
        Door, GridSettings, Link, LinkKind, Node, NodeRole, Object, Pipeline, Privacy, Retention, Room, SiteFile, Zone,
        line_column,
    },
    limits,
};

/// What a link path measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// Channel state information of this tier.
    Csi(Tier),
    /// Received strength only.
    Rss,
}

/// A link path: one antenna pair of a link on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// Transmit antenna, from 0.
    pub tx_antenna: u8,
    /// Receive antenna, from 0.
    pub rx_antenna: u8,
    /// Channel number.
    pub channel: u16,
    /// What it measures.
    pub kind: PathKind,
}

/// A site, resolved.
#[derive(Clone, Debug)]
pub struct Site {
    /// Short name.
    pub id: String,
    /// For people.
    pub name: String,
    /// Rooms, in the file's order.
    pub rooms: Vec<Room>,
    /// Zones, in the file's order.
    pub zones: Vec<Zone>,
    /// Doors.
    pub doors: Vec<Door>,
    /// Things that stay in their place.
    pub objects: Vec<Object>,
    /// Nodes, ascending id.
    pub nodes: Vec<Node>,
    /// Link paths, sorted; their index is the path number everywhere.
    pub paths: Vec<Path>,
    /// True when every ordered pair of sensor nodes is a link, those of a node to come, too.
    pub mesh: bool,
    /// What may leave.
    pub privacy: Privacy,
    /// How it is computed.
    pub pipeline: Pipeline,
    /// How long it is kept.
    pub retention: Retention,
    /// IANA name of its time zone.
    pub timezone: String,
}

impl Site {
    /// Index of a room.
    pub fn room(&self, id: &str) -> Option<usize> {
        self.rooms.iter().position(|r| r.id == id)
    }

    /// The node with this id.
    pub fn node(&self, id: u16) -> Option<&Node> {
        self.nodes
            .binary_search_by_key(&id, |n| n.id)
            .ok()
            .map(|i| &self.nodes[i])
    }

    /// Low and high corner of all rooms and nodes, metres.
    pub fn extent_m(&self) -> ([f32; 2], [f32; 2]) {
        extent_m(&self.rooms, &self.nodes)
    }

    /// Voxels of the image along x, y and z: they cover all rooms and nodes.
    pub fn voxels(&self) -> [u32; 3] {
        voxels(self.extent_m(), &self.pipeline.grid)
    }
}

fn extent_m(rooms: &[Room], nodes: &[Node]) -> ([f32; 2], [f32; 2]) {
    let points = rooms.iter().flat_map(|r| r.outline_m.iter().copied());
    let points = points.chain(nodes.iter().map(|n| [n.position_m[0], n.position_m[1]]));
    let mut low = [f32::INFINITY; 2];
    let mut high = [f32::NEG_INFINITY; 2];
    for p in points {
        for axis in 0..2 {
            low[axis] = tapline_dsp::detmath::min(low[axis], p[axis]);
            high[axis] = tapline_dsp::detmath::max(high[axis], p[axis]);
        }
    }
    if low[0].is_finite() {
        (low, high)
    } else {
        ([0.0; 2], [0.0; 2])
    }
}

fn voxels((low, high): ([f32; 2], [f32; 2]), grid: &GridSettings) -> [u32; 3] {
    let count = |axis: usize| (((high[axis] - low[axis]) / grid.pitch_m).ceil() as u32).max(1);
    [count(0), count(1), grid.layers]
}

impl Fleet {
    /// The site this process runs: the named one, else the one whose `hosts` has this machine, else the only one.
    ///
    /// # Errors
    /// [`ConfigError::WhichSite`] when that is not clear.
    pub fn select(&self, id: Option<&str>, hostname: &str) -> Result<Site, ConfigError> {
        let sites = || self.site.iter().map(|s| s.id.clone()).collect();
        let which = |found: String| ConfigError::WhichSite { found, sites: sites() };
        let chosen = match id {
            Some(id) => self
                .site
                .iter()
                .find(|s| s.id == id)
                .ok_or_else(|| which(format!("there is no site {id:?}")))?,
            None => {
                let mut named = self.site.iter().filter(|s| s.hosts.iter().any(|h| h == hostname));
                match (named.next(), named.next(), self.site.as_slice()) {
                    (Some(site), None, _) | (None, None, [site]) => site,
                    (Some(_), Some(_), _) => return Err(which(format!("several sites name the host {hostname:?}"))),
                    _ => return Err(which(format!("none names the host {hostname:?}"))),
                }
            }
        };
        Ok(resolve(chosen))
    }
}

fn resolve(file: &SiteFile) -> Site {
    let mut nodes = file.node.clone();
    nodes.sort_by_key(|n| n.id);
    Site {
        id: file.id.clone(),
        name: if file.name.is_empty() {
            file.id.clone()
        } else {
            file.name.clone()
        },
        rooms: file.room.clone(),
        zones: file.zone.clone(),
        doors: file.door.clone(),
        objects: file.object.clone(),
        nodes,
        paths: paths(file),
        mesh: file.mesh.is_some(),
        privacy: file.privacy.clone().unwrap_or_default(),
        pipeline: file.pipeline.clone().unwrap_or_default(),
        timezone: file.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        retention: file.retention.clone().unwrap_or_default(),
    }
}

/// All link paths of a site, sorted and without repeats.
fn paths(file: &SiteFile) -> Vec<Path> {
    let mut links: Vec<Link> = file.link.clone();
    if let Some(mesh) = &file.mesh {
        let sensors = || file.node.iter().filter(|n| n.role == NodeRole::Sensor);
        for (tx, rx) in sensors()
            .flat_map(|a| sensors().map(move |b| (a.id, b)))
            .filter(|(a, b)| *a != b.id)
        {
            let (kind, tier, channels) = (mesh.kind, mesh.tier.clone(), mesh.channels.clone());
            // Strength reports name no antenna: their paths are those of antenna 0.
            let rx_antennas = if kind == LinkKind::Csi { antennas(rx) } else { 1 };
            links.push(Link {
                tx,
                rx: rx.id,
                kind,
                tier,
                channels,
                tx_antennas: 1,
                rx_antennas,
            });
        }
    }
    let mut set = BTreeSet::new();
    for link in &links {
        let kind = match (link.kind, tier_named(&link.tier)) {
            (LinkKind::Rss, _) => PathKind::Rss,
            (LinkKind::Csi, Some(tier)) => PathKind::Csi(tier),
            (LinkKind::Csi, None) => continue,
        };
        for tx_antenna in 0..link.tx_antennas {
            for rx_antenna in 0..link.rx_antennas {
                for &channel in &link.channels {
                    set.insert(Path {
                        tx: link.tx,
                        rx: link.rx,
                        tx_antenna,
                        rx_antenna,
                        channel,
                        kind,
                    });
                }
            }
        }
    }
    set.into_iter().collect()
}

/// Receive antennas of a link to this node that has all of them.
fn antennas(node: &Node) -> u8 {
    let count = u8::try_from(node.antennas_m.len()).unwrap_or(u8::MAX);
    // A file that says more is refused; its paths are counted before that.
    count.clamp(1, limits::ANTENNAS)
}

fn tier_named(name: &str) -> Option<Tier> {
    Tier::ALL.into_iter().find(|t| t.name() == name)
}

/// Checks the whole document and reports every problem at once.
pub(super) fn check(fleet: &Fleet) -> Result<(), ConfigError> {
    let mut checker = Checker {
        text: &fleet.text,
        table: DeTable::parse(&fleet.text).ok().map(toml::Spanned::into_inner),
        problems: Vec::new(),
    };
    checker.fleet(fleet);
    if checker.problems.is_empty() {
        Ok(())
    } else {
        Err(ConfigError::Invalid {
            path: fleet.path.clone(),
            problems: checker.problems,
        })
    }
}

/// Checks one outline as the fleet file's are.
///
/// # Errors
/// The first problem.
pub fn check_outline(key: &str, outline: &[[f32; 2]]) -> Result<(), Problem> {
    let mut checker = Checker {
        text: "",
        table: None,
        problems: Vec::new(),
    };
    checker.outline(key, outline);
    checker.problems.into_iter().next().map_or(Ok(()), Err)
}

struct Checker<'t> {
    text: &'t str,
    table: Option<DeTable<'t>>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn expect(&mut self, ok: bool, key: &str, found: impl std::fmt::Display, allowed: &str) {
        if ok {
            return;
        }
        let (key, line) = self.place(key);
        let problem = Problem {
            line,
            key,
            found: found.to_string(),
            allowed: allowed.to_owned(),
        };
        // What the defaults say is found again in every site that takes it over.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Where a key stands: in the site, or in the defaults that the site took it from; and in which line.
    fn place(&self, key: &str) -> (String, Option<usize>) {
        let (line, whole) = self.line(key);
        let of_site = key.strip_prefix("site[").and_then(|rest| rest.split_once("]."));
        let inherited = of_site.map(|(_, rest)| format!("defaults.{rest}"));
        match inherited.filter(|_| !whole).map(|key| (self.line(&key), key)) {
            Some(((line, true), key)) => (key, line),
            _ => (key.to_owned(), line),
        }
    }

    /// The line of the deepest part of `a.b[2].c` that exists, and whether that is all of it.
    fn line(&self, key: &str) -> (Option<usize>, bool) {
        let (mut offset, mut whole) = (None, true);
        let mut table = self.table.as_ref();
        let mut array: Option<&toml::de::DeArray<'_>> = None;
        for step in key.split(['.', '[', ']']).filter(|s| !s.is_empty()) {
            let value = match (table, array, step.parse::<usize>()) {
                (_, Some(items), Ok(index)) => items.get(index),
                (Some(t), _, _) => t.get(step),
                _ => None,
            };
            let Some(value) = value else {
                whole = false;
                break;
            };
            offset = Some(value.span().start);
            table = if let DeValue::Table(t) = value.get_ref() {
                Some(t)
            } else {
                None
            };
            array = if let DeValue::Array(a) = value.get_ref() {
                Some(a)
            } else {
                None
            };
        }
        (offset.map(|o| line_column(self.text, o).0), whole)
    }

    fn fleet(&mut self, fleet: &Fleet) {
        self.expect(
            fleet.version == FLEET_VERSION,
            "version",
            fleet.version,
            "1 (this program's format)",
        );
        self.expect(
            fleet.site.len() <= limits::SITES,
            "site",
            fleet.site.len(),
            "at most 1000 sites",
        );
        self.expect(!fleet.site.is_empty(), "site", "none", "at least one [[site]]");
        self.expect(
            (64..=1 << 20).contains(&fleet.server.queue_datagrams),
            "server.queue_datagrams",
            fleet.server.queue_datagrams,
            "64 to 1048576",
        );
        self.expect(
            fleet.server.udp.ip().is_loopback() || !fleet.server.allow.is_empty(),
            "server.allow",
            format!("no sender, with udp = \"{}\"", fleet.server.udp),
            "the addresses of your nodes, for example [\"192.168.1.0/24\"], when udp is not a loopback address",
        );
        let tls = [&fleet.server.tls_certificate, &fleet.server.tls_key].map(Option::is_some);
        self.expect(
            tls[0] == tls[1],
            if tls[0] {
                "server.tls_certificate"
            } else {
                "server.tls_key"
            },
            if tls[0] {
                "no tls_key beside it"
            } else {
                "no tls_certificate beside it"
            },
            "tls_certificate and tls_key together, or neither",
        );
        for (i, entry) in fleet.server.allow.iter().enumerate() {
            let ok = crate::ingest::allow::Block::parse(entry).is_some();
            self.expect(
                ok,
                &format!("server.allow[{i}]"),
                format!("{entry:?}"),
                "an IP address or a block such as 192.168.1.0/24",
            );
        }
        let anchor = fleet.store.anchor();
        self.expect(
            !anchor.starts_with(&fleet.store.dir),
            "store.anchor",
            anchor.display(),
            "a file outside the data directory",
        );
        let mut ids = BTreeSet::new();
        for (i, site) in fleet.site.iter().enumerate() {
            let at = format!("site[{i}]");
            self.identifier(&format!("{at}.id"), &site.id);
            if let Some(zone) = &site.timezone {
                let known = Calendar::of(zone).is_some();
                let key = format!("{at}.timezone");
                self.expect(
                    known,
                    &key,
                    format!("{zone:?}"),
                    "an IANA time zone, such as Europe/Berlin",
                );
            }
            self.expect(
                ids.insert(&site.id),
                &format!("{at}.id"),
                format!("{:?} twice", site.id),
                "an id of its own for every site",
            );
            self.site(&at, site);
        }
    }

    fn identifier(&mut self, key: &str, id: &str) {
        let ok =
            !id.is_empty() && id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        self.expect(ok, key, format!("{id:?}"), "1 to 64 letters, digits, '-' or '_'");
    }

    fn outline(&mut self, key: &str, outline: &[[f32; 2]]) {
        self.expect(
            (3..=limits::CORNERS).contains(&outline.len()),
            key,
            format!("{} corners", outline.len()),
            "3 to 64 corners [x, y]",
        );
        self.coordinates(key, outline.iter().flatten());
        // From its own first corner and in double precision: far from the origin the products would drown the area.
        let corner = |i: usize| {
            let (from, to) = (outline[0], outline[i % outline.len()]);
            [0, 1].map(|axis| f64::from(to[axis]) - f64::from(from[axis]))
        };
        let doubled: f64 = (0..outline.len())
            .map(|i| {
                let (a, b) = (corner(i), corner(i + 1));
                a[0] * b[1] - b[0] * a[1]
            })
            .sum();
        self.expect(
            doubled > 1e-3,
            key,
            format!("an area of {:.3} square metres", doubled / 2.0),
            "corners counter-clockwise round a positive area",
        );
    }

    fn coordinates<'f>(&mut self, key: &str, values: impl Iterator<Item = &'f f32>) {
        for v in values {
            self.expect(
                v.is_finite() && v.abs() <= limits::COORDINATE_M,
                key,
                v,
                "metres between -10000 and 10000",
            );
        }
    }

    fn site(&mut self, at: &str, site: &SiteFile) {
        for (name, count, most) in [
            ("room", site.room.len(), limits::AREAS),
            ("zone", site.zone.len(), limits::AREAS),
            ("door", site.door.len(), limits::AREAS),
            ("object", site.object.len(), limits::AREAS),
            ("node", site.node.len(), limits::NODES),
        ] {
            self.expect(
                count <= most,
                &format!("{at}.{name}"),
                count,
                &format!("at most {most}"),
            );
        }
        // Questions name the site, a room or a zone by an id alone.
        const ITS_OWN: &str = "an id of its own among site, rooms and zones";
        let mut areas = BTreeSet::from([site.id.as_str(), "site"]);
        let rooms: BTreeSet<_> = site.room.iter().map(|r| r.id.as_str()).collect();
        for (i, room) in site.room.iter().enumerate() {
            let key = format!("{at}.room[{i}]");
            self.identifier(&format!("{key}.id"), &room.id);
            self.expect(
                areas.insert(room.id.as_str()),
                &format!("{key}.id"),
                format!("{:?} twice", room.id),
                ITS_OWN,
            );
            self.outline(&format!("{key}.outline_m"), &room.outline_m);
            self.expect(
                (0.5..=100.0).contains(&room.height_m),
                &format!("{key}.height_m"),
                room.height_m,
                "0.5 to 100 metres",
            );
        }
        let known = format!(
            "a room of this site: {}",
            rooms.iter().copied().collect::<Vec<_>>().join(", ")
        );
        for (i, zone) in site.zone.iter().enumerate() {
            let key = format!("{at}.zone[{i}]");
            self.identifier(&format!("{key}.id"), &zone.id);
            self.expect(
                areas.insert(zone.id.as_str()),
                &format!("{key}.id"),
                format!("{:?} twice", zone.id),
                ITS_OWN,
            );
            self.expect(
                rooms.contains(zone.room.as_str()),
                &format!("{key}.room"),
                format!("{:?}", zone.room),
                &known,
            );
            self.outline(&format!("{key}.outline_m"), &zone.outline_m);
        }
        for (i, door) in site.door.iter().enumerate() {
            let key = format!("{at}.door[{i}]");
            self.identifier(&format!("{key}.id"), &door.id);
            self.expect(
                rooms.contains(door.room.as_str()),
                &format!("{key}.room"),
                format!("{:?}", door.room),
                &known,
            );
            self.coordinates(&format!("{key}.at_m"), door.at_m.iter());
            self.expect(
                (0.1..=20.0).contains(&door.width_m),
                &format!("{key}.width_m"),
                door.width_m,
                "0.1 to 20 metres",
            );
        }
        let mut objects = BTreeSet::new();
        for (i, object) in site.object.iter().enumerate() {
            let key = format!("{at}.object[{i}]");
            self.identifier(&format!("{key}.id"), &object.id);
            self.expect(
                objects.insert(object.id.as_str()),
                &format!("{key}.id"),
                format!("{:?} twice", object.id),
                "an id of its own for every object",
            );
            self.coordinates(&format!("{key}.position_m"), object.position_m.iter());
        }
        self.radios(at, site);
        if let Some(p) = &site.pipeline {
            self.pipeline(&format!("{at}.pipeline"), p);
        }
        self.image(&format!("{at}.pipeline.grid.pitch_m"), site);
        if let Some(r) = &site.retention {
            self.expect(
                (1..=1440).contains(&r.raw_minutes),
                &format!("{at}.retention.raw_minutes"),
                r.raw_minutes,
                "1 to 1440",
            );
            self.expect(
                (1..=8760).contains(&r.outcome_hours),
                &format!("{at}.retention.outcome_hours"),
                r.outcome_hours,
                "1 to 8760",
            );
            self.expect(
                (r.outcome_hours..=876_000).contains(&r.leaf_hours),
                &format!("{at}.retention.leaf_hours"),
                r.leaf_hours,
                &format!("outcome_hours ({}) to 876000", r.outcome_hours),
            );
            let at = format!("{at}.retention.rollup");
            for (key, found, least, most) in [
                ("second_hours", r.rollup.second_hours, 1, 8760),
                ("minute_days", r.rollup.minute_days, 1, 3660),
                ("hour_days", r.rollup.hour_days, 7, 36_600),
                ("megabytes", r.rollup.megabytes, 1, 1_000_000),
            ] {
                let allowed = format!("{least} to {most}");
                self.expect((least..=most).contains(&found), &format!("{at}.{key}"), found, &allowed);
            }
        }
    }

    fn radios(&mut self, at: &str, site: &SiteFile) {
        let mut roles = BTreeMap::new();
        for (i, node) in site.node.iter().enumerate() {
            let key = format!("{at}.node[{i}]");
            self.expect(
                roles.insert(node.id, node.role).is_none(),
                &format!("{key}.id"),
                format!("{} twice", node.id),
                "an id of its own for every node",
            );
            self.expect(
                node.id != u16::MAX,
                &format!("{key}.id"),
                node.id,
                "0 to 65534 (65535 means unknown)",
            );
            self.coordinates(&format!("{key}.position_m"), node.position_m.iter());
            self.antennas(&format!("{key}.antennas_m"), &node.antennas_m);
        }
        let chips = BinLayout::ALL.map(BinLayout::name).join(", ");
        for (i, node) in site.node.iter().enumerate() {
            self.expect(
                BinLayout::from_name(&node.chip).is_some(),
                &format!("{at}.node[{i}].chip"),
                format!("{:?}", node.chip),
                &chips,
            );
            if let Some(tx) = node.transmitter {
                let ok = tx != node.id && roles.contains_key(&tx);
                self.expect(
                    ok,
                    &format!("{at}.node[{i}].transmitter"),
                    tx,
                    "the id of another node of this site",
                );
            }
        }
        let tiers = Tier::ALL.map(Tier::name).join(", ");
        for (i, link) in site.link.iter().enumerate() {
            let key = format!("{at}.link[{i}]");
            self.expect(
                roles.contains_key(&link.tx),
                &format!("{key}.tx"),
                link.tx,
                "the id of a node of this site",
            );
            let sensor = roles.get(&link.rx) == Some(&NodeRole::Sensor);
            self.expect(
                sensor && link.rx != link.tx,
                &format!("{key}.rx"),
                link.rx,
                "the id of another node of this site with role = \"sensor\"",
            );
            self.expect(
                tier_named(&link.tier).is_some(),
                &format!("{key}.tier"),
                format!("{:?}", link.tier),
                &tiers,
            );
            self.channels(&key, &link.channels);
            self.expect(
                (1..=4).contains(&link.tx_antennas),
                &format!("{key}.tx_antennas"),
                link.tx_antennas,
                "1 to 4",
            );
            self.expect(
                (1..=4).contains(&link.rx_antennas),
                &format!("{key}.rx_antennas"),
                link.rx_antennas,
                "1 to 4",
            );
            // Which three of an array of four they are, a number does not say.
            let most = site.node.iter().find(|n| n.id == link.rx).map_or(1, antennas);
            let other = ![1, most].contains(&link.rx_antennas) && (1..=limits::ANTENNAS).contains(&link.rx_antennas);
            self.expect(
                link.kind != LinkKind::Csi || most == 1 || !other,
                &format!("{key}.rx_antennas"),
                link.rx_antennas,
                &format!("1, or {most}: as many as node {} has antennas_m", link.rx),
            );
        }
        if let Some(mesh) = &site.mesh {
            self.expect(
                tier_named(&mesh.tier).is_some(),
                &format!("{at}.mesh.tier"),
                format!("{:?}", mesh.tier),
                &tiers,
            );
            self.channels(&format!("{at}.mesh"), &mesh.channels);
        }
        if site.node.len() <= limits::NODES {
            let paths = paths(site);
            self.expect(
                paths.len() <= limits::PATHS,
                &format!("{at}.link"),
                format!("{} link paths", paths.len()),
                &format!("at most {} (links x channels x antenna pairs)", limits::PATHS),
            );
            let twice = paths.windows(2).find(|w| {
                (w[0].tx, w[0].rx, w[0].tx_antenna, w[0].rx_antenna, w[0].channel)
                    == (w[1].tx, w[1].rx, w[1].tx_antenna, w[1].rx_antenna, w[1].channel)
            });
            self.expect(
                twice.is_none(),
                &format!("{at}.link"),
                twice.map_or(String::new(), |w| {
                    format!(
                        "{} -> {} on channel {} in two kinds or tiers",
                        w[0].tx, w[0].rx, w[0].channel
                    )
                }),
                "one kind and tier for each link and channel",
            );
        }
    }

    fn antennas(&mut self, key: &str, antennas_m: &[[f32; 2]]) {
        let count = antennas_m.len();
        let few = count == 0 || (2..=usize::from(limits::ANTENNAS)).contains(&count);
        self.expect(
            few,
            key,
            format!("{count} antennas"),
            "none, or 2 to 4 antennas [x, y]: the place of a single one is position_m",
        );
        if !few {
            return;
        }
        let near = |v: &f32| v.is_finite() && v.abs() <= limits::ANTENNA_M;
        for (i, v) in antennas_m
            .iter()
            .enumerate()
            .flat_map(|(i, a)| a.iter().map(move |v| (i, v)))
        {
            self.expect(
                near(v),
                &format!("{key}[{i}]"),
                v,
                "metres from position_m between -1 and 1",
            );
        }
        if !antennas_m.iter().flatten().all(near) {
            return;
        }
        for (i, a) in antennas_m.iter().enumerate() {
            for (j, b) in antennas_m.iter().enumerate().skip(i + 1) {
                let [x, y] = [0, 1].map(|axis| f64::from(b[axis]) - f64::from(a[axis]));
                let apart_m = (x * x + y * y).sqrt();
                // A micrometre less: 0.1 and 0.105 are not quite that far from each other once they are binary.
                self.expect(
                    apart_m >= f64::from(limits::ANTENNA_APART_M) - 1e-6,
                    &format!("{key}[{j}]"),
                    format!("{apart_m:.4} metres from antenna {i}"),
                    "at least 0.005 metres from every other antenna of the node",
                );
            }
        }
    }

    fn image(&mut self, key: &str, site: &SiteFile) {
        let grid = site
            .pipeline
            .as_ref()
            .map_or_else(GridSettings::default, |p| p.grid.clone());
        let found = voxels(extent_m(&site.room, &site.node), &grid)
            .iter()
            .fold(1_u64, |all, n| all.saturating_mul(u64::from(*n)));
        self.expect(
            found <= limits::VOXELS as u64,
            key,
            format!(
                "{} with {} layers, an image of {found} voxels",
                grid.pitch_m, grid.layers
            ),
            &format!("a larger pitch_m or fewer layers: at most {} voxels", limits::VOXELS),
        );
    }

    fn channels(&mut self, key: &str, channels: &[u16]) {
        let ok = (1..=64).contains(&channels.len()) && channels.iter().all(|c| (1..=233).contains(c));
        self.expect(
            ok,
            &format!("{key}.channels"),
            format!("{channels:?}"),
            "1 to 64 channel numbers between 1 and 233",
        );
    }

    fn pipeline(&mut self, at: &str, p: &Pipeline) {
        let grid = &p.grid;
        self.expect(
            (0.05..=5.0).contains(&grid.pitch_m),
            &format!("{at}.grid.pitch_m"),
            grid.pitch_m,
            "0.05 to 5 metres",
        );
        self.expect(
            (1..=32).contains(&grid.layers),
            &format!("{at}.grid.layers"),
            grid.layers,
            "1 to 32",
        );
        for stage in p.stage.keys() {
            let ok = ["cir", "tomography", "tracker"].contains(&stage.as_str());
            self.expect(
                ok,
                &format!("{at}.stage.{stage}"),
                format!("{stage:?}"),
                "cir, tomography or tracker",
            );
        }
        for (name, value, low, high) in [
            ("calibration_s", p.front.calibration_s, 1.0, 3_600.0),
            ("motion_window_s", p.front.motion_window_s, 0.2, 60.0),
            ("motion_ratio", p.front.motion_ratio, 1.0, 100.0),
            ("minimum_dwell_s", p.front.minimum_dwell_s, 0.0, 3_600.0),
        ] {
            if let Some(v) = value {
                self.expect(
                    (low..=high).contains(&v),
                    &format!("{at}.front.{name}"),
                    v,
                    &format!("{low} to {high}"),
                );
            }
        }
        for (name, value) in [("occupied", p.front.occupied), ("moving", p.front.moving)] {
            if let Some([on, off]) = value {
                self.expect(
                    0.01 <= off && off <= on && on <= 0.99,
                    &format!("{at}.front.{name}"),
                    format!("[{on}, {off}]"),
                    "[on, off] with 0.01 <= off <= on <= 0.99",
                );
            }
        }
    }
}
