//! The transform that a tone grid needs, and no more of it.
//!
//! Of the G = 3 K bins only K are tones. With taps taken as three combs `g = 3 m + r` a tone is
//!
//! ```text
//! H(k) = sum_r w^(k r) A_r(k mod K),   A_r = transform of length K of comb r,   w = exp(-2 pi i / G)
//! ```
//!
//! so three transforms of length K and one twiddled sum for each tone replace a transform of length G whose
//! other bins nobody reads (Markel 1971, "FFT pruning"); the adjoint is the same backwards; one comb at a
//! time is in work, and eight lanes of it fit the first-level cache. K = A B with A in
//! {2, 4, 6, 8} and B in {7, 13, 19, 121}, coprime, so the length-K transforms need no twiddles (Good 1958,
//! Thomas 1963): input `m = B a + A b mod K`, output k at `(k mod A, k mod B)`. 121 = 11 x 11 has its own.
//!
//! Tables are scalars, spread over the lanes when used; 26 bytes a tone and a little. Twiddles come from
//! `detmath` in f64 and are rounded once.

use num_complex::{Complex, Complex32};

use super::{dft, grid::ToneGrid, lane::Lane};
use crate::detmath::{cos64, sin64};

/// Combs, G / K.
const COMBS: usize = 3;

/// The long factor B.
#[derive(Clone, Debug)]
enum Long {
    Seven(dft::Odd<3>),
    Thirteen(dft::Odd<6>),
    Nineteen(Box<dft::Odd<9>>),
    /// 11 x 11: `exp(-2 pi i n k / 121)` at `11 n + k`.
    Square(dft::Odd<5>, Box<[Complex32; 121]>),
}

/// One tone.
#[derive(Clone, Copy, Debug)]
struct Tooth {
    /// Place of its bin in a transformed comb.
    place: u16,
    /// False for the first tone of a place.
    shared: bool,
    /// `w^(k r) / sqrt(K)` for the second and third comb.
    twiddles: [Complex32; COMBS - 1],
}

/// The pruned transform of one grid.
#[derive(Clone, Debug)]
pub(super) struct Comb<T: Lane> {
    short: usize,
    long: Long,
    /// `1 / sqrt(K)`.
    scale: f32,
    /// Tap of comb r, long index b, short index a, in that order.
    taps: Vec<u16>,
    teeth: Vec<Tooth>,
    /// Places no tone falls on.
    gaps: Vec<u16>,
    /// One comb: short index, long index.
    work: Vec<Complex<T>>,
}

impl<T: Lane> Comb<T> {
    /// `None` when the grid's numbers do not have the factors above.
    pub(super) fn new(grid: &ToneGrid) -> Option<Self> {
        let (tones, taps) = (grid.tones(), grid.taps());
        if taps != COMBS * tones {
            return None;
        }
        let (short, long) = [(8, 7), (4, 13), (6, 19), (2, 121), (4, 121)]
            .into_iter()
            .find(|(a, b)| a * b == tones)?;
        let turn = |numerator: usize, denominator: usize, size: f64| {
            let angle = -core::f64::consts::TAU * (numerator % denominator) as f64 / denominator as f64;
            Complex32::new((size * cos64(angle)) as f32, (size * sin64(angle)) as f32)
        };
        let tap = |r, b, a| (COMBS * ((long * a + short * b) % tones) + r) as u16;
        let order = (0..COMBS).flat_map(|r| (0..long).flat_map(move |b| (0..short).map(move |a| tap(r, b, a))));
        let mut taken = vec![false; tones];
        let size = 1.0 / (tones as f64).sqrt();
        let teeth = grid
            .bins()
            .iter()
            .map(|&bin| {
                let (a, b) = (bin % short, bin % long);
                // The square leaves k1 + 11 k2 at 11 k1 + k2.
                let b = if long == 121 { 11 * (b % 11) + b / 11 } else { b };
                let place = a * long + b;
                let shared = core::mem::replace(&mut taken[place], true);
                Tooth {
                    place: place as u16,
                    shared,
                    twiddles: core::array::from_fn(|r| turn(bin * (r + 1), taps, size)),
                }
            })
            .collect();
        Some(Self {
            short,
            scale: size as f32,
            taps: order.collect(),
            teeth,
            gaps: (0..tones).filter(|&p| !taken[p]).map(|p| p as u16).collect(),
            work: vec![Complex::new(T::zero(), T::zero()); tones],
            long: match long {
                7 => Long::Seven(dft::Odd::new()),
                13 => Long::Thirteen(dft::Odd::new()),
                19 => Long::Nineteen(Box::new(dft::Odd::new())),
                _ => Long::Square(
                    dft::Odd::new(),
                    Box::new(core::array::from_fn(|i| turn(i / 11 * (i % 11), 121, 1.0))),
                ),
            },
        })
    }

    /// Bytes of tables and work.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let tables = size_of_val(self.taps.as_slice())
            + size_of_val(self.teeth.as_slice())
            + size_of_val(self.gaps.as_slice())
            + size_of::<Self>();
        (tables, size_of_val(self.work.as_slice()))
    }

    /// `tones = Phi taps`, one comb after the other.
    pub(super) fn forward(&mut self, taps: &[Complex<T>], tones: &mut [Complex<T>]) {
        for r in 0..COMBS {
            match self.short {
                2 => self.gather::<2>(r, taps),
                4 => self.gather::<4>(r, taps),
                6 => self.gather::<6>(r, taps),
                _ => self.gather::<8>(r, taps),
            }
            self.long::<false>();
            let scale = T::splat(self.scale);
            for (tone, tooth) in tones.iter_mut().zip(&self.teeth) {
                let value = self.work[usize::from(tooth.place)];
                *tone = match r {
                    0 => Complex::new(value.re * scale, value.im * scale),
                    _ => *tone + times(value, tooth.twiddles[r - 1]),
                };
            }
        }
    }

    /// `taps = Phi^H tones`, one comb after the other.
    pub(super) fn adjoint(&mut self, tones: &[Complex<T>], taps: &mut [Complex<T>]) {
        for r in 0..COMBS {
            for &gap in &self.gaps {
                self.work[usize::from(gap)] = Complex::new(T::zero(), T::zero());
            }
            let scale = T::splat(self.scale);
            for (tone, tooth) in tones.iter().zip(&self.teeth) {
                let value = match r {
                    0 => Complex::new(tone.re * scale, tone.im * scale),
                    _ => times(*tone, tooth.twiddles[r - 1].conj()),
                };
                let place = &mut self.work[usize::from(tooth.place)];
                *place = if tooth.shared { *place + value } else { value };
            }
            self.long::<true>();
            match self.short {
                2 => self.scatter::<2>(r, taps),
                4 => self.scatter::<4>(r, taps),
                6 => self.scatter::<6>(r, taps),
                _ => self.scatter::<8>(r, taps),
            }
        }
    }

    /// Transforms over the short index, from the taps of comb r.
    fn gather<const A: usize>(&mut self, r: usize, taps: &[Complex<T>]) {
        let (length, long) = (self.work.len(), self.work.len() / A);
        let order = &self.taps[r * length..(r + 1) * length];
        for (b, order) in order.chunks_exact(A).enumerate() {
            let x = core::array::from_fn(|a| taps[usize::from(order[a])]);
            for (a, y) in dft::even::<T, A, false>(x).into_iter().enumerate() {
                self.work[a * long + b] = y;
            }
        }
    }

    /// The same backwards, to the taps of comb r.
    fn scatter<const A: usize>(&self, r: usize, taps: &mut [Complex<T>]) {
        let (length, long) = (self.work.len(), self.work.len() / A);
        let order = &self.taps[r * length..(r + 1) * length];
        for (b, order) in order.chunks_exact(A).enumerate() {
            let x = core::array::from_fn(|a| self.work[a * long + b]);
            for (a, y) in dft::even::<T, A, true>(x).into_iter().enumerate() {
                taps[usize::from(order[a])] = y;
            }
        }
    }

    /// Transforms over the long index, in place.
    fn long<const INVERSE: bool>(&mut self) {
        match &self.long {
            Long::Seven(dft) => rows::<T, 3, INVERSE>(dft, &mut self.work),
            Long::Thirteen(dft) => rows::<T, 6, INVERSE>(dft, &mut self.work),
            Long::Nineteen(dft) => rows::<T, 9, INVERSE>(dft, &mut self.work),
            Long::Square(dft, twiddles) => {
                for square in self.work.chunks_exact_mut(121) {
                    if INVERSE {
                        rows::<T, 5, true>(dft, square);
                        columns::<T, true>(dft, twiddles, square);
                    } else {
                        columns::<T, false>(dft, twiddles, square);
                        rows::<T, 5, false>(dft, square);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn times<T: Lane>(x: Complex<T>, by: Complex32) -> Complex<T> {
    x * Complex::new(T::splat(by.re), T::splat(by.im))
}

fn rows<T: Lane, const H: usize, const INVERSE: bool>(dft: &dft::Odd<H>, data: &mut [Complex<T>]) {
    for row in data.chunks_exact_mut(dft::Odd::<H>::SIZE) {
        let x = core::cell::Cell::from_mut(row).as_slice_of_cells();
        dft.run::<T, INVERSE>(|i| x[i].get(), |k, value| x[k].set(value));
    }
}

/// Columns of 11 x 11 with the twiddles between them and the rows.
fn columns<T: Lane, const INVERSE: bool>(dft: &dft::Odd<5>, twiddles: &[Complex32; 121], square: &mut [Complex<T>]) {
    let x = core::cell::Cell::from_mut(square).as_slice_of_cells();
    for n in 0..11 {
        let at = |k: usize| 11 * k + n;
        if INVERSE {
            dft.run::<T, true>(
                |k| times(x[at(k)].get(), twiddles[at(k)].conj()),
                |k, value| x[at(k)].set(value),
            );
        } else {
            dft.run::<T, false>(
                |k| x[at(k)].get(),
                |k, value| x[at(k)].set(times(value, twiddles[at(k)])),
            );
        }
    }
}
