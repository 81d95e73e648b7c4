//! The stages behind the contract: shapes, tiers in one group, state, hostile input.

use tapline_plugin_api::abi_stable::std_types::{RSlice, RSliceMut};

use super::*;

/// A group of links with their flat arrays.
struct Fixture {
    specs: Vec<CirLinkSpec>,
    links: Vec<CirLink>,
    tone_index: Vec<i16>,
    tones: Vec<C32>,
    mask: Vec<u8>,
    taps: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Answer {
    taps: Vec<(u32, u32)>,
    summaries: Vec<CirSummary>,
}

impl Fixture {
    /// Links of these tiers: two paths each, and a ripple in the place of noise.
    fn new(tiers: &[Tier], cycle: u32) -> Self {
        let mut new = Self {
            specs: Vec::new(),
            links: Vec::new(),
            tone_index: Vec::new(),
            tones: Vec::new(),
            mask: Vec::new(),
            taps: 0,
        };
        for (i, tier) in tiers.iter().enumerate() {
            let spec = CirLinkSpec {
                path: 10 + i as u32,
                tier: tier.code(),
            };
            new.specs.push(spec);
            new.links.push(CirLink {
                path: spec.path,
                tier: spec.tier,
                present: 1,
                tone_offset: new.tones.len() as u32,
                tone_count: tier.tones() as u32,
                tap_offset: new.taps as u32,
                tap_count: tier.taps() as u32,
                noise_variance: 0.02,
                ..CirLink::default()
            });
            new.taps += tier.taps();
            for k in tier.tone_indices() {
                let path = |delay: f64, gain: f32| {
                    let angle = -std::f64::consts::TAU * f64::from(k) * delay / tier.taps() as f64;
                    Complex32::new(gain * angle.cos() as f32, gain * angle.sin() as f32)
                };
                let ripple = 0.1 * f32::from(k * 7 % 5 - 2) / 2.0;
                let delay = 12.3 + i as f64 + 0.05 * f64::from(cycle);
                let tone = path(delay, 1.0) + path(delay + 9.4, 0.6) + Complex32::new(ripple, -ripple);
                new.tone_index.push(k);
                new.tones.push(C32 {
                    re: tone.re,
                    im: tone.im,
                });
                new.mask.push(1);
            }
        }
        new
    }

    fn run(&self, stage: &mut impl CirMethod) -> Result<Answer, StageError> {
        let dirt = C32 { re: f32::NAN, im: 7.0 };
        let mut taps = vec![dirt; self.taps];
        let mut summaries = vec![
            CirSummary {
                valid: 9,
                ..CirSummary::default()
            };
            self.links.len()
        ];
        stage.run(
            &CirInput {
                links: RSlice::from_slice(&self.links),
                tone_index: RSlice::from_slice(&self.tone_index),
                tones: RSlice::from_slice(&self.tones),
                mask: RSlice::from_slice(&self.mask),
            },
            &mut CirOutput {
                taps: RSliceMut::from_mut_slice(&mut taps),
                summaries: RSliceMut::from_mut_slice(&mut summaries),
            },
        )?;
        Ok(Answer {
            taps: taps.iter().map(|t| (t.re.to_bits(), t.im.to_bits())).collect(),
            summaries,
        })
    }

    fn build<M: CirMethod>(&self, config: &str) -> M {
        let setup = Setup {
            config_toml: config.into(),
            step_s: 0.05,
        };
        M::new(&setup, &self.specs).unwrap()
    }
}

/// More links of one tier than lanes, and others between them.
fn mixed() -> Vec<Tier> {
    let mut tiers = vec![Tier::Ht20; 10];
    tiers.insert(3, Tier::Ht40);
    tiers.insert(7, Tier::He20);
    tiers.push(Tier::Canonical56);
    tiers
}

#[test]
fn a_mixed_group_gives_each_link_what_it_gets_alone() {
    let tiers = mixed();
    let together = Fixture::new(&tiers, 0);
    let answer = together.run(&mut together.build::<CirFft>("")).unwrap();
    for (i, link) in together.links.iter().enumerate() {
        let (tone, tap) = (link.tone_offset as usize, link.tap_offset as usize);
        let alone = Fixture {
            specs: vec![together.specs[i]],
            links: vec![CirLink {
                tone_offset: 0,
                tap_offset: 0,
                ..*link
            }],
            tone_index: together.tone_index[tone..][..tiers[i].tones()].to_vec(),
            tones: together.tones[tone..][..tiers[i].tones()].to_vec(),
            mask: together.mask[tone..][..tiers[i].tones()].to_vec(),
            taps: tiers[i].taps(),
        };
        let single = alone.run(&mut alone.build::<CirFft>("")).unwrap();
        assert_eq!(single.summaries[0], answer.summaries[i]);
        assert_eq!(single.taps, answer.taps[tap..][..tiers[i].taps()]);
        let s = answer.summaries[i];
        assert_eq!((s.valid, s.reason), (1, reason::NONE), "{}: {s:?}", tiers[i].name());
        let delay = f64::from(s.dominant_delay_s) / tiers[i].tap_delay_s();
        assert!((delay - 12.3 - i as f64).abs() < 0.1, "{}: {delay}", tiers[i].name());
        assert_eq!(s.ranging_valid, u32::from(tiers[i].bandwidth_mhz() >= 40));
    }
}

#[test]
fn dense_and_transform_agree() {
    let fixture = Fixture::new(&[Tier::Ht20, Tier::Ht40, Tier::Lltf64], 0);
    let dense = fixture.run(&mut fixture.build::<CirDense>("")).unwrap();
    let fft = fixture.run(&mut fixture.build::<CirFft>("")).unwrap();
    for (d, f) in dense.summaries.iter().zip(&fft.summaries) {
        // Both are within 1e-3 of the same optimum.
        assert!((d.objective / f.objective - 1.0).abs() < 2e-3);
        assert!((d.dominant_delay_s / f.dominant_delay_s - 1.0).abs() < 1e-3);
    }
}

fn continues_after_import<M: CirMethod>() {
    let tiers = [Tier::Ht20, Tier::Ht40, Tier::Ht20];
    let first = Fixture::new(&tiers, 0);
    let mut stage: M = first.build("");
    let mut straight = Vec::new();
    let mut blob = RVec::new();
    for cycle in 0..6 {
        if cycle == 3 {
            stage.export_state(&mut blob).unwrap();
        }
        straight.push(Fixture::new(&tiers, cycle).run(&mut stage).unwrap());
    }
    let mut later: M = first.build("");
    Fixture::new(&tiers, 17).run(&mut later).unwrap();
    later.import_state(&blob).unwrap();
    for cycle in 3..6 {
        assert_eq!(
            Fixture::new(&tiers, cycle).run(&mut later).unwrap(),
            straight[cycle as usize]
        );
    }
}

#[test]
fn an_imported_state_continues_bit_for_bit() {
    continues_after_import::<CirDense>();
    continues_after_import::<CirFft>();
}

#[test]
fn a_state_that_is_not_this_groups_is_refused_and_changes_nothing() {
    let fixture = Fixture::new(&[Tier::Ht20, Tier::Ht40], 0);
    let mut stage: CirFft = fixture.build("");
    fixture.run(&mut stage).unwrap();
    let mut blob = RVec::new();
    stage.export_state(&mut blob).unwrap();
    let blob = blob.as_slice().to_vec();
    let check = |stage: &mut CirFft, bytes: &[u8], expected: &str| {
        let error = stage.import_state(bytes).unwrap_err();
        assert_eq!(error.code, code::STATE);
        assert!(error.message.contains(expected), "{error}");
    };
    let changed = |at: usize, byte: u8| {
        let mut blob = blob.clone();
        blob[at] = byte;
        blob
    };
    check(&mut stage, &changed(0, 9), "version 1 expected, 9 found");
    check(&mut stage, &changed(4, 1), "cannot be read");
    check(
        &mut stage,
        &changed(8, 99),
        "path 10 of tier 0 with 156 taps expected, path 99",
    );
    // The high byte of a tap: 3e38 or so.
    check(&mut stage, &changed(8 + 12 + 3, 0x7e), "has a tap of");
    check(&mut stage, &blob[..blob.len() - 1], "cannot be read");
    check(&mut stage, &[blob.as_slice(), &[0]].concat(), "cannot be read");
    check(&mut stage, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "cannot be read");
    let mut after = RVec::new();
    stage.export_state(&mut after).unwrap();
    assert_eq!(after.as_slice(), blob);
}

#[test]
fn a_link_without_input_says_so_and_disturbs_nobody() {
    let mut fixture = Fixture::new(&[Tier::Ht20; 4], 0);
    let whole = fixture.run(&mut fixture.build::<CirFft>("")).unwrap();
    fixture.links[1].present = 0;
    fixture.tones[2 * 52 + 7].re = f32::NAN;
    let answer = fixture.run(&mut fixture.build::<CirFft>("")).unwrap();
    assert_eq!(answer.summaries[1], no_answer(NoAnswer::NoInput));
    assert_eq!(answer.summaries[2], no_answer(NoAnswer::NotFinite));
    assert!(answer.taps[156..3 * 156].iter().all(|t| *t == (0, 0)));
    for link in [0, 3] {
        assert_eq!(answer.summaries[link], whole.summaries[link]);
    }
}

#[test]
fn input_of_the_wrong_shape_is_refused() {
    let good = || Fixture::new(&[Tier::Ht20, Tier::Ht20], 0);
    let check = |change: &dyn Fn(&mut Fixture), expected: &str| {
        let mut fixture = good();
        let mut stage: CirFft = fixture.build("");
        change(&mut fixture);
        let error = fixture.run(&mut stage).unwrap_err();
        assert_eq!(error.code, code::INPUT);
        assert!(error.message.contains(expected), "{error}");
    };
    check(&|f| f.links.truncate(1), "2 links expected, 1 found");
    check(
        &|f| f.links[1].path = 5,
        "(11, 0, 52, 156) expected, (5, 0, 52, 156) found",
    );
    check(&|f| f.links[1].tone_count = 51, "expected, (11, 0, 51, 156) found");
    check(
        &|f| f.links[1].tone_offset = u32::MAX,
        "52 tone indices from 4294967295 on",
    );
    check(
        &|f| f.links[1].tap_offset = 157,
        "156 taps from 157 on expected, 312 given",
    );
    check(
        &|f| f.tone_index[60] = 99,
        "path 11: the tone indices are not those of HT20",
    );
    check(
        &|f| f.mask.truncate(103),
        "52 mask bytes from 52 on expected, 103 given",
    );
    check(&|f| f.tones.truncate(103), "52 tones from 52 on expected, 103 given");
}

#[test]
fn an_unknown_tier_or_key_is_refused_at_construction() {
    let setup = |text: &str| Setup {
        config_toml: text.into(),
        step_s: 0.05,
    };
    let spec = CirLinkSpec { path: 3, tier: 77 };
    let error = CirFft::new(&setup(""), &[spec]).err().unwrap();
    assert_eq!(
        (error.code, error.message.as_str()),
        (code::CONFIG, "path 3 has tier code 77, known are 0 to 5")
    );
    assert_eq!(CirDense::new(&setup("x = 1"), &[]).err().unwrap().code, code::CONFIG);
}
