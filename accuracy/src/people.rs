//! Scoring rules for people on the floor: against one walker, and against several with identities.

use std::collections::BTreeMap;

use tapline_dsp::tracker::Assignment;

use super::lab::Track;

/// Cut-off of GOSPA and distance within which a track can stand for a person, metres.
pub(crate) const CUT_OFF_M: f64 = 1.0;

/// Plain distance.
pub(crate) fn distance_m(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Root mean square, median, 90 % quantile and mean of errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Errors {
    pub(crate) rmse_m: f64,
    pub(crate) median_m: f64,
    pub(crate) p90_m: f64,
    pub(crate) mean_m: f64,
}

impl Errors {
    /// Of these; zeros of none. Quantiles are interpolated linearly.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let quantile = |q: f64| {
            let at = q * (n - 1.0);
            let (low, part) = (at.floor() as usize, at.fract());
            let high = (low + 1).min(values.len() - 1);
            values[low] * (1.0 - part) + values[high] * part
        };
        Self {
            rmse_m: (values.iter().map(|e| e * e).sum::<f64>() / n).sqrt(),
            median_m: quantile(0.5),
            p90_m: quantile(0.9),
            mean_m: values.iter().sum::<f64>() / n,
        }
    }
}

/// One person who is really there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) position_m: [f64; 2],
}

/// Sums over the cycles of a scene.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    gospa_m: f64,
    cycles: u32,
    counted_right: u32,
    people: u32,
    tracks: u32,
    errors_m: Vec<f64>,
    /// Cycles in which this person and this track are together.
    together: BTreeMap<(u64, u64), u32>,
}

impl Score {
    /// Adds one cycle: who was there, and who was published.
    pub(crate) fn add(&mut self, truth: &[Person], tracks: &[Track]) {
        let cost = |p: &Person, t: usize| distance_m(p.position_m, tracks[t].position_m).min(CUT_OFF_M);
        let mut assignment = Assignment::new(truth.len(), tracks.len());
        for (row, person) in truth.iter().enumerate() {
            for column in 0..tracks.len() {
                assignment.set(row, column, cost(person, column).powi(2));
            }
        }
        // With alpha = 2 a pair beyond the cut-off costs what one missed and one false cost, so a full
        // assignment of capped costs is the optimum (Rahmathullah, Garcia-Fernandez and Svensson, 2017).
        let mut sum = CUT_OFF_M.powi(2) / 2.0 * truth.len().abs_diff(tracks.len()) as f64;
        for (person, column) in truth.iter().zip(assignment.solve()) {
            let Some(column) = column else { continue };
            let d = cost(person, column);
            sum += d * d;
            if d < CUT_OFF_M {
                self.errors_m.push(d);
            }
        }
        for person in truth {
            for (column, track) in tracks.iter().enumerate() {
                if cost(person, column) < CUT_OFF_M {
                    *self.together.entry((person.id, track.id)).or_default() += 1;
                }
            }
        }
        self.gospa_m += sum.sqrt();
        self.cycles += 1;
        self.counted_right += u32::from(truth.len() == tracks.len());
        self.people += truth.len() as u32;
        self.tracks += tracks.len() as u32;
    }

    /// Mean GOSPA a cycle, p = 2, c = 1 m, alpha = 2.
    pub(crate) fn gospa_m(&self) -> f64 {
        self.gospa_m / f64::from(self.cycles.max(1))
    }

    /// Share of cycles with the right number of people.
    pub(crate) fn count_accuracy(&self) -> f64 {
        f64::from(self.counted_right) / f64::from(self.cycles.max(1))
    }

    /// Errors of the pairs within the cut-off.
    pub(crate) fn errors(&self) -> Errors {
        Errors::of(self.errors_m.clone())
    }

    /// Share of the person cycles in which no track is within the cut-off.
    pub(crate) fn missed(&self) -> f64 {
        1.0 - self.errors_m.len() as f64 / f64::from(self.people.max(1))
    }

    /// Tracks published where nobody is within the cut-off, a cycle.
    pub(crate) fn false_tracks(&self) -> f64 {
        (f64::from(self.tracks) - self.errors_m.len() as f64) / f64::from(self.cycles.max(1))
    }

    /// Identity F1 (Ristani et al., 2016): the one-to-one match of people and track ids over the whole scene
    /// with most cycles together. `None` when there is nobody.
    pub(crate) fn idf1(&self) -> Option<f64> {
        let mut people: Vec<u64> = self.together.keys().map(|(p, _)| *p).collect();
        people.dedup();
        let mut used = Vec::new();
        let hits = self.best(&people, &mut used);
        (self.people > 0).then(|| 2.0 * f64::from(hits) / f64::from(self.people + self.tracks))
    }

    /// Most cycles together for these people, by trying: scenes have few people. A person needs no more
    /// choices than its best tracks as many as there are people.
    fn best(&self, people: &[u64], used: &mut Vec<u64>) -> u32 {
        let Some((&person, rest)) = people.split_first() else {
            return 0;
        };
        let mut choices: Vec<(u32, u64)> = self
            .together
            .range((person, 0)..=(person, u64::MAX))
            .map(|((_, track), n)| (*n, *track))
            .collect();
        choices.sort_by(|a, b| b.cmp(a));
        choices.retain(|(_, track)| !used.contains(track));
        choices.truncate(rest.len() + 1);
        let mut most = self.best(rest, used);
        for (n, track) in choices {
            used.push(track);
            most = most.max(n + self.best(rest, used));
            used.pop();
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks(at: &[(u64, f64)]) -> Vec<Track> {
        let track = |&(id, x): &(u64, f64)| Track {
            id,
            position_m: [x, 0.0],
            sigma_m: 0.1,
        };
        at.iter().map(track).collect()
    }

    fn person(id: u64, x: f64) -> Person {
        Person {
            id,
            position_m: [x, 0.0],
        }
    }

    #[test]
    fn by_hand() {
        let mut score = Score::default();
        // One at 0.6 m, one missed; then one false; then all right.
        score.add(&[person(1, 0.0), person(2, 5.0)], &tracks(&[(7, 0.6)]));
        assert!((score.gospa_m() - (0.36_f64 + 0.5).sqrt()).abs() < 1e-9);
        score.add(&[], &tracks(&[(7, 0.0)]));
        assert!((score.gospa_m() - ((0.36_f64 + 0.5).sqrt() + 0.5_f64.sqrt()) / 2.0).abs() < 1e-9);
        assert!((score.missed() - 0.5).abs() < 1e-9 && (score.false_tracks() - 0.5).abs() < 1e-9);
        assert_eq!(score.count_accuracy(), 0.0);
    }

    #[test]
    fn a_far_pair_is_one_missed_and_one_false() {
        let mut score = Score::default();
        score.add(&[person(1, 0.0)], &tracks(&[(7, 3.0)]));
        assert!((score.gospa_m() - 1.0).abs() < 1e-9);
        assert_eq!(score.idf1(), Some(0.0));
    }

    #[test]
    fn swapped_identities_cost_half() {
        let mut score = Score::default();
        for k in 0..10 {
            let (a, b) = if k < 5 { (7, 8) } else { (8, 7) };
            score.add(&[person(1, 0.0), person(2, 5.0)], &tracks(&[(a, 0.0), (b, 5.0)]));
        }
        assert_eq!(score.idf1(), Some(0.5));
        assert_eq!(score.count_accuracy(), 1.0);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let e = Errors::of(vec![3.0, 1.0, 2.0, 4.0]);
        assert!((e.median_m - 2.5).abs() < 1e-12 && (e.p90_m - 3.7).abs() < 1e-12);
    }
}
