//! Once built, the CIR stages allocate nothing: measured by a counting allocator.

#![allow(clippy::disallowed_methods, reason = "tests judge by the platform's functions")]

use tapline_dsp::tier::Tier;
use tapline_plugin_api::{
    CirMethod,
    abi_stable::std_types::{RSlice, RSliceMut},
    cir::{C32, CirInput, CirLink, CirLinkSpec, CirOutput, CirSummary},
    counting::{Counting, allocations},
    describe::Setup,
};
use tapline_stages::cir::{CirDense, CirFft};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ten cycles of eleven links of all tiers whose paths move; returns the allocations of each.
fn cycles<M: CirMethod>(config: &str, tiers: &[Tier]) -> Vec<u64> {
    let specs: Vec<_> = (0..11)
        .map(|path| CirLinkSpec {
            path,
            tier: tiers[path as usize % tiers.len()].code(),
        })
        .collect();
    let (mut tones, mut taps) = (0, 0);
    let links: Vec<_> = specs
        .iter()
        .map(|spec| {
            let tier = Tier::from_code(spec.tier).expect("a tier's own code");
            let link = CirLink {
                path: spec.path,
                tier: spec.tier,
                present: u32::from(spec.path != 6),
                tone_offset: tones,
                tone_count: tier.tones() as u32,
                tap_offset: taps,
                tap_count: tier.taps() as u32,
                // Some links leave the noise to be estimated; some fit noise and outgrow the working set.
                noise_variance: [0.0, 0.02, 1e-9][spec.path as usize % 3],
                ..CirLink::default()
            };
            tones += link.tone_count;
            taps += link.tap_count;
            link
        })
        .collect();
    let tone_index: Vec<_> = links
        .iter()
        .flat_map(|l| Tier::from_code(l.tier).expect("a tier's own code").tone_indices())
        .collect();
    let mask: Vec<_> = (0..tones).map(|k| u8::from(k % 50 != 7)).collect();
    let setup = Setup {
        config_toml: config.into(),
        step_s: 0.05,
    };
    let mut stage = M::new(&setup, &specs).expect("the configuration is good");
    let mut out = vec![C32::default(); taps as usize];
    let mut summaries = vec![CirSummary::default(); links.len()];
    (0..10)
        .map(|cycle| {
            let tones: Vec<_> = tone_index
                .iter()
                .map(|k| {
                    let turn = |delay: f64| std::f64::consts::TAU * f64::from(*k) * delay / 1452.0;
                    let (a, b) = (turn(20.0), turn(61.0 + 0.3 * f64::from(cycle)));
                    let ripple = 0.05 * f64::from(i32::from(*k) * 31 % 17 - 8);
                    C32 {
                        re: (a.cos() + 0.5 * b.cos() + ripple) as f32,
                        im: (-a.sin() - 0.5 * b.sin() - ripple) as f32,
                    }
                })
                .collect();
            let input = CirInput {
                links: RSlice::from_slice(&links),
                tone_index: RSlice::from_slice(&tone_index),
                tones: RSlice::from_slice(&tones),
                mask: RSlice::from_slice(&mask),
            };
            let mut output = CirOutput {
                taps: RSliceMut::from_mut_slice(&mut out),
                summaries: RSliceMut::from_mut_slice(&mut summaries),
            };
            let before = allocations();
            stage.run(&input, &mut output).expect("the input has the right shape");
            allocations() - before
        })
        .collect()
}

#[test]
fn a_cycle_allocates_nothing() {
    let before = allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert!(allocations() > before, "the counter counts");
    for method in ["working-set", "fista", "ista"] {
        let config = format!("method = \"{method}\"\nmax_iterations = 20");
        assert_eq!(cycles::<CirFft>(&config, &Tier::ALL), [0; 10], "{method}");
    }
    assert_eq!(cycles::<CirDense>("", &[Tier::Ht20, Tier::Ht40]), [0; 10]);
}
