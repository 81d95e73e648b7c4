//! Writes a capture.

use std::io::{self, Write};

use super::{
    CaptureHeader, MAX_DISPOSITIONS, MAX_NOTE, SourceKey, TickEntry,
    chunk::{
        ChunkHeader, ChunkInfo, ChunkKind, FOOTER_MAGIC, MAX_INDEXED, NOTE_PIECE, write_datagram, write_index,
        write_note_piece, write_tick,
    },
};
use crate::tlf1::MAX_DATAGRAM;

/// A chunk is closed at this many bytes, before compression.
const CHUNK_TARGET: usize = 256 * 1024;
const LEVEL: i32 = 3;

/// Writes a capture into anything that takes bytes.
///
/// Call [`flush`](Self::flush) as often as a crash may cost (once a second, say): entries since the last
/// flush or full chunk are lost with the process. After an error the writer stays closed: later calls
/// fail, and what was written before is a readable capture with a torn tail at worst.
pub struct CaptureWriter<W: Write> {
    out: W,
    offset: u64,
    raw: Vec<u8>,
    stored: Vec<u8>,
    source: String,
    current: Option<ChunkInfo>,
    chunks: Vec<ChunkInfo>,
    number: u32,
    compressor: zstd::bulk::Compressor<'static>,
    broken: bool,
}

impl<W: Write> CaptureWriter<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// A site id longer than 255 bytes, or what the output refuses.
    pub fn new(mut out: W, header: &CaptureHeader) -> io::Result<Self> {
        let bytes = header
            .encode()
            .ok_or_else(|| invalid("a site id of at most 255 bytes", header.site_id.len()))?;
        out.write_all(&bytes)?;
        out.flush()?;
        Ok(Self {
            out,
            offset: bytes.len() as u64,
            raw: Vec::with_capacity(CHUNK_TARGET + 1024),
            stored: Vec::new(),
            source: String::new(),
            current: None,
            chunks: Vec::new(),
            number: 0,
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            broken: false,
        })
    }

    /// Adds a datagram, exactly as received.
    ///
    /// # Errors
    /// More bytes than a UDP datagram holds, or what the output refuses.
    pub fn datagram(&mut self, arrival_ns: i64, wall_ns: i64, source: SourceKey, bytes: &[u8]) -> io::Result<()> {
        use std::fmt::Write as _;
        if bytes.len() > MAX_DATAGRAM {
            return Err(invalid("a datagram of at most 65507 bytes", bytes.len()));
        }
        self.check_open()?;
        self.source.clear();
        write!(self.source, "{source}").map_err(io::Error::other)?;
        self.count(arrival_ns);
        write_datagram(&mut self.raw, arrival_ns, wall_ns, &self.source, bytes);
        self.close_if_full()
    }

    /// Adds the end of a tick.
    ///
    /// # Errors
    /// Dispositions longer than 65535 bytes, or what the output refuses.
    pub fn tick(&mut self, tick: &TickEntry) -> io::Result<()> {
        if tick.dispositions.len() > MAX_DISPOSITIONS {
            return Err(invalid("dispositions of at most 65535 bytes", tick.dispositions.len()));
        }
        self.check_open()?;
        self.count(tick.end_ns);
        write_tick(&mut self.raw, tick);
        self.close_if_full()
    }

    /// Adds a note that holds from the next tick on.
    ///
    /// # Errors
    /// More than [`MAX_NOTE`] bytes, or what the output refuses.
    pub fn note(&mut self, at_ns: i64, note: &[u8]) -> io::Result<()> {
        if note.len() > MAX_NOTE {
            return Err(invalid("a note of at most 64 MiB", note.len()));
        }
        self.check_open()?;
        let mut offset = 0;
        loop {
            let end = note.len().min(offset + NOTE_PIECE);
            self.count(at_ns);
            write_note_piece(&mut self.raw, at_ns, note.len(), offset, &note[offset..end]);
            self.close_if_full()?;
            if end == note.len() {
                return Ok(());
            }
            offset = end;
        }
    }

    /// Closes the chunk being filled, so that everything added so far is in the output.
    ///
    /// # Errors
    /// What the output refuses.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(info) = self.current.take() {
            self.write_chunk(ChunkKind::Entries, info)?;
            if self.chunks.len() <= MAX_INDEXED {
                self.chunks.push(info);
            }
        }
        self.out.flush()
    }

    /// Closes the capture: last chunk, index, footer. Gives the output back.
    ///
    /// # Errors
    /// What the output refuses.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        if self.chunks.len() <= MAX_INDEXED {
            let index_offset = self.offset;
            write_index(&mut self.raw, &self.chunks);
            let info = ChunkInfo {
                offset: index_offset,
                entries: self.chunks.len() as u32,
                first_ns: self.chunks.first().map_or(0, |chunk| chunk.first_ns),
                last_ns: self.chunks.last().map_or(0, |chunk| chunk.last_ns),
            };
            self.write_chunk(ChunkKind::Index, info)?;
            self.out.write_all(&index_offset.to_le_bytes())?;
            self.out.write_all(FOOTER_MAGIC)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn count(&mut self, at_ns: i64) {
        let offset = self.offset;
        let info = self.current.get_or_insert(ChunkInfo {
            offset,
            entries: 0,
            first_ns: at_ns,
            last_ns: at_ns,
        });
        info.entries += 1;
        info.last_ns = at_ns;
    }

    fn check_open(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "an earlier write of this capture failed: open a new one",
            ));
        }
        Ok(())
    }

    fn close_if_full(&mut self) -> io::Result<()> {
        if self.raw.len() >= CHUNK_TARGET {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn write_chunk(&mut self, kind: ChunkKind, info: ChunkInfo) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "an earlier write of this capture failed: open a new one",
            ));
        }
        self.broken = true;
        self.stored.resize(zstd::zstd_safe::compress_bound(self.raw.len()), 0);
        let stored_len = self.compressor.compress_to_buffer(&self.raw, &mut self.stored[..])?;
        let payload = &self.stored[..stored_len];
        let (stored_len, raw_len) = (stored_len as u32, self.raw.len() as u32);
        let header = ChunkHeader {
            kind,
            stored_len,
            raw_len,
            number: self.number,
            info,
        }
        .encode(payload);
        self.out.write_all(&header)?;
        self.out.write_all(payload)?;
        self.offset += (header.len() + payload.len()) as u64;
        self.number += 1;
        self.raw.clear();
        self.broken = false;
        Ok(())
    }
}

fn invalid(expected: &str, found: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("expected {expected}, found {found}"),
    )
}
