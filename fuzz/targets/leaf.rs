//! Leaves: what is accepted has one spelling, and its lists end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_witness::{leaf, walk::Walk};

fuzz_target!(|bytes: &[u8]| {
    let _ = leaf::split(bytes);
    if let Ok(found) = leaf::decode(bytes) {
        let mut again = Vec::new();
        leaf::encode(&found.header, &found.body, &mut again).expect("what decodes encodes");
        assert_eq!(again, bytes, "two spellings of one leaf");
    }
    let _ = Walk::default().step(0, bytes);
});
