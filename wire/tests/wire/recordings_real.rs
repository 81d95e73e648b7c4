//! Real recordings, where `TAPLINE_DATA` names their directory (`docs/data.md` lists them).
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use num_complex::{Complex32, Complex64};
use tapline_dsp::tier::Tier;
use tapline_wire::{
    BinLayout, BinOrder, Datagram, Ppdu, parse,
    recording::{ReadOptions, Record, RecordBody, Recording, digest},
};

use crate::recordings::{TempFile, reports, tally};

fn data() -> Option<PathBuf> {
    let directory = std::env::var_os("TAPLINE_DATA").map(PathBuf::from);
    if directory.is_none() {
        eprintln!("SKIPPED: TAPLINE_DATA is not set");
    }
    directory
}

fn records(path: PathBuf) -> Vec<Record> {
    Recording::open(path, &ReadOptions::default())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

const TWO_NODE: &str = "esp32-two-node/pretrain-1775182186.csi.jsonl";

#[test]
fn the_two_node_recording_gives_5309_csi_datagrams_and_474_others_by_kind() {
    let Some(data) = data() else { return };
    let records = records(data.join(TWO_NODE));
    let expected = BTreeMap::from([
        ("raw-csi", 5309),
        ("vitals", 236),
        ("feature", 236),
        ("compressed-csi", 2),
    ]);
    assert_eq!(tally(&records), expected);
    let mut seqs: BTreeMap<u16, u32> = BTreeMap::new();
    let mut measured = 0;
    for record in &records {
        let RecordBody::Datagram(bytes) = &record.body else {
            continue;
        };
        let Ok(Datagram::Csi(frame)) = parse(bytes) else {
            panic!("expected CSI")
        };
        let next = seqs.entry(frame.rx_node).or_insert(0);
        assert_eq!(frame.seq, *next, "sequence numbers run a node");
        *next += 1;
        assert_eq!(frame.detect_bin_order(0), Some(BinOrder::PositiveFirst));
        let mut tones = [Complex32::ZERO; 52];
        let mut mask = [0; 52];
        frame
            .tones(0, BinLayout::Auto, Tier::Lltf64, &mut tones, &mut mask)
            .unwrap();
        measured += usize::from(mask == [1; 52]);
    }
    assert_eq!(seqs, BTreeMap::from([(1, 2659), (2, 2650)]));
    assert_eq!(measured, 5309, "the first 64 bins carry all 52 tones in every frame");
    assert!(records.is_sorted_by_key(|record| record.time_ns));
    let seconds = (records[records.len() - 1].time_ns - records[0].time_ns) as f64 / 1e9;
    assert!((seconds - 120.02).abs() < 0.01, "{seconds} s");
}

/// Read as (real, imaginary) instead of (imaginary, real), time runs backwards: echoes come before the
/// direct path. Compared is the energy outside the strongest tap's own resolution cell (3 taps).
#[test]
fn echoes_come_after_the_direct_path() {
    let Some(data) = data() else { return };
    let mut energies: BTreeMap<u16, [[f64; 2]; 2]> = BTreeMap::new();
    for record in records(data.join(TWO_NODE)) {
        let RecordBody::Datagram(bytes) = &record.body else {
            continue;
        };
        let Ok(Datagram::Csi(frame)) = parse(bytes) else {
            panic!("expected CSI")
        };
        let mut tones = [Complex32::ZERO; 52];
        frame
            .tones(0, BinLayout::Auto, Tier::Lltf64, &mut tones, &mut [0; 52])
            .unwrap();
        let sums = energies.entry(frame.rx_node).or_default();
        for (sum, order) in sums.iter_mut().zip([tones, tones.map(|x| Complex32::new(x.im, x.re))]) {
            let [after, before] = energy_around_peak(&order);
            sum[0] += after;
            sum[1] += before;
        }
    }
    let excess = |[after, before]: [f64; 2]| (after - before) / (after + before);
    let found: Vec<_> = energies
        .into_iter()
        .map(|(node, [right, wrong])| (node, excess(right), excess(wrong)))
        .collect();
    assert_eq!(found.len(), 2);
    for ((node, right, wrong), (expected_node, expected)) in found.into_iter().zip([(1, 0.18), (2, 0.58)]) {
        assert_eq!(node, expected_node);
        assert!(
            (right - expected).abs() < 0.02 && (wrong + expected).abs() < 0.02,
            "node {node}: {right}, {wrong}"
        );
    }
}

/// Energy after and before the strongest tap, outside its resolution cell.
fn energy_around_peak(tones: &[Complex32]) -> [f64; 2] {
    const TAPS: usize = 156;
    let roots: [Complex64; TAPS] =
        std::array::from_fn(|i| Complex64::from_polar(1.0, std::f64::consts::TAU * i as f64 / TAPS as f64));
    let energy: Vec<f64> = (0..TAPS)
        .map(|tap| {
            let sum: Complex64 = Tier::Lltf64
                .tone_indices()
                .zip(tones)
                .map(|(index, tone)| {
                    let turn = (i64::from(index) * tap as i64).rem_euclid(TAPS as i64);
                    Complex64::new(tone.re.into(), tone.im.into()) * roots[turn as usize]
                })
                .sum();
            sum.norm_sqr()
        })
        .collect();
    let peak = (0..TAPS).max_by(|&a, &b| energy[a].total_cmp(&energy[b])).unwrap();
    [1, TAPS - 1].map(|step| (4..TAPS / 2).map(|k| energy[(peak + k * step) % TAPS]).sum())
}

#[test]
fn the_basement_strengths_become_bounded_reports_without_loss() {
    let Some(data) = data() else { return };
    let text = std::fs::read_to_string(data.join("rti-basement/basement_listenx_out_1.txt")).unwrap();
    let pairs: Vec<_> = (0..10)
        .flat_map(|a| (0..10).filter(move |&b| a != b).map(move |b| (a, b)))
        .collect();
    let (mut lines, mut strengths) = (String::new(), Vec::new());
    for row in text.lines() {
        let row: Vec<f64> = row.split_whitespace().map(|x| x.parse().unwrap()).collect();
        assert_eq!(row.len(), 721);
        let t_ms = row[720] as u64;
        for channel in 0..8 {
            for (i, (tx, rx)) in pairs.iter().enumerate() {
                let (dbm, tx, rx, channel_number) = (row[channel * 90 + i], tx + 1, rx + 1, channel + 1);
                let shown = if dbm <= -10.0 { dbm.to_string() } else { "null".into() };
                writeln!(
                    lines,
                    r#"{{"type":"rss","t_ms":{t_ms},"tx":{tx},"rx":{rx},"channel":{channel_number},"rssi_dbm":{shown}}}"#
                )
                .unwrap();
                if dbm <= -10.0 {
                    strengths.push((t_ms, tx as u16, rx as u16, channel_number as u8, dbm as i8));
                }
            }
        }
    }
    let file = TempFile::new("basement", lines.as_bytes());
    let records = records(file.0.clone());
    let reports = reports(&records);
    let found: Vec<_> = reports
        .iter()
        .flat_map(|(_, t_ms, _, entries)| entries.iter().map(|e| (*t_ms, e.tx, e.rx, e.channel, e.rssi_dbm)))
        .collect();
    assert_eq!(found, strengths);
    assert_eq!(strengths.len() + tally(&records)["not-received"], 642 * 720);
    let moments: std::collections::BTreeSet<_> = reports.iter().map(|r| r.1).collect();
    assert_eq!(moments.len(), 642);
    assert!(reports.len() <= 4 * 642, "{} datagrams", reports.len());
    assert_eq!(reports[0].0, reports[0].1 as i64 * 1_000_000);
}

#[test]
fn esp32_logs_without_header_give_every_row() {
    let Some(data) = data() else { return };
    let directory = data.join("esp32-obstruction");
    let mut files = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        files += 1;
        let rows = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count();
        let name = path.display().to_string();
        let records = records(path);
        let counts = tally(&records);
        assert_eq!(records.len(), rows, "{name}");
        assert!(counts["raw-csi"] * 100 >= rows * 98, "{name}: {counts:?}");
        for record in &records {
            let RecordBody::Datagram(bytes) = &record.body else {
                continue;
            };
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                panic!("expected CSI")
            };
            assert!(frame.rssi().is_some() && frame.noise().is_some());
        }
    }
    assert_eq!(files, 20);
}

/// These logs come from a 40 MHz channel whose lower half is used: the legacy field runs from -32 to 31.
#[test]
fn the_bin_order_of_a_real_log_is_found_from_its_nulls() {
    let Some(data) = data() else { return };
    for (file, order, full) in [
        ("esp32-obstruction/empty_01.csv", BinOrder::NegativeFirst, 52),
        ("formats/esp32/example_100hz_pitraffic.csv", BinOrder::PositiveFirst, 51),
        ("formats/csiread/example_csi.csv", BinOrder::NegativeFirst, 52),
    ] {
        let mut frames = 0;
        for record in records(data.join(file)) {
            let RecordBody::Datagram(bytes) = &record.body else {
                continue;
            };
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                panic!("expected CSI")
            };
            assert!(matches!(
                frame.grid,
                tapline_wire::Grid::Esp {
                    ppdu: Ppdu::HtOrLegacy,
                    ..
                }
            ));
            if frame.bins != 64 && file.contains("obstruction") {
                continue;
            }
            assert_eq!(frame.detect_bin_order(0), Some(order), "{file}");
            let mut tones = [Complex32::ZERO; 52];
            let mut mask = [0; 52];
            frame
                .tones(0, BinLayout::Auto, Tier::Lltf64, &mut tones, &mut mask)
                .unwrap();
            let measured = mask.iter().filter(|&&valid| valid == 1).count();
            assert_eq!(
                measured, full,
                "{file}: the spoilt first word hides tone 1 of positive-first order"
            );
            frames += 1;
        }
        assert!(frames >= 2, "{file}");
    }
}

#[test]
fn esp32_logs_with_header_are_read() {
    let Some(data) = data() else { return };
    for (file, at_least) in [
        ("example_100hz_pitraffic.csv", 500),
        ("example_fast_100hz_pitraffic.csv", 500),
        ("example_fast2_100hz_pitraffic.csv", 500),
        ("example_data.csv", 10),
    ] {
        let counts = tally(&records(data.join("formats/esp32").join(file)));
        assert!(counts["raw-csi"] >= at_least, "{file}: {counts:?}");
        let others: usize = counts
            .iter()
            .filter(|(label, _)| **label != "raw-csi")
            .map(|(_, n)| n)
            .sum();
        assert!(others <= 1, "{file} ends in at most one torn row: {counts:?}");
    }
}

#[test]
fn real_pcaps_give_their_payloads() {
    let Some(data) = data() else { return };
    for (file, packets) in [
        ("example_43455c0.pcap", 566),
        ("example_4366c0.pcap", 293),
        ("example_4339.pcap", 2850),
    ] {
        let records = records(data.join("formats/nexmon").join(file));
        let datagrams = records
            .iter()
            .filter(|r| matches!(r.body, RecordBody::Datagram(_)))
            .count();
        assert_eq!(datagrams, packets, "{file}: {:?}", tally(&records));
    }
}

#[test]
fn intel_logs_give_their_records_and_streams() {
    let Some(data) = data() else { return };
    for (file, records_of_streams, payloads) in [
        ("iwl5300-occupancy/RoomA_0p.dat", None, 0),
        ("iwl5300-occupancy/RoomA_1p.dat", None, 0),
        ("formats/csiread/sample_0x5_64_3000.dat", Some((2998, 1)), 2998),
        ("formats/csiread/sample_0x1_ap.dat", Some((540, 2)), 0),
        ("formats/intel/log.all_csi.6.7.6.dat", None, 0),
    ] {
        let records = records(data.join(file));
        let counts = tally(&records);
        assert_eq!(
            counts.get("not-csi").copied().unwrap_or(0),
            payloads,
            "{file}: {counts:?}"
        );
        assert_eq!(counts["tlf1"] + payloads, records.len(), "{file}: {counts:?}");
        if let Some((records, streams)) = records_of_streams {
            assert_eq!(counts["tlf1"], records * streams, "{file}");
        }
        for record in &records {
            let RecordBody::Datagram(bytes) = &record.body else {
                continue;
            };
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                panic!("expected CSI")
            };
            assert!(
                frame.rssi().is_some_and(|dbm| (-100..-5).contains(&dbm)),
                "{file}: {frame:?}"
            );
        }
    }
}

/// Standard deviation over 100 frames of gain-normalised amplitude, all antennas of the first transmit stream: a
/// cheap check that the samples mean something.
#[test]
fn a_person_moves_the_intel_amplitudes() {
    const PATHS: usize = 3 * 30;
    let Some(data) = data() else { return };
    let spreads = |file: &str| {
        let mut rows: Vec<Vec<f32>> = Vec::new();
        for record in records(data.join(file)) {
            let RecordBody::Datagram(bytes) = &record.body else {
                continue;
            };
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                panic!("expected CSI")
            };
            if frame.tx_node != Some(100) || frame.rx_antennas != 3 {
                continue;
            }
            let antenna = |antenna| {
                let amplitude: Vec<f32> = (0..30)
                    .map(|tone| frame.sample(antenna, tone).unwrap().norm())
                    .collect();
                let mean = amplitude.iter().sum::<f32>() / 30.0;
                amplitude.into_iter().map(move |x| x / mean.max(1e-6))
            };
            rows.push((0..3).flat_map(antenna).collect());
        }
        let windows: Vec<f32> = rows
            .chunks_exact(100)
            .map(|window| {
                let deviation = |path: usize| {
                    let mean = window.iter().map(|row| row[path]).sum::<f32>() / 100.0;
                    (window.iter().map(|row| (row[path] - mean).powi(2)).sum::<f32>() / 100.0).sqrt()
                };
                (0..PATHS).map(deviation).sum::<f32>() / PATHS as f32
            })
            .collect();
        assert!(windows.len() > 50, "{file}");
        windows
    };
    let empty = spreads("iwl5300-occupancy/RoomA_0p.dat");
    let occupied = spreads("iwl5300-occupancy/RoomA_1p.dat");
    let greater = occupied
        .iter()
        .map(|o| empty.iter().filter(|e| o > e).count())
        .sum::<usize>();
    let auc = greater as f64 / (empty.len() * occupied.len()) as f64;
    assert!(auc > 0.99, "AUC {auc}");
}

#[test]
fn archives_of_three_chips_give_their_frames_with_every_tone_measured() {
    let Some(data) = data() else { return };
    for (file, frames, measured) in [
        ("baseline_c3_64sc_20260329_130303.npz", 1017, 52),
        ("baseline_esp32_64sc_20260214_183059.npz", 961, 51),
        ("baseline_s3_64sc_20260117_222606.npz", 1353, 52),
    ] {
        let records = records(data.join("esp32-motion").join(file));
        assert_eq!(tally(&records), BTreeMap::from([("raw-csi", frames)]), "{file}");
        let seconds = records[frames - 1].time_ns as f64 / 1e9;
        assert!((seconds - 10.0).abs() < 0.1, "{file}: {seconds} s");
        for record in &records {
            let RecordBody::Datagram(bytes) = &record.body else {
                continue;
            };
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                panic!("expected CSI")
            };
            let mut tones = [Complex32::ZERO; 52];
            let mut mask = [0; 52];
            frame
                .tones(0, BinLayout::Auto, Tier::Lltf64, &mut tones, &mut mask)
                .unwrap();
            assert_eq!(frame.detect_bin_order(0), Some(BinOrder::PositiveFirst), "{file}");
            assert!(
                mask.iter().map(|&m| usize::from(m)).sum::<usize>() >= measured,
                "{file}"
            );
        }
    }
}

#[test]
fn the_digest_is_blake3_of_the_file() {
    let file = TempFile::new("digest", b"abc");
    let expected = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    assert_eq!(hex::encode(digest(&file.0).unwrap()), expected);
    assert!(digest("/no/such/file").is_err());
}

#[test]
fn the_page_about_recordings_agrees_with_the_files() {
    let Some(data) = data() else { return };
    let page = include_str!("../../../docs/data.md");
    let mut files = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, path, bytes, expected, _] = cells[..] else {
            panic!("expected three columns: {row}")
        };
        let path = data.join(path);
        assert_eq!(std::fs::metadata(&path).unwrap().len().to_string(), bytes, "{row}");
        assert_eq!(hex::encode(digest(&path).unwrap()), expected, "{row}");
        files += 1;
    }
    assert!(files >= 80, "{files} rows");
}
