//! How well the CIR stage knows what it says: Monte Carlo against the Cramér-Rao bound.
//!
//! `cargo run --release -p tapline-benches --bin cir-accuracy -- DIRECTORY` prints Markdown and writes its
//! curves as SVG into the directory. Integers and `detmath` only: the same numbers on every machine.
//!
//! A draw: 2 to 6 paths at delays off the grid within a third of the delay range, at least `apart / B` from each other, the
//! strongest 3 dB or more above the next, random phases, white noise at the given ratio of all paths' power to
//! noise per tone; the noise is known to the stage, which starts from nothing.

#![allow(clippy::print_stdout, reason = "a command line program talks to its user")]

use std::{fmt::Write as _, fs, path::Path};

use num_complex::{Complex32, Complex64};
use tapline_benches::{
    chart::{Chart, Line},
    cir_scene::Random,
};
use tapline_dsp::{
    cir::{BatchSolver, FftOperator, Lane, Lanes8, Method, Settings, ToneGrid, batch::Link},
    detmath::{cos64, pow64, sin64},
    tier::Tier,
};

const DRAWS: usize = 200;
const TIERS: [Tier; 4] = [Tier::Ht20, Tier::Ht40, Tier::He20, Tier::He40];
const SNRS_DB: [f64; 7] = [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];
const APARTS: [f64; 6] = [0.5, 0.75, 1.0, 1.25, 1.5, 2.0];
/// What is asked for: RMSE within this factor of the bound, paths this far apart, above this ratio.
const TARGET: (f64, f64, f64) = (1.5, 2.0, 10.0);

struct Draw {
    /// Delay in taps, gain; the strongest first.
    paths: Vec<(f64, Complex64)>,
    tones: Vec<Complex32>,
    noise_variance: f64,
}

/// `exp(-2 pi i index delay / G)`.
fn tone(index: i16, delay: f64, taps: f64) -> Complex64 {
    let angle = -core::f64::consts::TAU * f64::from(index) * delay / taps;
    Complex64::new(cos64(angle), sin64(angle))
}

fn draw(grid: &ToneGrid, random: &mut Random, apart: f64, snr_db: f64) -> Draw {
    let taps = grid.taps() as f64;
    let resolution = taps / grid.tones() as f64;
    let count = 2 + (random.uniform() * 5.0) as usize;
    let mut paths: Vec<(f64, Complex64)> = Vec::new();
    let mut attempts = 0;
    while paths.len() < count {
        // Paths can come to lie so that the next has no room: then from the start.
        attempts += 1;
        if attempts % 200 == 0 {
            paths.clear();
        }
        let delay = taps / 3.0 * random.uniform();
        if paths
            .iter()
            .any(|(other, _)| (other - delay).abs() < apart * resolution)
        {
            continue;
        }
        let size = if paths.is_empty() {
            1.0
        } else {
            0.2 + 0.507 * random.uniform()
        };
        let angle = core::f64::consts::TAU * random.uniform();
        paths.push((delay, Complex64::new(size * cos64(angle), size * sin64(angle))));
    }
    let power: f64 = paths.iter().map(|(_, a)| a.norm_sqr()).sum();
    let noise_variance = power * pow64(10.0, -snr_db / 10.0);
    let tones = grid
        .indices()
        .iter()
        .map(|&k| {
            let (re, im) = random.gaussian();
            let noise = Complex64::new(re, im) * noise_variance.sqrt();
            let sum: Complex64 = paths.iter().map(|(delay, a)| a * tone(k, *delay, taps)).sum();
            let sum = sum + noise;
            Complex32::new(sum.re as f32, sum.im as f32)
        })
        .collect();
    Draw {
        paths,
        tones,
        noise_variance,
    }
}

/// Variance bound of the first path's delay in taps, all delays and complex gains unknown: the inverse of
/// `2 / sigma^2 Re(D^H D)`, D the derivatives of the tones by delay and by both parts of the gain of each path.
fn bound(grid: &ToneGrid, draw: &Draw) -> f64 {
    let taps = grid.taps() as f64;
    let n = 3 * draw.paths.len();
    let mut matrix = vec![vec![0.0; n + 1]; n];
    for &k in grid.indices() {
        let mut row = Vec::with_capacity(n);
        for (delay, a) in &draw.paths {
            let e = tone(k, *delay, taps);
            let turn = Complex64::new(0.0, -core::f64::consts::TAU * f64::from(k) / taps);
            row.extend([a * turn * e, e, e * Complex64::new(0.0, 1.0)]);
        }
        for i in 0..n {
            for j in 0..n {
                matrix[i][j] += 2.0 / draw.noise_variance * (row[i].conj() * row[j]).re;
            }
        }
    }
    matrix[0][n] = 1.0;
    solve_first(matrix)
}

/// First unknown of a linear system, by elimination with row pivots; the last column is the right-hand side.
fn solve_first(mut m: Vec<Vec<f64>>) -> f64 {
    let n = m.len();
    for column in (0..n).rev() {
        let pivot = (0..=column).max_by(|a, b| m[*a][column].abs().total_cmp(&m[*b][column].abs()));
        m.swap(column, pivot.unwrap_or(column));
        let (above, rest) = m.split_at_mut(column);
        let pivot = &rest[0];
        for row in above {
            let factor = row[column] / pivot[column];
            for (value, of_pivot) in row.iter_mut().zip(pivot) {
                *value -= factor * of_pivot;
            }
        }
    }
    m[0][n] / m[0][0]
}

#[derive(Clone, Copy, Default)]
struct Point {
    rmse_ns: f64,
    bound_ns: f64,
    /// Root mean square of error over the sigma that the stage gave.
    calibration: f64,
    /// Share of the paths with an active tap within half a resolution.
    found: f64,
    /// Active taps farther than one resolution from every path, a draw.
    false_taps: f64,
    /// Draws in which no tap rose above lambda: they have no delay and count in no error.
    silent: usize,
    /// Draws that did not converge.
    missed: usize,
}

fn point(tier: Tier, apart: f64, snr_db: f64) -> Point {
    let grid = ToneGrid::of_tier(tier);
    let settings = Settings {
        method: Method::WorkingSet,
        warm_start: false,
        ..Settings::default()
    };
    let mut solver = BatchSolver::<Lanes8, _>::new(FftOperator::new(grid.clone()), settings);
    let mut random = Random(1 + tier as u64);
    let (n, resolution) = (grid.taps(), grid.taps() as f64 / grid.tones() as f64);
    let zeros = vec![Complex32::default(); n];
    let (mut taps, mut warm, mask) = (zeros.clone(), zeros.clone(), vec![1; grid.tones()]);
    let (mut error, mut variance, mut scaled) = (0.0, 0.0, 0.0);
    let (mut found, mut paths, mut wrong, mut missed, mut silent) = (0, 0, 0, 0, 0);
    let draws: Vec<_> = (0..DRAWS).map(|_| draw(&grid, &mut random, apart, snr_db)).collect();
    for batch in draws.chunks(Lanes8::LANES) {
        solver.clear();
        for (lane, draw) in batch.iter().enumerate() {
            let noise_variance = Some(draw.noise_variance as f32);
            let link = Link {
                tones: &draw.tones,
                mask: &mask,
                noise_variance,
                warm: &zeros,
            };
            solver.load(lane, &link).expect("a draw has signal");
        }
        solver.solve();
        for (lane, draw) in batch.iter().enumerate() {
            paths += draw.paths.len();
            let Ok(answer) = solver.read(lane, &mut taps, &mut warm) else {
                silent += 1;
                continue;
            };
            missed += usize::from(!answer.converged);
            let off = f64::from(answer.dominant_delay_s) / grid.tap_delay_s() - draw.paths[0].0;
            let off = off - n as f64 * (off / n as f64).round();
            error += off * off;
            variance += bound(&grid, draw);
            let sigma = f64::from(answer.dominant_delay_sigma_s.unwrap_or(0.0)) / grid.tap_delay_s();
            scaled += off * off / (sigma * sigma);
            let active: Vec<f64> = (0..n).filter(|g| taps[*g].norm_sqr() > 0.0).map(|g| g as f64).collect();
            let away = |a: f64, b: f64| (a - b).abs().min(n as f64 - (a - b).abs());
            found += draw
                .paths
                .iter()
                .filter(|(d, _)| active.iter().any(|g| away(*g, *d) <= resolution / 2.0))
                .count();
            wrong += active
                .iter()
                .filter(|g| draw.paths.iter().all(|(d, _)| away(**g, *d) > resolution))
                .count();
        }
    }
    let (ns, answered) = (grid.tap_delay_s() * 1e9, (DRAWS - silent) as f64);
    Point {
        rmse_ns: (error / answered).sqrt() * ns,
        bound_ns: (variance / answered).sqrt() * ns,
        calibration: (scaled / answered).sqrt(),
        found: found as f64 / paths as f64,
        false_taps: wrong as f64 / DRAWS as f64,
        silent,
        missed,
    }
}

fn table(title: &str, axis: &str, rows: &[(f64, Vec<Point>)]) -> String {
    let mut text = format!(
        "\n### {title}\n\n| tier | {axis} | RMSE (ns) | bound (ns) | RMSE / bound | error / sigma | found | false taps | no answer |\n\
         |---|{}\n",
        "---:|".repeat(8)
    );
    for (i, tier) in TIERS.iter().enumerate() {
        for (x, points) in rows {
            let p = points[i];
            let _ = writeln!(
                text,
                "| {} | {x} | {:.3} | {:.3} | {:.2} | {:.2} | {:.1} % | {:.2} | {} |",
                tier.name(),
                p.rmse_ns,
                p.bound_ns,
                p.rmse_ns / p.bound_ns,
                p.calibration,
                100.0 * p.found,
                p.false_taps,
                p.silent
            );
        }
    }
    text
}

fn lines(rows: &[(f64, Vec<Point>)], y: impl Fn(&Point) -> f64, dashed: bool, suffix: &str) -> Vec<Line> {
    let line = |(i, tier): (usize, &Tier)| Line {
        name: format!("{}{suffix}", tier.name()),
        colour: i,
        dashed,
        points: rows.iter().map(|(x, points)| (*x, y(&points[i]))).collect(),
    };
    TIERS.iter().enumerate().map(line).collect()
}

fn main() {
    let directory = std::env::args()
        .nth(1)
        .expect("the directory for the curves is the one argument");
    let save = |name: &str, chart: Chart| {
        fs::write(Path::new(&directory).join(name), chart.svg()).expect("the directory can be written to");
    };
    let row = |x, apart, snr_db| {
        (
            x,
            TIERS.iter().map(|tier| point(*tier, apart, snr_db)).collect::<Vec<_>>(),
        )
    };
    let by_snr: Vec<_> = SNRS_DB.iter().map(|snr| row(*snr, TARGET.1, *snr)).collect();
    let by_apart: Vec<_> = APARTS.iter().map(|apart| row(*apart, *apart, 20.0)).collect();
    println!("{DRAWS} draws a point, 2 to 6 paths, strongest at least 3 dB above the next, delays off the grid.");
    println!("{}", table("Paths at least 2/B apart", "SNR (dB)", &by_snr));
    println!("{}", table("20 dB, by least distance", "1/B", &by_apart));
    let missed: usize = by_snr
        .iter()
        .chain(&by_apart)
        .flat_map(|(_, points)| points)
        .map(|p| p.missed)
        .sum();
    println!("\nDraws that did not reach the gap of 1e-3: {missed}.");
    let worst = by_snr
        .iter()
        .filter(|(snr, _)| *snr > TARGET.2)
        .flat_map(|(_, points)| points);
    let worst = worst.map(|p| p.rmse_ns / p.bound_ns).fold(0.0, f64::max);
    println!(
        "Largest RMSE over bound above {} dB, 2/B apart: {worst:.2} (asked for: {}).",
        TARGET.2, TARGET.0
    );

    let mut delay = lines(&by_snr, |p| p.rmse_ns, false, "");
    delay.extend(lines(&by_snr, |p| p.bound_ns, true, " bound"));
    save(
        "cir-delay.svg",
        Chart {
            title: "Dominant delay, paths 2/B apart",
            x: "SNR, dB",
            y: "RMSE, ns",
            log: true,
            lines: delay,
        },
    );
    let ratio = lines(&by_apart, |p| p.rmse_ns / p.bound_ns, false, "");
    save(
        "cir-distance.svg",
        Chart {
            title: "Dominant delay at 20 dB",
            x: "least distance of paths, 1/B",
            y: "RMSE over bound",
            log: true,
            lines: ratio,
        },
    );
    let mut support = lines(&by_snr, |p| p.found, false, " found");
    support.extend(lines(&by_snr, |p| p.false_taps, true, " false taps"));
    save(
        "cir-support.svg",
        Chart {
            title: "Paths found and false taps, 2/B apart",
            x: "SNR, dB",
            y: "share found; taps a draw",
            log: false,
            lines: support,
        },
    );
}
