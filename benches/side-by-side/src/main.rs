//! The same CIR problems through this project and through the public crate `wifi-densepose-signal`.
//!
//! `RUSTFLAGS="-C target-cpu=x86-64-v3" cargo run --release` in this directory; prints Markdown.
//!
//! Both get the same tones of the same links on the public crate's own grids (contiguous tones from +-1, true
//! HE20 and HE40), scaled by an AGC to one norm, so that its `lambda` means one thing for all links. Objective
//! and gap of both are judged by one f64 routine on the taps themselves. Times are medians over cycles
//! of 12 links, taken in turns in one process; two cores means groups of 8 and 4 on a thread each.

mod judge;
mod ours;
mod peer;
mod peak;

use std::time::{Duration, Instant};

use num_complex::Complex32;
use tapline_benches::cir_scene;
use tapline_dsp::cir::{Lambda, Method, Settings, ToneGrid};

const LINKS: usize = 12;
const SNR_DB: f64 = 20.0;

/// Tones of every cycle and link, and what is known about them.
pub struct Input {
    pub grid: ToneGrid,
    pub cycles: Vec<Vec<Vec<Complex32>>>,
    pub noise: Vec<Vec<f32>>,
    /// `|y|` of every link.
    pub norm: f32,
}

impl Input {
    fn new(grid: ToneGrid, cycles: u32) -> Self {
        let (mut tones, variances) = cir_scene::recording(&grid, LINKS, cycles, SNR_DB);
        let norm = 1.2 * (grid.tones() as f32).sqrt();
        let mut noise = Vec::new();
        for cycle in &mut tones {
            let mut cycle_noise = Vec::new();
            for (link, variance) in cycle.iter_mut().zip(&variances) {
                let size: f32 = link.iter().map(|t| t.norm_sqr()).sum::<f32>().sqrt();
                let gain = norm / size;
                for tone in link.iter_mut() {
                    *tone *= gain;
                }
                cycle_noise.push(variance * gain * gain);
            }
            noise.push(cycle_noise);
        }
        Self { grid, cycles: tones, noise, norm }
    }
}

pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

pub fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = f();
    (start.elapsed(), value)
}

fn row(name: &str, ms: f64, judged: &judge::Judged, ratio: f64, note: &str) {
    println!(
        "| {name} | {ms:.3} | {:.6} | {:.2e} | {:.1} | {ratio:.1} | {note} |",
        judged.objective, judged.gap, judged.active
    );
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    println!("peak without FMA, one core: {:.1} Gflop/s", peak::gflops());
    for tier in peer::tiers() {
        let grid = tier.grid();
        let cycles = if quick { 12 } else { 60 };
        let input = Input::new(grid.clone(), cycles);
        let peer_lambda = tier.config.lambda / input.norm;
        println!(
            "\n## {}: K = {}, G = {}, {LINKS} links, {SNR_DB} dB, its lambda {} ({peer_lambda:.5} of the channel)\n",
            tier.name,
            grid.tones(),
            grid.taps(),
            tier.config.lambda
        );
        println!("| solver | ms for 12 links | objective | relative gap | active taps | times faster than its FFT | |");
        println!("|---|---|---|---|---|---|---|");
        let judge = judge::Judge::new(&grid);

        let fft = tier.run(&input, true, if quick { 3 } else { 15 });
        let dense = tier.run(&input, false, if quick { 1 } else { 2 });
        let base = fft.ms;
        let at_peer = |taps: &[Vec<Complex32>]| judge.judge(&input, taps, &[peer_lambda; LINKS]);
        row("its FFT, 100 ISTA", base, &at_peer(&fft.taps), 1.0, &fft.note);
        row("its dense, 100 ISTA", dense.ms, &at_peer(&dense.taps), base / dense.ms, &dense.note);

        for cores in [1, 2] {
            let run = ours::same_work(&input, peer_lambda, tier.config.lambda, cores);
            let dense = format!("{:.0} x its dense", dense.ms / run.ms);
            row(
                &format!("ours, 100 ISTA, its start, {cores} core"),
                run.ms,
                &at_peer(&run.taps),
                base / run.ms,
                &dense,
            );
        }
        let noise = Settings::default();
        let fixed = Settings { lambda: Lambda::Fixed(peer_lambda), max_iterations: 5000, ..noise };
        for (label, settings) in [("sigma sqrt(2 ln G)", noise), ("its lambda", fixed)] {
            for method in [Method::Fista, Method::WorkingSet] {
                for warm_start in [false, true] {
                    for cores in [1, 2] {
                        let settings = Settings { method, warm_start, ..settings };
                        let run = ours::certified(&input, settings, cores);
                        let start = if warm_start { "warm" } else { "cold" };
                        let judged = judge.judge(&input, &run.taps, &run.lambdas);
                        row(
                            &format!("ours, {method:?}, {label}, {start}, {cores} core"),
                            run.ms,
                            &judged,
                            base / run.ms,
                            &run.note,
                        );
                    }
                }
            }
        }
        let transform = ours::transform_pair(&grid);
        println!(
            "\nforward and adjoint of 8 links: {:.2} us, {:.1} Gflop/s by 5 G log2 G",
            transform.micros, transform.gflops
        );
    }
}
