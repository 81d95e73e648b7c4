//! CIR by tier, links, start and operator: `cargo bench -p tapline-benches --bench cir`.
//!
//! One iteration is one cycle: new noise and a walker, tones in, taps and estimates out, one core. A cycle
//! has 50 ms, the stage 15.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use num_complex::Complex32;
use tapline_benches::cir_scene::recording;
use tapline_dsp::{
    cir::{
        BatchSolver, DenseOperator, FftOperator, Lane, Lanes8, Method, SensingOperator, Settings, ToneGrid, batch::Link,
    },
    tier::Tier,
};

const CYCLES: u32 = 40;

struct Run<O> {
    solver: BatchSolver<Lanes8, O>,
    tones: Vec<Vec<Vec<Complex32>>>,
    noise: Vec<f32>,
    mask: Vec<u8>,
    warm: Vec<Vec<Complex32>>,
    taps: Vec<Complex32>,
    cycle: usize,
}

impl<O: SensingOperator<Lanes8>> Run<O> {
    fn new(grid: &ToneGrid, operator: O, links: usize, settings: Settings) -> Self {
        let (tones, noise) = recording(grid, links, CYCLES, 20.0);
        let zeros = vec![Complex32::new(0.0, 0.0); grid.taps()];
        Self {
            solver: BatchSolver::new(operator, settings),
            tones,
            noise,
            mask: vec![1; grid.tones()],
            warm: vec![zeros.clone(); links],
            taps: zeros,
            cycle: 0,
        }
    }

    fn cycle(&mut self) {
        let tones = &self.tones[self.cycle % self.tones.len()];
        self.cycle += 1;
        for first in (0..tones.len()).step_by(Lanes8::LANES) {
            let batch = first..tones.len().min(first + Lanes8::LANES);
            self.solver.clear();
            for (lane, link) in batch.clone().enumerate() {
                let link = Link {
                    tones: &tones[link],
                    mask: &self.mask,
                    noise_variance: Some(self.noise[link]),
                    warm: &self.warm[link],
                };
                self.solver.load(lane, &link).expect("the scene has signal");
            }
            self.solver.solve();
            for (lane, link) in batch.enumerate() {
                let estimate = self.solver.read(lane, &mut self.taps, &mut self.warm[link]);
                assert!(estimate.expect("the scene has signal").converged);
            }
        }
    }
}

/// Links of a cycle: one, one lane batch in part, two batches, four.
const LINKS: [usize; 4] = [1, 4, 12, 32];

fn settings(method: Method, warm_start: bool) -> Settings {
    Settings {
        method,
        warm_start,
        ..Settings::default()
    }
}

fn name(operator: &str, method: Method, warm_start: bool) -> String {
    format!("{operator}/{method:?}/{}", if warm_start { "warm" } else { "cold" })
}

fn cir(criterion: &mut Criterion) {
    for tier in [Tier::Ht20, Tier::Ht40, Tier::He20, Tier::He40] {
        let grid = ToneGrid::of_tier(tier);
        let mut group = criterion.benchmark_group(format!("cir/{}/{}x{}", tier.name(), grid.tones(), grid.taps()));
        for links in LINKS {
            for warm_start in [false, true] {
                for method in [Method::Fista, Method::WorkingSet] {
                    let settings = settings(method, warm_start);
                    let mut run = Run::new(&grid, FftOperator::new(grid.clone()), links, settings);
                    let id = BenchmarkId::new(name("fft", method, warm_start), links);
                    group.bench_function(id, |b| b.iter(|| run.cycle()));
                }
            }
        }
        // The reference: seconds a cycle on the largest grid.
        group.sample_size(10);
        for links in LINKS {
            for warm_start in [false, true] {
                let settings = settings(Method::Fista, warm_start);
                let mut run = Run::new(&grid, DenseOperator::new(grid.clone()), links, settings);
                let id = BenchmarkId::new(name("dense", Method::Fista, warm_start), links);
                group.bench_function(id, |b| b.iter(|| run.cycle()));
            }
        }
        group.finish();
    }
}

criterion_group!(benches, cir);
criterion_main!(benches);
