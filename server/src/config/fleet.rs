//! The document as it is written: types, defaults, reading.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{ConfigError, limits};

/// The fleet file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// [`super::FLEET_VERSION`].
    pub version: u32,
    /// Addresses; the same on every box unless a box overrides them on the command line.
    #[serde(default)]
    pub server: FleetServer,
    /// Where data goes.
    #[serde(default)]
    pub store: FleetStore,
    /// What sites have in common.
    #[serde(default)]
    pub defaults: Defaults,
    /// Sites; one process runs one of them.
    #[serde(default)]
    pub site: Vec<SiteFile>,
    /// The text the document was read from, for line numbers.
    #[serde(skip)]
    pub(super) text: String,
    /// The file it was read from.
    #[serde(skip)]
    pub(super) path: PathBuf,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetServer {
    /// HTTP address: GraphQL, REST, page. One that is not a loopback address needs tokens or `insecure`.
    pub http: SocketAddr,
    /// Names beside those of this machine under which the server is reached: the Host allow-list.
    pub names: Vec<String>,
    /// Token file, which has to be there; default: `tokens.json` in the data directory, if there is one. `credential:NAME` for
    /// systemd's.
    pub tokens: Option<PathBuf>,
    /// Serves everybody everything on any address; every health answer warns of it.
    pub insecure: bool,
    /// Everybody may read the log's checkpoints, tiles and proofs; log tools send no token.
    pub public_log: bool,
    /// Certificate chain, PEM; with it and `tls_key` the server speaks HTTPS only.
    pub tls_certificate: Option<PathBuf>,
    /// Private key, PEM. `credential:NAME` for systemd's.
    pub tls_key: Option<PathBuf>,
    /// UDP address where nodes send to.
    pub udp: SocketAddr,
    /// Senders that may send: addresses or CIDR blocks. Needed when `udp` is not a loopback address.
    pub allow: Vec<String>,
    /// Datagrams waiting for their tick; more are counted and left out.
    pub queue_datagrams: usize,
}

impl Default for FleetServer {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            names: Vec::new(),
            tokens: None,
            insecure: false,
            public_log: false,
            tls_certificate: None,
            tls_key: None,
            udp: SocketAddr::from(([127, 0, 0, 1], 5005)),
            allow: Vec::new(),
            queue_datagrams: 4_096,
        }
    }
}

/// What happens to raw input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RawStore {
    /// Kept nowhere: no replay on the box.
    Off,
    /// Kept in the database for `raw_minutes`.
    #[default]
    Disk,
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetStore {
    /// Data directory.
    pub dir: PathBuf,
    /// Anchor file against rollback; default: `<dir>.anchor`, beside the directory, never inside.
    pub anchor: Option<PathBuf>,
}

impl Default for FleetStore {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("tapline-data"),
            anchor: None,
        }
    }
}

/// `[defaults]`: what every site has for the keys that it leaves out itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// See [`Privacy`].
    pub privacy: Option<Privacy>,
    /// See [`Pipeline`].
    pub pipeline: Option<Pipeline>,
    /// See [`Retention`].
    pub retention: Option<Retention>,
}

/// `[[site]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFile {
    /// Short name: letters, digits, `-`, `_`.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// IANA name of the time zone in which the site's hours and days begin; `UTC` when silent.
    pub timezone: Option<String>,
    /// Machines that run this site.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Rooms.
    #[serde(default)]
    pub room: Vec<Room>,
    /// Zones within rooms.
    #[serde(default)]
    pub zone: Vec<Zone>,
    /// Doors of rooms.
    #[serde(default)]
    pub door: Vec<Door>,
    /// Things that stay in their place.
    #[serde(default)]
    pub object: Vec<Object>,
    /// Radios.
    #[serde(default)]
    pub node: Vec<Node>,
    /// Links, one by one.
    #[serde(default)]
    pub link: Vec<Link>,
    /// All ordered pairs of receiving nodes at once.
    pub mesh: Option<Mesh>,
    /// What may leave.
    pub privacy: Option<Privacy>,
    /// How it is computed.
    pub pipeline: Option<Pipeline>,
    /// How long it is kept.
    pub retention: Option<Retention>,
}

/// `[[site.room]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Short name.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Corners `[x, y]`, metres, in order.
    #[serde(deserialize_with = "places")]
    pub outline_m: Vec<[f32; 2]>,
    /// Floor to ceiling, metres.
    #[serde(default = "height")]
    pub height_m: f32,
}

fn height() -> f32 {
    2.5
}

/// `[[site.zone]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Short name.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// The room it lies in.
    pub room: String,
    /// Corners `[x, y]`, metres.
    #[serde(deserialize_with = "places")]
    pub outline_m: Vec<[f32; 2]>,
}

/// `[[site.door]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// Short name.
    pub id: String,
    /// The room it opens.
    pub room: String,
    /// Middle of the opening `[x, y]`, metres.
    #[serde(deserialize_with = "place")]
    pub at_m: [f32; 2],
    /// Width, metres.
    #[serde(default = "door_width")]
    pub width_m: f32,
}

fn door_width() -> f32 {
    0.9
}

/// `[[site.object]]`: furniture or a fixture that people know, an anchor of the WorldGraph.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Short name.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `[x, y, z]`, metres.
    #[serde(deserialize_with = "place")]
    pub position_m: [f32; 3],
}

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Sends frames to us, and may transmit for others.
    #[default]
    Sensor,
    /// Only transmits (an access point): we never hear from it by UDP.
    Transmitter,
}

/// `[[site.node]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The number in its datagrams.
    pub id: u16,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `[x, y, z]`, metres.
    #[serde(deserialize_with = "place")]
    pub position_m: [f32; 3],
    /// Places of its receive antennas from `position_m`, metres on the floor plane, in the order of its frames; the first also
    /// sends. With two or more, links to it that have as many `rx_antennas` tell from where what moves is seen (an array).
    // Left out when there are none: documents of before read and write the same.
    #[serde(default, deserialize_with = "places", skip_serializing_if = "Vec::is_empty")]
    pub antennas_m: Vec<[f32; 2]>,
    /// What it does.
    #[serde(default)]
    pub role: NodeRole,
    /// Chip, by the names of `tapline_wire::BinLayout`: decides the order of its bins.
    #[serde(default = "chip")]
    pub chip: String,
    /// For frames that do not name their transmitter: the node that transmits.
    pub transmitter: Option<u16>,
    /// A generator, not a radio: every cycle that uses its frames is marked simulated.
    #[serde(default)]
    pub simulated: bool,
    /// File with the 32-byte key (64 hex digits) that authenticates its frames; never witnessed.
    #[serde(skip_serializing)]
    pub mac_key_file: Option<PathBuf>,
}

fn chip() -> String {
    tapline_wire::BinLayout::Auto.name().to_owned()
}

/// A place of as many numbers as it has axes. The reader of a fixed array takes its first numbers and says nothing of more, so one
/// axis too many would be lost without a word.
fn place<'de, D: Deserializer<'de>, const AXES: usize>(from: D) -> Result<[f32; AXES], D::Error> {
    Vec::<f32>::deserialize(from)?.try_into().map_err(|place: Vec<f32>| {
        let expected = if AXES == 2 {
            "two numbers [x, y]"
        } else {
            "three numbers [x, y, z]"
        };
        D::Error::invalid_length(place.len(), &expected)
    })
}

/// Places on the floor plane.
fn places<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[f32; 2]>, D::Error> {
    #[derive(Deserialize)]
    struct Place(#[serde(deserialize_with = "place")] [f32; 2]);
    Ok(Vec::<Place>::deserialize(from)?.into_iter().map(|p| p.0).collect())
}

/// What a link measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Channel state information.
    #[default]
    Csi,
    /// Received strength only.
    Rss,
}

/// `[[site.link]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// CSI or RSS.
    #[serde(default)]
    pub kind: LinkKind,
    /// PHY tier of its frames: `HT20`, `HT40`, `HE20`, `HE40`, `canonical-56`, `LLTF-64`.
    #[serde(default = "tier")]
    pub tier: String,
    /// Wi-Fi (or 802.15.4) channel numbers.
    #[serde(default = "channels")]
    pub channels: Vec<u16>,
    /// Transmit antennas, from 0.
    #[serde(default = "one")]
    pub tx_antennas: u8,
    /// Receive antennas, from 0.
    #[serde(default = "one")]
    pub rx_antennas: u8,
}

/// `[site.mesh]`: a link for every ordered pair of sensor nodes, for CSI with all antennas of the one that receives.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mesh {
    /// CSI or RSS.
    #[serde(default)]
    pub kind: LinkKind,
    /// PHY tier.
    #[serde(default = "tier")]
    pub tier: String,
    /// Channels.
    #[serde(default = "channels")]
    pub channels: Vec<u16>,
}

fn tier() -> String {
    "LLTF-64".to_owned()
}
fn channels() -> Vec<u16> {
    vec![6]
}
fn one() -> u8 {
    1
}

/// Privacy modes, with the class each gives (brief: class table).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum PrivacyMode {
    /// Class Raw: demo, tests, replay.
    RawResearch,
    /// Class Anonymous.
    #[default]
    PrivateHome,
    /// Class Anonymous, counts only.
    EnterpriseAnonymous,
    /// Class Derived.
    CareWithConsent,
    /// Class Restricted.
    StrictNoIdentity,
}

impl PrivacyMode {
    /// The byte in a leaf.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The mode of a byte in a leaf.
    pub fn from_code(code: u8) -> Option<Self> {
        let all = [
            Self::RawResearch,
            Self::PrivateHome,
            Self::EnterpriseAnonymous,
            Self::CareWithConsent,
            Self::StrictNoIdentity,
        ];
        all.into_iter().find(|mode| mode.code() == code)
    }

    /// The class before any demotion: 0 Raw, 1 Derived, 2 Anonymous, 3 Restricted.
    pub const fn class(self) -> u8 {
        match self {
            Self::RawResearch => 0,
            Self::CareWithConsent => 1,
            Self::PrivateHome | Self::EnterpriseAnonymous => 2,
            Self::StrictNoIdentity => 3,
        }
    }

    /// True when counts leave but no single person does.
    pub const fn aggregate_only(self) -> bool {
        matches!(self, Self::EnterpriseAnonymous | Self::StrictNoIdentity)
    }
}

/// `[site.privacy]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// The mode.
    pub mode: PrivacyMode,
}

/// `[site.pipeline]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pipeline {
    /// Manifest file, looked for beside the fleet file, then beside the program; `linked` uses the
    /// stages built into the program.
    #[serde(skip_serializing)]
    pub manifest: PathBuf,
    /// Image grid.
    pub grid: GridSettings,
    /// Windows, thresholds.
    pub front: FrontSettings,
    /// The plugins' own tables, by stage: `[site.pipeline.stage.cir]`.
    pub stage: BTreeMap<String, toml::Table>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            manifest: PathBuf::from("plugins/manifest.toml"),
            grid: GridSettings::default(),
            front: FrontSettings::default(),
            stage: BTreeMap::new(),
        }
    }
}

/// `[site.pipeline.grid]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridSettings {
    /// Voxel edge, metres.
    pub pitch_m: f32,
    /// Layers; 1 for a planar image.
    pub layers: u32,
}

impl Default for GridSettings {
    fn default() -> Self {
        Self {
            pitch_m: 0.25,
            layers: 1,
        }
    }
}

/// `[site.pipeline.front]`: the host's own stages.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrontSettings {
    /// Length of the empty-room calibration, seconds.
    pub calibration_s: Option<f32>,
    /// Seconds over which motion is judged.
    pub motion_window_s: Option<f32>,
    /// A link moves when its statistic exceeds this multiple of its own quiet level.
    pub motion_ratio: Option<f32>,
    /// An occupied state lasts at least this long, seconds.
    pub minimum_dwell_s: Option<f32>,
    /// Probability of somebody from which a place is occupied, and below which it is empty again.
    pub occupied: Option<[f32; 2]>,
    /// Probability of motion, given somebody, from which they move, and below which they are still again.
    pub moving: Option<[f32; 2]>,
}

/// `[site.retention]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// What happens to raw input.
    pub raw: RawStore,
    /// Raw input is kept this long, minutes.
    pub raw_minutes: u32,
    /// Outcomes and the secrets behind their salts are kept this long, hours.
    pub outcome_hours: u32,
    /// Leaves are kept this long once they are rolled up, hours; never less than outcomes.
    pub leaf_hours: u32,
    /// How long what they add up to is kept.
    pub rollup: RollupRetention,
}

/// `[site.retention.rollup]`: days are kept for ever.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollupRetention {
    /// Seconds are kept this long, hours.
    pub second_hours: u32,
    /// Minutes are kept this long, days.
    pub minute_days: u32,
    /// Hours are kept this long, days.
    pub hour_days: u32,
    /// Most megabytes of rows of each level but days; the oldest go first.
    pub megabytes: u32,
}

impl Default for RollupRetention {
    fn default() -> Self {
        Self {
            second_hours: 24,
            minute_days: 60,
            hour_days: 1098,
            megabytes: 512,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw: RawStore::Disk,
            raw_minutes: 15,
            outcome_hours: 24,
            leaf_hours: 24,
            rollup: RollupRetention::default(),
        }
    }
}

impl Fleet {
    /// Reads and checks a fleet file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let found = std::fs::metadata(path).map_err(read)?.len();
        if found > limits::FILE_BYTES as u64 {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
                found,
                allowed: limits::FILE_BYTES,
            });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(read)?, path)
    }

    /// Checks the text of a fleet file; `path` is for messages and for what the file names relative to itself.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let syntax = |key: String, error: &toml::de::Error| {
            let (line, column) = error.span().map_or((0, 0), |span| line_column(text, span.start));
            ConfigError::Syntax {
                path: path.to_owned(),
                line,
                column,
                key,
                message: error.message().to_owned(),
            }
        };
        let deserializer = toml::Deserializer::parse(text).map_err(|e| syntax(".".to_owned(), &e))?;
        let mut fleet: Self = serde_path_to_error::deserialize(deserializer).map_err(|e| {
            let key = e.path().to_string();
            syntax(key, e.inner())
        })?;
        let document = text.parse().map_err(|e| syntax(".".to_owned(), &e))?;
        super::inherit::inherit(&mut fleet, &document).map_err(|e| syntax("defaults".to_owned(), &e))?;
        text.clone_into(&mut fleet.text);
        path.clone_into(&mut fleet.path);
        super::site::check(&fleet)?;
        Ok(fleet)
    }

    /// Where the tokens are.
    pub fn tokens_path(&self) -> PathBuf {
        let named = self.server.tokens.clone();
        named.unwrap_or_else(|| self.store.dir.join("tokens.json"))
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FleetStore {
    /// Where the anchor file is.
    pub fn anchor(&self) -> PathBuf {
        self.anchor
            .clone()
            .unwrap_or_else(|| crate::log::default_anchor_path(&self.dir))
    }
}

/// Line and column, from 1, of a byte offset.
pub(super) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}
