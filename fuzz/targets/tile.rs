//! Paths of tiles, and entry bundles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_witness::{
    bundle::{read::EntryKind, ustar::is_name},
    tile::{TilePath, entries, put_entry},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(path) = TilePath::parse(text) {
            assert_eq!(path.to_string(), text, "two spellings of one path");
            for size in [0, 1, 256, 65_536, u64::MAX] {
                let _ = path.is_in_tree(size);
            }
        }
        if let Some(kind) = EntryKind::from_name(text) {
            assert!(is_name(text) && kind.name() == text);
        }
    }
    let Some((width, bundle)) = bytes.split_first() else {
        return;
    };
    if let Ok(leaves) = entries(bundle, u16::from(*width) + 1) {
        let mut again = Vec::new();
        for leaf in leaves {
            put_entry(leaf, &mut again);
        }
        assert_eq!(again, bundle, "two spellings of one entry bundle");
    }
});
