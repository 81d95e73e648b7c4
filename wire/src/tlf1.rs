//! "TLF1": this project's own CSI frame, for what ADR-018 lacks (transmitter, capture time, more bits, a MAC).

use num_complex::Complex32;
use tapline_dsp::tier::Tier;

use crate::{
    bytes::{MAC_LEN, exact_length, header, mac_of, u16_at, u32_at, u64_at},
    csi::{CsiFrame, Grid, SampleFormat},
    error::WireError,
    kind::magic,
};

const WHAT: &str = "TLF1";
const HEADER_LEN: usize = 40;
const VERSION: u8 = 1;
/// Most receive antennas.
const MAX_ANTENNAS: u8 = 8;
/// Most own tones an antenna.
pub const MAX_OWN_TONES: u16 = 2048;
/// The largest UDP payload over IPv4, bytes.
pub const MAX_DATAGRAM: usize = 65_507;

const FLAG_MAC: u8 = 1;
const FLAG_MESH_TIME: u8 = 2;
const FLAG_SIMULATED: u8 = 4;
const TIER_OWN: u8 = 6;
const NODE_UNKNOWN: u16 = 0xFFFF;
const AGC_UNKNOWN: u8 = 0xFF;

fn field<T>(field: &'static str, expected: &'static str, found: i64) -> Result<T, WireError> {
    Err(WireError::Field {
        what: WHAT,
        field,
        expected,
        found,
    })
}

pub(crate) fn parse(bytes: &[u8]) -> Result<CsiFrame<'_>, WireError> {
    let h = header::<HEADER_LEN>(WHAT, bytes)?;
    if h[4] != VERSION {
        return Err(WireError::Version {
            what: WHAT,
            expected: VERSION,
            found: h[4],
        });
    }
    let flags = h[5];
    if flags & !(FLAG_MAC | FLAG_MESH_TIME | FLAG_SIMULATED) != 0 {
        return field("flags", "with bits 3 to 7 clear", flags.into());
    }
    if usize::from(u16_at(h, 6)) != HEADER_LEN {
        return field("header length", "40", u16_at(h, 6).into());
    }
    let antennas = h[31];
    if antennas == 0 || antennas > MAX_ANTENNAS {
        return field("antennas", "1..=8", antennas.into());
    }
    let Some(format) = SampleFormat::from_code(h[34]) else {
        return field("sample format", "0..=3", h[34].into());
    };
    let bins = u16_at(h, 32);
    let indices_len = if h[30] == TIER_OWN { 2 * usize::from(bins) } else { 0 };
    let samples_len = usize::from(antennas) * usize::from(bins) * format.bytes();
    let mac_len = if flags & FLAG_MAC != 0 { MAC_LEN } else { 0 };
    let body_len = indices_len + samples_len;
    exact_length(WHAT, HEADER_LEN + body_len + mac_len, bytes.len())?;
    let (covered, mac) = bytes.split_at(HEADER_LEN + body_len);
    let (indices, samples) = covered[HEADER_LEN..].split_at(indices_len);
    let grid = grid_of(h[30], bins, indices)?;
    let tx_node = u16_at(h, 10);
    Ok(CsiFrame {
        rx_node: u16_at(h, 8),
        tx_node: Some(tx_node).filter(|&node| node != NODE_UNKNOWN),
        seq: u32_at(h, 12),
        capture_us: Some(u64_at(h, 16)),
        mesh_time: flags & FLAG_MESH_TIME != 0,
        centre_khz: u32_at(h, 24),
        bandwidth_mhz: u16_at(h, 28),
        rx_antennas: antennas,
        bins,
        grid,
        rssi_dbm: i8::from_le_bytes([h[35]]),
        noise_dbm: i8::from_le_bytes([h[36]]),
        agc_db: Some(h[37]).filter(|&db| db != AGC_UNKNOWN),
        boot_count: Some(u16_at(h, 38)),
        simulated: flags & FLAG_SIMULATED != 0,
        format,
        samples,
        mac: mac.first_chunk(),
        covered,
    })
}

fn grid_of(tier_code: u8, bins: u16, indices: &[u8]) -> Result<Grid<'_>, WireError> {
    if tier_code == TIER_OWN {
        if bins == 0 || bins > MAX_OWN_TONES {
            return field("own tones", "1..=2048", bins.into());
        }
        if !own_indices(indices).is_sorted_by(|a, b| a < b) {
            return field("own tone indices", "strictly ascending", bins.into());
        }
        return Ok(Grid::Own(indices));
    }
    let Some(tier) = Tier::from_code(tier_code.into()) else {
        return field("tier", "0..=6", tier_code.into());
    };
    match usize::from(bins) {
        n if n == tier.fft_size() => Ok(Grid::Bins(tier)),
        n if n == tier.tones() => Ok(Grid::Active(tier)),
        _ => field(
            "subcarriers",
            "the FFT size or the active count of the tier",
            bins.into(),
        ),
    }
}

/// Indices of a [`Grid::Own`].
pub fn own_indices(indices: &[u8]) -> impl ExactSizeIterator<Item = i16> + Clone + '_ {
    indices
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
}

/// Which tones a TLF1 datagram carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlfGrid<'a> {
    /// All bins of the tier's FFT: 0..N/2-1, then -N/2..-1.
    Bins(Tier),
    /// The tier's active tones, ascending.
    Active(Tier),
    /// These tones at 312.5 kHz, strictly ascending.
    Own(&'a [i16]),
}

impl TlfGrid<'_> {
    fn len(self) -> usize {
        match self {
            Self::Bins(tier) => tier.fft_size(),
            Self::Active(tier) => tier.tones(),
            Self::Own(indices) => indices.len(),
        }
    }
}

/// Samples of a TLF1 datagram, antenna-major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Samples<'a> {
    /// Imaginary part first.
    I8(&'a [[i8; 2]]),
    /// Real part first.
    I16(&'a [[i16; 2]]),
    /// Real part first.
    F32(&'a [Complex32]),
    /// Amplitudes without phase.
    Amplitude(&'a [f32]),
}

impl Samples<'_> {
    fn len(self) -> usize {
        match self {
            Self::I8(s) => s.len(),
            Self::I16(s) => s.len(),
            Self::F32(s) => s.len(),
            Self::Amplitude(s) => s.len(),
        }
    }

    fn format(self) -> SampleFormat {
        match self {
            Self::I8(_) => SampleFormat::I8,
            Self::I16(_) => SampleFormat::I16,
            Self::F32(_) => SampleFormat::F32,
            Self::Amplitude(_) => SampleFormat::Amplitude,
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::I8(s) => out.extend_from_slice(bytemuck::cast_slice(s)),
            Self::I16(s) => s
                .as_flattened()
                .iter()
                .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
            Self::F32(s) => s.iter().for_each(|x| {
                out.extend_from_slice(&x.re.to_le_bytes());
                out.extend_from_slice(&x.im.to_le_bytes());
            }),
            Self::Amplitude(s) => s.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        }
    }
}

/// What a TLF1 datagram is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tlf1<'a> {
    /// Receiving node.
    pub rx_node: u16,
    /// Transmitting node.
    pub tx_node: Option<u16>,
    /// Sequence number.
    pub seq: u32,
    /// Time of capture, microseconds.
    pub capture_us: u64,
    /// `capture_us` is mesh epoch.
    pub mesh_time: bool,
    /// A generator made this frame.
    pub simulated: bool,
    /// Carrier, kHz.
    pub centre_khz: u32,
    /// Bandwidth, MHz.
    pub bandwidth_mhz: u16,
    /// Which tones.
    pub grid: TlfGrid<'a>,
    /// Receive antennas, 1 to 8.
    pub antennas: u8,
    /// Received strength, dBm.
    pub rssi_dbm: i8,
    /// Noise floor, dBm.
    pub noise_dbm: i8,
    /// Receiver gain, dB, below 255.
    pub agc_db: Option<u8>,
    /// Boots of the node.
    pub boot_count: u16,
    /// `antennas` times the grid's length.
    pub samples: Samples<'a>,
}

impl Tlf1<'_> {
    /// Appends the datagram to `out`, with a MAC when there is a key.
    ///
    /// # Errors
    /// A shape the format cannot carry, samples that do not fill it, or more than a UDP datagram
    /// holds; `out` is then unchanged.
    pub fn encode(&self, key: Option<&[u8; 32]>, out: &mut Vec<u8>) -> Result<(), WireError> {
        let (tier_code, indices) = match self.grid {
            TlfGrid::Bins(tier) | TlfGrid::Active(tier) => (tier as u8, &[][..]),
            TlfGrid::Own(indices) => (TIER_OWN, indices),
        };
        self.check(indices)?;
        let start = out.len();
        let flag = |set, bit| if set { bit } else { 0 };
        out.extend_from_slice(&magic::TLF1.to_le_bytes());
        out.push(VERSION);
        out.push(
            flag(key.is_some(), FLAG_MAC) | flag(self.mesh_time, FLAG_MESH_TIME) | flag(self.simulated, FLAG_SIMULATED),
        );
        out.extend_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        out.extend_from_slice(&self.rx_node.to_le_bytes());
        out.extend_from_slice(&self.tx_node.unwrap_or(NODE_UNKNOWN).to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.capture_us.to_le_bytes());
        out.extend_from_slice(&self.centre_khz.to_le_bytes());
        out.extend_from_slice(&self.bandwidth_mhz.to_le_bytes());
        out.extend_from_slice(&[tier_code, self.antennas]);
        out.extend_from_slice(&(self.grid.len() as u16).to_le_bytes());
        out.push(self.samples.format() as u8);
        out.extend_from_slice(&self.rssi_dbm.to_le_bytes());
        out.extend_from_slice(&self.noise_dbm.to_le_bytes());
        out.push(self.agc_db.unwrap_or(AGC_UNKNOWN));
        out.extend_from_slice(&self.boot_count.to_le_bytes());
        indices
            .iter()
            .for_each(|index| out.extend_from_slice(&index.to_le_bytes()));
        self.samples.write(out);
        if let Some(key) = key {
            let mac = mac_of(key, &out[start..]);
            out.extend_from_slice(&mac);
        }
        Ok(())
    }

    fn check(&self, indices: &[i16]) -> Result<(), WireError> {
        if self.antennas == 0 || self.antennas > MAX_ANTENNAS {
            return field("antennas", "1..=8", self.antennas.into());
        }
        if self.tx_node == Some(NODE_UNKNOWN) {
            return field("transmitting node", "below 65535", NODE_UNKNOWN.into());
        }
        if self.agc_db == Some(AGC_UNKNOWN) {
            return field("gain", "below 255 dB", AGC_UNKNOWN.into());
        }
        if matches!(self.grid, TlfGrid::Own(_)) {
            if indices.is_empty() || indices.len() > usize::from(MAX_OWN_TONES) {
                return field("own tones", "1..=2048", indices.len() as i64);
            }
            if !indices.is_sorted_by(|a, b| a < b) {
                return field("own tone indices", "strictly ascending", indices.len() as i64);
            }
        }
        let expected = usize::from(self.antennas) * self.grid.len();
        if self.samples.len() != expected {
            return Err(WireError::Buffer {
                what: "TLF1 samples",
                expected,
                found: self.samples.len(),
            });
        }
        let len = HEADER_LEN + 2 * indices.len() + expected * self.samples.format().bytes() + MAC_LEN;
        if len > MAX_DATAGRAM {
            return field("length", "at most 65507 bytes", len as i64);
        }
        Ok(())
    }
}
