//! Golden vectors of stage `cir`: made channels on every tier, and everything that may go missing.

use abi_stable::std_types::RVec;
use tapline_dsp::{detmath, tier::Tier};

use super::probe::{Call, Case, Must, Numbers, Probe, boxed_state};
use crate::{
    abi::{CirBox, PluginModule},
    canonical::Canonical,
    cir::{C32, CirInput, CirLink, CirLinkSpec, CirOutput, CirSummary},
    describe::Setup,
    guard::StageError,
};

/// The stage kind `cir`.
pub(super) struct CirProbe;

#[derive(Clone)]
pub(super) struct Input {
    links: Vec<CirLink>,
    tone_index: Vec<i16>,
    tones: Vec<C32>,
    mask: Vec<u8>,
    /// Room given for the answer, normally all that the links ask for.
    taps: usize,
    summaries: usize,
}

pub(super) struct Output {
    taps: Vec<C32>,
    summaries: Vec<CirSummary>,
}

impl Probe for CirProbe {
    type Site = Vec<CirLinkSpec>;
    type Input = Input;
    type Output = Output;
    type Instance = CirBox;

    fn build(module: &PluginModule, setup: &Setup, site: &Self::Site) -> Result<CirBox, StageError> {
        (module.new_cir)(setup, site.as_slice().into()).into_result()
    }

    fn output(input: &Input, fill: u8) -> Output {
        Output {
            taps: vec![bytemuck::pod_read_unaligned(&[fill; size_of::<C32>()]); input.taps],
            summaries: vec![bytemuck::pod_read_unaligned(&[fill; size_of::<CirSummary>()]); input.summaries],
        }
    }

    fn call(instance: &mut CirBox, input: &Input, output: &mut Output) -> Result<(), StageError> {
        let record = CirInput {
            links: input.links.as_slice().into(),
            tone_index: input.tone_index.as_slice().into(),
            tones: input.tones.as_slice().into(),
            mask: input.mask.as_slice().into(),
        };
        let mut answer = CirOutput {
            taps: output.taps.as_mut_slice().into(),
            summaries: output.summaries.as_mut_slice().into(),
        };
        instance.run(&record, &mut answer).into_result()
    }

    fn bytes(output: &mut Output, into: &mut Vec<u8>) -> Option<()> {
        let finite = output.taps.canonicalise() & output.summaries.canonicalise();
        into.extend_from_slice(bytemuck::cast_slice(&output.taps));
        into.extend_from_slice(bytemuck::cast_slice(&output.summaries));
        finite.then_some(())
    }

    boxed_state!();

    fn cases() -> Vec<Case<Self>> {
        let case = |name, tiers: &[Tier], calls: &[usize]| {
            let site = Site::new(tiers);
            Case {
                name,
                calls: calls.iter().map(|&i| site.call(&CALLS[i], i as u64)).collect(),
                site: site.specs(),
            }
        };
        let all: Vec<usize> = (0..CALLS.len()).collect();
        vec![
            case("one HT20 link, everything", &[Tier::Ht20], &all),
            case("a full group of HT20 links", &[Tier::Ht20; 8], &[2, 3, 2, 14]),
            case("LLTF-64", &[Tier::Lltf64, Tier::Lltf64], &[1, 2, 4, 7]),
            case("canonical-56", &[Tier::Canonical56], &[2, 3, 5, 14]),
            case("HT40", &[Tier::Ht40], &[2, 3, 4, 7, 14]),
            case("HE20", &[Tier::He20], &[2, 4, 7, 14]),
            case("HE40", &[Tier::He40], &[3, 4, 2, 14]),
            case(
                "a group of several tiers",
                &[Tier::Ht20, Tier::Ht40, Tier::Canonical56, Tier::Lltf64],
                &[2, 5, 14, 1, 2],
            ),
            case("no links", &[], &[0, 2]),
        ]
    }
}

/// The links of a case.
struct Site {
    tiers: Vec<Tier>,
}

/// A kind of call: its name, what it must end in, and how it changes a clean two-path channel.
type CallKind = (&'static str, Must, fn(&mut Input, &mut Numbers));

const CALLS: [CallKind; 32] = [
    ("all tones zero", Must::Answer, |i, _| scale(i, 0.0)),
    ("nothing measured", Must::Answer, |i, _| {
        for link in &mut i.links {
            link.present = 0;
        }
        i.mask.fill(0);
        scale(i, 0.0);
    }),
    ("two paths", Must::Answer, |_, _| {}),
    ("two paths, again and noisier", Must::Answer, |i, n| noise(i, n, 2.0)),
    ("every fourth tone missing", Must::Answer, |i, _| {
        keep(i, |k| k % 4 != 0)
    }),
    ("a gap of ten tones", Must::Answer, |i, _| {
        keep(i, |k| !(12..22).contains(&k))
    }),
    ("three tones left", Must::Answer, |i, _| keep(i, |k| k < 3)),
    ("no tone left", Must::Answer, |i, _| keep(i, |_| false)),
    ("the upper half only", Must::Answer, |i, _| keep(i, |k| k >= 26)),
    ("noise only", Must::Answer, |i, n| {
        scale(i, 0.0);
        noise(i, n, 1.0);
    }),
    ("subnormal tones", Must::Answer, |i, _| scale(i, 1e-40)),
    ("the smallest subnormal", Must::Answer, |i, _| {
        i.tones.fill(C32 {
            re: f32::from_bits(1),
            im: 0.0,
        });
    }),
    ("very small tones", Must::Answer, |i, _| scale(i, 1e-18)),
    ("very large tones", Must::Survive, |i, _| scale(i, 1e17)),
    ("a flat channel", Must::Answer, |i, _| {
        i.tones.fill(C32 { re: 25.0, im: 0.0 })
    }),
    ("a flat channel of minus one", Must::Answer, |i, _| {
        i.tones.fill(C32 { re: -1.0, im: -0.0 })
    }),
    ("one tone alone carries energy", Must::Answer, |i, _| {
        scale(i, 0.0);
        if let Some(tone) = i.tones.get_mut(7) {
            tone.im = 40.0;
        }
    }),
    ("noise variance unknown", Must::Answer, |i, _| variance(i, 0.0)),
    ("noise variance far above the signal", Must::Answer, |i, _| {
        variance(i, 1e9)
    }),
    ("noise variance subnormal", Must::Answer, |i, _| variance(i, 1e-42)),
    ("an old frame", Must::Answer, |i, _| {
        for link in &mut i.links {
            link.age_s = 0.06;
        }
    }),
    ("largest finite tones", Must::Survive, |i, _| {
        i.tones.fill(C32 {
            re: f32::MAX,
            im: f32::MAX,
        });
    }),
    ("a NaN tone", Must::Survive, |i, _| {
        if let Some(tone) = i.tones.get_mut(3) {
            tone.re = f32::NAN;
        }
    }),
    ("an infinite tone", Must::Survive, |i, _| {
        if let Some(tone) = i.tones.get_mut(3) {
            tone.im = f32::INFINITY;
        }
    }),
    ("a NaN noise variance", Must::Survive, |i, _| variance(i, f32::NAN)),
    ("a clean call after the bad ones", Must::Answer, |_, _| {}),
    ("a link too few", Must::Refuse, |i, _| {
        i.links.pop();
        i.summaries = i.links.len();
    }),
    ("tones beyond the array", Must::Refuse, |i, _| {
        i.links[0].tone_offset = 1_000_000
    }),
    ("a wrong number of tones", Must::Refuse, |i, _| {
        i.links[0].tone_count += 1
    }),
    ("a mask that is too short", Must::Refuse, |i, _| i.mask.truncate(5)),
    ("an answer without room", Must::Refuse, |i, _| i.taps -= 1),
    ("a clean call after the refused ones", Must::Answer, |_, _| {}),
];

impl Site {
    fn new(tiers: &[Tier]) -> Self {
        Self { tiers: tiers.to_vec() }
    }

    fn specs(&self) -> Vec<CirLinkSpec> {
        let spec = |(path, tier): (usize, &Tier)| CirLinkSpec {
            path: path as u32,
            tier: tier.code(),
        };
        self.tiers.iter().enumerate().map(spec).collect()
    }

    fn call(&self, kind: &CallKind, seed: u64) -> Call<CirProbe> {
        let (name, must, change) = *kind;
        let mut numbers = Numbers(seed);
        let mut input = self.clean(&mut numbers);
        change(&mut input, &mut numbers);
        Call { name, must, input }
    }

    /// Two paths a link, 20 and 6 units strong, with noise of variance 0.02.
    fn clean(&self, numbers: &mut Numbers) -> Input {
        let mut input = Input {
            links: Vec::new(),
            tone_index: Vec::new(),
            tones: Vec::new(),
            mask: Vec::new(),
            taps: 0,
            summaries: self.tiers.len(),
        };
        for (path, tier) in self.tiers.iter().enumerate() {
            input.links.push(CirLink {
                path: path as u32,
                tx: 1,
                rx: 2 + path as u32,
                antennas: 0,
                tier: tier.code(),
                present: 1,
                tone_offset: input.tones.len() as u32,
                tone_count: tier.tones() as u32,
                tap_offset: input.taps as u32,
                tap_count: tier.taps() as u32,
                noise_variance: 0.02,
                age_s: 0.01,
                centre_khz: 2_437_000,
                reserved: 0,
            });
            let first_s = tier.tap_delay_s() * f64::from(numbers.unit() * 8.0 + 2.0);
            let second_s = first_s + tier.tap_delay_s() * f64::from(numbers.unit() * 12.0 + 4.0);
            for k in tier.tone_indices() {
                input.tone_index.push(k);
                input.mask.push(1);
                input.tones.push(sum(
                    path_at(k, tier.spacing_hz(), first_s, 20.0),
                    path_at(k, tier.spacing_hz(), second_s, 6.0),
                ));
            }
            input.taps += tier.taps();
        }
        noise(&mut input, numbers, 0.1);
        input
    }
}

/// `gain exp(-j 2 pi k df tau)`.
fn path_at(k: i16, spacing_hz: f64, delay_s: f64, gain: f32) -> C32 {
    let angle = -2.0 * std::f64::consts::PI * f64::from(k) * spacing_hz * delay_s;
    C32 {
        re: gain * detmath::cos64(angle) as f32,
        im: gain * detmath::sin64(angle) as f32,
    }
}

fn sum(a: C32, b: C32) -> C32 {
    C32 {
        re: a.re + b.re,
        im: a.im + b.im,
    }
}

fn scale(input: &mut Input, factor: f32) {
    for tone in &mut input.tones {
        tone.re *= factor;
        tone.im *= factor;
    }
    for link in &mut input.links {
        link.noise_variance *= factor;
    }
}

/// Adds noise of this standard deviation a component.
fn noise(input: &mut Input, numbers: &mut Numbers, sigma: f32) {
    for tone in &mut input.tones {
        tone.re += sigma * numbers.normal();
        tone.im += sigma * numbers.normal();
    }
    variance(input, 2.0 * sigma * sigma);
}

fn variance(input: &mut Input, variance: f32) {
    for link in &mut input.links {
        link.noise_variance = variance;
    }
}

/// Masks the tones of each link for which `kept` is false; masked tones hold zero.
fn keep(input: &mut Input, kept: fn(usize) -> bool) {
    for link in &input.links {
        for k in 0..link.tone_count as usize {
            if !kept(k) {
                input.mask[link.tone_offset as usize + k] = 0;
                input.tones[link.tone_offset as usize + k] = C32::default();
            }
        }
    }
}
