//! What a leaf commits to: outcome, inputs, stages, and the openings in a bundle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_witness::{
    bundle::data,
    lists::{inputs, stages},
    outcome_codec::{decode_outcome, encode_outcome},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(outcome) = decode_outcome(bytes) {
        let mut again = Vec::new();
        encode_outcome(&outcome, &mut again).expect("what decodes encodes");
        assert_eq!(again, bytes, "two spellings of one outcome");
    }
    let mut again = Vec::new();
    if inputs(bytes).all(|input| input.is_ok_and(|input| input.put(&mut again).is_ok())) {
        assert_eq!(again, bytes, "two spellings of one list of inputs");
    }
    again.clear();
    if stages(bytes).all(|stage| stage.map(|stage| stage.put(&mut again)).is_ok()) {
        assert_eq!(again, bytes, "two spellings of one list of stages");
    }
    again.clear();
    if data::cycles(bytes).all(|cycle| cycle.map(|cycle| cycle.put(&mut again)).is_ok()) {
        assert_eq!(again, bytes, "two spellings of one data entry");
    }
});
