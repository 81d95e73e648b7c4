//! Spectra of all pairs of nodes.

use num_complex::Complex32;

use super::{FILTERS, POWERS, RATE_BINS, RATE_STEP_M_S, Reference, Sample, Series, WINDOW_S, rate_m_s};
use crate::{
    detmath,
    front::{PathKind, PathSpec},
    motion::ns_to_seconds,
};

const LIGHT_M_S: f32 = 299_792_458.0;
/// Samples a window needs.
const SAMPLES_MIN: usize = 10;
/// Time they must span, seconds.
const SPAN_MIN_S: f32 = 0.5 * WINDOW_S;

/// What a pair says in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairSpectrum {
    /// The node with the smaller id.
    pub a: u16,
    /// The other.
    pub b: u16,
    /// Frames in the window, both directions.
    pub samples: u32,
    /// Mean of the powers, in units of the empty room's noise: about 1 when nobody moves.
    pub energy: f32,
}

/// Both directions of one pair on one channel and antenna pair: reciprocal, so they are one series, sampled twice as often.
#[derive(Clone, Copy, Debug)]
struct Way {
    pair: usize,
    paths: [Option<usize>; 2],
    wavelength_m: f32,
}

/// All pairs of a site that CSI paths join.
#[derive(Clone, Debug)]
pub struct Pairs {
    ways: Vec<Way>,
    ends: Vec<(u16, u16)>,
    /// By pair of `ends`: path rates up to this are told apart, m/s; 0 before its first spectrum.
    limits_m_s: Vec<f32>,
    window: Vec<(Sample<FILTERS>, f32)>,
    seen: Vec<PairSpectrum>,
    spectra: Vec<f32>,
    sums: [[[f32; RATE_BINS]; 2]; FILTERS],
}

impl Pairs {
    /// For these paths.
    pub fn new(paths: &[PathSpec]) -> Self {
        let ends_of = |p: &PathSpec| (p.tx.min(p.rx), p.tx.max(p.rx));
        let csi = || {
            paths
                .iter()
                .enumerate()
                .filter(|(_, p)| p.kind != PathKind::Rss && p.tx != p.rx)
        };
        let mut ends: Vec<_> = csi().map(|(_, p)| ends_of(p)).collect();
        ends.sort_unstable();
        ends.dedup();
        // The antennas as the pair's first node and its second have them, whichever sends.
        let key = |p: &PathSpec| {
            let antennas = if p.tx < p.rx {
                [p.tx_antenna, p.rx_antenna]
            } else {
                [p.rx_antenna, p.tx_antenna]
            };
            (ends_of(p), p.channel, antennas)
        };
        let mut keys: Vec<_> = csi().map(|(_, p)| key(p)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut ways: Vec<_> = keys
            .iter()
            .filter_map(|k| {
                let mut of = csi().filter(|(_, p)| key(p) == *k);
                let (first, second) = (of.next(), of.next());
                // Without a wavelength a turn of the phase is no way.
                let centre_khz = match first?.1.kind {
                    PathKind::Csi { centre_khz, .. } if centre_khz > 0 => centre_khz,
                    _ => return None,
                };
                Some(Way {
                    pair: ends.partition_point(|e| *e < k.0),
                    paths: [first.map(|(i, _)| i), second.map(|(i, _)| i)],
                    wavelength_m: LIGHT_M_S / (centre_khz as f32 * 1e3),
                })
            })
            .collect();
        // In a mesh of arrays only the antennas that send have ways both ways. One way alone tells rates apart half as far: it would
        // blur what the others say.
        let both = |pair: usize, ways: &[Way]| ways.iter().any(|w| w.pair == pair && w.paths[1].is_some());
        let pairs: Vec<_> = (0..ends.len()).map(|pair| both(pair, &ways)).collect();
        ways.retain(|w| w.paths[1].is_some() || !pairs[w.pair]);
        Self {
            ways,
            window: Vec::with_capacity(256),
            seen: Vec::with_capacity(ends.len()),
            spectra: Vec::with_capacity(ends.len() * POWERS),
            limits_m_s: vec![0.0; ends.len()],
            ends,
            sums: [[[0.0; RATE_BINS]; 2]; FILTERS],
        }
    }

    /// Forgets the last spectra.
    pub fn clear(&mut self) {
        self.seen.clear();
        self.spectra.clear();
    }

    /// The pairs that have a spectrum, ascending, and [`POWERS`] each, filter by filter: unit as [`PairSpectrum::energy`].
    pub fn spectra(&self) -> (&[PairSpectrum], &[f32]) {
        (&self.seen, &self.spectra)
    }

    /// Path rates (m/s, either way) up to which the last spectrum of two nodes tells them apart, whichever of them sends: half the
    /// wavelength times the frames a second of both directions (Nyquist). None before their first spectrum. A body's path rate
    /// is at most twice its speed; faster, it looks like another walk.
    pub fn limit_m_s(&self, ends: (u16, u16)) -> Option<f32> {
        let at = self
            .ends
            .binary_search(&(ends.0.min(ends.1), ends.0.max(ends.1)))
            .ok()?;
        Some(self.limits_m_s[at]).filter(|limit| *limit > 0.0)
    }

    /// Spectra of the window that ends at `end_ns`; `path` gives a path's series and reference.
    pub fn measure<'p>(&mut self, end_ns: i64, path: impl Fn(usize) -> Option<(&'p Series<FILTERS>, &'p Reference)>) {
        self.clear();
        let start_ns = end_ns.saturating_sub((WINDOW_S * 1e9) as i64);
        let mut ways = 0..0;
        for pair in 0..self.ends.len() {
            ways = ways.end..ways.end + self.ways[ways.end..].iter().take_while(|w| w.pair == pair).count();
            let mut powers = [[0.0; RATE_BINS]; FILTERS];
            let (mut noise, mut samples) = (0.0, 0);
            let mut limit_m_s: f32 = 0.0;
            for at in ways.clone() {
                let way = self.ways[at];
                self.window.clear();
                let mut noises = (0.0, 0);
                for (series, reference) in way.paths.iter().flatten().filter_map(|p| path(*p)) {
                    let frames = series.between(start_ns, end_ns);
                    noises = (
                        noises.0 + frames.len() as f32 * reference.noise(),
                        noises.1 + frames.len(),
                    );
                    // Sine squared over the window (Hann), by the time of the frame.
                    self.window.extend(frames.iter().map(|s| {
                        let at = ns_to_seconds(s.time_ns - start_ns) / WINDOW_S;
                        let sine = detmath::sin(core::f32::consts::PI * at);
                        (*s, sine * sine)
                    }));
                }
                let times = self.window.iter().map(|(s, _)| s.time_ns);
                let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
                    continue;
                };
                if self.window.len() < SAMPLES_MIN || ns_to_seconds(last - first) < SPAN_MIN_S {
                    continue;
                }
                samples += self.window.len() as u32;
                let rate_hz = (self.window.len() - 1) as f32 / ns_to_seconds(last - first);
                // Of several channels or antennas the best tells the others' aliases apart.
                limit_m_s = detmath::max(limit_m_s, 0.5 * way.wavelength_m * rate_hz);
                let weights: f32 = self.window.iter().map(|(_, w)| w * w).sum();
                noise += weights * noises.0 / noises.1 as f32;
                self.transform(end_ns, way.wavelength_m, &mut powers);
            }
            let energy = powers.as_flattened().iter().sum::<f32>() / (POWERS as f32 * noise);
            if samples == 0 || !energy.is_finite() {
                continue;
            }
            self.limits_m_s[pair] = limit_m_s;
            let (a, b) = self.ends[pair];
            self.seen.push(PairSpectrum { a, b, samples, energy });
            self.spectra.extend(powers.as_flattened().iter().map(|p| p / noise));
        }
    }

    /// Adds the window's power at each path rate, its mean taken off.
    fn transform(&mut self, end_ns: i64, wavelength_m: f32, powers: &mut [[f32; RATE_BINS]; FILTERS]) {
        let count = self.window.len() as f32;
        let mut mean = [[0.0; 2]; FILTERS];
        for (sample, _) in &self.window {
            for (m, v) in mean.as_flattened_mut().iter_mut().zip(sample.value.as_flattened()) {
                *m += v / count;
            }
        }
        self.sums = [[[0.0; RATE_BINS]; 2]; FILTERS];
        let (mut re, mut im) = ([0.0; RATE_BINS], [0.0; RATE_BINS]);
        for (sample, weight) in &self.window {
            let turn = core::f32::consts::TAU * ns_to_seconds(sample.time_ns - end_ns) / wavelength_m;
            let phasor = |w: f32| Complex32::new(detmath::cos(w), detmath::sin(w));
            let (mut at, step) = (phasor(turn * rate_m_s(0)), phasor(turn * RATE_STEP_M_S));
            for (re, im) in re.iter_mut().zip(&mut im) {
                (*re, *im) = (at.re, at.im);
                at *= step;
            }
            for ((value, mean), [sum_re, sum_im]) in sample.value.iter().zip(&mean).zip(&mut self.sums) {
                let x = weight * (value[0] - mean[0]);
                let y = weight * (value[1] - mean[1]);
                for bin in 0..RATE_BINS {
                    sum_re[bin] += x * re[bin] - y * im[bin];
                    sum_im[bin] += x * im[bin] + y * re[bin];
                }
            }
        }
        for ([sum_re, sum_im], powers) in self.sums.iter().zip(powers) {
            for bin in 0..RATE_BINS {
                powers[bin] += sum_re[bin] * sum_re[bin] + sum_im[bin] * sum_im[bin];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calibration::PathBaseline, tier::Tier};

    fn specs() -> Vec<PathSpec> {
        [(1, 2), (1, 3), (2, 1)]
            .map(|(tx, rx)| PathSpec {
                tx,
                rx,
                tx_antenna: 0,
                rx_antenna: 0,
                channel: 6,
                kind: PathKind::Csi {
                    tier: Tier::Ht20,
                    centre_khz: 2_437_000,
                },
            })
            .to_vec()
    }

    fn reference() -> Reference {
        let tones = Tier::Ht20.tones();
        let baseline = PathBaseline {
            mask: vec![1; tones],
            amplitude: vec![1.0; tones],
            amplitude_variance: vec![1e-4; tones],
            phase_rad: vec![0.0; tones],
            gain: 1.0,
            ..PathBaseline::default()
        };
        Reference::new(Tier::Ht20, &baseline)
    }

    #[test]
    fn the_rate_of_a_moving_body_stands_out_from_both_directions_together() {
        let reference = reference();
        let wavelength_m = LIGHT_M_S / 2.437e9;
        // 25 Hz each way, in turn: alone, 2 m/s would look like -1.07 m/s.
        for rate in [-2.0_f32, -0.6, 0.9, 2.0] {
            let mut series = [Series::default(), Series::default()];
            for (k, at) in (0..40_i64).map(|i| (i % 2, i * 20_000_000 + i % 2 * 1_000_000)) {
                let w = -core::f32::consts::TAU * rate * ns_to_seconds(at) / wavelength_m;
                series[k as usize].push(Sample {
                    time_ns: at,
                    value: [[detmath::cos(w), detmath::sin(w)]; FILTERS],
                });
            }
            let mut pairs = Pairs::new(&specs());
            pairs.measure(800_000_000, |p| match p {
                0 => Some((&series[0], &reference)),
                2 => Some((&series[1], &reference)),
                _ => None,
            });
            let (seen, powers) = pairs.spectra();
            assert_eq!((seen.len(), seen[0].a, seen[0].b), (1, 1, 2));
            // 50 frames a second of both together, at 12.3 cm.
            for ends in [(1, 2), (2, 1)] {
                let limit_m_s = pairs.limit_m_s(ends).unwrap();
                assert!((limit_m_s - 3.08).abs() < 0.1, "{limit_m_s}");
            }
            assert_eq!((pairs.limit_m_s((1, 3)), pairs.limit_m_s((7, 8))), (None, None));
            assert!(seen[0].samples >= 30 && seen[0].energy > 100.0, "{seen:?}");
            assert_eq!(powers.len(), POWERS);
            let peak = (0..RATE_BINS).max_by(|i, j| powers[*i].total_cmp(&powers[*j])).unwrap();
            assert!((rate_m_s(peak) - rate).abs() < 0.11, "{rate}: {}", rate_m_s(peak));
        }
    }

    /// Node 2 has two antennas: what only it hears says less than what both nodes hear of each other. Node 3 is heard one way only.
    #[test]
    fn antennas_that_only_listen_do_not_blur_a_pair_that_is_heard_both_ways() {
        let mut specs = specs();
        for (at, antenna) in [(1, 1), (3, 1)] {
            let path = specs[at - 1];
            specs.insert(
                at,
                PathSpec {
                    rx_antenna: antenna,
                    ..path
                },
            );
        }
        let of = |spec: &PathSpec| (spec.tx, spec.rx, spec.rx_antenna);
        let all: Vec<_> = specs.iter().map(of).collect();
        assert_eq!(all, [(1, 2, 0), (1, 2, 1), (1, 3, 0), (1, 3, 1), (2, 1, 0)]);
        let ways: Vec<_> = Pairs::new(&specs).ways.iter().map(|w| w.paths).collect();
        assert_eq!(ways, [[Some(0), Some(4)], [Some(2), None], [Some(3), None]]);
    }

    #[test]
    fn too_little_is_no_spectrum() {
        let reference = reference();
        let mut series = Series::default();
        for i in 0..9 {
            series.push(Sample {
                time_ns: i * 40_000_000,
                value: [[1.0, 0.0]; FILTERS],
            });
        }
        let mut pairs = Pairs::new(&specs());
        pairs.measure(400_000_000, |p| (p == 1).then_some((&series, &reference)));
        assert!(pairs.spectra().0.is_empty());
    }
}
