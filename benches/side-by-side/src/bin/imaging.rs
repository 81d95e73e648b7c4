//! The same losses of the same links through this project's imager and through the public crate's.
//!
//! `RUSTFLAGS="-C target-cpu=x86-64-v3" cargo run --release --bin imaging` in this directory; prints Markdown. Two people go
//! round a room of 6 x 6 m. In each cycle the public crate makes an image, then ours; a time is the median over cycles.

use std::time::{Duration, Instant};

use tapline_benches::{cir_scene::Random, strength_scene::Room};
use tapline_dsp::tomography::{ImageGrid, Imager, ImagerConfig, L1Config, Method, Quantity, ReadingConfig, TikhonovConfig};
use wifi_densepose_signal::ruvsense::tomography::{LinkGeometry, Position3D, RfTomographer, TomographyConfig};

const CYCLES: usize = 400;
/// Cycles in which the public crate is also run to its limit.
const JUDGED: usize = 40;
const LIMIT: usize = 100_000;
const SIDE_M: f32 = 6.0;

/// Times, and how far the brightest voxel lies from the nearest person.
#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    errors_m: Vec<f32>,
}

impl Tally {
    fn add(&mut self, time: Duration, image: &[f32], grid: &ImageGrid, people: &[[f32; 2]]) {
        self.times.push(time);
        let best = (0..image.len()).fold(0, |best, v| if image[v] > image[best] { v } else { best });
        let at = grid.centre(grid.coordinates(best));
        let error = people.iter().map(|p| (p[0] - at[0]).hypot(p[1] - at[1])).fold(f32::INFINITY, f32::min);
        self.errors_m.push(error);
    }

    fn row(mut self, name: &str, links: usize, voxels: usize, theirs_us: Option<f64>, note: &str) -> f64 {
        self.times.sort();
        self.errors_m.sort_by(f32::total_cmp);
        let us = self.times[self.times.len() / 2].as_secs_f64() * 1e6;
        let faster = theirs_us.map_or("1".to_owned(), |theirs| format!("{:.0}", theirs / us));
        println!(
            "| {name} | {links} | {voxels} | {us:.1} | {faster} | {:.2} | {note} |",
            self.errors_m[self.errors_m.len() / 2]
        );
        us
    }
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let value = f();
    (begun.elapsed(), value)
}

fn compare(nodes: u32, cells: usize) {
    let room = Room::new(SIDE_M, nodes);
    let pitch = SIDE_M / cells as f32;
    let grid = ImageGrid::new([0.0; 3], [pitch, pitch, 1.0], [cells, cells, 1]).expect("a grid");
    let point = |id: u32| {
        let [x, y, _] = room.nodes[id as usize - 1].at_m.map(f64::from);
        Position3D { x, y, z: 0.5 }
    };
    let mut random = Random(1);
    let links: Vec<_> = room
        .samples(&[], &mut random)
        .iter()
        .enumerate()
        .map(|(link_id, s)| LinkGeometry { tx: point(s.tx), rx: point(s.rx), link_id })
        .collect();
    let config = TomographyConfig {
        nx: cells,
        ny: cells,
        nz: 1,
        bounds: [0.0, 0.0, 0.0, SIDE_M.into(), SIDE_M.into(), 1.0],
        ..TomographyConfig::default()
    };
    let theirs = RfTomographer::new(config.clone(), &links).expect("it accepts the links");
    let limit = RfTomographer::new(TomographyConfig { max_iterations: LIMIT, tolerance: 1e-9, ..config }, &links)
        .expect("it accepts the links");
    let reading = ReadingConfig { quantity: Quantity::Attenuation, ..ReadingConfig::default() };
    let mut ours = [Method::L1(L1Config::default()), Method::Tikhonov(TikhonovConfig::default())]
        .map(|method| Imager::new(ImagerConfig { method, reading, ..ImagerConfig::default() }, grid, links.len()));

    let mut tallies = [Tally::default(), Tally::default(), Tally::default()];
    let (mut iterations, mut off, mut gap) = (0, 0.0_f64, 0.0_f32);
    let (mut mean, mut variance) = (vec![0.0; cells * cells], vec![0.0; cells * cells]);
    for cycle in 0..CYCLES {
        let people = room.people(2, 0.05 * cycle as f32, 20.0);
        let samples = room.samples(&people, &mut random);
        let losses: Vec<f64> = samples.iter().map(|s| s.quiet.map_or(0.0, |q| q.attenuation_db.into())).collect();
        let (time, volume) = timed(|| theirs.reconstruct(&losses).expect("an image"));
        let image: Vec<f32> = volume.densities.iter().map(|d| *d as f32).collect();
        tallies[0].add(time, &image, &grid, &people);
        iterations = iterations.max(volume.iterations);
        if cycle % (CYCLES / JUDGED) == 0 {
            let at_limit = limit.reconstruct(&losses).expect("an image").densities;
            let square = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>();
            let apart = square(&mut volume.densities.iter().zip(&at_limit).map(|(a, b)| a - b));
            off += (apart / square(&mut at_limit.iter().copied())).sqrt() / JUDGED as f64;
        }
        for (imager, tally) in ours.iter_mut().zip(&mut tallies[1..]) {
            let nodes = room.nodes.iter().copied();
            let (time, summary) = timed(|| imager.image(nodes, &samples, &mut mean, &mut variance).expect("an image"));
            tally.add(time, &mean, &grid, &people);
            gap = gap.max(summary.solved.relative_gap);
        }
    }
    let [theirs, sparse, smooth] = tallies;
    let note = format!("{iterations} iterations; its image is off its limit by {:.0} % (root mean square)", 100.0 * off);
    let (links, voxels) = (links.len(), cells * cells);
    let theirs_us = theirs.row("its L1, default settings", links, voxels, None, &note);
    sparse.row("ours, L1", links, voxels, Some(theirs_us), &format!("certified gap at most {gap:.1e}"));
    smooth.row("ours, Tikhonov", links, voxels, Some(theirs_us), "closed form, with its variance");
}

fn main() {
    println!("| method | links | voxels | p50, us | times faster | brightest voxel to the nearest person, median, m | |");
    println!("|---|---:|---:|---:|---:|---:|---|");
    compare(10, 40);
    compare(4, 16);
}
