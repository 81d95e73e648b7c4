//! The tree against `tlog_tiles`, an independent port of Go's sumdb/tlog.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tapline_witness::{
    hash::Hash,
    proof::{prove_consistency, prove_inclusion, verify_consistency, verify_inclusion},
    tile::{TileId, tiles_for_range},
    tree::{Edge, TileSource, TreeError, leaf_hash, range_root, root_at},
};
use tlog_tiles::tlog;

/// Tiles in memory, as a store keeps them: the widest of each.
#[derive(Default)]
struct Tiles(BTreeMap<(u8, u64), Vec<u8>>);

impl Tiles {
    fn keep(&mut self, id: TileId, data: &[u8]) {
        self.0.insert((id.level, id.index), data.to_vec());
    }

    fn grow(size: u64) -> (Edge, Self) {
        let (mut edge, mut tiles) = (Edge::new(), Self::default());
        for leaf in 0..size {
            edge.append(leaf_hash(&leaf.to_le_bytes()), |id, data| tiles.keep(id, data));
        }
        for (id, data) in edge.open_tiles() {
            tiles.keep(id, data);
        }
        (edge, tiles)
    }
}

impl TileSource for Tiles {
    fn tile(&self, id: TileId) -> Result<Vec<u8>, TreeError> {
        self.0
            .get(&(id.level, id.index))
            .cloned()
            .ok_or(TreeError::MissingTile(id))
    }
}

/// Every hash of the tree in the oracle's own order.
struct Oracle(Vec<tlog::Hash>);

impl tlog::HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl Oracle {
    fn grow(size: u64) -> Self {
        let mut oracle = Self(Vec::new());
        for leaf in 0..size {
            let hashes = tlog::stored_hashes(leaf, &leaf.to_le_bytes(), &oracle).unwrap();
            oracle.0.extend(hashes);
        }
        oracle
    }
}

const SIZES: [u64; 16] = [
    1,
    2,
    3,
    5,
    255,
    256,
    257,
    300,
    511,
    512,
    513,
    768,
    1000,
    1023,
    65_536 / 64,
    1300,
];

#[test]
fn roots_and_proofs_equal_those_of_the_oracle() {
    let last = 1300;
    let oracle = Oracle::grow(last);
    let (_, tiles) = Tiles::grow(last);
    for size in SIZES {
        let root = root_at(&tiles, size).unwrap();
        assert_eq!(root, tlog::tree_hash(size, &oracle).unwrap().0, "root of {size}");
        for index in [0, 1, size / 3, size / 2, size - 1] {
            if index >= size {
                continue;
            }
            let proof = prove_inclusion(&tiles, index, size).unwrap();
            let theirs: Vec<Hash> = tlog::prove_record(size, index, &oracle)
                .unwrap()
                .iter()
                .map(|h| h.0)
                .collect();
            assert_eq!(proof, theirs, "inclusion of {index} in {size}");
            verify_inclusion(&leaf_hash(&index.to_le_bytes()), index, size, &proof, &root).unwrap();
        }
        for old in [1, 2, size / 3, size / 2, size - 1, size] {
            if old == 0 || old > size {
                continue;
            }
            let proof = prove_consistency(&tiles, old, size).unwrap();
            let theirs: Vec<Hash> = tlog::prove_tree(size, old, &oracle)
                .unwrap()
                .iter()
                .map(|h| h.0)
                .collect();
            assert_eq!(proof, theirs, "consistency of {old} with {size}");
            verify_consistency(old, &root_at(&tiles, old).unwrap(), size, &root, &proof).unwrap();
        }
    }
}

#[test]
fn every_size_up_to_1300_grows_and_restores_alike() {
    let (mut edge, mut tiles) = (Edge::new(), Tiles::default());
    for leaf in 0..1300_u64 {
        edge.append(leaf_hash(&leaf.to_le_bytes()), |id, data| tiles.keep(id, data));
        for (id, data) in edge.open_tiles() {
            tiles.keep(id, data);
        }
        let restored = Edge::restore(leaf + 1, &tiles).unwrap();
        assert_eq!(restored.root(), edge.root(), "size {}", leaf + 1);
        assert!(restored.open_tiles().eq(edge.open_tiles()), "size {}", leaf + 1);
    }
}

#[test]
fn restored_edge_continues_across_a_second_level_tile() {
    // 65,536 leaves fill the first tile of level 1: the carry runs through two tile levels.
    let (mut edge, mut tiles) = Tiles::grow(65_530);
    let mut restored = Edge::restore(65_530, &tiles).unwrap();
    for leaf in 65_530..65_545_u64 {
        let hash = leaf_hash(&leaf.to_le_bytes());
        edge.append(hash, |id, data| tiles.keep(id, data));
        let mut fell_out = Vec::new();
        restored.append(hash, |id, data| fell_out.push((id, data.to_vec())));
        for (id, data) in fell_out {
            assert_eq!(tiles.tile(id).unwrap(), data, "{id}");
        }
        assert_eq!(restored.root(), edge.root());
    }
    for (id, data) in edge.open_tiles() {
        tiles.keep(id, data);
    }
    assert_eq!(root_at(&tiles, 65_545).unwrap(), edge.root());
    assert_eq!(
        tiles
            .tile(TileId {
                level: 2,
                index: 0,
                width: 1
            })
            .unwrap()
            .len(),
        32
    );
}

#[test]
fn an_edge_with_a_lost_tile_is_not_restored() {
    let (_, mut tiles) = Tiles::grow(700);
    tiles.0.remove(&(1, 0));
    assert_eq!(
        Edge::restore(700, &tiles).unwrap_err(),
        TreeError::MissingTile(TileId {
            level: 1,
            index: 0,
            width: 2
        })
    );
    let (_, mut tiles) = Tiles::grow(700);
    tiles.0.get_mut(&(0, 2)).unwrap().truncate(40);
    assert!(matches!(
        Edge::restore(700, &tiles),
        Err(TreeError::ShortTile {
            expected: 188,
            found: 40,
            ..
        })
    ));
}

#[test]
fn the_tiles_of_a_range_suffice_to_prove_it() {
    let (_, all) = Tiles::grow(1300);
    for (first, end, size) in [
        (0, 1, 1),
        (0, 1300, 1300),
        (250, 260, 1300),
        (600, 601, 1024),
        (1299, 1300, 1300),
    ] {
        let mut some = Tiles::default();
        for id in tiles_for_range(first, end, size) {
            some.keep(id, &all.tile(id).unwrap()[..32 * usize::from(id.width)]);
        }
        assert_eq!(
            root_at(&some, size).unwrap(),
            root_at(&all, size).unwrap(),
            "{first}..{end} of {size}"
        );
        for index in [first, end - 1] {
            prove_inclusion(&some, index, size).unwrap();
        }
    }
}

#[test]
fn impossible_requests_are_refused() {
    let (edge, tiles) = Tiles::grow(10);
    assert!(prove_inclusion(&tiles, 10, 10).is_err());
    assert!(prove_inclusion(&tiles, 0, 0).is_err());
    assert!(prove_inclusion(&tiles, 5, 1 << 40).is_err());
    assert!(prove_consistency(&tiles, 0, 10).is_err());
    assert!(prove_consistency(&tiles, 11, 10).is_err());
    assert!(range_root(&tiles, 3, 3).is_err());
    let root = edge.root();
    assert!(verify_inclusion(&root, 0, u64::MAX, &[root; 65], &root).is_err());
    assert!(verify_inclusion(&root, u64::MAX - 1, u64::MAX, &[root; 64], &root).is_err());
    assert!(verify_consistency(1, &root, u64::MAX, &root, &[root; 65]).is_err());
    assert!(verify_consistency(0, &root, 10, &root, &[]).is_err());
    assert!(verify_consistency(10, &root, 10, &root, &[root]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_proof_proves_nothing(size in 2_u64..600, pick in any::<(u64, u64, u8)>()) {
        let (edge, tiles) = Tiles::grow(size);
        let root = edge.root();
        let index = pick.0 % size;
        let leaf = leaf_hash(&index.to_le_bytes());
        let proof = prove_inclusion(&tiles, index, size).unwrap();
        verify_inclusion(&leaf, index, size, &proof, &root).unwrap();
        // A flipped bit, a lost hash, an extra hash, a wrong place: none passes.
        let at = pick.1 as usize % proof.len();
        let mut flipped = proof.clone();
        flipped[at][usize::from(pick.2 % 32)] ^= 1 << (pick.2 % 8);
        prop_assert!(verify_inclusion(&leaf, index, size, &flipped, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof[1..], &root).is_err());
        let mut longer = proof.clone();
        longer.push(root);
        prop_assert!(verify_inclusion(&leaf, index, size, &longer, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, (index + 1) % size, size, &proof, &root).is_err());

        let old = 1 + pick.1 % (size - 1);
        let old_root = root_at(&tiles, old).unwrap();
        let proof = prove_consistency(&tiles, old, size).unwrap();
        verify_consistency(old, &old_root, size, &root, &proof).unwrap();
        let mut flipped = proof.clone();
        flipped[at % proof.len()][0] ^= 0x80;
        prop_assert!(verify_consistency(old, &old_root, size, &root, &flipped).is_err());
        prop_assert!(verify_consistency(old, &root, size, &root, &proof).is_err());
    }
}

#[test]
fn proof_bombs_are_refused_by_their_numbers_alone() {
    let many = vec![[7; 32]; 100_000];
    let huge = [1_u64 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    let (leaf, root) = ([1; 32], [2; 32]);
    for size in huge {
        for index in [0, 1, size / 2, size - 1] {
            for length in [0, 1, 62, 63, 64, 65, many.len()] {
                assert!(verify_inclusion(&leaf, index, size, &many[..length], &root).is_err());
                if index > 0 {
                    assert!(verify_consistency(index, &leaf, size, &root, &many[..length]).is_err());
                }
            }
        }
        assert!(verify_inclusion(&leaf, size, size, &[], &root).is_err());
        assert!(verify_consistency(size, &leaf, size - 1, &root, &[]).is_err());
    }
    // Nothing is looked up or allocated for a range that no tree can have.
    let (_, tiles) = Tiles::grow(3);
    for index in huge {
        assert!(prove_inclusion(&tiles, index, u64::MAX).is_err());
        // A tree is consistent with itself, whatever its size: that takes no hash.
        assert_eq!(prove_consistency(&tiles, index, u64::MAX).is_ok(), index == u64::MAX);
    }
}
