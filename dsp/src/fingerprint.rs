//! The numeric fingerprint: a fixed battery of everything the profile lets a stage use.
//!
//! A machine or a build on which one bit of it differs computes other cycles than those that were published; it may run,
//! and must not claim the profile (docs/numeric-profile.md).

use std::hint::black_box;

use num_complex::Complex;

use crate::{
    cir::{FftOperator, SensingOperator, ToneGrid},
    detmath as m,
    tier::Tier,
};

/// Inputs that no compiler may evaluate beforehand: ordinary, tiny, huge, subnormal, signed zeros, ties.
const INPUTS: [f64; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    0.1,
    -0.3,
    1.5,
    2.5,
    -3.5,
    0.777_77,
    3.217,
    -2.703_125,
    1e-3,
    -1e-7,
    1e-38,
    1e-41,
    1.401_298_464_324_817e-45,
    5e-324,
    1e-310,
    12_345.678,
    -987_654.3,
    1.677_721_7e7,
    3.0e38,
];

/// Hands every result of the battery to `each`, as bits; a NaN as one value, whatever its payload.
pub fn battery(mut each: impl FnMut(u64)) {
    let mut single = |x: f32| each(if x.is_nan() { u64::MAX } else { u64::from(x.to_bits()) });
    for a in INPUTS {
        // Narrowing rounds to nearest, ties to even, into the subnormals as well.
        let x = black_box(a) as f32;
        for y in unary32(x) {
            single(y);
        }
        for b in INPUTS {
            let y = black_box(b) as f32;
            for z in [x + y, x - y, x * y, x / y, m::atan2(x, y), m::pow(x, y), m::hypot(x, y)] {
                single(z);
            }
            for z in [m::min(x, y), m::max(x, y), m::clamp(x, -1.0, y)] {
                single(z);
            }
            // A fused multiply-add would round once.
            single(x * y + 0.1);
        }
    }
    for tier in [Tier::Ht20, Tier::He40] {
        transformed(tier, &mut single);
    }
    let mut double = |x: f64| each(if x.is_nan() { u64::MAX } else { x.to_bits() });
    for a in INPUTS {
        let x = black_box(a);
        for y in unary64(x) {
            double(y);
        }
        for b in INPUTS {
            let y = black_box(b);
            for z in [
                x + y,
                x - y,
                x * y,
                x / y,
                x * y + 0.1,
                m::atan2_64(x, y),
                m::pow64(x, y),
            ] {
                double(z);
            }
            for z in [m::min64(x, y), m::max64(x, y), m::clamp64(x, -1.0, y)] {
                double(z);
            }
        }
    }
    // The order of a sum shows in its last bits.
    double(INPUTS.iter().map(|x| black_box(*x)).sum());
}

fn unary32(x: f32) -> [f32; 11] {
    [
        x.sqrt(),
        m::sin(x),
        m::cos(x),
        m::acos(x),
        m::exp(x),
        m::ln(x),
        m::ln_1p(x),
        m::log10(x),
        m::tanh(x),
        m::erf(x),
        x as i32 as f32,
    ]
}

fn unary64(x: f64) -> [f64; 12] {
    [
        x.sqrt(),
        m::sin64(x),
        m::cos64(x),
        m::acos64(x),
        m::exp64(x),
        m::ln64(x),
        m::ln_1p64(x),
        m::log10_64(x),
        m::tanh64(x),
        m::erf64(x),
        f64::from(x as f32),
        x as i64 as f64,
    ]
}

/// The operator of the impulse response on fixed taps, there and back.
fn transformed(tier: Tier, single: &mut impl FnMut(f32)) {
    let grid = ToneGrid::of_tier(tier);
    let mut taps: Vec<Complex<f32>> = (0..grid.taps())
        .map(|g| Complex::new((g * 37 % 101) as f32 / 101.0 - 0.5, (g * 53 % 97) as f32 / 97.0 - 0.5))
        .collect();
    let mut tones = vec![Complex::new(0.0, 0.0); grid.tones()];
    let mut operator = FftOperator::new(grid);
    operator.forward(black_box(&taps), &mut tones);
    operator.adjoint(&tones, &mut taps);
    for value in tones.iter().chain(&taps) {
        single(value.re);
        single(value.im);
    }
}

#[cfg(test)]
mod tests {
    use super::battery;

    #[test]
    fn the_battery_is_the_same_twice_and_sees_subnormals_and_the_order_of_zeros() {
        let bits = || {
            let mut all = Vec::new();
            battery(|x| all.push(x));
            all
        };
        let first = bits();
        assert_eq!(first, bits());
        assert!(first.len() > 10_000, "{}", first.len());
        // 2^-149 + 2^-149 in single precision: zero on a machine that flushes.
        assert!(first.contains(&2));
        assert!(first.contains(&u64::from((-0.0_f32).to_bits())));
    }
}
