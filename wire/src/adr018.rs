//! Raw CSI as the ESP32 firmware sends it (ADR-018), 0xC5110001.

use crate::{
    bytes::{exact_length, header, u16_at, u32_at},
    csi::{CsiFrame, Grid, Ppdu, SampleFormat},
    error::WireError,
    kind::magic,
};

const WHAT: &str = "ADR-018 CSI";
const HEADER_LEN: usize = 20;
/// Most receive antennas.
const MAX_ANTENNAS: u8 = 4;
/// Most bins an antenna.
const MAX_BINS: u16 = 256;
const MAX_MHZ: u32 = 100_000;

const FLAG_40_MHZ: u8 = 1;
const FLAG_STBC: u8 = 4;
const FLAG_LDPC: u8 = 8;
const FLAG_SYNC_VALID: u8 = 16;

pub(crate) fn parse(bytes: &[u8]) -> Result<CsiFrame<'_>, WireError> {
    let h = header::<HEADER_LEN>(WHAT, bytes)?;
    let (antennas, bins, mhz) = (h[5], u16_at(h, 6), u32_at(h, 8));
    check_shape(antennas, bins, mhz)?;
    exact_length(
        WHAT,
        HEADER_LEN + 2 * usize::from(antennas) * usize::from(bins),
        bytes.len(),
    )?;
    let flags = h[19];
    Ok(CsiFrame {
        rx_node: u16::from(h[4]),
        tx_node: None,
        seq: u32_at(h, 12),
        capture_us: None,
        mesh_time: false,
        centre_khz: mhz * 1000,
        bandwidth_mhz: if flags & FLAG_40_MHZ != 0 { 40 } else { 20 },
        rx_antennas: antennas,
        bins,
        grid: Grid::Esp {
            ppdu: Ppdu::from_code(h[18]),
            stbc: flags & FLAG_STBC != 0,
            ldpc: flags & FLAG_LDPC != 0,
            sync_valid: flags & FLAG_SYNC_VALID != 0,
        },
        rssi_dbm: i8::from_le_bytes([h[16]]),
        noise_dbm: i8::from_le_bytes([h[17]]),
        agc_db: None,
        boot_count: None,
        simulated: false,
        format: SampleFormat::I8,
        samples: &bytes[HEADER_LEN..],
        mac: None,
        covered: bytes,
    })
}

fn check_shape(antennas: u8, bins: u16, mhz: u32) -> Result<(), WireError> {
    let field = |field, expected, found| {
        Err(WireError::Field {
            what: WHAT,
            field,
            expected,
            found,
        })
    };
    if antennas == 0 || antennas > MAX_ANTENNAS {
        return field("antennas", "1..=4", antennas.into());
    }
    if bins == 0 || bins > MAX_BINS {
        return field("subcarriers", "1..=256", bins.into());
    }
    if mhz > MAX_MHZ {
        return field("frequency_mhz", "0..=100000", mhz.into());
    }
    Ok(())
}

/// What an ADR-018 datagram is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adr018<'a> {
    /// Sending node.
    pub node: u8,
    /// Receive antennas, 1 to 4.
    pub antennas: u8,
    /// Bins an antenna, 1 to 256.
    pub bins: u16,
    /// Carrier, MHz.
    pub frequency_mhz: u32,
    /// Sequence number.
    pub seq: u32,
    /// Received strength, dBm.
    pub rssi_dbm: i8,
    /// Noise floor, dBm.
    pub noise_dbm: i8,
    /// PPDU type.
    pub ppdu: Ppdu,
    /// The frame was 40 MHz wide.
    pub wide: bool,
    /// It was space-time block coded.
    pub stbc: bool,
    /// It was LDPC coded.
    pub ldpc: bool,
    /// The node's clock is synchronised.
    pub sync_valid: bool,
    /// `antennas * bins` pairs, imaginary part first, antenna-major, in the chip's bin order.
    pub pairs: &'a [[i8; 2]],
}

impl Adr018<'_> {
    /// Appends the datagram to `out`.
    ///
    /// # Errors
    /// A shape the format cannot carry, or pairs that do not fill it; `out` is then unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        check_shape(self.antennas, self.bins, self.frequency_mhz)?;
        let expected = usize::from(self.antennas) * usize::from(self.bins);
        if self.pairs.len() != expected {
            return Err(WireError::Buffer {
                what: "ADR-018 pairs",
                expected,
                found: self.pairs.len(),
            });
        }
        let flag = |set, bit| if set { bit } else { 0 };
        out.reserve(HEADER_LEN + 2 * expected);
        out.extend_from_slice(&magic::RAW_CSI.to_le_bytes());
        out.extend_from_slice(&[self.node, self.antennas]);
        out.extend_from_slice(&self.bins.to_le_bytes());
        out.extend_from_slice(&self.frequency_mhz.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.rssi_dbm.to_le_bytes());
        out.extend_from_slice(&self.noise_dbm.to_le_bytes());
        out.push(self.ppdu.code());
        out.push(
            flag(self.wide, FLAG_40_MHZ)
                | flag(self.stbc, FLAG_STBC)
                | flag(self.ldpc, FLAG_LDPC)
                | flag(self.sync_valid, FLAG_SYNC_VALID),
        );
        out.extend_from_slice(bytemuck::cast_slice(self.pairs));
        Ok(())
    }
}
