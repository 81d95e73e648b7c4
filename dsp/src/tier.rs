//! PHY tiers: which tones (subcarriers) a frame carries and how far apart they stand.
//!
//! Tone indices are relative to the carrier, ascending. Tables after IEEE 802.11-2020 (17.3.5.10
//! legacy, 19.3.7 HT) and 802.11ax-2021 (27.3.10 HE), data and pilot tones together.

/// A PHY tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// 20 MHz HT: 52 tones used, +-1..26 (HT-LTF carries +-1..28; see `Canonical56`).
    Ht20 = 0,
    /// 40 MHz HT: 114 tones, +-2..58.
    Ht40 = 1,
    /// 20 MHz HE: 242 tones, +-2..122.
    He20 = 2,
    /// 40 MHz HE: 484 tones, +-3..244.
    He40 = 3,
    /// The common grid of mixed hardware: 56 tones, +-1..28 at 312.5 kHz.
    Canonical56 = 4,
    /// Legacy long training field: 52 tones, +-1..26.
    Lltf64 = 5,
}

impl Tier {
    /// Every tier, by code.
    pub const ALL: [Self; 6] = [
        Self::Ht20,
        Self::Ht40,
        Self::He20,
        Self::He40,
        Self::Canonical56,
        Self::Lltf64,
    ];

    /// The tier with this code in datagrams and plugin records.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }

    /// The code in datagrams and plugin records.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The name in configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ht20 => "HT20",
            Self::Ht40 => "HT40",
            Self::He20 => "HE20",
            Self::He40 => "HE40",
            Self::Canonical56 => "canonical-56",
            Self::Lltf64 => "LLTF-64",
        }
    }

    /// FFT size N: bins a frame of this tier carries.
    pub const fn fft_size(self) -> usize {
        match self {
            Self::Ht20 | Self::Canonical56 | Self::Lltf64 => 64,
            Self::Ht40 => 128,
            Self::He20 => 256,
            Self::He40 => 512,
        }
    }

    /// Magnitudes of the active tone indices: `first..=last` on both sides of the carrier.
    pub const fn tone_range(self) -> (i16, i16) {
        match self {
            Self::Ht20 | Self::Lltf64 => (1, 26),
            Self::Ht40 => (2, 58),
            Self::He20 => (2, 122),
            Self::He40 => (3, 244),
            Self::Canonical56 => (1, 28),
        }
    }

    /// Active tones K.
    pub const fn tones(self) -> usize {
        let (first, last) = self.tone_range();
        2 * (last - first + 1) as usize
    }

    /// Delay taps G = 3 K.
    pub const fn taps(self) -> usize {
        3 * self.tones()
    }

    /// Tone spacing, Hz.
    pub const fn spacing_hz(self) -> f64 {
        match self {
            Self::He20 | Self::He40 => 78_125.0,
            _ => 312_500.0,
        }
    }

    /// Occupied bandwidth, MHz.
    pub const fn bandwidth_mhz(self) -> u16 {
        match self {
            Self::Ht40 | Self::He40 => 40,
            _ => 20,
        }
    }

    /// Delay of one tap, 1 / (G df), seconds.
    pub fn tap_delay_s(self) -> f64 {
        1.0 / (self.taps() as f64 * self.spacing_hz())
    }

    /// Active tone indices, ascending.
    pub fn tone_indices(self) -> impl ExactSizeIterator<Item = i16> + Clone {
        let (first, last) = self.tone_range();
        let half = (last - first + 1) as usize;
        (0..2 * half).map(move |i| {
            if i < half {
                -last + i as i16
            } else {
                first + (i - half) as i16
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_published_sizes() {
        let sizes: Vec<_> = Tier::ALL.iter().map(|t| (t.fft_size(), t.tones(), t.taps())).collect();
        assert_eq!(
            sizes,
            [
                (64, 52, 156),
                (128, 114, 342),
                (256, 242, 726),
                (512, 484, 1452),
                (64, 56, 168),
                (64, 52, 156)
            ]
        );
    }

    #[test]
    fn indices_ascend_without_the_carrier() {
        for tier in Tier::ALL {
            let indices: Vec<_> = tier.tone_indices().collect();
            assert_eq!(indices.len(), tier.tones());
            assert!(indices.windows(2).all(|w| w[0] < w[1]) && !indices.contains(&0));
        }
    }
}
