//! What can be wrong with a datagram.

use crate::kind::DatagramKind;

/// Why bytes are not the datagram they claim to be, or why a frame cannot answer a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the header needs.
    #[error("{what}: expected at least {expected} bytes, found {found}")]
    TooShort {
        /// The format.
        what: &'static str,
        /// Smallest possible length, bytes.
        expected: usize,
        /// Length received, bytes.
        found: usize,
    },
    /// The header implies another length than the datagram has.
    #[error("{what}: the header implies {expected} bytes, found {found}")]
    Length {
        /// The format.
        what: &'static str,
        /// Length implied by the header, bytes.
        expected: usize,
        /// Length received, bytes.
        found: usize,
    },
    /// The first four bytes name no format known here.
    #[error("expected the magic number of a known format, found 0x{found:08X}")]
    UnknownMagic {
        /// First four bytes, little-endian.
        found: u32,
    },
    /// A known format that is counted but not used.
    #[error("expected a format that is used, found {}, which is recognised and only counted", kind.name())]
    Unsupported {
        /// The format.
        kind: DatagramKind,
    },
    /// A version this code does not read.
    #[error("{what}: expected version {expected}, found {found}")]
    Version {
        /// The format.
        what: &'static str,
        /// The version read here.
        expected: u8,
        /// The version received.
        found: u8,
    },
    /// A field outside its range.
    #[error("{what}: expected {field} {expected}, found {found}")]
    Field {
        /// The format.
        what: &'static str,
        /// The field.
        field: &'static str,
        /// Its range, in words.
        expected: &'static str,
        /// The value received.
        found: i64,
    },
    /// The checksum disagrees with the bytes.
    #[error("{what}: expected CRC-32 {expected:08X}, found {found:08X}")]
    Crc {
        /// The format.
        what: &'static str,
        /// CRC-32 of the bytes.
        expected: u32,
        /// CRC-32 in the datagram.
        found: u32,
    },
    /// Authentication was demanded of a datagram without a MAC.
    #[error("expected a keyed BLAKE3 MAC, found none: give the node its key and let it set flag bit 0")]
    MacMissing,
    /// The MAC was not made with this key over these bytes.
    #[error("expected the MAC of the node's key over these bytes, found another: wrong key or changed bytes")]
    MacMismatch,
    /// The frame does not carry the grid that was asked for.
    #[error("expected a frame carrying {tier}, found {bins} bins at {bandwidth_mhz} MHz")]
    TierUnavailable {
        /// Name of the tier asked for.
        tier: &'static str,
        /// Bins or tones the frame carries an antenna.
        bins: u16,
        /// Its bandwidth.
        bandwidth_mhz: u16,
    },
    /// An antenna the frame does not carry.
    #[error("expected an antenna below {antennas}, found {found}")]
    Antenna {
        /// Antennas in the frame.
        antennas: u8,
        /// The antenna asked for.
        found: u8,
    },
    /// A caller's buffer of the wrong length, or samples that do not fill the grid.
    #[error("{what}: expected {expected} elements, found {found}")]
    Buffer {
        /// Which buffer.
        what: &'static str,
        /// Elements needed.
        expected: usize,
        /// Elements given.
        found: usize,
    },
}

impl WireError {
    /// A short stable name: the label of a counter.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too-short",
            Self::Length { .. } => "length-mismatch",
            Self::UnknownMagic { .. } => "unknown-magic",
            Self::Unsupported { .. } => "unsupported-kind",
            Self::Version { .. } => "bad-version",
            Self::Field { .. } => "bad-field",
            Self::Crc { .. } => "bad-crc",
            Self::MacMissing => "mac-missing",
            Self::MacMismatch => "mac-mismatch",
            Self::TierUnavailable { .. } => "tier-unavailable",
            Self::Antenna { .. } => "no-such-antenna",
            Self::Buffer { .. } => "buffer-length",
        }
    }
}
