//! What a person does to the links, apart from where it stands: the numbers that re-identification compares.
//!
//! Every pair of nodes that answers says how much more (or less) it is disturbed than the link model expects of a
//! body at the track's place, and how much it changes. Both are collected by what they depend on, so that two
//! signatures of one person agree wherever it walked:
//!
//! - attenuation, 64 numbers: `ln m - ln S` (see [`field`](super::LinkField)) by detour, by place along the link,
//!   and apart for losses and gains;
//! - Doppler profile, 64 numbers: `ln(change / quiet change)` by the rate of the bistatic path, which is the Doppler
//!   shift times the wavelength, and by detour.
//!
//! Between visits on other routes this hardly tells people apart (docs/tracker.md, "Re-identification"), so its weight is
//! zero.

use borsh::{BorshDeserialize, BorshSerialize};

/// Numbers of a signature.
pub const NUMBERS: usize = 128;
const HALF: usize = NUMBERS / 2;
/// Bins of the detour, and its upper edges, metres.
const DETOURS_M: [f32; 7] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6];
/// Upper edges of the bistatic rate, metres a second.
const RATES_M_S: [f32; 7] = [0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 1.8];
/// Independent looks that an unseen number counts as having shown zero.
const PRIOR_LOOKS: f32 = 1.0;
/// Looks after which old ones begin to fade: a signature follows a coat put on.
const MOST_LOOKS: f32 = 200.0;

/// Where a body stands to a pair of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stand {
    /// Path over the body less the direct path, metres.
    pub(super) detour_m: f32,
    /// Foot of the body on the line, 0 at the nearer end, 0.5 in the middle.
    pub(super) along: f32,
    /// How fast the path over the body changes, metres a second, without its sign.
    pub(super) rate_m_s: f32,
}

/// One person's signature.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Signature {
    sum: [f32; NUMBERS],
    looks: [f32; NUMBERS],
}

impl Default for Signature {
    fn default() -> Self {
        Self {
            sum: [0.0; NUMBERS],
            looks: [0.0; NUMBERS],
        }
    }
}

impl Signature {
    /// Takes in a pair's excess of disturbance; `share` of an independent look, a loss or a gain.
    pub(super) fn disturbed(&mut self, stand: &Stand, is_loss: bool, excess: f32, share: f32) {
        let along = if stand.along < 0.125 {
            0
        } else if stand.along < 0.25 {
            1
        } else if stand.along < 0.375 {
            2
        } else {
            3
        };
        let bin = bin_of(stand.detour_m, &DETOURS_M) * 8 + along * 2 + usize::from(is_loss);
        self.add(bin, excess, share);
    }

    /// Takes in a pair's log change against its quiet one.
    pub(super) fn changed(&mut self, stand: &Stand, log_change: f32, share: f32) {
        let bin = bin_of(stand.rate_m_s, &RATES_M_S) * 8 + bin_of(stand.detour_m, &DETOURS_M);
        self.add(HALF + bin, log_change, share);
    }

    fn add(&mut self, number: usize, value: f32, share: f32) {
        let keep = if self.looks[number] > MOST_LOOKS {
            MOST_LOOKS / (MOST_LOOKS + share)
        } else {
            1.0
        };
        self.sum[number] = keep * self.sum[number] + share * value;
        self.looks[number] = keep * self.looks[number] + share;
    }

    /// The numbers: means that shrink to zero where little was seen.
    pub fn numbers(&self) -> [f32; NUMBERS] {
        core::array::from_fn(|k| self.sum[k] / (self.looks[k] + PRIOR_LOOKS))
    }

    /// Independent looks behind it.
    pub fn looks(&self) -> f32 {
        let mut sum = 0.0;
        self.looks.iter().for_each(|l| sum += l);
        sum
    }

    /// Whether every number is one that [`Self::add`] can leave.
    pub(super) fn is_sound(&self) -> bool {
        self.sum.iter().all(|v| v.is_finite()) && self.looks.iter().all(|v| (0.0..=2.0 * MOST_LOOKS).contains(v))
    }
}

fn bin_of(value: f32, edges: &[f32; 7]) -> usize {
    edges.iter().filter(|edge| value >= **edge).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_place() {
        let mut seen = [false; NUMBERS];
        for detour in 0..8 {
            let detour_m = if detour == 0 { 0.0 } else { DETOURS_M[detour - 1] };
            for other in 0..8 {
                let stand = Stand {
                    detour_m,
                    along: 0.125 * (other / 2) as f32,
                    rate_m_s: if other == 0 { 0.0 } else { RATES_M_S[other - 1] },
                };
                let mut one = Signature::default();
                one.disturbed(&stand, other % 2 == 1, 1.0, 1.0);
                one.changed(&stand, 1.0, 1.0);
                for (seen, number) in seen.iter_mut().zip(one.numbers()) {
                    *seen |= number == 0.5;
                }
            }
        }
        assert!(seen.iter().all(|s| *s));
    }

    #[test]
    fn a_mean_that_fades() {
        let mut s = Signature::default();
        let stand = Stand::default();
        (0..1000).for_each(|_| s.changed(&stand, 2.0, 1.0));
        assert!((s.numbers()[HALF] - 2.0).abs() < 0.02 && s.looks() < MOST_LOOKS + 2.0);
        (0..1000).for_each(|_| s.changed(&stand, -2.0, 1.0));
        assert!(s.numbers()[HALF] < -1.9 && s.is_sound());
    }
}
