//! Which sum, maximum and map entry of a [`super::Row`] is what, by kind. A slot is 50 ms: one cycle.

/// Of [`super::Kind::Cycles`].
pub mod cycles {
    /// Cycles.
    pub const CYCLES: usize = 0;
    /// Ticks without a cycle, counted where the next cycle lies.
    pub const MISSED: usize = 1;
    /// Cycles by decision of the gate, four: accept, predict only, reject, recalibrate.
    pub const GATE: usize = 2;
    /// Cycles by outcome code, five.
    pub const CODE: usize = 6;
    /// Cycles by privacy class, four.
    pub const CLASS: usize = 11;
    /// Cycles with a quality.
    pub const QUALITY_N: usize = 15;
    /// Sum of their qualities in units of 2^-16.
    pub const QUALITY: usize = 16;
    /// Cycles that used a simulated frame.
    pub const SIMULATED: usize = 17;
    /// Cycles whose class was stricter than their mode's.
    pub const DEMOTED: usize = 18;
}

/// Of [`super::Kind::Area`]. The map counts finished stays by [`super::bucket`] of their length in seconds.
pub mod area {
    /// Cycles by state, four: unknown, empty, occupied and moving, occupied and still.
    pub const STATE: usize = 0;
    /// Cycles by number of people, nine: 0 to 6, seven or more, unknown.
    pub const PEOPLE: usize = 4;
    /// Stays that began.
    pub const ENTRIES: usize = 13;
    /// Stays that ended.
    pub const STAYS: usize = 14;
    /// Sum of the lengths of the stays that ended, seconds.
    pub const STAY_S: usize = 15;
    /// Maximum: the longest stay that ended, seconds.
    pub const LONGEST_S: usize = 0;
}

/// Of [`super::Kind::Link`]; all paths between two radios together.
pub mod link {
    /// Reports: paths times cycles.
    pub const REPORTS: usize = 0;
    /// Reports with a frame in their slot.
    pub const FRESH: usize = 1;
    /// Reports with a coherence.
    pub const COHERENCE_N: usize = 2;
    /// Sum of the coherences in units of 2^-16.
    pub const COHERENCE: usize = 3;
    /// Reports with a motion ratio.
    pub const MOTION_N: usize = 4;
    /// Sum of the motion ratios in units of 2^-10.
    pub const MOTION: usize = 5;
    /// Maximum: the largest motion ratio in units of 2^-10.
    pub const MOTION_MAX: usize = 0;
    /// Maximum: 2^16 less the least coherence in units of 2^-16.
    pub const COHERENCE_LEAST: usize = 1;
}

/// Of [`super::Kind::Flow`].
pub mod flow {
    /// People who went.
    pub const CROSSINGS: usize = 0;
}

/// Of [`super::Kind::Heat`]. The map counts person-cycles by cell ([`super::cell_at`]).
pub mod heat {
    /// Person-cycles in all cells.
    pub const TOTAL: usize = 0;
}

/// Of [`super::Kind::Stages`]. The map counts cycles by `stage << 16 | bucket` of microseconds; stage 0 is the cycle.
pub mod stages {
    /// Cycles with times.
    pub const CYCLES: usize = 0;
    /// Sums of the times, microseconds: the cycle, then stages 1 to 9.
    pub const MICROS: usize = 1;
    /// Maximum: the longest cycle, microseconds.
    pub const LONGEST: usize = 0;
}

/// Of [`super::Kind::Person`].
pub mod person {
    /// Cycles with this person.
    pub const CYCLES: usize = 0;
    /// Of which with measurements.
    pub const ACTIVE: usize = 1;
    /// Of which with a position.
    pub const POSITIONS: usize = 2;
    /// Sum of x, millimetres, each with [`ORIGIN_MM`] added.
    pub const X_MM: usize = 3;
    /// Sum of y, millimetres, each with [`ORIGIN_MM`] added.
    pub const Y_MM: usize = 4;
    /// Way from position to position, millimetres.
    pub const WAY_MM: usize = 5;
    /// Makes every coordinate a site may have positive: 10 km, in millimetres.
    pub const ORIGIN_MM: i64 = 10_000_000;
}
