//! What the front end is built from, and what it refuses.

use thiserror::Error;

use crate::{calibration::PathIdentity, gate::GateConfig, motion::WindowConfig, presence::PresenceConfig, tier::Tier};

/// Most link paths of a site.
pub const PATHS_MAX: usize = 4096;
/// Most rooms and zones of a site.
pub const AREAS_MAX: usize = 1024;

/// What a path measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Channel state information on the tones of a tier.
    Csi {
        /// The PHY tier of the frames.
        tier: Tier,
        /// Centre frequency, kHz.
        centre_khz: u32,
    },
    /// Received strength alone.
    Rss,
}

/// One link path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSpec {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// Antenna of the transmitter.
    pub tx_antenna: u8,
    /// Antenna of the receiver.
    pub rx_antenna: u8,
    /// Channel number.
    pub channel: u16,
    /// What it measures.
    pub kind: PathKind,
}

impl PathSpec {
    /// The identity under which its calibration is kept.
    pub fn identity(&self) -> PathIdentity {
        PathIdentity {
            tx: self.tx,
            rx: self.rx,
            tx_antenna: self.tx_antenna,
            rx_antenna: self.rx_antenna,
            channel: self.channel,
            tier: match self.kind {
                PathKind::Csi { tier, .. } => Some(tier.code() as u8),
                PathKind::Rss => None,
            },
        }
    }

    /// Values a frame of this path carries: its tier's tones, or one.
    pub fn channels(&self) -> usize {
        match self.kind {
            PathKind::Csi { tier, .. } => tier.tones(),
            PathKind::Rss => 1,
        }
    }
}

/// A room or a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// True for a room, false for a zone.
    pub is_room: bool,
    /// Index of the room: its own, or the one a zone lies in.
    pub room: u16,
    /// Outline, metres, at least three corners, without the closing one.
    pub outline_m: Vec<[f32; 2]>,
}

/// What [`super::Front`] is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontConfig {
    /// Link paths, ascending by (tx, rx, tx antenna, rx antenna, channel).
    pub paths: Vec<PathSpec>,
    /// Node positions, metres, ascending by node id. A node without one still counts for the site, not for areas.
    pub nodes: Vec<(u16, [f32; 3])>,
    /// Rooms and zones, in the order the caller wants them back.
    pub areas: Vec<Area>,
    /// Length of a cycle, seconds.
    pub step_s: f32,
    /// A path keeps its last frame up to this age (hard guard), seconds.
    pub frame_age_max_s: f32,
    /// A spread of the newest frames beyond this lowers the clock quality (soft guard), seconds.
    pub spread_soft_s: f32,
    /// Windows of the motion statistic.
    pub window: WindowConfig,
    /// Smallest outlier of the gain-normalised amplitude that the Hampel filter takes out.
    pub hampel_floor: f32,
    /// Time constant of the slow profile that drift is judged by, seconds.
    pub slow_profile_s: f32,
    /// Motion ratio below which a link's slow profile is updated.
    pub slow_ratio_max: f32,
    /// Presence filter.
    pub presence: PresenceConfig,
    /// Coherence gate.
    pub gate: GateConfig,
}

impl Default for FrontConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            nodes: Vec::new(),
            areas: Vec::new(),
            step_s: 0.05,
            frame_age_max_s: 0.06,
            spread_soft_s: 0.02,
            window: WindowConfig::default(),
            hampel_floor: 0.02,
            slow_profile_s: 15.0,
            slow_ratio_max: 2.0,
            presence: PresenceConfig::default(),
            gate: GateConfig::default(),
        }
    }
}

impl FrontConfig {
    /// Checks everything [`super::Front::new`] relies on.
    ///
    /// # Errors
    /// [`FrontError`], naming the entry.
    pub fn check(&self) -> Result<(), FrontError> {
        for (what, found, most) in [
            ("paths", self.paths.len(), PATHS_MAX),
            ("areas", self.areas.len(), AREAS_MAX),
        ] {
            if found > most {
                return Err(FrontError::TooMany { what, found, most });
            }
        }
        if let Some(at) = (1..self.paths.len()).find(|&i| self.paths[i - 1].identity() >= self.paths[i].identity()) {
            return Err(FrontError::Order { what: "paths", at });
        }
        if let Some(at) = (1..self.nodes.len()).find(|&i| self.nodes[i - 1].0 >= self.nodes[i].0) {
            return Err(FrontError::Order { what: "nodes", at });
        }
        if let Some((node, _)) = self.nodes.iter().find(|(_, p)| p.iter().any(|v| !v.is_finite())) {
            return Err(FrontError::Number {
                what: "position of a node",
                found: f32::from(*node),
            });
        }
        for (at, area) in self.areas.iter().enumerate() {
            let finite = area.outline_m.iter().flatten().all(|v| v.is_finite());
            if area.outline_m.len() < 3 || !finite {
                return Err(FrontError::Outline {
                    at,
                    corners: area.outline_m.len(),
                });
            }
        }
        let p = &self.presence;
        for (what, value) in [
            ("step_s", self.step_s),
            ("frame_age_max_s", self.frame_age_max_s),
            ("spread_soft_s", self.spread_soft_s),
            ("window_s", self.window.window_s),
            ("window_max_s", self.window.window_max_s),
            ("lag_max_s", self.window.lag_max_s),
            ("slow_profile_s", self.slow_profile_s),
            ("ratio_threshold", p.ratio_threshold),
            ("slope", p.slope),
            ("rss_slope", p.rss_slope),
            ("evidence_age_max_s", p.evidence_age_max_s),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(FrontError::Number { what, found: value });
            }
        }
        let frames = self.window.frames_max;
        if !(8..=4096).contains(&frames) {
            return Err(FrontError::TooMany {
                what: "window frames",
                found: frames,
                most: 4096,
            });
        }
        Ok(())
    }
}

/// Why the front end cannot be built, fed or restored.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FrontError {
    /// A list is too long (or, for window frames, outside 8 to 4096).
    #[error("{found} {what}, allowed are {most}")]
    TooMany {
        /// The list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// A list is not strictly ascending.
    #[error("{what} must ascend without repetition, entry {at} does not")]
    Order {
        /// The list.
        what: &'static str,
        /// The first entry out of order.
        at: usize,
    },
    /// A number is not usable.
    #[error("{what} must be a finite, positive number, found {found}")]
    Number {
        /// The field.
        what: &'static str,
        /// Its value.
        found: f32,
    },
    /// An outline is not a polygon.
    #[error("the outline of area {at} needs three or more corners with finite coordinates, found {corners} corners")]
    Outline {
        /// Index of the area.
        at: usize,
        /// Corners found.
        corners: usize,
    },
    /// A frame for a path that does not exist or is of the other kind.
    #[error("path {path} takes no such frame: the site has {paths} paths, and each is either CSI or RSS")]
    Path {
        /// The path named.
        path: usize,
        /// Paths of the site.
        paths: usize,
    },
    /// A frame with the wrong number of tones.
    #[error("path {path} has {expected} tones, the frame has {found}")]
    Tones {
        /// The path.
        path: usize,
        /// Tones of its tier.
        expected: usize,
        /// Tones in the frame (or entries in its mask).
        found: usize,
    },
    /// An exported state does not belong to this configuration, or is damaged.
    #[error("the state cannot be restored: {reason}")]
    State {
        /// What was expected and found.
        reason: String,
    },
}
