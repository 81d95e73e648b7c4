//! The duality gap: how far a CIR can be from the optimum of its own objective, at most.
//!
//! Primal `P(x) = 1/2 |y - Phi x|^2 + lambda |x|_1`. Dual `D(t) = Re<y, t> - 1/2 |t|^2` for every `t`
//! with `|Phi^H t|_inf <= lambda` (Fenchel; e.g. Kim et al. 2007, eq. 8). The residual `r` scaled into
//! the feasible set by the best factor `s` on its ray gives a `D` that meets `P` at the optimum.

use num_complex::Complex;

use super::lane::Lane;

/// Objective and gap of a point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Certificate<T> {
    /// `P(x)`.
    pub primal: T,
    /// `(P - D) / P`, never negative; zero where P is.
    pub relative_gap: T,
}

impl<T: Lane> Certificate<T> {
    /// From a primal value and a dual bound.
    pub(super) fn new(primal: T, bound: T) -> Self {
        let (zero, one) = (T::zero(), T::one());
        let some = primal.greater(zero);
        let gap = (primal - bound).larger(zero) / T::select(some, primal, one);
        Self {
            primal,
            relative_gap: T::select(some, gap, zero),
        }
    }

    /// The certificate of one lane.
    pub fn lane(&self, lane: usize) -> Certificate<f32> {
        Certificate {
            primal: self.primal.get(lane),
            relative_gap: self.relative_gap.get(lane),
        }
    }
}

/// The certificate of a point from its residual `r = y - Phi x`, `|x|_1` and `|Phi^H r|_inf^2`.
///
/// The sums over tones run in ascending order, in pieces of [`PIECE`].
#[inline]
pub fn certify<T: Lane>(
    measured: &[Complex<T>],
    residual: &[Complex<T>],
    l1_norm: T,
    peak_correlation_squared: T,
    lambda: T,
) -> Certificate<T> {
    let (power, product) = norm_and_product(measured.iter().copied().zip(residual.iter().copied()));
    from_sums(power, product, l1_norm, peak_correlation_squared, lambda)
}

/// Terms of a sum that are added up before they join the others. A gap is a small difference of long sums;
/// in one go the rounding of 484 tones shows in its second digit.
pub(super) const PIECE: usize = 16;

/// `|r|^2` and `Re<y, r>` of pairs `(y, r)`.
#[inline]
pub(super) fn norm_and_product<T: Lane>(mut pairs: impl Iterator<Item = (Complex<T>, Complex<T>)>) -> (T, T) {
    let (mut power, mut product) = (T::zero(), T::zero());
    loop {
        let (mut piece_power, mut piece_product) = (T::zero(), T::zero());
        let mut terms = 0;
        for (y, r) in pairs.by_ref().take(PIECE) {
            piece_power += r.re * r.re + r.im * r.im;
            piece_product += y.re * r.re + y.im * r.im;
            terms += 1;
        }
        power += piece_power;
        product += piece_product;
        if terms < PIECE {
            return (power, product);
        }
    }
}

/// [`certify`] from `|r|^2` and `Re<y, r>`.
#[inline]
pub fn from_sums<T: Lane>(power: T, product: T, l1_norm: T, peak_squared: T, lambda: T) -> Certificate<T> {
    let half = T::splat(0.5);
    let primal = half * power + lambda * l1_norm;
    Certificate::new(primal, dual(power, product, peak_squared, lambda))
}

/// The best `D(s t)` on the ray of a point `t`, from `|t|^2`, `Re<y, t>` and `|Phi^H t|_inf^2`.
#[inline]
pub(super) fn dual<T: Lane>(power: T, product: T, peak_squared: T, lambda: T) -> T {
    let (zero, one, half) = (T::zero(), T::one(), T::splat(0.5));
    // Divisors are replaced by one where they are zero; the quotient is then not used.
    let safe = |divisor: T| T::select(divisor.greater(zero), divisor, one);
    let best = T::select(power.greater(zero), product / safe(power), zero);
    let feasible = T::select(peak_squared.greater(zero), lambda / safe(peak_squared).sqrt(), best);
    let scale = best.smaller(feasible).larger(zero);
    scale * (product - half * scale * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_worked_point() {
        // One tone, one tap, Phi = 1, y = 2, lambda = 1: the optimum is x = 1 with P = 1/2 + 1 = 1.5.
        let at = |x: f32| {
            let r = 2.0 - x;
            certify(&[Complex::new(2.0, 0.0)], &[Complex::new(r, 0.0)], x, r * r, 1.0)
        };
        assert_eq!(
            at(1.0),
            Certificate {
                primal: 1.5,
                relative_gap: 0.0
            }
        );
        // At x = 0: P = 2, the scaled residual is 1, D = 2 - 1/2 = 1.5, so the gap is 1/4 of P.
        assert_eq!(
            at(0.0),
            Certificate {
                primal: 2.0,
                relative_gap: 0.25
            }
        );
    }

    #[test]
    fn nothing_is_not_a_number() {
        for (y, x, lambda) in [(0.0, 0.0, 1.0), (1.0, 1.0, 0.0), (1.0, 1.0, 1.0)] {
            let r = y - x;
            let c = certify(&[Complex::new(y, 0.0)], &[Complex::new(r, 0.0)], x, r * r, lambda);
            assert!(c.primal.is_finite() && c.relative_gap.is_finite());
        }
    }
}
