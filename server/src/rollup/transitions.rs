//! Who went from where to where.
//!
//! A place counts once somebody stays in it for [`HOLD_MS`]: whoever stands on the line between two zones goes nowhere.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

/// Least time in a place, milliseconds.
const HOLD_MS: i64 = 1_000;
/// A person without a report for this long is somebody else afterwards.
const FORGET_MS: i64 = 10_000;

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Person {
    /// Where they are; none until they stayed somewhere.
    place: Option<String>,
    /// Where they seem to be now, and since when.
    seems: (Option<String>, i64),
    position_m: [f32; 2],
    last_ms: i64,
}

/// Where everybody was last.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct People(BTreeMap<u64, Person>);

/// What a new position of a person means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// From place to place.
    pub(super) crossing: Option<(String, String)>,
    /// Since their last position, millimetres.
    pub(super) way_mm: u64,
}

impl People {
    pub(super) fn step(&mut self, id: u64, t_ms: i64, position_m: [f32; 2], place: Option<&str>) -> Step {
        let known = self
            .0
            .get_mut(&id)
            .filter(|p| (0..=FORGET_MS).contains(&(t_ms - p.last_ms)));
        let Some(person) = known else {
            let person = Person {
                place: None,
                seems: (place.map(str::to_owned), t_ms),
                position_m,
                last_ms: t_ms,
            };
            self.0.insert(id, person);
            return Step::default();
        };
        let [dx, dy] = [0, 1].map(|axis| f64::from(position_m[axis]) - f64::from(person.position_m[axis]));
        // A square root is exact to the last bit everywhere.
        let way_mm = ((dx * dx + dy * dy).sqrt() * 1_000.0) as u64;
        (person.position_m, person.last_ms) = (position_m, t_ms);
        if person.seems.0.as_deref() != place {
            person.seems = (place.map(str::to_owned), t_ms);
        }
        let mut crossing = None;
        if t_ms - person.seems.1 >= HOLD_MS && person.place != person.seems.0 {
            if let (Some(from), Some(to)) = (&person.place, &person.seems.0) {
                crossing = Some((from.clone(), to.clone()));
            }
            person.place.clone_from(&person.seems.0);
        }
        Step { crossing, way_mm }
    }

    /// Forgets who was not reported for long.
    pub(super) fn forget(&mut self, t_ms: i64) {
        self.0
            .retain(|_, person| (0..=FORGET_MS).contains(&(t_ms - person.last_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_needs_a_second_on_the_other_side() {
        let mut people = People::default();
        let mut crossings = Vec::new();
        let mut way = 0;
        for slot in 0..200_i64 {
            // Two seconds in a, a flicker to b, two seconds in a, then b for good.
            let place = if (40..43).contains(&slot) || slot >= 80 {
                "b"
            } else {
                "a"
            };
            let step = people.step(7, slot * 50, [slot as f32 * 0.05, 1.0], Some(place));
            crossings.extend(step.crossing.map(|c| (slot, c)));
            way += step.way_mm;
        }
        assert_eq!(crossings, [(100, ("a".to_owned(), "b".to_owned()))]);
        assert!((9_700..=9_950).contains(&way), "{way} mm");
        people.forget(200 * 50 + FORGET_MS);
        assert_eq!(people, People::default());
    }
}
