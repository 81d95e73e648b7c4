//! What somebody at a place with a velocity leaves in a link's spectrum.

use wide::f32x8;

use super::law::NEAR;
use crate::{
    bearing::{ANTENNAS_MAX, DELAYS, DIMENSIONS_MAX, DelayBasis, RATES},
    detmath,
};

/// Distance to a node below which its direction is not what geometry says, metres: a body is no point.
const NEAR_M: f32 = 0.3;
/// Distance below which an echo grows no more, metres.
const STRONG_M: f32 = 0.4;
/// How long ago the place is that a window shows, seconds: its middle, and a little less.
const WINDOW_AGO_S: f32 = 0.3;
/// What the direct way is longer by than the mean that a frame is aligned to, metres.
const DIRECT_M: f32 = 0.2;
/// Usual power of a body's echo against the empty room's, both nodes one direct way off it; measured, as the profile below, on one
/// walker in two made-up rooms of the simulator (2.4 GHz, HT40, 25 frames a second).
const ECHO: f32 = 1.106_72;
/// Distance of two entries of the profile, m/s.
const PROFILE_STEP_M_S: f32 = 0.085_43;
/// Share of that power at path rates so far off the body's own: along the echo of its place, and to all sides.
const ALONG: [f32; 19] = [
    0.0777, 0.0679, 0.0473, 0.0293, 0.0180, 0.0115, 0.0079, 0.0057, 0.0043, 0.0033, 0.0027, 0.0021, 0.0017, 0.0014,
    0.0012, 0.0009, 0.0007, 0.0006, 0.0006,
];
const AROUND: [f32; 19] = [
    0.0329, 0.0318, 0.0274, 0.0202, 0.0137, 0.0098, 0.0078, 0.0066, 0.0057, 0.0051, 0.0047, 0.0043, 0.0041, 0.0039,
    0.0038, 0.0039, 0.0041, 0.0043, 0.0043,
];
/// Part of `AROUND` that counts: echoes by walls belong to it, and they have places too.
const AROUND_SHARE: f32 = 0.7;

/// Geometry and constants of a link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Where its first antenna sends from, metres.
    pub(super) tx_m: [f32; 2],
    /// Where the receiving antennas are.
    pub(super) rx_m: [[f32; 2]; ANTENNAS_MAX],
    pub(super) antennas: usize,
    pub(super) wavelength_m: f32,
    pub(super) period_m_s: f32,
    /// Noise of the empty room, as a share of its power.
    pub(super) noise: f32,
    pub(super) profile: Profile,
}

impl Link {
    /// The same, with one of its antennas.
    pub(super) fn only(&self, antenna: usize) -> Self {
        let mut one = self.clone();
        one.rx_m[0] = self.rx_m[antenna];
        one.antennas = 1;
        one
    }

    /// Numbers of its spectrum at one rate.
    pub(super) fn dimensions(&self) -> usize {
        self.antennas * DELAYS
    }

    /// The echo of somebody at `[x, y]` now, who walks with `velocity`.
    pub(super) fn echo(&self, basis: &DelayBasis, [x, y]: [f32; 2], [vx, vy]: [f32; 2]) -> Echo {
        let (px, py) = (x - WINDOW_AGO_S * vx, y - WINDOW_AGO_S * vy);
        let off = |[ax, ay]: [f32; 2]| {
            let (dx, dy) = (px - ax, py - ay);
            (dx, dy, (dx * dx + dy * dy).sqrt())
        };
        let (tx_x, tx_y, to_tx) = off(self.tx_m);
        let (rx_x, rx_y, to_rx) = off(self.rx_m[0]);
        let (ax, ay) = (self.tx_m[0] - self.rx_m[0][0], self.tx_m[1] - self.rx_m[0][1]);
        let direct2 = ax * ax + ay * ay;
        let answer = basis.answer(to_tx + to_rx - direct2.sqrt() - DIRECT_M);
        let mut v = [[0.0; 2]; DIMENSIONS_MAX];
        for (v, rx_m) in v.chunks_exact_mut(DELAYS).zip(&self.rx_m[..self.antennas]) {
            let turn = -core::f32::consts::TAU * (off(*rx_m).2 - to_rx) / self.wavelength_m;
            let (sine, cosine) = (detmath::sin(turn), detmath::cos(turn));
            for (v, z) in v.iter_mut().zip(&answer) {
                *v = [cosine * z.re - sine * z.im, cosine * z.im + sine * z.re];
            }
        }
        let length2 = answer.iter().map(|z| z.re * z.re + z.im * z.im).sum::<f32>() * self.antennas as f32;
        let (strong_tx, strong_rx) = (detmath::max(to_tx, STRONG_M), detmath::max(to_rx, STRONG_M));
        let strong2 = strong_tx * strong_rx * strong_tx * strong_rx;
        let rate_m_s = (tx_x * vx + tx_y * vy) / detmath::max(to_tx, NEAR_M)
            + (rx_x * vx + rx_y * vy) / detmath::max(to_rx, NEAR_M);
        let at = rate_m_s / self.period_m_s * RATES as f32 + (RATES / 2) as f32;
        let below = at.floor();
        Echo {
            v,
            length2,
            law: direct2 / strong2 * ECHO / self.noise,
            // Guesses are finite and periods positive; a rate beyond all sense saturates.
            rate: below as i32,
            part: at - below,
        }
    }
}

/// What one guess leaves at one link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Echo {
    /// By antenna and delay.
    pub(super) v: [[f32; 2]; DIMENSIONS_MAX],
    /// Its squared length.
    pub(super) length2: f32,
    /// Its usual power.
    pub(super) law: f32,
    /// The rate below its own, steps, and how far on it is.
    pub(super) rate: i32,
    pub(super) part: f32,
}

impl Echo {
    /// `v^H w` with another's.
    pub(super) fn product(&self, other: &Self) -> [f32; 2] {
        let mut sum = [0.0; 2];
        for ([a, b], [c, d]) in self.v.iter().zip(&other.v) {
            sum[0] += a * c + b * d;
            sum[1] += a * d - b * c;
        }
        sum
    }
}

/// A body's shares at all distances from its own rate, once more than around, so that any eight in a row can be read.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    along: [f32; Self::LENGTH],
    around: [f32; Self::LENGTH],
}

impl Profile {
    const LENGTH: usize = RATES + NEAR;

    /// For path rates that repeat after `period_m_s`.
    pub(super) fn new(period_m_s: f32) -> Self {
        let step_m_s = period_m_s / RATES as f32;
        let read = |table: &[f32; 19], at: usize| {
            let around = at % RATES;
            let steps = around.min(RATES - around) as f32;
            let place = steps * step_m_s / PROFILE_STEP_M_S;
            let below = (place as usize).min(table.len() - 2);
            let part = detmath::min(place - below as f32, 1.0);
            table[below] + part * (table[below + 1] - table[below])
        };
        Self {
            along: core::array::from_fn(|at| read(&ALONG, at)),
            around: core::array::from_fn(|at| AROUND_SHARE * read(&AROUND, at)),
        }
    }

    /// What an echo leaves at the eight rates after `from`: along its own direction, and to all sides.
    #[inline]
    pub(super) fn at(&self, echo: &Echo, from: usize) -> (f32x8, f32x8) {
        // Distance of the first of them from the one below the echo's, and from the one above.
        let first = (from as i32 - echo.rate).rem_euclid(RATES as i32) as usize;
        let before = if first == 0 { RATES - 1 } else { first - 1 };
        let part = f32x8::splat(echo.part);
        let rest = f32x8::splat(1.0 - echo.part);
        let read =
            |table: &[f32; Self::LENGTH], from: usize| f32x8::new(core::array::from_fn(|lane| table[from + lane]));
        (
            rest * read(&self.along, first) + part * read(&self.along, before),
            rest * read(&self.around, first) + part * read(&self.around, before),
        )
    }
}
