//! What is said of a link's taps.

use num_complex::Complex32;

use super::{certificate::Certificate, delay::PathFitter, grid::ToneGrid};
use crate::detmath;

/// Bandwidth from which a delay is good for ranging, MHz.
pub const RANGING_BANDWIDTH_MHZ: u16 = 40;
/// The K-factor is held within plus and minus this, dB.
const K_FACTOR_LIMIT_DB: f32 = 60.0;

/// Why a link has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No measurement.
    NoInput,
    /// Fewer than half of the tones, or fewer than eight, are measured.
    TooFewTones,
    /// All measured tones are zero, or nothing rises above `lambda`.
    NoSignal,
    /// A tone is not finite, or too large for its square to be.
    NotFinite,
}

/// The answer for one link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// True when the gap is within its tolerance.
    pub converged: bool,
    /// Non-zero taps.
    pub active_taps: u32,
    /// Solver iterations.
    pub iterations: u32,
    /// Delay of the strongest path, refined off-grid, seconds in `0..1/df`.
    pub dominant_delay_s: f32,
    /// Its standard deviation, seconds; `None` when the fit has no freedom left to show the noise.
    pub dominant_delay_sigma_s: Option<f32>,
    /// Energy of the strongest tap over the energy of all.
    pub dominant_ratio: f32,
    /// RMS delay spread of the taps, seconds; delays count from the strongest tap, at most half a period.
    pub rms_delay_spread_s: f32,
    /// Strongest tap over the rest, dB, within plus and minus 60.
    pub k_factor_db: f32,
    /// The weight of the 1-norm, normalised problem.
    pub lambda: f32,
    /// Objective, normalised problem.
    pub objective: f32,
    /// Relative duality gap.
    pub relative_gap: f32,
    /// The bandwidth allows ranging.
    pub ranging_valid: bool,
}

/// One solved link on the normalised problem.
pub struct Solved<'a> {
    /// Tones, divided by their norm, zero where masked.
    pub tones: &'a [Complex32],
    /// 0 where a tone is missing.
    pub mask: &'a [u8],
    /// Taps whose columns have norm 1.
    pub taps: &'a [Complex32],
    /// The weight of the 1-norm.
    pub lambda: f32,
    /// Noise variance of a normalised tone, where it is known.
    pub noise_variance: Option<f32>,
    /// Iterations made.
    pub iterations: u32,
    /// Objective and gap.
    pub certificate: Certificate<f32>,
}

/// Describes the taps; `None` when all of them are zero.
pub fn describe(grid: &ToneGrid, fitter: &mut PathFitter, solved: &Solved<'_>, gap_tolerance: f32) -> Option<Estimate> {
    let (mut total, mut peak, mut strongest, mut active_taps) = (0.0, 0.0, 0, 0);
    for (tap, x) in solved.taps.iter().enumerate() {
        let power = x.norm_sqr();
        total += power;
        active_taps += u32::from(power > 0.0);
        if power > peak {
            (peak, strongest) = (power, tap);
        }
    }
    if peak <= 0.0 {
        return None;
    }
    let tap_delay_s = grid.tap_delay_s() as f32;
    let ratio = peak / total;
    let rest = total - peak;
    let k_factor_db = if rest > 0.0 {
        detmath::clamp(
            10.0 * detmath::log10(peak / rest),
            -K_FACTOR_LIMIT_DB,
            K_FACTOR_LIMIT_DB,
        )
    } else {
        K_FACTOR_LIMIT_DB
    };

    let scale = 1.0 / (grid.tones() as f32).sqrt();
    let (delay, sigma) = match fitter.fit(solved.tones, solved.mask, solved.taps, scale) {
        Some((path, shown)) => {
            let path = fitter.paths()[path];
            // What the paths leave unexplained counts as noise where it is more than was promised.
            let noise = solved.noise_variance.map_or(shown, |known| detmath::max(known, shown));
            (path.delay, Some(fitter.delay_sigma(path, noise) * tap_delay_s))
        }
        None => (strongest as f32, None),
    };

    Some(Estimate {
        converged: solved.certificate.relative_gap <= gap_tolerance,
        active_taps,
        iterations: solved.iterations,
        dominant_delay_s: delay * tap_delay_s,
        dominant_delay_sigma_s: sigma,
        dominant_ratio: ratio,
        rms_delay_spread_s: spread_taps(solved.taps, strongest, total) * tap_delay_s,
        k_factor_db,
        lambda: solved.lambda,
        objective: solved.certificate.primal,
        relative_gap: solved.certificate.relative_gap,
        ranging_valid: grid.bandwidth_mhz() >= RANGING_BANDWIDTH_MHZ,
    })
}

/// Energy-weighted standard deviation of the delay, taps.
fn spread_taps(taps: &[Complex32], strongest: usize, total: f32) -> f32 {
    let n = taps.len();
    let (mut first, mut second) = (0.0, 0.0);
    for (tap, x) in taps.iter().enumerate() {
        let power = x.norm_sqr();
        if power > 0.0 {
            let ahead = (tap + n - strongest) % n;
            let offset = if 2 * ahead > n {
                ahead as f32 - n as f32
            } else {
                ahead as f32
            };
            first += power * offset;
            second += power * offset * offset;
        }
    }
    let mean = first / total;
    detmath::max(second / total - mean * mean, 0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_two_equal_taps_is_half_their_distance() {
        let mut taps = vec![Complex32::new(0.0, 0.0); 156];
        taps[154] = Complex32::new(0.0, 1.0);
        taps[4] = Complex32::new(1.0, 0.0);
        assert_eq!(spread_taps(&taps, 154, 2.0), 3.0);
        assert_eq!(spread_taps(&taps, 4, 2.0), 3.0);
    }
}
