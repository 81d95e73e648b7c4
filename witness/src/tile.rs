//! C2SP tlog-tiles: how tiles and entry bundles are named, and what an entry bundle holds.
//!
//! Source: c2sp.org/tlog-tiles. A tile of level L holds up to 256 hashes of tree level 8 L; an entry
//! bundle holds up to 256 leaves, each behind its 16-bit big-endian length.

use std::fmt;

use thiserror::Error;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: usize = 256;
/// Highest level a tree of 2^64 leaves can have a tile at.
pub const MAX_LEVEL: u8 = 7;

/// Which tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Tile level: hashes of tree level 8 `level`.
    pub level: u8,
    /// Index among the tiles of its level.
    pub index: u64,
    /// Hashes in it, 1 to 256; below 256 it is partial.
    pub width: u16,
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`.
    Hashes(TileId),
    /// `tile/entries/<N>[.p/<W>]`.
    Entries {
        /// Index of the bundle: its first entry is `256 * index`.
        index: u64,
        /// Entries in it, 1 to 256.
        width: u16,
    },
}

/// Why a path or bundle was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TileError {
    /// It is not the one spelling of a tile path.
    #[error(
        "{found:?} is not a tile path: expected tile/<level>/<index>[.p/<width>] or tile/entries/<index>[.p/<width>]"
    )]
    Path {
        /// As given, at most 128 bytes of it.
        found: String,
    },
    /// An entry bundle ends inside an entry.
    #[error("entry bundle: entry {entry} is cut off")]
    Truncated {
        /// Which entry of the bundle.
        entry: usize,
    },
    /// An entry bundle does not hold as many entries as it must.
    #[error("entry bundle: {expected} entries expected, {found} found")]
    Width {
        /// As it must be.
        expected: usize,
        /// As found.
        found: usize,
    },
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TilePath::Hashes(*self).fmt(f)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match *self {
            Self::Hashes(TileId { level, index, width }) => {
                write!(f, "tile/{level}/")?;
                (index, width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (index, width)
            }
        };
        // Groups of three digits, all but the last marked with an x: 1234067 is x001/x234/067.
        let mut divisor = 1_000_u64.pow(6);
        while divisor > 1 {
            if index >= divisor {
                write!(f, "x{:03}/", index / divisor % 1000)?;
            }
            divisor /= 1000;
        }
        write!(f, "{:03}", index % 1000)?;
        if usize::from(width) < TILE_WIDTH {
            write!(f, ".p/{width}")?;
        }
        Ok(())
    }
}

impl TilePath {
    /// Parses a path (no leading slash). Exactly the spelling that [`fmt::Display`] writes is accepted.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        Self::parse_any(path)
            .filter(|parsed| parsed.to_string() == path)
            .ok_or_else(|| TileError::Path {
                found: path.chars().take(128).collect(),
            })
    }

    fn parse_any(path: &str) -> Option<Self> {
        if path.len() > 64 {
            return None;
        }
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let (index_text, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH as u16),
            Some((index, width)) => (
                index,
                width.parse().ok().filter(|w| (1..TILE_WIDTH as u16).contains(w))?,
            ),
        };
        let mut index = 0_u64;
        for group in index_text.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        if kind == "entries" {
            return Some(Self::Entries { index, width });
        }
        let level = kind.parse().ok().filter(|level| *level <= MAX_LEVEL)?;
        Some(Self::Hashes(TileId { level, index, width }))
    }

    /// True when a tree of `size` leaves has this tile with at least this width.
    pub const fn is_in_tree(self, size: u64) -> bool {
        let (level, index, width) = match self {
            Self::Hashes(TileId { level, index, width }) => (level, index, width),
            Self::Entries { index, width } => (0, index, width),
        };
        let hashes = size >> (8 * level);
        let Some(first) = index.checked_mul(TILE_WIDTH as u64) else {
            return false;
        };
        match first.checked_add(width as u64) {
            Some(end) => end <= hashes,
            None => false,
        }
    }
}

/// Every hash tile of a tree of `size` leaves that holds a hash of `first..end` at level 0, or of their
/// ancestors, or of the right edge: what a verifier needs to prove the range and the root.
pub fn tiles_for_range(first: u64, end: u64, size: u64) -> Vec<TileId> {
    let mut tiles = Vec::new();
    let (mut lo, mut hi, mut hashes) = (first, end.max(first + 1), size);
    for level in 0..=MAX_LEVEL {
        if hashes == 0 {
            break;
        }
        let last_tile = (hashes - 1) / TILE_WIDTH as u64;
        let mut wanted: Vec<u64> = (lo / TILE_WIDTH as u64..=(hi - 1) / TILE_WIDTH as u64).collect();
        // The right edge only matters where the tile is not full, that is where no higher level stands for it.
        if !hashes.is_multiple_of(TILE_WIDTH as u64) {
            wanted.push(last_tile);
        }
        wanted.retain(|index| *index <= last_tile);
        wanted.dedup();
        tiles.extend(wanted.into_iter().map(|index| TileId {
            level,
            index,
            width: (hashes - index * TILE_WIDTH as u64).min(TILE_WIDTH as u64) as u16,
        }));
        (lo, hi, hashes) = (lo >> 8, ((hi - 1) >> 8) + 1, hashes >> 8);
    }
    tiles
}

/// Appends an entry to a bundle.
pub fn put_entry(leaf: &[u8], out: &mut Vec<u8>) {
    // A leaf is at most 65,535 bytes (`crate::leaf::MAX_LEAF_LEN`).
    out.extend_from_slice(&(leaf.len() as u16).to_be_bytes());
    out.extend_from_slice(leaf);
}

/// The entries of a bundle of this width, all of it.
pub fn entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut rest = bundle;
    let mut found = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        if found.len() == usize::from(width) {
            return Err(TileError::Width {
                expected: usize::from(width),
                found: found.len() + 1,
            });
        }
        let (entry, after) = after
            .split_at_checked(usize::from(u16::from_be_bytes(*len)))
            .ok_or(TileError::Truncated { entry: found.len() })?;
        found.push(entry);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(TileError::Truncated { entry: found.len() });
    }
    if found.len() != usize::from(width) {
        return Err(TileError::Width {
            expected: usize::from(width),
            found: found.len(),
        });
    }
    Ok(found)
}
