//! Random leaves and outcomes.

use proptest::{array, collection::vec, option, prelude::*};
use tapline_witness::{
    body::*,
    codec::{List, Text},
    leaf::{Header, Leaf, flags},
    outcome::{self, Outcome},
};

fn pick<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn text() -> impl Strategy<Value = Text> {
    "\\PC{0,40}".prop_map(|text| Text::new(&text))
}

fn builds() -> impl Strategy<Value = List<BuildRow>> {
    vec(any::<(u16, u16, [u8; 32])>(), 0..4).prop_map(|rows| {
        let rows = rows.into_iter().map(|(plugin_index, build_index, blake3)| BuildRow {
            plugin_index,
            build_index,
            blake3,
        });
        List::new(rows.collect()).unwrap()
    })
}

fn genesis() -> impl Strategy<Value = Body> {
    let predecessor =
        (text(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(origin, size, root)| Predecessor { origin, size, root });
    (
        any::<bool>(),
        text(),
        any::<[u8; 32]>(),
        any::<[u8; 32]>(),
        option::of(predecessor),
    )
        .prop_map(|(replay, origin, log_key, cosigner_key, predecessor)| {
            Genesis {
                format_version: FORMAT_VERSION,
                replay,
                origin,
                log_key,
                cosigner_key,
                predecessor,
            }
            .into()
        })
}

fn cycle() -> impl Strategy<Value = Body> {
    let codes = (
        pick(ClockQuality::ALL),
        pick(PrivacyClass::ALL),
        pick(PrivacyModeCode::ALL),
        pick(OutcomeCode::ALL),
    );
    (codes, any::<(u32, u16, u16)>(), array::uniform7(any::<[u8; 32]>())).prop_map(|(codes, counts, hashes)| {
        Cycle {
            clock_quality: codes.0,
            privacy_class: codes.1,
            privacy_mode: codes.2,
            outcome_code: codes.3,
            n_inputs: counts.0,
            n_stages: counts.1,
            numeric_profile: counts.2,
            manifest_hash: hashes[0],
            config_hash: hashes[1],
            calibration_id: hashes[2],
            inputs: hashes[3],
            stages: hashes[4],
            outcome: hashes[5],
            state: hashes[6],
        }
        .into()
    })
}

fn boot() -> impl Strategy<Value = Body> {
    let host = (array::uniform3(any::<[u8; 32]>()), text(), text(), text(), builds()).prop_map(
        |(hashes, rustc, target, flags, builds)| Host {
            program: hashes[0],
            cargo_lock: hashes[1],
            fingerprint: hashes[2],
            rustc,
            target,
            flags,
            builds,
        },
    );
    (
        any::<(u64, u16)>(),
        array::uniform4(any::<[u8; 32]>()),
        pick(PrivacyModeCode::ALL),
        host,
    )
        .prop_map(|(numbers, hashes, privacy_mode, host)| {
            Boot {
                recovered_size: numbers.0,
                recovered_root: hashes[0],
                manifest_hash: hashes[1],
                config_hash: hashes[2],
                calibration_id: hashes[3],
                privacy_mode,
                numeric_profile: numbers.1,
                host,
            }
            .into()
        })
}

fn swap() -> impl Strategy<Value = Body> {
    (
        any::<(u64, u16, u32, u32, u32)>(),
        array::uniform7(any::<[u8; 32]>()),
        pick(SwapResult::ALL),
        pick(StateHandling::ALL),
        builds(),
    )
        .prop_map(|(n, h, result, state_handling, builds)| {
            Swap {
                effective_tick: n.0,
                old_manifest_hash: h[0],
                new_manifest_hash: h[1],
                result,
                reason: n.1,
                operator: h[2],
                golden_set: h[3],
                vectors_run: n.2,
                vectors_passed: n.3,
                vectors_failed: n.4,
                results: h[4],
                state_handling,
                state: h[5],
                attestation: h[6],
                builds,
            }
            .into()
        })
}

fn rollup() -> impl Strategy<Value = Body> {
    let manifests = vec(any::<([u8; 32], u64)>(), 0..3).prop_map(|rows| {
        List::new(
            rows.into_iter()
                .map(|(manifest_hash, cycles)| ManifestCount { manifest_hash, cycles })
                .collect(),
        )
        .unwrap()
    });
    (
        any::<(u64, u64, i64, i64)>(),
        array::uniform4(any::<[u8; 32]>()),
        (
            any::<[u64; 5]>(),
            any::<[u64; 4]>(),
            any::<[u64; 7]>(),
            any::<[u64; 9]>(),
        ),
        any::<(u64, i128, u64, u32, u32, bool)>(),
        manifests,
        option::of(any::<[u8; 32]>()),
    )
        .prop_map(|(range, h, counts, n, by_manifest, archive)| {
            Rollup {
                start: range.0,
                end: range.1,
                first_wall_ns: range.2,
                last_wall_ns: range.3,
                first_prev: h[0],
                last_witness: h[1],
                range_digest: h[2],
                by_outcome: counts.0,
                by_class: counts.1,
                by_disposition: counts.2,
                missed_ticks: n.0,
                by_manifest,
                occupancy: counts.3,
                quality_sum: n.1,
                quality_count: n.2,
                quality_min_bits: n.3,
                quality_max_bits: n.4,
                raw_kept: n.5,
                archive,
                minute_rows: h[3],
            }
            .into()
        })
}

fn small_bodies() -> impl Strategy<Value = Body> {
    let numbers = any::<[u64; 4]>();
    let times = any::<(i64, i64)>();
    let hashes = array::uniform3(any::<[u8; 32]>());
    (0..9_u8, numbers, times, hashes, text(), 0..3_usize, 0..5_usize).prop_map(|(which, n, t, h, text, three, five)| {
        match which {
            0 => Config {
                old_config_hash: h[0],
                new_config_hash: h[1],
                effective_tick: n[0],
                operator: h[2],
            }
            .into(),
            1 => Calibration {
                old_calibration_id: h[0],
                new_calibration_id: h[1],
                effective_tick: n[0],
                source: CalibrationSource::ALL[three],
                operator: h[2],
            }
            .into(),
            2 => Key {
                role: KeyRole::ALL[three % 2],
                action: KeyAction::ALL[five % 2],
                name: text,
                public_key: h[0],
            }
            .into(),
            3 => PrivacyMode {
                old_mode: PrivacyModeCode::ALL[five],
                new_mode: PrivacyModeCode::ALL[three],
                effective_tick: n[0],
                operator: h[0],
            }
            .into(),
            4 => Gap {
                first_tick: n[0],
                last_tick: n[1],
                frames_lost: n[2],
                reason: GapReason::ALL[three],
            }
            .into(),
            5 => ClockStep {
                before_ns: t.0,
                after_ns: t.1,
            }
            .into(),
            6 => RetentionPolicy {
                raw_s: n[0],
                cycles_s: n[1],
                leaves_s: n[2],
                rollups_s: n[3],
            }
            .into(),
            7 => Shutdown {
                reason: ShutdownReason::ALL[three],
                cycles: n[0],
                missed_ticks: n[1],
            }
            .into(),
            _ => Audit {
                operator: h[0],
                action: text,
                target: h[1],
                result: AuditResult::ALL[three],
            }
            .into(),
        }
    })
}

/// Any leaf that may exist.
pub(crate) fn leaf() -> impl Strategy<Value = Leaf> {
    let body = prop_oneof![genesis(), cycle(), boot(), swap(), rollup(), small_bodies()];
    (
        body,
        any::<([u8; 32], u64, [u8; 32], [u8; 16], u64, u64, i64)>(),
        any::<u8>(),
    )
        .prop_map(|(mut body, h, random_flags)| {
            let mut flags = 0;
            if let Body::Cycle(cycle) = &mut body {
                flags = random_flags & flags::ALL;
                if flags & flags::KEYFRAME == 0 {
                    cycle.state = [0; 32];
                }
            }
            let genesis = matches!(body, Body::Genesis(_));
            let header = Header {
                kind: body.kind(),
                flags,
                log_id: h.0,
                seq: if genesis { 0 } else { h.1.max(1) },
                prev: if genesis { [0; 32] } else { h.2 },
                boot_id: h.3,
                tick: h.4,
                mono_ns: h.5,
                wall_ns: h.6,
            };
            Leaf { header, body }
        })
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0_f32), -1e6_f32..1e6, Just(f32::MIN_POSITIVE / 2.0)]
}

fn presence() -> impl Strategy<Value = outcome::Presence> {
    (0..4_usize, option::of(number()), any::<u64>()).prop_map(|(state, probability, since_tick)| outcome::Presence {
        state: [
            outcome::PresenceState::Unknown,
            outcome::PresenceState::Empty,
            outcome::PresenceState::OccupiedMoving,
            outcome::PresenceState::OccupiedStill,
        ][state],
        probability,
        reason: outcome::Reason::Motion,
        since_tick,
    })
}

fn areas() -> impl Strategy<Value = Vec<outcome::AreaPresence>> {
    vec((presence(), option::of(any::<u16>())), 0..3).prop_map(|areas| {
        areas
            .into_iter()
            .enumerate()
            .map(|(area, (presence, people))| outcome::AreaPresence {
                area: area as u16,
                presence,
                people,
            })
            .collect()
    })
}

fn person() -> impl Strategy<Value = outcome::Person> {
    (array::uniform6(option::of(number())), number(), any::<(bool, bool)>()).prop_map(|(axes, n, (active, pose))| {
        outcome::Person {
            id: 0,
            active,
            existence: n,
            position_m: [axes[0], axes[1], axes[2]],
            velocity_m_s: [axes[3], axes[4], axes[5]],
            sigma_m: n,
            covariance: [n; 21],
            keypoints: pose.then(|| {
                [outcome::Keypoint {
                    position_m: [axes[0], axes[1], None],
                    sigma_m: n,
                    covariance_m2: [n; 6],
                    confidence: n,
                    measured: active,
                }; 17]
            }),
        }
    })
}

/// Any outcome that may exist.
pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    (
        any::<(u64, i64, bool, Option<u32>, u8)>(),
        (0..4_u8, 0..5_u8),
        (option::of(number()), number()),
        (presence(), areas(), areas()),
        vec(person(), 0..3),
        vec(option::of(number()), 0..4),
    )
        .prop_map(|(head, privacy, quality, places, mut tracks, links)| {
            for (id, track) in tracks.iter_mut().enumerate() {
                track.id = 7 + id as u64;
            }
            Outcome {
                version: outcome::OUTCOME_VERSION,
                tick: head.0,
                t_ms: head.1,
                simulated: head.2,
                age_ms: head.3,
                privacy_class: privacy.0,
                privacy_mode: privacy.1,
                demotion: head.4,
                gate: outcome::Gate::Accept,
                gate_reason: outcome::Reason::Held,
                quality: outcome::Quality {
                    score: quality.0,
                    links_share: quality.1,
                    coherence: quality.0,
                    stages_share: 1.0,
                    contradictions: vec![
                        outcome::Contradiction::NodesDisagree,
                        outcome::Contradiction::ClockSpread,
                    ],
                },
                presence: places.0,
                rooms: places.1,
                zones: places.2,
                people: head.3.map(|age| age as u16),
                tracks,
                links: links
                    .into_iter()
                    .enumerate()
                    .map(|(path, value)| outcome::LinkReport {
                        path: path as u16,
                        coherence: value,
                        gap: value,
                        ..Default::default()
                    })
                    .collect(),
            }
        })
}
