//! The tables: names, columns, units.

use std::borrow::Cow;

use crate::rollup::Kind;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Unix milliseconds; RFC 3339 in CSV.
    Time,
    /// Words.
    Text,
    /// A whole number, not negative.
    Integer,
    /// A number.
    Real,
}

/// A column; its unit is the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// What it holds.
    pub of: Type,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Not known.
    None,
    /// Unix milliseconds.
    Time(i64),
    /// Words.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(u64),
    /// A number.
    Real(f64),
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Cycles: how many, how they ended, what the gate said, quality.
    Operation,
    /// Time of the cycle (stage 0) and of its stages 1 to 9.
    Latency,
    /// State and number of people of the site, its rooms and zones.
    Occupancy,
    /// Pairs of radios.
    Links,
    /// People who went from one place to another.
    Flows,
    /// Time spent in each cell of 0.25 m of a room.
    Heat,
    /// Single people, from cycles whose class let identities out.
    People,
    /// Changes of occupancy.
    Events,
}

impl What {
    /// Every table.
    pub const ALL: [Self; 8] = [
        Self::Operation,
        Self::Latency,
        Self::Occupancy,
        Self::Links,
        Self::Flows,
        Self::Heat,
        Self::People,
        Self::Events,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Latency => "latency",
            Self::Occupancy => "occupancy",
            Self::Links => "links",
            Self::Flows => "flows",
            Self::Heat => "heat",
            Self::People => "people",
            Self::Events => "events",
        }
    }

    /// The table with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.name() == name)
    }

    /// The rollups it is made of; none for [`Self::Events`].
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Self::Operation => Some(Kind::Cycles),
            Self::Latency => Some(Kind::Stages),
            Self::Occupancy => Some(Kind::Area),
            Self::Links => Some(Kind::Link),
            Self::Flows => Some(Kind::Flow),
            Self::Heat => Some(Kind::Heat),
            Self::People => Some(Kind::Person),
            Self::Events => None,
        }
    }

    /// Its columns. All but events begin with `start` and `end` of the window.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Operation => OPERATION,
            Self::Latency => LATENCY,
            Self::Occupancy => OCCUPANCY,
            Self::Links => LINKS,
            Self::Flows => FLOWS,
            Self::Heat => HEAT,
            Self::People => PEOPLE,
            Self::Events => EVENTS,
        }
    }
}

const fn time(name: &'static str) -> Column {
    Column { name, of: Type::Time }
}

const fn text(name: &'static str) -> Column {
    Column { name, of: Type::Text }
}

const fn integer(name: &'static str) -> Column {
    Column {
        name,
        of: Type::Integer,
    }
}

const fn real(name: &'static str) -> Column {
    Column { name, of: Type::Real }
}

const OPERATION: &[Column] = &[
    time("start"),
    time("end"),
    integer("cycles"),
    integer("missed_cycles"),
    integer("gate_accept_cycles"),
    integer("gate_predict_only_cycles"),
    integer("gate_reject_cycles"),
    integer("gate_recalibrate_cycles"),
    integer("ok_cycles"),
    integer("no_input_cycles"),
    integer("stage_fault_cycles"),
    integer("deadline_cycles"),
    integer("rejected_cycles"),
    integer("class_raw_cycles"),
    integer("class_derived_cycles"),
    integer("class_anonymous_cycles"),
    integer("class_restricted_cycles"),
    real("quality_mean"),
    integer("simulated_cycles"),
    integer("demoted_cycles"),
];

const LATENCY: &[Column] = &[
    time("start"),
    time("end"),
    integer("stage"),
    integer("cycles"),
    real("mean_us"),
    integer("p50_us"),
    integer("p99_us"),
];

const OCCUPANCY: &[Column] = &[
    time("start"),
    time("end"),
    text("area"),
    integer("cycles"),
    integer("unknown_cycles"),
    integer("empty_cycles"),
    integer("moving_cycles"),
    integer("still_cycles"),
    integer("people_0_cycles"),
    integer("people_1_cycles"),
    integer("people_2_cycles"),
    integer("people_3_cycles"),
    integer("people_4_cycles"),
    integer("people_5_cycles"),
    integer("people_6_cycles"),
    integer("people_7_or_more_cycles"),
    integer("people_unknown_cycles"),
    integer("entries"),
    integer("stays_ended"),
    integer("stays_ended_s"),
    integer("longest_stay_s"),
];

const LINKS: &[Column] = &[
    time("start"),
    time("end"),
    text("link"),
    integer("reports"),
    integer("fresh_reports"),
    real("coherence_mean"),
    real("coherence_least"),
    real("motion_ratio_mean"),
    real("motion_ratio_largest"),
];

const FLOWS: &[Column] = &[
    time("start"),
    time("end"),
    text("from"),
    text("to"),
    integer("crossings"),
];

const HEAT: &[Column] = &[
    time("start"),
    time("end"),
    text("room"),
    real("x_m"),
    real("y_m"),
    real("person_s"),
];

const PEOPLE: &[Column] = &[
    time("start"),
    time("end"),
    text("person"),
    integer("cycles"),
    integer("active_cycles"),
    real("x_mean_m"),
    real("y_mean_m"),
    real("way_m"),
];

const EVENTS: &[Column] = &[time("t"), integer("cycle"), text("area"), text("occupancy")];
