//! The laws of a strict codec: one encoding a value, and nothing else accepted, never a panic.

use proptest::prelude::*;
use tapline_witness::{
    codec::DecodeError,
    disposition::Disposition,
    hash::ZERO,
    leaf::{self, LeafError, MAX_LEAF_LEN, decode, encode},
    lists::{Input, MAX_FRAME_LEN, STAGE_ENTRY_LEN, StageEntry, inputs, stages},
};

use crate::strategies;

proptest! {
    #[test]
    fn a_leaf_decodes_to_itself(leaf in strategies::leaf()) {
        let mut bytes = Vec::new();
        encode(&leaf.header, &leaf.body, &mut bytes).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), leaf);
    }

    #[test]
    fn a_leaf_with_a_byte_more_or_less_is_none(leaf in strategies::leaf(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        encode(&leaf.header, &leaf.body, &mut bytes).unwrap();
        let cut = cut.index(bytes.len());
        prop_assert!(decode(&bytes[..cut]).is_err());
        bytes.push(0);
        prop_assert!(decode(&bytes).is_err());
        // Also when body_len is made to agree: the body itself knows its end.
        let body_len = (bytes.len() - leaf::PREFIX_LEN) as u32;
        bytes[leaf::HEADER_LEN..leaf::PREFIX_LEN].copy_from_slice(&body_len.to_le_bytes());
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn whatever_is_accepted_encodes_to_the_same_bytes(
        leaf in strategies::leaf(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Vec::new();
        encode(&leaf.header, &leaf.body, &mut bytes).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(decoded) = decode(&bytes) {
            let mut again = Vec::new();
            encode(&decoded.header, &decoded.body, &mut again).unwrap();
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes: Vec<u8>) {
        let _ = decode(&bytes);
        let mut framed = leaf::MAGIC.to_vec();
        framed.extend_from_slice(&bytes);
        let _ = decode(&framed);
        prop_assert!(inputs(&bytes).count() <= bytes.len());
        prop_assert!(stages(&bytes).count() <= bytes.len());
    }

    #[test]
    fn inputs_decode_to_themselves(frames: Vec<(u32, u64, Vec<u8>)>) {
        let mut bytes = Vec::new();
        for (source_id, arrival_mono_ns, frame) in &frames {
            Input { source_id: *source_id, arrival_mono_ns: *arrival_mono_ns, bytes: frame }.put(&mut bytes).unwrap();
        }
        let decoded: Vec<_> = inputs(&bytes)
            .map(|input| input.map(|input| (input.source_id, input.arrival_mono_ns, input.bytes.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap();
        prop_assert_eq!(decoded, frames);
        if !bytes.is_empty() {
            prop_assert!(inputs(&bytes[..bytes.len() - 1]).any(|input| input.is_err()));
        }
    }

    #[test]
    fn stages_decode_to_themselves(list in proptest::collection::vec(any::<(u16, u16, u32, Vec<u8>)>(), 0..5)) {
        let mut entries: Vec<_> = list.iter().map(|(id, plugin, schema, out)| StageEntry::ran(*id, *plugin, *schema, out)).collect();
        entries.push(StageEntry::absent(5, 0, Disposition::Timeout, 7));
        let mut bytes = Vec::new();
        for entry in &entries {
            entry.put(&mut bytes);
        }
        prop_assert_eq!(bytes.len(), entries.len() * STAGE_ENTRY_LEN);
        prop_assert_eq!(stages(&bytes).collect::<Result<Vec<_>, _>>().unwrap(), entries);
        prop_assert!(stages(&bytes[1..]).any(|entry| entry.is_err()));
    }
}

/// A CYCLE leaf to damage.
fn cycle_leaf() -> Vec<u8> {
    use tapline_witness::{
        body::{ClockQuality, Cycle, OutcomeCode, PrivacyClass, PrivacyModeCode},
        leaf::{Header, Kind},
    };
    let header = Header {
        kind: Kind::Cycle,
        flags: 0,
        log_id: [1; 32],
        seq: 9,
        prev: [2; 32],
        boot_id: [3; 16],
        tick: 4,
        mono_ns: 5,
        wall_ns: 6,
    };
    let body = Cycle {
        clock_quality: ClockQuality::Good,
        privacy_class: PrivacyClass::Raw,
        privacy_mode: PrivacyModeCode::RawResearch,
        outcome_code: OutcomeCode::Ok,
        n_inputs: 0,
        n_stages: 0,
        numeric_profile: 1,
        manifest_hash: ZERO,
        config_hash: ZERO,
        calibration_id: ZERO,
        inputs: ZERO,
        stages: ZERO,
        outcome: ZERO,
        state: ZERO,
    };
    let mut leaf = Vec::new();
    encode(&header, &body.into(), &mut leaf).unwrap();
    leaf
}

#[test]
fn each_rule_of_the_header_has_its_error() {
    let check = |at: usize, value: u8, expected: &str| {
        let mut leaf = cycle_leaf();
        leaf[at] = value;
        let error = decode(&leaf).unwrap_err().to_string();
        assert!(error.contains(expected), "byte {at} = {value}: {error}");
    };
    check(0, b'X', "magic CWR1 expected");
    check(4, 14, "expected a leaf kind 0 to 13, found 14");
    check(4, 0, "GENESIS is the leaf with seq 0");
    check(4, 12, "SHUTDOWN");
    check(5, 16, "an undefined flag is set");
    check(5, 1, "a keyframe commits a state");
    check(6, 1, "reserved: expected 0, found 1");
    check(120, 0xed, "237 bytes stated, 236 there");
    check(124, 9, "clock quality 0 to 3, found 9");
    check(125, 4, "privacy class 0 to 3, found 4");
    check(126, 5, "privacy mode 0 to 4, found 5");
    check(127, 5, "outcome code 0 to 4, found 5");
    check(359, 1, "a keyframe commits a state");
    let mut leaf = cycle_leaf();
    leaf[48..80].fill(0);
    assert!(decode(&leaf).unwrap_err().to_string().contains("prev is zero"));
}

#[test]
fn long_leaves_and_frames_are_refused() {
    assert_eq!(
        decode(&vec![0; MAX_LEAF_LEN + 1]),
        Err(LeafError::TooLong {
            found: MAX_LEAF_LEN + 1
        })
    );
    let mut out = Vec::new();
    let frame = vec![0; MAX_FRAME_LEN + 1];
    let error = Input {
        source_id: 0,
        arrival_mono_ns: 0,
        bytes: &frame,
    }
    .put(&mut out)
    .unwrap_err();
    assert!(matches!(
        error,
        DecodeError::Invalid {
            field: "frame length",
            ..
        }
    ));
    assert!(out.is_empty());
}
