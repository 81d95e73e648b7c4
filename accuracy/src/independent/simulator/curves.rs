//! Functions of one number.

use std::f64::consts::{FRAC_PI_2, TAU};

use super::complex::Complex;

/// The number `fraction` of the way from `a` to `b`.
pub(super) fn between(a: f64, b: f64, fraction: f64) -> f64 {
    a + (b - a) * fraction
}

/// A smooth step: 0 up to 0, 1 from 1 on, without a bend at either.
pub(super) fn step(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// `sin(x) / x`.
pub(super) fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-6 { 1.0 } else { x.sin() / x }
}

/// The same angle between -pi and pi, radians.
pub(super) fn wrapped(angle_rad: f64) -> f64 {
    angle_rad - TAU * (angle_rad / TAU).round()
}

/// Fresnel's integral `int_0^x exp(-j pi t^2 / 2) dt = C(x) - j S(x)`, by the rational auxiliary functions of
/// Abramowitz and Stegun, 7.3.32 and 7.3.33 (error at most 0.002).
pub(super) fn fresnel(x: f64) -> Complex {
    let a = x.abs();
    let f = (1.0 + 0.926 * a) / (2.0 + 1.792 * a + 3.104 * a * a);
    let g = 1.0 / (2.0 + 4.142 * a + 3.492 * a * a + 6.670 * a * a * a);
    let (sin, cos) = (FRAC_PI_2 * a * a).sin_cos();
    let integral = Complex::new(0.5 + f * sin - g * cos, -(0.5 - f * cos - g * sin));
    if x < 0.0 { -integral } else { integral }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, table 7.7: x, C(x), S(x).
    const TABLE: [[f64; 3]; 6] = [
        [0.0, 0.0, 0.0],
        [0.5, 0.492_344_2, 0.064_732_4],
        [1.0, 0.779_893_4, 0.438_259_1],
        [1.5, 0.445_261_2, 0.697_505_0],
        [2.0, 0.488_253_4, 0.343_415_7],
        [2.5, 0.457_413_0, 0.619_181_8],
    ];

    #[test]
    fn fresnel_is_the_tabulated_integral() {
        for [x, c, s] in TABLE {
            for sign in [1.0, -1.0] {
                let wrong = fresnel(sign * x) - Complex::new(c, -s) * sign;
                assert!(wrong.magnitude() < 0.002 * f64::sqrt(2.0), "{x}: {wrong:?}");
            }
        }
    }

    #[test]
    fn fresnel_ends_at_half_and_half() {
        assert!((fresnel(1e4) - Complex::new(0.5, -0.5)).magnitude() < 1e-4);
    }

    #[test]
    fn angles_are_wrapped() {
        assert!((wrapped(3.0 * TAU + 1.0) - 1.0).abs() < 1e-12 && (wrapped(4.0) - (4.0 - TAU)).abs() < 1e-12);
    }
}
