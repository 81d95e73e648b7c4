//! Classic pcap of UDP traffic, as `tcpdump -w` writes it.

use std::{
    io::BufRead,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{ReadError, Record, RecordBody, SourceKey, fill};

/// Longest packet, bytes: the largest snapshot length capture tools use.
const MAX_PACKET: u32 = 262_144;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
const PROTOCOL_UDP: u8 = 17;

/// Byte order and unit of the timestamps, by the first four bytes.
#[derive(Clone, Copy)]
struct Flavour {
    big_endian: bool,
    nanoseconds: bool,
}

fn flavour(head: &[u8]) -> Option<Flavour> {
    let (big_endian, nanoseconds) = match head.first_chunk()? {
        [0xD4, 0xC3, 0xB2, 0xA1] => (false, false),
        [0xA1, 0xB2, 0xC3, 0xD4] => (true, false),
        [0x4D, 0x3C, 0xB2, 0xA1] => (false, true),
        [0xA1, 0xB2, 0x3C, 0x4D] => (true, true),
        _ => return None,
    };
    Some(Flavour {
        big_endian,
        nanoseconds,
    })
}

/// pcapng counts, so that its error can say what to do.
pub(crate) fn is_magic(head: &[u8]) -> bool {
    flavour(head).is_some() || head.starts_with(&[0x0A, 0x0D, 0x0D, 0x0A])
}

impl Flavour {
    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

/// How packets begin.
#[derive(Clone, Copy)]
enum Link {
    Ethernet,
    LinuxCooked,
    LinuxCooked2,
    RawIp,
    Loopback,
}

pub(crate) struct Reader<R> {
    input: R,
    flavour: Flavour,
    link: Link,
    packet: Vec<u8>,
    time_ns: i64,
    over: bool,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(mut input: R) -> Result<Self, ReadError> {
        let head = |expected, found| ReadError::Head {
            what: "pcap",
            expected,
            found,
        };
        let mut header = [0; 24];
        let read = fill(&mut input, &mut header)?;
        let Some(flavour) = flavour(&header) else {
            return Err(head(
                "a classic pcap",
                "a pcapng; convert it with `editcap -F pcap`".into(),
            ));
        };
        if read < header.len() {
            return Err(head("a header of 24 bytes", format!("{read} bytes")));
        }
        let link_type = flavour.u32([header[20], header[21], header[22], header[23]]) & 0x0FFF_FFFF;
        let link = match link_type {
            0 | 108 => Link::Loopback,
            1 => Link::Ethernet,
            12 | 14 | 101 | 228 | 229 => Link::RawIp,
            113 => Link::LinuxCooked,
            276 => Link::LinuxCooked2,
            other => {
                return Err(head(
                    "link type Ethernet, Linux cooked, raw IP or loopback",
                    other.to_string(),
                ));
            }
        };
        Ok(Self {
            input,
            flavour,
            link,
            packet: Vec::new(),
            time_ns: 0,
            over: false,
        })
    }

    fn read(&mut self) -> Result<Option<Record>, ReadError> {
        if self.over {
            return Ok(None);
        }
        let mut header = [0; 16];
        match fill(&mut self.input, &mut header)? {
            0 => return Ok(None),
            16 => {}
            _ => return Ok(Some(self.end("torn-tail"))),
        }
        let word = |at: usize| {
            self.flavour
                .u32([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (seconds, fraction, kept, sent) = (word(0), word(4), word(8), word(12));
        // A wrong length says that everything from here on is at a wrong place.
        if kept > MAX_PACKET {
            return Ok(Some(self.end("packet-too-long")));
        }
        self.packet.resize(kept as usize, 0);
        if fill(&mut self.input, &mut self.packet)? < kept as usize {
            return Ok(Some(self.end("torn-tail")));
        }
        let unit_ns = if self.flavour.nanoseconds { 1 } else { 1000 };
        self.time_ns = i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * unit_ns;
        let found = if kept < sent {
            Err("truncated-packet")
        } else {
            payload(self.link, &self.packet)
        };
        let (source, body) = match found {
            Ok((source, bytes)) => (SourceKey::Address(source), RecordBody::Datagram(bytes.to_vec())),
            Err(reason) => (SourceKey::Recording, RecordBody::NotUsed { reason }),
        };
        Ok(Some(self.record(source, body)))
    }

    fn end(&mut self, reason: &'static str) -> Record {
        self.over = true;
        self.record(SourceKey::Recording, RecordBody::NotUsed { reason })
    }

    fn record(&self, source: SourceKey, body: RecordBody) -> Record {
        Record {
            time_ns: self.time_ns,
            arrival_ns: None,
            simulated: false,
            source,
            body,
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

type Payload<'a> = Result<(SocketAddr, &'a [u8]), &'static str>;

/// Sender and payload of a packet that holds one whole UDP datagram.
fn payload(link: Link, packet: &[u8]) -> Payload<'_> {
    let (ethertype, rest) = match link {
        Link::Ethernet => ethernet(packet)?,
        Link::LinuxCooked => (be16(packet, 14)?, packet.get(16..).ok_or("malformed-packet")?),
        Link::LinuxCooked2 => (be16(packet, 0)?, packet.get(20..).ok_or("malformed-packet")?),
        Link::RawIp => (0, packet),
        Link::Loopback => (0, packet.get(4..).ok_or("malformed-packet")?),
    };
    match (ethertype, rest.first().map(|first| first >> 4)) {
        (ETHERTYPE_IPV4 | 0, Some(4)) => ipv4(rest),
        (ETHERTYPE_IPV6 | 0, Some(6)) => ipv6(rest),
        _ => Err("not-udp"),
    }
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, &'static str> {
    let pair = bytes.get(at..at + 2).ok_or("malformed-packet")?;
    Ok(u16::from_be_bytes([pair[0], pair[1]]))
}

/// Skips up to two VLAN tags.
fn ethernet(packet: &[u8]) -> Result<(u16, &[u8]), &'static str> {
    let mut at = 12;
    let mut ethertype = be16(packet, at)?;
    while matches!(ethertype, 0x8100 | 0x88A8) && at < 20 {
        at += 4;
        ethertype = be16(packet, at)?;
    }
    Ok((ethertype, packet.get(at + 2..).ok_or("malformed-packet")?))
}

fn ipv4(packet: &[u8]) -> Payload<'_> {
    let h: &[u8; 20] = packet.first_chunk().ok_or("malformed-packet")?;
    if h[9] != PROTOCOL_UDP {
        return Err("not-udp");
    }
    // More fragments to come, or not the first one.
    if be16(h, 6)? & 0x3FFF != 0 {
        return Err("ip-fragment");
    }
    let header_len = usize::from(h[0] & 15) * 4;
    let total = usize::from(be16(h, 2)?);
    let segment = packet.get(header_len.max(20)..total).ok_or("malformed-packet")?;
    udp(IpAddr::V4(Ipv4Addr::new(h[12], h[13], h[14], h[15])), segment)
}

fn ipv6(packet: &[u8]) -> Payload<'_> {
    let h: &[u8; 40] = packet.first_chunk().ok_or("malformed-packet")?;
    if h[6] != PROTOCOL_UDP {
        return Err("not-udp");
    }
    let end = 40 + usize::from(be16(h, 4)?);
    let segment = packet.get(40..end).ok_or("malformed-packet")?;
    let address: [u8; 16] = std::array::from_fn(|i| h[8 + i]);
    udp(IpAddr::V6(Ipv6Addr::from(address)), segment)
}

fn udp(address: IpAddr, segment: &[u8]) -> Payload<'_> {
    let bytes = segment
        .get(8..usize::from(be16(segment, 4)?))
        .ok_or("malformed-packet")?;
    Ok((SocketAddr::new(address, be16(segment, 0)?), bytes))
}
