//! From cycles to the rows of one window.

use std::{borrow::BorrowMut, collections::BTreeMap};

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::{AreaPresence, LinkReport, Outcome, Person, Presence, PresenceState};

use super::{
    fields::{area, cycles, flow, heat, link, person, stages},
    histogram::bucket,
    names::{Names, cell_at},
    row::{End, Kind, Row, Series},
    transitions::People,
};

/// Length of a cycle's slot, milliseconds.
pub const SLOT_MS: i64 = 50;
/// Without a report for this long nobody knows whether a stay went on.
const STAY_GAP_MS: i64 = 10_000;
/// Loosest class under which single people are kept over time: Derived.
const IDENTITY_CLASS: u8 = 1;

/// Rows of one window by series.
pub type Rows = BTreeMap<Series, Row>;

/// A cycle as it is added: its leaf's header and outcome.
#[derive(Clone, Copy, Debug)]
pub struct CycleInput<'c> {
    /// `seq` of its leaf.
    pub seq: u64,
    /// Process start it belongs to.
    pub boot_id: [u8; 16],
    /// 50 ms slot since that start.
    pub tick: u64,
    /// Unix nanoseconds.
    pub wall_ns: i64,
    /// [`tapline_witness::body::OutcomeCode`] as a byte.
    pub outcome_code: u8,
    /// What it published.
    pub outcome: &'c Outcome,
    /// Time of the stages 1 to 9, microseconds; none when it was not kept.
    pub stage_us: Option<[u32; 9]>,
    /// Names in its witnessed configuration.
    pub names: &'c Names,
}

/// Whether a place is occupied, as events tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Occupancy {
    /// Not known.
    Unknown,
    /// Nobody.
    Empty,
    /// Somebody.
    Occupied,
}

impl Occupancy {
    fn of(state: PresenceState) -> Self {
        match state {
            PresenceState::Unknown => Self::Unknown,
            PresenceState::Empty => Self::Empty,
            PresenceState::OccupiedMoving | PresenceState::OccupiedStill => Self::Occupied,
        }
    }
}

/// The occupancy of an area changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// End of the cycle that says so, Unix milliseconds; where nobody looked for a while, of the last one before.
    pub t_ms: i64,
    /// `seq` of the leaf that says so.
    pub seq: u64,
    /// The area.
    pub series: Series,
    /// From now on.
    pub to: Occupancy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct AreaCarry {
    occupancy: Occupancy,
    since_ms: i64,
    last_ms: i64,
}

/// What one cycle has to know of those before it; bounded by areas and people.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Carry {
    boot_id: [u8; 16],
    tick: Option<u64>,
    /// Time of the last cycle, Unix nanoseconds: time as it is counted never goes back.
    pub latest_ns: i64,
    areas: BTreeMap<String, AreaCarry>,
    people: People,
}

/// Adds cycles of one window up. `C`: the carry, lent or owned.
#[derive(Debug)]
pub struct Fold<C> {
    carry: C,
    /// Rows so far.
    pub rows: Rows,
    /// Events so far, in the order of the cycles that say so.
    pub events: Vec<Event>,
    ends: BTreeMap<Series, (u64, End)>,
    last_seq: u64,
}

impl<C: BorrowMut<Carry>> Fold<C> {
    /// An empty window after the cycles that left `carry`.
    pub fn new(carry: C) -> Self {
        Self {
            carry,
            rows: Rows::new(),
            events: Vec::new(),
            ends: BTreeMap::new(),
            last_seq: 0,
        }
    }

    /// Adds a cycle; to be called in the order of the log.
    pub fn add(&mut self, cycle: &CycleInput<'_>) {
        let t_ms = cycle.wall_ns.div_euclid(1_000_000);
        let outcome = cycle.outcome;
        self.last_seq = cycle.seq;
        self.carry.borrow_mut().latest_ns = cycle.wall_ns;
        self.count(cycle);
        self.area(
            cycle,
            t_ms,
            Series::new(Kind::Area, "site"),
            &outcome.presence,
            outcome.people,
        );
        let areas = |list: &[AreaPresence], name: &dyn Fn(u16) -> Series| -> Vec<_> {
            list.iter().map(|a| (name(a.area), a.presence, a.people)).collect()
        };
        let rooms = areas(&outcome.rooms, &|i| cycle.names.room(i));
        let zones = areas(&outcome.zones, &|i| cycle.names.zone(i));
        for (series, presence, people) in rooms.into_iter().chain(zones) {
            self.area(cycle, t_ms, series, &presence, people);
        }
        for report in &outcome.links {
            add_link(self.row(cycle.names.link(report.path)), report);
        }
        for track in &outcome.tracks {
            self.track(cycle, t_ms, track);
        }
        self.carry.borrow_mut().people.forget(t_ms);
        if let Some(times) = cycle.stage_us {
            add_times(self.row(Series::new(Kind::Stages, "")), &times);
        }
    }

    /// The rows, each area's with how it stood at the last cycle.
    pub fn finish(mut self) -> (Rows, Vec<Event>) {
        self.close()
    }

    /// As [`Self::finish`]; the next window follows.
    pub fn close(&mut self) -> (Rows, Vec<Event>) {
        for (series, (seq, end)) in std::mem::take(&mut self.ends) {
            if let Some(row) = self.rows.get_mut(&series) {
                row.end = if seq == self.last_seq { end } else { End::Absent };
            }
        }
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.events))
    }

    fn row(&mut self, series: Series) -> &mut Row {
        self.rows.entry(series).or_default()
    }

    fn count(&mut self, cycle: &CycleInput<'_>) {
        let outcome = cycle.outcome;
        let carry = self.carry.borrow_mut();
        let same_boot = carry.boot_id == cycle.boot_id;
        // A slot is one tick: what lies between two of a boot is missed.
        let missed = match carry.tick {
            Some(before) if same_boot => cycle.tick.saturating_sub(before).saturating_sub(1),
            _ => 0,
        };
        (carry.boot_id, carry.tick) = (cycle.boot_id, Some(cycle.tick));
        let sum = &mut self.row(Series::cycles()).sum;
        sum[cycles::CYCLES] += 1;
        sum[cycles::MISSED] += missed;
        sum[cycles::GATE + outcome.gate as usize] += 1;
        sum[cycles::CODE + usize::from(cycle.outcome_code.min(4))] += 1;
        sum[cycles::CLASS + usize::from(outcome.privacy_class.min(3))] += 1;
        if let Some(score) = outcome.quality.score {
            sum[cycles::QUALITY_N] += 1;
            sum[cycles::QUALITY] += fixed(score, 16);
        }
        sum[cycles::SIMULATED] += u64::from(outcome.simulated);
        sum[cycles::DEMOTED] += u64::from(outcome.demotion != 0);
    }

    fn area(&mut self, cycle: &CycleInput<'_>, t_ms: i64, series: Series, presence: &Presence, people: Option<u16>) {
        let occupancy = Occupancy::of(presence.state);
        let known = self.carry.borrow_mut().areas.get(&series.key).copied();
        let unbroken = known.filter(|a| (0..=STAY_GAP_MS).contains(&(t_ms - a.last_ms)));
        let ended = match (known, unbroken) {
            // Nobody looked for a while: the stay ended when it was last seen.
            (Some(a), None) if a.occupancy == Occupancy::Occupied => Some(a.last_ms - a.since_ms),
            (_, Some(a)) if a.occupancy == Occupancy::Occupied && occupancy != Occupancy::Occupied => {
                Some(t_ms - a.since_ms)
            }
            _ => None,
        };
        let began = occupancy == Occupancy::Occupied && unbroken.is_none_or(|a| a.occupancy != Occupancy::Occupied);
        if let (Some(a), None) = (known, unbroken)
            && a.occupancy != Occupancy::Unknown
        {
            self.events.push(Event {
                t_ms: a.last_ms,
                seq: cycle.seq,
                series: series.clone(),
                to: Occupancy::Unknown,
            });
        }
        // While nobody looked it was not known.
        let before = known.map(|_| unbroken.map_or(Occupancy::Unknown, |a| a.occupancy));
        let changed = before != Some(occupancy);
        let since_ms = match unbroken {
            Some(a) if !changed => a.since_ms,
            _ => t_ms,
        };
        let carry = AreaCarry {
            occupancy,
            since_ms,
            last_ms: t_ms,
        };
        self.carry.borrow_mut().areas.insert(series.key.clone(), carry);
        if changed {
            self.events.push(Event {
                t_ms,
                seq: cycle.seq,
                series: series.clone(),
                to: occupancy,
            });
        }
        let people = people.map_or(8, |n| n.min(7) as u8);
        let end = End::Known {
            state: presence.state as u8,
            people,
        };
        self.ends.insert(series.clone(), (cycle.seq, end));
        let row = self.row(series);
        row.sum[area::STATE + presence.state as usize] += 1;
        row.sum[area::PEOPLE + usize::from(people)] += 1;
        row.sum[area::ENTRIES] += u64::from(began);
        if let Some(ms) = ended {
            let seconds = u32::try_from(ms.max(0) / 1_000).unwrap_or(u32::MAX);
            row.sum[area::STAYS] += 1;
            row.sum[area::STAY_S] += u64::from(seconds);
            row.peak[area::LONGEST_S] = row.peak[area::LONGEST_S].max(u64::from(seconds));
            *row.map.entry(bucket(seconds)).or_default() += 1;
        }
    }

    fn track(&mut self, cycle: &CycleInput<'_>, t_ms: i64, track: &Person) {
        let position = match track.position_m {
            [Some(x), Some(y), _] => Some([x, y]),
            _ => None,
        };
        let mut way_mm = 0;
        if let (true, Some(at)) = (track.active, position) {
            let row = self.row(cycle.names.heat(at));
            row.sum[heat::TOTAL] += 1;
            *row.map.entry(cell_at(at)).or_default() += 1;
            let step = self
                .carry
                .borrow_mut()
                .people
                .step(track.id, t_ms, at, cycle.names.place(at));
            way_mm = step.way_mm;
            if let Some((from, to)) = step.crossing {
                self.row(Series::new(Kind::Flow, format!("{from}>{to}"))).sum[flow::CROSSINGS] += 1;
            }
        }
        if cycle.outcome.privacy_class > IDENTITY_CLASS {
            return;
        }
        let sum = &mut self.row(Series::new(Kind::Person, track.id.to_string())).sum;
        sum[person::CYCLES] += 1;
        sum[person::ACTIVE] += u64::from(track.active);
        if let Some([x, y]) = position {
            let millimetres = |m: f32| ((f64::from(m) * 1_000.0) as i64 + person::ORIGIN_MM).max(0) as u64;
            sum[person::POSITIONS] += 1;
            sum[person::X_MM] += millimetres(x);
            sum[person::Y_MM] += millimetres(y);
        }
        sum[person::WAY_MM] += way_mm;
    }
}

fn add_link(row: &mut Row, report: &LinkReport) {
    row.sum[link::REPORTS] += 1;
    row.sum[link::FRESH] += u64::from(report.age_ms.is_some_and(|ms| i64::from(ms) < SLOT_MS));
    if let Some(coherence) = report.coherence {
        let coherence = fixed(coherence, 16);
        row.sum[link::COHERENCE_N] += 1;
        row.sum[link::COHERENCE] += coherence;
        let least = (1_u64 << 16).saturating_sub(coherence);
        row.peak[link::COHERENCE_LEAST] = row.peak[link::COHERENCE_LEAST].max(least);
    }
    if let Some(ratio) = report.motion_ratio {
        let ratio = fixed(ratio, 10);
        row.sum[link::MOTION_N] += 1;
        row.sum[link::MOTION] += ratio;
        row.peak[link::MOTION_MAX] = row.peak[link::MOTION_MAX].max(ratio);
    }
}

fn add_times(row: &mut Row, times: &[u32; 9]) {
    let cycle = times.iter().fold(0_u32, |sum, t| sum.saturating_add(*t));
    row.sum[stages::CYCLES] += 1;
    row.peak[stages::LONGEST] = row.peak[stages::LONGEST].max(u64::from(cycle));
    for (stage, micros) in std::iter::once(cycle).chain(*times).enumerate() {
        row.sum[stages::MICROS + stage] += u64::from(micros);
        *row.map.entry((stage as u32) << 16 | bucket(micros)).or_default() += 1;
    }
}

/// A number that is not negative in units of `2^-bits`, rounded down; at most 2^20.
fn fixed(value: f32, bits: u32) -> u64 {
    let capped = f64::from(value).clamp(0.0, f64::from(1 << 20));
    (capped * f64::from(1_u32 << bits)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Occupied when the power went, and not known when it came back: the site was said to have been occupied until then.
    #[test]
    fn what_nobody_saw_is_not_known() {
        use Occupancy::{Occupied, Unknown};
        const HOUR_MS: i64 = 3_600_000;
        let names = Names::of("");
        let mut carry = Carry::default();
        let mut fold = Fold::new(&mut carry);
        let mut add = |t_ms: i64, seq, state| {
            let mut outcome = Outcome::default();
            outcome.presence.state = state;
            fold.add(&CycleInput {
                seq,
                boot_id: [0; 16],
                tick: seq,
                wall_ns: t_ms * 1_000_000,
                outcome_code: 0,
                outcome: &outcome,
                stage_us: None,
                names: &names,
            });
        };
        let (came, went, back) = (17 * HOUR_MS, 17 * HOUR_MS + 9_000, 32 * HOUR_MS);
        add(came, 1, PresenceState::OccupiedStill);
        add(went, 2, PresenceState::OccupiedStill);
        add(back, 3, PresenceState::Unknown);
        add(back + 50, 4, PresenceState::OccupiedMoving);
        // Two hours without power while somebody is there: they may have left and come back.
        add(back + 2 * HOUR_MS, 5, PresenceState::OccupiedMoving);
        // And two while nothing was known.
        add(back + 2 * HOUR_MS + 50, 6, PresenceState::Unknown);
        add(back + 4 * HOUR_MS, 7, PresenceState::Unknown);
        let events: Vec<_> = fold.finish().1.iter().map(|e| (e.t_ms, e.seq, e.to)).collect();
        assert_eq!(
            events,
            [
                (came, 1, Occupied),
                (went, 3, Unknown),
                (back + 50, 4, Occupied),
                (back + 50, 5, Unknown),
                (back + 2 * HOUR_MS, 5, Occupied),
                (back + 2 * HOUR_MS + 50, 6, Unknown),
            ]
        );
    }
}
