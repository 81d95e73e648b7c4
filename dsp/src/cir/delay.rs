//! The delay of the strongest path, between the taps, and how well it is known.
//!
//! The taps say roughly where the paths are; neighbours that explain one off-grid path are gathered into
//! one. Then paths are fitted to the tones one after the other, the others taken out of the residual
//! (cyclic maximum likelihood, RELAX: Li and Stoica 1996): each by Newton steps on the likelihood
//! `|sum_k conj(e_k(t)) R_k|^2`, `e_k(t) = exp(-2 pi i k t / G)`, amplitude following from it.
//!
//! Delays are in taps, circular with period G. Sums over tones run in eight strided lanes, gathered in
//! lane order. No allocation after construction; about `60 K` flops a path and cycle.

use num_complex::{Complex, Complex32};

use super::{
    grid::ToneGrid,
    lane::{Lane, Lanes8},
};
use crate::detmath;

/// Most paths that are fitted.
pub const PATHS_MAX: usize = 8;
/// Rounds over all paths: with all of them, and at most after those that are noise were taken out.
const ROUNDS: (usize, usize) = (2, 6);
/// A round that moves the strongest path by less than this share of its sigma is the last.
const SETTLED: f32 = 0.1;
/// Taps of one cluster lie at most this far apart.
const CLUSTER_GAP: usize = 2;

/// A path: delay in taps, complex gain in the tones' unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Path {
    /// Delay, taps.
    pub delay: f32,
    /// Complex gain: its share of the tone at the carrier.
    pub gain: Complex32,
}

/// Eight tones of consecutive index.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Index of the first tone.
    first: f32,
    /// True where the block before does not end just below it.
    jump: bool,
}

/// Fits paths to the tones of one grid.
pub struct PathFitter {
    blocks: Vec<Block>,
    /// Slot of each tone among the blocks' lanes.
    slots: Vec<usize>,
    taps: f32,
    measured: Vec<Lanes8>,
    residual: Vec<Complex<Lanes8>>,
    paths: [Path; PATHS_MAX],
    count: usize,
}

/// `sum_k k^n conj(e_k) R_k` for n = 0, 1, 2.
struct Moments([Complex32; 3]);

impl PathFitter {
    /// Buffers for a grid: 12 bytes a tone and padding.
    pub fn new(grid: &ToneGrid) -> Self {
        let mut blocks = Vec::new();
        let mut slots = Vec::with_capacity(grid.tones());
        let mut before = None;
        let mut lane = 0;
        for &index in grid.indices() {
            let jump = before.is_none_or(|b: i16| b + 1 != index);
            if jump || lane == Lanes8::LANES {
                blocks.push(Block {
                    first: f32::from(index),
                    jump,
                });
                lane = 0;
            }
            slots.push((blocks.len() - 1) * Lanes8::LANES + lane);
            lane += 1;
            before = Some(index);
        }
        Self {
            measured: vec![Lanes8::default(); blocks.len()],
            residual: vec![Complex::new(Lanes8::default(), Lanes8::default()); blocks.len()],
            blocks,
            slots,
            taps: grid.taps() as f32,
            paths: [Path::default(); PATHS_MAX],
            count: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.blocks.as_slice())
            + size_of_val(self.slots.as_slice())
            + size_of_val(self.measured.as_slice())
            + size_of_val(self.residual.as_slice())
    }

    /// The paths of the last fit, strongest tap cluster first.
    pub fn paths(&self) -> &[Path] {
        &self.paths[..self.count]
    }

    /// Fits paths to `tones` (zero where `mask` is 0), starting from `scale` times `taps`
    /// in the unit of [`Path::gain`]. Returns the index of the strongest path and the noise variance that the residual
    /// shows; `None` when there is no tap or fewer tones than the paths have parameters.
    pub fn fit(&mut self, tones: &[Complex32], mask: &[u8], taps: &[Complex32], scale: f32) -> Option<(usize, f32)> {
        self.load(tones, mask);
        self.gather(taps, scale);
        let measured = mask.iter().filter(|m| **m != 0).count() as f32;
        let freedom = measured - 1.5 * self.count as f32;
        if self.count == 0 || freedom < 1.0 {
            return None;
        }
        for path in 0..self.count {
            self.subtract(self.paths[path]);
        }
        for _ in 0..ROUNDS.0 {
            self.round(measured);
        }
        self.prune(measured);
        let freedom = measured - 1.5 * self.count as f32;
        for _ in 0..ROUNDS.1 {
            let before = self.paths[self.strongest()].delay;
            self.round(measured);
            let path = self.paths[self.strongest()];
            if (path.delay - before).abs() <= SETTLED * self.delay_sigma(path, self.power() / freedom) {
                break;
            }
        }
        Some((self.strongest(), self.power() / freedom))
    }

    fn round(&mut self, measured: f32) {
        for path in 0..self.count {
            self.improve(path, measured);
        }
    }

    /// Takes out the paths that are no stronger than what noise alone puts into the strongest of G taps. They
    /// come from taps beside a true path, and each one left makes the delays of the others less certain.
    fn prune(&mut self, measured: f32) {
        let noise = self.power() / (measured - 1.5 * self.count as f32);
        let bound = noise * 2.0 * detmath::ln(self.taps) / measured;
        let strongest = self.strongest();
        for index in (0..self.count).rev() {
            let path = self.paths[index];
            if index != strongest && path.gain.norm_sqr() < bound {
                self.subtract(Path {
                    gain: -path.gain,
                    ..path
                });
                self.paths.copy_within(index + 1..self.count, index);
                self.count -= 1;
            }
        }
    }

    fn strongest(&self) -> usize {
        let mut strongest = 0;
        for path in 1..self.count {
            if self.paths[path].gain.norm_sqr() > self.paths[strongest].gain.norm_sqr() {
                strongest = path;
            }
        }
        strongest
    }

    /// Energy of the residual.
    fn power(&self) -> f32 {
        let mut power = Lanes8::default();
        for r in &self.residual {
            power += r.re * r.re + r.im * r.im;
        }
        lane_sum(power)
    }

    /// Standard deviation of a path's delay in taps: the Cramér-Rao bound of one path of unknown complex
    /// gain in complex noise of this variance.
    pub fn delay_sigma(&self, path: Path, noise_variance: f32) -> f32 {
        let (mut count, mut first, mut second) = (0.0, 0.0, 0.0);
        for (block, measured) in self.blocks.iter().zip(&self.measured) {
            for lane in 0..Lanes8::LANES {
                let (weight, index) = (measured.get(lane), block.first + lane as f32);
                count += weight;
                first += weight * index;
                second += weight * index * index;
            }
        }
        if count < 2.0 {
            return 0.0;
        }
        let spread = (second - first * first / count) * square(core::f32::consts::TAU / self.taps);
        let information = 2.0 * path.gain.norm_sqr() * spread;
        if information > 0.0 {
            (noise_variance / information).sqrt()
        } else {
            0.0
        }
    }

    fn load(&mut self, tones: &[Complex32], mask: &[u8]) {
        self.measured.fill(Lanes8::default());
        self.residual.fill(Complex::new(Lanes8::default(), Lanes8::default()));
        for ((slot, tone), mask) in self.slots.iter().zip(tones).zip(mask) {
            let (block, lane) = (slot / Lanes8::LANES, slot % Lanes8::LANES);
            if *mask != 0 {
                self.measured[block].set(lane, 1.0);
                self.residual[block].re.set(lane, tone.re);
                self.residual[block].im.set(lane, tone.im);
            }
        }
    }

    /// Gathers taps into clusters and keeps the strongest, ties by delay.
    fn gather(&mut self, taps: &[Complex32], scale: f32) {
        self.count = 0;
        let active = |tap: usize| taps[tap].re != 0.0 || taps[tap].im != 0.0;
        let n = taps.len();
        // Start behind an empty stretch, so that no cluster is cut where the delays wrap.
        let start = (0..n)
            .find(|&s| (0..CLUSTER_GAP).all(|back| !active((s + n - 1 - back) % n)))
            .unwrap_or(0);
        let mut offset = 0;
        while offset < n {
            if !active((start + offset) % n) {
                offset += 1;
                continue;
            }
            let (first, mut last) = (offset, offset);
            let (mut weight, mut moment, mut gain) = (0.0, 0.0, Complex32::new(0.0, 0.0));
            while offset < n && offset - last <= CLUSTER_GAP {
                let tap = taps[(start + offset) % n] * scale;
                let magnitude = detmath::hypot(tap.re, tap.im);
                if magnitude > 0.0 {
                    weight += magnitude;
                    moment += magnitude * (offset - first) as f32;
                    gain += tap;
                    last = offset;
                }
                offset += 1;
            }
            let delay = wrap((start + first) as f32 + moment / weight, self.taps);
            self.keep(Path { delay, gain });
        }
    }

    fn keep(&mut self, path: Path) {
        let power = path.gain.norm_sqr();
        let place = self
            .paths()
            .iter()
            .position(|p| p.gain.norm_sqr() < power)
            .unwrap_or(self.count);
        if place < PATHS_MAX {
            let end = (self.count + 1).min(PATHS_MAX);
            self.paths.copy_within(place..end - 1, place + 1);
            self.paths[place] = path;
            self.count = end;
        }
    }

    fn improve(&mut self, index: usize, measured: f32) {
        let mut path = self.paths[index];
        self.subtract(Path {
            gain: -path.gain,
            ..path
        });
        for _ in 0..2 {
            let step = self.moments(path.delay).newton_step(self.taps);
            path.delay = wrap(path.delay + step, self.taps);
        }
        let Moments([correlation, ..]) = self.moments(path.delay);
        path.gain = Complex32::new(correlation.re / measured, correlation.im / measured);
        self.subtract(path);
        self.paths[index] = path;
    }

    fn subtract(&mut self, path: Path) {
        let gain = Complex::new(Lanes8::splat(path.gain.re), Lanes8::splat(path.gain.im));
        let mut phasor = Phasor::new(path.delay, self.taps);
        for ((block, measured), residual) in self.blocks.iter().zip(&self.measured).zip(&mut self.residual) {
            let e = phasor.next(block);
            let share = gain * e;
            *residual = Complex::new(residual.re - *measured * share.re, residual.im - *measured * share.im);
        }
    }

    fn moments(&self, delay: f32) -> Moments {
        let mut phasor = Phasor::new(delay, self.taps);
        let mut sums = [Complex::new(Lanes8::default(), Lanes8::default()); 3];
        let ramp = ramp();
        for (block, residual) in self.blocks.iter().zip(&self.residual) {
            let e = phasor.next(block);
            let index = Lanes8::splat(block.first) + ramp;
            let mut term = Complex::new(
                e.re * residual.re + e.im * residual.im,
                e.re * residual.im - e.im * residual.re,
            );
            for sum in &mut sums {
                *sum += term;
                term = Complex::new(term.re * index, term.im * index);
            }
        }
        Moments(sums.map(|s| Complex32::new(lane_sum(s.re), lane_sum(s.im))))
    }
}

impl Moments {
    /// Newton step on `|c(t)|^2`, at most half a tap; uphill by a quarter where the curve is not concave.
    fn newton_step(&self, taps: f32) -> f32 {
        let Moments([c, m1, m2]) = self;
        let turn = core::f32::consts::TAU / taps;
        // c' = i turn m1, c'' = -turn^2 m2.
        let slope = turn * (c.im * m1.re - c.re * m1.im);
        let bend = square(turn) * (m1.norm_sqr() - (c.re * m2.re + c.im * m2.im));
        if bend < 0.0 {
            detmath::clamp(-slope / bend, -0.5, 0.5)
        } else if slope > 0.0 {
            0.25
        } else if slope < 0.0 {
            -0.25
        } else {
            0.0
        }
    }
}

/// `exp(-2 pi i k t / G)` for the tones of one block after the other.
struct Phasor {
    turns_per_tone: f64,
    /// `exp(-2 pi i j t / G)` for the eight lanes j.
    lanes: Complex<Lanes8>,
    /// The same for a step of eight tones.
    step: Complex<Lanes8>,
    now: Complex<Lanes8>,
}

impl Phasor {
    fn new(delay: f32, taps: f32) -> Self {
        let turns_per_tone = -f64::from(delay) / f64::from(taps);
        let mut lanes = Complex::new(Lanes8::splat(1.0), Lanes8::default());
        let one = unit(turns_per_tone);
        let mut power = one;
        for lane in 1..Lanes8::LANES {
            lanes.re.set(lane, power.re);
            lanes.im.set(lane, power.im);
            power *= one;
        }
        let step = unit(8.0 * turns_per_tone);
        Self {
            turns_per_tone,
            lanes,
            step: Complex::new(Lanes8::splat(step.re), Lanes8::splat(step.im)),
            now: lanes,
        }
    }

    #[inline(always)]
    fn next(&mut self, block: &Block) -> Complex<Lanes8> {
        if block.jump {
            let start = unit(f64::from(block.first) * self.turns_per_tone);
            self.now = self.lanes * Complex::new(Lanes8::splat(start.re), Lanes8::splat(start.im));
        } else {
            self.now *= self.step;
        }
        self.now
    }
}

/// `exp(2 pi i turns)`, whole turns taken off exactly.
fn unit(turns: f64) -> Complex32 {
    let angle = ((turns - (turns as i64) as f64) * core::f64::consts::TAU) as f32;
    Complex32::new(detmath::cos(angle), detmath::sin(angle))
}

fn ramp() -> Lanes8 {
    let mut ramp = Lanes8::default();
    for lane in 0..Lanes8::LANES {
        ramp.set(lane, lane as f32);
    }
    ramp
}

fn lane_sum(lanes: Lanes8) -> f32 {
    (0..Lanes8::LANES).fold(0.0, |sum, lane| sum + lanes.get(lane))
}

fn square(x: f32) -> f32 {
    x * x
}

/// `delay` brought into `0..taps`.
fn wrap(delay: f32, taps: f32) -> f32 {
    let delay = if delay < 0.0 { delay + taps } else { delay };
    if delay >= taps { delay - taps } else { delay }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::Tier;

    fn channel(grid: &ToneGrid, paths: &[Path]) -> Vec<Complex32> {
        grid.indices()
            .iter()
            .map(|&k| {
                paths
                    .iter()
                    .map(|p| p.gain * unit(-f64::from(k) * f64::from(p.delay) / grid.taps() as f64))
                    .sum()
            })
            .collect()
    }

    #[test]
    fn an_off_grid_path_is_found_between_its_taps() {
        for tier in Tier::ALL {
            let grid = ToneGrid::of_tier(tier);
            for delay in [0.0, 0.3, 10.5, grid.taps() as f32 - 0.4] {
                let path = Path {
                    delay,
                    gain: Complex32::new(0.6, -0.8),
                };
                let tones = channel(&grid, &[path]);
                let mut taps = vec![Complex32::new(0.0, 0.0); grid.taps()];
                taps[delay.round() as usize % grid.taps()] = Complex32::new(0.5, -0.5);
                let mut fitter = PathFitter::new(&grid);
                let (best, noise) = fitter.fit(&tones, &vec![1; tones.len()], &taps, 1.0).unwrap();
                let found = fitter.paths()[best];
                let off = (found.delay - delay).abs();
                let off = off.min((off - grid.taps() as f32).abs());
                assert!(off < 1e-3, "{}: {delay} found at {}", tier.name(), found.delay);
                assert!((found.gain - path.gain).norm() < 1e-3 && noise < 1e-6);
            }
        }
    }

    #[test]
    fn two_paths_do_not_pull_each_other() {
        let grid = ToneGrid::of_tier(Tier::Ht40);
        let path = |delay, re| Path {
            delay,
            gain: Complex32::new(re, 0.3),
        };
        let truth = [path(20.37, 1.0), path(30.81, -0.6)];
        let mut taps = vec![Complex32::new(0.0, 0.0); grid.taps()];
        taps[20] = truth[0].gain * 0.9;
        taps[31] = truth[1].gain * 0.9;
        let mut fitter = PathFitter::new(&grid);
        let tones = channel(&grid, &truth);
        let (best, _) = fitter.fit(&tones, &vec![1; tones.len()], &taps, 1.0).unwrap();
        assert!(
            (fitter.paths()[best].delay - 20.37).abs() < 5e-3,
            "{:?}",
            fitter.paths()
        );
    }

    #[test]
    fn clusters_do_not_break_at_the_wrap_and_keep_the_strongest() {
        let grid = ToneGrid::of_tier(Tier::Ht20);
        let mut taps = vec![Complex32::new(0.0, 0.0); grid.taps()];
        taps[0] = Complex32::new(1.0, 0.0);
        taps[155] = Complex32::new(1.0, 0.0);
        for weak in 0..12 {
            taps[20 + 6 * weak] = Complex32::new(0.01 * (weak + 1) as f32, 0.0);
        }
        let mut fitter = PathFitter::new(&grid);
        fitter.gather(&taps, 1.0);
        assert_eq!(fitter.count, PATHS_MAX);
        assert_eq!(fitter.paths[0].delay, 155.5);
        assert!(fitter.paths().windows(2).all(|p| p[0].gain.norm() >= p[1].gain.norm()));
        assert_eq!(fitter.paths[7].delay, 20.0 + 6.0 * 5.0);
    }
}
