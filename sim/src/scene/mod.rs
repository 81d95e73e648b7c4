//! The scene file: rooms, furniture, radios and people, in TOML.
//!
//! Every key is documented here and in `docs/simulator.md`; unknown keys are refused, everything is bounded and checked
//! as a whole ([`Scene::check`]) before a simulation starts.

mod check;
mod defaults;
mod effort;
mod library;

use serde::Deserialize;
use tapline_dsp::tier::Tier;

use crate::{error::SceneError, material::LIGHT_M_S, vector::Vec3};

/// Bytes a scene file may have.
pub const SCENE_BYTES_MAX: usize = 256 * 1024;

/// A scene, checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// Identifier: lower-case letters, digits and `-`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Length of the simulation, seconds.
    pub duration_s: f64,
    /// How the radios are used.
    pub radio: Radio,
    /// Air temperature over time.
    #[serde(default)]
    pub temperature: Temperature,
    /// Materials beside the built-in ones.
    #[serde(default)]
    pub material: Vec<MaterialSpec>,
    /// Rooms: boxes aligned with the axes.
    pub room: Vec<Room>,
    /// Named parts of rooms.
    #[serde(default)]
    pub zone: Vec<Zone>,
    /// Openings in walls, floor to ceiling.
    #[serde(default)]
    pub door: Vec<Door>,
    /// Boxes that reflect and attenuate.
    #[serde(default)]
    pub furniture: Vec<Furniture>,
    /// Radios.
    pub node: Vec<Node>,
    /// People.
    #[serde(default)]
    pub person: Vec<Person>,
}

/// How the radios are used.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radio {
    /// The datagram format.
    #[serde(default)]
    pub format: Format,
    /// PHY tier: `HT20`, `HT40`, `HE20`, `HE40`, `LLTF-64` or `canonical-56`.
    #[serde(deserialize_with = "tier_by_name")]
    pub tier: Tier,
    /// Carrier frequency, MHz.
    pub centre_mhz: f64,
    /// Transmissions a second of each node; slots are spread evenly over the period.
    pub rate_hz: f64,
    /// Transmit power, dBm.
    #[serde(default = "defaults::transmit_dbm")]
    pub transmit_dbm: f64,
    /// Reflections followed on static paths: 0, 1 or 2.
    #[serde(default = "defaults::reflections")]
    pub reflections: u8,
    /// True: a mesh sync gives every node the epoch, TLF1 capture times are in it (flag b1).
    #[serde(default)]
    pub mesh_time: bool,
    /// Standard deviation of the mesh time of a node, microseconds.
    #[serde(default = "defaults::mesh_sigma_us")]
    pub mesh_sigma_us: f64,
    /// The way from node to host.
    #[serde(default)]
    pub network: Network,
}

/// The datagram format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Tapline's own frame: i16 samples, i8 of an array.
    #[default]
    Tlf1,
    /// What ESP32 firmware sends, i8 samples; neither transmitter, time nor "simulated" are in it.
    Adr018,
}

/// The way from a node to the host.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Least delay, milliseconds.
    pub delay_ms: f64,
    /// Mean of the exponential delay on top of it, milliseconds.
    pub jitter_ms: f64,
    /// Probability that a datagram is held back by `stall_ms` (retransmission, power save): later ones overtake it.
    pub stall: f64,
    /// Longest hold, milliseconds; holds are uniform in (0, stall_ms].
    pub stall_ms: f64,
    /// Probability that a datagram is lost between node and host, up to 0.9.
    pub loss: f64,
    /// Probability that a receiver misses a transmission (collision, deep fade), up to 0.9.
    pub miss: f64,
}

/// Air temperature: `start + amplitude * sin(2 pi t / period)`, plus a ramp.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Temperature {
    /// At the start, degrees Celsius.
    pub start_c: f64,
    /// Kelvin a second.
    pub ramp_k_s: f64,
    /// Kelvin.
    pub amplitude_k: f64,
    /// Seconds.
    pub period_s: f64,
}

/// A material given by its coefficients instead of its permittivity.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaterialSpec {
    /// The name used by rooms and furniture.
    pub name: String,
    /// Amplitude reflection coefficient, -1 to 1, the same at every angle.
    pub reflection: f64,
    /// Amplitude transmission coefficient, 0 to 1.
    pub transmission: f64,
}

/// A room: a box whose faces reflect.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Identifier.
    pub id: String,
    /// Low corner, metres; its floor is at height 0.
    pub min: Vec3,
    /// High corner, metres.
    pub max: Vec3,
    /// Material of the four walls.
    #[serde(default = "defaults::wall")]
    pub wall: String,
    /// Material of the floor.
    #[serde(default = "defaults::floor")]
    pub floor: String,
    /// Material of the ceiling.
    #[serde(default = "defaults::ceiling")]
    pub ceiling: String,
}

/// A named part of a room's floor.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Identifier.
    pub id: String,
    /// The room it lies in.
    pub room: String,
    /// Low corner, metres.
    pub min: [f64; 2],
    /// High corner, metres.
    pub max: [f64; 2],
}

/// An opening in a room's wall.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// Identifier.
    pub id: String,
    /// A room whose wall it is in.
    pub room: String,
    /// Middle of the opening, on that wall, metres.
    pub at: [f64; 2],
    /// Width, metres.
    pub width_m: f64,
}

/// A box that stands in a room, perhaps only for some of the time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Furniture {
    /// Identifier.
    pub id: String,
    /// Low corner, metres.
    pub min: Vec3,
    /// High corner, metres.
    pub max: Vec3,
    /// Material of its sides and top.
    pub material: String,
    /// It stands there from this time, seconds.
    #[serde(default)]
    pub from_s: f64,
    /// ... until this time; for ever when missing.
    pub until_s: Option<f64>,
}

/// A radio.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Identifier, 1 to 65534 (ADR-018: 1 to 255).
    pub id: u16,
    /// Position, metres: of its antenna, or of what the places of its array are told from.
    pub at: Vec3,
    /// Places of its receive antennas from `at`, metres on the floor plane, in the order of its frames; the first also
    /// sends. Empty: one antenna at `at`. Else 2 to 4, with format `tlf1` only.
    #[serde(default)]
    pub antennas_m: Vec<[f64; 2]>,
    /// Chip: sets the bin order of ADR-018 frames.
    #[serde(default)]
    pub chip: Chip,
    /// What it does.
    #[serde(default)]
    pub role: Role,
    /// Antenna; all of an array are alike.
    #[serde(default)]
    pub antenna: Antenna,
    /// Receiver noise figure, dB.
    #[serde(default = "defaults::noise_figure_db")]
    pub noise_figure_db: f64,
    /// Modulation error of the transmitter, dB below its signal.
    #[serde(default = "defaults::evm_db")]
    pub evm_db: f64,
    /// Clock at the start of the simulation against true time, milliseconds.
    #[serde(default)]
    pub clock_offset_ms: f64,
    /// Crystal offset, parts per million: carrier, sampling clock and timestamps alike.
    #[serde(default)]
    pub crystal_ppm: f64,
    /// Change of the crystal with temperature, ppm per kelvin.
    #[serde(default)]
    pub crystal_ppm_k: f64,
    /// Change of the receiver gain with temperature, dB per kelvin.
    #[serde(default)]
    pub gain_db_k: f64,
    /// Phase jitter of the oscillator from frame to frame, degrees.
    #[serde(default = "defaults::phase_noise_deg")]
    pub phase_noise_deg: f64,
    /// Jitter of the receiver's symbol timing, nanoseconds.
    #[serde(default = "defaults::timing_sigma_ns")]
    pub timing_sigma_ns: f64,
    /// What the symbol timing is aligned to.
    #[serde(default)]
    pub timing: Timing,
    /// Step of the automatic gain control, dB.
    #[serde(default = "defaults::agc_step_db")]
    pub agc_step_db: f64,
    /// Error of the power measurement that sets the gain, dB.
    #[serde(default = "defaults::agc_sigma_db")]
    pub agc_sigma_db: f64,
    /// The node reboots at this time: its sequence restarts and its boot count rises.
    pub reboot_s: Option<f64>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Transmits in its slot, receives in the others' and reports.
    #[default]
    Sensor,
    /// Only transmits: an access point.
    Transmitter,
    /// Only receives and reports.
    Receiver,
}

/// What a receiver aligns its symbol timing to; the delay itself it cannot know without a common clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// The direct path.
    #[default]
    Direct,
    /// The mean phase slope over the tones is taken out, as ESP32s seem to do (docs/simulator.md).
    Slope,
    /// The receiver's own sampling grid, two samples early: timing slides over a sample as the clocks drift.
    Grid,
}

/// The chip family: sets the bin order of ADR-018 frames (TLF1 has one order).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chip {
    /// 0..31, -32..-1, and the first word is no channel.
    Esp32,
    /// 0..31, -32..-1.
    #[default]
    Esp32s3,
    /// 0..31, -32..-1.
    Esp32c3,
    /// -32..31.
    Esp32c5,
    /// -32..31.
    Esp32c6,
}

/// An antenna: gain by direction.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
pub enum Antenna {
    /// 0 dBi everywhere.
    Isotropic {},
    /// Upright half-wave dipole, 2.15 dBi at the horizon.
    Dipole {},
    /// `((1 + cos) / 2)^n` lobe towards an azimuth, with a floor behind. The whole is scaled so that no more is radiated
    /// than is fed: both gains are lower by what the floor adds (0.3 dB with 6 and -10 dBi).
    Patch {
        /// Direction of the lobe, degrees from east towards north.
        azimuth_deg: f64,
        /// Gain of the lobe, dBi.
        gain_dbi: f64,
        /// Gain behind, dBi.
        back_dbi: f64,
    },
}

/// A person and what they do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Identifier, 1 or more.
    pub id: u32,
    /// Height, metres.
    #[serde(default = "defaults::height_m")]
    pub height_m: f64,
    /// Where they are at `appear_s`, metres.
    pub start: [f64; 2],
    /// Direction they face at first, degrees from east towards north.
    #[serde(default)]
    pub facing_deg: f64,
    /// They are there from this time, seconds.
    #[serde(default)]
    pub appear_s: f64,
    /// True: the script starts again when it ends (it must end where it started). False: they stay as they are.
    #[serde(default)]
    pub repeat: bool,
    /// Breaths a minute.
    #[serde(default = "defaults::breaths_min")]
    pub breaths_min: f64,
    /// Movement of the chest wall from trough to peak, millimetres.
    #[serde(default = "defaults::breath_mm")]
    pub breath_mm: f64,
    /// What they do, in order.
    #[serde(default, rename = "do")]
    pub script: Vec<Action>,
}

/// One action: exactly one of `walk`, `stand_s`, `sit_s`, `away_s`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Walk through these points without stopping; corners are rounded.
    pub walk: Option<Vec<[f64; 2]>>,
    /// Walking speed, metres a second (with `walk` only).
    pub speed_m_s: Option<f64>,
    /// Stand still and breathe for so long.
    pub stand_s: Option<f64>,
    /// Sit down, breathe, get up again: so long in all.
    pub sit_s: Option<f64>,
    /// Not there at all for so long; only outside of every room.
    pub away_s: Option<f64>,
}

impl Node {
    /// How many receive antennas it has, 1 to 4.
    pub(crate) fn antennas(&self) -> usize {
        self.antennas_m.len().max(1)
    }

    /// Places of its receive antennas, metres; the first also sends.
    pub(crate) fn places(&self) -> impl Iterator<Item = Vec3> + '_ {
        (0..self.antennas()).map(|antenna| match self.antennas_m.get(antenna) {
            Some([x_m, y_m]) => self.at + Vec3::new(*x_m, *y_m, 0.0),
            None => self.at,
        })
    }
}

impl Scene {
    /// Reads and checks a scene.
    ///
    /// # Errors
    /// [`SceneError`]: what was expected, what was found, where.
    pub fn from_toml(text: &str) -> Result<Self, SceneError> {
        if text.len() > SCENE_BYTES_MAX {
            return Err(SceneError::TooLarge {
                found: text.len(),
                limit: SCENE_BYTES_MAX,
            });
        }
        let scene: Self = toml::from_str(text)?;
        scene.check()?;
        Ok(scene)
    }

    /// Checks the scene as a whole: after its fields were changed (a longer `duration_s`, say).
    ///
    /// # Errors
    /// [`SceneError::Invalid`]: what was expected, what was found, where.
    pub fn check(&self) -> Result<(), SceneError> {
        check::check(self)
    }

    /// A built-in scene by name. `NAME-arrays` is scene `NAME` [with arrays](Self::with_arrays) of four antennas, for
    /// every built-in scene with format `tlf1`.
    ///
    /// # Errors
    /// [`SceneError::Unknown`] with the names there are; for arrays with format `adr018`, [`SceneError::Invalid`].
    pub fn builtin(name: &str) -> Result<Self, SceneError> {
        library::builtin(name)
    }

    /// The names of the built-in scenes, `demo` first. Of those with arrays one is listed.
    pub fn names() -> impl Iterator<Item = &'static str> {
        library::names()
    }

    /// The same scene with so many antennas at every node, 2 to 4: in a line through `at`, centred on it, half a
    /// wavelength of the carrier apart, across the direction to the middle of the node's room (of the first room, for a
    /// node outside of all).
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn with_arrays(mut self, antennas: usize) -> Result<Self, SceneError> {
        self.check()?;
        self.name += library::ARRAYS_SUFFIX;
        self.title += ", seen by arrays of antennas";
        let spacing_m = 0.5 * LIGHT_M_S / (self.radio.centre_mhz * 1e6);
        for i in 0..self.node.len() {
            let at = self.node[i].at;
            let room = &self.room[self.room_at(at.x, at.y).unwrap_or(0)];
            let way = room.min.lerp(room.max, 0.5) - at;
            let ahead = Vec3::new(way.x, way.y, 0.0).unit();
            self.node[i].antennas_m = (0..antennas)
                .map(|antenna| {
                    let along_m = spacing_m * (antenna as f64 - 0.5 * (antennas as f64 - 1.0));
                    [-ahead.y * along_m, ahead.x * along_m]
                })
                .collect();
        }
        self.check()?;
        Ok(self)
    }

    /// When the first person comes, seconds; none when nobody ever does.
    pub fn first_person_s(&self) -> Option<f64> {
        self.person.iter().map(|p| p.appear_s).min_by(f64::total_cmp)
    }

    /// Puts off everything that happens, and the end, by some seconds. What stands in the room from the start still does.
    pub(crate) fn begin_later(&mut self, by_s: f64) {
        self.duration_s += by_s;
        for person in &mut self.person {
            person.appear_s += by_s;
        }
        for furniture in &mut self.furniture {
            if furniture.from_s > 0.0 {
                furniture.from_s += by_s;
            }
            furniture.until_s = furniture.until_s.map(|t| t + by_s);
        }
        for node in &mut self.node {
            node.reboot_s = node.reboot_s.map(|t| t + by_s);
        }
    }

    /// The index of the room that holds this point of the floor plan.
    pub(crate) fn room_at(&self, x_m: f64, y_m: f64) -> Option<usize> {
        self.room
            .iter()
            .position(|r| within(x_m, y_m, [r.min.x, r.min.y], [r.max.x, r.max.y]))
    }

    /// The index of the first zone that holds this point of the floor plan.
    pub(crate) fn zone_at(&self, x_m: f64, y_m: f64) -> Option<usize> {
        self.zone.iter().position(|z| within(x_m, y_m, z.min, z.max))
    }
}

fn within(x: f64, y: f64, min: [f64; 2], max: [f64; 2]) -> bool {
    x >= min[0] && x < max[0] && y >= min[1] && y < max[1]
}

fn tier_by_name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Tier, D::Error> {
    let name = String::deserialize(from)?;
    Tier::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| {
        let known: Vec<_> = Tier::ALL.iter().map(|t| t.name()).collect();
        serde::de::Error::custom(format!("expected a tier ({}), found `{name}`", known.join(", ")))
    })
}
