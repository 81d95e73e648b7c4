//! How likely a link's spectrum is with these people in the room.
//!
//! At each path rate the window's transform is a vector of delays and antennas. With somebody in the room it has the scatter
//! `S = a I + sum_i G_i s_i v_i v_i^H`: noise and what echoes by walls leave (`a`), and for each person the echo `v_i` of its place, `s_i` of
//! its gain `G_i` at this distance from its own path rate. Limbs turn faster and slower than a body, and a walk is no Gaussian process, so
//! the vector's law is that of a heavy-tailed one (complex Student's t with one degree of freedom; Ollila, Tyler, Koivunen and Poor 2012):
//! `-ln det S - (M + 1) ln(1 + x^H S^-1 x)`. A Gaussian one believes a strong echo too much: in a prototype the truth ranked behind a quarter of
//! wrong pairs of places with it, and with this behind one in seventy.
//!
//! Only rates near somebody's own are looked at, eight of them side by side; nothing fuses a product with a sum.

use core::f32::consts::LN_2;

use wide::{f32x8, i32x8};

use super::{
    chains::Phasors,
    echo::{Echo, Link},
};
use crate::{
    bearing::{ANTENNAS_MAX, DELAYS, DIMENSIONS_MAX, RATES},
    detmath,
};

/// People at once.
pub(super) const PEOPLE_MAX: usize = 3;
/// Rates that one person is looked for at: those around its own.
pub(super) const NEAR: usize = 8;
/// Rates of a window, the first ones once more after the last, so that any [`NEAR`] in a row can be read.
const AROUND: usize = RATES + NEAR - 1;

/// Share of a spectrum's mean power that noise has at every rate: what people leave everywhere.
const FLOOR: f32 = 0.1;
/// Gains of an echo over its usual one, with their chances beside that of the usual one: the points of a Gauss-Hermite rule for
/// logarithms with a standard deviation of 1.07 nepers, five if only this gain is unknown, else three.
const ALONE: &[(f32, f32)] = &[(0.117, 0.06), (0.342, 0.24), (2.925, 0.24), (8.557, 0.06)];
const TOGETHER: &[(f32, f32)] = &[(0.157, 1.0 / 6.0), (6.38, 1.0 / 6.0)];
/// Those of somebody who stands, at path rate zero: mostly nothing, else a hand or a turn of the body.
const STANDS: &[(f32, f32)] = &[(0.05, 0.135), (0.4, 0.135)];
/// Most points at which the gains of a few people are tried.
const POINTS_MAX: usize = 1 + 2 * PEOPLE_MAX;

/// What is known of a person's gain at a link.
#[derive(Clone, Copy)]
pub(super) enum Gain {
    Unknown,
    /// Known from before.
    Known(f32),
}

/// Gains of everybody with their chance, and how many of them there are.
type Points<const N: usize> = ([([f32; N], f32); POINTS_MAX], usize);

/// Gains of everybody to be tried, with their chances: the usual ones, and one at a time others (a cubature of the third degree where all
/// are unknown; Stroud 1971). All gains against all would be three to the power of people.
fn points<const N: usize>(people: [(bool, Gain); N]) -> Points<N> {
    let usual = people.map(|(walks, gain)| match gain {
        _ if !walks => 0.0,
        Gain::Known(gain) => gain,
        Gain::Unknown => 1.0,
    });
    let others = |(walks, gain): (bool, Gain)| match gain {
        _ if !walks => STANDS,
        Gain::Known(_) => &[],
        Gain::Unknown => TOGETHER,
    };
    let mut points = [(usual, 0.0); POINTS_MAX];
    let mut count = 1;
    let alone = people.iter().filter(|p| !others(**p).is_empty()).count() == 1;
    let mut rest = 1.0;
    for (i, person) in people.into_iter().enumerate() {
        let of = match others(person) {
            _ if alone && person.0 && matches!(person.1, Gain::Unknown) => ALONE,
            of => of,
        };
        for (gain, chance) in of {
            points[count] = (usual, *chance);
            points[count].0[i] = *gain;
            (count, rest) = (count + 1, rest - chance);
        }
    }
    points[0].1 = detmath::max(rest, 0.0);
    (points, count)
}

/// One link's spectrum of one window, ready to be judged.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// By dimension, real and imaginary parts.
    x: [[[f32; AROUND]; 2]; DIMENSIONS_MAX],
    /// Squared length of the vector at each rate.
    power: [f32; AROUND],
    /// What stands there without people.
    noise: f32x8,
    /// The logarithm of the law without people.
    empty: [f32; AROUND],
    dimensions: usize,
}

impl Window {
    /// Of a spectrum of `dimensions` numbers a rate (see [`SPECTRUM`](crate::bearing::SPECTRUM)), each antenna's turned by what `chains` says.
    pub(super) fn new(spectrum: &[f32], dimensions: usize, chains: &Phasors) -> Self {
        let mut x = [[[0.0; AROUND]; 2]; DIMENSIONS_MAX];
        let mut power = [0.0; AROUND];
        for (x, values) in x.as_flattened_mut().iter_mut().zip(spectrum.chunks_exact(RATES)) {
            for (at, (x, power)) in x.iter_mut().zip(&mut power).enumerate() {
                *x = values[at % RATES];
                *power += *x * *x;
            }
        }
        for (d, [re, im]) in x[..dimensions].iter_mut().enumerate() {
            let [cosine, sine] = chains[d / DELAYS];
            for (re, im) in re.iter_mut().zip(im) {
                (*re, *im) = (*re * cosine - *im * sine, *im * cosine + *re * sine);
            }
        }
        let total: f32 = power[..RATES].iter().sum();
        let noise = f32x8::splat(1.0 + FLOOR * total / (dimensions * RATES) as f32);
        let law = Law::new(dimensions);
        let mut empty = [0.0; AROUND];
        for from in (0..RATES).step_by(NEAR) {
            let of = law.of(noise, eight(&power, from) / noise, f32x8::splat(1.0)).to_array();
            empty.iter_mut().skip(from).zip(of).for_each(|(to, l)| *to = l);
        }
        let (once, again) = empty.split_at_mut(RATES);
        again.copy_from_slice(&once[..NEAR - 1]);
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
}

impl Law {
    fn new(dimensions: usize) -> Self {
        Self {
            dimensions: f32x8::splat(dimensions as f32),
        }
    }

    /// Its logarithm: `S = a (I + ...)` with determinant `a^M det`, and the form `x^H S^-1 x`.
    #[inline(always)]
    fn of(&self, a: f32x8, form: f32x8, det: f32x8) -> f32x8 {
        let one = f32x8::splat(1.0);
        // (M + 1) ln(1 + form) is M of it with that of a, and one with that of det.
        let form = one + positive(form);
        f32x8::splat(0.0) - self.dimensions * ln(a * form) - ln(det * form)
    }
}

/// One of the people a spectrum is judged with: its echo, whether it walks, and its gain.
pub(super) type Judged<'e> = (&'e Echo, bool, Gain);

/// Nats by which a link's spectrum is likelier with these people (three at most) than with nobody, `trust` of each, the unknown gains
/// weighed by their chances; and the mean gain of each.
pub(super) fn nats(window: &Window, link: &Link, people: &[Judged<'_>], trust: f32) -> (f32, [f32; PEOPLE_MAX]) {
    fn of<const N: usize>(
        window: &Window,
        link: &Link,
        people: [Judged<'_>; N],
        trust: f32,
    ) -> (f32, [f32; PEOPLE_MAX]) {
        let gains = people.map(|(_, walks, gain)| (walks, gain));
        Scatter::new(window, link, people.map(|p| p.0)).nats(&points(gains), trust)
    }
    match *people {
        [] => (0.0, [0.0; PEOPLE_MAX]),
        [a] => of(window, link, [a], trust),
        [a, b] => of(window, link, [a, b], trust),
        [a, b, c, ..] => of(window, link, [a, b, c], trust),
    }
}

/// Nats by which it is likelier with all of these people than with all but `k`.
///
/// The same rates are looked at with and without: what another's limbs leave at rates where only `k` is looked for speaks for nobody.
pub(super) fn support(window: &Window, link: &Link, people: &[Judged<'_>], k: usize, trust: f32) -> f32 {
    fn of<const N: usize>(window: &Window, link: &Link, people: [Judged<'_>; N], k: usize, trust: f32) -> f32 {
        let scatter = Scatter::new(window, link, people.map(|p| p.0));
        let mut gains = people.map(|(_, walks, gain)| (walks, gain));
        let with = scatter.nats(&points(gains), trust).0;
        gains[k] = (true, Gain::Known(0.0));
        with - scatter.nats(&points(gains), trust).0
    }
    match *people {
        [] => 0.0,
        [a] => of(window, link, [a], k, trust),
        [a, b] => of(window, link, [a, b], k, trust),
        [a, b, c, ..] => of(window, link, [a, b, c], k, trust),
    }
}

/// By antenna, the phasor by which what is received is ahead of an echo, against the first antenna; not of unit length.
pub(super) fn ahead(window: &Window, link: &Link, echo: &Echo) -> Phasors {
    let from = first_near(echo);
    let along = link.profile.at(echo, from).0;
    let mut sums = [[f32x8::splat(0.0); 2]; ANTENNAS_MAX];
    for (d, [x_re, x_im]) in window.x[..window.dimensions].iter().enumerate() {
        let (x_re, x_im) = (eight(x_re, from), eight(x_im, from));
        let [re, im] = echo.v[d].map(f32x8::splat);
        let sum = &mut sums[d / DELAYS];
        sum[0] += re * x_re + im * x_im;
        sum[1] += re * x_im - im * x_re;
    }
    let first = sums[0];
    // Rate by rate: each has a phase of its own.
    sums.map(|[re, im]| {
        [
            ordered_sum(along * (re * first[0] + im * first[1])),
            ordered_sum(along * (im * first[0] - re * first[1])),
        ]
    })
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

/// What these people make of a spectrum, whatever their gains.
struct Scatter<'w, 'e, const N: usize> {
    window: &'w Window,
    echoes: [&'e Echo; N],
    /// By person, the first of the rates around its own.
    from: [usize; N],
    /// Which of these are nobody's before: 1, else 0.
    new: [f32x8; N],
    /// By the person whose rates they are, and by person.
    parts: [[Part; N]; N],
    /// `v_i^H v_k`.
    across: [[[f32; 2]; N]; N],
}

impl<'w, 'e, const N: usize> Scatter<'w, 'e, N> {
    fn new(window: &'w Window, link: &Link, echoes: [&'e Echo; N]) -> Self {
        let zero = f32x8::splat(0.0);
        let from: [usize; N] = echoes.map(first_near);
        let new = core::array::from_fn(|i| {
            f32x8::new(core::array::from_fn(|lane| {
                let before = |j: &usize| (from[i] + lane + RATES - j) % RATES < NEAR;
                f32::from(u8::from(!from[..i].iter().any(before)))
            }))
        });
        let parts = from.map(|from| {
            let mut parts = [Part {
                re: zero,
                im: zero,
                along: zero,
                around: zero,
            }; N];
            for (d, [x_re, x_im]) in window.x[..window.dimensions].iter().enumerate() {
                let (x_re, x_im) = (eight(x_re, from), eight(x_im, from));
                for (part, echo) in parts.iter_mut().zip(echoes) {
                    let [re, im] = echo.v[d].map(f32x8::splat);
                    part.re += re * x_re + im * x_im;
                    part.im += re * x_im - im * x_re;
                }
            }
            for (part, echo) in parts.iter_mut().zip(echoes) {
                (part.along, part.around) = link.profile.at(echo, from);
            }
            parts
        });
        let across = core::array::from_fn(|i| {
            core::array::from_fn(|k| if k > i { echoes[i].product(echoes[k]) } else { [0.0; 2] })
        });
        Self {
            window,
            echoes,
            from,
            new,
            parts,
            across,
        }
    }

    /// Nats against nobody's, the mean over gains by their chances, and the mean gain of each.
    fn nats(&self, (points, count): &Points<N>, trust: f32) -> (f32, [f32; PEOPLE_MAX]) {
        let law = Law::new(self.window.dimensions);
        let mut logs = [0.0; POINTS_MAX];
        for (log, (factors, _)) in logs.iter_mut().zip(&points[..*count]) {
            let gains: [f32; N] = core::array::from_fn(|i| factors[i] * self.echoes[i].law);
            *log = trust * self.sum(&law, gains);
        }
        let most = logs[..*count].iter().copied().fold(f32::MIN, detmath::max);
        let mut sum = 0.0;
        let mut means = [0.0; PEOPLE_MAX];
        for (log, (factors, chance)) in logs.iter().zip(&points[..*count]) {
            let weight = chance * detmath::exp(log - most);
            sum += weight;
            means.iter_mut().zip(factors).for_each(|(m, f)| *m += weight * f);
        }
        sum = detmath::max(sum, f32::MIN_POSITIVE);
        means.iter_mut().for_each(|m| *m /= sum);
        (most + detmath::ln(sum), means)
    }

    /// The law's logarithm against nobody's with these gains, summed over all rates that are looked at.
    #[inline]
    fn sum(&self, law: &Law, gains: [f32; N]) -> f32 {
        let zero = f32x8::splat(0.0);
        let one = f32x8::splat(1.0);
        let mut total = zero;
        for (at, parts) in self.parts.iter().enumerate() {
            let mut a = self.window.noise;
            for i in 0..N {
                a += parts[i].around * f32x8::splat(gains[i]);
            }
            let inverse = one / a;
            let mut form = eight(&self.window.power, self.from[at]) * inverse;
            let mut det = one;
            // x^H S^-1 x and det S by taking the people in one after the other (Sherman and Morrison).
            let mut c: [[f32x8; 2]; N] = core::array::from_fn(|i| [parts[i].re * inverse, parts[i].im * inverse]);
            let mut h: [[[f32x8; 2]; N]; N] = core::array::from_fn(|i| {
                core::array::from_fn(|k| {
                    if i == k {
                        [inverse * f32x8::splat(self.echoes[i].length2), zero]
                    } else if k > i {
                        self.across[i][k].map(|v| inverse * f32x8::splat(v))
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
            total += self.new[at] * (law.of(a, form, det) - eight(&self.window.empty, self.from[at]));
        }
        ordered_sum(total)
    }
}

/// The first of the rates that an echo is looked for at.
fn first_near(echo: &Echo) -> usize {
    (echo.rate - (NEAR as i32 / 2 - 1)).rem_euclid(RATES as i32) as usize
}

fn eight(values: &[f32; AROUND], from: usize) -> f32x8 {
    f32x8::new(core::array::from_fn(|lane| values[from + lane]))
}

/// The sum of all lanes, in their order.
fn ordered_sum(v: f32x8) -> f32 {
    v.to_array().iter().sum()
}

/// Where it is above zero, else zero; rounding must not make a power negative.
#[inline(always)]
fn positive(v: f32x8) -> f32x8 {
    v.fast_max(f32x8::splat(0.0))
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
