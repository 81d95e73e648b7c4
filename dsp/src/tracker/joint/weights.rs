//! Weights of guesses, kept as logarithms.

use crate::{detmath, tracker::sequence::Sequence};

/// Shares of one, from their logarithms; `logs` are shifted so that the largest is 0.
pub(super) fn shares(logs: &mut [f32], into: &mut Vec<f32>) {
    let most = logs.iter().copied().fold(f32::MIN, detmath::max);
    into.clear();
    let mut sum = 0.0;
    for log in logs.iter_mut() {
        *log = detmath::max(*log - most, -1e6);
        let share = if *log < -40.0 { 0.0 } else { detmath::exp(*log) };
        sum += f64::from(share);
        into.push(share);
    }
    let scale = (1.0 / sum) as f32;
    into.iter_mut().for_each(|s| *s *= scale);
}

/// How many guesses carry the weight (Kong, Liu and Wong 1994).
pub(super) fn effective(shares: &[f32]) -> f32 {
    1.0 / shares.iter().map(|s| s * s).sum::<f32>()
}

/// One by chance, by its share.
pub(super) fn pick(shares: &[f32], sequence: &mut Sequence) -> usize {
    let mut left = sequence.even();
    for (at, share) in shares.iter().enumerate() {
        left -= share;
        if left <= 0.0 {
            return at;
        }
    }
    shares.len() - 1
}

/// As many as there are, each about as often as its share says (systematic resampling; Kitagawa 1996), ascending.
pub(super) fn systematic(shares: &[f32], sequence: &mut Sequence, into: &mut Vec<u32>) {
    into.clear();
    let step = 1.0 / shares.len() as f64;
    let mut at = f64::from(sequence.even()) * step;
    let (mut from, mut reached) = (0, f64::from(shares[0]));
    for _ in 0..shares.len() {
        while reached < at && from + 1 < shares.len() {
            from += 1;
            reached += f64::from(shares[from]);
        }
        at += step;
        into.push(from as u32);
    }
}
