//! From the channel to what a node writes down: chains, filter, clock, noise, gain, eight bits.

use std::{array, f64::consts::TAU};

use tapline_dsp::tier::Tier;
use tapline_wire::{Samples, Tlf1, TlfGrid};

use super::{
    band::{CARRIER_HZ, LAST_TONE, Response, SENT_TONES, SPACING_HZ, TONES, Tones, sent},
    complex::Complex,
    random::Random,
    scene::Node,
};

const SENT_DBM: f64 = 13.0;
/// Thermal noise over the band (-174 dBm/Hz, 36 MHz) and a noise figure of 8 dB.
const NOISE_DBM: f64 = -174.0 + 75.6 + 8.0;
/// Error of the sender's modulation, and what the receiver adds by its oscillator and converter, by the signal.
const MODULATION_DB: f64 = -37.0;
const OWN_NOISE_DB: f64 = -38.0;
/// Strength and gain together at which samples have the other root mean square, counts.
const FULL_DBM: f64 = 14.0;
const FULL_RMS: f64 = 30.0;
/// One sample of 40 MHz.
const SAMPLE_S: f64 = 25e-9;
/// Bins of the Fourier transform of HT40.
const BINS: i32 = 128;

/// A node's receiver.
pub(super) struct Receiver {
    node: u16,
    /// What stands behind each antenna: any angle, gains within half a decibel.
    chains: Vec<Complex>,
    /// What the receive filter does over the band.
    filter: Tones,
    clock_s: f64,
    clock_ppm: f64,
    boots: u16,
    sequence: u32,
}

/// What was received of one frame.
pub(super) struct Reception {
    /// `[antenna][bin]`, imaginary part first; tones 0 and up, then the negative ones.
    samples: Vec<[i8; 2]>,
    strength_dbm: f64,
    gain_db: f64,
    sequence: u32,
}

impl Receiver {
    /// Of a node, made by chance.
    pub(super) fn new(node: &Node, random: &mut Random) -> Self {
        let chain = |_| Complex::turn(random.between(0.0, TAU)) * amplitude(random.within(0.5));
        let chains = node.antennas.iter().map(chain).collect();
        let (edge_db, tilt_db, bend_rad) = (random.between(0.4, 1.2), random.within(0.4), random.within(0.25));
        let filter = array::from_fn(|i| {
            let x = (i as f64 - f64::from(LAST_TONE)) / f64::from(LAST_TONE);
            Complex::turn(bend_rad * x * x * x) * amplitude(-edge_db * x * x + tilt_db * x)
        });
        Self {
            node: node.id,
            chains,
            filter,
            clock_s: random.between(3.0, 90.0),
            clock_ppm: random.within(10.0),
            boots: 1 + random.between(0.0, 9.0) as u16,
            sequence: 0,
        }
    }

    /// Receives a frame whose timing is off by about `timing_s`.
    pub(super) fn receive(&mut self, channel: &Response, timing_s: f64, random: &mut Random) -> Reception {
        let fields = self.fields(channel, timing_s, random);
        let powers = fields.iter().flatten().map(|field| field.power());
        let power = powers.fold(0.0, |sum, power| sum + power) / (fields.len() * SENT_TONES) as f64;
        let strength_dbm = SENT_DBM + 10.0 * power.log10();
        let noise = 10_f64.powf((NOISE_DBM - strength_dbm) / 10.0) + 10_f64.powf(OWN_NOISE_DB / 10.0);
        let sigma = (0.5 * power * noise).sqrt();
        let gain_db = (FULL_DBM - strength_dbm + 0.5 * random.normal())
            .round()
            .clamp(0.0, 90.0);
        let scale = FULL_RMS / power.sqrt() * amplitude(strength_dbm + gain_db - FULL_DBM);
        let mut samples = vec![[0; 2]; fields.len() * BINS as usize];
        for (tones, bins) in fields.iter().zip(samples.chunks_exact_mut(BINS as usize)) {
            for (k, tone) in sent() {
                let sample = (tones[k] + normal(random) * sigma) * scale;
                bins[tone.rem_euclid(BINS) as usize] = [count(sample.im), count(sample.re)];
            }
        }
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        Reception {
            samples,
            strength_dbm,
            gain_db,
            sequence,
        }
    }

    /// What comes to the converter, without noise: `[antenna][tone]`.
    fn fields(&self, channel: &Response, timing_s: f64, random: &mut Random) -> Response {
        // The oscillators of both ends leave another angle in each frame; the frame is found a sample early or late now
        // and then.
        let angle_rad = random.between(0.0, TAU);
        let samples = match random.unit() {
            x if x < 0.08 => -1.0,
            x if x > 0.92 => 1.0,
            _ => 0.0,
        };
        let late_s = timing_s + samples * SAMPLE_S + 1.2e-9 * random.normal();
        let turn_rad = -TAU * SPACING_HZ * late_s;
        let modulation: Tones =
            array::from_fn(|_| Complex::ONE + normal(random) * (amplitude(MODULATION_DB) * 0.5_f64.sqrt()));
        let of_antenna = |(channel, chain): (&Tones, &Complex)| {
            let mut fields = [Complex::ZERO; TONES];
            for (k, tone) in sent() {
                fields[k] = channel[k]
                    * modulation[k]
                    * *chain
                    * self.filter[k]
                    * Complex::turn(angle_rad + turn_rad * f64::from(tone));
            }
            fields
        };
        channel.iter().zip(&self.chains).map(of_antenna).collect()
    }

    /// The datagram of a reception from a node at a time of the scene.
    pub(super) fn datagram(
        &self,
        reception: &Reception,
        from: u16,
        time_s: f64,
        random: &mut Random,
    ) -> Result<Vec<u8>, String> {
        let clock_s = self.clock_s + time_s * (1.0 + 1e-6 * self.clock_ppm);
        let frame = Tlf1 {
            rx_node: self.node,
            tx_node: Some(from),
            seq: reception.sequence,
            capture_us: (1e6 * clock_s + 2.0 * random.normal()).max(0.0) as u64,
            mesh_time: false,
            simulated: true,
            centre_khz: (CARRIER_HZ / 1e3) as u32,
            bandwidth_mhz: 40,
            grid: TlfGrid::Bins(Tier::Ht40),
            antennas: self.chains.len() as u8,
            rssi_dbm: (reception.strength_dbm + 0.4 * random.normal()).round() as i8,
            noise_dbm: NOISE_DBM.round() as i8,
            agc_db: Some(reception.gain_db as u8),
            boot_count: self.boots,
            samples: Samples::I8(&reception.samples),
        };
        let mut bytes = Vec::new();
        frame.encode(None, &mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

/// Decibels as a factor on fields.
fn amplitude(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

/// Both parts normal with standard deviation 1.
fn normal(random: &mut Random) -> Complex {
    Complex::new(random.normal(), random.normal())
}

fn count(value: f64) -> i8 {
    value.round().clamp(-127.0, 127.0) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::independent::simulator::{layout::Scenario, scene::Scene};
    use tapline_wire::{Datagram, parse};

    #[test]
    fn a_datagram_is_read_as_what_was_received() {
        let mut random = Random::new(7);
        let scene = Scene::new(Scenario::Empty1, 4, &mut random);
        let mut receiver = Receiver::new(&scene.nodes[1], &mut random);
        let channel = vec![[Complex::new(1e-3, 0.0); TONES]; 4];
        let reception = receiver.receive(&channel, 0.0, &mut random);
        let bytes = receiver
            .datagram(&reception, 3, 1.0, &mut random)
            .expect("a shape that TLF1 has");
        let Ok(Datagram::Csi(frame)) = parse(&bytes) else {
            panic!("no CSI frame");
        };
        assert_eq!((frame.rx_node, frame.tx_node, frame.rx_antennas), (2, Some(3), 4));
        // 13 dBm less 60 dB, but for the edges of the filter and the error of a reading.
        assert!((-51..=-45).contains(&frame.rssi_dbm), "{}", frame.rssi_dbm);
        let powers = |antenna| {
            (0..frame.bins)
                .filter_map(move |bin| frame.sample(antenna, bin.into()))
                .map(|z| f64::from(z.norm_sqr()))
        };
        let sum: f64 = (0..4).flat_map(powers).sum();
        let rms = (sum / (4 * SENT_TONES) as f64).sqrt();
        // Gain goes in steps of a decibel and misses by half of one.
        assert!((rms / FULL_RMS - 1.0).abs() < 0.3, "{rms}");
    }
}
