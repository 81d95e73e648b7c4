//! `tapline bench-cycle`: the cycle and its parts, against their budgets.

use std::{fmt::Write as _, time::Instant};

use clap::Args;
use tapline_dsp::sketch::Bank;

use super::output::{Failure, Outcome, Result, print};
use crate::{
    cycle::{
        Slot,
        clock::{BUDGET, SLOT_NS, STAGE_BUDGET_MS, STAGE_NAMES},
    },
    golden_run::simulated,
    ingest::frames::Frames,
    run::histogram::Histogram,
};

/// What to measure.
#[derive(Args)]
pub(super) struct Options {
    /// Cycles that count, after 200 that do not
    #[arg(long, default_value_t = 4_000)]
    cycles: u64,
    /// Scene of the simulator
    #[arg(long, default_value = "four-nodes-ht20")]
    scene: String,
    /// Plugin for the stage cir
    #[arg(long, default_value = "cir-fft")]
    cir: String,
    /// As a document
    #[arg(long)]
    markdown: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Cycles that warm up.
const WARM_UP: u64 = 200;

struct Measured {
    whole: Histogram,
    stages: [Histogram; 10],
    frames: u64,
    links: usize,
}

pub(super) fn run(options: &Options) -> Result {
    let measured = measure(options)?;
    let sketch = sketches();
    if options.json {
        let stages: serde_json::Map<String, serde_json::Value> = STAGE_NAMES
            .iter()
            .zip(&measured.stages)
            .map(|(n, h)| {
                (
                    (*n).to_owned(),
                    serde_json::json!({ "p50_us": h.quantile(0.5), "p99_us": h.quantile(0.99) }),
                )
            })
            .collect();
        print(
            &serde_json::json!({
                "cycles": options.cycles, "links": measured.links, "p50_us": measured.whole.quantile(0.5),
                "p99_us": measured.whole.quantile(0.99), "stages": stages, "rss_kb": peak_rss_kb(),
                "sketch_us": sketch.micros, "sketch_recall": sketch.recall,
            })
            .to_string(),
        );
    } else {
        print(&document(options, &measured, &sketch));
    }
    let within = std::time::Duration::from_micros(measured.whole.quantile(0.99)) <= BUDGET;
    Ok(if within { Outcome::Yes } else { Outcome::No })
}

/// Steps the cycle without a log: stages 1 to 9 on datagrams made beforehand.
fn measure(options: &Options) -> std::result::Result<Measured, Failure> {
    let (mut core, mut simulator) = simulated(&options.scene, 1, &options.cir).map_err(Failure::of)?;
    let mut measured = Measured {
        whole: Histogram::default(),
        stages: Default::default(),
        frames: 0,
        links: core.site().paths.len(),
    };
    let mut frames = Frames::default();
    let mut datagram = Vec::new();
    let mut next = simulator.next_datagram(&mut datagram);
    // A scene that ends begins again, its clock running on.
    let mut offset_ns = 0;
    for tick in 0..WARM_UP + options.cycles {
        let end_ns = tick * SLOT_NS;
        frames.clear();
        loop {
            let Some(emission) = next else {
                (_, simulator) = simulated(&options.scene, 1 + tick, &options.cir).map_err(Failure::of)?;
                offset_ns = end_ns;
                datagram.clear();
                next = simulator.next_datagram(&mut datagram);
                break;
            };
            let arrival_ns = emission.time_ns + offset_ns;
            if arrival_ns > end_ns {
                break;
            }
            frames.push(u32::from(emission.node), arrival_ns, &datagram);
            datagram.clear();
            next = simulator.next_datagram(&mut datagram);
        }
        let slot = Slot {
            cycle: tick,
            tick,
            end_ns,
            t_ms: (end_ns / 1_000_000).cast_signed(),
            frames: &frames,
            deadline: None,
            obey: None,
        };
        let begun = Instant::now();
        let report = core.step(&slot);
        let micros = begun.elapsed().as_micros() as u32;
        if tick >= WARM_UP {
            measured.whole.add(micros);
            measured.frames += u64::from(report.inputs);
            for (histogram, (_, micros)) in measured.stages.iter_mut().zip(report.stage) {
                histogram.add(micros);
            }
        }
    }
    Ok(measured)
}

struct SketchResult {
    micros: f64,
    recall: f64,
}

/// Vectors of the sketch bank, and how many are wanted.
const BANK: usize = 1_024;
const WANTED: usize = 8;
/// Numbers of a vector.
const DIMENSIONS: usize = 128;
/// Searches that are timed.
const QUERIES: usize = 400;

/// Sketch, short list and exact order: the 8 true neighbours (by cosine) among 1,024 random vectors, the hardest
/// case: nothing clusters.
fn sketches() -> SketchResult {
    let mut state = 7_u64;
    // Sum of twelve uniform numbers: close enough to normal for a bench, and the same everywhere.
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u32 << 24) as f32
    };
    let mut vector = || -> Vec<f32> {
        (0..DIMENSIONS)
            .map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
            .collect()
    };
    let vectors: Vec<Vec<f32>> = (0..BANK).map(|_| vector()).collect();
    let mut bank = Bank::new(DIMENSIONS, BANK);
    for v in &vectors {
        bank.push(v);
    }
    let (mut hits, mut spent) = (0, std::time::Duration::ZERO);
    for _ in 0..QUERIES {
        let query = vector();
        let mut best: Vec<(f32, usize)> = vectors
            .iter()
            .enumerate()
            .map(|(i, v)| (-cosine(&query, v), i))
            .collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut found = [(0.0, 0); WANTED];
        let begun = Instant::now();
        bank.nearest(std::hint::black_box(&query), &mut found);
        spent += begun.elapsed();
        let is_found = |(_, i): &&(f32, usize)| found.iter().any(|(_, index)| *index as usize == *i);
        hits += best[..WANTED].iter().filter(is_found).count();
    }
    SketchResult {
        micros: spent.as_secs_f64() * 1e6 / QUERIES as f64,
        recall: hits as f64 / (QUERIES * WANTED) as f64,
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Highest resident set of this process so far, kB.
fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

fn document(options: &Options, m: &Measured, sketch: &SketchResult) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# The cycle\n");
    let _ = writeln!(
        text,
        "Measured by `tapline bench-cycle --cycles {} --scene {} --cir {}`: scene `{}` of the simulator, {} link paths, {:.1} frames a\n\
         cycle, stages 1 to 9 without the log's disk, built-in stages. Machine: {}, {} processors; build: {}.\n",
        options.cycles,
        options.scene,
        options.cir,
        options.scene,
        m.links,
        m.frames as f64 / options.cycles as f64,
        cpu(),
        std::thread::available_parallelism().map_or(1, usize::from),
        if cfg!(debug_assertions) { "debug" } else { "release" },
    );
    let _ = writeln!(
        text,
        "| stage | p50 us | p99 us | max us | budget us |\n|---|---|---|---|---|"
    );
    for ((name, h), budget_ms) in STAGE_NAMES.iter().zip(&m.stages).zip(STAGE_BUDGET_MS).take(9) {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} |",
            h.quantile(0.5),
            h.quantile(0.99),
            h.largest(),
            budget_ms * 1_000
        );
    }
    let _ = writeln!(
        text,
        "| **whole cycle** | **{}** | **{}** | {} | 50000 |\n",
        m.whole.quantile(0.5),
        m.whole.quantile(0.99),
        m.whole.largest()
    );
    let _ = writeln!(
        text,
        "- ingest a frame: {:.1} us",
        m.stages[0].quantile(0.5) as f64 * options.cycles as f64 / m.frames.max(1) as f64
    );
    let _ = writeln!(
        text,
        "- peak resident set: {:.1} MB (simulator included)",
        peak_rss_kb() as f64 / 1e3
    );
    let _ = writeln!(
        text,
        "- sketch search, 128 bits, top 8 of 1,024 random vectors of 128 numbers: {:.2} us, finds {:.1} % of the true top 8",
        sketch.micros,
        sketch.recall * 100.0
    );
    text
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|l| l.strip_prefix("model name"));
    line.and_then(|l| l.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}
