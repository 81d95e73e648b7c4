//! Spectra of all links to arrays of antennas.

use num_complex::Complex32;

use super::{ANTENNAS_MAX, DIMENSIONS_MAX, LINKS_MAX, Reference, SPECTRUM};
use crate::{
    detmath,
    doppler::{Sample, Series, WINDOW_S},
    front::{PathKind, PathSpec},
    motion::ns_to_seconds,
    tier::Tier,
};

/// Path rates of a spectrum: they cover just what the link's frames tell apart.
pub const RATES: usize = 36;
/// Each link has a spectrum in one of so many ticks, every tick about as many links: a window is many ticks long, and no tick
/// then has much more to do than another.
pub const TURN_TICKS: u64 = 4;

const LIGHT_M_S: f32 = 299_792_458.0;
/// Frames that a window needs.
const FRAMES_MIN: usize = 8;

/// What one link to an array says in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArraySpectrum {
    /// The node that sends, by its first antenna.
    pub tx: u16,
    /// The node that receives by several.
    pub rx: u16,
    /// Antennas, 2 to [`ANTENNAS_MAX`].
    pub antennas: u8,
    /// Frames in the window.
    pub samples: u32,
    /// Tier of the frames.
    pub tier: Tier,
    /// Wavelength, metres.
    pub wavelength_m: f32,
    /// Path rates that differ by this look the same, m/s: the wavelength times the frames a second.
    pub period_m_s: f32,
    /// Noise of the empty room in each number of a frame, as a share of the power of the empty room.
    pub noise: f32,
}

/// One array as one node sees another by it, on one channel.
#[derive(Clone, Debug)]
struct Link {
    tx: u16,
    rx: u16,
    tier: Tier,
    wavelength_m: f32,
    /// By antenna, its path.
    paths: Vec<usize>,
}

/// All links of a site to nodes with several antennas.
#[derive(Clone, Debug)]
pub struct Arrays {
    links: Vec<Link>,
    /// By path: its link and antenna.
    of_path: Vec<Option<(usize, usize)>>,
    window: Vec<(Sample<DIMENSIONS_MAX>, f32)>,
    steps_ns: Vec<i64>,
    seen: Vec<ArraySpectrum>,
    spectra: Vec<f32>,
}

impl Arrays {
    /// For these paths: those of one channel from the first antenna of a node to two or more of another, numbered from 0 without
    /// gaps. Of more than [`LINKS_MAX`] the first count.
    pub fn new(paths: &[PathSpec]) -> Self {
        let mut links: Vec<Link> = Vec::new();
        for (at, path) in paths.iter().enumerate() {
            let PathKind::Csi { tier, centre_khz } = path.kind else {
                continue;
            };
            // Without a wavelength a turn of the phase is no way.
            if path.tx == path.rx || path.tx_antenna != 0 || path.rx_antenna != 0 || centre_khz == 0 {
                continue;
            }
            let antenna = |antenna: usize| {
                let same = PathSpec {
                    rx_antenna: antenna as u8,
                    ..*path
                };
                paths.iter().position(|p| *p == same)
            };
            let of: Vec<usize> = core::iter::once(at)
                .chain((1..ANTENNAS_MAX).map_while(antenna))
                .collect();
            if of.len() > 1 && links.len() < LINKS_MAX {
                links.push(Link {
                    tx: path.tx,
                    rx: path.rx,
                    tier,
                    wavelength_m: LIGHT_M_S / (centre_khz as f32 * 1e3),
                    paths: of,
                });
            }
        }
        let mut of_path = vec![None; paths.len()];
        for (link, l) in links.iter().enumerate() {
            for (antenna, path) in l.paths.iter().enumerate() {
                of_path[*path] = Some((link, antenna));
            }
        }
        let a_turn = links.len().div_ceil(TURN_TICKS as usize);
        Self {
            of_path,
            window: Vec::with_capacity(64),
            steps_ns: Vec::with_capacity(64),
            seen: Vec::with_capacity(a_turn),
            spectra: Vec::with_capacity(a_turn * SPECTRUM),
            links,
        }
    }

    /// Links.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Tier of a link, and its paths by antenna.
    pub fn link(&self, link: usize) -> (Tier, &[usize]) {
        (self.links[link].tier, &self.links[link].paths)
    }

    /// The link and antenna of a path.
    pub fn of_path(&self, path: usize) -> Option<(usize, usize)> {
        self.of_path[path]
    }

    /// The links that have a spectrum in this tick, and [`SPECTRUM`] numbers each, in units of the empty room's noise.
    pub fn spectra(&self) -> (&[ArraySpectrum], &[f32]) {
        (&self.seen, &self.spectra)
    }

    /// Spectra of the window that ends at `end_ns`, of the links whose turn it is in this tick; `link` gives a link's series and
    /// reference.
    pub fn measure<'p>(
        &mut self,
        tick: u64,
        end_ns: i64,
        link: impl Fn(usize) -> Option<(&'p Series<DIMENSIONS_MAX>, &'p Reference)>,
    ) {
        self.seen.clear();
        self.spectra.clear();
        let start_ns = end_ns.saturating_sub((WINDOW_S * 1e9) as i64);
        for at in (0..self.links.len()).filter(|at| (*at as u64 + tick).is_multiple_of(TURN_TICKS)) {
            let Some((series, reference)) = link(at) else { continue };
            let frames = series.between(start_ns, end_ns);
            if frames.len() < FRAMES_MIN {
                continue;
            }
            self.steps_ns.clear();
            self.steps_ns
                .extend(frames.windows(2).map(|w| w[1].time_ns - w[0].time_ns));
            // Not the mean: a frame that was lost does not change what the others tell apart.
            let middle = self.steps_ns.len() / 2;
            let step_s = ns_to_seconds(*self.steps_ns.select_nth_unstable(middle).1);
            self.window.clear();
            // Sine squared over the window (Hann), by the time of the frame.
            self.window.extend(frames.iter().map(|s| {
                let at = ns_to_seconds(s.time_ns - start_ns) / WINDOW_S;
                let sine = detmath::sin(core::f32::consts::PI * at);
                (*s, sine * sine)
            }));
            let wavelength_m = self.links[at].wavelength_m;
            let seen = ArraySpectrum {
                tx: self.links[at].tx,
                rx: self.links[at].rx,
                antennas: reference.antennas() as u8,
                samples: frames.len() as u32,
                tier: self.links[at].tier,
                wavelength_m,
                period_m_s: wavelength_m / step_s,
                noise: reference.noise(),
            };
            if self.transform(end_ns, &seen) {
                self.seen.push(seen);
            }
        }
    }

    /// Appends the window's transform at each path rate, its mean taken off; nothing where it is not finite.
    fn transform(&mut self, end_ns: i64, seen: &ArraySpectrum) -> bool {
        let count = self.window.len() as f32;
        let mut mean = [[0.0; 2]; DIMENSIONS_MAX];
        for (sample, _) in &self.window {
            for (m, v) in mean.as_flattened_mut().iter_mut().zip(sample.value.as_flattened()) {
                *m += v / count;
            }
        }
        let weights: f32 = self.window.iter().map(|(_, w)| w * w).sum();
        let unit = 1.0 / (weights * seen.noise).sqrt();
        let mut sums = [[[0.0; RATES]; 2]; DIMENSIONS_MAX];
        for (sample, weight) in &self.window {
            let from_middle_s = ns_to_seconds(sample.time_ns - end_ns) + 0.5 * WINDOW_S;
            let turn = core::f32::consts::TAU * from_middle_s / seen.wavelength_m;
            let phasor = |w: f32| Complex32::new(detmath::cos(w), detmath::sin(w));
            let step_m_s = seen.period_m_s / RATES as f32;
            let (mut at, step) = (phasor(-turn * 0.5 * seen.period_m_s), phasor(turn * step_m_s));
            let (mut re, mut im) = ([0.0; RATES], [0.0; RATES]);
            for (re, im) in re.iter_mut().zip(&mut im) {
                (*re, *im) = (at.re, at.im);
                at *= step;
            }
            for ((value, mean), [sum_re, sum_im]) in sample.value.iter().zip(&mean).zip(&mut sums) {
                let x = weight * unit * (value[0] - mean[0]);
                let y = weight * unit * (value[1] - mean[1]);
                for rate in 0..RATES {
                    sum_re[rate] += x * re[rate] - y * im[rate];
                    sum_im[rate] += x * im[rate] + y * re[rate];
                }
            }
        }
        let sums = sums.as_flattened().as_flattened();
        let sound = seen.period_m_s.is_finite() && sums.iter().all(|v| v.is_finite());
        if sound {
            self.spectra.extend_from_slice(sums);
        }
        sound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bearing::{DELAYS, DelayBasis},
        calibration::PathBaseline,
        tier::Tier,
    };

    fn paths(antennas: u8) -> Vec<PathSpec> {
        let path = |tx, rx, rx_antenna| PathSpec {
            tx,
            rx,
            tx_antenna: 0,
            rx_antenna,
            channel: 6,
            kind: PathKind::Csi {
                tier: Tier::Ht40,
                centre_khz: 2_437_000,
            },
        };
        let one = (0..antennas).map(|a| path(1, 2, a));
        one.chain((0..antennas).map(|a| path(2, 1, a)))
            .chain([path(1, 3, 0)])
            .collect()
    }

    fn baselines(antennas: usize) -> Vec<PathBaseline> {
        let tones = Tier::Ht40.tones();
        let of = |antenna: usize| PathBaseline {
            mask: vec![1; tones],
            amplitude: vec![1.0; tones],
            amplitude_variance: vec![1e-4; tones],
            phase_rad: vec![0.0; tones],
            gain: 2.0,
            agc_db: Some(40.0),
            cross_phase_rad: vec![0.4 * antenna as f32; if antenna > 0 { tones } else { 0 }],
            ..PathBaseline::default()
        };
        (0..antennas).map(of).collect()
    }

    #[test]
    fn links_to_one_antenna_are_no_arrays() {
        assert_eq!(Arrays::new(&paths(4)).len(), 2);
        let arrays = Arrays::new(&paths(3));
        assert_eq!((arrays.link(1).1, arrays.of_path(4)), (&[3, 4, 5][..], Some((1, 1))));
        assert!(Arrays::new(&paths(1)).is_empty());
    }

    /// A frame turned by phase and clock, amplified by another gain, with an echo from the side: the echo is what is left.
    #[test]
    fn the_empty_room_is_taken_off_and_an_echo_keeps_its_phases() {
        let tier = Tier::Ht40;
        let basis = DelayBasis::new(tier);
        let baselines = baselines(4);
        let baselines: Vec<_> = baselines.iter().collect();
        let mut room = Reference::new(tier, &basis, &baselines).unwrap();
        assert_eq!((room.antennas(), room.noise() > 0.0), (4, true));
        let per_metre = core::f32::consts::TAU * tier.spacing_hz() as f32 / LIGHT_M_S;
        let phasor = |w: f32| Complex32::new(detmath::cos(w), detmath::sin(w));
        // One step of half a wavelength at 30 degrees from antenna to antenna.
        let side = |a: usize| -core::f32::consts::FRAC_PI_2 * a as f32;
        let frame = |strength: f32| -> Vec<Vec<[f32; 2]>> {
            let antenna = |a: usize| {
                let tone = |k: i16| {
                    let k = f32::from(k);
                    let still = phasor(0.4 * a as f32);
                    let echo = phasor(side(a) - per_metre * k * 6.0 + 0.9) * strength;
                    let z = (still + echo) * phasor(1.1 + 0.05 * k) * 4.0;
                    [z.re, z.im]
                };
                tier.tone_indices().map(tone).collect()
            };
            (0..4).map(antenna).collect()
        };
        let mask = vec![1; tier.tones()];
        let still = frame(0.0);
        // Twice the amplitude at 6 dB more gain.
        let sample = |room: &mut Reference, frame: &Vec<Vec<[f32; 2]>>| {
            room.sample(&basis, Some(46), |a| (&frame[a], &mask)).unwrap()
        };
        let nothing = sample(&mut room, &still);
        assert!(nothing.as_flattened().iter().all(|v| v.abs() < 5e-3), "{nothing:?}");
        let moved = frame(0.05);
        let value = sample(&mut room, &moved);
        let answer = basis.answer(6.0);
        for antenna in 0..4 {
            for d in 0..DELAYS {
                let expected = answer[d] * phasor(side(antenna) + 0.9) * 0.05;
                let [re, im] = value[antenna * DELAYS + d];
                let off = (Complex32::new(re, im) - expected).norm();
                assert!(off < 0.25 * 0.05, "{antenna} {d}: {re} {im}, {expected}");
            }
        }
        // Baselines from before antennas were an array do not say how their phases stand.
        let before = [baselines[0], baselines[0]];
        assert!(Reference::new(tier, &basis, &before).is_none());
        let none = vec![0; mask.len()];
        assert!(room.sample(&basis, Some(46), |a| (&still[a], &none)).is_none());
    }

    #[test]
    fn a_rate_stands_in_its_bin_with_the_phases_of_its_direction() {
        let basis = DelayBasis::new(Tier::Ht40);
        let baselines = baselines(4);
        let room = Reference::new(Tier::Ht40, &basis, &baselines.iter().collect::<Vec<_>>()).unwrap();
        let mut arrays = Arrays::new(&paths(4));
        let (wavelength_m, rate_m_s) = (LIGHT_M_S / 2.437e9, -0.6_f32);
        let mut series = Series::default();
        // 25 frames a second, one of five lost.
        for i in (0..40_i64).filter(|i| i % 5 != 3) {
            let time_ns = i * 40_000_000;
            let w = -core::f32::consts::TAU * rate_m_s * ns_to_seconds(time_ns) / wavelength_m;
            let mut value = [[0.0; 2]; DIMENSIONS_MAX];
            for (d, v) in value.iter_mut().enumerate() {
                let w = w + 0.5 * (d / DELAYS) as f32;
                *v = [detmath::cos(w), detmath::sin(w)];
            }
            series.push(Sample { time_ns, value });
        }
        let mut turns = [0; 2];
        for tick in 0..4 {
            arrays.measure(tick, 1_560_000_000, |link| (link == 0).then_some((&series, &room)));
            let (seen, spectra) = arrays.spectra();
            assert_eq!(spectra.len(), seen.len() * SPECTRUM);
            turns[usize::from(seen.len() == 1)] += 1;
            let Some(seen) = seen.first() else { continue };
            assert_eq!((seen.tx, seen.rx, seen.antennas), (1, 2, 4));
            assert!((seen.period_m_s - 25.0 * wavelength_m).abs() < 1e-4);
            let power = |rate: usize| spectra[rate] * spectra[rate] + spectra[RATES + rate] * spectra[RATES + rate];
            let peak = (0..RATES).max_by(|a, b| power(*a).total_cmp(&power(*b))).unwrap();
            let step_m_s = seen.period_m_s / RATES as f32;
            let found_m_s = (peak as f32 - (RATES / 2) as f32) * step_m_s;
            assert!((found_m_s - rate_m_s).abs() <= step_m_s, "{found_m_s}");
            let at = |d: usize| Complex32::new(spectra[2 * d * RATES + peak], spectra[(2 * d + 1) * RATES + peak]);
            let ahead = at(DELAYS) * at(0).conj();
            assert!((detmath::atan2(ahead.im, ahead.re) - 0.5).abs() < 1e-3);
        }
        // Each link in one of four ticks.
        assert_eq!(turns, [3, 1]);
    }
}
