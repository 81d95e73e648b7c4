//! The vocabulary: kinds of nodes and edges, ids, provenance.

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::{PresenceState, Reason};

/// Identity of a node: its kind and a number that is stable while the log lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum NodeId {
    /// Index in the witnessed configuration.
    Room(u16),
    /// Index in the witnessed configuration.
    Zone(u16),
    /// Room index and number of the wall, counter-clockwise from the first corner.
    Wall(u16, u16),
    /// Index in the witnessed configuration.
    Doorway(u16),
    /// Node id of the configuration.
    Sensor(u16),
    /// Transmitter and receiver.
    RfLink(u16, u16),
    /// Published identity of a person.
    PersonTrack(u64),
    /// Occupancy of the site (`None`) or of an area index of the front stage.
    SemanticState(Option<u16>),
    /// Number of the event since the log began.
    Event(u64),
    /// Index in the witnessed configuration.
    ObjectAnchor(u16),
    /// What the site lets out: the privacy in force.
    Privacy,
}

/// Kind of a node, for filters and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// A room.
    Room,
    /// A zone in a room.
    Zone,
    /// A wall of a room.
    Wall,
    /// A door.
    Doorway,
    /// A radio.
    Sensor,
    /// A pair of radios.
    RfLink,
    /// A person.
    PersonTrack,
    /// What is believed about an area.
    SemanticState,
    /// Something that happened.
    Event,
    /// A thing that stays in its place.
    ObjectAnchor,
}

impl NodeKind {
    /// The name in store and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Room => "Room",
            Self::Zone => "Zone",
            Self::Wall => "Wall",
            Self::Doorway => "Doorway",
            Self::Sensor => "Sensor",
            Self::RfLink => "RfLink",
            Self::PersonTrack => "PersonTrack",
            Self::SemanticState => "SemanticState",
            Self::Event => "Event",
            Self::ObjectAnchor => "ObjectAnchor",
        }
    }
}

impl NodeId {
    /// Its kind.
    pub const fn kind(self) -> NodeKind {
        match self {
            Self::Room(_) => NodeKind::Room,
            Self::Zone(_) => NodeKind::Zone,
            Self::Wall(..) => NodeKind::Wall,
            Self::Doorway(_) => NodeKind::Doorway,
            Self::Sensor(_) => NodeKind::Sensor,
            Self::RfLink(..) => NodeKind::RfLink,
            Self::PersonTrack(_) => NodeKind::PersonTrack,
            Self::SemanticState(_) | Self::Privacy => NodeKind::SemanticState,
            Self::Event(_) => NodeKind::Event,
            Self::ObjectAnchor(_) => NodeKind::ObjectAnchor,
        }
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(i) => write!(f, "room:{i}"),
            Self::Zone(i) => write!(f, "zone:{i}"),
            Self::Wall(r, i) => write!(f, "wall:{r}.{i}"),
            Self::Doorway(i) => write!(f, "door:{i}"),
            Self::Sensor(i) => write!(f, "node:{i}"),
            Self::RfLink(tx, rx) => write!(f, "link:{tx}-{rx}"),
            Self::PersonTrack(i) => write!(f, "person:{i}"),
            Self::SemanticState(None) => write!(f, "state:site"),
            Self::SemanticState(Some(i)) => write!(f, "state:{i}"),
            Self::Event(i) => write!(f, "event:{i}"),
            Self::ObjectAnchor(i) => write!(f, "object:{i}"),
            Self::Privacy => f.write_str("state:privacy"),
        }
    }
}

/// Kind of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum EdgeKind {
    /// A link observes a room; a sensor observes a link.
    Observes,
    /// A thing or person is in a place.
    LocatedIn,
    /// A door joins a wall or room.
    AdjacentTo,
    /// What a link measures, or a person who is followed, speaks for a belief.
    Supports,
    /// It speaks against a belief.
    Contradicts,
    /// A belief follows from another.
    DerivedFrom,
    /// A belief is coarser than it could be, for privacy.
    PrivacyLimitedBy,
}

impl EdgeKind {
    /// The name in store and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observes => "Observes",
            Self::LocatedIn => "LocatedIn",
            Self::AdjacentTo => "AdjacentTo",
            Self::Supports => "Supports",
            Self::Contradicts => "Contradicts",
            Self::DerivedFrom => "DerivedFrom",
            Self::PrivacyLimitedBy => "PrivacyLimitedBy",
        }
    }
}

/// An edge. Its ends are the beliefs that held when it began: an id outlives a belief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Edge {
    /// From.
    pub from: NodeId,
    /// Kind.
    pub kind: EdgeKind,
    /// To.
    pub to: NodeId,
}

/// Since when and until when something holds, by cycle number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Interval {
    /// First cycle.
    pub from_cycle: u64,
    /// Last cycle so far.
    pub to_cycle: u64,
}

/// Where a belief comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Provenance {
    /// The witnessed configuration.
    Configuration,
    /// The outcome of the cycles of its interval.
    Cycles,
}

/// What is known of a node beside its id.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Node {
    /// Part of the configuration.
    Fixed {
        /// Name for people.
        name: String,
        /// Where it is.
        place: Place,
    },
    /// A person's last published position and speed.
    Person {
        /// Metres; none where the radio cannot tell.
        position_m: [Option<f32>; 3],
        /// Standard deviation, metres.
        sigma_m: f32,
    },
    /// What is believed about an area.
    State {
        /// Presence.
        presence: PresenceState,
        /// Why.
        reason: Reason,
    },
    /// A change of an area's presence.
    Event {
        /// The area, as in [`NodeId::SemanticState`].
        area: Option<u16>,
        /// Before.
        from: PresenceState,
        /// After.
        to: PresenceState,
    },
    /// What the site lets out, as the outcome says it.
    Privacy {
        /// The mode in force.
        mode: u8,
        /// The class after demotion.
        class: u8,
        /// Bits of [`tapline_witness::outcome::demotion`].
        demotion: u8,
    },
}

/// Where a configured thing is: metres east, north and up of the site's origin.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Place {
    /// Nowhere of its own: it lies between other things.
    Between,
    /// A point.
    Point([f32; 3]),
    /// A point of the floor plan.
    Spot([f32; 2]),
    /// From here to there on the floor plan.
    Line([[f32; 2]; 2]),
    /// Corners on the floor plan, in order.
    Outline(Vec<[f32; 2]>),
}
