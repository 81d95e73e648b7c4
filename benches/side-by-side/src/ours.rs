//! This project's solvers on the same tones.

use std::sync::atomic::{AtomicUsize, Ordering};

use num_complex::{Complex, Complex32};
use tapline_dsp::cir::{
    BatchSolver, FftOperator, Lane, Lanes8, SensingOperator, Settings, ToneGrid,
    batch::Link,
    proximal::{self, End, Pace, Problem, Workspace},
};

use crate::{Input, LINKS, median, timed};

pub struct Run {
    pub ms: f64,
    pub taps: Vec<Vec<Complex32>>,
    pub lambdas: Vec<f32>,
    pub note: String,
}

/// Two threads wait for each other, spinning: what is measured is the solver, not how fast a thread wakes.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    fn wait(&self) {
        let arrived = self.0.fetch_add(1, Ordering::AcqRel) + 1;
        let both = arrived.next_multiple_of(2);
        while self.0.load(Ordering::Acquire) < both {
            std::hint::spin_loop();
        }
    }
}

/// Runs `cycle(group, c)` for both groups, one after the other or on a thread each; median time of a cycle.
fn cycles<G: Send>(count: usize, cores: usize, groups: &mut [G; 2], cycle: impl Fn(&mut G, usize) + Sync) -> f64 {
    let mut times = Vec::new();
    if cores == 1 {
        for c in 0..count {
            times.push(timed(|| groups.iter_mut().for_each(|g| cycle(g, c))).0);
        }
    } else {
        let (start, end) = (Meeting::default(), Meeting::default());
        let [first, second] = groups;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for c in 0..count {
                    start.wait();
                    cycle(second, c);
                    end.wait();
                }
            });
            for c in 0..count {
                times.push(
                    timed(|| {
                        start.wait();
                        cycle(first, c);
                        end.wait();
                    })
                    .0,
                );
            }
        });
    }
    // The first cycles warm caches and, where asked for, the solver.
    median(times.split_off(count / 6))
}

const GROUPS: [std::ops::Range<usize>; 2] = [0..8, 8..LINKS];

/// 100 ISTA iterations from the public crate's start, `Phi^H y / (1 + lambda)`.
pub fn same_work(input: &Input, lambda: f32, its_lambda: f32, cores: usize) -> Run {
    struct Group {
        operator: FftOperator<Lanes8>,
        work: Workspace<Lanes8>,
        measured: Vec<Complex<Lanes8>>,
        mask: Vec<Lanes8>,
        links: std::ops::Range<usize>,
        taps: Vec<Vec<Complex32>>,
    }
    let (tones, taps) = (input.grid.tones(), input.grid.taps());
    let zero = Complex::new(Lanes8::splat(0.0), Lanes8::splat(0.0));
    let mut groups = GROUPS.map(|links| Group {
        operator: FftOperator::new(input.grid.clone()),
        work: Workspace::new(tones, taps),
        measured: vec![zero; tones],
        mask: vec![Lanes8::splat(1.0); tones],
        taps: vec![vec![Complex32::default(); taps]; links.len()],
        links,
    });
    let ms = cycles(input.cycles.len(), cores, &mut groups, |group, cycle| {
        for (lane, link) in group.links.clone().enumerate() {
            for (y, tone) in group.measured.iter_mut().zip(&input.cycles[cycle][link]) {
                y.re.set(lane, tone.re / input.norm);
                y.im.set(lane, tone.im / input.norm);
            }
        }
        group.operator.adjoint(&group.measured, &mut group.work.taps);
        let shrink = Lanes8::splat(1.0 / (1.0 + its_lambda));
        for x in &mut group.work.taps {
            *x = Complex::new(x.re * shrink, x.im * shrink);
        }
        let problem = Problem {
            measured: &group.measured,
            mask: &group.mask,
            lambda: Lanes8::splat(lambda),
            lanes: (1 << group.links.len()) - 1,
        };
        let mut ends = [End::default(); 8];
        proximal::solve(&mut group.operator, &problem, Pace::Plain, 100, &mut group.work, &mut ends);
        for (lane, taps) in group.taps.iter_mut().enumerate() {
            for (tap, x) in taps.iter_mut().zip(&group.work.taps) {
                *tap = Complex32::new(x.re.get(lane), x.im.get(lane)) * input.norm;
            }
        }
    });
    Run {
        ms,
        taps: groups.into_iter().flat_map(|g| g.taps).collect(),
        lambdas: vec![lambda; LINKS],
        note: String::new(),
    }
}

/// The stage's own path: tones in, taps and estimates out.
pub fn certified(input: &Input, settings: Settings, cores: usize) -> Run {
    struct Group {
        solver: BatchSolver<Lanes8, FftOperator<Lanes8>>,
        links: std::ops::Range<usize>,
        mask: Vec<u8>,
        warm: Vec<Vec<Complex32>>,
        taps: Vec<Vec<Complex32>>,
        lambdas: Vec<f32>,
        iterations: u64,
        missed: u32,
    }
    let (tones, taps) = (input.grid.tones(), input.grid.taps());
    let mut groups = GROUPS.map(|links| Group {
        solver: BatchSolver::new(FftOperator::new(input.grid.clone()), settings),
        mask: vec![1; tones],
        warm: vec![vec![Complex32::default(); taps]; links.len()],
        taps: vec![vec![Complex32::default(); taps]; links.len()],
        lambdas: vec![0.0; links.len()],
        links,
        iterations: 0,
        missed: 0,
    });
    let ms = cycles(input.cycles.len(), cores, &mut groups, |group, cycle| {
        group.solver.clear();
        for (lane, link) in group.links.clone().enumerate() {
            let link = Link {
                tones: &input.cycles[cycle][link],
                mask: &group.mask,
                noise_variance: Some(input.noise[cycle][link]),
                warm: &group.warm[lane],
            };
            group.solver.load(lane, &link).expect("there is signal");
        }
        group.solver.solve();
        for lane in 0..group.links.len() {
            let answer = group.solver.read(lane, &mut group.taps[lane], &mut group.warm[lane]);
            let answer = answer.expect("there is signal");
            group.lambdas[lane] = answer.lambda;
            group.iterations += u64::from(answer.iterations);
            group.missed += u32::from(!answer.converged);
        }
    });
    let links = (input.cycles.len() * LINKS) as f64;
    let iterations: u64 = groups.iter().map(|g| g.iterations).sum();
    let missed: u32 = groups.iter().map(|g| g.missed).sum();
    let gain = (tones as f32).sqrt();
    Run {
        ms,
        lambdas: groups.iter().flat_map(|g| g.lambdas.clone()).collect(),
        taps: groups
            .into_iter()
            .flat_map(|g| g.taps)
            .map(|taps| taps.into_iter().map(|t| t * gain).collect())
            .collect(),
        note: format!("{:.1} iterations a link, {missed} not converged", iterations as f64 / links),
    }
}

pub struct Transform {
    pub micros: f64,
    pub gflops: f64,
}

pub fn transform_pair(grid: &ToneGrid) -> Transform {
    let mut operator = FftOperator::<Lanes8>::new(grid.clone());
    let mut taps = vec![Complex::new(Lanes8::splat(0.25), Lanes8::splat(-0.5)); grid.taps()];
    let mut tones = vec![Complex::new(Lanes8::splat(0.0), Lanes8::splat(0.0)); grid.tones()];
    let repeats = 200;
    let times = (0..21)
        .map(|_| {
            timed(|| {
                for _ in 0..repeats {
                    operator.forward(&taps, &mut tones);
                    operator.adjoint(&tones, &mut taps);
                    // Keeps the values in range: a pair multiplies by at most 3.
                    taps[0].re = Lanes8::splat(0.25);
                    for t in &mut taps {
                        *t = Complex::new(t.re * Lanes8::splat(0.33), t.im * Lanes8::splat(0.33));
                    }
                }
            })
            .0
        })
        .collect();
    let micros = median(times) * 1e3 / f64::from(repeats);
    let g = grid.taps() as f64;
    Transform { micros, gflops: 2.0 * 8.0 * 5.0 * g * g.log2() / micros * 1e-3 }
}
