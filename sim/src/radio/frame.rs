//! Receptions as datagrams: rounding, bin order, header.

use num_complex::Complex64;
use tapline_dsp::tier::Tier;
use tapline_wire::{Adr018, Ppdu, Samples, Tlf1, TlfGrid, WireError};

use super::receiver::Reception;
use crate::{
    channel::tones::Tones,
    scene::{Chip, Format, Scene},
};

/// HT-LTF against LLTF in the recordings of real ESP32-S3 nodes: mean amplitude 42 against 12.9.
const HT_LTF_GAIN: f64 = 3.3;

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) tx: u16,
    pub(crate) rx: u16,
    pub(crate) chip: Chip,
    pub(crate) seq: u32,
    pub(crate) capture_us: u64,
    pub(crate) mesh_time: bool,
    pub(crate) boot_count: u16,
}

/// Writes datagrams; keeps its buffers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Framer {
    wide: Vec<[i16; 2]>,
    narrow: Vec<[i8; 2]>,
}

impl Framer {
    /// Writes one datagram into the empty buffer `out`.
    pub(crate) fn write(
        &mut self,
        scene: &Scene,
        tones: &Tones,
        header: Header,
        reception: &Reception,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let tier = scene.radio.tier;
        let khz = (scene.radio.centre_mhz * 1000.0).round() as u32;
        match scene.radio.format {
            Format::Tlf1 => {
                let antennas = reception.samples.len() / tones.dense();
                let bins = tier.fft_size();
                let samples = if antennas == 1 {
                    fill(&mut self.wide, bins, tones, reception, |s| [word(s.re), word(s.im)]);
                    Samples::I16(&self.wide)
                } else {
                    // An Ethernet frame does not hold four antennas of HT40 in 16 bits.
                    fill(&mut self.narrow, bins, tones, reception, |s| [byte(s.im), byte(s.re)]);
                    Samples::I8(&self.narrow)
                };
                Tlf1 {
                    rx_node: header.rx,
                    tx_node: Some(header.tx),
                    seq: header.seq,
                    capture_us: header.capture_us,
                    mesh_time: header.mesh_time,
                    simulated: true,
                    centre_khz: khz,
                    bandwidth_mhz: tier.bandwidth_mhz(),
                    grid: TlfGrid::Bins(tier),
                    antennas: antennas as u8,
                    rssi_dbm: reception.rssi_dbm,
                    noise_dbm: reception.noise_dbm,
                    agc_db: Some(reception.agc_db),
                    boot_count: header.boot_count,
                    samples,
                }
                .encode(None, out)
            }
            Format::Adr018 => {
                self.narrow.clear();
                let negative_first = matches!(header.chip, Chip::Esp32c5 | Chip::Esp32c6);
                if tier == Tier::Ht20 && !negative_first {
                    self.field(tones, reception, 26, 1.0, negative_first);
                    self.field(tones, reception, 28, HT_LTF_GAIN, negative_first);
                } else {
                    self.field(tones, reception, tones.last, 1.0, negative_first);
                }
                if header.chip == Chip::Esp32 {
                    self.narrow[..2].fill([0, 0]);
                }
                Adr018 {
                    node: u8::try_from(header.rx).unwrap_or(u8::MAX),
                    antennas: 1,
                    bins: self.narrow.len() as u16,
                    frequency_mhz: (khz + 500) / 1000,
                    seq: header.seq,
                    rssi_dbm: reception.rssi_dbm,
                    noise_dbm: reception.noise_dbm,
                    ppdu: Ppdu::from_code(0),
                    wide: false,
                    stbc: false,
                    ldpc: false,
                    sync_valid: header.mesh_time,
                    pairs: &self.narrow,
                }
                .encode(out)
            }
        }
    }

    /// Appends a training field of 64 bins with tones up to `last`.
    fn field(&mut self, tones: &Tones, reception: &Reception, last: i32, gain: f64, negative_first: bool) {
        let begin = self.narrow.len();
        self.narrow.resize(begin + 64, [0, 0]);
        for (index, sample) in carried(tones, &reception.samples).filter(|(i, _)| i.abs() <= last) {
            let bin = match (negative_first, index < 0) {
                (true, _) => index + 32,
                (false, true) => index + 64,
                (false, false) => index,
            };
            self.narrow[begin + bin as usize] = [byte(sample.im * gain), byte(sample.re * gain)];
        }
    }
}

/// Replaces `into` by the FFT bins of all antennas, `[antenna][bin]`: tones 0 and up, then the negative ones.
fn fill<T: Copy + Default>(
    into: &mut Vec<[T; 2]>,
    bins: usize,
    tones: &Tones,
    reception: &Reception,
    rounded: impl Fn(Complex64) -> [T; 2],
) {
    into.clear();
    for antenna in reception.samples.chunks_exact(tones.dense()) {
        let begin = into.len();
        into.resize(begin + bins, [T::default(); 2]);
        for (index, sample) in carried(tones, antenna) {
            let bin = if index < 0 { bins as i32 + index } else { index };
            into[begin + bin as usize] = rounded(sample);
        }
    }
}

/// The tones of one antenna that are sent, with their index.
fn carried<'a>(tones: &'a Tones, samples: &'a [Complex64]) -> impl Iterator<Item = (i32, Complex64)> + 'a {
    samples
        .iter()
        .enumerate()
        .map(|(slot, sample)| (slot as i32 - tones.last, *sample))
        .filter(|(index, _)| index.abs() >= tones.first)
}

/// Rounds and saturates: `as` does not wrap.
fn word(x: f64) -> i16 {
    x.round() as i16
}

fn byte(x: f64) -> i8 {
    x.round() as i8
}

#[cfg(test)]
mod tests {
    use num_complex::Complex32;
    use tapline_wire::{BinLayout, CsiFrame, Datagram, parse};

    use super::*;

    /// An ADR-018 frame of which the sample at tone k is k + 5j.
    fn adr018(tier: Tier, chip: Chip) -> Vec<u8> {
        let mut scene = Scene::builtin("two-nodes-adr018").unwrap();
        scene.radio.tier = tier;
        let tones = Tones::new(tier, 2.437e9);
        let reception = Reception {
            samples: (-tones.last..=tones.last)
                .map(|k| Complex64::new(f64::from(k), 5.0))
                .collect(),
            rssi_dbm: -40,
            noise_dbm: -94,
            agc_db: 20,
        };
        let header = Header {
            tx: 9,
            rx: 1,
            chip,
            seq: 7,
            capture_us: 0,
            mesh_time: false,
            boot_count: 1,
        };
        let mut out = Vec::new();
        Framer::default()
            .write(&scene, &tones, header, &reception, &mut out)
            .unwrap();
        out
    }

    fn csi(bytes: &[u8]) -> CsiFrame<'_> {
        match parse(bytes) {
            Ok(Datagram::Csi(frame)) => frame,
            other => panic!("expected a CSI frame, found {other:?}"),
        }
    }

    /// Real part of a bin.
    fn re(frame: &CsiFrame<'_>, bin: usize) -> i8 {
        frame.samples[2 * bin + 1].cast_signed()
    }

    #[test]
    fn an_ht20_frame_is_lltf_and_ht_ltf_of_64_bins_each() {
        let bytes = adr018(Tier::Ht20, Chip::Esp32s3);
        let frame = csi(&bytes);
        assert_eq!((frame.bins, frame.own_tier()), (128, Some(Tier::Ht20)));
        for k in 1..=28_u8 {
            let lltf = if k <= 26 { k.cast_signed() } else { 0 };
            let ht_ltf = (f64::from(k) * HT_LTF_GAIN).round() as i8;
            let (up, down) = (usize::from(k), 64 - usize::from(k));
            assert_eq!((re(&frame, up), re(&frame, down)), (lltf, -lltf), "LLTF {k}");
            assert_eq!(
                (re(&frame, 64 + up), re(&frame, 64 + down)),
                (ht_ltf, -ht_ltf),
                "HT-LTF {k}"
            );
        }
        for bin in (0..1).chain(29..36) {
            assert_eq!((re(&frame, bin), re(&frame, 64 + bin)), (0, 0), "bin {bin}");
        }
    }

    #[test]
    fn chips_order_bins_as_the_parser_knows_them() {
        for (chip, layout, spoilt) in [
            (Chip::Esp32, BinLayout::Esp32, Some(1)),
            (Chip::Esp32s3, BinLayout::Esp32S3, None),
            (Chip::Esp32c3, BinLayout::Esp32C3, None),
            (Chip::Esp32c5, BinLayout::Esp32C5, None),
            (Chip::Esp32c6, BinLayout::Esp32C6, None),
        ] {
            let bytes = adr018(Tier::Lltf64, chip);
            let frame = csi(&bytes);
            let (mut tones, mut mask) = ([Complex32::ZERO; 52], [0; 52]);
            frame.tones(0, layout, Tier::Lltf64, &mut tones, &mut mask).unwrap();
            for ((index, tone), mask) in Tier::Lltf64.tone_indices().zip(tones).zip(mask) {
                let there = spoilt != Some(index);
                let expected = if there {
                    Complex32::new(f32::from(index), 5.0)
                } else {
                    Complex32::ZERO
                };
                assert_eq!((tone, mask), (expected, u8::from(there)), "{chip:?} tone {index}");
            }
            // What the classic ESP32 spoils is the first word: carrier and tone 1.
            if chip == Chip::Esp32 {
                assert_eq!(frame.samples[..4], [0; 4]);
            }
        }
    }

    #[test]
    fn an_ht20_frame_of_a_c6_is_one_field_from_the_lowest_tone_up() {
        let bytes = adr018(Tier::Ht20, Chip::Esp32c6);
        let frame = csi(&bytes);
        assert_eq!(frame.bins, 64);
        for k in -28..=28_i8 {
            assert_eq!(re(&frame, (32 + i32::from(k)) as usize), k);
        }
    }
}
