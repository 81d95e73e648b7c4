//! How likely a link's spectrum is with these people in the room.
//!
//! At each path rate the window's transform is a vector of delays and antennas. With somebody in the room it has the scatter
//! `S = a I + sum_i G_i s_i v_i v_i^H`: noise and what echoes by walls leave (`a`), and for each person the echo `v_i` of its place, `s_i` of
//! its gain `G_i` at this distance from its own path rate. Limbs turn faster and slower than a body, and a walk is no Gaussian process, so
//! the vector's law is that of a heavy-tailed one (complex Student's t with one degree of freedom; Ollila, Tyler, Koivunen and Poor 2012):
//! `-ln det S - (M + 1) ln(1 + x^H S^-1 x)`. A Gaussian one believes a strong echo too much: in a prototype the truth ranked behind a quarter of
//! wrong pairs of places with it, and with this behind one in seventy.
//!
//! Everything runs over eight rates side by side; nothing fuses a product with a sum.

use core::f32::consts::LN_2;

use wide::{f32x8, i32x8};

use super::echo::{Echo, Link};
use crate::{
    bearing::{DIMENSIONS_MAX, RATES},
    detmath,
};

/// People at once.
pub(super) const PEOPLE_MAX: usize = 3;
/// Vectors of eight rates that hold a spectrum.
pub(super) const CHUNKS: usize = RATES.div_ceil(8);
/// Rates with their padding.
pub(super) const PADDED: usize = 8 * CHUNKS;

/// Rates below and above a person's own that it is looked for at, steps.
const NEAR: i32 = 4;
/// Share of a spectrum's mean power that noise has at every rate: what people leave everywhere.
const FLOOR: f32 = 0.1;
/// Gains that any person's echo can have over the usual one, with the logarithms of their chances; standard deviation 1.07 nepers.
const WALKS: [&[(f32, f32)]; PEOPLE_MAX + 1] = [
    &[],
    &[
        (0.117, -2.813_411),
        (0.342, -1.427_116),
        (1.0, -0.916_291),
        (2.925, -1.427_116),
        (8.557, -2.813_411),
    ],
    &[(0.2, -1.514_128), (1.0, -0.579_818), (4.999, -1.514_128)],
    &[(0.343, -LN_2), (2.915, -LN_2)],
];
/// Those of a person who is looked for beside others whose gains are known.
const SOUGHT: &[(f32, f32)] = &[
    (0.145, -2.333_044),
    (0.526, -0.908_819),
    (1.901, -0.908_819),
    (6.872, -2.333_044),
];
/// Those of somebody who stands, at path rate zero: mostly nothing, else a hand or a turn of the body.
const STANDS: &[(f32, f32)] = &[(0.0, -0.3), (0.05, -2.0), (0.4, -2.0)];

/// What is known of a person's gain at a link.
#[derive(Clone, Copy)]
pub(super) enum Gain {
    /// One of so many people who are all unknown.
    Among(usize),
    /// Known from before.
    Known(f32),
    /// Somebody new.
    Sought,
}

impl Gain {
    /// For somebody who walks, or stands.
    fn choices(self, walks: bool) -> Choices {
        match self {
            _ if !walks => Choices::Of(STANDS),
            Self::Among(people) => Choices::Of(WALKS[people.min(PEOPLE_MAX)]),
            Self::Known(gain) => Choices::One(gain),
            Self::Sought => Choices::Of(SOUGHT),
        }
    }
}

#[derive(Clone, Copy)]
enum Choices {
    Of(&'static [(f32, f32)]),
    One(f32),
}

impl Choices {
    fn len(self) -> usize {
        match self {
            Self::Of(all) => all.len(),
            Self::One(_) => 1,
        }
    }

    fn get(self, at: usize) -> (f32, f32) {
        match self {
            Self::Of(all) => all[at],
            Self::One(gain) => (gain, 0.0),
        }
    }
}

/// One link's spectrum of one window, ready to be judged.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// By dimension, real and imaginary parts.
    x: [[[f32x8; CHUNKS]; 2]; DIMENSIONS_MAX],
    /// Squared length of the vector at each rate.
    power: [f32x8; CHUNKS],
    /// What stands there without people.
    noise: f32x8,
    /// The logarithm of the law without people.
    empty: [f32x8; CHUNKS],
    dimensions: usize,
}

impl Window {
    /// Of a spectrum of `dimensions` numbers a rate; see [`SPECTRUM`](crate::bearing::SPECTRUM).
    pub(super) fn new(spectrum: &[f32], dimensions: usize) -> Self {
        let zero = f32x8::splat(0.0);
        let mut x = [[[zero; CHUNKS]; 2]; DIMENSIONS_MAX];
        let mut power = [zero; CHUNKS];
        for (x, values) in x.as_flattened_mut().iter_mut().zip(spectrum.chunks_exact(RATES)) {
            let mut padded = [0.0; PADDED];
            padded[..RATES].copy_from_slice(values);
            for (chunk, (x, power)) in x.iter_mut().zip(&mut power).enumerate() {
                *x = eight(&padded, chunk);
                *power += *x * *x;
            }
        }
        let total: f32 = power.iter().map(|p| ordered_sum(*p)).sum();
        let noise = f32x8::splat(1.0 + FLOOR * total / (dimensions * RATES) as f32);
        let law = Law::new(dimensions);
        let empty = power.map(|p| law.of(noise, p / noise, f32x8::splat(1.0)));
        Self {
            x,
            power,
            noise,
            empty,
            dimensions,
        }
    }
}

/// Constants of the law of vectors of so many numbers.
struct Law {
    dimensions: f32x8,
    tail: f32x8,
}

impl Law {
    fn new(dimensions: usize) -> Self {
        Self {
            dimensions: f32x8::splat(dimensions as f32),
            tail: f32x8::splat(dimensions as f32 + 1.0),
        }
    }

    /// Its logarithm: `S = a (I + ...)` with determinant `a^M det`, and the form `x^H S^-1 x`.
    #[inline(always)]
    fn of(&self, a: f32x8, form: f32x8, det: f32x8) -> f32x8 {
        let one = f32x8::splat(1.0);
        f32x8::splat(0.0) - self.dimensions * ln(a) - ln(det) - self.tail * ln(one + positive(form))
    }
}

/// Nats by which a link's spectrum is likelier with these people (three at most) than with nobody, `trust` of each, the unknown gains
/// weighed by their chances; and the mean gain of each.
pub(super) fn nats(
    window: &Window,
    link: &Link,
    people: &[(&Echo, bool, Gain)],
    trust: f32,
) -> (f32, [f32; PEOPLE_MAX]) {
    match *people {
        [] => (0.0, [0.0; PEOPLE_MAX]),
        [a] => nats_of(window, link, [a], trust),
        [a, b] => nats_of(window, link, [a, b], trust),
        [a, b, c, ..] => nats_of(window, link, [a, b, c], trust),
    }
}

/// What one person does to eight rates.
#[derive(Clone, Copy)]
struct Part {
    /// `v^H x`.
    re: f32x8,
    im: f32x8,
    /// Share of the gain that goes along `v`, and to all sides.
    along: f32x8,
    around: f32x8,
}

fn nats_of<const N: usize>(
    window: &Window,
    link: &Link,
    people: [(&Echo, bool, Gain); N],
    trust: f32,
) -> (f32, [f32; PEOPLE_MAX]) {
    let zero = f32x8::splat(0.0);
    let one = f32x8::splat(1.0);
    let mut on = [0.0; PADDED];
    for (echo, ..) in &people {
        for step in -NEAR..=NEAR + 1 {
            on[(echo.rate + step).rem_euclid(RATES as i32) as usize] = 1.0;
        }
    }
    let mut parts = [[Part {
        re: zero,
        im: zero,
        along: zero,
        around: zero,
    }; N]; CHUNKS];
    let mut masks = [zero; CHUNKS];
    let mut used = [0; CHUNKS];
    let mut count = 0;
    for chunk in 0..CHUNKS {
        let mask = eight(&on, chunk);
        if mask.simd_gt(zero).to_bitmask() == 0 {
            continue;
        }
        (masks[count], used[count]) = (mask, chunk);
        for (part, (echo, ..)) in parts[count].iter_mut().zip(&people) {
            for (d, [x_re, x_im]) in window.x[..window.dimensions].iter().enumerate() {
                let [re, im] = echo.v[d].map(f32x8::splat);
                part.re += re * x_re[chunk] + im * x_im[chunk];
                part.im += re * x_im[chunk] - im * x_re[chunk];
            }
            (part.along, part.around) = link.profile.at(echo, chunk);
        }
        count += 1;
    }
    let across: [[[f32; 2]; N]; N] = core::array::from_fn(|i| {
        core::array::from_fn(|k| {
            if k > i {
                people[i].0.product(people[k].0)
            } else {
                [0.0; 2]
            }
        })
    });
    let law = Law::new(window.dimensions);
    let choices = people.map(|(_, walks, gain)| gain.choices(walks));
    let combinations: usize = choices.iter().map(|c| c.len()).product();
    let mut most = f32::MIN;
    let mut sum = 0.0;
    let mut means = [0.0; PEOPLE_MAX];
    for combination in 0..combinations {
        let mut rest = combination;
        let mut chance = 0.0;
        let mut factors = [0.0; N];
        for (factor, choices) in factors.iter_mut().zip(choices) {
            let (f, log) = choices.get(rest % choices.len());
            rest /= choices.len();
            (*factor, chance) = (f, chance + log);
        }
        let gains: [f32; N] = core::array::from_fn(|i| factors[i] * people[i].0.law);
        let mut total = zero;
        for at in 0..count {
            let chunk = used[at];
            let parts = &parts[at];
            let mut a = window.noise;
            for i in 0..N {
                a += parts[i].around * f32x8::splat(gains[i]);
            }
            let inverse = one / a;
            let mut form = window.power[chunk] * inverse;
            let mut det = one;
            // x^H S^-1 x and det S by taking the people in one after the other (Sherman and Morrison).
            let mut c: [[f32x8; 2]; N] = core::array::from_fn(|i| [parts[i].re * inverse, parts[i].im * inverse]);
            let mut h: [[[f32x8; 2]; N]; N] = core::array::from_fn(|i| {
                core::array::from_fn(|k| {
                    if i == k {
                        [inverse * f32x8::splat(people[i].0.length2), zero]
                    } else if k > i {
                        across[i][k].map(|v| inverse * f32x8::splat(v))
                    } else {
                        [zero; 2]
                    }
                })
            });
            for i in 0..N {
                let gain = parts[i].along * f32x8::splat(gains[i]);
                let grown = one + gain * positive(h[i][i][0]);
                let share = gain / grown;
                det *= grown;
                form -= share * (c[i][0] * c[i][0] + c[i][1] * c[i][1]);
                for k in i + 1..N {
                    // c_k -= share h_ki c_i with h_ki = conj(h_ik).
                    let [re, im] = h[i][k];
                    c[k][0] -= share * (re * c[i][0] + im * c[i][1]);
                    c[k][1] -= share * (re * c[i][1] - im * c[i][0]);
                    // h_km -= share conj(h_ik) h_im.
                    let row = h[i];
                    for (m, [x, y]) in row.into_iter().enumerate().skip(k) {
                        h[k][m][0] -= share * (re * x + im * y);
                        h[k][m][1] -= share * (re * y - im * x);
                    }
                }
            }
            total += masks[at] * (law.of(a, form, det) - window.empty[chunk]);
        }
        let log = trust * ordered_sum(total) + chance;
        // The sum of exponentials, kept relative to the largest so far.
        let (scale, weight) = if log > most {
            (if sum > 0.0 { detmath::exp(most - log) } else { 0.0 }, 1.0)
        } else {
            (1.0, detmath::exp(log - most))
        };
        most = detmath::max(most, log);
        sum = sum * scale + weight;
        for (mean, factor) in means.iter_mut().zip(factors) {
            *mean = *mean * scale + weight * factor;
        }
    }
    means.iter_mut().for_each(|m| *m /= sum);
    (most + detmath::ln(sum), means)
}

fn eight(values: &[f32; PADDED], chunk: usize) -> f32x8 {
    f32x8::new(core::array::from_fn(|lane| values[8 * chunk + lane]))
}

/// The sum of all lanes, in their order.
fn ordered_sum(v: f32x8) -> f32 {
    v.to_array().iter().sum()
}

/// Where it is above zero, else zero; rounding must not make a power negative.
#[inline(always)]
fn positive(v: f32x8) -> f32x8 {
    let zero = f32x8::splat(0.0);
    v.simd_gt(zero).select(v, zero)
}

/// Natural logarithm of a positive normal number, within 2e-4: exponent, and a polynomial of the fraction.
#[inline(always)]
fn ln(v: f32x8) -> f32x8 {
    let bits: i32x8 = bytemuck::cast(v);
    let exponent = f32x8::from_i32x8((bits >> 23) - i32x8::splat(127));
    let fraction: f32x8 = bytemuck::cast((bits & i32x8::splat(0x007f_ffff)) | i32x8::splat(0x3f80_0000));
    let mut p = f32x8::splat(-0.024_826);
    for c in [0.266_87, -1.234_2, 3.218_9, -5.264_1, 6.065_1, -3.028_3] {
        p = p * fraction + f32x8::splat(c);
    }
    (exponent + p) * f32x8::splat(LN_2)
}
