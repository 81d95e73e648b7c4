//! Bundles: a range of the log with all that is needed to check it offline, as a strict ustar stream.
//!
//! | entry | holds |
//! |---|---|
//! | `format` | the fixed text [`FORMAT`]; first |
//! | `blob/<hash>` | manifests, configurations, calibrations that leaves name |
//! | `checkpoint` | signed note |
//! | `checkpoint.old` | optional: the checkpoint the client named |
//! | `data/<tile>.bin` | what the cycles of one tile commit to, with salts ([`data`]) |
//! | `request` | range asked for: untrusted, informational |
//! | `state/<seq>.bin` | with raw input only: salt and state of each keyframe of the range |
//! | `tile/<level>/...` | the hash tiles that prove the leaves and the consistency |
//! | `tile/entries/...` | leaves, whole tiles of them |
//!
//! The same range and checkpoint give the same bytes. Source: docs/witness-format.md, "Bundle".

pub mod build;
pub mod data;
pub mod read;
pub mod ustar;
pub mod write;

use std::io;

use thiserror::Error;

use crate::{
    codec::DecodeError,
    tile::{TILE_WIDTH, TileId},
};

/// Text of the first entry.
pub const FORMAT: &[u8] = b"tapline witness bundle v1\n";
/// Media type of a bundle.
pub const MEDIA_TYPE: &str = "application/vnd.tapline.witness-bundle.v1+tar";
/// Longest bundle, bytes.
pub const MAX_BUNDLE_LEN: u64 = 512 << 20;
/// Longest entry, bytes.
pub const MAX_ENTRY_LEN: u64 = 64 << 20;
/// Most entries.
pub const MAX_ENTRIES: usize = 20_000;
/// Most cycles a server puts into one bundle: an hour.
pub const MAX_CYCLES: u64 = 72_000;

/// Why bytes are no bundle.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The stream cannot be read or written.
    #[error("bundle: {0}")]
    Io(#[from] io::Error),
    /// The container breaks a rule.
    #[error("bundle at byte {at}: {problem}")]
    Container {
        /// Where.
        at: u64,
        /// Which rule.
        problem: &'static str,
    },
    /// A limit is exceeded.
    #[error("bundle: {what} {found} is above the limit of {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// As found.
        found: u64,
    },
    /// An entry is missing.
    #[error("bundle: entry {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// Entries out of order, or twice.
    #[error("bundle: entry {found} does not come after {before}")]
    Order {
        /// The entry before.
        before: String,
        /// The entry.
        found: String,
    },
    /// An entry does not hold what it must.
    #[error("bundle: {name}: {problem}")]
    Entry {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A record inside an entry.
    #[error("bundle: {0}")]
    Decode(#[from] DecodeError),
}

/// The hash tiles a bundle holds, no more and no less: those over its entry bundles, their ancestors, and
/// the right edges of the tree at `size` and, for a consistency check, at `old`.
///
/// `bundles` are the indices of its entry bundles, ascending. Ascending (level, index).
pub fn tiles_needed(size: u64, bundles: impl IntoIterator<Item = u64>, old: Option<u64>) -> Vec<TileId> {
    let mut tiles = Vec::new();
    let mut wanted: Vec<u64> = bundles.into_iter().collect();
    for level in 0..=crate::tile::MAX_LEVEL {
        let hashes = size >> (8 * level);
        let right_edge = |size: u64| {
            let hashes = size >> (8 * level);
            (!hashes.is_multiple_of(TILE_WIDTH as u64)).then_some(hashes / TILE_WIDTH as u64)
        };
        wanted.extend(right_edge(size));
        wanted.extend(old.and_then(right_edge));
        // A tile that is not full has no parent hash yet, so its parent may lie beyond the tree.
        wanted.retain(|index| *index < hashes.div_ceil(TILE_WIDTH as u64));
        wanted.sort_unstable();
        wanted.dedup();
        tiles.extend(wanted.iter().map(|index| TileId {
            level,
            index: *index,
            width: (hashes - index * TILE_WIDTH as u64).min(TILE_WIDTH as u64) as u16,
        }));
        let full = |index: &u64| *index < hashes / TILE_WIDTH as u64;
        wanted = wanted
            .iter()
            .filter(|index| full(index))
            .map(|index| index >> 8)
            .collect();
    }
    tiles
}
