//! Guesses of everybody at once.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    JointConfig, Person, Seen,
    chains::Phasors,
    echo::Echo,
    law::{self, Gain, Judged, PEOPLE_MAX},
    moments,
    motion::Guess,
    shift::TRIED_M,
    weights,
};
use crate::{
    bearing::DelayBasis,
    detmath,
    tracker::{
        floor_plan::{FloorPlan, Place},
        moments::Moments,
        sequence::Sequence,
    },
};

/// Sets.
pub(super) const SETS: usize = 1600;
/// Guesses where somebody lost would be.
const LOST: usize = 80;
/// Sets that stand for all.
const LIKELY: usize = 8;
/// Sets among which the densest place of all is sought, and those that they are compared with.
const CANDIDATES: usize = 60;
const COMPARED: usize = 200;
/// Within this distance sets are about the same, metres.
const ALIKE_M: f32 = 0.35;
/// Within this distance of the densest place sets tell where somebody is, metres.
const TELLING_M: f32 = 1.0;
/// Further apart than this two people are told apart, metres.
const APART_M: f32 = 1.0;
/// Share of the guesses of somebody lost that begin anew when they are copied.
const LOST_FRESH: f32 = 0.2;

/// Where everybody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Set {
    /// Those after the last one are all zero.
    people: [Guess; PEOPLE_MAX],
}

/// Where one person would be if it were not where the sets have it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Lost {
    guesses: Vec<Guess>,
    logs: Vec<f32>,
}

/// All sets, and a way back for each person.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    pub(super) sets: Vec<Set>,
    /// Logarithms of their weights.
    pub(super) logs: Vec<f32>,
    pub(super) lost: Vec<Lost>,
    shares: Vec<f32>,
    spare: Vec<Set>,
    spare_guesses: Vec<Guess>,
    from: Vec<u32>,
}

/// Sets that stand for all, by number.
pub(super) type Likely = [usize; LIKELY];

impl Sets {
    pub(super) fn new() -> Self {
        Self {
            sets: vec![Set::default(); SETS],
            logs: vec![0.0; SETS],
            lost: Vec::with_capacity(PEOPLE_MAX),
            shares: vec![1.0 / SETS as f32; SETS],
            spare: Vec::with_capacity(SETS),
            spare_guesses: Vec::with_capacity(LOST),
            from: Vec::with_capacity(SETS),
        }
    }

    /// One more person, the last: by the guesses of the search.
    pub(super) fn add(&mut self, people: usize, search: &super::Search, plan: &FloorPlan, sequence: &mut Sequence) {
        for set in &mut self.sets {
            set.people[people] = *search.draw(sequence);
        }
        if people == 0 {
            self.logs.fill(0.0);
        }
        self.lost.push(Lost {
            guesses: (0..LOST).map(|_| Guess::anywhere(plan, sequence)).collect(),
            logs: vec![0.0; LOST],
        });
    }

    /// Without this person; those after it move up.
    pub(super) fn remove(&mut self, k: usize) {
        for set in &mut self.sets {
            set.people.copy_within(k + 1.., k);
            set.people[PEOPLE_MAX - 1] = Guess::default();
        }
        self.lost.remove(k);
    }

    pub(super) fn predict(
        &mut self,
        people: usize,
        step_s: f32,
        plan: &FloorPlan,
        c: &JointConfig,
        sequence: &mut Sequence,
    ) {
        for (set, log) in self.sets.iter_mut().zip(&mut self.logs) {
            for guess in &mut set.people[..people] {
                *log -= guess.predict(step_s, plan, c, sequence);
            }
        }
        for lost in &mut self.lost {
            for (guess, log) in lost.guesses.iter_mut().zip(&mut lost.logs) {
                let before = *guess;
                *log -= guess.predict(step_s, plan, c, sequence);
                // Who stands leaves nothing to be found by, and who has gone out is not lost.
                if !guess.walks {
                    *guess = before;
                } else if plan.at(guess.at_m[0], guess.at_m[1]) != Place::Inside {
                    (*guess, *log) = (before, *log - c.wall);
                }
            }
        }
    }

    /// Weighs all sets by one link.
    pub(super) fn weigh(&mut self, seen: &Seen, basis: &DelayBasis, people: usize, trust: f32) {
        if people == 0 {
            return;
        }
        for (set, log) in self.sets.iter().zip(&mut self.logs) {
            let echoes = echoes(set, people, seen, basis);
            let all = unknown(set, &echoes);
            *log += law::nats(&seen.window, &seen.link, &all[..people], trust).0;
        }
    }

    /// Shares from logarithms.
    pub(super) fn settle(&mut self) {
        weights::shares(&mut self.logs, &mut self.shares);
    }

    /// Some sets, by their shares.
    pub(super) fn likely(&self, sequence: &mut Sequence) -> Likely {
        core::array::from_fn(|_| weights::pick(&self.shares, sequence))
    }

    /// The people of a set at a link, all but one maybe, with gains known from before.
    pub(super) fn given<R>(
        &self,
        set: usize,
        (seen, basis): (&Seen, &DelayBasis),
        people: &[Person],
        but: Option<usize>,
        then: impl FnOnce(&[Judged<'_>]) -> R,
    ) -> R {
        let set = &self.sets[set];
        let echoes = echoes(set, people.len(), seen, basis);
        let mut known = [(&echoes[0], false, Gain::Unknown); PEOPLE_MAX];
        let mut count = 0;
        for k in (0..people.len()).filter(|k| Some(*k) != but) {
            known[count] = (&echoes[k], set.people[k].walks, Gain::Known(people[k].gains[seen.id]));
            count += 1;
        }
        then(&known[..count])
    }

    /// Tells from likely sets how strong everybody's echoes are at a link, and how well the link bears each walk out.
    pub(super) fn tell(&self, seen: &Seen, basis: &DelayBasis, likely: &Likely, people: &mut [Person], trust: f32) {
        let count = people.len();
        if count == 0 {
            return;
        }
        let mut sums = [[0.0; 3]; PEOPLE_MAX];
        for set in likely.map(|s| &self.sets[s]) {
            let echoes = echoes(set, count, seen, basis);
            let all = unknown(set, &echoes);
            let (_, gains) = law::nats(&seen.window, &seen.link, &all[..count], trust);
            for k in (0..count).filter(|k| set.people[*k].walks) {
                let [walk, gain, support] = &mut sums[k];
                *walk += 1.0;
                *gain += gains[k];
                *support += law::support(&seen.window, &seen.link, &all[..count], k, trust);
            }
        }
        for (person, [walk, gain, support]) in people.iter_mut().zip(sums) {
            if walk > 0.0 {
                let known = &mut person.gains[seen.id];
                *known += 0.5 * (gain / walk - *known);
                person.support += support / walk;
            }
        }
    }

    /// Nats of a link with everybody moved by each of [`TRIED_M`], the mean over those likely sets in which somebody walks.
    pub(super) fn tried(
        &self,
        seen: &Seen,
        basis: &DelayBasis,
        likely: &Likely,
        people: usize,
        trust: f32,
    ) -> [f32; 5] {
        TRIED_M.map(|by_m| {
            let mut sum = 0.0;
            for mut set in likely.map(|s| self.sets[s]) {
                if !set.people[..people].iter().any(|g| g.walks) {
                    continue;
                }
                set.people[..people].iter_mut().for_each(|g| *g = g.moved(by_m));
                let echoes = echoes(&set, people, seen, basis);
                sum += law::nats(&seen.window, &seen.link, &unknown(&set, &echoes)[..people], trust).0;
            }
            sum / LIKELY as f32
        })
    }

    /// By antenna, how far ahead what is received is of the echoes that likely sets say, everybody moved by `off_m`: unit phasors, the mean
    /// over sets, the sum over who walks.
    pub(super) fn ahead(
        &self,
        seen: &Seen,
        basis: &DelayBasis,
        likely: &Likely,
        people: usize,
        off_m: [f32; 2],
    ) -> Phasors {
        let mut sums = Phasors::default();
        for set in likely.map(|s| &self.sets[s]) {
            for guess in set.people[..people].iter().filter(|g| g.walks) {
                let guess = guess.moved(off_m);
                let echo = seen.link.echo(basis, guess.at_m, guess.velocity_m_s);
                let ahead = law::ahead(&seen.window, &seen.link, &echo);
                for (sum, [re, im]) in sums.iter_mut().zip(ahead) {
                    let size = (re * re + im * im).sqrt();
                    if size > 0.0 {
                        *sum = [sum[0] + re / size / LIKELY as f32, sum[1] + im / size / LIKELY as f32];
                    }
                }
            }
        }
        sums
    }

    /// Weighs by one link where each person would be if it were lost, the others as likely sets have them.
    pub(super) fn weigh_lost(
        &mut self,
        seen: &Seen,
        basis: &DelayBasis,
        likely: &Likely,
        people: &[Person],
        trust: f32,
    ) {
        for k in 0..people.len() {
            let mut lost = core::mem::take(&mut self.lost[k]);
            for (at, set) in likely.iter().enumerate().take(4) {
                self.given(*set, (seen, basis), people, Some(k), |others| {
                    let sought = |guess: &Guess| beside(others, guess, (seen, basis), trust);
                    for (guess, log) in lost.guesses.iter().zip(&mut lost.logs).skip(at).step_by(4) {
                        *log += sought(guess);
                    }
                });
            }
            self.lost[k] = lost;
        }
    }

    /// The set that most likely ones are most like.
    pub(super) fn densest(&self, people: usize, sequence: &mut Sequence) -> Set {
        let candidates: [usize; CANDIDATES] = core::array::from_fn(|_| weights::pick(&self.shares, sequence));
        let compared: [usize; COMPARED] = core::array::from_fn(|_| weights::pick(&self.shares, sequence));
        let mut best = (-1.0, 0);
        for candidate in candidates {
            let mut density = 0.0;
            for other in compared {
                let away2: f32 = (0..people)
                    .map(|k| self.sets[candidate].people[k].away2(&self.sets[other].people[k]))
                    .sum();
                density += detmath::exp(detmath::max(-away2 / (2.0 * ALIKE_M * ALIKE_M), -40.0));
            }
            if density > best.0 {
                best = (density, candidate);
            }
        }
        self.sets[best.1]
    }

    /// Names the people of all sets as in `best`: who is who does not change the law, so sets would mix names up.
    pub(super) fn lock(&mut self, best: &Set, people: usize) {
        for a in 0..people {
            for b in a + 1..people {
                let (first, second) = (best.people[a], best.people[b]);
                if first.away2(&second) < APART_M * APART_M {
                    continue;
                }
                for set in &mut self.sets {
                    let (x, y) = (set.people[a], set.people[b]);
                    if y.off2(&first) + x.off2(&second) < x.off2(&first) + y.off2(&second) {
                        set.people.swap(a, b);
                    }
                }
            }
        }
    }

    /// Where a person is: mean and covariance over the sets like the densest one.
    pub(super) fn moments(&self, k: usize, best: &Set, people: usize, plan: &FloorPlan) -> Moments {
        let alike = |set: &Set| (0..people).all(|p| set.people[p].away2(&best.people[p]) < TELLING_M * TELLING_M);
        let of = self.shares.iter().copied().zip(&self.sets);
        moments(
            of.filter(|(_, set)| alike(set)).map(|(w, set)| (w, &set.people[k])),
            plan,
        )
    }

    /// Copies likely sets over unlikely ones once few carry the weight.
    pub(super) fn resample(&mut self, people: usize, c: &JointConfig, plan: &FloorPlan, sequence: &mut Sequence) {
        if weights::effective(&self.shares) < 0.5 * SETS as f32 {
            weights::systematic(&self.shares, sequence, &mut self.from);
            self.spare.clear();
            self.spare.extend_from_slice(&self.sets);
            for (set, from) in self.sets.iter_mut().zip(&self.from) {
                *set = self.spare[*from as usize];
                set.people[..people].iter_mut().for_each(|g| g.jitter(c, sequence));
            }
            self.logs.fill(0.0);
        }
        for lost in &mut self.lost {
            weights::shares(&mut lost.logs, &mut self.shares);
            if weights::effective(&self.shares) < 0.5 * LOST as f32 {
                weights::systematic(&self.shares, sequence, &mut self.from);
                self.spare_guesses.clear();
                self.spare_guesses.extend_from_slice(&lost.guesses);
                for (guess, from) in lost.guesses.iter_mut().zip(&self.from) {
                    *guess = self.spare_guesses[*from as usize];
                    guess.jitter(c, sequence);
                    if sequence.even() < LOST_FRESH {
                        *guess = Guess::anywhere(plan, sequence);
                    }
                }
                lost.logs.fill(0.0);
            }
        }
    }

    /// Puts one person of a few sets to where it would be if it were lost.
    pub(super) fn stray(&mut self, people: usize, c: &JointConfig, sequence: &mut Sequence) {
        for _ in 0..(c.stray * SETS as f32) as usize {
            let k = ((sequence.even() * people as f32) as usize).min(people - 1);
            let set = ((sequence.even() * SETS as f32) as usize).min(SETS - 1);
            let lost = &mut self.lost[k];
            weights::shares(&mut lost.logs, &mut self.shares);
            let mut guess = lost.guesses[weights::pick(&self.shares, sequence)];
            guess.jitter(c, sequence);
            self.sets[set].people[k] = guess;
            self.logs[set] -= c.stray_price;
        }
    }
}

/// Nats by which a link is likelier with this guess beside others than with them alone.
pub(super) fn beside(others: &[Judged<'_>], guess: &Guess, (seen, basis): (&Seen, &DelayBasis), trust: f32) -> f32 {
    let echo = seen.link.echo(basis, guess.at_m, guess.velocity_m_s);
    let mut all = [(&echo, true, Gain::Unknown); PEOPLE_MAX];
    let count = others.len().min(PEOPLE_MAX - 1);
    all[..count].copy_from_slice(&others[..count]);
    law::support(&seen.window, &seen.link, &all[..=count], count, trust)
}

fn echoes(set: &Set, people: usize, seen: &Seen, basis: &DelayBasis) -> [Echo; PEOPLE_MAX] {
    let mut echoes = [Echo::default(); PEOPLE_MAX];
    for (echo, guess) in echoes.iter_mut().zip(&set.people[..people]) {
        *echo = seen.link.echo(basis, guess.at_m, guess.velocity_m_s);
    }
    echoes
}

/// The people of a set, their gains unknown.
fn unknown<'e>(set: &Set, echoes: &'e [Echo; PEOPLE_MAX]) -> [Judged<'e>; PEOPLE_MAX] {
    core::array::from_fn(|k| (&echoes[k], set.people[k].walks, Gain::Unknown))
}

impl Lost {
    fn is_sound(&self) -> bool {
        self.guesses.len() == LOST
            && self.logs.len() == LOST
            && self.guesses.iter().all(Guess::is_sound)
            && self.logs.iter().all(|l| l.is_finite())
    }
}

impl Sets {
    /// Whether sets and the ways back for so many people are complete and finite.
    pub(super) fn is_sound(sets: &[Set], logs: &[f32], lost: &[Lost], people: usize) -> bool {
        let sound = |s: &Set| s.people.iter().all(Guess::is_sound);
        let logs = logs.len() == SETS && logs.iter().all(|l| l.is_finite());
        logs && sets.len() == SETS && sets.iter().all(sound) && lost.len() == people && lost.iter().all(Lost::is_sound)
    }

    /// Takes over what [`Self::is_sound`].
    pub(super) fn restore(&mut self, sets: Vec<Set>, logs: Vec<f32>, lost: Vec<Lost>) {
        (self.sets, self.logs, self.lost) = (sets, logs, lost);
    }
}
