//! "TLR1": received strengths of a mesh without CSI, many links in one datagram.

use crate::{
    bytes::{MAC_LEN, check_mac, exact_length, header, mac_of, u16_at, u32_at, u64_at},
    error::WireError,
    kind::magic,
};

const WHAT: &str = "TLR1";
const HEADER_LEN: usize = 24;
const ENTRY_LEN: usize = 6;
const VERSION: u8 = 1;
const FLAG_MAC: u8 = 1;
const FLAG_SIMULATED: u8 = 2;
const NODE_UNKNOWN: u16 = 0xFFFF;

/// Most entries of one report, so that header, entries and MAC stay within 1400 bytes.
pub const MAX_RSS_ENTRIES: usize = (1400 - HEADER_LEN - MAC_LEN) / ENTRY_LEN;

/// One link on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RssEntry {
    /// Transmitting node.
    pub tx: u16,
    /// Receiving node.
    pub rx: u16,
    /// Channel number.
    pub channel: u8,
    /// Received strength as sent, dBm; see [`RssEntry::rssi`].
    pub rssi_dbm: i8,
}

impl RssEntry {
    /// Received strength, dBm. `None` for "not received" (anything from 0 up, such as 127) and for a
    /// node's entry about itself.
    pub fn rssi(&self) -> Option<i8> {
        Some(self.rssi_dbm).filter(|&dbm| dbm < 0 && self.tx != self.rx)
    }
}

/// One RSS report, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RssReport<'a> {
    /// The node that sends the report, whose key makes the MAC; `None` for a gateway that is no node.
    pub reporter: Option<u16>,
    /// Sequence number of the reporter; wraps.
    pub seq: u32,
    /// Time of measurement, milliseconds of the reporter's clock.
    pub capture_ms: u64,
    /// A generator made this report.
    pub simulated: bool,
    /// Authentication code, unchecked.
    pub mac: Option<&'a [u8; MAC_LEN]>,
    entries: &'a [u8],
    covered: &'a [u8],
}

impl<'a> RssReport<'a> {
    /// The entries, in the order sent.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = RssEntry> + Clone + 'a {
        self.entries.chunks_exact(ENTRY_LEN).map(|e| RssEntry {
            tx: u16::from_le_bytes([e[0], e[1]]),
            rx: u16::from_le_bytes([e[2], e[3]]),
            channel: e[4],
            rssi_dbm: i8::from_le_bytes([e[5]]),
        })
    }

    /// Checks the MAC against the reporter's key.
    ///
    /// # Errors
    /// [`WireError::MacMissing`] without one, [`WireError::MacMismatch`] when it is another.
    pub fn verify_mac(&self, key: &[u8; 32]) -> Result<(), WireError> {
        check_mac(key, self.covered, self.mac)
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<RssReport<'_>, WireError> {
    let field = |field, expected, found| {
        Err(WireError::Field {
            what: WHAT,
            field,
            expected,
            found,
        })
    };
    let h = header::<HEADER_LEN>(WHAT, bytes)?;
    if h[4] != VERSION {
        return Err(WireError::Version {
            what: WHAT,
            expected: VERSION,
            found: h[4],
        });
    }
    let flags = h[5];
    if flags & !(FLAG_MAC | FLAG_SIMULATED) != 0 {
        return field("flags", "with bits 2 to 7 clear", flags.into());
    }
    if usize::from(u16_at(h, 6)) != HEADER_LEN {
        return field("header length", "24", u16_at(h, 6).into());
    }
    let count = usize::from(u16_at(h, 20));
    if count > MAX_RSS_ENTRIES {
        return field("entries", "at most 226", count as i64);
    }
    let end = HEADER_LEN + count * ENTRY_LEN;
    exact_length(WHAT, end + if flags & FLAG_MAC != 0 { MAC_LEN } else { 0 }, bytes.len())?;
    let (covered, mac) = bytes.split_at(end);
    Ok(RssReport {
        reporter: Some(u16_at(h, 22)).filter(|&node| node != NODE_UNKNOWN),
        seq: u32_at(h, 8),
        capture_ms: u64_at(h, 12),
        simulated: flags & FLAG_SIMULATED != 0,
        mac: mac.first_chunk(),
        entries: &covered[HEADER_LEN..],
        covered,
    })
}

/// What a TLR1 datagram is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlr1<'a> {
    /// The sending node.
    pub reporter: Option<u16>,
    /// Sequence number.
    pub seq: u32,
    /// Time of measurement, milliseconds.
    pub capture_ms: u64,
    /// A generator made this report.
    pub simulated: bool,
    /// At most [`MAX_RSS_ENTRIES`].
    pub entries: &'a [RssEntry],
}

impl Tlr1<'_> {
    /// Appends the datagram to `out`, with a MAC when there is a key.
    ///
    /// # Errors
    /// Too many entries or a reporter 65535; `out` is then unchanged.
    pub fn encode(&self, key: Option<&[u8; 32]>, out: &mut Vec<u8>) -> Result<(), WireError> {
        let field = |field, expected, found| {
            Err(WireError::Field {
                what: WHAT,
                field,
                expected,
                found,
            })
        };
        if self.entries.len() > MAX_RSS_ENTRIES {
            return field("entries", "at most 226", self.entries.len() as i64);
        }
        if self.reporter == Some(NODE_UNKNOWN) {
            return field("reporter", "below 65535", NODE_UNKNOWN.into());
        }
        let start = out.len();
        let flag = |set, bit| if set { bit } else { 0 };
        out.extend_from_slice(&magic::TLR1.to_le_bytes());
        out.extend_from_slice(&[
            VERSION,
            flag(key.is_some(), FLAG_MAC) | flag(self.simulated, FLAG_SIMULATED),
        ]);
        out.extend_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.capture_ms.to_le_bytes());
        out.extend_from_slice(&(self.entries.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.reporter.unwrap_or(NODE_UNKNOWN).to_le_bytes());
        for entry in self.entries {
            out.extend_from_slice(&entry.tx.to_le_bytes());
            out.extend_from_slice(&entry.rx.to_le_bytes());
            out.push(entry.channel);
            out.extend_from_slice(&entry.rssi_dbm.to_le_bytes());
        }
        if let Some(key) = key {
            let mac = mac_of(key, &out[start..]);
            out.extend_from_slice(&mac);
        }
        Ok(())
    }
}
