//! The two-node scene against the recording of two real ESP32-S3 nodes: what a receiver adds to the channel (level,
//! noise, phase, timing) should have the same size; the channel itself, another room, need not.

use std::io::BufRead;

use num_complex::Complex64;
use tapline_sim::{Scene, Simulator};
use tapline_wire::{Datagram, parse};

const PERCENTILES: [f64; 3] = [0.05, 0.5, 0.95];

/// One LLTF: arrival and 52 tones, ascending.
type Frame = (f64, Vec<Complex64>);

/// LLTF tones of a frame body: 64 pairs (imaginary, real), bins 0..31, -32..-1.
fn lltf(pairs: &[u8]) -> Vec<Complex64> {
    let tone = |index: i32| {
        let bin = 2 * ((index + 64) % 64) as usize;
        let part = |b: u8| f64::from(b.cast_signed());
        Complex64::new(part(pairs[bin + 1]), part(pairs[bin]))
    };
    (-26..=26).filter(|i| *i != 0).map(tone).collect()
}

fn recorded(node: u64) -> Option<Vec<Frame>> {
    let Some(dir) = std::env::var_os("TAPLINE_DATA") else {
        #[allow(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("SKIPPED: TAPLINE_DATA is not set");
        }
        return None;
    };
    let path = std::path::Path::new(&dir).join("esp32-two-node/pretrain-1775182186.csi.jsonl");
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut frames = Vec::new();
    for line in std::io::BufReader::new(file).lines() {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(&line.unwrap()) else {
            continue;
        };
        if line["type"] != "raw_csi" || line["node_id"] != node {
            continue;
        }
        let hex = line["iq_hex"].as_str().unwrap();
        let bytes: Vec<u8> = (0..128)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        frames.push((line["timestamp"].as_f64().unwrap(), lltf(&bytes)));
    }
    Some(frames)
}

fn simulated(node: u16) -> Vec<Frame> {
    let mut simulator = Simulator::new(Scene::builtin("two-nodes-adr018").unwrap(), 3).unwrap();
    let (mut datagram, mut frames) = (Vec::new(), Vec::new());
    while let Some(emission) = simulator.next_datagram(&mut datagram) {
        let Ok(Datagram::Csi(frame)) = parse(&datagram) else {
            panic!("not CSI")
        };
        if emission.node == node {
            frames.push((emission.time_ns as f64 * 1e-9, lltf(frame.samples)));
        }
    }
    frames
}

/// The recording has frames of several transmitters and does not say whose; the largest family of like channels
/// (coherence above 0.9 with one of its frames) is one transmitter. The simulation goes through the same choice.
fn one_transmitter(frames: Vec<Frame>) -> Vec<Frame> {
    let coherence = |a: &[Complex64], b: &[Complex64]| {
        let cross: Complex64 = a.iter().zip(b).map(|(a, b)| a * b.conj()).sum();
        (cross.norm_sqr() / (power(a) * power(b))).sqrt()
    };
    let family = |of: &Frame| frames.iter().filter(|f| coherence(&f.1, &of.1) > 0.9).count();
    let middle = frames.iter().step_by(40).max_by_key(|f| family(f)).unwrap().clone();
    frames
        .into_iter()
        .filter(|f| coherence(&f.1, &middle.1) > 0.9)
        .collect()
}

fn power(tones: &[Complex64]) -> f64 {
    tones.iter().map(Complex64::norm_sqr).sum()
}

/// What a receiver adds to a channel.
#[derive(Debug)]
struct Statistics {
    /// Root mean square amplitude of a frame: mean, and standard deviation in dB.
    level: f64,
    level_sd_db: f64,
    /// Tone-to-tone noise (what is left of a tone without the mean of its neighbours) against the frame, dB, median.
    roughness_db: f64,
    /// Delay that a frame's mean phase slope tells: standard deviation, ns.
    timing_sd_ns: f64,
    /// Phase difference of consecutive frames without its mean and slope, of one frame: 5th percentile, degrees.
    phase_residual_deg: f64,
    /// |mean of exp(j common phase difference)|: 0 when the phase is random from frame to frame.
    phase_resultant: f64,
    /// Amplitude of a tone against its frame's: 5th, 50th and 95th percentile.
    amplitude: [f64; 3],
}

fn percentile(values: &mut [f64], p: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * p) as usize]
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()
}

fn angle(z: Complex64) -> f64 {
    libm::atan2(z.im, z.re)
}

/// Sum of products of neighbouring tones on both sides of the carrier: its angle is the phase slope.
fn slope(tones: &[Complex64]) -> f64 {
    let half = |t: &[Complex64]| t.windows(2).map(|w| w[1] * w[0].conj()).sum::<Complex64>();
    angle(half(&tones[..26]) + half(&tones[26..]))
}

fn statistics(frames: &[Frame]) -> Statistics {
    let per_ns = -1e9 / (core::f64::consts::TAU * 312_500.0);
    let rms: Vec<f64> = frames.iter().map(|(_, t)| (power(t) / 52.0).sqrt()).collect();
    let levels_db: Vec<f64> = rms.iter().map(|r| 20.0 * libm::log10(*r)).collect();
    let mut roughness: Vec<f64> = frames
        .iter()
        .map(|(_, t)| {
            let rest: f64 = [&t[..26], &t[26..]]
                .iter()
                .flat_map(|h| h.windows(3))
                .map(|w| (w[1] - (w[0] + w[2]) * 0.5).norm_sqr())
                .sum();
            10.0 * libm::log10(rest / 48.0 / 1.5 / (power(t) / 52.0))
        })
        .collect();
    let delays: Vec<f64> = frames.iter().map(|(_, t)| slope(t) * per_ns).collect();
    let (mut residual, mut sum, mut n) = (Vec::new(), Complex64::default(), 0.0);
    for pair in frames.windows(2).filter(|p| p[1].0 - p[0].0 < 0.07) {
        let mut turned: Vec<Complex64> = pair[1].1.iter().zip(&pair[0].1).map(|(b, a)| b * a.conj()).collect();
        let step = slope(&turned);
        for (slot, value) in turned.iter_mut().enumerate() {
            let index = if slot < 26 {
                slot as f64 - 26.0
            } else {
                slot as f64 - 25.0
            };
            *value *= Complex64::new(libm::cos(step * index), -libm::sin(step * index));
        }
        let common = turned.iter().sum::<Complex64>();
        sum += common / common.norm_sqr().sqrt();
        n += 1.0;
        let (mut square, mut weight) = (0.0, 0.0);
        for value in &turned {
            let (size, error) = (value.norm_sqr().sqrt(), angle(value * common.conj()));
            square += size * error * error;
            weight += size;
        }
        residual.push((square / weight / 2.0).sqrt() * 180.0 / core::f64::consts::PI);
    }
    let mut relative: Vec<f64> = frames
        .iter()
        .zip(&rms)
        .flat_map(|((_, t), rms)| t.iter().map(move |v| v.norm_sqr().sqrt() / rms))
        .collect();
    Statistics {
        level: rms.iter().sum::<f64>() / rms.len() as f64,
        level_sd_db: deviation(&levels_db),
        roughness_db: percentile(&mut roughness, 0.5),
        timing_sd_ns: deviation(&delays),
        phase_residual_deg: percentile(&mut residual, 0.05),
        phase_resultant: sum.norm_sqr().sqrt() / n,
        amplitude: PERCENTILES.map(|p| percentile(&mut relative, p)),
    }
}

/// Time between frames, whoever sent them, ms.
fn intervals_ms(frames: &[Frame]) -> [f64; 3] {
    let mut intervals: Vec<f64> = frames.windows(2).map(|p| (p[1].0 - p[0].0) * 1e3).collect();
    PERCENTILES.map(|p| percentile(&mut intervals, p))
}

#[test]
fn a_simulated_receiver_is_like_a_real_one() {
    let near = |what: &str, a: f64, b: f64, tolerance: f64| {
        assert!((a - b).abs() <= tolerance, "{what}: recorded {a}, simulated {b}");
    };
    // As a ratio, either way: what a receiver without that fault has is far outside.
    let like = |what: &str, a: f64, b: f64, ratio: f64| {
        assert!(
            b <= a * ratio && b >= a / ratio,
            "{what}: recorded {a}, simulated {b}, expected within a factor of {ratio}"
        );
    };
    for node in [1_u16, 2] {
        let Some(frames) = recorded(u64::from(node)) else {
            return;
        };
        let simulated = simulated(node);
        let timing = (intervals_ms(&frames), intervals_ms(&simulated));
        let (real, sim) = (
            statistics(&one_transmitter(frames)),
            statistics(&one_transmitter(simulated)),
        );
        #[allow(clippy::print_stderr, reason = "the numbers of docs/simulator.md")]
        {
            eprintln!(
                "node {node}\n recorded  {:.1?} ms {real:.3?}\n simulated {:.1?} ms {sim:.3?}",
                timing.0, timing.1
            );
        }
        near("level", real.level, sim.level, 0.4);
        near("level sd, dB", real.level_sd_db, sim.level_sd_db, 0.15);
        near("roughness, dB", real.roughness_db, sim.roughness_db, 2.0);
        near("timing sd, ns", real.timing_sd_ns, sim.timing_sd_ns, 0.8);
        near(
            "phase residual, degrees",
            real.phase_residual_deg,
            sim.phase_residual_deg,
            0.8,
        );
        like("level sd", real.level_sd_db, sim.level_sd_db, 1.25);
        like("timing sd", real.timing_sd_ns, sim.timing_sd_ns, 1.15);
        like("phase residual", real.phase_residual_deg, sim.phase_residual_deg, 1.15);
        near("phase resultant", real.phase_resultant, sim.phase_resultant, 0.08);
        for i in 0..3 {
            near("amplitude percentile", real.amplitude[i], sim.amplitude[i], 0.2);
        }
        // How the tones of a frame differ is the room's doing, and this is another room: with node 2 alike, with node 1
        // half of the recorded. A flat channel has the tone-to-tone noise alone, below a third of either.
        let spread = |s: &Statistics| s.amplitude[2] - s.amplitude[0];
        like(
            "amplitude spread",
            spread(&real),
            spread(&sim),
            if node == 1 { 2.2 } else { 1.2 },
        );
        near("median interval, ms", timing.0[1], timing.1[1], 2.0);
        near("95th percentile of intervals, ms", timing.0[2], timing.1[2], 6.0);
    }
}
