//! The noise of a link from its own tones, and the `lambda` that follows from it.

use num_complex::Complex32;

use super::{
    grid::ToneGrid,
    settings::{Lambda, Settings},
};
use crate::detmath;

/// Fewest second differences the estimate is made from.
const DIFFERENCES_MIN: usize = 8;

/// Noise variance `E|n|^2` of a complex tone, or `None` when fewer than eight runs of three adjacent
/// tones are measured.
///
/// A channel whose delays are short against `1/df` hardly bends from tone to tone once its mean delay is
/// taken out, so second differences `d_k = u y_{k-1} - 2 y_k + conj(u) y_{k+1}`, with `u` the phase of
/// the lag-one autocorrelation, hold the noise with variance `6 sigma^2` and little else. For complex
/// Gaussian noise the median of `|d|^2` is `6 sigma^2 ln 2`; the median keeps single bad tones out. Delay
/// spread that is left makes the estimate too large, never too small: `lambda` then errs to fewer taps.
///
/// `squares` is scratch of at least K numbers.
pub fn estimate_variance(
    grid: &ToneGrid,
    tones: &[Complex32],
    measured: impl Fn(usize) -> bool,
    squares: &mut [f32],
) -> Option<f32> {
    let indices = grid.indices();
    let adjacent = |k: usize| indices[k + 1] - indices[k] == 1 && measured(k) && measured(k + 1);
    let mut rotation = Complex32::new(0.0, 0.0);
    for k in 0..tones.len().saturating_sub(1) {
        if adjacent(k) {
            rotation += tones[k + 1] * tones[k].conj();
        }
    }
    let length = detmath::hypot(rotation.re, rotation.im);
    let unit = if length > 0.0 {
        Complex32::new(rotation.re / length, rotation.im / length)
    } else {
        Complex32::new(1.0, 0.0)
    };
    let mut count = 0;
    for k in 1..tones.len().saturating_sub(1) {
        if adjacent(k - 1) && adjacent(k) {
            let d = unit * tones[k - 1] - tones[k] * 2.0 + unit.conj() * tones[k + 1];
            squares[count] = d.re * d.re + d.im * d.im;
            count += 1;
        }
    }
    if count < DIFFERENCES_MIN {
        return None;
    }
    let (_, median, _) = squares[..count].select_nth_unstable_by(count / 2, f32::total_cmp);
    Some(*median / (6.0 * core::f32::consts::LN_2))
}

/// `lambda` on the normalised scale.
///
/// `sigma` is the noise of a normalised tone where it is known, `fill` the measured fraction of the
/// tones: with missing tones a column keeps the norm `sqrt(fill)`, which is then also the correlation of
/// a channel of one path, and the noise in a correlation shrinks with it.
pub fn choose_lambda(settings: &Settings, taps: usize, sigma: Option<f32>, fill: f32) -> f32 {
    let lambda = match (settings.lambda, sigma) {
        (Lambda::Fixed(lambda), _) => return lambda,
        (Lambda::Noise, Some(sigma)) => sigma * (fill * 2.0 * detmath::ln(taps as f32)).sqrt(),
        (Lambda::Noise, None) => settings.lambda_fallback * fill.sqrt(),
    };
    detmath::clamp(lambda, settings.lambda_floor, 1.0)
}
