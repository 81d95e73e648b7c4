//! What the Doppler spectra of all pairs say about somebody at a place with a velocity.

use super::body::{self, Spectra};
use crate::{
    detmath,
    doppler::{FILTERS, POWERS, RATE_BINS, rate_m_s},
    tomography::Node,
};

/// Distance to a node below which its direction is not what geometry says, metres: a body is no point.
const NEAR_M: f32 = 0.3;
/// How long ago the rates of a window are taken to have been, seconds. Its middle is 0.35 s ago; taken as that, tracks come 0.2 m late
/// (made-up rooms), because a guess's velocity is drawn towards standing still.
const RATES_AGO_S: f32 = 0.2;
/// Width of one body in a spectrum, m/s: window and limbs.
const BODY_RATE_M_S: f32 = 0.18;
/// Most pairs that are looked at; more say nothing new about a floor.
pub(super) const PAIRS_MAX: usize = 66;

/// A pair as a cycle brings it: its ends, and its energy against the quiet room's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Ids of its nodes.
    pub ends: [u32; 2],
    /// Mean power of its spectrum; about 1 when nobody moves.
    pub energy: f32,
}

/// Guesses where somebody is now and how fast: arrays of one length.
#[derive(Clone, Copy)]
pub(super) struct Guesses<'g> {
    pub(super) x: &'g [f32],
    pub(super) y: &'g [f32],
    pub(super) vx: &'g [f32],
    pub(super) vy: &'g [f32],
}

/// Mean and standard deviation of a person's path rate at one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    mean: f32,
    sigma: f32,
}

/// Spectra of one cycle, as log-likelihood ratios of a body's path rate.
#[derive(Clone, Debug)]
pub(super) struct RateField {
    /// Where the nodes are that the pairs name, each once.
    nodes: Vec<(u32, [f32; 2])>,
    /// By pair: which of `nodes`.
    ends: Vec<[usize; 2]>,
    energies: Vec<f32>,
    /// By pair: the direct way, metres.
    direct_m: Vec<f32>,
    /// Powers, pair by pair and filter by filter, in units of the quiet room's noise.
    powers: Vec<Spectra<f32>>,
    /// Log-likelihood ratios by delay filter and path rate, given the people who are known; linear between the rates.
    nats: Vec<Spectra<f32>>,
    /// By node, then guess: how fast it goes away, and how far it is.
    projected: Vec<[f32; 2]>,
}

impl RateField {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::with_capacity(2 * PAIRS_MAX),
            ends: Vec::with_capacity(PAIRS_MAX),
            energies: Vec::with_capacity(PAIRS_MAX),
            direct_m: Vec::with_capacity(PAIRS_MAX),
            powers: Vec::with_capacity(PAIRS_MAX),
            nats: Vec::with_capacity(PAIRS_MAX),
            projected: Vec::new(),
        }
    }

    /// Takes the spectra of a cycle; pairs with a node of unknown place are left out. Gives the number of pairs used.
    pub(super) fn observe<N>(&mut self, nodes: N, pairs: &[Pair], spectra: &[f32]) -> usize
    where
        N: ExactSizeIterator<Item = Node> + Clone,
    {
        self.nodes.clear();
        self.ends.clear();
        self.energies.clear();
        self.direct_m.clear();
        self.powers.clear();
        for (pair, powers) in pairs.iter().zip(spectra.chunks_exact(POWERS)).take(PAIRS_MAX) {
            let Some(ends) = self.find(nodes.clone(), pair.ends) else {
                continue;
            };
            if !(pair.energy.is_finite() && powers.iter().all(|p| p.is_finite())) {
                continue;
            }
            let [a, b] = ends.map(|end| self.nodes[end].1);
            self.ends.push(ends);
            self.direct_m.push(detmath::hypot(a[0] - b[0], a[1] - b[1]));
            self.energies.push(pair.energy);
            self.powers.push(core::array::from_fn(|filter| {
                core::array::from_fn(|bin| powers[filter * RATE_BINS + bin])
            }));
        }
        self.nats.clear();
        self.nats.resize(self.ends.len(), [[0.0; RATE_BINS]; FILTERS]);
        self.ends.len()
    }

    fn find<N: Iterator<Item = Node> + Clone>(&mut self, nodes: N, ids: [u32; 2]) -> Option<[usize; 2]> {
        let mut ends = [0; 2];
        for (end, id) in ends.iter_mut().zip(ids) {
            *end = match self.nodes.iter().position(|n| n.0 == id) {
                Some(at) => at,
                None => {
                    let node = nodes.clone().find(|n| n.id == id)?;
                    self.nodes.push((id, [node.at_m[0], node.at_m[1]]));
                    self.nodes.len() - 1
                }
            };
        }
        Some(ends)
    }

    pub(super) fn pairs(&self) -> usize {
        self.ends.len()
    }

    /// Nats a second for somebody who walks, against nobody who does, from the energies alone.
    pub(super) fn motion(&self, quiet_energy: f32, nats_per_s: f32) -> f32 {
        let log = |e: &f32| detmath::clamp(detmath::ln(detmath::max(*e, 0.1) / quiet_energy), -2.0, 2.0);
        nats_per_s * self.energies.iter().map(log).sum::<f32>() / self.energies.len().max(1) as f32
    }

    /// Sets the log-likelihood ratios, given what the people of `explained` (rates by pair, and how surely they walk) account for.
    pub(super) fn given<'p>(&mut self, share: f32, explained: impl Iterator<Item = (&'p [Rates], f32)> + Clone) {
        for (pair, (nats, powers)) in self.nats.iter_mut().zip(&self.powers).enumerate() {
            let mut kept = [1.0; RATE_BINS];
            for (rates, walks) in explained.clone() {
                let r = rates[pair];
                let spread = detmath::min(r.sigma, 0.6);
                let width2 = BODY_RATE_M_S * BODY_RATE_M_S + spread * spread;
                for (bin, kept) in kept.iter_mut().enumerate() {
                    let off = rate_m_s(bin) - r.mean;
                    let z = 0.5 * off * off / width2;
                    if z < 12.0 {
                        *kept *= 1.0 - share * walks * detmath::exp(-z);
                    }
                }
            }
            let left = powers.map(|filter| core::array::from_fn(|bin| filter[bin] * kept[bin]));
            let shares = body::shares(&left);
            for (nats, share) in nats.iter_mut().zip(&shares) {
                for (bin, nats) in nats.iter_mut().enumerate() {
                    *nats = body::nats(share[bin], rate_m_s(bin));
                }
            }
        }
    }

    /// Log-likelihood ratio of each guess, summed over the pairs.
    pub(super) fn at(&mut self, guesses: Guesses<'_>, into: &mut Vec<f32>) {
        self.project(guesses);
        let count = guesses.x.len();
        into.clear();
        into.resize(count, 0.0);
        for (([a, b], nats), direct_m) in self.ends.iter().zip(&self.nats).zip(&self.direct_m) {
            let (a, b) = (
                &self.projected[a * count..][..count],
                &self.projected[b * count..][..count],
            );
            for ((sum, a), b) in into.iter_mut().zip(a).zip(b) {
                let (bin, on) = body::bin(a[0] + b[0]);
                let nats = &nats[body::filter(a[1] + b[1] - direct_m)];
                *sum += nats[bin] + on * (nats[bin + 1] - nats[bin]);
            }
        }
    }

    /// Mean and standard deviation of the guesses' path rates, by pair.
    pub(super) fn rates(&mut self, guesses: Guesses<'_>, weight: &[f32], into: &mut Vec<Rates>) {
        self.project(guesses);
        let count = guesses.x.len();
        into.clear();
        for [a, b] in &self.ends {
            let (a, b) = (
                &self.projected[a * count..][..count],
                &self.projected[b * count..][..count],
            );
            let (mut mean, mut square) = (0.0, 0.0);
            for ((w, a), b) in weight.iter().zip(a).zip(b) {
                mean += w * (a[0] + b[0]);
                square += w * (a[0] + b[0]) * (a[0] + b[0]);
            }
            into.push(Rates {
                mean,
                sigma: detmath::max(square - mean * mean, 0.0).sqrt(),
            });
        }
    }

    /// How fast each guess went away from each node when the window's rates were: two of these make a path rate.
    fn project(&mut self, g: Guesses<'_>) {
        self.projected.clear();
        for (_, at) in &self.nodes {
            for i in 0..g.x.len() {
                let dx = g.x[i] - RATES_AGO_S * g.vx[i] - at[0];
                let dy = g.y[i] - RATES_AGO_S * g.vy[i] - at[1];
                let far = detmath::hypot(dx, dy);
                let away = (dx * g.vx[i] + dy * g.vy[i]) / detmath::max(far, NEAR_M);
                self.projected.push([away, far]);
            }
        }
    }
}
