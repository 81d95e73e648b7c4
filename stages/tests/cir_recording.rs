//! The two-node recording through `cir-fft`: causal order and convergence on real channels.
//!
//! Needs `TAPLINE_DATA`, the directory that holds `esp32-two-node`.

#![allow(
    clippy::print_stderr,
    reason = "a skipped test says so, and this one shows what it measured"
)]

use std::{fs::File, io::BufRead, io::BufReader, path::PathBuf};

use tapline_dsp::tier::Tier;
use tapline_plugin_api::{
    CirMethod,
    abi_stable::std_types::{RSlice, RSliceMut},
    cir::{C32, CirInput, CirLink, CirLinkSpec, CirOutput, CirSummary, reason},
    describe::Setup,
};
use tapline_stages::cir::CirFft;

const FILE: &str = "esp32-two-node/pretrain-1775182186.csi.jsonl";

/// A frame's node and its LLTF-64 tones, ascending, from the first 64 bins (imaginary byte first).
fn frame(line: &str) -> Option<(u64, Vec<C32>)> {
    let text = |key: &str| {
        let rest = &line[line.find(&format!("\"{key}\":"))? + key.len() + 3..];
        Some(rest.trim_start().trim_start_matches('"'))
    };
    let iq = text("iq_hex")?;
    let iq = &iq[..iq.find('"')?];
    let node = text("node_id")?
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0, |n, b| n * 10 + u64::from(b - b'0'));
    let byte = |i: usize| {
        u8::from_str_radix(iq.get(2 * i..2 * i + 2)?, 16)
            .ok()
            .map(u8::cast_signed)
    };
    let tones = Tier::Lltf64
        .tone_indices()
        .map(|k| {
            let bin = k.rem_euclid(64) as usize;
            Some(C32 {
                im: f32::from(byte(2 * bin)?),
                re: f32::from(byte(2 * bin + 1)?),
            })
        })
        .collect::<Option<_>>()?;
    Some((node, tones))
}

#[test]
fn energy_follows_the_peak_on_both_nodes() {
    let Some(data) = std::env::var_os("TAPLINE_DATA") else {
        eprintln!("SKIPPED: TAPLINE_DATA is not set");
        return;
    };
    let file = File::open(PathBuf::from(data).join(FILE)).expect("the recording is there");
    let tier = Tier::Lltf64;
    let spec = [CirLinkSpec {
        path: 0,
        tier: tier.code(),
    }];
    let setup = Setup {
        config_toml: "".into(),
        step_s: 0.05,
    };
    let mut stages = [1, 2].map(|_| CirFft::new(&setup, &spec).expect("the default configuration is good"));
    let tone_index: Vec<i16> = tier.tone_indices().collect();
    let mask = vec![1; tier.tones()];
    let links = [CirLink {
        tier: tier.code(),
        present: 1,
        tone_count: tier.tones() as u32,
        tap_count: tier.taps() as u32,
        ..CirLink::default()
    }];
    // Mean energy ahead of and behind the strongest tap, within 800 ns of it (a quarter of the period),
    // the tap itself and its neighbours left out.
    let near = tier.taps() / 4;
    let mut energy = [[0.0_f64; 2]; 2];
    let (mut frames, mut answered, mut silent) = (0, 0, 0);
    for line in BufReader::new(file).lines() {
        let Some((node, tones)) = frame(&line.expect("the recording is text")) else {
            continue;
        };
        let node = node as usize - 1;
        frames += 1;
        let mut taps = vec![C32::default(); tier.taps()];
        let mut summaries = [CirSummary::default()];
        stages[node]
            .run(
                &CirInput {
                    links: RSlice::from_slice(&links),
                    tone_index: RSlice::from_slice(&tone_index),
                    tones: RSlice::from_slice(&tones),
                    mask: RSlice::from_slice(&mask),
                },
                &mut CirOutput {
                    taps: RSliceMut::from_mut_slice(&mut taps),
                    summaries: RSliceMut::from_mut_slice(&mut summaries),
                },
            )
            .expect("the input has the right shape");
        let [summary] = summaries;
        if summary.valid == 0 {
            assert!(matches!(summary.reason, reason::NO_SIGNAL), "{summary:?}");
            silent += 1;
            continue;
        }
        answered += 1;
        assert!(summary.relative_gap <= 1e-3 && summary.ranging_valid == 0);
        let power = |tap: usize| {
            let tap = taps[tap % tier.taps()];
            f64::from(tap.re * tap.re + tap.im * tap.im)
        };
        let peak = (0..tier.taps())
            .max_by(|a, b| power(*a).total_cmp(&power(*b)))
            .unwrap_or(0);
        for offset in 2..near {
            energy[node][0] += power(peak + tier.taps() - offset) / power(peak);
            energy[node][1] += power(peak + offset) / power(peak);
        }
    }
    eprintln!("{frames} frames, {answered} answered, {silent} without signal; before and after the peak: {energy:?}");
    assert_eq!(frames, 5_309);
    assert!(answered > frames * 9 / 10);
    for [before, after] in energy {
        assert!(after > 1.2 * before, "{before} before the peak, {after} after");
    }
}
