//! Logs of the Linux 802.11n CSI tool for the Intel 5300: 30 tones of an HT frame a record.
//!
//! A record is `u16 length (big-endian), u8 code, payload`; code 0xBB is CSI. Its samples become TLF1 with
//! own tones, one datagram for each transmit stream, since TLF1 knows no transmit antenna: stream s of
//! the access point is node `transmitter + s`. Samples keep the card's 8 bits and its scale, which
//! changes with the gain; strength and gain stand in the frame.
//! Layout after the tool's `read_bfee.c` (D. Halperin et al., "Tool release", CCR 2011).

use std::{collections::VecDeque, io::BufRead};

use tapline_dsp::detmath::{exp64, log10_64};

use super::{ReadError, ReadOptions, Record, RecordBody, SourceKey, clock::WrappingClock, fill};
use crate::{
    bytes::{u16_at, u32_at},
    tlf1::{Samples, Tlf1, TlfGrid},
};

const CODE_CSI: u8 = 0xBB;
/// Other codes the tool writes: received payloads.
const CODE_PAYLOAD: u8 = 0xC1;
const TONES: usize = 30;
const FLAG_40_MHZ: u16 = 0x800;

/// Tones of a 20 MHz frame (802.11-2020 table 9-62, Ng = 2).
const TONES_20: [i16; TONES] = [
    -28, -26, -24, -22, -20, -18, -16, -14, -12, -10, -8, -6, -4, -2, -1, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23,
    25, 27, 28,
];
/// Tones of a 40 MHz frame (the same table, Ng = 4).
const TONES_40: [i16; TONES] = [
    -58, -54, -50, -46, -42, -38, -34, -30, -26, -22, -18, -14, -10, -6, -2, 2, 6, 10, 14, 18, 22, 26, 30, 34, 38, 42,
    46, 50, 54, 58,
];

/// True for a file that begins with a record of this tool (and, where the head holds it, a second one).
pub(crate) fn is_log(head: &[u8]) -> bool {
    let record = |at: usize| {
        let h = head.get(at..)?.first_chunk::<3>()?;
        let len = usize::from(u16::from_be_bytes([h[0], h[1]]));
        let possible = match h[2] {
            CODE_CSI => (21..=600).contains(&len),
            CODE_PAYLOAD => len > 0,
            _ => false,
        };
        Some((possible, at + 2 + len))
    };
    match record(0) {
        Some((true, next)) => record(next).is_none_or(|(possible, _)| possible),
        _ => false,
    }
}

pub(crate) struct Reader<R> {
    input: R,
    options: ReadOptions,
    record: Vec<u8>,
    ready: VecDeque<Record>,
    pairs: Vec<[i8; 2]>,
    clock: WrappingClock,
    time_ns: i64,
    seq: u32,
    over: bool,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R, options: ReadOptions) -> Self {
        Self {
            input,
            options,
            record: Vec::new(),
            ready: VecDeque::new(),
            pairs: Vec::new(),
            clock: WrappingClock::default(),
            time_ns: 0,
            seq: 0,
            over: false,
        }
    }

    fn read(&mut self) -> Result<Option<Record>, ReadError> {
        if let Some(record) = self.ready.pop_front() {
            return Ok(Some(record));
        }
        if self.over {
            return Ok(None);
        }
        let mut head = [0; 2];
        let got = fill(&mut self.input, &mut head)?;
        if got == 0 {
            return Ok(None);
        }
        self.record.resize(u16::from_be_bytes(head).into(), 0);
        if got < 2 || self.record.is_empty() || fill(&mut self.input, &mut self.record)? < self.record.len() {
            self.over = true;
            return Ok(Some(self.give(RecordBody::NotUsed { reason: "torn-tail" })));
        }
        if let Err(reason) = self.datagrams() {
            self.ready.clear();
            return Ok(Some(self.give(RecordBody::NotUsed { reason })));
        }
        Ok(self.ready.pop_front())
    }

    fn give(&self, body: RecordBody) -> Record {
        let source = SourceKey::Node(self.options.node.into());
        Record {
            time_ns: self.time_ns,
            arrival_ns: None,
            simulated: false,
            source,
            body,
        }
    }

    /// Makes the datagrams of the record just read: at least one.
    fn datagrams(&mut self) -> Result<(), &'static str> {
        let (code, payload) = self.record.split_first().ok_or("torn-tail")?;
        if *code != CODE_CSI {
            return Err("not-csi");
        }
        let (h, bits) = payload.split_first_chunk::<20>().ok_or("too-short")?;
        self.time_ns = self.clock.ns(u32_at(h, 0));
        let (rx, tx) = (usize::from(h[8]), usize::from(h[9]));
        if !(1..=3).contains(&rx) || !(1..=3).contains(&tx) {
            return Err("bad-field");
        }
        let expected = (TONES * (rx * tx * 16 + 3)).div_ceil(8);
        if usize::from(u16_at(h, 16)) != expected || bits.len() != expected {
            return Err("length-mismatch");
        }
        let wide = u16_at(h, 18) & FLAG_40_MHZ != 0;
        let rssi_dbm = total_rssi_dbm([h[10], h[11], h[12]], h[14]).ok_or("bad-field")?;
        let ports = ports(h[15], rx);
        for stream in 0..tx {
            self.pairs.clear();
            self.pairs.resize(rx * TONES, [0; 2]);
            for tone in 0..TONES {
                for (chain, port) in ports.iter().enumerate().take(rx) {
                    // Three bits precede each tone; transmit streams vary fastest.
                    let bit = tone * (3 + 16 * rx * tx) + 3 + 16 * (chain * tx + stream);
                    self.pairs[port * TONES + tone] = [byte_at(bits, bit + 8), byte_at(bits, bit)];
                }
            }
            let mut bytes = Vec::new();
            Tlf1 {
                rx_node: self.options.node.into(),
                tx_node: Some(self.options.transmitter.saturating_add(stream as u16)),
                seq: self.seq,
                capture_us: (self.time_ns / 1000) as u64,
                mesh_time: false,
                simulated: false,
                centre_khz: self.options.centre_khz,
                bandwidth_mhz: if wide { 40 } else { 20 },
                grid: TlfGrid::Own(if wide { &TONES_40 } else { &TONES_20 }),
                antennas: rx as u8,
                rssi_dbm,
                noise_dbm: i8::from_le_bytes([h[13]]),
                agc_db: Some(h[14]).filter(|&db| db < u8::MAX),
                boot_count: 0,
                samples: Samples::I8(&self.pairs),
            }
            .encode(None, &mut bytes)
            .map_err(|e| e.reason())?;
            self.seq = self.seq.wrapping_add(1);
            let record = self.give(RecordBody::Datagram(bytes));
            self.ready.push_back(record);
        }
        Ok(())
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Eight bits from bit `at` on, lowest first; zero past the end.
fn byte_at(bits: &[u8], at: usize) -> i8 {
    let byte = |i: usize| bits.get(i).copied().map_or(0, u16::from);
    let pair = byte(at / 8) | byte(at / 8 + 1) << 8;
    (pair >> (at % 8)) as u8 as i8
}

/// Antenna port of each receive chain; chain order where the selection is no permutation.
fn ports(selection: u8, rx: usize) -> [usize; 3] {
    let ports = [0, 2, 4].map(|shift| usize::from(selection >> shift & 3));
    let used = &ports[..rx];
    let valid = used
        .iter()
        .enumerate()
        .all(|(i, port)| *port < rx && !used[..i].contains(port));
    if valid { ports } else { [0, 1, 2] }
}

/// Strength over all chains, dBm: their powers added, minus gain and the card's constant 44 dB.
fn total_rssi_dbm(chains: [u8; 3], agc_db: u8) -> Option<i8> {
    let power: f64 = chains
        .iter()
        .filter(|&&db| db > 0)
        .map(|&db| exp64(f64::from(db) * std::f64::consts::LN_10 / 10.0))
        .sum();
    if power <= 0.0 {
        return Some(0);
    }
    let dbm = 10.0 * log10_64(power) - 44.0 - f64::from(agc_db);
    (-128.0..0.0).contains(&dbm).then(|| dbm.round() as i8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_lowest_first_across_bytes() {
        assert_eq!(byte_at(&[0b1010_0000, 0b0000_0011], 5), 0b0001_1101);
        assert_eq!(byte_at(&[0xFF, 0xFF], 3), -1);
        assert_eq!(byte_at(&[0xFF], 4), 0x0F);
    }

    #[test]
    fn ports_are_a_permutation() {
        assert_eq!(ports(0b10_01_00, 3), [0, 1, 2]);
        assert_eq!(ports(0b01_00_10, 3), [2, 0, 1]);
        assert_eq!(ports(0b00_00_00, 3), [0, 1, 2], "no permutation: chain order");
        assert_eq!(ports(0b00_00_01, 2), [1, 0, 0]);
    }

    #[test]
    fn strength_adds_the_powers_of_the_chains() {
        assert_eq!(total_rssi_dbm([30, 0, 0], 20), Some(-34));
        assert_eq!(total_rssi_dbm([30, 30, 0], 20), Some(-31));
        assert_eq!(total_rssi_dbm([0, 0, 0], 20), Some(0), "unknown");
        assert_eq!(total_rssi_dbm([255, 0, 0], 0), None, "no receiver hears 211 dBm");
    }
}
