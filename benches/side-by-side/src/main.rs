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

/// Prints a table for each tier, then the summary: each line of what is asked for, with what was reached.
fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let peak = peak::gflops();
    println!("Peak without FMA, one core: {peak:.0} Gflop/s.");
    let mut summary = Summary::default();
    for tier in peer::tiers() {
        let grid = tier.grid();
        let input = Input::new(grid.clone(), if quick { 12 } else { 60 });
        let peer_lambda = tier.config.lambda / input.norm;
        println!(
            "\n### {}: K = {}, G = {}, {LINKS} links, {SNR_DB} dB, its lambda {} ({peer_lambda:.5} of the channel)\n",
            tier.name,
            grid.tones(),
            grid.taps(),
            tier.config.lambda
        );
        println!("| solver | ms for 12 links | objective | relative gap | active taps | times faster than its FFT | |");
        println!("|---|---:|---:|---:|---:|---:|---|");
        let judge = judge::Judge::new(&grid);
        let at_peer = |taps: &[Vec<Complex32>]| judge.judge(&input, taps, &[peer_lambda; LINKS]);

        let fft = tier.run(&input, true, if quick { 3 } else { 15 });
        let dense = tier.run(&input, false, if quick { 1 } else { 2 });
        let base = fft.ms;
        let theirs = at_peer(&fft.taps);
        row("its FFT, 100 ISTA", base, &theirs, 1.0, &fft.note);
        row("its dense, 100 ISTA", dense.ms, &at_peer(&dense.taps), base / dense.ms, &dense.note);

        let mut line = vec![tier.name.to_owned()];
        for cores in [1, 2] {
            let run = ours::same_work(&input, peer_lambda, tier.config.lambda, cores);
            let judged = at_peer(&run.taps);
            let off = (judged.objective / theirs.objective - 1.0).abs();
            row(
                &format!("ours, 100 ISTA, its start, {cores} core"),
                run.ms,
                &judged,
                base / run.ms,
                &format!("{:.0} x its dense; objective off by {off:.0e}", dense.ms / run.ms),
            );
            line.push(format!("{:.1}", base / run.ms));
            line.push(format!("{:.0}", dense.ms / run.ms));
        }
        summary.same_work.push(line);
        let noise = Settings::default();
        let fixed = Settings { lambda: Lambda::Fixed(peer_lambda), max_iterations: 5000, ..noise };
        for (label, settings) in [("sigma sqrt(2 ln G)", noise), ("its lambda", fixed)] {
            let mut best = [(0.0, String::new()), (0.0, String::new())];
            for method in [Method::Fista, Method::Admm, Method::WorkingSet] {
                for warm_start in [false, true] {
                    for cores in [1, 2] {
                        let settings = Settings { method, warm_start, ..settings };
                        let run = ours::certified(&input, settings, cores);
                        let start = if warm_start { "warm" } else { "cold" };
                        let judged = judge.judge(&input, &run.taps, &run.lambdas);
                        let ratio = base / run.ms;
                        let name = format!("ours, {method:?}, {label}, {start}, {cores} core");
                        row(&name, run.ms, &judged, ratio, &run.note);
                        if ratio > best[cores - 1].0 {
                            best[cores - 1] = (ratio, format!("{method:?}, {start}"));
                        }
                    }
                }
            }
            let line = std::iter::once(tier.name.to_owned())
                .chain(best.into_iter().flat_map(|(ratio, name)| [format!("{ratio:.1}"), name]))
                .collect();
            if settings.lambda == Lambda::Noise {
                summary.certified.push(line);
            } else {
                summary.its_lambda.push(line);
            }
        }
        let transform = ours::transform_pair(&grid);
        summary.transforms.push(vec![
            tier.name.to_owned(),
            format!("{:.2}", transform.micros),
            format!("{:.0}", transform.gflops),
            format!("{:.0} %", 100.0 * transform.gflops / peak),
        ]);
    }
    summary.print();
}

/// The figures that are asked for, a row each tier.
#[derive(Default)]
struct Summary {
    same_work: Vec<Vec<String>>,
    certified: Vec<Vec<String>>,
    its_lambda: Vec<Vec<String>>,
    transforms: Vec<Vec<String>>,
}

impl Summary {
    fn print(&self) {
        let table = |title: &str, head: &str, rows: &[Vec<String>]| {
            println!("\n### {title}\n\n{head}\n|{}", "---|".repeat(head.matches('|').count() - 1));
            for row in rows {
                println!("| {} |", row.join(" | "));
            }
        };
        table(
            "Same work: 100 ISTA iterations from its start, times faster",
            "| tier | its FFT, 1 core | its dense, 1 core | its FFT, 2 cores | its dense, 2 cores |",
            &self.same_work,
        );
        table(
            "Certified to a gap of 1e-3 at sigma sqrt(2 ln G), paths moving: times faster than its uncertified FFT",
            "| tier | 1 core | by | 2 cores | by |",
            &self.certified,
        );
        table(
            "Certified to a gap of 1e-3 at its own lambda: times faster than its uncertified FFT",
            "| tier | 1 core | by | 2 cores | by |",
            &self.its_lambda,
        );
        table(
            "Distance to the machine: Phi and Phi^H on 8 links, one core, 5 G log2 G flops a product",
            "| tier | us a pair | Gflop/s | of the peak without FMA |",
            &self.transforms,
        );
    }
}
