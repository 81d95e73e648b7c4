//! Re-identification: is a person who was just confirmed one who went before?
//!
//! Cost of the pair, between 0 and 1: `(1 - w) d2 / gate + w (1 - cos) / 2`, with the squared Mahalanobis distance `d2`
//! between the new place and where the other can have walked since, and the cosine of their signatures. Pairs are
//! made by the globally optimal assignment. With `w = 0`, the default, nothing of this runs: `w` is what the measured
//! power of the signature to tell people apart earns (docs/tracker.md), which is nothing below an AUC of 0.6.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Assignment, FORBIDDEN, Floor, MOST, Signature, TrackerConfig, signature::NUMBERS};
use crate::{detmath, sketch::Bank};

/// Most people remembered.
pub const REMEMBERED: usize = 64;
/// Candidates of one newcomer, by signature.
const CANDIDATES: usize = 8;
/// Squared Mahalanobis distance in two dimensions that 99 % stay within.
const GATE: f64 = 9.21;

/// Somebody who went.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Gone {
    pub(super) id: u64,
    pub(super) place: Floor,
    pub(super) since_s: f32,
    pub(super) signature: Signature,
}

/// Those who went, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Gallery {
    gone: Vec<Gone>,
    bank: Bank,
    /// Index in `gone` of each vector of the bank: a signature without direction is not in there.
    known: Vec<usize>,
}

impl Gallery {
    pub(super) fn new() -> Self {
        Self {
            gone: Vec::with_capacity(REMEMBERED),
            bank: Bank::new(NUMBERS, REMEMBERED),
            known: Vec::with_capacity(REMEMBERED),
        }
    }

    pub(super) fn gone(&self) -> &[Gone] {
        &self.gone
    }

    /// Takes over what another one held.
    pub(super) fn restore(&mut self, gone: Vec<Gone>) {
        self.gone.clear();
        self.gone.extend(gone);
        self.index();
    }

    /// Time passes; who went too long ago is forgotten.
    pub(super) fn grow_older(&mut self, step_s: f32, memory_s: f32) {
        let before = self.gone.len();
        self.gone.iter_mut().for_each(|g| g.since_s += step_s);
        self.gone.retain(|g| g.since_s <= memory_s);
        if self.gone.len() != before {
            self.index();
        }
    }

    pub(super) fn remember(&mut self, gone: Gone) {
        if self.gone.len() == REMEMBERED {
            self.gone.remove(0);
        }
        self.gone.push(gone);
        self.index();
    }

    fn index(&mut self) {
        self.bank.clear();
        self.known.clear();
        for (at, gone) in self.gone.iter().enumerate() {
            if self.bank.push(&gone.signature.numbers()).is_some() {
                self.known.push(at);
            }
        }
    }

    /// For each newcomer the id of whom it is taken for. Those are no longer among the gone.
    pub(super) fn recognise(
        &mut self,
        config: &TrackerConfig,
        newcomers: &[(Floor, Signature)],
        ids: &mut [Option<u64>],
    ) {
        let weight = f64::from(config.reid_weight);
        let mut columns = [0_usize; MOST];
        let mut used = 0;
        let mut costs = [[FORBIDDEN; MOST]; MOST];
        for (row, (place, signature)) in newcomers.iter().enumerate().take(MOST) {
            let mut found = [(0.0_f32, 0_u32); CANDIDATES];
            let count = self.bank.nearest(&signature.numbers(), &mut found);
            for (cosine, index) in found[..count].iter().filter(|f| f.0 >= config.reid_least_cosine) {
                let at = self.known[*index as usize];
                let gone = &self.gone[at];
                let walked_m2 = f64::from(config.walk_m2_s) * f64::from(detmath::min(gone.since_s, 1e6));
                let Some(d2) = gone.place.distance2(place, walked_m2).filter(|d2| *d2 <= GATE) else {
                    continue;
                };
                let column = match columns[..used].iter().position(|c| *c == at) {
                    Some(column) => column,
                    None if used < MOST => {
                        columns[used] = at;
                        used += 1;
                        used - 1
                    }
                    None => continue,
                };
                costs[row][column] = (1.0 - weight) * d2 / GATE + weight * 0.5 * (1.0 - f64::from(*cosine));
            }
        }
        let mut assignment = Assignment::new(newcomers.len(), used);
        for (row, costs) in costs.iter().enumerate().take(newcomers.len().min(MOST)) {
            for (column, cost) in costs.iter().enumerate().take(used) {
                assignment.set(row, column, *cost);
            }
        }
        let solved = assignment.solve();
        let mut taken = [false; REMEMBERED];
        for (id, column) in ids.iter_mut().zip(solved).take(newcomers.len()) {
            *id = column.map(|column| {
                taken[columns[column]] = true;
                self.gone[columns[column]].id
            });
        }
        let mut at = 0;
        self.gone.retain(|_| {
            at += 1;
            !taken[at - 1]
        });
        self.index();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::signature::Stand;

    fn signature(tall: bool) -> Signature {
        let mut s = Signature::default();
        for k in 0..8 {
            let stand = Stand {
                detour_m: 0.3 * k as f32,
                along: 0.3,
                rate_m_s: 0.2 * k as f32,
            };
            let sign = if tall == (k % 2 == 0) { 1.0 } else { -1.0 };
            s.disturbed(&stand, true, sign, 20.0);
            s.changed(&stand, 0.5 * sign, 20.0);
        }
        s
    }

    fn at(x: f64) -> Floor {
        Floor {
            at_m: [x, 1.0],
            covariance: [0.1, 0.0, 0.1],
        }
    }

    fn gallery(config: &TrackerConfig) -> Gallery {
        let mut gallery = Gallery::new();
        for (id, x, tall) in [(3, 1.0, true), (5, 1.2, false)] {
            gallery.remember(Gone {
                id,
                place: at(x),
                since_s: 0.0,
                signature: signature(tall),
            });
        }
        gallery.grow_older(4.0, config.reid_memory_s);
        gallery
    }

    #[test]
    fn the_signature_decides_between_two_who_went_near() {
        let config = TrackerConfig {
            reid_weight: 0.4,
            ..TrackerConfig::default()
        };
        let mut ids = [None; 2];
        let mut g = gallery(&config);
        g.recognise(
            &config,
            &[(at(1.1), signature(false)), (at(1.1), signature(true))],
            &mut ids,
        );
        assert_eq!(ids, [Some(5), Some(3)]);
        assert!(g.gone().is_empty());
        // Another one is nobody.
        let mut one = [None; 1];
        let mut g = gallery(&config);
        g.recognise(&config, &[(at(30.0), signature(true))], &mut one);
        assert_eq!((one[0], g.gone().len()), (None, 2));
        // After the time of memory, too.
        g.grow_older(config.reid_memory_s, config.reid_memory_s);
        assert!(g.gone().is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut gallery = Gallery::new();
        for id in 0..=REMEMBERED as u64 {
            gallery.remember(Gone {
                id,
                place: at(0.0),
                since_s: 0.0,
                signature: Signature::default(),
            });
        }
        assert_eq!((gallery.gone().len(), gallery.gone()[0].id), (REMEMBERED, 1));
    }
}
