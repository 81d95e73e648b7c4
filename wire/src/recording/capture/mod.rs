//! Tapline's own capture: datagrams exactly as received, which tick took how many of them, and notes of the server on
//! what else decided the ticks.
//!
//! ```text
//! header · chunk · chunk · … · index chunk · footer
//! ```
//! Chunks are independent: each is compressed alone and carries its own hash, so a crash costs the chunk
//! being written and damage costs the chunk it hits. The index is written on a clean close; without it
//! the chunks are found by walking the file. `docs/formats.md` draws the bytes.

mod chunk;
mod reader;
mod writer;

pub use chunk::ChunkInfo;
pub use reader::CaptureReader;
pub use writer::CaptureWriter;

use super::SourceKey;
use crate::bytes::{i64_at, u16_at, u32_at};

/// First bytes of a capture.
pub(crate) const MAGIC: &[u8; 8] = b"TAPLCAP1";
/// Most bytes of a site id.
pub const MAX_SITE_ID: usize = 255;
/// Most bytes of a tick's dispositions.
pub const MAX_DISPOSITIONS: usize = 65_535;
/// Most bytes of a note.
pub const MAX_NOTE: usize = 64 << 20;

const VERSION: u16 = 2;
const FLAG_SIMULATED: u16 = 1;
const FIXED_LEN: usize = 56;
const HASH_LEN: usize = 16;

/// What a capture says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureHeader {
    /// Everything in it was made by a generator.
    pub simulated: bool,
    /// Wall clock when it was opened, Unix nanoseconds.
    pub opened_ns: i64,
    /// BLAKE3 of the manifest in force when it was opened; zero without one.
    pub manifest_hash: [u8; 32],
    /// The site, at most [`MAX_SITE_ID`] bytes of UTF-8.
    pub site_id: String,
}

/// The end of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickEntry {
    /// Its number.
    pub tick: u64,
    /// Its end on the monotonic clock, nanoseconds since boot.
    pub end_ns: i64,
    /// Its end on the wall clock, Unix nanoseconds.
    pub wall_ns: i64,
    /// How many of the datagrams written since the previous tick it took.
    pub frames: u32,
    /// What the host decided about it, in the server's encoding, at most [`MAX_DISPOSITIONS`] bytes.
    pub dispositions: Vec<u8>,
}

/// One entry of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureEntry {
    /// A datagram.
    Datagram {
        /// Arrival on the monotonic clock, nanoseconds since boot.
        arrival_ns: i64,
        /// Arrival on the wall clock, Unix nanoseconds.
        wall_ns: i64,
        /// Sender.
        source: SourceKey,
        /// Payload.
        bytes: Vec<u8>,
    },
    /// The end of a tick.
    Tick(TickEntry),
    /// What the server has to say before the next tick, in its own encoding.
    Note(Vec<u8>),
    /// Bytes that are no valid chunk were skipped, or a chunk is missing.
    Damage {
        /// `torn-tail` at the end of the file, `corrupt-chunk` before it, `missing-chunk` where a whole
        /// chunk was cut out.
        reason: &'static str,
        /// Where they begin.
        offset: u64,
    },
}

/// The first 16 bytes of BLAKE3.
fn short_hash(parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut hasher = blake3::Hasher::new();
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    let hash = hasher.finalize();
    std::array::from_fn(|i| hash.as_bytes()[i])
}

impl CaptureHeader {
    fn encode(&self) -> Option<Vec<u8>> {
        let site_len = u32::try_from(self.site_id.len())
            .ok()
            .filter(|&len| len as usize <= MAX_SITE_ID)?;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(if self.simulated { FLAG_SIMULATED } else { 0 }).to_le_bytes());
        out.extend_from_slice(&site_len.to_le_bytes());
        out.extend_from_slice(&self.opened_ns.to_le_bytes());
        out.extend_from_slice(&self.manifest_hash);
        out.extend_from_slice(self.site_id.as_bytes());
        let hash = short_hash(&[&out]);
        out.extend_from_slice(&hash);
        Some(out)
    }

    /// From the beginning of a file, with its length; or what was expected and what was found.
    fn decode(bytes: &[u8]) -> Result<(Self, usize), (&'static str, String)> {
        let Some(h) = bytes.first_chunk::<FIXED_LEN>() else {
            return Err(("a header of at least 72 bytes", format!("{} bytes", bytes.len())));
        };
        if !h.starts_with(MAGIC) {
            return Err(("the magic TAPLCAP1", h[..8].escape_ascii().to_string()));
        }
        if u16_at(h, 8) != VERSION {
            return Err((
                "version 2 (capture again: an older one does not say what ran)",
                u16_at(h, 8).to_string(),
            ));
        }
        let flags = u16_at(h, 10);
        if flags & !FLAG_SIMULATED != 0 {
            return Err(("flags with bits 1 to 15 clear", format!("{flags:#06x}")));
        }
        let site_len = u32_at(h, 12) as usize;
        if site_len > MAX_SITE_ID {
            return Err(("a site id of at most 255 bytes", format!("{site_len} bytes")));
        }
        let end = FIXED_LEN + site_len;
        let Some(hash) = bytes.get(end..end + HASH_LEN) else {
            return Err(("a whole header", format!("{} bytes", bytes.len())));
        };
        if hash != short_hash(&[&bytes[..end]]) {
            return Err(("a header that agrees with its hash", "changed bytes".into()));
        }
        let site_id = str::from_utf8(&bytes[FIXED_LEN..end]).map_err(|e| ("a site id in UTF-8", e.to_string()))?;
        let header = Self {
            simulated: flags & FLAG_SIMULATED != 0,
            opened_ns: i64_at(h, 16),
            manifest_hash: std::array::from_fn(|i| h[24 + i]),
            site_id: site_id.to_owned(),
        };
        Ok((header, end + HASH_LEN))
    }
}
