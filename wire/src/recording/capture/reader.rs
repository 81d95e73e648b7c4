//! Reads a capture, torn or damaged ones included.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    CaptureEntry, CaptureHeader, FIXED_LEN, HASH_LEN, MAX_SITE_ID,
    chunk::{
        CHUNK_HEADER_LEN, CHUNK_MAGIC, ChunkHeader, ChunkInfo, ChunkKind, FOOTER_LEN, FOOTER_MAGIC, Taken, read_index,
        take_entry,
    },
};
use crate::recording::{ReadError, Record, RecordBody, SourceKey};

/// Bytes that may be hashed in search of the next chunk after damage. A hostile file could otherwise
/// hold a false chunk head every few bytes, each with megabytes to hash.
const SEARCH_BUDGET: u64 = 64 * 1024 * 1024;
const SEARCH_WINDOW: usize = 64 * 1024;

/// Reads the entries of a capture in order.
pub struct CaptureReader<R> {
    input: R,
    header: CaptureHeader,
    len: u64,
    /// Where the next chunk should be.
    offset: u64,
    stored: Vec<u8>,
    raw: Vec<u8>,
    /// How much of `raw` is read.
    at: usize,
    chunk_offset: u64,
    /// The note of which pieces are still to come.
    note: Option<Vec<u8>>,
    /// Number of the next chunk, once one was read.
    expected_number: Option<u32>,
    search_budget: u64,
    closed_cleanly: bool,
    over: bool,
}

enum Found {
    Entries(ChunkInfo, u32),
    Index(Vec<ChunkInfo>, u32),
    End,
    Damaged,
}

impl<R: Read + Seek> CaptureReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// What the input refuses; a header that is none, as [`io::ErrorKind::InvalidData`].
    pub fn new(input: R) -> io::Result<Self> {
        Self::from_seekable(input).map_err(|e| match e {
            ReadError::Io(source) => source,
            ReadError::Head { what, expected, found } => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{what}: expected {expected}, found {found}"),
            ),
        })
    }

    pub(crate) fn from_seekable(mut input: R) -> Result<Self, ReadError> {
        let len = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        let mut head = Vec::new();
        (&mut input)
            .take((FIXED_LEN + MAX_SITE_ID + HASH_LEN) as u64)
            .read_to_end(&mut head)?;
        let (header, header_len) = CaptureHeader::decode(&head).map_err(|(expected, found)| ReadError::Head {
            what: "Tapline capture",
            expected,
            found,
        })?;
        Ok(Self {
            input,
            header,
            len,
            offset: header_len as u64,
            stored: Vec::new(),
            raw: Vec::new(),
            at: 0,
            chunk_offset: 0,
            note: None,
            expected_number: Some(0),
            search_budget: SEARCH_BUDGET,
            closed_cleanly: false,
            over: false,
        })
    }

    /// What the capture says about itself.
    pub fn header(&self) -> &CaptureHeader {
        &self.header
    }

    /// True once the end was reached and an index and footer stood there; false for a capture whose
    /// writer did not get to close it.
    pub fn closed_cleanly(&self) -> bool {
        self.closed_cleanly
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// What the input refuses. Damage is an entry, not an error.
    pub fn next_entry(&mut self) -> io::Result<Option<CaptureEntry>> {
        loop {
            if self.at < self.raw.len() {
                let mut rest = &self.raw[self.at..];
                let taken = take_entry(&mut rest);
                self.at = self.raw.len() - rest.len();
                let entry = match (taken, self.note.take()) {
                    (Some(Taken::Whole(entry)), None) => Some(entry),
                    (Some(Taken::NotePiece(piece)), before) => {
                        let mut note = before.unwrap_or_default();
                        match piece.append(&mut note) {
                            Some(false) => {
                                self.note = Some(note);
                                continue;
                            }
                            Some(true) => Some(CaptureEntry::Note(note)),
                            None => None,
                        }
                    }
                    // No entry, or one in the middle of a note.
                    _ => None,
                };
                if entry.is_none() {
                    self.at = self.raw.len();
                }
                let damage = CaptureEntry::Damage {
                    reason: "corrupt-chunk",
                    offset: self.chunk_offset,
                };
                return Ok(Some(entry.unwrap_or(damage)));
            }
            if self.over {
                return Ok(None);
            }
            match self.load_chunk(self.offset)? {
                Found::Entries(_, number) => {
                    if let Some(damage) = self.missing_before(number) {
                        return Ok(Some(damage));
                    }
                }
                Found::Index(_, number) => {
                    let offset = self.chunk_offset;
                    self.closed_cleanly = self.footer()? == Some(offset);
                    self.over = true;
                    if let Some(damage) = self.missing_before(number) {
                        return Ok(Some(damage));
                    }
                }
                Found::End => self.over = true,
                Found::Damaged => {
                    let offset = self.offset;
                    self.note = None;
                    let reason = match self.search(offset + 1)? {
                        Some(next) => {
                            self.offset = next;
                            self.expected_number = None;
                            "corrupt-chunk"
                        }
                        None => {
                            self.over = true;
                            "torn-tail"
                        }
                    };
                    return Ok(Some(CaptureEntry::Damage { reason, offset }));
                }
            }
        }
    }

    /// The chunks of the capture: its index, or what a walk through the file finds when it has none.
    ///
    /// Afterwards reading starts at the first chunk again.
    ///
    /// # Errors
    /// What the input refuses.
    pub fn chunks(&mut self) -> io::Result<Vec<ChunkInfo>> {
        let start = self.start();
        let indexed = match self.footer()? {
            Some(offset) if offset >= start && offset < self.len => match self.load_chunk(offset)? {
                Found::Index(chunks, _) => Some(chunks),
                _ => None,
            },
            _ => None,
        };
        let chunks = match indexed {
            Some(chunks) => chunks,
            None => self.walk(start)?,
        };
        self.go_to(start);
        Ok(chunks)
    }

    /// Continues with the chunk that holds the monotonic time `at_ns`, or the first one after it.
    ///
    /// # Errors
    /// What the input refuses.
    pub fn seek_to(&mut self, at_ns: i64) -> io::Result<()> {
        let chunks = self.chunks()?;
        let offset = chunks
            .iter()
            .find(|chunk| chunk.last_ns >= at_ns)
            .map_or(self.len, |chunk| chunk.offset);
        self.go_to(offset);
        Ok(())
    }

    /// The entries as records of a recording.
    pub(crate) fn records(mut self) -> impl Iterator<Item = Result<Record, ReadError>> {
        let simulated = self.header.simulated;
        let mut time_ns = self.header.opened_ns;
        std::iter::from_fn(move || {
            let entry = self.next_entry().transpose()?;
            Some(entry.map_err(ReadError::from).map(|entry| {
                let (arrival_ns, source, body) = match entry {
                    CaptureEntry::Datagram {
                        arrival_ns,
                        wall_ns,
                        source,
                        bytes,
                    } => {
                        time_ns = wall_ns;
                        (Some(arrival_ns), source, RecordBody::Datagram(bytes))
                    }
                    CaptureEntry::Tick(tick) => {
                        time_ns = tick.wall_ns;
                        (Some(tick.end_ns), SourceKey::Recording, RecordBody::Tick(tick))
                    }
                    CaptureEntry::Note(note) => (None, SourceKey::Recording, RecordBody::Note(note)),
                    CaptureEntry::Damage { reason, .. } => (None, SourceKey::Recording, RecordBody::NotUsed { reason }),
                };
                Record {
                    time_ns,
                    arrival_ns,
                    simulated,
                    source,
                    body,
                }
            }))
        })
    }

    /// Chunks are numbered, so one that was cut out whole is missed.
    fn missing_before(&mut self, number: u32) -> Option<CaptureEntry> {
        let expected = self.expected_number.replace(number.wrapping_add(1))?;
        if expected == number {
            return None;
        }
        self.note = None;
        Some(CaptureEntry::Damage {
            reason: "missing-chunk",
            offset: self.chunk_offset,
        })
    }

    fn start(&self) -> u64 {
        (FIXED_LEN + self.header.site_id.len() + HASH_LEN) as u64
    }

    fn go_to(&mut self, offset: u64) {
        self.offset = offset;
        self.raw.clear();
        self.at = 0;
        self.note = None;
        self.over = false;
        self.closed_cleanly = false;
        self.expected_number = None;
        self.search_budget = SEARCH_BUDGET;
    }

    fn walk(&mut self, start: u64) -> io::Result<Vec<ChunkInfo>> {
        self.go_to(start);
        let mut chunks = Vec::new();
        loop {
            match self.load_chunk(self.offset)? {
                Found::Entries(info, _) => chunks.push(info),
                Found::Index(..) | Found::End => break,
                Found::Damaged => match self.search(self.offset + 1)? {
                    Some(next) => self.offset = next,
                    None => break,
                },
            }
        }
        Ok(chunks)
    }

    /// Where the footer says the index is.
    fn footer(&mut self) -> io::Result<Option<u64>> {
        let Some(at) = self.len.checked_sub(FOOTER_LEN as u64) else {
            return Ok(None);
        };
        let mut footer = [0; FOOTER_LEN];
        self.input.seek(SeekFrom::Start(at))?;
        self.input.read_exact(&mut footer)?;
        Ok(footer.ends_with(FOOTER_MAGIC).then(|| crate::bytes::u64_at(&footer, 0)))
    }

    /// Reads, checks and decompresses the chunk at `offset` into `raw`.
    fn load_chunk(&mut self, offset: u64) -> io::Result<Found> {
        self.raw.clear();
        self.at = 0;
        let left = self.len.saturating_sub(offset);
        if left == 0 {
            return Ok(Found::End);
        }
        if left < CHUNK_HEADER_LEN as u64 {
            return Ok(Found::Damaged);
        }
        let mut head = [0; CHUNK_HEADER_LEN];
        self.input.seek(SeekFrom::Start(offset))?;
        self.input.read_exact(&mut head)?;
        let Some(header) = ChunkHeader::decode(&head, offset) else {
            return Ok(Found::Damaged);
        };
        if left < CHUNK_HEADER_LEN as u64 + u64::from(header.stored_len) {
            return Ok(Found::Damaged);
        }
        self.stored.resize(header.stored_len as usize, 0);
        self.input.read_exact(&mut self.stored)?;
        if !ChunkHeader::hash_agrees(&head, &self.stored) {
            return Ok(Found::Damaged);
        }
        let mut raw = vec![0; header.raw_len as usize];
        match zstd::bulk::decompress_to_buffer(&self.stored, &mut raw) {
            Ok(len) if len == raw.len() => {}
            _ => return Ok(Found::Damaged),
        }
        self.chunk_offset = offset;
        self.offset = offset + CHUNK_HEADER_LEN as u64 + u64::from(header.stored_len);
        match header.kind {
            ChunkKind::Entries => {
                self.raw = raw;
                Ok(Found::Entries(header.info, header.number))
            }
            ChunkKind::Index => {
                Ok(read_index(&raw).map_or(Found::Damaged, |chunks| Found::Index(chunks, header.number)))
            }
        }
    }

    /// The next valid chunk at or after `from`.
    fn search(&mut self, from: u64) -> io::Result<Option<u64>> {
        let resume_at = self.offset;
        let mut window = vec![0; SEARCH_WINDOW];
        let mut base = from;
        while base + CHUNK_HEADER_LEN as u64 <= self.len && self.search_budget > 0 {
            let size = usize::try_from(self.len - base).map_or(SEARCH_WINDOW, |left| left.min(SEARCH_WINDOW));
            self.input.seek(SeekFrom::Start(base))?;
            self.input.read_exact(&mut window[..size])?;
            self.search_budget = self.search_budget.saturating_sub(size as u64);
            for at in 0..size.saturating_sub(CHUNK_MAGIC.len() - 1) {
                if !window[at..].starts_with(CHUNK_MAGIC) {
                    continue;
                }
                let candidate = base + at as u64;
                let found = self.load_chunk(candidate)?;
                self.search_budget = self.search_budget.saturating_sub(self.stored.len() as u64);
                if matches!(found, Found::Entries(..) | Found::Index(..)) {
                    self.raw.clear();
                    self.offset = resume_at;
                    return Ok(Some(candidate));
                }
                if self.search_budget == 0 {
                    break;
                }
            }
            // Windows overlap, so that a magic number across their border is seen.
            base += (size - (CHUNK_MAGIC.len() - 1)) as u64;
        }
        self.offset = resume_at;
        Ok(None)
    }
}
