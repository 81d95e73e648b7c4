//! One chunk of a capture, and the entries inside it.

use super::{CaptureEntry, HASH_LEN, MAX_DISPOSITIONS, MAX_NOTE, SourceKey, TickEntry, short_hash};
use crate::{
    bytes::{i64_at, u32_at, u64_at},
    tlf1::MAX_DATAGRAM,
};

pub(super) const CHUNK_MAGIC: &[u8; 4] = b"TLCK";
pub(super) const CHUNK_HEADER_LEN: usize = 56;
/// Most bytes of a chunk, compressed or not.
pub(super) const MAX_CHUNK: u32 = 4 * 1024 * 1024;
pub(super) const FOOTER_MAGIC: &[u8; 8] = b"TAPLEND1";
pub(super) const FOOTER_LEN: usize = 16;
const INDEX_ENTRY_LEN: usize = 28;
const HASHED_LEN: usize = CHUNK_HEADER_LEN - HASH_LEN;

const ENTRY_DATAGRAM: u8 = 1;
const ENTRY_TICK: u8 = 2;
const ENTRY_NOTE: u8 = 3;
/// Most bytes of a note in one entry; a longer one goes on in the next.
pub(super) const NOTE_PIECE: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkKind {
    Entries = 1,
    Index = 2,
}

/// Where a chunk is and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Its place in the file.
    pub offset: u64,
    /// Its entries.
    pub entries: u32,
    /// Monotonic time of the first, nanoseconds since boot.
    pub first_ns: i64,
    /// Monotonic time of the last.
    pub last_ns: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkHeader {
    pub(super) kind: ChunkKind,
    pub(super) stored_len: u32,
    pub(super) raw_len: u32,
    pub(super) number: u32,
    pub(super) info: ChunkInfo,
}

impl ChunkHeader {
    pub(super) fn encode(&self, payload: &[u8]) -> [u8; CHUNK_HEADER_LEN] {
        let mut out = [0; CHUNK_HEADER_LEN];
        out[..4].copy_from_slice(CHUNK_MAGIC);
        out[4] = self.kind as u8;
        for (at, word) in [
            (8, self.stored_len),
            (12, self.raw_len),
            (16, self.info.entries),
            (20, self.number),
        ] {
            out[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        out[24..32].copy_from_slice(&self.info.first_ns.to_le_bytes());
        out[32..40].copy_from_slice(&self.info.last_ns.to_le_bytes());
        let hash = short_hash(&[&out[..HASHED_LEN], payload]);
        out[HASHED_LEN..].copy_from_slice(&hash);
        out
    }

    /// A header whose fields are possible; its hash is checked with the payload.
    pub(super) fn decode(h: &[u8; CHUNK_HEADER_LEN], offset: u64) -> Option<Self> {
        let kind = match h[4] {
            1 => ChunkKind::Entries,
            2 => ChunkKind::Index,
            _ => return None,
        };
        let (stored_len, raw_len) = (u32_at(h, 8), u32_at(h, 12));
        let possible =
            h.starts_with(CHUNK_MAGIC) && h[5..8] == [0; 3] && stored_len <= MAX_CHUNK && raw_len <= MAX_CHUNK;
        let info = ChunkInfo {
            offset,
            entries: u32_at(h, 16),
            first_ns: i64_at(h, 24),
            last_ns: i64_at(h, 32),
        };
        possible.then_some(Self {
            kind,
            stored_len,
            raw_len,
            number: u32_at(h, 20),
            info,
        })
    }

    pub(super) fn hash_agrees(h: &[u8; CHUNK_HEADER_LEN], payload: &[u8]) -> bool {
        h[HASHED_LEN..] == short_hash(&[&h[..HASHED_LEN], payload])
    }
}

pub(super) fn write_datagram(out: &mut Vec<u8>, arrival_ns: i64, wall_ns: i64, source: &str, bytes: &[u8]) {
    out.push(ENTRY_DATAGRAM);
    out.extend_from_slice(&((17 + source.len() + bytes.len()) as u32).to_le_bytes());
    out.extend_from_slice(&arrival_ns.to_le_bytes());
    out.extend_from_slice(&wall_ns.to_le_bytes());
    out.push(source.len() as u8);
    out.extend_from_slice(source.as_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn write_tick(out: &mut Vec<u8>, tick: &TickEntry) {
    out.push(ENTRY_TICK);
    out.extend_from_slice(&((28 + tick.dispositions.len()) as u32).to_le_bytes());
    out.extend_from_slice(&tick.tick.to_le_bytes());
    out.extend_from_slice(&tick.end_ns.to_le_bytes());
    out.extend_from_slice(&tick.wall_ns.to_le_bytes());
    out.extend_from_slice(&tick.frames.to_le_bytes());
    out.extend_from_slice(&tick.dispositions);
}

/// Writes the part `offset..` of a note of `total` bytes.
pub(super) fn write_note_piece(out: &mut Vec<u8>, at_ns: i64, total: usize, offset: usize, piece: &[u8]) {
    out.push(ENTRY_NOTE);
    out.extend_from_slice(&((16 + piece.len()) as u32).to_le_bytes());
    out.extend_from_slice(&at_ns.to_le_bytes());
    out.extend_from_slice(&(total as u32).to_le_bytes());
    out.extend_from_slice(&(offset as u32).to_le_bytes());
    out.extend_from_slice(piece);
}

/// A part of a note.
pub(super) struct NotePiece {
    /// Bytes of the whole note.
    total: usize,
    /// Where the part begins.
    offset: usize,
    bytes: Vec<u8>,
}

impl NotePiece {
    /// Appends it to the parts before it. True when the note is whole; none when it is not the next part.
    pub(super) fn append(self, note: &mut Vec<u8>) -> Option<bool> {
        let end = self.offset + self.bytes.len();
        if note.len() != self.offset || end > self.total || self.total > MAX_NOTE {
            return None;
        }
        note.extend_from_slice(&self.bytes);
        Some(end == self.total)
    }
}

/// What one entry of a chunk holds.
pub(super) enum Taken {
    Whole(CaptureEntry),
    NotePiece(NotePiece),
}

/// Takes the next entry off `raw`; `None` when it is no valid entry.
pub(super) fn take_entry(raw: &mut &[u8]) -> Option<Taken> {
    let (head, rest) = raw.split_first_chunk::<5>()?;
    let (body, rest) = rest.split_at_checked(u32_at(head, 1) as usize)?;
    *raw = rest;
    match head[0] {
        ENTRY_DATAGRAM => {
            let (h, rest) = body.split_first_chunk::<17>()?;
            let (source, bytes) = rest.split_at_checked(h[16].into())?;
            let source: SourceKey = str::from_utf8(source).ok()?.parse().ok()?;
            (bytes.len() <= MAX_DATAGRAM).then(|| {
                Taken::Whole(CaptureEntry::Datagram {
                    arrival_ns: i64_at(h, 0),
                    wall_ns: i64_at(h, 8),
                    source,
                    bytes: bytes.to_vec(),
                })
            })
        }
        ENTRY_TICK => {
            let (h, dispositions) = body.split_first_chunk::<28>()?;
            (dispositions.len() <= MAX_DISPOSITIONS).then(|| {
                Taken::Whole(CaptureEntry::Tick(TickEntry {
                    tick: u64_at(h, 0),
                    end_ns: i64_at(h, 8),
                    wall_ns: i64_at(h, 16),
                    frames: u32_at(h, 24),
                    dispositions: dispositions.to_vec(),
                }))
            })
        }
        ENTRY_NOTE => {
            let (h, piece) = body.split_first_chunk::<16>()?;
            (piece.len() <= NOTE_PIECE).then(|| {
                Taken::NotePiece(NotePiece {
                    total: u32_at(h, 8) as usize,
                    offset: u32_at(h, 12) as usize,
                    bytes: piece.to_vec(),
                })
            })
        }
        _ => None,
    }
}

pub(super) fn write_index(out: &mut Vec<u8>, chunks: &[ChunkInfo]) {
    for chunk in chunks {
        out.extend_from_slice(&chunk.offset.to_le_bytes());
        out.extend_from_slice(&chunk.entries.to_le_bytes());
        out.extend_from_slice(&chunk.first_ns.to_le_bytes());
        out.extend_from_slice(&chunk.last_ns.to_le_bytes());
    }
}

pub(super) fn read_index(raw: &[u8]) -> Option<Vec<ChunkInfo>> {
    let (entries, rest) = raw.as_chunks::<INDEX_ENTRY_LEN>();
    rest.is_empty().then(|| {
        let info = |h: &[u8; INDEX_ENTRY_LEN]| ChunkInfo {
            offset: u64_at(h, 0),
            entries: u32_at(h, 8),
            first_ns: i64_at(h, 12),
            last_ns: i64_at(h, 20),
        };
        entries.iter().map(info).collect()
    })
}

/// Most chunks an index may list; beyond it a capture simply has none.
pub(super) const MAX_INDEXED: usize = MAX_CHUNK as usize / INDEX_ENTRY_LEN;
