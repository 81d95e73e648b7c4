//! JSON lines: raw CSI, received strengths and whole datagrams, one object a line.

use std::{borrow::Cow, collections::BTreeMap, io::BufRead};

use serde::Deserialize;

use super::{
    ReadError, ReadOptions, Record, RecordBody, SourceKey,
    lines::{Line, Lines},
};
use crate::{
    adr018::Adr018,
    csi::Ppdu,
    kind::DatagramKind,
    rss::{MAX_RSS_ENTRIES, RssEntry, Tlr1},
    tlf1::MAX_DATAGRAM,
};

/// The keys that are read; others are ignored. Numbers come in many spellings, so all are `f64` first.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    magic: Option<Cow<'a, str>>,
    timestamp: Option<f64>,
    node_id: Option<f64>,
    seq: Option<f64>,
    rssi: Option<f64>,
    noise: Option<f64>,
    #[serde(borrow)]
    iq_hex: Option<Cow<'a, str>>,
    subcarriers: Option<f64>,
    #[serde(borrow)]
    hex: Option<Cow<'a, str>>,
    t_ms: Option<f64>,
    tx: Option<f64>,
    rx: Option<f64>,
    channel: Option<f64>,
    rssi_dbm: Option<f64>,
    #[serde(default)]
    simulated: bool,
}

/// An integer in the range of `T`, or `None`.
fn integer<T: TryFrom<i64>>(x: Option<f64>) -> Option<T> {
    let x = x.filter(|x| x.trunc() == *x && x.abs() < 9e15)?;
    T::try_from(x as i64).ok()
}

fn nanoseconds(x: f64, unit_ns: f64) -> Option<i64> {
    let ns = x * unit_ns;
    // 2^63 ns is the year 2262; the cast below must not saturate.
    (ns.abs() < 9.2e18).then(|| ns.round() as i64)
}

/// RSS lines of one moment, not yet a datagram.
struct PendingRss {
    t_ms: u64,
    time_ns: i64,
    simulated: bool,
    entries: Vec<RssEntry>,
}

pub(crate) struct Reader<R> {
    lines: Lines<R>,
    options: ReadOptions,
    csi_seq: BTreeMap<u8, u32>,
    rss_seq: u32,
    pending: Option<PendingRss>,
    /// A record that waits for the pending datagram before it.
    next: Option<Record>,
    time_ns: i64,
    hex: Vec<u8>,
}

/// What one line gives.
enum Meaning {
    Record(SourceKey, RecordBody),
    Rss(u64, RssEntry),
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R, options: ReadOptions) -> Self {
        Self {
            lines: Lines::new(input),
            options,
            csi_seq: BTreeMap::new(),
            rss_seq: 0,
            pending: None,
            next: None,
            time_ns: 0,
            hex: Vec::new(),
        }
    }

    fn read(&mut self) -> Result<Option<Record>, ReadError> {
        if let Some(record) = self.next.take() {
            return Ok(Some(record));
        }
        loop {
            let (simulated, meaning) = match self.lines.advance()? {
                Line::End => return Ok(self.flush()),
                Line::TooLong => (false, not_used(SourceKey::Recording, "line-too-long")),
                Line::Text if self.lines.text().is_empty() => continue,
                Line::Text => self.understand(),
            };
            match meaning {
                Meaning::Rss(t_ms, entry) => {
                    if let Some(full) = self.merge(t_ms, simulated, entry) {
                        return Ok(Some(full));
                    }
                }
                Meaning::Record(source, body) => {
                    let record = Record {
                        time_ns: self.time_ns,
                        arrival_ns: None,
                        simulated,
                        source,
                        body,
                    };
                    // Only a datagram may push out the strengths before it: a line that is not used, such
                    // as a link that heard nothing, stands between links of one moment.
                    let flushed = match record.body {
                        RecordBody::Datagram(_) => self.flush(),
                        _ => None,
                    };
                    return Ok(Some(match flushed {
                        Some(before) => {
                            self.next = Some(record);
                            before
                        }
                        None => record,
                    }));
                }
            }
        }
    }

    /// Adds an entry to the pending report; gives the report that this one does not fit.
    fn merge(&mut self, t_ms: u64, simulated: bool, entry: RssEntry) -> Option<Record> {
        let fits = self
            .pending
            .as_ref()
            .is_some_and(|p| p.t_ms == t_ms && p.simulated == simulated && p.entries.len() < MAX_RSS_ENTRIES);
        let before = if fits { None } else { self.flush() };
        let time_ns = self.time_ns;
        let new = || PendingRss {
            t_ms,
            time_ns,
            simulated,
            entries: Vec::new(),
        };
        self.pending.get_or_insert_with(new).entries.push(entry);
        before
    }

    fn flush(&mut self) -> Option<Record> {
        let PendingRss {
            t_ms,
            time_ns,
            simulated,
            entries,
        } = self.pending.take()?;
        let mut bytes = Vec::new();
        let report = Tlr1 {
            reporter: None,
            seq: self.rss_seq,
            capture_ms: t_ms,
            simulated,
            entries: &entries,
        };
        self.rss_seq = self.rss_seq.wrapping_add(1);
        let body = match report.encode(None, &mut bytes) {
            Ok(()) => RecordBody::Datagram(bytes),
            Err(e) => RecordBody::NotUsed { reason: e.reason() },
        };
        Some(Record {
            time_ns,
            arrival_ns: None,
            simulated,
            source: SourceKey::Recording,
            body,
        })
    }

    fn understand(&mut self) -> (bool, Meaning) {
        let Ok(entry) = serde_json::from_slice::<Entry<'_>>(self.lines.text()) else {
            return (false, not_used(SourceKey::Recording, "malformed-line"));
        };
        let kind = entry.kind.as_deref();
        let time_ns = match entry.t_ms.filter(|_| kind == Some("rss")) {
            Some(ms) => nanoseconds(ms, 1e6),
            None => entry.timestamp.and_then(|s| nanoseconds(s, 1e9)),
        };
        let source = integer(entry.node_id).map_or(SourceKey::Recording, SourceKey::Node);
        let simulated = entry.simulated;
        let Some(time_ns) = time_ns else {
            return (simulated, not_used(source, "no-timestamp"));
        };
        self.time_ns = time_ns;
        let meaning = match kind {
            Some("raw_csi") => csi(&entry, source, self.options, &mut self.csi_seq, &mut self.hex),
            Some("datagram") => datagram(&entry, source),
            Some("rss") => rss(&entry),
            Some("vitals") => not_used(source, DatagramKind::Vitals.name()),
            Some("feature") => not_used(source, DatagramKind::Feature.name()),
            Some(_) => not_used(source, "unknown-type"),
            None => not_used(source, kind_by_magic(entry.magic.as_deref())),
        };
        (simulated, meaning)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn not_used(source: SourceKey, reason: &'static str) -> Meaning {
    Meaning::Record(source, RecordBody::NotUsed { reason })
}

/// The kind of a line that names only a magic number, as recorders wrote for what they did not decode.
fn kind_by_magic(magic: Option<&str>) -> &'static str {
    let number = magic.and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    match number.map(DatagramKind::from_magic) {
        Some(DatagramKind::Unknown) | None => "no-type",
        Some(kind) => kind.name(),
    }
}

/// A raw CSI line as the ADR-018 datagram it was. What the recorder lost is filled in: a running sequence
/// number a node, the configured carrier, 0 (unknown) for strength and noise.
fn csi(
    entry: &Entry<'_>,
    source: SourceKey,
    options: ReadOptions,
    running: &mut BTreeMap<u8, u32>,
    pairs: &mut Vec<u8>,
) -> Meaning {
    let Some(node) = integer::<u8>(entry.node_id) else {
        return not_used(source, "bad-node");
    };
    let Some(text) = entry.iq_hex.as_deref() else {
        return not_used(source, "no-samples");
    };
    pairs.resize(text.len() / 2, 0);
    if hex::decode_to_slice(text, pairs).is_err() {
        return not_used(source, "bad-hex");
    }
    let bins = match entry.subcarriers {
        Some(_) => integer::<u16>(entry.subcarriers),
        None => u16::try_from(pairs.len() / 2).ok(),
    };
    let Some(bins) = bins.filter(|&bins| bins > 0) else {
        return not_used(source, "bad-field");
    };
    let antennas = pairs.len() / (2 * usize::from(bins));
    if antennas == 0 || antennas * 2 * usize::from(bins) != pairs.len() {
        return not_used(source, "length-mismatch");
    }
    let Ok(antennas) = u8::try_from(antennas) else {
        return not_used(source, "bad-field");
    };
    let next = running.entry(node).or_insert(0);
    let seq = integer(entry.seq).unwrap_or(*next);
    *next = seq.wrapping_add(1);
    let mut bytes = Vec::new();
    let encoded = Adr018 {
        node,
        antennas,
        bins,
        frequency_mhz: options.centre_khz / 1000,
        seq,
        rssi_dbm: integer(entry.rssi).unwrap_or(0),
        noise_dbm: integer(entry.noise).unwrap_or(0),
        ppdu: Ppdu::HtOrLegacy,
        wide: false,
        stbc: false,
        ldpc: false,
        sync_valid: false,
        pairs: bytemuck::cast_slice(pairs),
    }
    .encode(&mut bytes);
    match encoded {
        Ok(()) => Meaning::Record(source, RecordBody::Datagram(bytes)),
        Err(e) => not_used(source, e.reason()),
    }
}

fn datagram(entry: &Entry<'_>, source: SourceKey) -> Meaning {
    match entry.hex.as_deref().map(hex::decode) {
        None => not_used(source, "no-samples"),
        Some(Err(_)) => not_used(source, "bad-hex"),
        Some(Ok(bytes)) if bytes.len() > MAX_DATAGRAM => not_used(source, "too-long"),
        Some(Ok(bytes)) => Meaning::Record(source, RecordBody::Datagram(bytes)),
    }
}

/// A line without strength, or with a strength no receiver reports (0 and up, such as 127), heard nothing.
fn rss(entry: &Entry<'_>) -> Meaning {
    let source = integer(entry.rx).map_or(SourceKey::Recording, SourceKey::Node);
    let (Some(t_ms), Some(tx), Some(rx)) = (entry.t_ms, integer::<u16>(entry.tx), integer::<u16>(entry.rx)) else {
        return not_used(source, "bad-field");
    };
    if t_ms < 0.0 {
        return not_used(source, "bad-field");
    }
    let Some(channel) = integer::<u8>(entry.channel.or(Some(0.0))) else {
        return not_used(source, "bad-field");
    };
    if tx == rx {
        return not_used(source, "self-link");
    }
    let Some(rssi_dbm) = entry.rssi_dbm.filter(|dbm| (-128.0..-0.5).contains(dbm)) else {
        return not_used(source, "not-received");
    };
    // Half a decibel of rounding is below what any of these radios resolves.
    let entry = RssEntry {
        tx,
        rx,
        channel,
        rssi_dbm: rssi_dbm.round() as i8,
    };
    Meaning::Rss(t_ms as u64, entry)
}
