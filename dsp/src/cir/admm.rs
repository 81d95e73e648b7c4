//! ADMM on the dual, for a `lambda` so small that many taps are active.
//!
//! The dual of the problem is `max Re<y, t> - 1/2 |t|^2` over `|Phi^H t|_inf <= lambda`. With `t = lambda d` and a
//! copy `z` of `Phi^H d`, the alternating direction method (Yang and Zhang 2011, YALL1, 2.2) has a closed form in
//! every step, because `Phi Phi^H = c I`, `c = G/K`, also for the rows of the measured tones alone:
//!
//! ```text
//! d = (y - Phi (x - b z)) / (lambda + b c)
//! w = b Phi^H d + x,   s = soft(w, b),   b z = w - s,   x <- x + g (s - x)
//! ```
//!
//! One product each way, as in FISTA, and a quarter of its iterations where the answer has as many taps as there
//! are tones (docs/cir.md). `g = 1.618` until the gap is near; then `g = 1`, which leaves `x` exactly sparse.
//! `Phi x` and with it the duality gap follow from the products that are made anyhow. That certificate is one
//! of another dual point than the residual and drifts by rounding, so FISTA has the last word: it starts from
//! here, and what it certifies can be checked from the taps alone.

use num_complex::Complex;

use super::{
    certificate::{dual, norm_and_product},
    lane::Lane,
    operator::SensingOperator,
    proximal::{self, End, Pace, Problem, Workspace, lanes_of},
};

/// Penalty `b` in mean magnitudes of a tone; 1 to 2 do equally well (docs/cir.md).
const PENALTY: f32 = 1.4;
/// Over-relaxation, below `(1 + sqrt 5) / 2`.
const RELAXATION: f32 = 1.618;
/// Iterations from one look at the gap to the next.
const LOOK: u32 = 5;
/// One iteration in so many is kept for FISTA at the end.
const FINISH_SHARE: u32 = 4;
/// Where over-relaxation ends, in gap tolerances.
const NEAR: f32 = 3.0;
/// The share of the gap tolerance at which a lane ends, so that the exact certificate holds too.
const ENOUGH: f32 = 0.8;

/// Runs at most `max_iterations` from `work.taps`; `ends` gets one entry a lane that holds a link.
pub fn solve<T: Lane>(
    operator: &mut impl SensingOperator<T>,
    problem: &Problem<'_, T>,
    gap_tolerance: f32,
    max_iterations: u32,
    work: &mut Workspace<T>,
    ends: &mut [End],
) {
    // Split by a fixed share: what a lane is given must not depend on how long others take.
    let finish = max_iterations / FINISH_SHARE;
    let used = approach(operator, problem, gap_tolerance, max_iterations - finish, work);
    let pace = Pace::Accelerated { gap_tolerance };
    proximal::solve(operator, problem, pace, finish, work, ends);
    for lane in lanes_of(problem.lanes) {
        ends[lane].iterations += used[lane];
    }
}

/// Most lanes there are: one bit each.
const LANES_MAX: usize = u32::BITS as usize;

/// Runs ADMM from `work.taps`; gives the iterations of each lane.
fn approach<T: Lane>(
    operator: &mut impl SensingOperator<T>,
    problem: &Problem<'_, T>,
    gap_tolerance: f32,
    max_iterations: u32,
    work: &mut Workspace<T>,
) -> [u32; LANES_MAX] {
    let (zero, half, one) = (T::zero(), T::splat(0.5), T::one());
    let tones = operator.grid().tones();
    let c = T::splat(operator.grid().taps() as f32 / tones as f32);
    let lambda = problem.lambda;

    let (mut size, mut count) = (zero, zero);
    for (y, m) in problem.measured.iter().zip(problem.mask) {
        size += (y.re * y.re + y.im * y.im).sqrt();
        count += *m;
    }
    let penalty = T::splat(PENALTY) * size / T::select(count.greater(zero), count, one);
    let penalty = T::select(penalty.greater(zero), penalty, one);
    let inverse = one / (lambda + penalty * c);

    // z starts as the residual's own dual point, brought inside its bound.
    work.align(operator, problem);
    work.correlate(operator);
    for (q, x) in work.correlation.iter_mut().zip(&work.taps) {
        let length = (q.re * q.re + q.im * q.im).sqrt();
        let outside = length.greater(lambda);
        let share = penalty / T::select(outside, length, lambda);
        *q = Complex::new(x.re - q.re * share, x.im - q.im * share);
    }
    // Phi x and d, in memory that the proximal solver fills anew.
    let explained = &mut work.previous_correlation[..tones];
    let d = &mut work.previous_taps[..tones];
    for ((p, y), r) in explained.iter_mut().zip(problem.measured).zip(&work.residual) {
        *p = Complex::new(y.re - r.re, y.im - r.im);
    }

    let mut used = [0; LANES_MAX];
    let mut active = problem.lanes;
    let mut relaxation = T::splat(RELAXATION);
    let (mut l1_norm, mut peak, mut looked) = (zero, zero, false);
    for iteration in 0..=max_iterations {
        operator.forward(&work.correlation, &mut work.residual);
        if iteration > 0 {
            let (divisor, share) = (one / (one + relaxation), penalty * c);
            for ((p, u), d) in explained.iter_mut().zip(&work.residual).zip(d.iter()) {
                p.re = (p.re + relaxation * (u.re + d.re * share)) * divisor;
                p.im = (p.im + relaxation * (u.im + d.im * share)) * divisor;
            }
        }
        if looked {
            let (left, _) = norm_and_product(problem.measured.iter().zip(explained.iter()).zip(problem.mask).map(
                |((y, p), m)| {
                    let left = Complex::new((y.re - p.re) * *m, (y.im - p.im) * *m);
                    (left, left)
                },
            ));
            let (power, product) = norm_and_product(problem.measured.iter().copied().zip(d.iter().copied()));
            let primal = half * left + lambda * l1_norm;
            let squared = lambda * lambda;
            let bound = dual(power * squared, product * lambda, peak * squared, lambda);
            let gap = primal - bound;
            let within = |share: f32| (T::splat(share * gap_tolerance) * primal).greater(gap);
            let sparse = T::bits_of_mask(T::splat(1.5).greater(relaxation));
            let done = T::bits_of_mask(within(ENOUGH)) & sparse & active;
            for lane in lanes_of(done) {
                used[lane] = iteration;
            }
            active &= !done;
            relaxation = T::select(within(NEAR), one, relaxation);
        }
        if active == 0 || iteration == max_iterations {
            break;
        }
        looked = iteration % LOOK == LOOK - 1;

        for (((d, y), u), m) in d.iter_mut().zip(problem.measured).zip(&work.residual).zip(problem.mask) {
            let share = inverse * *m;
            *d = Complex::new((y.re - u.re) * share, (y.im - u.im) * share);
        }
        operator.adjoint(d, &mut work.correlation);
        let moving = T::mask_of_bits(active);
        let relaxed = relaxation.greater(one);
        let penalty_squared = penalty * penalty;
        (l1_norm, peak) = (zero, zero);
        for (q, x) in work.correlation.iter_mut().zip(&mut work.taps) {
            let w = Complex::new(penalty * q.re + x.re, penalty * q.im + x.im);
            let power = w.re * w.re + w.im * w.im;
            let kept = power.greater(penalty_squared);
            let length = T::select(kept, power, one).sqrt();
            let shrink = (length - penalty) / length;
            let s = Complex::new(
                T::select(kept, w.re * shrink, zero),
                T::select(kept, w.im * shrink, zero),
            );
            let next = Complex::new(
                T::select(relaxed, x.re + relaxation * (s.re - x.re), s.re),
                T::select(relaxed, x.im + relaxation * (s.im - x.im), s.im),
            );
            if looked {
                peak = (q.re * q.re + q.im * q.im).larger(peak);
                l1_norm += (next.re * next.re + next.im * next.im).sqrt();
            }
            *q = Complex::new(next.re - (w.re - s.re), next.im - (w.im - s.im));
            *x = Complex::new(T::select(moving, next.re, x.re), T::select(moving, next.im, x.im));
        }
    }
    for lane in lanes_of(active) {
        used[lane] = max_iterations;
    }
    used
}
