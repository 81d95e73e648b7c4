//! Two coherences that answer different questions.
//!
//! * *Signal coherence*, `1 - E|n|^2 / E|h|^2`: is this frame a channel at all, or noise? It comes from the frame
//!   itself ([`crate::phase_align::noise_variance`]) and does not care who moves. The gate uses it.
//! * *Baseline coherence*: does the profile look like the empty room's? `mean_k exp(-z_k^2 / 8)` over the measured
//!   tones, `z_k` the deviation from the calibrated amplitude in its own standard deviations. A Gaussian empty room
//!   gives `1/sqrt(1.25) = 0.894`; a person nearby, a moved cupboard or drift lower it.

use crate::detmath;

/// Standard deviation no tone's gain-normalised amplitude is credited to stay below: receivers quantise.
pub const SIGMA_FLOOR: f32 = 0.01;

/// Share of a frame's power that is channel, 0 to 1.
pub fn signal_coherence(noise_variance: f32, power: f32) -> f32 {
    if power > 0.0 {
        detmath::clamp(1.0 - noise_variance / power, 0.0, 1.0)
    } else {
        0.0
    }
}

/// Squared deviation of one amplitude from its baseline in units of its variance.
fn z2(x: f32, mean: f32, variance: f32) -> f32 {
    let d = x - mean;
    d * d / (variance + SIGMA_FLOOR * SIGMA_FLOOR)
}

/// Coherence with the calibrated profile, 0 to 1; none without a common tone.
pub fn baseline_coherence(x: &[f32], mask: &[u8], mean: &[f32], variance: &[f32], known: &[u8]) -> Option<f32> {
    let (mut sum, mut count) = (0.0_f32, 0_u32);
    for k in 0..x.len() {
        if mask[k] != 0 && known[k] != 0 {
            sum += detmath::exp(-0.125 * z2(x[k], mean[k], variance[k]));
            count += 1;
        }
    }
    (count > 0).then(|| sum / count as f32)
}

/// Root mean square deviation of a slow profile from the calibrated one, in standard deviations; none without a
/// common tone.
pub fn drift(slow: &[f32], mask: &[u8], mean: &[f32], variance: &[f32], known: &[u8]) -> Option<f32> {
    let (mut sum, mut count) = (0.0_f32, 0_u32);
    for k in 0..slow.len() {
        if mask[k] != 0 && known[k] != 0 {
            sum += z2(slow[k], mean[k], variance[k]);
            count += 1;
        }
    }
    (count > 0).then(|| (sum / count as f32).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(signal_coherence(1.0, 4.0), 0.75);
        assert_eq!((signal_coherence(5.0, 4.0), signal_coherence(0.0, 0.0)), (0.0, 0.0));
        // One tone on its mean, one two sigmas off (variance 0.0099 + floor 0.0001): mean of 1 and exp(-1/2).
        let c = baseline_coherence(&[1.0, 1.2, 9.0], &[1, 1, 0], &[1.0; 3], &[0.0099; 3], &[1; 3]).unwrap();
        assert!((c - (1.0 + detmath::exp(-0.5)) / 2.0).abs() < 1e-4, "{c}");
        let d = drift(&[1.0, 1.2, 9.0], &[1, 1, 0], &[1.0; 3], &[0.0099; 3], &[1; 3]).unwrap();
        assert!((d - 2.0_f32.sqrt()).abs() < 1e-4, "{d}");
        assert_eq!(baseline_coherence(&[1.0], &[1], &[1.0], &[1.0], &[0]), None);
        assert_eq!(drift(&[1.0], &[0], &[1.0], &[1.0], &[1]), None);
    }
}
