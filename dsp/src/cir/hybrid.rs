//! A batch by working sets: each link on its own set, the last word by the operator for all at once.
//!
//! One adjoint gives every lane its `Phi^H y`; after the sets are solved one product each way gives the
//! certificate from the taps themselves. Lanes whose set grew too large, or whose certificate does not
//! hold, go on with ADMM from where they are.

use num_complex::{Complex, Complex32};

use super::{
    admm,
    lane::Lane,
    operator::SensingOperator,
    proximal::{self, End, Problem, Workspace, lanes_of},
    settings::Settings,
    working_set::{Kernel, SET_MAX, WorkingSet},
};

/// What a batch needs beside the proximal solver's buffers.
pub struct Hybrid {
    kernel: Kernel,
    masked: Kernel,
    set: WorkingSet,
    starts: Vec<Start>,
}

/// The taps a link starts from.
#[derive(Clone, Copy)]
struct Start {
    taps: [u16; SET_MAX],
    count: usize,
    /// True when all tones are measured.
    full: bool,
}

impl Hybrid {
    /// Memory for a batch of `lanes` links of an operator's grid.
    pub fn new<T: Lane>(operator: &impl SensingOperator<T>) -> Self {
        let grid = operator.grid();
        Self {
            kernel: Kernel::of_grid(grid),
            masked: Kernel::empty(grid.taps()),
            set: WorkingSet::new(grid.taps()),
            starts: vec![
                Start {
                    taps: [0; SET_MAX],
                    count: 0,
                    full: true,
                };
                T::LANES
            ],
        }
    }

    pub(super) fn work_bytes(&self) -> usize {
        self.masked.bytes() + self.set.bytes() + size_of_val(self.starts.as_slice())
    }

    pub(super) fn table_bytes(&self) -> usize {
        self.kernel.bytes()
    }

    /// Notes where a lane starts: at the taps that are not zero, the first [`SET_MAX`] / 2 of them.
    pub fn load(&mut self, lane: usize, warm: &[Complex32], full: bool) {
        let start = &mut self.starts[lane];
        start.full = full;
        start.count = 0;
        for (tap, value) in warm.iter().enumerate() {
            if (value.re != 0.0 || value.im != 0.0) && start.count < SET_MAX / 2 {
                start.taps[start.count] = tap as u16;
                start.count += 1;
            }
        }
    }

    /// Solves the problem's lanes into `work.taps`.
    pub fn solve<T: Lane>(
        &mut self,
        operator: &mut impl SensingOperator<T>,
        problem: &Problem<'_, T>,
        settings: &Settings,
        work: &mut Workspace<T>,
        ends: &mut [End],
    ) {
        let zero = Complex::new(T::zero(), T::zero());
        operator.adjoint(problem.measured, &mut work.correlation);
        if lanes_of(problem.lanes).any(|lane| !self.starts[lane].full) {
            for (r, m) in work.residual.iter_mut().zip(problem.mask) {
                *r = Complex::new(*m, T::zero());
            }
            operator.adjoint(&work.residual, &mut work.previous_correlation);
        }
        let scale = 1.0 / (problem.mask.len() as f32).sqrt();
        work.taps.fill(zero);
        for lane in lanes_of(problem.lanes) {
            let start = &self.starts[lane];
            let correlation = self.set.correlation_mut();
            for ((re, im), q) in correlation
                .re
                .iter_mut()
                .zip(&mut correlation.im)
                .zip(&work.correlation)
            {
                (*re, *im) = (q.re.get(lane), q.im.get(lane));
            }
            if !start.full {
                for (d, h) in work.previous_correlation.iter().enumerate() {
                    self.masked
                        .set(d, Complex32::new(h.re.get(lane) * scale, h.im.get(lane) * scale));
                }
            }
            let mut power = 0.0;
            for y in problem.measured {
                let (re, im) = (y.re.get(lane), y.im.get(lane));
                power += re * re + im * im;
            }
            self.set.solve(
                if start.full { &self.kernel } else { &self.masked },
                power,
                problem.lambda.get(lane),
                settings.gap_tolerance,
                start.taps[..start.count].iter().map(|tap| usize::from(*tap)),
            );
            for (tap, value) in self.set.solution() {
                work.taps[tap].re.set(lane, value.re);
                work.taps[tap].im.set(lane, value.im);
            }
            ends[lane].iterations = self.set.sweeps();
        }

        let certificate = proximal::certificate_of(operator, problem, work);
        let mut rest = 0;
        for lane in lanes_of(problem.lanes) {
            ends[lane].certificate = certificate.lane(lane);
            if ends[lane].certificate.relative_gap > settings.gap_tolerance {
                rest |= 1 << lane;
            }
        }
        if rest == 0 {
            return;
        }
        let mut later = [End::default(); u32::BITS as usize];
        admm::solve(
            operator,
            &Problem {
                lanes: rest,
                ..*problem
            },
            settings.gap_tolerance,
            settings.max_iterations,
            work,
            &mut later,
        );
        for lane in lanes_of(rest) {
            ends[lane].iterations += later[lane].iterations;
            ends[lane].certificate = later[lane].certificate;
        }
    }
}
