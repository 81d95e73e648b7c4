//! Outcome bytes and their rendering.

use proptest::prelude::*;
use tapline_witness::{
    outcome::{AreaPresence, Keypoint, Outcome, Person, Presence, PresenceState, Quality},
    outcome_codec::{OutcomeError, decode_outcome, encode_outcome},
    render::{AreaNames, CycleView},
};

use crate::strategies;

fn outcome() -> Outcome {
    Outcome {
        version: 1,
        tick: 40,
        t_ms: 2000,
        privacy_class: 2,
        quality: Quality {
            score: Some(0.5),
            ..Default::default()
        },
        zones: vec![AreaPresence {
            area: 1,
            presence: Presence {
                state: PresenceState::OccupiedStill,
                probability: Some(0.75),
                ..Default::default()
            },
            people: Some(1),
        }],
        tracks: vec![Person {
            id: 3,
            active: true,
            position_m: [Some(1.5), Some(2.0), None],
            keypoints: Some(
                [Keypoint {
                    position_m: [Some(0.1), None, None],
                    ..Default::default()
                }; 17],
            ),
            ..Default::default()
        }],
        ..Default::default()
    }
}

proptest! {
    #[test]
    fn an_outcome_decodes_to_itself(outcome in strategies::outcome()) {
        let mut bytes = Vec::new();
        encode_outcome(&outcome, &mut bytes).unwrap();
        let decoded = decode_outcome(&bytes).unwrap();
        prop_assert_eq!(&decoded, &outcome);
        let mut again = Vec::new();
        encode_outcome(&decoded, &mut again).unwrap();
        prop_assert_eq!(&again, &bytes);
        bytes.push(0);
        let trailing = matches!(decode_outcome(&bytes), Err(OutcomeError::Trailing { found: 1 }));
        prop_assert!(trailing);
    }

    #[test]
    fn what_is_accepted_has_one_encoding(
        outcome in strategies::outcome(),
        at in any::<prop::sample::Index>(),
        value: u8,
        random: Vec<u8>,
    ) {
        let mut bytes = Vec::new();
        encode_outcome(&outcome, &mut bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        for hostile in [bytes, random] {
            if let Ok(decoded) = decode_outcome(&hostile) {
                let mut again = Vec::new();
                encode_outcome(&decoded, &mut again).unwrap();
                prop_assert_eq!(again, hostile);
            }
        }
    }
}

#[test]
fn rules_of_the_record_are_held() {
    let refused = |change: &dyn Fn(&mut Outcome), expected: &str| {
        let mut broken = outcome();
        change(&mut broken);
        let mut out = b"before".to_vec();
        let error = encode_outcome(&broken, &mut out).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(out, b"before");
    };
    refused(&|outcome| outcome.version = 2, "version is not 1");
    refused(&|outcome| outcome.privacy_class = 4, "privacy_class");
    refused(&|outcome| outcome.quality.score = Some(f32::NAN), "finite");
    refused(&|outcome| outcome.tracks[0].covariance[20] = f32::INFINITY, "finite");
    refused(
        &|outcome| outcome.tracks[0].keypoints.as_mut().unwrap()[16].confidence = f32::NAN,
        "finite",
    );
    refused(
        &|outcome| outcome.tracks.push(outcome.tracks[0]),
        "ascending order of id",
    );
}

#[test]
fn nan_in_the_bytes_is_refused() {
    let mut bytes = Vec::new();
    encode_outcome(&outcome(), &mut bytes).unwrap();
    let half = 0.5_f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == half).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(decode_outcome(&bytes).is_err());
}

#[test]
fn the_json_has_the_promised_fields() {
    let names = AreaNames {
        rooms: vec![],
        zones: vec!["bed".into(), "door".into()],
    };
    let json = CycleView::new(77, &outcome(), &names).to_json();
    assert!(!json.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    for field in [
        "cycle",
        "tick",
        "t_ms",
        "simulated",
        "age_ms",
        "tracks",
        "presence",
        "quality",
        "gate",
        "privacy_class",
    ] {
        assert!(value.get(field).is_some(), "{field}");
    }
    assert_eq!(value["cycle"], 77);
    assert_eq!(value["age_ms"], serde_json::Value::Null);
    assert_eq!(value["presence"]["zones"][0]["name"], "door");
    assert_eq!(value["presence"]["zones"][0]["state"], "OCCUPIED_STILL");
    let track = &value["tracks"][0];
    assert_eq!(
        (&track["x"], &track["z"]),
        (&serde_json::json!(1.5), &serde_json::Value::Null)
    );
    assert_eq!(track["state"], "ACTIVE");
    assert_eq!(track["keypoints"].as_array().unwrap().len(), 17);
    assert_eq!(track["keypoints"][16]["name"], "right_ankle");
    assert_eq!(track["keypoints"][0]["source"], "PRIOR");
    assert_eq!(value["privacy_class"], "ANONYMOUS");
}
