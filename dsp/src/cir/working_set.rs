//! The working-set solver: one link, few taps.
//!
//! At a `lambda` that means something the optimum has a handful of taps. `Phi^H Phi` is circulant, so its
//! Gram matrix is one vector, the kernel `h_d = sum_k m_k exp(2 pi i k d / G) / K`, and the correlation
//! with every tap after a change of one is `q_g -= h_{g-j} dx_j`: a sweep over contiguous memory.
//!
//! Rounds of: solve on the set by cyclic coordinate descent (Friedman, Hastie, Tibshirani 2010, complex
//! soft threshold) until its own duality gap is small; bring the correlation with all taps up to date;
//! judge the gap over all of them; take in the peaks of `|q|` above `lambda`. Choosing the set by the
//! largest violations, with a gap for the stop, is Massias, Gramfort, Salmon 2018 (CELER); the circulant
//! update takes the place of its screening.
//!
//! Cost: about `8 G` flops for each tap of the set and round. No allocation after construction.

use num_complex::Complex32;

use super::{
    certificate::from_sums,
    grid::ToneGrid,
    newton::{Newton, TAPS_MAX},
};
use crate::detmath::max;

/// Most taps of a set; a link that needs more is for another solver.
pub const SET_MAX: usize = 64;
/// Most taps taken in at once.
const INTAKE_MAX: usize = 16;
/// Peaks taken in are at least this share of the highest.
const INTAKE_SHARE: f32 = 0.3;
/// Rounds after which the link is given to another solver.
const ROUNDS_MAX: u32 = 40;
/// Sweeps over the set in one round.
const SWEEPS_MAX: u32 = 60;
/// Halvings of a Newton step that does not help.
const HALVINGS_MAX: u32 = 4;
/// The share of the gap tolerance that the restricted problem may use up.
const INNER_SHARE: f32 = 0.3;

/// `h` over two periods, so that `h_{g-j}` for all g is one slice.
#[derive(Clone, Debug)]
pub struct Kernel {
    re: Vec<f32>,
    im: Vec<f32>,
    /// False when `h` is real: all tones measured, each with its mirror.
    complex: bool,
}

impl Kernel {
    /// The kernel of a grid with all tones measured.
    pub fn of_grid(grid: &ToneGrid) -> Self {
        let taps = grid.taps();
        let roots: Vec<(f64, f64)> = (0..taps)
            .map(|j| {
                let angle = core::f64::consts::TAU * j as f64 / taps as f64;
                (crate::detmath::cos64(angle), crate::detmath::sin64(angle))
            })
            .collect();
        let scale = 1.0 / grid.tones() as f64;
        let symmetric = grid
            .indices()
            .iter()
            .rev()
            .zip(grid.indices())
            .all(|(a, b)| i32::from(*a) == -i32::from(*b));
        let mut new = Self {
            re: vec![0.0; 2 * taps],
            im: vec![0.0; 2 * taps],
            complex: !symmetric,
        };
        for d in 0..taps {
            let (mut re, mut im) = (0.0, 0.0);
            for bin in grid.bins() {
                let (c, s) = roots[bin * d % taps];
                re += c;
                im += s;
            }
            let h = Complex32::new((scale * re) as f32, if symmetric { 0.0 } else { (scale * im) as f32 });
            new.set(d, h);
        }
        new
    }

    /// Memory for a kernel that [`Kernel::set`] fills.
    pub fn empty(taps: usize) -> Self {
        Self {
            re: vec![0.0; 2 * taps],
            im: vec![0.0; 2 * taps],
            complex: true,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.re.as_slice()) + size_of_val(self.im.as_slice())
    }

    /// Writes `h_d`.
    pub fn set(&mut self, d: usize, h: Complex32) {
        let taps = self.re.len() / 2;
        for at in [d, d + taps] {
            self.re[at] = h.re;
            self.im[at] = h.im;
        }
    }

    fn at(&self, tap: usize, from: usize) -> Complex32 {
        let taps = self.re.len() / 2;
        Complex32::new(self.re[taps + tap - from], self.im[taps + tap - from])
    }
}

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gap is within its tolerance.
    Reached,
    /// The set or the rounds ran out; the taps are a good start for another solver.
    GivenUp,
}

/// Work buffers for one link.
pub struct WorkingSet {
    taps: usize,
    /// Non-zero taps beyond which the link is given up: what a Newton step takes, or a third of the tones.
    active_max: usize,
    correlation: Correlation,
    /// `|q|^2`.
    squares: Vec<f32>,
    set: Vec<usize>,
    x: Vec<Complex32>,
    /// The part of `x` that the correlation with all taps already shows.
    shown: Vec<Complex32>,
    /// `Phi^H y` and the correlation with the taps of the set.
    c: Vec<Complex32>,
    q: Vec<Complex32>,
    /// `h_{i-j}` over the set, column j at `j * SET_MAX`.
    gram: Vec<Complex32>,
    newton: Newton,
    /// Sweeps made.
    sweeps: u32,
    rounds: u32,
}

/// `Phi^H (y - Phi x)` for every tap, real and imaginary parts apart.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// Real parts.
    pub re: Vec<f32>,
    /// Imaginary parts.
    pub im: Vec<f32>,
}

impl WorkingSet {
    /// Memory for a grid of G taps.
    pub fn new(taps: usize) -> Self {
        let zero = Complex32::new(0.0, 0.0);
        Self {
            taps,
            active_max: TAPS_MAX.min(taps / 9),
            correlation: Correlation {
                re: vec![0.0; taps],
                im: vec![0.0; taps],
            },
            squares: vec![0.0; taps],
            set: Vec::with_capacity(SET_MAX),
            x: vec![zero; SET_MAX],
            shown: vec![zero; SET_MAX],
            c: vec![zero; SET_MAX],
            q: vec![zero; SET_MAX],
            gram: vec![zero; SET_MAX * SET_MAX],
            newton: Newton::new(),
            sweeps: 0,
            rounds: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let vectors = self.x.len() + self.shown.len() + self.c.len() + self.q.len() + self.gram.len();
        3 * size_of_val(self.squares.as_slice()) + vectors * size_of::<Complex32>() + self.newton.bytes()
    }

    /// Where `Phi^H y` goes before [`WorkingSet::solve`].
    pub fn correlation_mut(&mut self) -> &mut Correlation {
        &mut self.correlation
    }

    /// Taps of the set with their values, in the order they were taken in; many may be zero.
    pub fn solution(&self) -> impl Iterator<Item = (usize, Complex32)> {
        self.set.iter().copied().zip(self.x.iter().copied())
    }

    /// Coordinate sweeps of the last solve.
    pub fn sweeps(&self) -> u32 {
        self.sweeps
    }

    /// Rounds of the last solve.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Solves for the correlation that was written, `power = |y|^2`, from the taps of `start`.
    pub fn solve(
        &mut self,
        kernel: &Kernel,
        power: f32,
        lambda: f32,
        gap_tolerance: f32,
        start: impl Iterator<Item = usize>,
    ) -> Outcome {
        self.set.clear();
        self.sweeps = 0;
        self.rounds = 0;
        for tap in start.take(SET_MAX) {
            self.take_in(kernel, tap);
        }
        if self.set.len() >= self.active_max {
            return Outcome::GivenUp;
        }
        for round in 1..=ROUNDS_MAX {
            self.rounds = round;
            self.descend(kernel, power, lambda, gap_tolerance * INNER_SHARE);
            self.show(kernel);
            let peak = self.square();
            let (residual, product, l1_norm) = self.sums(power);
            let certificate = from_sums(residual, product, l1_norm, peak, lambda);
            // The tolerance is not used up whole: the last word is the operator's own certificate.
            if certificate.relative_gap <= 0.9 * gap_tolerance {
                return Outcome::Reached;
            }
            // Answers of many taps are for the other solvers (docs/cir.md).
            if self.active() > self.active_max || !self.enlarge(kernel, lambda, peak) {
                return Outcome::GivenUp;
            }
        }
        Outcome::GivenUp
    }

    fn active(&self) -> usize {
        let values = &self.x[..self.set.len()];
        values.iter().filter(|x| x.re != 0.0 || x.im != 0.0).count()
    }

    fn take_in(&mut self, kernel: &Kernel, tap: usize) {
        let n = self.set.len();
        let zero = Complex32::new(0.0, 0.0);
        let mut c = Complex32::new(self.correlation.re[tap], self.correlation.im[tap]);
        let mut q = c;
        for (j, &other) in self.set.iter().enumerate() {
            let h = kernel.at(tap, other);
            self.gram[j * SET_MAX + n] = h;
            self.gram[n * SET_MAX + j] = h.conj();
            c += h * self.shown[j];
            q -= h * (self.x[j] - self.shown[j]);
        }
        self.gram[n * SET_MAX + n] = kernel.at(tap, tap);
        (self.c[n], self.q[n], self.x[n], self.shown[n]) = (c, q, zero, zero);
        self.set.push(tap);
    }

    /// Solves on the set until the gap of the problem restricted to it is small: sweeps find which taps
    /// are zero, Newton steps find the values of the others.
    fn descend(&mut self, kernel: &Kernel, power: f32, lambda: f32, gap_tolerance: f32) {
        for _ in 0..SWEEPS_MAX {
            self.sweep(kernel, lambda);
            self.sweeps += 1;
            if self.restricted_gap(power, lambda) <= gap_tolerance {
                return;
            }
            self.newton(lambda);
            if self.restricted_gap(power, lambda) <= gap_tolerance {
                return;
            }
        }
    }

    fn restricted_gap(&self, power: f32, lambda: f32) -> f32 {
        let mut peak = 0.0;
        for q in &self.q[..self.set.len()] {
            let square = q.norm_sqr();
            peak = if square > peak { square } else { peak };
        }
        let (residual, product, l1_norm) = self.sums(power);
        from_sums(residual, product, l1_norm, peak, lambda).relative_gap
    }

    /// One sweep of cyclic coordinate descent.
    fn sweep(&mut self, kernel: &Kernel, lambda: f32) {
        let norm_squared = kernel.re[0];
        let inverse = 1.0 / norm_squared;
        for j in 0..self.set.len() {
            let u = self.q[j] + self.x[j] * norm_squared;
            let square = u.norm_sqr();
            let next = if square > lambda * lambda {
                let length = square.sqrt();
                u * ((length - lambda) / length * inverse)
            } else {
                Complex32::new(0.0, 0.0)
            };
            self.change(j, next - self.x[j]);
            self.x[j] = next;
        }
    }

    /// Takes the change of one tap out of the correlations with the set.
    fn change(&mut self, j: usize, change: Complex32) {
        if change.re != 0.0 || change.im != 0.0 {
            let n = self.set.len();
            let column = &self.gram[j * SET_MAX..j * SET_MAX + n];
            for (q, h) in self.q[..n].iter_mut().zip(column) {
                *q -= *h * change;
            }
        }
    }

    /// Newton steps on the taps that are not zero. A step ends where the first tap would pass through zero;
    /// that tap is then zero, and the others go on without it.
    fn newton(&mut self, lambda: f32) {
        let mut active = [0; TAPS_MAX];
        let mut count = 0;
        for j in 0..self.set.len() {
            if self.x[j].re != 0.0 || self.x[j].im != 0.0 {
                if count == TAPS_MAX {
                    return;
                }
                active[count] = j;
                count += 1;
            }
        }
        while count > 0 {
            let Some(blocked) = self.newton_step(&active[..count], lambda) else {
                return;
            };
            let j = active[blocked];
            self.change(j, -self.x[j]);
            self.x[j] = Complex32::new(0.0, 0.0);
            active.copy_within(blocked + 1..count, blocked);
            count -= 1;
        }
    }

    /// One Newton step; the index of the tap that cut it short, if one did.
    fn newton_step(&mut self, active: &[usize], lambda: f32) -> Option<usize> {
        let (x, q, gram) = (&self.x, &self.q, &self.gram);
        let solved = self.newton.solve(
            active.len(),
            lambda,
            |a| (x[active[a]], x[active[a]].norm_sqr().sqrt(), q[active[a]]),
            |i, j| gram[active[j] * SET_MAX + active[i]],
        );
        if !solved {
            return None;
        }
        let (mut length, mut blocked) = (1.0, None);
        for (a, &j) in active.iter().enumerate() {
            let reach = -self.newton.radial[a];
            let size = self.x[j].norm_sqr().sqrt();
            if reach * length > size {
                (length, blocked) = (size / reach, Some(a));
            }
        }
        let before = self.objective(lambda);
        self.advance(active, length);
        for _ in 0..HALVINGS_MAX {
            if self.objective(lambda) <= before {
                return blocked;
            }
            length *= 0.5;
            self.advance(active, -length);
            blocked = None;
        }
        self.advance(active, -length);
        None
    }

    fn advance(&mut self, active: &[usize], length: f32) {
        for (a, &j) in active.iter().enumerate() {
            let change = self.newton.step[a] * length;
            self.change(j, change);
            self.x[j] += change;
        }
    }

    /// The objective on the set less `1/2 |y|^2`.
    fn objective(&self, lambda: f32) -> f32 {
        let (mut product, mut l1_norm) = (0.0, 0.0);
        for ((x, c), q) in self.x.iter().zip(&self.c).zip(&self.q).take(self.set.len()) {
            product += x.re * (c.re + q.re) + x.im * (c.im + q.im);
            l1_norm += x.norm_sqr().sqrt();
        }
        lambda * l1_norm - 0.5 * product
    }

    /// `|r|^2`, `Re<y, r>` and `|x|_1` from the set alone.
    fn sums(&self, power: f32) -> (f32, f32, f32) {
        let (mut with_c, mut with_q, mut l1_norm) = (0.0, 0.0, 0.0);
        for ((x, c), q) in self.x.iter().zip(&self.c).zip(&self.q).take(self.set.len()) {
            with_c += x.re * c.re + x.im * c.im;
            with_q += x.re * q.re + x.im * q.im;
            l1_norm += x.norm_sqr().sqrt();
        }
        // <y, r> = |y|^2 - Re<x, c>; |r|^2 = <y, r> - Re<x, q>.
        let product = power - with_c;
        let residual = product - with_q;
        (if residual > 0.0 { residual } else { 0.0 }, product, l1_norm)
    }

    /// Brings the correlation with all taps up to date.
    fn show(&mut self, kernel: &Kernel) {
        for (j, &tap) in self.set.iter().enumerate() {
            let change = self.x[j] - self.shown[j];
            if change.re == 0.0 && change.im == 0.0 {
                continue;
            }
            self.shown[j] = self.x[j];
            let window = self.taps - tap..2 * self.taps - tap;
            let (re, im) = (&mut self.correlation.re[..], &mut self.correlation.im[..]);
            let h_re = &kernel.re[window.clone()];
            if kernel.complex {
                let h_im = &kernel.im[window];
                for (((q_re, q_im), h_re), h_im) in re.iter_mut().zip(im).zip(h_re).zip(h_im) {
                    *q_re -= h_re * change.re - h_im * change.im;
                    *q_im -= h_re * change.im + h_im * change.re;
                }
            } else {
                for ((q_re, q_im), h) in re.iter_mut().zip(im).zip(h_re) {
                    *q_re -= h * change.re;
                    *q_im -= h * change.im;
                }
            }
        }
    }

    /// `|q|^2` of every tap; returns the largest.
    fn square(&mut self) -> f32 {
        let mut peaks = [0.0f32; 8];
        let correlation = self.correlation.re.chunks(8).zip(self.correlation.im.chunks(8));
        for (squares, (re, im)) in self.squares.chunks_mut(8).zip(correlation) {
            for (((square, re), im), peak) in squares.iter_mut().zip(re).zip(im).zip(&mut peaks) {
                *square = re * re + im * im;
                *peak = if *square > *peak { *square } else { *peak };
            }
        }
        peaks.into_iter().fold(0.0, |a, b| if b > a { b } else { a })
    }

    /// Takes in the highest peaks of `|q|` above `lambda`; false when the set is full or there is none.
    fn enlarge(&mut self, kernel: &Kernel, lambda: f32, peak: f32) -> bool {
        let mut intake = [(0.0f32, 0usize); INTAKE_MAX];
        let mut count = 0;
        // Lower peaks are mostly side lobes of higher ones: they wait until those are explained.
        let bound = max(lambda * lambda, INTAKE_SHARE * INTAKE_SHARE * peak);
        let n = self.taps;
        for tap in 0..n {
            let square = self.squares[tap];
            if square <= bound {
                continue;
            }
            let before = self.squares[if tap == 0 { n - 1 } else { tap - 1 }];
            let after = self.squares[if tap + 1 == n { 0 } else { tap + 1 }];
            if square < before || square <= after || self.set.contains(&tap) {
                continue;
            }
            let place = intake[..count]
                .iter()
                .position(|(other, _)| *other < square)
                .unwrap_or(count);
            if place < INTAKE_MAX {
                count = (count + 1).min(INTAKE_MAX);
                intake.copy_within(place..count - 1, place + 1);
                intake[place] = (square, tap);
            }
        }
        if count == 0 || self.set.len() + count > SET_MAX {
            return false;
        }
        for (_, tap) in &intake[..count] {
            self.take_in(kernel, *tap);
        }
        true
    }
}
