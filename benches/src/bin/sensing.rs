//! How long imaging and tracking take: `cargo run --release -p tapline-benches --bin sensing` prints Markdown.
//!
//! Strength links between nodes on the walls of a room, people who walk in circles in it, noise from a fixed generator: the
//! same numbers in every run, but for the times. A time is one call, as the stage makes it in a cycle.

#![allow(clippy::print_stdout, reason = "a command line program talks to its user")]

use std::time::Instant;

use tapline_benches::{cir_scene::Random, strength_scene::Room};
use tapline_dsp::{
    tomography::{ImageGrid, Imager, ImagerConfig, L1Config, Method, TikhonovConfig},
    tracker::{Cycle, Life, People, TrackerConfig},
};

const CYCLES: usize = 2_000;
const STEP_S: f32 = 0.05;

/// Median and 99th percentile, microseconds.
fn quantiles(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn image(name: &str, method: Method, nodes: u32, cells: usize, goal_us: Option<f64>) {
    let room = Room::new(6.0, nodes);
    let pitch = room.side_m / cells as f32;
    let grid = ImageGrid::new([0.0; 3], [pitch, pitch, 1.0], [cells, cells, 1]).expect("a grid");
    let config = ImagerConfig {
        method,
        ..ImagerConfig::default()
    };
    let mut imager = Imager::new(config, grid, 1_000);
    let mut random = Random(1);
    let (mut mean, mut variance) = (vec![0.0; cells * cells], vec![0.0; cells * cells]);
    let mut times = Vec::new();
    let (mut iterations, mut gap, mut links, mut lit) = (0, 0.0_f32, 0, 0);
    for cycle in 0..CYCLES + 100 {
        let samples = room.samples(&room.people(2, STEP_S * cycle as f32, 60.0), &mut random);
        links = samples.len();
        let begun = Instant::now();
        let summary = imager
            .image(room.nodes.iter().copied(), &samples, &mut mean, &mut variance)
            .expect("an image");
        if cycle >= 100 {
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            iterations += summary.solved.iterations;
            gap = gap.max(summary.solved.relative_gap);
            lit += mean.iter().filter(|v| **v != 0.0).count();
        }
    }
    let (p50, p99) = quantiles(&mut times);
    let (goal, kept) = goal_us.map_or((String::new(), ""), |goal| {
        (format!("{goal}"), if p50 <= goal { "yes" } else { "no" })
    });
    let steps = match method {
        Method::L1(_) => format!("{:.1} | {gap:.1e}", f64::from(iterations) / CYCLES as f64),
        Method::Tikhonov(_) => "closed form |".to_owned(),
    };
    println!(
        "| {name} | {links} | {} | {:.0} | {p50:.1} | {p99:.1} | {steps} | {goal} | {kept} |",
        cells * cells,
        lit as f64 / CYCLES as f64
    );
}

fn track(people: usize, nodes: u32, cells: usize, goal_us: f64) {
    let room = Room::new(10.0, nodes);
    let pitch = room.side_m / cells as f32;
    let grid = ImageGrid::new([0.0; 3], [pitch, pitch, 1.0], [cells, cells, 1]).expect("a grid");
    let mut tracker = People::new(TrackerConfig::default(), &grid);
    let mut random = Random(2);
    let mut times = Vec::new();
    let mut active = 0;
    let mut links = 0;
    for cycle in 0..CYCLES + 1_000 {
        let samples = room.samples(&room.people(people, STEP_S * cycle as f32, f32::INFINITY), &mut random);
        links = samples.len();
        let step = Cycle {
            step_s: STEP_S,
            accept: true,
            nodes: room.nodes.iter().copied(),
            samples: &samples,
        };
        let begun = Instant::now();
        tracker.step(&step).expect("a step");
        if cycle >= 1_000 {
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            active += tracker.tracks().iter().filter(|t| t.life == Life::Active).count();
        }
    }
    let (p50, p99) = quantiles(&mut times);
    println!(
        "| {people} | {:.1} | {links} | {} | {p50:.1} | {p99:.1} | {goal_us} | {} |",
        active as f64 / CYCLES as f64,
        cells * cells,
        if p50 <= goal_us { "yes" } else { "no" }
    );
}

fn main() {
    println!(
        "## Tomography\n\nOne image, two people who go round the room; the links of both directions of each pair of nodes.\n"
    );
    println!(
        "| method | links | voxels | voxels lit, mean | p50, us | p99, us | steps, mean | largest gap | goal, us | kept |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|");
    let tikhonov = Method::Tikhonov(TikhonovConfig::default());
    let sparse = Method::L1(L1Config::default());
    let exact = Method::L1(L1Config {
        tolerance: 1e-6,
        ..L1Config::default()
    });
    let faint = Method::L1(L1Config {
        sparsity: 0.1,
        ..L1Config::default()
    });
    image("Tikhonov", tikhonov, 10, 40, Some(200.0));
    image("sparse, certified to 1e-3", sparse, 10, 40, Some(200.0));
    image("sparse, certified to 1e-6", exact, 10, 40, Some(200.0));
    image("sparse, a tenth of the sparsity", faint, 10, 40, Some(200.0));
    image("Tikhonov", tikhonov, 4, 16, Some(30.0));
    image("sparse, certified to 1e-3", sparse, 4, 16, Some(30.0));
    image("Tikhonov", tikhonov, 28, 40, None);
    image("sparse, certified to 1e-3", sparse, 28, 40, None);
    println!("\n## Tracker\n\n| people | active tracks, mean | links | cells | p50, us | p99, us | goal, us | kept |");
    println!("|---:|---:|---:|---:|---:|---:|---:|---|");
    track(1, 10, 20, 300.0);
    track(8, 10, 20, 300.0);
    track(8, 16, 20, 300.0);
}
