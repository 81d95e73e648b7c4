//! Tapline's own capture: round trips, crashes, damage.

use std::io::{self, Cursor, Write};

use proptest::{collection::vec, prelude::*};
use tapline_wire::recording::{
    ReadOptions, RecordBody, Recording, RecordingFormat, SourceKey,
    capture::{CaptureEntry, CaptureHeader, CaptureReader, CaptureWriter, TickEntry},
};

use crate::recordings::TempFile;

fn header() -> CaptureHeader {
    CaptureHeader {
        simulated: true,
        opened_ns: 1_700_000_000,
        manifest_hash: [3; 32],
        site_id: "küche".into(),
    }
}

fn source(i: usize) -> SourceKey {
    match i % 3 {
        0 => SourceKey::Address("192.168.1.7:5005".parse().unwrap()),
        1 => SourceKey::Node(i as u16),
        _ => SourceKey::Recording,
    }
}

/// Entry `i` of the test captures.
fn entry(i: usize) -> CaptureEntry {
    let at = i as i64 * 1_000;
    if i % 10 == 9 {
        CaptureEntry::Tick(TickEntry {
            tick: i as u64,
            end_ns: at,
            wall_ns: at + 7,
            frames: 9,
            dispositions: vec![i as u8; i % 5],
        })
    } else {
        // Bytes that do not compress, so that chunks are of interesting sizes.
        let bytes = (0..200).map(|k| (i * 7919 + k * k * 31) as u8).collect();
        CaptureEntry::Datagram {
            arrival_ns: at,
            wall_ns: at + 7,
            source: source(i),
            bytes,
        }
    }
}

fn write(writer: &mut CaptureWriter<impl Write>, entry: &CaptureEntry) -> io::Result<()> {
    match entry {
        CaptureEntry::Datagram {
            arrival_ns,
            wall_ns,
            source,
            bytes,
        } => writer.datagram(*arrival_ns, *wall_ns, *source, bytes),
        CaptureEntry::Tick(tick) => writer.tick(tick),
        CaptureEntry::Note(note) => writer.note(0, note),
        CaptureEntry::Damage { .. } => unreachable!("not written"),
    }
}

/// A capture of `n` entries flushed every `flush` entries.
fn capture(n: usize, flush: usize, close: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = CaptureWriter::new(&mut out, &header()).unwrap();
    for i in 0..n {
        write(&mut writer, &entry(i)).unwrap();
        if (i + 1) % flush == 0 {
            writer.flush().unwrap();
        }
    }
    if close {
        writer.finish().unwrap();
    } else {
        drop(writer);
    }
    out
}

fn read_all(bytes: &[u8]) -> (Vec<CaptureEntry>, bool) {
    let mut reader = CaptureReader::new(Cursor::new(bytes)).unwrap();
    let entries = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
    (entries, reader.closed_cleanly())
}

fn undamaged(entries: &[CaptureEntry]) -> Vec<CaptureEntry> {
    entries
        .iter()
        .filter(|e| !matches!(e, CaptureEntry::Damage { .. }))
        .cloned()
        .collect()
}

#[test]
fn what_goes_in_comes_out() {
    let bytes = capture(3000, 70, true);
    let (entries, clean) = read_all(&bytes);
    assert_eq!(entries, (0..3000).map(entry).collect::<Vec<_>>());
    assert!(clean);
    assert_eq!(CaptureReader::new(Cursor::new(&bytes)).unwrap().header(), &header());
    let (entries, clean) = read_all(&capture(3000, 70, false));
    assert_eq!(
        entries.len(),
        2940,
        "entries since the last flush are lost with the process"
    );
    assert!(!clean);
    assert_eq!(read_all(&capture(0, 1, true)), (vec![], true));
}

#[test]
fn as_a_recording_it_carries_times_ticks_and_the_simulated_flag() {
    let file = TempFile::new("capture", &capture(20, 7, true));
    let recording = Recording::open(&file.0, &ReadOptions::default()).unwrap();
    assert_eq!(
        (recording.format(), recording.capture_header()),
        (RecordingFormat::Capture, Some(&header()))
    );
    let records: Vec<_> = recording.map(Result::unwrap).collect();
    assert_eq!(records.len(), 20);
    for (i, record) in records.iter().enumerate() {
        assert!(record.simulated);
        assert_eq!(
            (record.time_ns, record.arrival_ns),
            (i as i64 * 1_000 + 7, Some(i as i64 * 1_000))
        );
        assert_eq!(matches!(record.body, RecordBody::Tick(_)), i % 10 == 9);
    }
    assert_eq!(records[1].source, SourceKey::Node(1));
}

#[test]
fn a_crash_at_any_byte_costs_at_most_the_chunk_being_written() {
    let whole = capture(60, 20, true);
    let mut reader = CaptureReader::new(Cursor::new(&whole)).unwrap();
    let chunks = reader.chunks().unwrap();
    assert_eq!(chunks.len(), 3);
    let first = chunks[0].offset as usize;
    let all: Vec<_> = (0..60).map(entry).collect();
    for len in first..whole.len() {
        let (entries, clean) = read_all(&whole[..len]);
        let complete = chunks
            .iter()
            .skip(1)
            .filter(|chunk| chunk.offset as usize <= len)
            .count();
        let survived = undamaged(&entries);
        assert!(
            survived.len() >= 20 * complete && survived.len().is_multiple_of(20),
            "{} at {len}",
            survived.len()
        );
        assert_eq!(survived, all[..survived.len()]);
        assert!(!clean, "cut at {len} of {}", whole.len());
        let damage = entries.len() - survived.len();
        assert!(damage <= 1);
        if let Some(CaptureEntry::Damage { reason, offset }) = entries.last() {
            assert_eq!((*reason, *offset <= len as u64), ("torn-tail", true));
        }
    }
}

#[test]
fn damage_costs_the_chunk_it_hits_and_is_reported() {
    let whole = capture(60, 20, true);
    let chunks = CaptureReader::new(Cursor::new(&whole)).unwrap().chunks().unwrap();
    let all: Vec<_> = (0..60).map(entry).collect();
    let without_middle = [&all[..20], &all[40..]].concat();
    for at in chunks[1].offset as usize..chunks[2].offset as usize {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let (entries, clean) = read_all(&damaged);
        assert_eq!(undamaged(&entries), without_middle, "byte {at}");
        let offset = chunks[1].offset;
        assert_eq!(
            entries[20],
            CaptureEntry::Damage {
                reason: "corrupt-chunk",
                offset
            }
        );
        assert!(clean);
    }
}

#[test]
fn a_chunk_that_was_cut_out_is_missed() {
    let whole = capture(60, 20, true);
    let chunks = CaptureReader::new(Cursor::new(&whole)).unwrap().chunks().unwrap();
    let cut = [&whole[..chunks[1].offset as usize], &whole[chunks[2].offset as usize..]].concat();
    let (entries, clean) = read_all(&cut);
    assert_eq!(
        entries[20],
        CaptureEntry::Damage {
            reason: "missing-chunk",
            offset: chunks[1].offset
        }
    );
    assert!(!clean, "the footer points past the index");
    let index = u64::from_le_bytes(whole[whole.len() - 16..whole.len() - 8].try_into().unwrap()) as usize;
    let cut = [&whole[..chunks[2].offset as usize], &whole[index..]].concat();
    let offset = chunks[2].offset;
    assert_eq!(
        read_all(&cut).0.last(),
        Some(&CaptureEntry::Damage {
            reason: "missing-chunk",
            offset
        })
    );
}

#[test]
fn the_index_is_rebuilt_when_it_is_missing() {
    let closed = capture(100, 10, true);
    let torn = capture(100, 10, false);
    let index = |bytes: &[u8]| CaptureReader::new(Cursor::new(bytes)).unwrap().chunks().unwrap();
    assert_eq!(index(&closed), index(&torn));
    assert_eq!(index(&closed).len(), 10);
    for bytes in [&closed, &torn] {
        let mut reader = CaptureReader::new(Cursor::new(bytes)).unwrap();
        reader.seek_to(45_000).unwrap();
        let next = reader.next_entry().unwrap().unwrap();
        assert_eq!(next, entry(40), "the chunk that holds the time");
        reader.seek_to(1_000_000).unwrap();
        assert_eq!(reader.next_entry().unwrap(), None);
    }
}

#[test]
fn a_changed_header_is_refused() {
    let whole = capture(1, 1, true);
    let first = CaptureReader::new(Cursor::new(&whole)).unwrap().chunks().unwrap()[0].offset as usize;
    for at in 0..first {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let error = CaptureReader::new(Cursor::new(&damaged))
            .err()
            .expect("a changed header must not open");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

/// Fails after `left` bytes.
struct Failing {
    left: usize,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("disk full"));
        }
        let n = bytes.len().min(self.left);
        self.left -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_failed_write_the_writer_stays_closed() {
    let mut writer = CaptureWriter::new(Failing { left: 200 }, &header()).unwrap();
    write(&mut writer, &entry(0)).unwrap();
    assert!(writer.flush().is_err());
    for i in 1..5 {
        assert!(write(&mut writer, &entry(i)).is_err(), "nothing piles up in memory");
    }
    assert!(writer.flush().is_ok(), "nothing is left to write");
}

/// A note longer than a chunk goes over several; where one of them is damaged, nothing of the note is left.
#[test]
fn a_note_comes_back_whole_or_not_at_all() {
    let notes: Vec<Vec<u8>> = [0_usize, 1, 262_144, 262_145, 1_500_000]
        .iter()
        .map(|&len| (0..len).map(|k| (k * k * 31 + len) as u8).collect())
        .collect();
    let mut writer = CaptureWriter::new(Vec::new(), &header()).unwrap();
    for (i, note) in notes.iter().enumerate() {
        writer.note(i as i64, note).unwrap();
        write(&mut writer, &entry(i)).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let expected: Vec<_> = (0..notes.len())
        .flat_map(|i| [CaptureEntry::Note(notes[i].clone()), entry(i)])
        .collect();
    let (entries, clean) = read_all(&bytes);
    assert!(entries == expected && clean);
    let chunks = CaptureReader::new(Cursor::new(&bytes)).unwrap().chunks().unwrap();
    assert!(chunks.len() > 6, "{}", chunks.len());
    for chunk in &chunks {
        let mut damaged = bytes.clone();
        damaged[chunk.offset as usize + 60] ^= 1;
        let (found, _) = read_all(&damaged);
        assert!(found.iter().any(|e| matches!(e, CaptureEntry::Damage { .. })));
        assert!(undamaged(&found).iter().all(|e| expected.contains(e)));
    }
    let mut writer = CaptureWriter::new(Vec::new(), &header()).unwrap();
    assert!(writer.note(0, &vec![0; (64 << 20) + 1]).is_err());
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let mut writer = CaptureWriter::new(Vec::new(), &header()).unwrap();
    assert!(writer.datagram(0, 0, SourceKey::Recording, &vec![0; 65_508]).is_err());
    let tick = TickEntry {
        tick: 0,
        end_ns: 0,
        wall_ns: 0,
        frames: 0,
        dispositions: vec![0; 65_536],
    };
    assert!(writer.tick(&tick).is_err());
    assert!(
        CaptureWriter::new(
            Vec::new(),
            &CaptureHeader {
                site_id: "x".repeat(256),
                ..header()
            }
        )
        .is_err()
    );
    writer.datagram(0, 0, SourceKey::Recording, &vec![0; 65_507]).unwrap();
    assert_eq!(read_all(&writer.finish().unwrap()).0.len(), 1);
}

#[test]
fn a_file_of_false_chunk_heads_ends_in_bounded_work() {
    let mut bytes = capture(1, 1, false);
    // Each claims 4 MiB that follow, so that hashing them all would take hours.
    let mut false_head = b"TLCK\x01\0\0\0".to_vec();
    false_head.extend(4_000_000_u32.to_le_bytes());
    false_head.extend(4_000_000_u32.to_le_bytes());
    for _ in 0..600_000 {
        bytes.extend(&false_head);
    }
    let (entries, _) = read_all(&bytes);
    assert_eq!(entries.len(), 2);
    assert!(matches!(
        entries[1],
        CaptureEntry::Damage {
            reason: "torn-tail",
            ..
        }
    ));
}

proptest! {
    #[test]
    fn random_damage_never_panics_and_never_invents(
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = capture(40, 9, true);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(mut reader) = CaptureReader::new(Cursor::new(&bytes)) {
            let all: Vec<_> = (0..40).map(entry).collect();
            while let Some(found) = reader.next_entry().unwrap() {
                let damage = matches!(found, CaptureEntry::Damage { .. });
                prop_assert!(damage || all.contains(&found));
            }
            reader.chunks().unwrap();
        }
    }
}
