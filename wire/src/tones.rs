//! From the samples of a frame to the active tones of a tier.
//!
//! An ESP32 hands over its long training fields one after another: LLTF (64 bins), then HT-LTF (64 bins
//! at 20 MHz, 128 at 40 MHz), then a second HT-LTF when the frame was space-time coded. A node sends 64,
//! 128 and 192 bins interleaved, and only the LLTF is in all of them, at one scale. The order of the bins
//! inside a field depends on chip and channel, so it is configured or found from where the nulls are.

use num_complex::Complex32;
use tapline_dsp::tier::Tier;

use crate::{
    csi::{CsiFrame, Grid, SampleFormat},
    error::WireError,
    tlf1::own_indices,
};

/// No receiver has samples beyond this, whatever its unit; squares of smaller ones, and sums of those, stay numbers.
const LARGEST_SAMPLE: f32 = 1e15;

/// How a node's chip orders bins; says nothing about TLF1, whose order is fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BinLayout {
    /// Find the order from the nulls of each training field.
    #[default]
    Auto,
    /// 0..31, -32..-1; the first two bins are invalid (the chip spoils the first word).
    Esp32,
    /// 0..31, -32..-1.
    Esp32S3,
    /// 0..31, -32..-1.
    Esp32C3,
    /// -32..31; one training field a frame.
    Esp32C5,
    /// -32..31; one training field a frame.
    Esp32C6,
}

impl BinLayout {
    /// Every layout.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Esp32,
        Self::Esp32S3,
        Self::Esp32C3,
        Self::Esp32C5,
        Self::Esp32C6,
    ];

    /// The name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Esp32 => "esp32",
            Self::Esp32S3 => "esp32s3",
            Self::Esp32C3 => "esp32c3",
            Self::Esp32C5 => "esp32c5",
            Self::Esp32C6 => "esp32c6",
        }
    }

    /// The layout with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }

    fn one_field_a_frame(self) -> bool {
        matches!(self, Self::Esp32C5 | Self::Esp32C6)
    }
}

/// Order of the bins of one training field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinOrder {
    /// 0..N/2-1, then -N/2..-1.
    PositiveFirst,
    /// -N/2..N/2-1.
    NegativeFirst,
}

impl BinOrder {
    /// Where tone `index` stands in a field of `bins`; `None` outside it.
    fn position(self, index: i16, bins: usize) -> Option<usize> {
        let half = (bins / 2) as i32;
        let index = i32::from(index);
        if index < -half || index >= half {
            return None;
        }
        Some(match self {
            Self::NegativeFirst => (index + half) as usize,
            Self::PositiveFirst if index >= 0 => index as usize,
            Self::PositiveFirst => (index + 2 * half) as usize,
        })
    }
}

/// One training field inside the samples of one antenna.
#[derive(Clone, Copy)]
struct Field {
    first_bin: usize,
    bins: usize,
}

impl CsiFrame<'_> {
    /// Extracts the active tones of `tier`, ascending by tone index.
    ///
    /// `tones` and `mask` have `tier.tones()` elements; `mask` is 1 where a tone was measured. A tone that
    /// is outside what the frame carries, a null bin, a sample that is not finite or beyond 1e15 and (classic
    /// ESP32) the spoilt first word are masked; masked tones are zero. A field of zeros alone masks everything.
    /// Samples keep the node's scale. Amplitude-only frames give their amplitude as the real part.
    ///
    /// # Errors
    /// [`WireError::TierUnavailable`] when this frame does not carry the tier's grid (not even in part),
    /// [`WireError::Antenna`], [`WireError::Buffer`]. `tones` and `mask` are then unchanged.
    pub fn tones(
        &self,
        antenna: u8,
        layout: BinLayout,
        tier: Tier,
        tones: &mut [Complex32],
        mask: &mut [u8],
    ) -> Result<(), WireError> {
        for (what, found) in [("tones", tones.len()), ("mask", mask.len())] {
            if found != tier.tones() {
                return Err(WireError::Buffer {
                    what,
                    expected: tier.tones(),
                    found,
                });
            }
        }
        if antenna >= self.rx_antennas {
            return Err(WireError::Antenna {
                antennas: self.rx_antennas,
                found: antenna,
            });
        }
        match self.grid {
            Grid::Esp { .. } => self.esp_tones(antenna, layout, tier, tones, mask)?,
            Grid::Bins(own) => {
                self.require_same_carrier(own, tier)?;
                let (lowest, highest) = own.tone_range();
                self.fill(tier, tones, mask, |index, magnitude| {
                    let position = BinOrder::PositiveFirst.position(index, own.fft_size())?;
                    let sample = self.sample(antenna, position);
                    let active = (lowest..=highest).contains(&magnitude);
                    sample.filter(|x| active || *x != Complex32::ZERO)
                });
            }
            Grid::Active(own) => {
                self.require_same_carrier(own, tier)?;
                let (lowest, highest) = own.tone_range();
                let half = own.tones() / 2;
                self.fill(tier, tones, mask, |index, magnitude| {
                    let from_carrier = usize::try_from(magnitude - lowest).ok()?;
                    if magnitude > highest {
                        return None;
                    }
                    let position = if index < 0 {
                        half - 1 - from_carrier
                    } else {
                        half + from_carrier
                    };
                    self.sample(antenna, position)
                });
            }
            Grid::Own(indices) => {
                if tier.spacing_hz() != Tier::Ht20.spacing_hz() {
                    return Err(self.unavailable(tier));
                }
                let mut own = own_indices(indices).enumerate().peekable();
                self.fill(tier, tones, mask, |index, _| {
                    while own.next_if(|&(_, own_index)| own_index < index).is_some() {}
                    let (position, _) = own.next_if(|&(_, own_index)| own_index == index)?;
                    self.sample(antenna, position)
                });
            }
        }
        Ok(())
    }

    /// The order of the bins in the first training field, found from its nulls; `None` when the frame is
    /// no ESP32 buffer or its nulls do not tell (all zeros, or no field of 64 bins).
    pub fn detect_bin_order(&self, antenna: u8) -> Option<BinOrder> {
        if !matches!(self.grid, Grid::Esp { .. }) || antenna >= self.rx_antennas {
            return None;
        }
        let whole_field = self.own_tier().filter(|tier| matches!(tier, Tier::He20));
        let bins = whole_field.map_or(64, Tier::fft_size);
        if usize::from(self.bins) < bins {
            return None;
        }
        self.order_of(antenna, Field { first_bin: 0, bins })
    }

    fn esp_tones(
        &self,
        antenna: u8,
        layout: BinLayout,
        tier: Tier,
        tones: &mut [Complex32],
        mask: &mut [u8],
    ) -> Result<(), WireError> {
        let field = self.field_of(layout, tier).ok_or_else(|| self.unavailable(tier))?;
        let order = match layout {
            BinLayout::Auto => self.order_of(antenna, field).unwrap_or(BinOrder::PositiveFirst),
            BinLayout::Esp32 | BinLayout::Esp32S3 | BinLayout::Esp32C3 => BinOrder::PositiveFirst,
            BinLayout::Esp32C5 | BinLayout::Esp32C6 => BinOrder::NegativeFirst,
        };
        // Bin 0 is a null in either order, so anything there is the classic chip's spoilt first word.
        let first_word_spoilt = match layout {
            BinLayout::Esp32 => true,
            BinLayout::Auto => self.energy(antenna, 0) != 0,
            _ => false,
        };
        let spoilt_bins = if first_word_spoilt && antenna == 0 { 2 } else { 0 };
        let silent = (field.first_bin..field.first_bin + field.bins).all(|bin| self.energy(antenna, bin) == 0);
        // Beyond the tones every field carries, a zero is a null bin and not a faded tone.
        let (_, sure) = match tier {
            Tier::Canonical56 => Tier::Lltf64.tone_range(),
            _ => tier.tone_range(),
        };
        self.fill(tier, tones, mask, |index, magnitude| {
            let bin = field.first_bin + order.position(index, field.bins)?;
            let null = magnitude > sure && self.energy(antenna, bin) == 0;
            if silent || null || bin < spoilt_bins {
                None
            } else {
                self.sample(antenna, bin)
            }
        });
        Ok(())
    }

    /// The training field of an ESP32 buffer that carries `tier`.
    fn field_of(&self, layout: BinLayout, tier: Tier) -> Option<Field> {
        let Grid::Esp { ppdu, .. } = self.grid else { return None };
        let bins = usize::from(self.bins);
        let wide = self.bandwidth_mhz == 40;
        let he = ppdu.is_he() && bins == Tier::He20.fft_size();
        let (first_bin, field_bins) = match tier {
            Tier::He20 if he && !wide => (0, 256),
            Tier::Ht40 if wide && bins == 128 => (0, 128),
            Tier::Ht40 if wide && bins >= 192 && !he => (64, 128),
            Tier::Ht20 if layout.one_field_a_frame() && !wide && bins == 64 => (0, 64),
            Tier::Ht20 if !wide && bins >= 128 && !he => (64, 64),
            Tier::Lltf64 | Tier::Canonical56 if bins >= 64 && !he && !(wide && bins == 128) => (0, 64),
            _ => return None,
        };
        Some(Field {
            first_bin,
            bins: field_bins,
        })
    }

    /// Compares the energy in the middle of the field (the guard band of positive-first order) with that
    /// at its ends (the guard band of negative-first order). Integers, so every machine agrees.
    fn order_of(&self, antenna: u8, field: Field) -> Option<BinOrder> {
        // Bins common to the guard bands of LLTF, HT20, HT40 and HE20, scaled with the field:
        // of 64 bins the 5 around the middle (the carrier null between strong tones in the other order),
        // and 2, 3, N-3, N-2, N-1 (0 and 1 may be spoilt).
        let n = field.bins;
        let energy = |bin: usize| u64::from(self.energy(antenna, field.first_bin + bin));
        let middle: u64 = [n / 2 - 2, n / 2 - 1, n / 2, n / 2 + 1, n / 2 + 2]
            .into_iter()
            .map(energy)
            .sum();
        let ends: u64 = [2, 3, n - 3, n - 2, n - 1].into_iter().map(energy).sum();
        match middle.cmp(&ends) {
            std::cmp::Ordering::Less => Some(BinOrder::PositiveFirst),
            std::cmp::Ordering::Greater => Some(BinOrder::NegativeFirst),
            std::cmp::Ordering::Equal => None,
        }
    }

    fn require_same_carrier(&self, own: Tier, tier: Tier) -> Result<(), WireError> {
        let same_spacing = own.spacing_hz() == tier.spacing_hz();
        if same_spacing && (own.bandwidth_mhz() == tier.bandwidth_mhz() || tier == Tier::Canonical56) {
            Ok(())
        } else {
            Err(self.unavailable(tier))
        }
    }

    fn unavailable(&self, tier: Tier) -> WireError {
        WireError::TierUnavailable {
            tier: tier.name(),
            bins: self.bins,
            bandwidth_mhz: self.bandwidth_mhz,
        }
    }

    /// Asks `measured(index, |index|)` for every tone of the tier, ascending.
    fn fill(
        &self,
        tier: Tier,
        tones: &mut [Complex32],
        mask: &mut [u8],
        mut measured: impl FnMut(i16, i16) -> Option<Complex32>,
    ) {
        for ((index, tone), valid) in tier.tone_indices().zip(tones).zip(mask) {
            let sample =
                measured(index, index.abs()).filter(|x| [x.re, x.im].iter().all(|part| part.abs() <= LARGEST_SAMPLE));
            *tone = sample.unwrap_or(Complex32::ZERO);
            *valid = u8::from(sample.is_some());
        }
    }

    /// Squared magnitude of an i8 sample.
    fn energy(&self, antenna: u8, bin: usize) -> u32 {
        let at = usize::from(antenna) * usize::from(self.bins) + bin;
        self.samples.get(2 * at..2 * at + 2).map_or(0, |pair| {
            let square = |byte: u8| i32::from(byte as i8).pow(2) as u32;
            square(pair[0]) + square(pair[1])
        })
    }

    /// Sample `position` of `antenna`, in the node's scale.
    pub fn sample(&self, antenna: u8, position: usize) -> Option<Complex32> {
        if antenna >= self.rx_antennas || position >= usize::from(self.bins) {
            return None;
        }
        let at = usize::from(antenna) * usize::from(self.bins) + position;
        let width = self.format.bytes();
        let bytes = self.samples.get(at * width..(at + 1) * width)?;
        let short = |i: usize| f32::from(i16::from_le_bytes([bytes[i], bytes[i + 1]]));
        let float = |i: usize| f32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Some(match self.format {
            SampleFormat::I8 => Complex32::new(f32::from(bytes[1] as i8), f32::from(bytes[0] as i8)),
            SampleFormat::I16 => Complex32::new(short(0), short(2)),
            SampleFormat::F32 => Complex32::new(float(0), float(4)),
            SampleFormat::Amplitude => Complex32::new(float(0), 0.0),
        })
    }
}
