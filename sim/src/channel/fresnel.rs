//! The complex Fresnel integral `F(v) = int_0^v exp(-j pi s^2 / 2) ds = C(v) - j S(v)`.
//!
//! Boersma's polynomials (Math. Comp. 14, 1960), the form that ITU-R P.526-15 section 2.7 gives, in `x = pi v^2 / 2`
//! split at 4. Our test against direct integration finds an error below 3e-8.

use num_complex::Complex64;
use tapline_dsp::detmath::{cos64, sin64};

const A: [f64; 12] = [
    1.595_769_140,
    -0.000_001_702,
    -6.808_568_854,
    -0.000_576_361,
    6.920_691_902,
    -0.016_898_657,
    -3.050_485_660,
    -0.075_752_419,
    0.850_663_781,
    -0.025_639_041,
    -0.150_230_960,
    0.034_404_779,
];
const B: [f64; 12] = [
    -0.000_000_033,
    4.255_387_524,
    -0.000_092_810,
    -7.780_020_400,
    -0.009_520_895,
    5.075_161_298,
    -0.138_341_947,
    -1.363_729_124,
    -0.403_349_276,
    0.702_222_016,
    -0.216_195_929,
    0.019_547_031,
];
const C: [f64; 12] = [
    0.0,
    -0.024_933_975,
    0.000_003_936,
    0.005_770_956,
    0.000_689_892,
    -0.009_497_136,
    0.011_948_809,
    -0.006_748_873,
    0.000_246_420,
    0.002_102_967,
    -0.001_217_930,
    0.000_233_939,
];
const D: [f64; 12] = [
    0.199_471_140,
    0.000_000_023,
    -0.009_351_341,
    0.000_023_006,
    0.004_851_466,
    0.001_903_218,
    -0.017_122_914,
    0.029_064_067,
    -0.027_928_955,
    0.016_497_308,
    -0.005_598_515,
    0.000_838_386,
];

/// `F(v) = int_0^v exp(-j pi s^2 / 2) ds`; odd in v, tends to `(1 - j) / 2`.
pub(crate) fn fresnel(v: f64) -> Complex64 {
    let x = 0.5 * core::f64::consts::PI * v * v;
    let turn = Complex64::new(cos64(x), -sin64(x));
    let integral = if x < 4.0 {
        let y = x / 4.0;
        turn * y.sqrt() * series(y, &A, &B)
    } else {
        let y = 4.0 / x;
        Complex64::new(0.5, -0.5) + turn * y.sqrt() * series(y, &C, &D)
    };
    if v < 0.0 { -integral } else { integral }
}

/// `sum (re[n] + j im[n]) y^n` by Horner's rule.
fn series(y: f64, re: &[f64; 12], im: &[f64; 12]) -> Complex64 {
    let mut sum = Complex64::new(0.0, 0.0);
    for n in (0..12).rev() {
        sum = Complex64::new(sum.re * y + re[n], sum.im * y + im[n]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simpson's rule with steps far below the oscillation.
    fn by_integration(v: f64) -> Complex64 {
        let n = 40_000;
        let h = v / f64::from(n);
        let f = |s: f64| {
            let x = 0.5 * core::f64::consts::PI * s * s;
            Complex64::new(cos64(x), -sin64(x))
        };
        let mut sum = f(0.0) + f(v);
        for i in 1..n {
            sum += f(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 };
        }
        sum * (h / 3.0)
    }

    #[test]
    fn agrees_with_direct_integration() {
        let mut worst: f64 = 0.0;
        for i in -60..=60 {
            let v = f64::from(i) * 0.13;
            let error = (fresnel(v) - by_integration(v)).norm_sqr().sqrt();
            worst = if error > worst { error } else { worst };
        }
        assert!(worst < 3e-8, "worst error {worst:e}");
    }

    #[test]
    fn tends_to_its_limits() {
        assert!((fresnel(200.0) - Complex64::new(0.5, -0.5)).norm_sqr().sqrt() < 2e-3);
        assert_eq!(fresnel(0.0).norm_sqr(), 0.0);
    }
}
