//! Tile paths and entry bundles.

use proptest::prelude::*;
use tapline_witness::tile::{TileError, TileId, TilePath, entries, put_entry};

#[test]
fn paths_are_those_of_the_specification() {
    let check = |path: &str, expected: TilePath| {
        assert_eq!(TilePath::parse(path).unwrap(), expected);
        assert_eq!(expected.to_string(), path);
    };
    check(
        "tile/0/x001/x234/067",
        TilePath::Hashes(TileId {
            level: 0,
            index: 1_234_067,
            width: 256,
        }),
    );
    check(
        "tile/1/000.p/8",
        TilePath::Hashes(TileId {
            level: 1,
            index: 0,
            width: 8,
        }),
    );
    check(
        "tile/entries/x273/063",
        TilePath::Entries {
            index: 273_063,
            width: 256,
        },
    );
    check(
        "tile/entries/x273/063.p/112",
        TilePath::Entries {
            index: 273_063,
            width: 112,
        },
    );
    check(
        "tile/0/x001/000",
        TilePath::Hashes(TileId {
            level: 0,
            index: 1000,
            width: 256,
        }),
    );
}

#[test]
fn other_spellings_are_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "/tile/0/000",
        "tile/8/000",
        "tile/00/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/0/1",
        "tile/0/0000",
        "tile/0/001/000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/08",
        "tile/0/000.p/+8",
        "tile/0/000.p/8/",
        "tile/0/000/../001",
        "tile/data/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(matches!(TilePath::parse(path), Err(TileError::Path { .. })), "{path}");
    }
}

#[test]
fn only_tiles_of_the_tree_are_in_it() {
    let hashes = |level, index, width| TilePath::Hashes(TileId { level, index, width });
    assert!(hashes(0, 0, 256).is_in_tree(256));
    assert!(!hashes(0, 0, 256).is_in_tree(255));
    assert!(hashes(0, 0, 255).is_in_tree(255));
    assert!(hashes(1, 0, 1).is_in_tree(256));
    assert!(!hashes(1, 0, 1).is_in_tree(255));
    assert!(!hashes(0, u64::MAX, 1).is_in_tree(u64::MAX));
    assert!(TilePath::Entries { index: 1, width: 44 }.is_in_tree(300));
}

#[test]
fn bundles_hold_what_they_say() {
    let mut bundle = Vec::new();
    for entry in [&b"one"[..], b"", b"three"] {
        put_entry(entry, &mut bundle);
    }
    assert_eq!(entries(&bundle, 3).unwrap(), [&b"one"[..], b"", b"three"]);
    assert_eq!(entries(&bundle, 2), Err(TileError::Width { expected: 2, found: 3 }));
    assert_eq!(entries(&bundle, 4), Err(TileError::Width { expected: 4, found: 3 }));
    assert_eq!(
        entries(&bundle[..bundle.len() - 1], 3),
        Err(TileError::Truncated { entry: 2 })
    );
    assert_eq!(entries(&bundle[..1], 1), Err(TileError::Truncated { entry: 0 }));
}

proptest! {
    #[test]
    fn a_path_is_parsed_back(level in 0..8_u8, index: u64, width in 1..=256_u16, hashes: bool) {
        let path = if hashes {
            TilePath::Hashes(TileId { level, index, width })
        } else {
            TilePath::Entries { index, width }
        };
        let text = path.to_string();
        // 64 characters hold every index a 64-bit tree can have.
        prop_assert_eq!(TilePath::parse(&text).unwrap(), path);
    }

    #[test]
    fn hostile_paths_and_bundles_do_no_harm(path in ".{0,80}", bundle: Vec<u8>, width: u16) {
        let _ = TilePath::parse(&path);
        let _ = entries(&bundle, width);
    }
}
