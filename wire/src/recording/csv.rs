//! `CSI_DATA` logs of ESP32 tools: one row a frame, with or without a header line.

use std::io::BufRead;

use super::{
    ReadError, ReadOptions, Record, RecordBody, SourceKey,
    clock::WrappingClock,
    lines::{Line, Lines},
};
use crate::{adr018::Adr018, csi::Ppdu};

/// Columns that are read, by their place in a row.
#[derive(Clone, Copy)]
struct Columns {
    rssi: usize,
    bandwidth: usize,
    stbc: usize,
    fec_coding: usize,
    noise_floor: usize,
    channel: usize,
    local_timestamp: usize,
    rx_state: usize,
    real_timestamp: Option<usize>,
    len: usize,
    /// The last one: the numbers, which may hold commas.
    samples: usize,
}

/// The 26 columns of the common tool, whose logs often lack the header line.
const STANDARD: Columns = Columns {
    rssi: 3,
    bandwidth: 7,
    stbc: 11,
    fec_coding: 12,
    noise_floor: 14,
    channel: 16,
    local_timestamp: 18,
    rx_state: 21,
    real_timestamp: Some(23),
    len: 24,
    samples: 25,
};
const MAX_COLUMNS: usize = 64;

pub(crate) fn is_row_or_header(line: &[u8]) -> bool {
    line.starts_with(b"CSI_DATA,") || line.starts_with(b"type,")
}

impl Columns {
    fn from_header(line: &str) -> Option<Self> {
        let at = |name: &str| {
            line.split(',')
                .take(MAX_COLUMNS)
                .position(|column| column.trim() == name)
        };
        Some(Self {
            rssi: at("rssi")?,
            bandwidth: at("bandwidth")?,
            stbc: at("stbc")?,
            fec_coding: at("fec_coding")?,
            noise_floor: at("noise_floor")?,
            channel: at("channel")?,
            local_timestamp: at("local_timestamp")?,
            rx_state: at("rx_state")?,
            real_timestamp: at("real_timestamp"),
            len: at("len")?,
            samples: at("CSI_DATA").or_else(|| at("data"))?,
        })
    }
}

pub(crate) struct Reader<R> {
    lines: Lines<R>,
    options: ReadOptions,
    columns: Columns,
    seq: u32,
    clock: WrappingClock,
    time_ns: i64,
    pairs: Vec<i8>,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R, options: ReadOptions) -> Self {
        let (clock, pairs) = (WrappingClock::default(), Vec::new());
        Self {
            lines: Lines::new(input),
            options,
            columns: STANDARD,
            seq: 0,
            clock,
            time_ns: 0,
            pairs,
        }
    }

    fn read(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let body = match self.lines.advance()? {
                Line::End => return Ok(None),
                Line::TooLong => RecordBody::NotUsed {
                    reason: "line-too-long",
                },
                Line::Text => {
                    let text = self.lines.text();
                    if text.is_empty() {
                        continue;
                    }
                    if text.starts_with(b"type,") {
                        let Some(columns) = str::from_utf8(text).ok().and_then(Columns::from_header) else {
                            return Err(ReadError::Head {
                                what: "ESP32 CSI_DATA CSV",
                                expected: "a header naming rssi, bandwidth, stbc, fec_coding, noise_floor, channel, \
                                           local_timestamp, rx_state, len and CSI_DATA or data",
                                found: text
                                    .iter()
                                    .take(200)
                                    .flat_map(|b| b.escape_ascii())
                                    .map(char::from)
                                    .collect(),
                            });
                        };
                        self.columns = columns;
                        continue;
                    }
                    self.row()
                }
            };
            let source = SourceKey::Node(self.options.node.into());
            return Ok(Some(Record {
                time_ns: self.time_ns,
                arrival_ns: None,
                simulated: false,
                source,
                body,
            }));
        }
    }

    fn row(&mut self) -> RecordBody {
        match self.datagram() {
            Ok(bytes) => RecordBody::Datagram(bytes),
            Err(reason) => RecordBody::NotUsed { reason },
        }
    }

    fn datagram(&mut self) -> Result<Vec<u8>, &'static str> {
        let text = str::from_utf8(self.lines.text()).map_err(|_| "malformed-line")?;
        if !text.starts_with("CSI_DATA,") {
            return Err("unknown-type");
        }
        let columns = self.columns;
        let mut cells = [""; MAX_COLUMNS];
        let mut count = 0;
        for (cell, text) in cells.iter_mut().zip(text.splitn(columns.samples + 1, ',')) {
            *cell = text.trim();
            count += 1;
        }
        if count != columns.samples + 1 {
            return Err("truncated-line");
        }
        let number = |column: usize| cells[column].parse::<i64>().map_err(|_| "bad-field");
        self.time_ns = self.clock.ns(number(columns.local_timestamp)? as u32);
        let seconds = columns.real_timestamp.and_then(|at| cells[at].parse::<f64>().ok());
        if let Some(seconds) = seconds.filter(|s| *s > 0.0 && *s < 9.2e9) {
            self.time_ns = (seconds * 1e9).round() as i64;
        }
        if number(columns.rx_state)? != 0 {
            return Err("receive-error");
        }
        self.pairs.clear();
        samples(cells[columns.samples], &mut self.pairs)?;
        let promised = number(columns.len)?;
        if !is_whole_or_first_fields(self.pairs.len(), promised) {
            return Err("length-mismatch");
        }
        let seq = self.seq;
        let mut bytes = Vec::new();
        Adr018 {
            node: self.options.node,
            antennas: 1,
            bins: u16::try_from(self.pairs.len() / 2).map_err(|_| "bad-field")?,
            frequency_mhz: channel_mhz(number(columns.channel)?).unwrap_or(self.options.centre_khz / 1000),
            seq,
            rssi_dbm: dbm(number(columns.rssi)?)?,
            noise_dbm: dbm(number(columns.noise_floor)?)?,
            ppdu: Ppdu::HtOrLegacy,
            wide: number(columns.bandwidth)? == 1,
            stbc: number(columns.stbc)? != 0,
            ldpc: number(columns.fec_coding)? != 0,
            sync_valid: false,
            pairs: bytemuck::cast_slice(&self.pairs),
        }
        .encode(&mut bytes)
        .map_err(|e| e.reason())?;
        self.seq = seq.wrapping_add(1);
        Ok(bytes)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// `[imag real imag real …]`, with spaces or commas, with or without quotes.
fn samples(text: &str, out: &mut Vec<i8>) -> Result<(), &'static str> {
    let inner = text.trim_matches('"').strip_prefix('[').ok_or("malformed-line")?;
    let inner = inner.strip_suffix(']').ok_or("truncated-line")?;
    for number in inner.split([' ', ',']).filter(|number| !number.is_empty()) {
        out.push(number.parse().map_err(|_| "bad-sample")?);
    }
    Ok(())
}

/// True for as many numbers as `len` promises, or for its first training fields: a widespread version of
/// the tool prints at most 128 numbers (the legacy field) and leaves `len` at what the chip reported.
fn is_whole_or_first_fields(found: usize, promised: i64) -> bool {
    const FIELD: usize = 2 * 64;
    let Ok(promised) = usize::try_from(promised) else {
        return false;
    };
    found > 0 && (found == promised && found.is_multiple_of(2) || found < promised && found.is_multiple_of(FIELD))
}

/// A strength in dBm. Some tools print the byte unsigned, so 204 is -52.
fn dbm(x: i64) -> Result<i8, &'static str> {
    i8::try_from(x)
        .or_else(|_| u8::try_from(x).map(|byte| byte as i8))
        .map_err(|_| "bad-field")
}

/// Centre of the primary 20 MHz channel, MHz.
fn channel_mhz(channel: i64) -> Option<u32> {
    match u32::try_from(channel).ok()? {
        channel @ 1..=13 => Some(2407 + 5 * channel),
        14 => Some(2484),
        channel @ 36..=177 => Some(5000 + 5 * channel),
        _ => None,
    }
}
