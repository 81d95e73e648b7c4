//! The RFC 6962 tree over leaf bytes: hashes, the right edge that grows, and nodes read back from tiles.

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    hash::Hash,
    tile::{TILE_WIDTH, TileId},
};

/// Levels of tiles a tree of 2^64 leaves has.
const TILE_LEVELS: usize = 8;

/// Why a tree could not be read or restored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A tile is missing.
    #[error("tile {0} is missing")]
    MissingTile(TileId),
    /// A tile holds fewer hashes than it must.
    #[error("tile {tile}: {expected} hashes expected, {found} bytes found")]
    ShortTile {
        /// The tile.
        tile: TileId,
        /// Hashes it must hold.
        expected: usize,
        /// Bytes it holds.
        found: usize,
    },
    /// A range or size that no tree has.
    #[error("{what}: expected {expected}, found {found}")]
    OutOfRange {
        /// What was asked for.
        what: &'static str,
        /// The bound.
        expected: u64,
        /// What was given.
        found: u64,
    },
    /// The place the tiles are kept failed.
    #[error("tile {tile} cannot be read: {message}")]
    Source {
        /// The tile.
        tile: TileId,
        /// What failed.
        message: String,
    },
}

/// `SHA-256(0x00 || leaf)`.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of the tree without leaves: `SHA-256("")`.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: all that is needed to append a leaf, to tell the root, and to let
/// tiles fall out. Appending costs two hashes on average and never allocates.
#[derive(Clone, Debug)]
pub struct Edge {
    size: u64,
    /// Root of the perfect subtree of 2^level leaves at the right edge, where bit `level` of `size` is set.
    nodes: [Hash; 64],
    /// The tile being filled, a tile level.
    open: [Vec<u8>; TILE_LEVELS],
}

impl Default for Edge {
    fn default() -> Self {
        Self::new()
    }
}

impl Edge {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self {
            size: 0,
            nodes: [[0; 32]; 64],
            open: std::array::from_fn(|_| Vec::with_capacity(TILE_WIDTH * size_of::<Hash>())),
        }
    }

    /// The edge of a tree of `size` leaves whose tiles are in `source`.
    pub fn restore(size: u64, source: &impl TileSource) -> Result<Self, TreeError> {
        let mut edge = Self::new();
        edge.size = size;
        for level in 0..TILE_LEVELS {
            let hashes = size >> (8 * level);
            let width = (hashes % TILE_WIDTH as u64) as usize;
            if width == 0 {
                continue;
            }
            let id = TileId {
                level: level as u8,
                index: hashes / TILE_WIDTH as u64,
                width: width as u16,
            };
            let data = read_tile(source, id)?;
            for bit in 0..8 {
                if width >> bit & 1 == 1 {
                    // The subtree of 2^bit hashes that ends where the higher bits of the width end plus its own size.
                    let start = (width >> (bit + 1)) << (bit + 1);
                    edge.nodes[8 * level + bit] = subtree(&data[32 * start..32 * (start + (1 << bit))]);
                }
            }
            edge.open[level].extend_from_slice(&data);
        }
        Ok(edge)
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its [`leaf_hash`]; `full` receives each tile that this leaf completes.
    pub fn append(&mut self, leaf_hash: Hash, mut full: impl FnMut(TileId, &[u8])) {
        self.grow(leaf_hash, 0, &mut full);
    }

    /// Appends a whole tile of leaves by the hash over it: level 1 stays when leaves are pruned. Tiles of level 0 do
    /// not fall out. The size must be a multiple of 256.
    pub fn append_tile(&mut self, tile_hash: Hash, mut full: impl FnMut(TileId, &[u8])) {
        debug_assert!(self.size.is_multiple_of(TILE_WIDTH as u64));
        self.grow(tile_hash, 8, &mut full);
    }

    /// Appends a whole subtree of `2^level` leaves by its hash.
    fn grow(&mut self, subtree: Hash, level: usize, full: &mut impl FnMut(TileId, &[u8])) {
        let (mut hash, leaves) = (subtree, 1 << level);
        let mut level = level;
        loop {
            if level.is_multiple_of(8) {
                self.put_into_tile(level / 8, &hash, full);
            }
            if self.size >> level & 1 == 0 {
                break;
            }
            hash = node_hash(&self.nodes[level], &hash);
            level += 1;
        }
        self.nodes[level] = hash;
        self.size += leaves;
    }

    fn put_into_tile(&mut self, level: usize, hash: &Hash, full: &mut impl FnMut(TileId, &[u8])) {
        let tile = &mut self.open[level];
        tile.extend_from_slice(hash);
        if tile.len() == TILE_WIDTH * size_of::<Hash>() {
            let index = self.size >> (8 * level) >> 8;
            full(
                TileId {
                    level: level as u8,
                    index,
                    width: TILE_WIDTH as u16,
                },
                tile,
            );
            tile.clear();
        }
    }

    /// The tiles that are not full, lowest level first.
    pub fn open_tiles(&self) -> impl Iterator<Item = (TileId, &[u8])> {
        self.open
            .iter()
            .enumerate()
            .filter(|(_, data)| !data.is_empty())
            .map(|(level, data)| {
                let index = self.size >> (8 * level) >> 8;
                let width = (data.len() / size_of::<Hash>()) as u16;
                (
                    TileId {
                        level: level as u8,
                        index,
                        width,
                    },
                    data.as_slice(),
                )
            })
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for level in 0..64 {
            if self.size >> level & 1 == 1 {
                let left = self.nodes[level];
                root = Some(root.map_or(left, |right| node_hash(&left, &right)));
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// Where tiles are kept.
pub trait TileSource {
    /// The hashes of this tile: at least `id.width` of them, more when a wider one is kept.
    ///
    /// # Errors
    /// [`TreeError::MissingTile`] when there is none, [`TreeError::Source`] when it cannot be read.
    fn tile(&self, id: TileId) -> Result<Vec<u8>, TreeError>;
}

/// Reads a tile and cuts it to its width.
pub fn read_tile(source: &impl TileSource, id: TileId) -> Result<Vec<u8>, TreeError> {
    let mut data = source.tile(id)?;
    let expected = usize::from(id.width);
    if data.len() < 32 * expected {
        return Err(TreeError::ShortTile {
            tile: id,
            expected,
            found: data.len(),
        });
    }
    data.truncate(32 * expected);
    Ok(data)
}

/// The root of `leaves[lo..hi]` in a tree of at least `hi` leaves, RFC 6962's MTH over that range.
///
/// # Errors
/// An empty range, or tiles that are not there.
pub fn range_root(source: &impl TileSource, lo: u64, hi: u64) -> Result<Hash, TreeError> {
    if lo >= hi {
        return Err(TreeError::OutOfRange {
            what: "range end",
            expected: lo.saturating_add(1),
            found: hi,
        });
    }
    let count = hi - lo;
    if count.is_power_of_two() && lo.is_multiple_of(count) {
        return node(source, count.trailing_zeros(), lo / count);
    }
    let split = split_point(count);
    let left = range_root(source, lo, lo + split)?;
    Ok(node_hash(&left, &range_root(source, lo + split, hi)?))
}

/// The root of the tree of the first `size` leaves.
pub fn root_at(source: &impl TileSource, size: u64) -> Result<Hash, TreeError> {
    if size == 0 {
        Ok(empty_root())
    } else {
        range_root(source, 0, size)
    }
}

/// The largest power of two below `count` (which is at least 2).
pub(crate) const fn split_point(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Root of the perfect subtree of 2^level leaves with this index at its level.
fn node(source: &impl TileSource, level: u32, index: u64) -> Result<Hash, TreeError> {
    let (tile_level, height) = (level / 8, level % 8);
    let first = index << height;
    let offset = (first % TILE_WIDTH as u64) as usize;
    let count = 1 << height;
    let id = TileId {
        level: tile_level as u8,
        index: first / TILE_WIDTH as u64,
        // offset is a multiple of count, so this is at most 256.
        width: (offset + count) as u16,
    };
    let data = read_tile(source, id)?;
    Ok(subtree(&data[32 * offset..]))
}

/// The root over a power of two of concatenated hashes.
pub fn subtree(hashes: &[u8]) -> Hash {
    let mut level = [[0; 32]; TILE_WIDTH];
    let mut count = hashes.len() / 32;
    debug_assert!(count.is_power_of_two() && count <= TILE_WIDTH);
    for (to, from) in level.iter_mut().zip(hashes.chunks_exact(32)) {
        to.copy_from_slice(from);
    }
    while count > 1 {
        count /= 2;
        for index in 0..count {
            level[index] = node_hash(&level[2 * index], &level[2 * index + 1]);
        }
    }
    level[0]
}
