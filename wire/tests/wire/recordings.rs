//! Recordings made up here: every irregularity, every format, bounded reading.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use proptest::{collection::vec, prelude::*};
use tapline_wire::{
    Datagram, Ppdu, RssEntry, kind_of, parse,
    recording::{ReadOptions, Record, RecordBody, Recording, RecordingFormat, SourceKey},
};

/// A file that is deleted at the end of its test.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!(
            "tapline-wire-{}-{}-{name}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(unique);
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn read(content: &[u8]) -> (RecordingFormat, Vec<Record>) {
    let file = TempFile::new("recording", content);
    let recording = Recording::open(&file.0, &ReadOptions::default()).unwrap();
    (recording.format(), recording.map(Result::unwrap).collect())
}

pub(crate) fn tally(records: &[Record]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let label = match &record.body {
            RecordBody::Datagram(bytes) => kind_of(bytes).name(),
            RecordBody::NotUsed { reason } => reason,
            RecordBody::Tick(_) => "tick",
            RecordBody::Note(_) => "note",
        };
        *counts.entry(label).or_insert(0) += 1;
    }
    counts
}

fn jsonl(lines: &[&str]) -> Vec<Record> {
    let (format, records) = read(lines.join("\n").as_bytes());
    assert_eq!(format, RecordingFormat::JsonLines);
    records
}

const CSI_LINE: &str =
    r#"{"timestamp":10.5,"node_id":7,"type":"raw_csi","rssi":1,"iq_hex":"01020304","subcarriers":2}"#;

#[test]
fn a_csi_line_becomes_the_datagram_the_node_sent() {
    let records = jsonl(&[CSI_LINE, CSI_LINE]);
    assert_eq!(records.len(), 2);
    for (record, expected_seq) in records.iter().zip(0..) {
        assert_eq!(
            (record.time_ns, record.source, record.simulated),
            (10_500_000_000, SourceKey::Node(7), false)
        );
        let RecordBody::Datagram(bytes) = &record.body else {
            panic!("{record:?}")
        };
        let Ok(Datagram::Csi(frame)) = parse(bytes) else {
            panic!("expected CSI")
        };
        assert_eq!(
            (frame.rx_node, frame.seq, frame.bins, frame.rx_antennas),
            (7, expected_seq, 2, 1)
        );
        assert_eq!(
            (frame.centre_khz, frame.rssi_dbm, frame.rssi(), frame.noise()),
            (2_437_000, 1, None, None)
        );
        assert_eq!(frame.samples, [1, 2, 3, 4]);
    }
}

#[test]
fn irregular_lines_are_counted_by_reason_and_never_fatal() {
    let long = format!("{{\"timestamp\":1,\"x\":\"{}\"}}", "y".repeat(300_000));
    let deep = format!(
        "{{\"timestamp\":1,\"x\":{}1{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let records = jsonl(&[
        CSI_LINE,
        "",
        "  \t ",
        "{",
        "null",
        "not json",
        "\u{feff}{}",
        &long,
        &deep,
        r#"{"timestamp":1,"node_id":1,"type":"vitals"}"#,
        r#"{"timestamp":1,"node_id":1,"type":"feature"}"#,
        r#"{"timestamp":1,"node_id":1,"magic":"0xC5110005","size":104}"#,
        r#"{"timestamp":1,"node_id":1,"magic":"0xDEADBEEF"}"#,
        r#"{"timestamp":1}"#,
        r#"{"timestamp":1,"type":"surprise"}"#,
        r#"{"type":"raw_csi"}"#,
        r#"{"timestamp":1e300,"type":"raw_csi"}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":256,"iq_hex":"0102"}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1.5,"iq_hex":"0102"}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1,"iq_hex":"010"}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1,"iq_hex":"01zz"}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1,"iq_hex":""}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1,"iq_hex":"01020304","subcarriers":3}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1,"iq_hex":"01020304","subcarriers":0}"#,
        r#"{"timestamp":1,"type":"raw_csi","node_id":1,"iq_hex":"01020304","subcarriers":-2}"#,
        r#"{"timestamp":1,"type":"datagram","node_id":1,"hex":"zz"}"#,
        r#"{"timestamp":1,"type":"datagram","node_id":1}"#,
    ]);
    let expected = BTreeMap::from([
        ("raw-csi", 1),
        ("malformed-line", 4),
        ("line-too-long", 1),
        ("vitals", 1),
        ("feature", 1),
        ("compressed-csi", 1),
        ("no-type", 3),
        ("unknown-type", 1),
        ("no-timestamp", 2),
        ("bad-node", 2),
        ("no-samples", 2),
        ("bad-hex", 3),
        ("bad-field", 3),
        ("length-mismatch", 1),
    ]);
    assert_eq!(tally(&records), expected);
}

#[test]
fn simulated_lines_stay_simulated() {
    let csi = CSI_LINE.replace("\"node_id\"", "\"simulated\":true,\"node_id\"");
    let rss = r#"{"type":"rss","t_ms":5,"tx":1,"rx":2,"channel":3,"rssi_dbm":-40,"simulated":true}"#;
    let measured = r#"{"type":"rss","t_ms":5,"tx":1,"rx":2,"channel":4,"rssi_dbm":-40}"#;
    let records = jsonl(&[&csi, rss, measured]);
    assert_eq!(
        records.iter().map(|r| r.simulated).collect::<Vec<_>>(),
        [true, true, false]
    );
    let flags: Vec<_> = records[1..]
        .iter()
        .map(|record| match &record.body {
            RecordBody::Datagram(bytes) => matches!(parse(bytes), Ok(Datagram::Rss(report)) if report.simulated),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        flags,
        [true, false],
        "lines that were simulated and lines that were not never share a datagram"
    );
}

#[test]
fn datagram_lines_give_their_bytes() {
    let records = jsonl(&[r#"{"timestamp":2,"node_id":1,"type":"datagram","hex":"C511ff00"}"#]);
    assert_eq!(records[0].body, RecordBody::Datagram(vec![0xC5, 0x11, 0xFF, 0]));
    assert_eq!(
        (records[0].time_ns, records[0].source),
        (2_000_000_000, SourceKey::Node(1))
    );
}

fn rss_line(t_ms: u64, tx: u16, rx: u16, rssi: &str) -> String {
    format!(r#"{{"type":"rss","t_ms":{t_ms},"tx":{tx},"rx":{rx},"channel":1,"rssi_dbm":{rssi}}}"#)
}

/// The strengths of each datagram of an RSS recording.
pub(crate) fn reports(records: &[Record]) -> Vec<(i64, u64, u32, Vec<RssEntry>)> {
    let report = |record: &Record| match &record.body {
        RecordBody::Datagram(bytes) => {
            assert!(bytes.len() <= 1400);
            let Ok(Datagram::Rss(report)) = parse(bytes) else {
                panic!("expected RSS")
            };
            Some((
                record.time_ns,
                report.capture_ms,
                report.seq,
                report.entries().collect(),
            ))
        }
        _ => None,
    };
    records.iter().filter_map(report).collect()
}

#[test]
fn rss_lines_of_one_moment_share_a_datagram_of_bounded_size() {
    let mut lines: Vec<_> = (1..=500).map(|rx| rss_line(40, 0, rx, "-50")).collect();
    lines.push(rss_line(90, 1, 2, "-61.4"));
    lines.push(rss_line(90, 1, 3, "null"));
    lines.push(rss_line(90, 1, 4, "127"));
    lines.push(rss_line(90, 5, 5, "-45"));
    lines.push(r#"{"type":"rss","t_ms":90,"tx":1,"rx":9,"channel":1}"#.into());
    lines.push(r#"{"type":"rss","t_ms":90,"tx":1,"channel":1,"rssi_dbm":-50}"#.into());
    lines.push(rss_line(90, 2, 1, "-62"));
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let records = jsonl(&lines);
    let reports = reports(&records);
    let sizes: Vec<_> = reports.iter().map(|r| (r.0, r.1, r.2, r.3.len())).collect();
    assert_eq!(
        sizes,
        [
            (40_000_000, 40, 0, 226),
            (40_000_000, 40, 1, 226),
            (40_000_000, 40, 2, 48),
            (90_000_000, 90, 3, 2)
        ]
    );
    assert_eq!(
        reports[3].3[0],
        RssEntry {
            tx: 1,
            rx: 2,
            channel: 1,
            rssi_dbm: -61
        }
    );
    let all: Vec<_> = reports
        .iter()
        .flat_map(|r| r.3.iter().map(|e| e.rx))
        .take(500)
        .collect();
    assert_eq!(
        all,
        (1..=500).collect::<Vec<_>>(),
        "no entry is lost or reordered where datagrams part"
    );
    let counts = tally(&records);
    assert_eq!(
        (counts["not-received"], counts["self-link"], counts["bad-field"]),
        (3, 1, 1)
    );
}

#[test]
fn a_csi_datagram_pushes_out_the_strengths_before_it() {
    let records = jsonl(&[&rss_line(1, 1, 2, "-50"), CSI_LINE, &rss_line(1, 1, 3, "-50")]);
    let kinds: Vec<_> = records
        .iter()
        .map(|r| tally(std::slice::from_ref(r)).into_keys().next().unwrap())
        .collect();
    assert_eq!(kinds, ["tlr1", "raw-csi", "tlr1"]);
}

const HEADER: &str = "type,role,mac,rssi,rate,sig_mode,mcs,bandwidth,smoothing,not_sounding,aggregation,stbc,fec_coding,sgi,noise_floor,ampdu_cnt,channel,secondary_channel,local_timestamp,ant,sig_len,rx_state,real_time_set,real_timestamp,len,CSI_DATA";

fn csv_row(rssi: &str, local: u32, real: &str, len: usize, data: &str) -> String {
    format!(
        "CSI_DATA,AP,10:B4:1D:CC:60:E0,{rssi},11,1,0,1,0,0,0,1,0,0,-93,0,11,2,{local},0,374,0,0,{real},{len},{data}"
    )
}

#[test]
fn csi_data_rows_are_read_with_and_without_header_and_blank_lines() {
    let row = csv_row("-24", 5, "2.5", 4, "[1 -2 3 -4 ]");
    for text in [
        format!("{HEADER}\n{row}\n"),
        format!("{row}\n\n"),
        format!("\n\r\n{row}\r\n\r\n"),
    ] {
        let (format, records) = read(text.as_bytes());
        assert_eq!((format, records.len()), (RecordingFormat::EspCsv, 1));
        assert_eq!(
            (records[0].time_ns, records[0].source),
            (2_500_000_000, SourceKey::Node(1))
        );
        let RecordBody::Datagram(bytes) = &records[0].body else {
            panic!("{records:?}")
        };
        let Ok(Datagram::Csi(frame)) = parse(bytes) else {
            panic!("expected CSI")
        };
        assert_eq!((frame.bins, frame.bandwidth_mhz, frame.centre_khz), (2, 40, 2_462_000));
        assert_eq!((frame.rssi_dbm, frame.noise_dbm), (-24, -93));
        assert_eq!(frame.samples, [1, 254, 3, 252]);
        assert!(matches!(
            frame.grid,
            tapline_wire::Grid::Esp {
                ppdu: Ppdu::HtOrLegacy,
                stbc: true,
                ..
            }
        ));
    }
}

#[test]
fn newer_logs_with_other_columns_and_quoted_commas_are_read() {
    let text = "type,id,mac,rssi,rate,sig_mode,mcs,bandwidth,smoothing,not_sounding,aggregation,stbc,fec_coding,sgi,\
                noise_floor,ampdu_cnt,channel,secondary_channel,local_timestamp,ant,sig_len,rx_state,len,first_word,data\n\
                CSI_DATA,5,1a:00:00:00:00:00,-055,11,1,0,0,0,0,0,0,0,0,-96,0,6,0,7000000,0,60,0,4,0,\"[9,8,-7,6]\"\n";
    let (_, records) = read(text.as_bytes());
    let RecordBody::Datagram(bytes) = &records[0].body else {
        panic!("{records:?}")
    };
    let Ok(Datagram::Csi(frame)) = parse(bytes) else {
        panic!("expected CSI")
    };
    assert_eq!(
        (frame.rssi_dbm, frame.samples),
        (-55, &[9, 8, 249, 6][..]),
        "a zero-padded strength is decimal"
    );
    assert_eq!(
        records[0].time_ns, 7_000_000_000,
        "without a host time, the chip's counter"
    );
}

#[test]
fn irregular_rows_are_counted_by_reason() {
    let text = [
        csv_row("-24", 1, "1.0", 4, "[1 2 3 4]"),
        csv_row("204", 1, "1.0", 4, "[1 2 3 4]"),
        csv_row("999", 1, "1.0", 4, "[1 2 3 4]"),
        csv_row("-24", 1, "1.0", 6, "[1 2 3 4]"),
        csv_row("-24", 1, "1.0", 3, "[1 2 3]"),
        csv_row("-24", 1, "1.0", 0, "[]"),
        csv_row("-24", 1, "1.0", 128, &format!("[{}]", "1 ".repeat(256))),
        csv_row("-24", 1, "1.0", 384, &format!("[{}]", "1 ".repeat(256))),
        csv_row("-24", 1, "1.0", 4, "[1 2 3 400]"),
        csv_row("-24", 1, "1.0", 4, "[1 2 3 4"),
        csv_row("-24", 1, "1.0", 4, "1 2 3 4]"),
        csv_row("-24", 1, "1.0", 1026, &format!("[{}]", "1 ".repeat(1026))),
        "CSI_DATA,AP,10:B4".into(),
        "I (1234) wifi: something the console printed".into(),
    ]
    .join("\n");
    let (_, records) = read(text.as_bytes());
    let expected = BTreeMap::from([
        ("raw-csi", 3),
        ("bad-field", 2),
        ("length-mismatch", 4),
        ("bad-sample", 1),
        ("truncated-line", 2),
        ("malformed-line", 1),
        ("unknown-type", 1),
    ]);
    assert_eq!(tally(&records), expected);
    let RecordBody::Datagram(bytes) = &records[1].body else {
        panic!("{records:?}")
    };
    let Ok(Datagram::Csi(frame)) = parse(bytes) else {
        panic!("expected CSI")
    };
    assert_eq!(
        frame.rssi_dbm, -52,
        "a strength printed unsigned is the byte it came from"
    );
}

#[test]
fn the_chip_counter_is_unwrapped() {
    let text = [
        csv_row("-24", u32::MAX, "0", 4, "[1 2 3 4]"),
        csv_row("-24", 999, "0", 4, "[1 2 3 4]"),
        csv_row("-24", 899, "0", 4, "[1 2 3 4]"),
    ]
    .join("\n");
    let (_, records) = read(text.as_bytes());
    let steps: Vec<_> = records.windows(2).map(|w| w[1].time_ns - w[0].time_ns).collect();
    assert_eq!(steps, [1_000_000, -100_000]);
}

/// An IPv4 UDP packet.
fn ip_udp(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(((28 + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 0, 9, 192, 168, 0, 1]);
    packet.extend(4_000_u16.to_be_bytes());
    packet.extend(5_005_u16.to_be_bytes());
    packet.extend(((8 + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn pcap(magic: [u8; 4], link: u32, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let big = matches!(magic[0], 0xA1);
    let word = |x: u32| if big { x.to_be_bytes() } else { x.to_le_bytes() };
    let mut out = magic.to_vec();
    out.extend([0; 16]);
    out.extend(word(link));
    for (seconds, fraction, packet) in packets {
        for x in [*seconds, *fraction, packet.len() as u32, packet.len() as u32] {
            out.extend(word(x));
        }
        out.extend_from_slice(packet);
    }
    out
}

#[test]
fn every_pcap_flavour_and_link_layer_gives_the_same_datagram() {
    let ip = ip_udp(b"payload");
    let mut v6 = vec![0x60, 0, 0, 0, 0, 15, 17, 64];
    v6.extend([0; 15]);
    v6.push(1);
    v6.extend([0; 16]);
    v6.extend(&ip[20..]);
    let ethernet = |kind: [u8; 2], rest: &[u8]| [&[0; 12][..], &kind, rest].concat();
    let v4_address = SourceKey::Address("192.168.0.9:4000".parse().unwrap());
    let v6_address = SourceKey::Address("[::1]:4000".parse().unwrap());
    for (magic, step_ns) in [
        ([0xD4, 0xC3, 0xB2, 0xA1], 1000),
        ([0xA1, 0xB2, 0xC3, 0xD4], 1000),
        ([0x4D, 0x3C, 0xB2, 0xA1], 1),
        ([0xA1, 0xB2, 0x3C, 0x4D], 1),
    ] {
        for (link, packet, source) in [
            (1, ethernet([8, 0], &ip), v4_address),
            (1, ethernet([0x81, 0], &[&[0, 5, 8, 0], &ip[..]].concat()), v4_address),
            (1, ethernet([0x86, 0xDD], &v6), v6_address),
            (1, [&ethernet([8, 0], &ip)[..], &[0; 11]].concat(), v4_address),
            (101, ip.clone(), v4_address),
            (229, v6.clone(), v6_address),
            (113, [&[0; 14][..], &[8, 0], &ip].concat(), v4_address),
            (276, [&[8, 0][..], &[0; 18], &ip].concat(), v4_address),
            (0, [&[2, 0, 0, 0][..], &ip].concat(), v4_address),
        ] {
            let (format, records) = read(&pcap(magic, link, &[(1_700_000_000, 250, &packet)]));
            assert_eq!(format, RecordingFormat::Pcap);
            let expected = Record {
                time_ns: 1_700_000_000_000_000_000 + 250 * step_ns,
                arrival_ns: None,
                simulated: false,
                source,
                body: RecordBody::Datagram(b"payload".to_vec()),
            };
            assert_eq!(records, [expected], "link type {link}");
        }
    }
}

#[test]
fn packets_that_give_no_datagram_are_counted() {
    let good = ip_udp(b"payload");
    let change = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    let packets = [
        good.clone(),
        change(9, 6),
        change(6, 0x20),
        change(7, 1),
        change(0, 0x4F),
        change(3, 200),
        change(25, 200),
        change(25, 7),
        change(0, 0x75),
        good[..15].to_vec(),
        vec![],
    ];
    let packets: Vec<_> = packets.iter().map(|packet| (0, 0, &packet[..])).collect();
    let (_, records) = read(&pcap([0xD4, 0xC3, 0xB2, 0xA1], 101, &packets));
    let expected = BTreeMap::from([
        ("unknown", 1),
        ("not-udp", 3),
        ("ip-fragment", 2),
        ("malformed-packet", 5),
    ]);
    assert_eq!(tally(&records), expected);
}

#[test]
fn a_torn_pcap_gives_what_is_whole_and_says_so() {
    let packet = ip_udp(b"payload");
    let whole = pcap([0xD4, 0xC3, 0xB2, 0xA1], 101, &[(1, 0, &packet), (2, 0, &packet)]);
    for len in 24..=whole.len() {
        let (_, records) = read(&whole[..len]);
        let counts = tally(&records);
        let (body, record) = (len - 24, packet.len() + 16);
        assert_eq!(counts.get("unknown").copied().unwrap_or(0), body / record);
        assert_eq!(
            counts.get("torn-tail").copied().unwrap_or(0),
            usize::from(body % record != 0)
        );
    }
    let mut hostile = whole;
    hostile[24 + 8..24 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(tally(&read(&hostile).1), BTreeMap::from([("packet-too-long", 1)]));
}

/// An Intel 5300 record with these samples, `(receive chain, transmit stream, tone) -> [re, im]`, written bit by bit.
fn intel_record(
    timestamp_us: u32,
    (rx, tx): (usize, usize),
    antenna_sel: u8,
    sample: impl Fn(usize, usize, usize) -> [i8; 2],
) -> Vec<u8> {
    let mut bits = Vec::new();
    for tone in 0..30 {
        bits.extend([true, false, true]);
        for chain in 0..rx {
            for stream in 0..tx {
                for part in sample(chain, stream, tone) {
                    bits.extend((0..8).map(|bit| part as u8 >> bit & 1 == 1));
                }
            }
        }
    }
    let csi: Vec<u8> = bits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .enumerate()
                .fold(0, |all, (bit, set)| all | u8::from(*set) << bit)
        })
        .collect();
    let mut payload = timestamp_us.to_le_bytes().to_vec();
    payload.extend([
        1,
        0,
        0,
        0,
        rx as u8,
        tx as u8,
        33,
        30,
        0,
        (-92_i8) as u8,
        20,
        antenna_sel,
    ]);
    payload.extend((csi.len() as u16).to_le_bytes());
    payload.extend(0x010F_u16.to_le_bytes());
    payload.extend(csi);
    let mut record = ((payload.len() + 1) as u16).to_be_bytes().to_vec();
    record.push(0xBB);
    record.extend(payload);
    record
}

#[test]
fn an_intel_record_gives_one_datagram_a_transmit_stream() {
    let sample = |chain: usize, stream: usize, tone: usize| [(chain * 40 + tone) as i8, -((stream * 50 + tone) as i8)];
    let mut log = intel_record(5_000, (3, 2), 0b01_00_10, sample);
    log.extend([0, 3, 0xC1, 7, 7]);
    log.extend(intel_record(25_000, (3, 2), 0b01_00_10, sample));
    log.extend(intel_record(26_000, (1, 1), 0, sample));
    let (format, records) = read(&log);
    assert_eq!(format, RecordingFormat::Intel5300);
    assert_eq!(tally(&records), BTreeMap::from([("tlf1", 5), ("not-csi", 1)]));
    let times: Vec<_> = records.iter().map(|r| r.time_ns / 1_000_000).collect();
    assert_eq!(times, [5, 5, 5, 25, 25, 26]);
    for (record, stream) in records.iter().zip(0..2_u16) {
        let RecordBody::Datagram(bytes) = &record.body else {
            panic!("{record:?}")
        };
        let Ok(Datagram::Csi(frame)) = parse(bytes) else {
            panic!("expected CSI")
        };
        assert_eq!(
            (frame.rx_node, frame.tx_node, frame.seq),
            (1, Some(100 + stream), stream.into())
        );
        assert_eq!((frame.rx_antennas, frame.bins, frame.bandwidth_mhz), (3, 30, 20));
        assert_eq!((frame.agc_db, frame.noise_dbm, frame.rssi_dbm), (Some(20), -92, -29));
        for (chain, antenna) in [(0, 2), (1, 0), (2, 1)] {
            for tone in 0..30 {
                let [re, im] = sample(chain, stream.into(), tone);
                let expected = num_complex::Complex32::new(re.into(), im.into());
                assert_eq!(
                    frame.sample(antenna, tone),
                    Some(expected),
                    "chain {chain} is antenna {antenna}"
                );
            }
        }
    }
}

#[test]
fn damaged_intel_records_are_counted_and_a_torn_tail_ends_the_log() {
    let good = intel_record(1, (2, 2), 0b01_00, |_, _, tone| [tone as i8, 1]);
    let change = |at: usize, value: u8| {
        let mut record = good.clone();
        record[at] = value;
        record
    };
    // Offsets: 2 length, 1 code, then the 20 bytes of the header.
    let log = [
        good.clone(),
        change(3 + 8, 4),
        change(3 + 9, 0),
        change(3 + 8, 1),
        change(3 + 16, 9),
        good[..50].to_vec(),
    ];
    let (_, records) = read(&log.concat());
    let expected = BTreeMap::from([("tlf1", 2), ("bad-field", 2), ("length-mismatch", 2), ("torn-tail", 1)]);
    assert_eq!(tally(&records), expected);
    for len in good.len()..2 * good.len() {
        let twice = [&good[..], &good[..]].concat();
        assert_eq!(tally(&read(&twice[..len]).1)["tlf1"], 2);
    }
}

/// A ZIP file of one stored entry `csi_data.npy`.
fn npz(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let dictionary = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((dictionary.len() as u16).to_le_bytes());
    npy.extend(dictionary.bytes());
    npy.extend(data);
    let name = b"csi_data.npy";
    let crc = tapline_wire::crc32(&npy).to_le_bytes();
    let len = (npy.len() as u32).to_le_bytes();
    let fields = [&[0; 2][..], &[0; 4], &crc, &len, &len, &[name.len() as u8, 0, 0, 0]].concat();
    let mut out = [&b"PK\x03\x04\x14\0\0\0"[..], &fields, name, &npy].concat();
    let directory = (out.len() as u32).to_le_bytes();
    out.extend([&b"PK\x01\x02\x14\0\x14\0\0\0"[..], &fields, &[0; 14], name].concat());
    out.extend(
        [
            &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
            &[58, 0, 0, 0],
            &directory,
            &[0, 0],
        ]
        .concat(),
    );
    out
}

#[test]
fn a_numpy_archive_gives_a_datagram_a_row() {
    let data: Vec<u8> = (0..12).collect();
    let (format, records) = read(&npz("|i1", "(3, 4)", &data));
    assert_eq!((format, records.len()), (RecordingFormat::EspNpz, 3));
    for (i, record) in records.iter().enumerate() {
        let RecordBody::Datagram(bytes) = &record.body else {
            panic!("{record:?}")
        };
        let Ok(Datagram::Csi(frame)) = parse(bytes) else {
            panic!("expected CSI")
        };
        assert_eq!((frame.samples, frame.seq), (&data[4 * i..4 * i + 4], i as u32));
        assert_eq!(record.time_ns, i as i64 * 10_000_000);
    }
}

#[test]
fn archives_that_disagree_with_themselves_are_refused() {
    let good = npz("|i1", "(3, 4)", &[0; 12]);
    let open = |bytes: &[u8]| {
        let file = TempFile::new("npz", bytes);
        Recording::open(&file.0, &ReadOptions::default())
            .map(Iterator::count)
            .map_err(|e| e.to_string())
    };
    assert_eq!(open(&good), Ok(3));
    for (bytes, expect) in [
        (npz("|i1", "(4, 4)", &[0; 12]), "12 for |i1 of shape [4, 4]"),
        (npz("|i1", "(18446744073709551615, 4)", &[0; 12]), "as many bytes"),
        (npz("|i1", "(3, 514)", &[0; 12]), "514"),
        (npz("|O", "(3, 4)", &[0; 12]), "|O of shape"),
        (npz("<f8", "(3, 4)", &[0; 12]), "<f8"),
        (npz("|i1", "3, 4", &[0; 12]), ".npy header"),
    ] {
        let error = open(&bytes).unwrap_err();
        assert!(error.contains(expect), "{error} should contain {expect}");
    }
    for len in 4..good.len() {
        assert!(open(&good[..len]).is_err(), "cut at {len}");
    }
    let mut changed = good;
    changed[100] ^= 1;
    assert!(open(&changed).is_err());
}

#[test]
fn files_of_no_known_format_are_refused_with_what_was_found() {
    for (content, expect) in [
        (&b"\x00\x01binary"[..], "\\x00\\x01binary"),
        (b"", "begins with \"\""),
        (b"hello\n", "hello"),
        (b"\x0A\x0D\x0D\x0A12345678901234567890", "editcap"),
        (b"\xD4\xC3\xB2\xA1", "4 bytes"),
        (&pcap([0xD4, 0xC3, 0xB2, 0xA1], 147, &[]), "147"),
        (b"type,role,mac\n", "header naming"),
        (b"TAPLCAP1", "8 bytes"),
    ] {
        let file = TempFile::new("unknown", content);
        let error = match Recording::open(&file.0, &ReadOptions::default()) {
            Err(e) => e,
            Ok(mut recording) => recording.next().unwrap().unwrap_err(),
        };
        let text = error.to_string().replace("\\\\", "\\");
        assert!(text.contains(expect), "{text} should contain {expect}");
    }
    assert!(Recording::open("/no/such/file", &ReadOptions::default()).is_err());
}

#[test]
fn sources_survive_their_text() {
    for source in [
        SourceKey::Recording,
        SourceKey::Node(65_535),
        SourceKey::Address("10.0.0.1:5005".parse().unwrap()),
        SourceKey::Address("[fe80::1]:5005".parse().unwrap()),
    ] {
        assert_eq!(source.to_string().parse(), Ok(source));
    }
    assert!("node:x".parse::<SourceKey>().is_err());
}

proptest! {
    #[test]
    fn random_files_never_panic(
        head in prop::sample::select(vec![
            &b"{"[..], b"CSI_DATA,", b"\x01\x89\xBB", b"PK\x03\x04", b"type,", b"TAPLCAP1\x01\x00", b"\xD4\xC3\xB2\xA1", b"\xA1\xB2\x3C\x4D", b"",
        ]),
        content in vec(any::<u8>(), 0..400),
    ) {
        let file = TempFile::new("random", &[head, &content].concat());
        if let Ok(recording) = Recording::open(&file.0, &ReadOptions::default()) {
            for record in recording.take(1000) {
                let _ = record;
            }
        }
    }
}
