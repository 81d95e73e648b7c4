//! What is counted, and how it adds up.

use std::collections::BTreeMap;

/// Sums a row has room for; [`super::fields`] names them by kind.
pub const SUMS: usize = 20;

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Cycles: how many, how they ended, what the gate said. The reference for rows that were not written.
    Cycles = 0,
    /// Presence of the site, a room or a zone.
    Area = 1,
    /// A pair of radios.
    Link = 2,
    /// People who went from one place to another.
    Flow = 3,
    /// Time spent in each cell of a room.
    Heat = 4,
    /// Time each stage took.
    Stages = 5,
    /// A person; only from cycles whose class lets identities out.
    Person = 6,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Cycles,
        Self::Area,
        Self::Link,
        Self::Flow,
        Self::Heat,
        Self::Stages,
        Self::Person,
    ];

    /// The kind with this number in the store.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// Its name in exports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cycles => "cycles",
            Self::Area => "area",
            Self::Link => "link",
            Self::Flow => "flow",
            Self::Heat => "heat",
            Self::Stages => "stages",
            Self::Person => "person",
        }
    }
}

/// One thing that is counted, by a name that outlives a change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// What is counted.
    pub kind: Kind,
    /// Of what: `site`, `room:ID`, `zone:ID`, `TX-RX`, `FROM>TO`, a person's number; empty where there is only one.
    pub key: String,
}

impl Series {
    /// A series.
    pub fn new(kind: Kind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into() }
    }

    /// The series every window with a cycle has a row of.
    pub fn cycles() -> Self {
        Self::new(Kind::Cycles, "")
    }
}

/// How an area stood at the last cycle of a window: what a row that was not written repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum End {
    /// It was not reported.
    #[default]
    Absent,
    /// State 0 to 3 and bucket 0 to 8 of the number of people.
    Known {
        /// [`tapline_witness::outcome::PresenceState`] as a byte.
        state: u8,
        /// 0 to 6, 7 for seven or more, 8 for unknown.
        people: u8,
    },
}

/// The integers of a series over a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Sums; [`super::fields`] says which is which.
    pub sum: [u64; SUMS],
    /// Maxima.
    pub peak: [u64; 2],
    /// A histogram (bucket to count) or a map (cell to count), by kind.
    pub map: BTreeMap<u32, u64>,
    /// Of an area: how it stood at the end. Merging leaves it alone.
    pub end: End,
}

impl Row {
    /// Adds another row of the same series. Saturates: 2^64 slots are 29 billion years.
    pub fn merge(&mut self, other: &Self) {
        for (to, from) in self.sum.iter_mut().zip(&other.sum) {
            *to = to.saturating_add(*from);
        }
        for (to, from) in self.peak.iter_mut().zip(&other.peak) {
            *to = (*to).max(*from);
        }
        for (key, count) in &other.map {
            let to = self.map.entry(*key).or_default();
            *to = to.saturating_add(*count);
        }
    }

    /// An area that stood like this for `cycles` cycles without any change.
    pub fn steady(end: End, cycles: u64) -> Self {
        let mut row = Self { end, ..Self::default() };
        if let End::Known { state, people } = end {
            row.sum[super::fields::area::STATE + usize::from(state)] = cycles;
            row.sum[super::fields::area::PEOPLE + usize::from(people)] = cycles;
        }
        row
    }

    /// True when nothing was counted.
    pub fn is_zero(&self) -> bool {
        self.sum == [0; SUMS] && self.peak == [0; 2] && self.map.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::rollup) fn any_row() -> impl Strategy<Value = Row> {
        let end = prop_oneof![
            Just(End::Absent),
            (0..4_u8, 0..9_u8).prop_map(|(state, people)| End::Known { state, people })
        ];
        let number = prop_oneof![Just(0), 0..200_u64, any::<u64>()];
        (
            proptest::array::uniform20(number.clone()),
            proptest::array::uniform2(number.clone()),
            proptest::collection::btree_map(any::<u32>(), 1..u64::MAX, 0..6),
            end,
        )
            .prop_map(|(sum, peak, map, end)| Row { sum, peak, map, end })
    }

    proptest! {
        #[test]
        fn any_order_of_merging_gives_the_same_row(a in any_row(), b in any_row(), c in any_row()) {
            let merged = |rows: [&Row; 3]| {
                let mut total = Row::default();
                rows.iter().for_each(|row| total.merge(row));
                total
            };
            let all = merged([&a, &b, &c]);
            prop_assert_eq!(&all, &merged([&c, &a, &b]));
            let mut tail = b.clone();
            tail.merge(&c);
            let mut grouped = Row::default();
            grouped.merge(&tail);
            grouped.merge(&a);
            prop_assert_eq!(&all, &grouped);
        }
    }
}
