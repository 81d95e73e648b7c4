//! From the true channel to what a receiver writes down.
//!
//! In order: transmit power a tone, modulation error of the transmitter, carrier phase (oscillators of both nodes and
//! their jitter), symbol timing (relative to the direct path: a receiver without a common clock cannot know the delay
//! itself), sampling-clock error within the frame, thermal noise (`k T0 df F`), gain in steps, rounding.
//!
//! The antennas of an array share all of it but the channel, the noise and their receive chains: they hang on one oscillator, one
//! sampling clock and one gain control, which goes by their mean power.

use num_complex::Complex64;
use tapline_dsp::detmath::{atan2_64, log10_64, pow64};

use super::clock::Clock;
use crate::{
    antenna::DEGREE,
    channel::tones::{Tones, turn},
    random::{Purpose, Stream},
    scene::{Format, Node, Scene, Timing},
};

/// `k T0` at 290 K, dBm a hertz.
const THERMAL_DBM_HZ: f64 = -173.975;
/// On its sampling grid a receiver's window starts this many samples before the first path.
const ADVANCE_SAMPLES: f64 = 2.0;
/// From the start of a frame to the middle of its training field, seconds (L-STF 8 us, then the LTF).
const TRAINING_S: f64 = 16e-6;

/// One reception, before it is put into a datagram.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    /// `[antenna][tone index + last]`, receiver units before rounding.
    pub(crate) samples: Vec<Complex64>,
    /// Mean over the antennas.
    pub(crate) rssi_dbm: i8,
    pub(crate) noise_dbm: i8,
    pub(crate) agc_db: u8,
}

/// What a receiver knows of the signal it is to take in.
pub(crate) struct Arriving<'a> {
    pub(crate) t_s: f64,
    /// `[antenna][tone index + last]`.
    pub(crate) channel: &'a [Complex64],
    /// Modulation error of this transmission, `[tone index + last]`, relative.
    pub(crate) distortion: &'a [Complex64],
    /// Phase jitter of the transmitter, radians.
    pub(crate) tx_jitter: f64,
    /// Delay of the direct path to the first antenna, seconds: where the receiver finds the frame.
    pub(crate) first_s: f64,
}

/// Level that the gain control aims at and the fixed gain before it: samples are
/// `field in sqrt(mW) a tone * 10^((fixed + agc) / 20)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Root mean square of a tone.
    pub(crate) target: f64,
    /// dB.
    pub(crate) fixed_db: f64,
}

impl Scale {
    /// i16 samples: 18 dB of headroom.
    pub(crate) const I16: Self = Self {
        target: 4000.0,
        fixed_db: 80.0,
    };
    /// i8 samples: the level of the LLTF in real ESP32-S3 recordings.
    pub(crate) const I8: Self = Self {
        target: 12.9,
        fixed_db: 30.0,
    };

    /// What the samples of a format need: TLF1 frames of arrays have i8 samples.
    pub(crate) fn of(format: Format, antennas: usize) -> Self {
        match format {
            Format::Tlf1 if antennas == 1 => Self::I16,
            Format::Tlf1 | Format::Adr018 => Self::I8,
        }
    }
}

pub(crate) fn db(power: f64) -> f64 {
    10.0 * log10_64(power)
}

pub(crate) fn amplitude(level_db: f64) -> f64 {
    pow64(10.0, level_db / 20.0)
}

/// Noise floor of a node over the whole band, dBm.
fn noise_dbm(node: &Node, scene: &Scene) -> f64 {
    let bandwidth_hz = f64::from(scene.radio.tier.bandwidth_mhz()) * 1e6;
    THERMAL_DBM_HZ + db(bandwidth_hz) + node.noise_figure_db
}

/// The delay that the mean phase step from tone to tone tells, over all antennas: `channel` is `[antenna][dense tone]`.
fn mean_delay_s(channel: &[Complex64], dense: usize, spacing_hz: f64) -> f64 {
    let steps: Complex64 = channel
        .chunks_exact(dense)
        .flat_map(|antenna| antenna.windows(2))
        .map(|w| w[1] * w[0].conj())
        .sum();
    -atan2_64(steps.im, steps.re) / (core::f64::consts::TAU * spacing_hz)
}

/// Draws the modulation error of one transmission.
pub(crate) fn distort(node: &Node, random: &mut Stream, into: &mut [Complex64]) {
    let sigma = amplitude(node.evm_db) * core::f64::consts::FRAC_1_SQRT_2;
    for tone in into {
        let (re, im) = random.normal_pair();
        *tone = Complex64::new(re * sigma, im * sigma);
    }
}

/// What the receive chain behind each antenna of a node does to what comes in: the first one's nothing, the others' any angle and a
/// little gain, always the same.
pub(crate) fn chains(node: &Node, seed: u64) -> Vec<Complex64> {
    /// Standard deviation of the gain, decibels.
    const SIGMA_DB: f64 = 0.4;
    let of = |antenna: usize| {
        if antenna == 0 {
            return Complex64::new(1.0, 0.0);
        }
        let mut random = Stream::new(seed, Purpose::Chain, [u64::from(node.id), antenna as u64, 0]);
        turn(random.uniform()) * amplitude(SIGMA_DB * random.normal())
    };
    (0..node.antennas()).map(of).collect()
}

/// A receiver listening to one transmitter.
pub(crate) struct Receiver<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) tones: &'a Tones,
    pub(crate) node: &'a Node,
    /// By antenna; see [`chains`].
    pub(crate) chains: &'a [Complex64],
    pub(crate) tx_clock: &'a Clock,
    pub(crate) rx_clock: &'a Clock,
    pub(crate) scale: Scale,
}

impl Receiver<'_> {
    /// Takes one transmission in.
    pub(crate) fn receive(&self, arriving: &Arriving<'_>, random: &mut Stream, out: &mut Reception) {
        let Self {
            scene,
            tones,
            node,
            chains,
            tx_clock: tx,
            rx_clock: rx,
            scale,
        } = *self;
        let t_s = arriving.t_s;
        let active = tones.indices.len() as f64;
        let tone_gain = amplitude(scene.radio.transmit_dbm - db(active));

        let carrier = tx.carrier_cycles(t_s, tones.centre_hz) - rx.carrier_cycles(t_s, tones.centre_hz);
        let jitter = arriving.tx_jitter + node.phase_noise_deg * DEGREE * random.normal();
        let common = turn(jitter / core::f64::consts::TAU - carrier) * tone_gain;

        let sample_s = 1.0 / (scene.radio.tier.fft_size() as f64 * tones.spacing_hz);
        let aligned_s = match node.timing {
            Timing::Direct => -arriving.first_s,
            Timing::Slope => -mean_delay_s(arriving.channel, tones.dense(), tones.spacing_hz),
            Timing::Grid => {
                // Where the sampling grids of the two nodes stand to each other drifts with their clocks: what a fast
                // transmitter sends comes ever earlier on the receiver's grid.
                let grid = (rx.gained_s(t_s) - tx.gained_s(t_s)) / sample_s;
                (ADVANCE_SAMPLES + grid - grid.floor()) * sample_s - arriving.first_s
            }
        };
        // The crystal that turns the carrier forward advances the waveform, too: an advance is a negative delay.
        let timing_s =
            aligned_s + node.timing_sigma_ns * 1e-9 * random.normal() - (tx.rate(t_s) - rx.rate(t_s)) * TRAINING_S;
        let step = turn(tones.spacing_hz * timing_s);
        let lowest = turn(-f64::from(tones.last) * tones.spacing_hz * timing_s) * common;

        let noise =
            amplitude(THERMAL_DBM_HZ + db(tones.spacing_hz) + node.noise_figure_db) * core::f64::consts::FRAC_1_SQRT_2;
        out.samples.clear();
        let mut power = 0.0;
        for (antenna, chain) in arriving.channel.chunks_exact(tones.dense()).zip(chains) {
            let mut slope = lowest;
            for (channel, distortion) in antenna.iter().zip(arriving.distortion) {
                let (re, im) = random.normal_pair();
                let sample = (channel * (1.0 + distortion) * slope + Complex64::new(re * noise, im * noise)) * chain;
                power += sample.norm_sqr();
                out.samples.push(sample);
                slope *= step;
            }
        }
        // The mean antenna. The dense run has a few tones around the carrier that nobody sends: scale to the active ones.
        power *= active / arriving.channel.len() as f64;

        let wanted_db =
            20.0 * log10_64(scale.target) - db(power / active) - scale.fixed_db + node.agc_sigma_db * random.normal();
        let steps = (wanted_db / node.agc_step_db).round();
        // The gain applied is the gain announced, whole decibels, whatever the step is.
        let agc_db = tapline_dsp::detmath::clamp64((steps * node.agc_step_db).round(), 0.0, 120.0);
        let drift_db = node.gain_db_k * scene.temperature.rise_k(t_s);
        let gain = amplitude(scale.fixed_db + agc_db + drift_db);
        for sample in &mut out.samples {
            *sample *= gain;
        }
        out.rssi_dbm = db(power).round() as i8;
        out.noise_dbm = noise_dbm(node, scene).round() as i8;
        out.agc_db = agc_db as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// A flat channel between a transmitter 20 ppm fast and a receiver 5 ppm slow, neither of which has any jitter.
    struct Bench {
        scene: Scene,
        tones: Tones,
    }

    const FAST: f64 = 25e-6;

    impl Bench {
        fn new(timing: Timing, agc_step_db: f64) -> Self {
            let mut scene = Scene::builtin("demo").unwrap();
            (scene.node[0].crystal_ppm, scene.node[1].crystal_ppm) = (20.0, -5.0);
            let rx = &mut scene.node[1];
            (rx.phase_noise_deg, rx.timing_sigma_ns) = (0.0, 0.0);
            (rx.timing, rx.agc_step_db) = (timing, agc_step_db);
            let tones = Tones::new(scene.radio.tier, scene.radio.centre_mhz * 1e6);
            Self { scene, tones }
        }

        fn receive(&self, t_s: f64) -> Reception {
            let clock = |i: usize| Clock::new(&self.scene.node[i], &self.scene.temperature, 1);
            let (tx_clock, rx_clock) = (clock(0), clock(1));
            let receiver = Receiver {
                chains: &[Complex64::new(1.0, 0.0)],
                scene: &self.scene,
                tones: &self.tones,
                node: &self.scene.node[1],
                tx_clock: &tx_clock,
                rx_clock: &rx_clock,
                scale: Scale::I16,
            };
            let dense = self.tones.dense();
            let arriving = Arriving {
                t_s,
                channel: &vec![Complex64::new(0.1, 0.0); dense],
                distortion: &vec![Complex64::default(); dense],
                tx_jitter: 0.0,
                first_s: 0.0,
            };
            let mut out = Reception::default();
            receiver.receive(&arriving, &mut Stream::new(1, Purpose::Reception, [0, 0, 0]), &mut out);
            out
        }

        /// Phase from tone to tone, radians.
        fn slope(&self, t_s: f64) -> f64 {
            let samples = self.receive(t_s).samples;
            angle(samples.windows(2).map(|w| w[1] * w[0].conj()).sum())
        }

        /// Carrier frequency that the phase of the middle tone shows over a microsecond, hertz.
        fn carrier_hz(&self, t_s: f64) -> f64 {
            let middle = |t_s| self.receive(t_s).samples[self.tones.last as usize];
            angle(middle(t_s + 1e-6) * middle(t_s).conj()) / (core::f64::consts::TAU * 1e-6)
        }
    }

    fn angle(z: Complex64) -> f64 {
        atan2_64(z.im, z.re)
    }

    #[test]
    fn a_fast_transmitter_turns_carrier_and_tones_the_same_way() {
        let bench = Bench::new(Timing::Direct, 1.0);
        let carrier_hz = bench.carrier_hz(3.0);
        assert!(
            (carrier_hz / (FAST * bench.tones.centre_hz) - 1.0).abs() < 1e-3,
            "{carrier_hz} Hz"
        );
        // What the same crystals do to the waveform between detection and training field.
        let tone_hz = bench.slope(3.0) / (core::f64::consts::TAU * TRAINING_S);
        let ratio = tone_hz / carrier_hz / (bench.tones.spacing_hz / bench.tones.centre_hz);
        assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
    }

    #[test]
    fn the_sampling_grid_slides_with_the_carrier() {
        let bench = Bench::new(Timing::Grid, 1.0);
        // 25 ppm over 0.2 ms are 5 ns, a tenth of a sample.
        let per_sample = core::f64::consts::TAU / 64.0;
        for i in 0..20 {
            let t_s = 1.0 + 0.11e-3 * f64::from(i);
            let moved = bench.slope(t_s + 0.2e-3) - bench.slope(t_s);
            // Once in a sample the receiver takes the next one of its grid.
            let moved = moved - per_sample * (moved / per_sample).round();
            let tone_hz = moved / (core::f64::consts::TAU * 0.2e-3);
            let ratio = tone_hz / bench.carrier_hz(t_s) / (bench.tones.spacing_hz / bench.tones.centre_hz);
            assert!((ratio - 1.0).abs() < 0.01, "{t_s} s: {ratio}");
        }
    }

    #[test]
    fn the_gain_announced_is_the_gain_applied() {
        for step_db in [0.01, 0.7, 1.5, 2.4, 3.0] {
            let (one, other) = (
                Bench::new(Timing::Direct, 1.0).receive(1.0),
                Bench::new(Timing::Direct, step_db).receive(1.0),
            );
            let applied_db = db(other.samples[3].norm_sqr() / one.samples[3].norm_sqr());
            let announced_db = f64::from(other.agc_db) - f64::from(one.agc_db);
            assert!(
                (applied_db - announced_db).abs() < 1e-9,
                "{step_db}: {applied_db} {announced_db}"
            );
        }
    }
}
