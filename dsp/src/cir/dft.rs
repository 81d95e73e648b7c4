//! Short discrete Fourier transforms in lanes, the building blocks of [`super::comb`].
//!
//! `X_k = sum_j x_j exp(-2 pi i j k / N)`, or with `+` where `INVERSE`; no scaling. Sizes 2, 4, 6 and 8 by
//! sums and the one irrational constant they need; odd sizes by the symmetry of their matrix:
//! with `s_j = x_j + x_{N-j}`, `d_j = x_j - x_{N-j}`
//!
//! ```text
//! A_k = x_0 + sum_j cos(2 pi j k / N) s_j,   B_k = sum_j sin(2 pi j k / N) d_j,   X_{k, N-k} = A_k -+ i B_k
//! ```
//!
//! `(N-1)^2` products and about `N (N+3)` sums for N complex numbers. Winograd's short transforms need fewer
//! products but more sums; where both go in parallel, as in every AVX2 core, sums are what counts.

use num_complex::Complex;

use super::lane::Lane;
use crate::detmath::{cos64, sin64};

/// `x` turned by a quarter: times `-i`, or `i` where `INVERSE`.
#[inline(always)]
fn quarter<T: Lane, const INVERSE: bool>(x: Complex<T>) -> Complex<T> {
    if INVERSE {
        Complex::new(-x.im, x.re)
    } else {
        Complex::new(x.im, -x.re)
    }
}

#[inline(always)]
fn scaled<T: Lane>(x: Complex<T>, by: f32) -> Complex<T> {
    let by = T::splat(by);
    Complex::new(x.re * by, x.im * by)
}

#[inline(always)]
fn two<T: Lane>([a, b]: [Complex<T>; 2]) -> [Complex<T>; 2] {
    [a + b, a - b]
}

#[inline(always)]
fn three<T: Lane, const INVERSE: bool>([a, b, c]: [Complex<T>; 3]) -> [Complex<T>; 3] {
    const HALF_SQRT_3: f32 = 0.866_025_4;
    let sum = b + c;
    let middle = a - scaled(sum, 0.5);
    let across = quarter::<T, INVERSE>(scaled(b - c, HALF_SQRT_3));
    [a + sum, middle + across, middle - across]
}

#[inline(always)]
fn four<T: Lane, const INVERSE: bool>([a, b, c, d]: [Complex<T>; 4]) -> [Complex<T>; 4] {
    let ([e, f], [g, h]) = (two([a, c]), two([b, d]));
    let h = quarter::<T, INVERSE>(h);
    [e + g, f + h, e - g, f - h]
}

/// 2 x 3 without twiddles: input `3 a + 2 b`, output k at `(k mod 2, k mod 3)` (Good and Thomas).
#[inline(always)]
fn six<T: Lane, const INVERSE: bool>(x: [Complex<T>; 6]) -> [Complex<T>; 6] {
    let [e0, o0] = two([x[0], x[3]]);
    let [e1, o1] = two([x[2], x[5]]);
    let [e2, o2] = two([x[4], x[1]]);
    let [y0, y4, y2] = three::<T, INVERSE>([e0, e1, e2]);
    let [y3, y1, y5] = three::<T, INVERSE>([o0, o1, o2]);
    [y0, y1, y2, y3, y4, y5]
}

#[inline(always)]
fn eight<T: Lane, const INVERSE: bool>(x: [Complex<T>; 8]) -> [Complex<T>; 8] {
    let even = four::<T, INVERSE>([x[0], x[2], x[4], x[6]]);
    let [o0, o1, o2, o3] = four::<T, INVERSE>([x[1], x[3], x[5], x[7]]);
    let half = core::f32::consts::FRAC_1_SQRT_2;
    let odd = [
        o0,
        scaled(o1 + quarter::<T, INVERSE>(o1), half),
        quarter::<T, INVERSE>(o2),
        scaled(quarter::<T, INVERSE>(o3) - o3, half),
    ];
    core::array::from_fn(|k| {
        if k < 4 {
            even[k] + odd[k]
        } else {
            even[k - 4] - odd[k - 4]
        }
    })
}

/// The transform of an even size; any other size is a programming mistake.
#[inline(always)]
pub(super) fn even<T: Lane, const N: usize, const INVERSE: bool>(x: [Complex<T>; N]) -> [Complex<T>; N] {
    let mut out = x;
    match N {
        2 => out.copy_from_slice(&two(core::array::from_fn(|i| x[i]))),
        4 => out.copy_from_slice(&four::<T, INVERSE>(core::array::from_fn(|i| x[i]))),
        6 => out.copy_from_slice(&six::<T, INVERSE>(core::array::from_fn(|i| x[i]))),
        8 => out.copy_from_slice(&eight::<T, INVERSE>(core::array::from_fn(|i| x[i]))),
        _ => unreachable!("even sizes are 2, 4, 6, 8"),
    }
    out
}

/// The transform of odd size `2 H + 1`.
#[derive(Clone, Debug)]
pub(super) struct Odd<const H: usize> {
    /// `cos(2 pi j k / N)` for k and j in `1..=H`.
    cos: [[f32; H]; H],
    sin: [[f32; H]; H],
}

/// Outputs computed together: what sixteen registers hold.
const ROWS: usize = 2;

impl<const H: usize> Odd<H> {
    pub(super) const SIZE: usize = 2 * H + 1;

    pub(super) fn new() -> Self {
        let angle = |k: usize, j: usize| {
            let turn = (k + 1) * (j + 1) % Self::SIZE;
            core::f64::consts::TAU * turn as f64 / Self::SIZE as f64
        };
        let table = |f: fn(f64) -> f64| core::array::from_fn(|k| core::array::from_fn(|j| f(angle(k, j)) as f32));
        Self {
            cos: table(cos64),
            sin: table(sin64),
        }
    }

    /// Reads all N inputs by their index, then writes all outputs by theirs.
    #[inline(always)]
    pub(super) fn run<T: Lane, const INVERSE: bool>(
        &self,
        read: impl Fn(usize) -> Complex<T>,
        mut write: impl FnMut(usize, Complex<T>),
    ) {
        let first = read(0);
        let mut sums = [Complex::new(T::zero(), T::zero()); H];
        let mut differences = sums;
        let mut total = first;
        for j in 0..H {
            let (a, b) = (read(j + 1), read(Self::SIZE - 1 - j));
            sums[j] = a + b;
            differences[j] = a - b;
            total = total + sums[j];
        }
        write(0, total);
        let mut k = 0;
        while k < H {
            if H - k >= ROWS {
                self.rows::<T, ROWS, INVERSE>(k, first, &sums, &differences, &mut write);
                k += ROWS;
            } else {
                self.rows::<T, 1, INVERSE>(k, first, &sums, &differences, &mut write);
                k += 1;
            }
        }
    }

    #[inline(always)]
    fn rows<T: Lane, const R: usize, const INVERSE: bool>(
        &self,
        k: usize,
        first: Complex<T>,
        sums: &[Complex<T>; H],
        differences: &[Complex<T>; H],
        write: &mut impl FnMut(usize, Complex<T>),
    ) {
        let mut a = [first; R];
        let mut b = [Complex::new(T::zero(), T::zero()); R];
        for j in 0..H {
            for r in 0..R {
                let (cos, sin) = (T::splat(self.cos[k + r][j]), T::splat(self.sin[k + r][j]));
                a[r].re += sums[j].re * cos;
                a[r].im += sums[j].im * cos;
                if j == 0 {
                    b[r] = Complex::new(differences[j].re * sin, differences[j].im * sin);
                } else {
                    b[r].re += differences[j].re * sin;
                    b[r].im += differences[j].im * sin;
                }
            }
        }
        for r in 0..R {
            let turned = quarter::<T, INVERSE>(b[r]);
            write(k + r + 1, a[r] + turned);
            write(Self::SIZE - 1 - k - r, a[r] - turned);
        }
    }
}

#[cfg(test)]
mod tests {
    use num_complex::{Complex32, Complex64};

    use super::*;

    fn direct(x: &[Complex32], inverse: bool) -> Vec<Complex64> {
        let n = x.len();
        let sign = if inverse { 1.0 } else { -1.0 };
        (0..n)
            .map(|k| {
                let term = |(j, x): (usize, &Complex32)| {
                    let angle = sign * core::f64::consts::TAU * (j * k % n) as f64 / n as f64;
                    Complex64::new(x.re.into(), x.im.into()) * Complex64::new(cos64(angle), sin64(angle))
                };
                x.iter().enumerate().map(term).sum()
            })
            .collect()
    }

    fn input<const N: usize>() -> [Complex32; N] {
        core::array::from_fn(|i| Complex32::new((i * i % 7) as f32 - 2.5, (3 * i % 5) as f32 - 1.0))
    }

    fn check(found: &[Complex32], expected: &[Complex64]) {
        for (f, e) in found.iter().zip(expected) {
            let off = Complex64::new(f.re.into(), f.im.into()) - e;
            assert!(
                off.norm() < 1e-5,
                "{} points: {found:?} against {expected:?}",
                found.len()
            );
        }
    }

    fn even_size<const N: usize>() {
        let x = input::<N>();
        check(&even::<f32, N, false>(x), &direct(&x, false));
        check(&even::<f32, N, true>(x), &direct(&x, true));
    }

    fn odd_size<const H: usize, const N: usize>() {
        let x = input::<N>();
        let mut found = x;
        Odd::<H>::new().run::<f32, false>(|i| x[i], |k, value| found[k] = value);
        check(&found, &direct(&x, false));
        Odd::<H>::new().run::<f32, true>(|i| x[i], |k, value| found[k] = value);
        check(&found, &direct(&x, true));
    }

    #[test]
    fn short_transforms_are_their_sums() {
        even_size::<2>();
        even_size::<4>();
        even_size::<6>();
        even_size::<8>();
        odd_size::<3, 7>();
        odd_size::<5, 11>();
        odd_size::<6, 13>();
        odd_size::<9, 19>();
    }
}
