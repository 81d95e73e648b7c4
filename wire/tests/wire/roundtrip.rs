//! `parse(encode(x)) == x`, and what parsers must survive.

use num_complex::Complex32;
use proptest::{collection::vec, option, prelude::*};
use tapline_dsp::tier::Tier;
use tapline_wire::*;

/// A valid datagram of every format, for tests that damage them.
pub(crate) fn samples_of_every_format() -> Vec<Vec<u8>> {
    let vitals = Vitals {
        node: 3,
        flags: 5,
        breathing_centi_bpm: 1_500,
        heart_e4_bpm: 720_000,
        rssi_dbm: -40,
        persons: 4,
        motion_energy: Some(4.5),
        presence_score: Some(42.6),
        node_ms: 77,
    };
    let state = FeatureState {
        node: 1,
        mode: 2,
        seq: 3,
        node_us: 4,
        values: std::array::from_fn(|i| Some(i as f32)),
        quality_flags: 5,
    };
    let tones = vec![Complex32::new(1.5, -2.5); 52];
    let pairs = vec![[1, 2]; 64];
    let entries = [RssEntry {
        tx: 1,
        rx: 2,
        channel: 11,
        rssi_dbm: -55,
    }; 3];
    let mut all = Vec::new();
    let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        all.push(out);
    };
    add(&|out| adr018(&pairs).encode(out).unwrap());
    for key in [None, Some(&[9; 32])] {
        add(&|out| {
            tlf1(TlfGrid::Active(Tier::Ht20), Samples::F32(&tones))
                .encode(key, out)
                .unwrap()
        });
        add(&|out| {
            tlf1(TlfGrid::Own(&[-3, 0, 7]), Samples::I8(&[[1, 2]; 3]))
                .encode(key, out)
                .unwrap()
        });
        add(&|out| {
            Tlr1 {
                reporter: Some(2),
                seq: 1,
                capture_ms: 56_000,
                simulated: true,
                entries: &entries,
            }
            .encode(key, out)
            .unwrap();
        });
    }
    add(&|out| vitals.encode(out));
    add(&|out| {
        Feature {
            node: 2,
            seq: 9,
            node_us: -4,
            features: [Some(0.5); 8],
        }
        .encode(out)
    });
    add(&|out| {
        FusedVitals {
            vitals,
            mmwave_type: 1,
            fusion_confidence: 80,
            mmwave_heart_bpm: Some(70.0),
            mmwave_breathing_bpm: None,
            mmwave_distance_cm: Some(230.0),
            mmwave_targets: 1,
            mmwave_confidence: 90,
        }
        .encode(out);
    });
    add(&|out| state.encode(out));
    add(&|out| {
        CompressedCsi {
            node: 1,
            channel: 6,
            buffer_len: 128,
            runs: &[0, 128],
        }
        .encode(out)
        .unwrap()
    });
    add(&|out| sync().encode(out));
    for body in mesh_bodies(state) {
        add(&|out| {
            MeshMessage {
                sender_role: 1,
                auth_class: 0,
                epoch: 7,
                body,
            }
            .encode(out)
        });
    }
    all
}

fn adr018(pairs: &[[i8; 2]]) -> Adr018<'_> {
    Adr018 {
        node: 1,
        antennas: 1,
        bins: pairs.len() as u16,
        frequency_mhz: 2_437,
        seq: 12,
        rssi_dbm: -40,
        noise_dbm: -92,
        ppdu: Ppdu::HtOrLegacy,
        wide: false,
        stbc: false,
        ldpc: false,
        sync_valid: false,
        pairs,
    }
}

fn tlf1<'a>(grid: TlfGrid<'a>, samples: Samples<'a>) -> Tlf1<'a> {
    Tlf1 {
        rx_node: 1,
        tx_node: Some(2),
        seq: 3,
        capture_us: 4,
        mesh_time: false,
        simulated: true,
        centre_khz: 2_437_000,
        bandwidth_mhz: 20,
        grid,
        antennas: 1,
        rssi_dbm: -50,
        noise_dbm: -95,
        agc_db: None,
        boot_count: 5,
        samples,
    }
}

fn sync() -> SyncPacket {
    SyncPacket {
        node: 2,
        leader: true,
        valid: true,
        smoothed: false,
        local_us: 5,
        epoch_us: 1_000_005,
        seq_high_water: 40,
    }
}

fn mesh_bodies(state: FeatureState) -> [MeshBody; 7] {
    let id = *b"node-007";
    [
        MeshBody::TimeSync {
            anchor_us: 1,
            cycle_id: 2,
            period_us: 50_000,
        },
        MeshBody::RoleAssign { id, role: 2, epoch: 3 },
        MeshBody::ChannelPlan {
            id,
            count: 2,
            dwell_ms: 300,
            raw_csi: 1,
            channels: [1, 6, 0, 0, 0, 0, 0, 0],
            epoch: 9,
        },
        MeshBody::CalibrationStart {
            start_us: 8,
            duration_ms: 30_000,
            epoch: 2,
            profile: 1,
        },
        MeshBody::FeatureDelta(state),
        MeshBody::Health {
            id,
            node_us: 1,
            role: 2,
            channel: 11,
            bandwidth: 20,
            noise_dbm: -95,
            packet_yield: 50,
            sync_error_us: 12,
            flags: 3,
        },
        MeshBody::Anomaly {
            id,
            node_us: 1,
            severity: 3,
            reason: 4,
            anomaly: Some(1.0),
            motion: Some(2.0),
        },
    ]
}

#[test]
fn every_sample_parses_and_every_truncation_and_extension_is_an_error() {
    for datagram in samples_of_every_format() {
        parse(&datagram).unwrap();
        for len in 0..datagram.len() {
            let error = parse(&datagram[..len]).expect_err("a truncated datagram must not parse");
            assert!(
                matches!(error.reason(), "too-short" | "length-mismatch"),
                "{error} at {len}"
            );
        }
        let longer = [&datagram[..], &[0]].concat();
        assert_eq!(parse(&longer).unwrap_err().reason(), "length-mismatch");
    }
}

#[test]
fn a_flipped_bit_breaks_what_a_checksum_or_mac_covers() {
    let key = [9; 32];
    for datagram in samples_of_every_format() {
        for bit in 0..datagram.len() * 8 {
            let mut damaged = datagram.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let intact = match parse(&damaged) {
                Ok(Datagram::Csi(frame)) if frame.mac.is_some() => frame.verify_mac(&key).is_ok(),
                Ok(Datagram::Rss(report)) if report.mac.is_some() => report.verify_mac(&key).is_ok(),
                Ok(Datagram::FeatureState(_) | Datagram::Mesh(_)) => true,
                _ => false,
            };
            assert!(!intact, "bit {bit} of {:?} went unnoticed", kind_of(&datagram));
        }
    }
}

#[test]
fn formats_that_are_only_counted_say_so() {
    for (first, kind) in [
        (&0xC511_0007_u32.to_le_bytes()[..], DatagramKind::ModuleOutput),
        (b"MTC1 and more", DatagramKind::Mtc1),
        (b"QCS1", DatagramKind::Qcs1),
        (b"RTR1", DatagramKind::Rtr1),
        (b"{\"event\":1}", DatagramKind::Json),
    ] {
        assert_eq!(parse(first), Err(WireError::Unsupported { kind }));
    }
    assert_eq!(parse(b"nope").unwrap_err().reason(), "unknown-magic");
    assert_eq!(parse(b"").unwrap_err().reason(), "too-short");
}

#[test]
fn header_fields_stand_where_the_format_puts_them() {
    let mut out = Vec::new();
    Adr018 {
        node: 7,
        wide: true,
        sync_valid: true,
        seq: 0x0403_0201,
        ..adr018(&[[5, -6]; 64])
    }
    .encode(&mut out)
    .unwrap();
    assert_eq!(out.len(), 148);
    assert_eq!(out[..4], [0x01, 0x00, 0x11, 0xC5]);
    assert_eq!((out[4], out[5], &out[6..8]), (7, 1, &[64, 0][..]));
    assert_eq!(out[12..16], [1, 2, 3, 4]);
    assert_eq!(
        (out[16] as i8, out[17] as i8, out[18], out[19]),
        (-40, -92, 0, 0b1_0001)
    );
    assert_eq!(out[20..22], [5, 250], "imaginary part first");

    out.clear();
    tlf1(TlfGrid::Own(&[-3, 0, 7]), Samples::I8(&[[1, 2]; 3]))
        .encode(Some(&[1; 32]), &mut out)
        .unwrap();
    assert_eq!(&out[..8], b"TLF1\x01\x05\x28\x00");
    assert_eq!((out[30], out[31], out[32], out[34]), (6, 1, 3, 0));
    assert_eq!(out[40..46], [0xFD, 0xFF, 0, 0, 7, 0]);
    assert_eq!(out.len(), 40 + 6 + 6 + 16);

    out.clear();
    Tlr1 {
        reporter: None,
        seq: 1,
        capture_ms: 2,
        simulated: true,
        entries: &[RssEntry {
            tx: 1,
            rx: 258,
            channel: 3,
            rssi_dbm: -1,
        }],
    }
    .encode(None, &mut out)
    .unwrap();
    assert_eq!(&out[..8], b"TLR1\x01\x02\x18\x00");
    assert_eq!(out[20..], [1, 0, 0xFF, 0xFF, 1, 0, 2, 1, 3, 255]);
}

#[test]
fn encoders_refuse_what_the_format_cannot_carry() {
    let mut out = vec![1];
    let pairs = [[0, 0]; 64];
    for bad in [
        Adr018 {
            antennas: 0,
            ..adr018(&pairs)
        },
        Adr018 {
            antennas: 5,
            ..adr018(&pairs)
        },
        Adr018 {
            bins: 257,
            ..adr018(&pairs)
        },
        Adr018 {
            bins: 63,
            ..adr018(&pairs)
        },
        Adr018 {
            frequency_mhz: 100_001,
            ..adr018(&pairs)
        },
    ] {
        assert!(bad.encode(&mut out).is_err());
    }
    let one = Samples::I8(&[[1, 2]]);
    for bad in [
        tlf1(TlfGrid::Own(&[]), Samples::I8(&[])),
        tlf1(TlfGrid::Own(&[2, 1]), Samples::I8(&[[1, 2]; 2])),
        tlf1(TlfGrid::Own(&[1, 1]), Samples::I8(&[[1, 2]; 2])),
        tlf1(TlfGrid::Bins(Tier::Ht20), one),
        Tlf1 {
            antennas: 9,
            ..tlf1(TlfGrid::Own(&[1]), one)
        },
        Tlf1 {
            tx_node: Some(0xFFFF),
            ..tlf1(TlfGrid::Own(&[1]), one)
        },
        Tlf1 {
            agc_db: Some(255),
            ..tlf1(TlfGrid::Own(&[1]), one)
        },
    ] {
        assert!(bad.encode(None, &mut out).is_err());
    }
    let many = vec![
        RssEntry {
            tx: 1,
            rx: 2,
            channel: 1,
            rssi_dbm: -9
        };
        MAX_RSS_ENTRIES + 1
    ];
    let report = Tlr1 {
        reporter: None,
        seq: 0,
        capture_ms: 0,
        simulated: false,
        entries: &many,
    };
    assert!(report.encode(None, &mut out).is_err());
    assert_eq!(out, [1], "a refused datagram leaves no bytes behind");
    Tlr1 {
        entries: &many[1..],
        ..report
    }
    .encode(Some(&[0; 32]), &mut out)
    .unwrap();
    assert!(out.len() - 1 <= 1400);
}

#[test]
fn floats_that_are_not_finite_are_absent_and_big_ones_pass() {
    let mut out = Vec::new();
    Vitals {
        node: 1,
        flags: 0,
        breathing_centi_bpm: 0,
        heart_e4_bpm: 0,
        rssi_dbm: 1,
        persons: 0,
        motion_energy: Some(f32::NAN),
        presence_score: Some(42.6),
        node_ms: 0,
    }
    .encode(&mut out);
    let Ok(Datagram::Vitals(vitals)) = parse(&out) else {
        panic!("expected vitals")
    };
    assert_eq!((vitals.motion_energy, vitals.presence_score), (None, Some(42.6)));
}

#[test]
fn strengths_that_mean_unknown_are_unknown() {
    for (rssi_dbm, expect) in [(-1, Some(-1)), (-128, Some(-128)), (0, None), (1, None), (127, None)] {
        let mut out = Vec::new();
        Adr018 {
            rssi_dbm,
            ..adr018(&[[0, 0]; 64])
        }
        .encode(&mut out)
        .unwrap();
        let Ok(Datagram::Csi(frame)) = parse(&out) else {
            panic!("expected CSI")
        };
        assert_eq!((frame.rssi_dbm, frame.rssi()), (rssi_dbm, expect));
        assert_eq!(
            RssEntry {
                tx: 1,
                rx: 2,
                channel: 1,
                rssi_dbm
            }
            .rssi(),
            expect
        );
    }
    assert_eq!(
        RssEntry {
            tx: 4,
            rx: 4,
            channel: 1,
            rssi_dbm: -45
        }
        .rssi(),
        None,
        "a node does not hear itself"
    );
}

fn any_tier() -> impl Strategy<Value = Tier> {
    prop::sample::select(Tier::ALL.to_vec())
}

fn any_f32() -> impl Strategy<Value = Option<f32>> {
    option::of(prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL)
}

prop_compose! {
    fn any_vitals()(
        (node, flags, persons, rssi_dbm) in any::<(u8, u8, u8, i8)>(),
        (breathing_centi_bpm, heart_e4_bpm, node_ms) in any::<(u16, u32, u32)>(),
        motion_energy in any_f32(),
        presence_score in any_f32(),
    ) -> Vitals {
        Vitals {
            node, flags, persons, rssi_dbm, breathing_centi_bpm, heart_e4_bpm, node_ms, motion_energy, presence_score,
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
    }

    /// Random bytes rarely hit a magic number: give them one, and random damage to valid datagrams.
    #[test]
    fn damaged_datagrams_never_panic(
        pick in any::<prop::sample::Index>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        tail in vec(any::<u8>(), 0..40),
        tier in any_tier(),
    ) {
        let all = samples_of_every_format();
        let mut bytes = pick.get(&all).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.extend(tail);
        if let Ok(Datagram::Csi(frame)) = parse(&bytes) {
            let mut tones = vec![Complex32::ZERO; tier.tones()];
            let mut mask = vec![0; tier.tones()];
            for layout in BinLayout::ALL {
                let _ = frame.tones(0, layout, tier, &mut tones, &mut mask);
            }
            prop_assert!(tones.iter().all(|x| x.re.is_finite() && x.im.is_finite()));
        }
    }

    #[test]
    fn adr018_round_trips(
        node in any::<u8>(),
        antennas in 1..=4_u8,
        bins in 1..=256_u16,
        frequency_mhz in 0..=100_000_u32,
        seq in any::<u32>(),
        (rssi_dbm, noise_dbm) in any::<(i8, i8)>(),
        ppdu in prop::sample::select(vec![0_u8, 1, 2, 3, 0xFF]),
        (wide, stbc, ldpc, sync_valid) in any::<(bool, bool, bool, bool)>(),
        seed in any::<i8>(),
    ) {
        let len = usize::from(antennas) * usize::from(bins);
        let pairs: Vec<[i8; 2]> = (0..len).map(|i| [seed.wrapping_add(i as i8), i as i8]).collect();
        let ppdu = Ppdu::from_code(ppdu);
        let mut out = Vec::new();
        Adr018 {
            node, antennas, bins, frequency_mhz, seq, rssi_dbm, noise_dbm, ppdu, wide, stbc, ldpc, sync_valid,
            pairs: &pairs,
        }.encode(&mut out).unwrap();
        let Ok(Datagram::Csi(frame)) = parse(&out) else { panic!("expected CSI") };
        prop_assert_eq!(frame.grid, Grid::Esp { ppdu, stbc, ldpc, sync_valid });
        prop_assert_eq!((frame.rx_node, frame.seq, frame.rx_antennas, frame.bins), (node.into(), seq, antennas, bins));
        prop_assert_eq!((frame.centre_khz, frame.bandwidth_mhz), (frequency_mhz * 1000, if wide { 40 } else { 20 }));
        prop_assert_eq!((frame.rssi_dbm, frame.noise_dbm), (rssi_dbm, noise_dbm));
        prop_assert_eq!((frame.tx_node, frame.capture_us, frame.simulated), (None, None, false));
        for antenna in 0..antennas {
            for bin in 0..usize::from(bins) {
                let [im, re] = pairs[usize::from(antenna) * usize::from(bins) + bin];
                prop_assert_eq!(frame.sample(antenna, bin), Some(Complex32::new(re.into(), im.into())));
            }
        }
    }

    #[test]
    fn tlf1_round_trips_in_every_grid_and_format(
        (rx_node, seq, capture_us) in any::<(u16, u32, u64)>(),
        (mesh_time, simulated) in any::<(bool, bool)>(),
        tx_node in option::of(0..0xFFFF_u16),
        (centre_khz, bandwidth_mhz, boot_count) in any::<(u32, u16, u16)>(),
        agc_db in option::of(0..255_u8),
        antennas in 1..=8_u8,
        (rssi_dbm, noise_dbm) in any::<(i8, i8)>(),
        tier in any_tier(),
        own in prop::collection::btree_set(any::<i16>(), 1..200),
        grid in 0..3,
        format in 0..4,
        key in option::of(any::<[u8; 32]>()),
    ) {
        let own: Vec<i16> = own.into_iter().collect();
        let grid = match grid {
            0 => TlfGrid::Bins(tier),
            1 => TlfGrid::Active(tier),
            _ => TlfGrid::Own(&own),
        };
        let bins = match grid {
            TlfGrid::Bins(tier) => tier.fft_size(),
            TlfGrid::Active(tier) => tier.tones(),
            TlfGrid::Own(own) => own.len(),
        };
        let len = bins * usize::from(antennas);
        let i8s: Vec<[i8; 2]> = (0..len).map(|i| [i as i8, (i / 3) as i8]).collect();
        let i16s: Vec<[i16; 2]> = (0..len).map(|i| [i as i16, -(i as i16)]).collect();
        let f32s: Vec<Complex32> = (0..len).map(|i| Complex32::new(i as f32 * 0.5, -1.0)).collect();
        let amplitudes: Vec<f32> = (0..len).map(|i| i as f32 * 0.25).collect();
        let samples = match format {
            0 => Samples::I8(&i8s),
            1 => Samples::I16(&i16s),
            2 => Samples::F32(&f32s),
            _ => Samples::Amplitude(&amplitudes),
        };
        let mut out = Vec::new();
        Tlf1 {
            rx_node, tx_node, seq, capture_us, mesh_time, simulated, centre_khz, bandwidth_mhz, grid, antennas,
            rssi_dbm, noise_dbm, agc_db, boot_count, samples,
        }.encode(key.as_ref(), &mut out).unwrap();
        let Ok(Datagram::Csi(frame)) = parse(&out) else { panic!("expected CSI") };
        match (grid, frame.grid) {
            (TlfGrid::Own(own), Grid::Own(found)) => prop_assert!(own_indices(found).eq(own.iter().copied())),
            (TlfGrid::Bins(a), Grid::Bins(b)) | (TlfGrid::Active(a), Grid::Active(b)) => prop_assert_eq!(a, b),
            other => panic!("{other:?}"),
        }
        prop_assert_eq!((frame.rx_node, frame.tx_node, frame.seq), (rx_node, tx_node, seq));
        prop_assert_eq!((frame.capture_us, frame.mesh_time, frame.simulated), (Some(capture_us), mesh_time, simulated));
        prop_assert_eq!((frame.centre_khz, frame.bandwidth_mhz, frame.bins), (centre_khz, bandwidth_mhz, bins as u16));
        prop_assert_eq!((frame.agc_db, frame.boot_count), (agc_db, Some(boot_count)));
        prop_assert_eq!((frame.rssi_dbm, frame.noise_dbm, frame.rx_antennas), (rssi_dbm, noise_dbm, antennas));
        prop_assert_eq!(frame.mac.is_some(), key.is_some());
        if let Some(key) = key {
            frame.verify_mac(&key).unwrap();
        }
        for i in 0..len {
            let expect = match samples {
                Samples::I8(s) => Complex32::new(s[i][1].into(), s[i][0].into()),
                Samples::I16(s) => Complex32::new(s[i][0].into(), s[i][1].into()),
                Samples::F32(s) => s[i],
                Samples::Amplitude(s) => Complex32::new(s[i], 0.0),
            };
            prop_assert_eq!(frame.sample((i / bins) as u8, i % bins), Some(expect));
        }
    }

    #[test]
    fn tlr1_round_trips(
        reporter in option::of(0..0xFFFF_u16),
        (seq, capture_ms, simulated) in any::<(u32, u64, bool)>(),
        entries in vec(any::<(u16, u16, u8, i8)>(), 0..=MAX_RSS_ENTRIES),
        key in option::of(any::<[u8; 32]>()),
    ) {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(tx, rx, channel, rssi_dbm)| RssEntry { tx, rx, channel, rssi_dbm })
            .collect();
        let mut out = Vec::new();
        Tlr1 { reporter, seq, capture_ms, simulated, entries: &entries }.encode(key.as_ref(), &mut out).unwrap();
        let Ok(Datagram::Rss(report)) = parse(&out) else { panic!("expected RSS") };
        prop_assert_eq!((report.reporter, report.seq), (reporter, seq));
        prop_assert_eq!((report.capture_ms, report.simulated), (capture_ms, simulated));
        prop_assert!(report.entries().eq(entries));
        if let Some(key) = key {
            report.verify_mac(&key).unwrap();
        }
    }

    #[test]
    fn node_claims_round_trip(
        vitals in any_vitals(),
        (mmwave_type, fusion_confidence, mmwave_targets, mmwave_confidence) in any::<(u8, u8, u8, u8)>(),
        (a, b, c) in (any_f32(), any_f32(), any_f32()),
        (node, mode, seq, node_us, quality_flags) in any::<(u8, u8, u16, i64, u16)>(),
    ) {
        let mut out = Vec::new();
        vitals.encode(&mut out);
        prop_assert_eq!(parse(&out), Ok(Datagram::Vitals(vitals)));

        out.clear();
        let fused = FusedVitals {
            vitals, mmwave_type, fusion_confidence, mmwave_targets, mmwave_confidence,
            mmwave_heart_bpm: a, mmwave_breathing_bpm: b, mmwave_distance_cm: c,
        };
        fused.encode(&mut out);
        prop_assert_eq!(parse(&out), Ok(Datagram::FusedVitals(fused)));

        out.clear();
        let feature = Feature { node, seq, node_us, features: [a, b, c, None, a, b, c, a] };
        feature.encode(&mut out);
        prop_assert_eq!(parse(&out), Ok(Datagram::Feature(feature)));

        out.clear();
        let values = [a, b, c, None, a, b, c, a, b];
        let state = FeatureState { node, mode, seq, node_us: node_us as u64, values, quality_flags };
        state.encode(&mut out);
        prop_assert_eq!(parse(&out), Ok(Datagram::FeatureState(state)));

        for body in mesh_bodies(state) {
            out.clear();
            let message = MeshMessage { sender_role: mode, auth_class: node, epoch: seq.into(), body };
            message.encode(&mut out);
            prop_assert_eq!(parse(&out), Ok(Datagram::Mesh(message)));
        }
    }

    #[test]
    fn sync_and_compressed_round_trip(
        (node, leader, valid, smoothed) in any::<(u8, bool, bool, bool)>(),
        (local_us, epoch_us, seq_high_water) in any::<(u64, u64, u32)>(),
        (channel, buffer_len, runs) in any::<(u8, u16, Vec<u8>)>(),
    ) {
        let mut out = Vec::new();
        let sync = SyncPacket { node, leader, valid, smoothed, local_us, epoch_us, seq_high_water };
        sync.encode(&mut out);
        prop_assert_eq!(parse(&out), Ok(Datagram::Sync(sync)));
        out.clear();
        let compressed = CompressedCsi { node, channel, buffer_len, runs: &runs };
        compressed.encode(&mut out).unwrap();
        prop_assert_eq!(parse(&out), Ok(Datagram::CompressedCsi(compressed)));
    }
}
