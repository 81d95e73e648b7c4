//! ISTA and FISTA in lanes.
//!
//! Both minimise `1/2 |y - Phi x|^2 + lambda |x|_1` over complex taps by gradient steps of length
//! `1/L`, `L = G/K` exactly, each followed by complex soft thresholding. ISTA: Daubechies, Defrise,
//! De Mol 2004. FISTA: Beck and Teboulle 2009, with the gradient-scheme restart of O'Donoghue and
//! Candès 2015 (3.2), decided for each lane by itself.
//!
//! The correlation `q(x) = Phi^H (y - Phi x)` is affine in `x`, so the one at the extrapolated point
//! is the extrapolation of the last two: an iteration costs one `forward` and one `adjoint`, and the
//! duality gap at the iterate itself comes for a few sums more.

use num_complex::Complex;

use super::{
    certificate::{Certificate, PIECE, certify},
    lane::Lane,
    operator::SensingOperator,
};

/// How a proximal solver proceeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// ISTA: all iterations, no momentum.
    Plain,
    /// FISTA: momentum with restart; a lane ends at the relative gap given here.
    Accelerated {
        /// Relative duality gap to reach.
        gap_tolerance: f32,
    },
}

/// One batch: K tones and G taps a lane, on the normalised problem.
pub struct Problem<'a, T: Lane> {
    /// Measured tones, zero where masked.
    pub measured: &'a [Complex<T>],
    /// 1 where a tone is measured, else 0.
    pub mask: &'a [T],
    /// The weight of the 1-norm.
    pub lambda: T,
    /// Lanes that hold a link, one bit each.
    pub lanes: u32,
}

/// The end of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct End {
    /// Iterations made.
    pub iterations: u32,
    /// Objective and gap at the end.
    pub certificate: Certificate<f32>,
}

/// Work buffers of the proximal solvers: 3 G + K complex numbers a lane beside the iterate.
pub struct Workspace<T: Lane> {
    /// The iterate; the starting point on entry, the solution on return.
    pub taps: Vec<Complex<T>>,
    /// `Phi^H (y - Phi x)` of the iterate.
    pub correlation: Vec<Complex<T>>,
    /// `y - Phi x` of the iterate, zero where masked.
    pub residual: Vec<Complex<T>>,
    pub(super) previous_taps: Vec<Complex<T>>,
    pub(super) previous_correlation: Vec<Complex<T>>,
}

impl<T: Lane> Workspace<T> {
    /// Buffers for K tones and G taps.
    pub fn new(tones: usize, taps: usize) -> Self {
        let zeros = |n| vec![Complex::new(T::zero(), T::zero()); n];
        Self {
            taps: zeros(taps),
            correlation: zeros(taps),
            residual: zeros(tones),
            previous_taps: zeros(taps),
            previous_correlation: zeros(taps),
        }
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        (4 * self.taps.len() + self.residual.len()) * size_of::<Complex<T>>()
    }

    /// Makes the best of the starting point: turned and scaled by one complex number so that it fits the
    /// tones (the common phase of a receiver jumps between frames, the paths do not), and dropped where
    /// zero is the better start. Leaves the residual; returns `|x|_1`.
    pub(super) fn align(&mut self, operator: &mut impl SensingOperator<T>, problem: &Problem<'_, T>) -> T {
        let (zero, half, one) = (T::zero(), T::splat(0.5), T::one());
        operator.forward(&self.taps, &mut self.residual);
        let mut product = Complex::new(zero, zero);
        let (mut explained, mut power) = (zero, zero);
        for ((p, y), m) in self.residual.iter_mut().zip(problem.measured).zip(problem.mask) {
            *p = Complex::new(p.re * *m, p.im * *m);
            product.re += p.re * y.re + p.im * y.im;
            product.im += p.re * y.im - p.im * y.re;
            explained += p.re * p.re + p.im * p.im;
            power += y.re * y.re + y.im * y.im;
        }
        // Lanes that are not this problem's keep what they hold.
        let mine = T::mask_of_bits(problem.lanes);
        let some = T::and(explained.greater(zero), mine);
        let divisor = T::select(some, explained, one);
        let factor = Complex::new(
            T::select(some, product.re / divisor, T::select(mine, zero, one)),
            T::select(some, product.im / divisor, zero),
        );
        let (mut l1_norm, mut left) = (zero, zero);
        for x in &mut self.taps {
            *x = *x * factor;
            l1_norm += (x.re * x.re + x.im * x.im).sqrt();
        }
        for (p, y) in self.residual.iter_mut().zip(problem.measured) {
            let share = *p * factor;
            *p = Complex::new(y.re - share.re, y.im - share.im);
            left += p.re * p.re + p.im * p.im;
        }
        let better = T::or(
            (half * power).greater(half * left + problem.lambda * l1_norm),
            T::mask_of_bits(!problem.lanes),
        );
        if T::bits_of_mask(better) & problem.lanes != problem.lanes {
            for x in &mut self.taps {
                *x = Complex::new(T::select(better, x.re, zero), T::select(better, x.im, zero));
            }
            for (r, y) in self.residual.iter_mut().zip(problem.measured) {
                *r = Complex::new(T::select(better, r.re, y.re), T::select(better, r.im, y.im));
            }
        }
        T::select(better, l1_norm, zero)
    }

    fn l1_norm(&self) -> T {
        let piece = |taps: &[Complex<T>]| {
            taps.iter()
                .fold(T::zero(), |sum, x| sum + (x.re * x.re + x.im * x.im).sqrt())
        };
        self.taps.chunks(PIECE).fold(T::zero(), |sum, taps| sum + piece(taps))
    }

    /// Correlation of the residual; returns its largest square.
    pub(super) fn correlate(&mut self, operator: &mut impl SensingOperator<T>) -> T {
        operator.adjoint(&self.residual, &mut self.correlation);
        let mut peak = T::zero();
        for q in &self.correlation {
            peak = (q.re * q.re + q.im * q.im).larger(peak);
        }
        peak
    }

    /// Residual and correlation of the iterate, and the largest squared correlation.
    fn refresh(&mut self, operator: &mut impl SensingOperator<T>, problem: &Problem<'_, T>) -> T {
        operator.forward(&self.taps, &mut self.residual);
        for ((r, y), m) in self.residual.iter_mut().zip(problem.measured).zip(problem.mask) {
            *r = Complex::new((y.re - r.re) * *m, (y.im - r.im) * *m);
        }
        self.correlate(operator)
    }
}

/// Objective and gap of the taps in `work`, from the operator itself.
pub fn certificate_of<T: Lane>(
    operator: &mut impl SensingOperator<T>,
    problem: &Problem<'_, T>,
    work: &mut Workspace<T>,
) -> Certificate<T> {
    let peak = work.refresh(operator, problem);
    certify(problem.measured, &work.residual, work.l1_norm(), peak, problem.lambda)
}

/// The lanes whose bit is set.
pub(super) fn lanes_of(bits: u32) -> impl Iterator<Item = usize> {
    (0..u32::BITS as usize).filter(move |lane| bits >> lane & 1 == 1)
}

/// Runs at most `max_iterations` from `work.taps`; `ends` gets one entry a lane that holds a link.
pub fn solve<T: Lane>(
    operator: &mut impl SensingOperator<T>,
    problem: &Problem<'_, T>,
    pace: Pace,
    max_iterations: u32,
    work: &mut Workspace<T>,
    ends: &mut [End],
) {
    let gap_tolerance = match pace {
        Pace::Plain => return plain(operator, problem, max_iterations, work, ends),
        Pace::Accelerated { gap_tolerance } => gap_tolerance,
    };
    let step = T::splat(operator.grid().tones() as f32 / operator.grid().taps() as f32);
    let threshold = problem.lambda * step;
    let (zero, half, one, four) = (T::zero(), T::splat(0.5), T::one(), T::splat(4.0));

    let (mut l1_norm, mut peak) = (work.align(operator, problem), work.correlate(operator));
    work.previous_taps.copy_from_slice(&work.taps);
    work.previous_correlation.copy_from_slice(&work.correlation);

    let mut active = problem.lanes;
    let mut momentum = one;
    let mut beta = zero;
    for iteration in 0..=max_iterations {
        let last = iteration == max_iterations;
        let certificate = certify(problem.measured, &work.residual, l1_norm, peak, problem.lambda);
        for lane in lanes_of(active) {
            let certificate = certificate.lane(lane);
            ends[lane] = End {
                iterations: iteration,
                certificate,
            };
            if certificate.relative_gap <= gap_tolerance {
                active &= !(1 << lane);
            }
        }
        if last || active == 0 {
            break;
        }

        let moving = T::mask_of_bits(active);
        let threshold_squared = threshold * threshold;
        let mut restart = zero;
        let mut next_l1_norm = zero;
        let mut piece = zero;
        let correlations = work.correlation.iter().zip(&work.previous_correlation);
        let taps = work.taps.iter_mut().zip(&mut work.previous_taps);
        for (tap, ((this, earlier), (&q, &q_before))) in taps.zip(correlations).enumerate() {
            let (x, before) = (*this, *earlier);
            let z = Complex::new(x.re + beta * (x.re - before.re), x.im + beta * (x.im - before.im));
            let u = Complex::new(
                z.re + step * (q.re + beta * (q.re - q_before.re)),
                z.im + step * (q.im + beta * (q.im - q_before.im)),
            );
            let power = u.re * u.re + u.im * u.im;
            let kept = power.greater(threshold_squared);
            // Most taps are zero in every lane; the square root is for the others.
            let (next, magnitude) = if T::bits_of_mask(kept) == 0 {
                (Complex::new(zero, zero), zero)
            } else {
                let length = T::select(kept, power, one).sqrt();
                let magnitude = length - threshold;
                let shrink = magnitude / length;
                (
                    Complex::new(
                        T::select(kept, u.re * shrink, zero),
                        T::select(kept, u.im * shrink, zero),
                    ),
                    T::select(kept, magnitude, zero),
                )
            };
            restart += (z.re - next.re) * (next.re - x.re) + (z.im - next.im) * (next.im - x.im);
            piece += magnitude;
            if tap % PIECE == PIECE - 1 {
                next_l1_norm += piece;
                piece = zero;
            }
            *earlier = x;
            *this = Complex::new(T::select(moving, next.re, x.re), T::select(moving, next.im, x.im));
        }
        next_l1_norm += piece;
        l1_norm = T::select(moving, next_l1_norm, l1_norm);
        core::mem::swap(&mut work.correlation, &mut work.previous_correlation);
        peak = work.refresh(operator, problem);

        let next_momentum = half * (one + (one + four * momentum * momentum).sqrt());
        let turned = restart.greater(zero);
        beta = T::select(turned, zero, (momentum - one) / next_momentum);
        momentum = T::select(turned, one, next_momentum);
    }
}

/// ISTA: starts where it is told to, makes every iteration, certifies once.
fn plain<T: Lane>(
    operator: &mut impl SensingOperator<T>,
    problem: &Problem<'_, T>,
    iterations: u32,
    work: &mut Workspace<T>,
    ends: &mut [End],
) {
    let step = T::splat(operator.grid().tones() as f32 / operator.grid().taps() as f32);
    let threshold = problem.lambda * step;
    let threshold_squared = threshold * threshold;
    let (zero, one) = (T::zero(), T::one());
    let mut peak = work.refresh(operator, problem);
    for _ in 0..iterations {
        for (x, q) in work.taps.iter_mut().zip(&work.correlation) {
            let u = Complex::new(x.re + step * q.re, x.im + step * q.im);
            let power = u.re * u.re + u.im * u.im;
            let kept = power.greater(threshold_squared);
            let shrink = one - threshold / T::select(kept, power, one).sqrt();
            *x = Complex::new(
                T::select(kept, u.re * shrink, zero),
                T::select(kept, u.im * shrink, zero),
            );
        }
        peak = work.refresh(operator, problem);
    }
    let certificate = certify(problem.measured, &work.residual, work.l1_norm(), peak, problem.lambda);
    for lane in lanes_of(problem.lanes) {
        ends[lane] = End {
            iterations,
            certificate: certificate.lane(lane),
        };
    }
}
