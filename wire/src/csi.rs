//! The CSI frame that every CSI datagram becomes.

use tapline_dsp::tier::Tier;

use crate::{
    bytes::{MAC_LEN, check_mac},
    error::WireError,
};

/// PPDU type in ADR-018 byte 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ppdu {
    /// HT or legacy.
    HtOrLegacy,
    /// HE single user.
    HeSingleUser,
    /// HE multi user.
    HeMultiUser,
    /// HE trigger based.
    HeTriggerBased,
    /// Not told, or a code this code does not know.
    Unknown,
}

impl Ppdu {
    /// From the byte of an ADR-018 datagram.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::HtOrLegacy,
            1 => Self::HeSingleUser,
            2 => Self::HeMultiUser,
            3 => Self::HeTriggerBased,
            _ => Self::Unknown,
        }
    }

    /// The byte of an ADR-018 datagram.
    pub const fn code(self) -> u8 {
        match self {
            Self::HtOrLegacy => 0,
            Self::HeSingleUser => 1,
            Self::HeMultiUser => 2,
            Self::HeTriggerBased => 3,
            Self::Unknown => 0xFF,
        }
    }

    /// True for the three HE types.
    pub const fn is_he(self) -> bool {
        matches!(self, Self::HeSingleUser | Self::HeMultiUser | Self::HeTriggerBased)
    }
}

/// Which tones the samples of one antenna stand for, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid<'a> {
    /// The buffer of an ESP32: long training fields one after another, in an order the chip decides.
    Esp {
        /// PPDU type.
        ppdu: Ppdu,
        /// The frame was space-time block coded: a second HT-LTF follows the first.
        stbc: bool,
        /// It was LDPC coded.
        ldpc: bool,
        /// The node's clock is synchronised.
        sync_valid: bool,
    },
    /// All bins of the tier's FFT: 0..N/2-1, then -N/2..-1.
    Bins(Tier),
    /// The tier's active tones, ascending.
    Active(Tier),
    /// Tones of its own at 312.5 kHz: little-endian i16 indices.
    Own(&'a [u8]),
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SampleFormat {
    /// i8 imaginary, i8 real.
    I8 = 0,
    /// i16 real, i16 imaginary.
    I16 = 1,
    /// f32 real, f32 imaginary.
    F32 = 2,
    /// f32 amplitude; the phase was not measured.
    Amplitude = 3,
}

impl SampleFormat {
    /// From the byte of a TLF1 datagram.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::I8),
            1 => Some(Self::I16),
            2 => Some(Self::F32),
            3 => Some(Self::Amplitude),
            _ => None,
        }
    }

    /// Bytes a sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I8 => 2,
            Self::I16 | Self::Amplitude => 4,
            Self::F32 => 8,
        }
    }
}

/// One CSI frame, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsiFrame<'a> {
    /// Receiving node.
    pub rx_node: u16,
    /// Transmitting node, where the datagram says so.
    pub tx_node: Option<u16>,
    /// Sequence number of the receiving node; wraps.
    pub seq: u32,
    /// Time of capture, microseconds of the node's clock or of the mesh epoch.
    pub capture_us: Option<u64>,
    /// `capture_us` is mesh epoch.
    pub mesh_time: bool,
    /// Carrier, kHz; 0 when unknown.
    pub centre_khz: u32,
    /// Bandwidth of the frame, MHz.
    pub bandwidth_mhz: u16,
    /// Receive antennas.
    pub rx_antennas: u8,
    /// Samples an antenna.
    pub bins: u16,
    /// What they stand for.
    pub grid: Grid<'a>,
    /// Received strength as sent, dBm; see [`CsiFrame::rssi`].
    pub rssi_dbm: i8,
    /// Noise floor as sent, dBm; see [`CsiFrame::noise`].
    pub noise_dbm: i8,
    /// Gain of the receiver, dB.
    pub agc_db: Option<u8>,
    /// Boots of the node, where it counts them.
    pub boot_count: Option<u16>,
    /// A generator made this frame.
    pub simulated: bool,
    /// How samples are written.
    pub format: SampleFormat,
    /// `rx_antennas * bins` samples, antenna-major.
    pub samples: &'a [u8],
    /// Authentication code, unchecked.
    pub mac: Option<&'a [u8; MAC_LEN]>,
    /// All bytes before the MAC.
    pub(crate) covered: &'a [u8],
}

impl CsiFrame<'_> {
    /// Received strength, dBm. Real strengths are negative: 0, 1 and 127 are what recorders write for "unknown".
    pub fn rssi(&self) -> Option<i8> {
        Some(self.rssi_dbm).filter(|&dbm| dbm < 0)
    }

    /// Noise floor, dBm, by the same rule.
    pub fn noise(&self) -> Option<i8> {
        Some(self.noise_dbm).filter(|&dbm| dbm < 0)
    }

    /// False when the samples are amplitudes only.
    pub fn has_phase(&self) -> bool {
        self.format != SampleFormat::Amplitude
    }

    /// Checks the MAC against the node's key.
    ///
    /// # Errors
    /// [`WireError::MacMissing`] without one, [`WireError::MacMismatch`] when it is another.
    pub fn verify_mac(&self, key: &[u8; 32]) -> Result<(), WireError> {
        check_mac(key, self.covered, self.mac)
    }

    /// The densest tier this frame measures by itself, or `None` for own tones and unknown bin counts.
    pub fn own_tier(&self) -> Option<Tier> {
        match self.grid {
            Grid::Bins(tier) | Grid::Active(tier) => Some(tier),
            Grid::Own(_) => None,
            Grid::Esp { ppdu, .. } => match (self.bins, self.bandwidth_mhz) {
                (256, 20) if ppdu.is_he() => Some(Tier::He20),
                (128 | 192, 40) => Some(Tier::Ht40),
                (128.., 20) => Some(Tier::Ht20),
                (64.., _) => Some(Tier::Lltf64),
                _ => None,
            },
        }
    }
}
