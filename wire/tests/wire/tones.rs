//! Tone extraction from every grid a node may send.

use num_complex::Complex32;
use tapline_dsp::tier::Tier;
use tapline_wire::*;

/// What stands at each tone of a made-up frame: its index, so that a wrong bin cannot pass.
fn marker(index: i32) -> [i8; 2] {
    [(index / 100) as i8, (index % 100) as i8]
}

/// One training field of `bins` whose tones `first..=last` on both sides carry their marker.
fn field(bins: i32, first: i32, last: i32, order: BinOrder) -> Vec<[i8; 2]> {
    (0..bins)
        .map(|at| match order {
            BinOrder::PositiveFirst if at < bins / 2 => at,
            BinOrder::PositiveFirst => at - bins,
            BinOrder::NegativeFirst => at - bins / 2,
        })
        .map(|index| {
            if (first..=last).contains(&index.abs()) {
                marker(index)
            } else {
                [0, 0]
            }
        })
        .collect()
}

struct Frame<'a> {
    pairs: &'a [[i8; 2]],
    wide: bool,
    ppdu: Ppdu,
}

impl Frame<'_> {
    fn tones(&self, layout: BinLayout, tier: Tier) -> Result<(Vec<Complex32>, Vec<u8>), WireError> {
        let mut bytes = Vec::new();
        Adr018 {
            node: 1,
            antennas: 1,
            bins: self.pairs.len() as u16,
            frequency_mhz: 2_437,
            seq: 0,
            rssi_dbm: -40,
            noise_dbm: -90,
            ppdu: self.ppdu,
            wide: self.wide,
            stbc: false,
            ldpc: false,
            sync_valid: false,
            pairs: self.pairs,
        }
        .encode(&mut bytes)?;
        extract(&bytes, layout, tier)
    }
}

fn extract(bytes: &[u8], layout: BinLayout, tier: Tier) -> Result<(Vec<Complex32>, Vec<u8>), WireError> {
    let Datagram::Csi(frame) = parse(bytes)? else {
        panic!("expected CSI")
    };
    let mut tones = vec![Complex32::new(f32::NAN, f32::NAN); tier.tones()];
    let mut mask = vec![9; tier.tones()];
    frame.tones(0, layout, tier, &mut tones, &mut mask)?;
    Ok((tones, mask))
}

/// Tones whose index satisfies `measured` carry their marker, the others are masked and zero.
fn check(found: &(Vec<Complex32>, Vec<u8>), tier: Tier, measured: impl Fn(i16) -> bool) {
    for ((index, tone), mask) in tier.tone_indices().zip(&found.0).zip(&found.1) {
        if measured(index) {
            let [im, re] = marker(index.into());
            assert_eq!(
                (*tone, *mask),
                (Complex32::new(re.into(), im.into()), 1),
                "tone {index}"
            );
        } else {
            assert_eq!((*tone, *mask), (Complex32::ZERO, 0), "tone {index}");
        }
    }
}

const HT: Ppdu = Ppdu::HtOrLegacy;
use BinOrder::{NegativeFirst, PositiveFirst};

#[test]
fn the_first_64_bins_are_the_common_grid_of_64_128_and_192_bin_frames() {
    let lltf = field(64, 1, 26, PositiveFirst);
    let other = vec![[99, 99]; 64];
    for fields in [
        vec![lltf.clone()],
        vec![lltf.clone(), other.clone()],
        vec![lltf, other.clone(), other],
    ] {
        let pairs = fields.concat();
        let frame = Frame {
            pairs: &pairs,
            wide: false,
            ppdu: HT,
        };
        for layout in [BinLayout::Auto, BinLayout::Esp32S3, BinLayout::Esp32C3] {
            check(&frame.tones(layout, Tier::Lltf64).unwrap(), Tier::Lltf64, |_| true);
        }
        check(
            &frame.tones(BinLayout::Auto, Tier::Canonical56).unwrap(),
            Tier::Canonical56,
            |i| i.abs() <= 26,
        );
    }
}

#[test]
fn ht20_comes_from_the_second_field_only() {
    let pairs = [vec![[99, 99]; 64], field(64, 1, 28, PositiveFirst)].concat();
    let frame = Frame {
        pairs: &pairs,
        wide: false,
        ppdu: HT,
    };
    check(&frame.tones(BinLayout::Auto, Tier::Ht20).unwrap(), Tier::Ht20, |_| true);
    let short = Frame {
        pairs: &pairs[64..],
        ..frame
    };
    assert_eq!(
        short.tones(BinLayout::Auto, Tier::Ht20).unwrap_err().reason(),
        "tier-unavailable"
    );
    assert_eq!(
        short.tones(BinLayout::Auto, Tier::Ht40).unwrap_err().reason(),
        "tier-unavailable"
    );
}

#[test]
fn chips_that_send_one_field_give_ht20_from_it() {
    let pairs = field(64, 1, 28, NegativeFirst);
    let frame = Frame {
        pairs: &pairs,
        wide: false,
        ppdu: HT,
    };
    for layout in [BinLayout::Esp32C5, BinLayout::Esp32C6] {
        check(&frame.tones(layout, Tier::Ht20).unwrap(), Tier::Ht20, |_| true);
        check(
            &frame.tones(layout, Tier::Canonical56).unwrap(),
            Tier::Canonical56,
            |_| true,
        );
    }
}

#[test]
fn ht40_takes_128_bins_with_or_without_the_legacy_field() {
    let ht40 = field(128, 2, 58, PositiveFirst);
    let with_lltf = [field(64, 1, 26, NegativeFirst), ht40.clone()].concat();
    for pairs in [&ht40, &with_lltf] {
        let frame = Frame {
            pairs,
            wide: true,
            ppdu: HT,
        };
        check(&frame.tones(BinLayout::Auto, Tier::Ht40).unwrap(), Tier::Ht40, |_| true);
        assert_eq!(
            frame.tones(BinLayout::Auto, Tier::Ht20).unwrap_err().reason(),
            "tier-unavailable"
        );
    }
    let both = Frame {
        pairs: &with_lltf,
        wide: true,
        ppdu: HT,
    };
    check(
        &both.tones(BinLayout::Auto, Tier::Lltf64).unwrap(),
        Tier::Lltf64,
        |_| true,
    );
    let alone = Frame {
        pairs: &ht40,
        wide: true,
        ppdu: HT,
    };
    assert!(
        alone.tones(BinLayout::Auto, Tier::Lltf64).is_err(),
        "these 128 bins hold no legacy field"
    );
    let narrow = Frame {
        pairs: &with_lltf,
        wide: false,
        ppdu: HT,
    };
    assert!(
        narrow.tones(BinLayout::Auto, Tier::Ht40).is_err(),
        "192 bins at 20 MHz are two HT20 fields"
    );
}

#[test]
fn he20_takes_256_bins_of_an_he_frame() {
    for order in [PositiveFirst, NegativeFirst] {
        let pairs = field(256, 2, 122, order);
        let frame = Frame {
            pairs: &pairs,
            wide: false,
            ppdu: Ppdu::HeSingleUser,
        };
        check(&frame.tones(BinLayout::Auto, Tier::He20).unwrap(), Tier::He20, |_| true);
        assert!(frame.tones(BinLayout::Auto, Tier::Lltf64).is_err());
        assert!(Frame { ppdu: HT, ..frame }.tones(BinLayout::Auto, Tier::He20).is_err());
    }
}

#[test]
fn the_order_is_found_from_the_nulls() {
    for (order, layouts) in [
        (PositiveFirst, [BinLayout::Auto, BinLayout::Esp32S3]),
        (NegativeFirst, [BinLayout::Auto, BinLayout::Esp32C6]),
    ] {
        let pairs = field(64, 1, 26, order);
        let frame = Frame {
            pairs: &pairs,
            wide: false,
            ppdu: HT,
        };
        for layout in layouts {
            check(&frame.tones(layout, Tier::Lltf64).unwrap(), Tier::Lltf64, |_| true);
        }
    }
}

#[test]
fn a_spoilt_first_word_is_masked() {
    let mut pairs = field(64, 1, 26, PositiveFirst);
    let clean = Frame {
        pairs: &pairs,
        wide: false,
        ppdu: HT,
    };
    check(
        &clean.tones(BinLayout::Auto, Tier::Lltf64).unwrap(),
        Tier::Lltf64,
        |_| true,
    );
    check(
        &clean.tones(BinLayout::Esp32, Tier::Lltf64).unwrap(),
        Tier::Lltf64,
        |i| i != 1,
    );
    pairs[0] = [96, 38];
    pairs[1] = [0, 2];
    let spoilt = Frame {
        pairs: &pairs,
        wide: false,
        ppdu: HT,
    };
    for layout in [BinLayout::Auto, BinLayout::Esp32] {
        check(&spoilt.tones(layout, Tier::Lltf64).unwrap(), Tier::Lltf64, |i| i != 1);
    }
}

#[test]
fn silence_is_masked_and_a_faded_tone_is_not() {
    let silent = Frame {
        pairs: &[[0, 0]; 64],
        wide: false,
        ppdu: HT,
    };
    check(
        &silent.tones(BinLayout::Auto, Tier::Lltf64).unwrap(),
        Tier::Lltf64,
        |_| false,
    );
    let mut pairs = field(64, 1, 26, PositiveFirst);
    pairs[5] = [0, 0];
    let faded = Frame {
        pairs: &pairs,
        wide: false,
        ppdu: HT,
    }
    .tones(BinLayout::Auto, Tier::Lltf64)
    .unwrap();
    assert_eq!(faded.1, [1; 52]);
    assert_eq!(faded.0[26 + 4], Complex32::ZERO);
}

fn tlf1(grid: TlfGrid<'_>, bandwidth_mhz: u16, samples: Samples<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Tlf1 {
        rx_node: 1,
        tx_node: None,
        seq: 0,
        capture_us: 0,
        mesh_time: false,
        simulated: true,
        centre_khz: 5_180_000,
        bandwidth_mhz,
        grid,
        antennas: 1,
        rssi_dbm: -50,
        noise_dbm: -95,
        agc_db: Some(3),
        boot_count: 0,
        samples,
    }
    .encode(None, &mut bytes)
    .unwrap();
    bytes
}

#[test]
fn tlf1_gives_the_same_tones_from_bins_and_from_the_active_list() {
    for tier in Tier::ALL {
        let (first, last) = tier.tone_range();
        let bins = field(tier.fft_size() as i32, first.into(), last.into(), PositiveFirst);
        let active: Vec<_> = tier.tone_indices().map(|i| marker(i.into())).collect();
        for bytes in [
            tlf1(TlfGrid::Bins(tier), tier.bandwidth_mhz(), Samples::I8(&bins)),
            tlf1(TlfGrid::Active(tier), tier.bandwidth_mhz(), Samples::I8(&active)),
        ] {
            check(&extract(&bytes, BinLayout::Auto, tier).unwrap(), tier, |_| true);
        }
    }
}

#[test]
fn a_tone_outside_the_measured_band_is_masked_never_extrapolated() {
    let lltf = field(64, 1, 26, PositiveFirst);
    let from_bins = tlf1(TlfGrid::Bins(Tier::Lltf64), 20, Samples::I8(&lltf));
    check(
        &extract(&from_bins, BinLayout::Auto, Tier::Canonical56).unwrap(),
        Tier::Canonical56,
        |i| i.abs() <= 26,
    );
    let ht40: Vec<_> = Tier::Ht40.tone_indices().map(|i| marker(i.into())).collect();
    let wide = tlf1(TlfGrid::Active(Tier::Ht40), 40, Samples::I8(&ht40));
    check(
        &extract(&wide, BinLayout::Auto, Tier::Canonical56).unwrap(),
        Tier::Canonical56,
        |i| i.abs() >= 2,
    );
    assert!(extract(&wide, BinLayout::Auto, Tier::Ht20).is_err(), "another carrier");
    assert!(extract(&wide, BinLayout::Auto, Tier::He20).is_err(), "another spacing");
}

#[test]
fn own_tones_land_on_their_indices() {
    let indices = [-28, -26, -1, 0, 1, 3, 26, 60];
    let samples: Vec<_> = indices.iter().map(|&i| marker(i.into())).collect();
    let bytes = tlf1(TlfGrid::Own(&indices), 20, Samples::I8(&samples));
    for tier in [Tier::Lltf64, Tier::Ht20, Tier::Canonical56, Tier::Ht40] {
        check(&extract(&bytes, BinLayout::Auto, tier).unwrap(), tier, |i| {
            indices.contains(&i)
        });
    }
    assert!(extract(&bytes, BinLayout::Auto, Tier::He20).is_err());
}

#[test]
fn samples_that_are_not_finite_are_masked() {
    let mut samples: Vec<_> = Tier::Ht20
        .tone_indices()
        .map(|i| Complex32::new(i.into(), 0.0))
        .collect();
    samples[0].re = f32::NAN;
    samples[51].im = f32::INFINITY;
    let bytes = tlf1(TlfGrid::Active(Tier::Ht20), 20, Samples::F32(&samples));
    check(
        &extract(&bytes, BinLayout::Auto, Tier::Ht20).unwrap(),
        Tier::Ht20,
        |i| i.abs() != 26,
    );
}

#[test]
fn wrong_buffers_and_antennas_are_errors() {
    let bytes = tlf1(TlfGrid::Active(Tier::Ht20), 20, Samples::Amplitude(&[1.0; 52]));
    let Ok(Datagram::Csi(frame)) = parse(&bytes) else {
        panic!("expected CSI")
    };
    assert!(!frame.has_phase());
    let mut tones = [Complex32::ZERO; 52];
    let mut mask = [0; 52];
    let mut call = |antenna, n| frame.tones(antenna, BinLayout::Auto, Tier::Ht20, &mut tones[..n], &mut mask);
    assert_eq!(call(1, 52).unwrap_err().reason(), "no-such-antenna");
    assert_eq!(call(0, 51).unwrap_err().reason(), "buffer-length");
    call(0, 52).unwrap();
}
