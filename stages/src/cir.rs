//! Stage `cir`: [`tapline_dsp::cir`] behind the contract.
//!
//! A group's links are gathered by tier and solved eight at a time, one link a lane; a link's answer does
//! not depend on which links share its batch, to the bit.

use num_complex::Complex32;
use tapline_dsp::{
    cir::{
        BatchSolver, DenseOperator, Estimate, FftOperator, Lane, Lanes8, Method as Solver, NoAnswer, SensingOperator,
        Settings, ToneGrid, batch::Link,
    },
    tier::Tier,
};
use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi_stable::std_types::{RStr, RVec},
    cir::{C32, CirInput, CirLink, CirLinkSpec, CirOutput, CirSummary, reason},
    describe::Setup,
    guard::code,
};

use crate::{
    cir_config,
    cir_state::{self, STATE_SCHEMA, WarmLink},
};

/// `cir-dense`: the reference. FISTA on the stored matrix; its bits never change.
pub struct CirDense(Group<DenseOperator>);

/// `cir-fft`: the same problem by fast transforms.
pub struct CirFft(Group<FftOperator<Lanes8>>);

/// Grows with every change of float bits.
const VERSION: &str = "0.3.0";

macro_rules! stage {
    ($stage:ident, $name:literal, $method:literal, $fft:literal, $operator:path, $solver:expr) => {
        impl Method for $stage {
            const DESCRIPTION: Description = Description {
                name: RStr::from_str($name),
                version: RStr::from_str(VERSION),
                stage: StageKind::Cir,
                method: RStr::from_str($method),
                numeric_profile: NUMERIC_PROFILE,
                state_schema: STATE_SCHEMA,
                uses_rustfft: $fft,
            };

            fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
                cir_state::export(&self.0.links, into)
            }

            fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
                cir_state::import(&mut self.0.links, state)
            }
        }

        impl CirMethod for $stage {
            fn new(setup: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError> {
                let defaults = Settings {
                    method: $solver,
                    ..Settings::default()
                };
                let settings = cir_config::parse(&setup.config_toml, defaults)?;
                Group::new(links, settings, $operator).map(Self)
            }

            fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
                self.0.run(input, output)
            }
        }
    };
}

stage!(
    CirDense,
    "cir-dense",
    "complex LASSO by FISTA with restart (Beck and Teboulle 2009) on the stored matrix, duality gap certified",
    false,
    DenseOperator::new,
    Solver::Fista
);
stage!(
    CirFft,
    "cir-fft",
    "complex LASSO by coordinate descent on a growing working set (after CELER, 2018), ADMM where many taps are active, duality gap certified by fast transforms",
    true,
    FftOperator::new,
    Solver::WorkingSet
);

/// The links of one tier and what solves them.
struct TierBatch<O> {
    members: Vec<usize>,
    indices: Vec<i16>,
    solver: BatchSolver<Lanes8, O>,
}

struct Group<O> {
    links: Vec<WarmLink>,
    tiers: Vec<TierBatch<O>>,
}

impl<O: SensingOperator<Lanes8>> Group<O> {
    fn new(specs: &[CirLinkSpec], settings: Settings, operator: fn(ToneGrid) -> O) -> Result<Self, StageError> {
        let links = specs
            .iter()
            .map(|spec| {
                let tier = Tier::from_code(spec.tier).ok_or_else(|| {
                    let last = Tier::ALL.len() - 1;
                    StageError::new(
                        code::CONFIG,
                        format!("path {} has tier code {}, known are 0 to {last}", spec.path, spec.tier),
                    )
                })?;
                Ok(WarmLink {
                    spec: *spec,
                    tier,
                    taps: vec![Complex32::new(0.0, 0.0); tier.taps()],
                })
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let tiers = Tier::ALL
            .into_iter()
            .filter_map(|tier| {
                let members: Vec<_> = (0..links.len()).filter(|&i| links[i].tier == tier).collect();
                (!members.is_empty()).then(|| TierBatch {
                    members,
                    indices: tier.tone_indices().collect(),
                    solver: BatchSolver::new(operator(ToneGrid::of_tier(tier)), settings),
                })
            })
            .collect();
        Ok(Self { links, tiers })
    }

    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        let (links, tones) = (input.links.as_slice(), bytemuck::cast_slice(input.tones.as_slice()));
        let taps: &mut [Complex32] = bytemuck::cast_slice_mut::<C32, _>(output.taps.as_mut_slice());
        let summaries = output.summaries.as_mut_slice();
        for (what, found) in [("links", links.len()), ("summaries", summaries.len())] {
            if found != self.links.len() {
                return Err(broken(format!("{} {what} expected, {found} found", self.links.len())));
            }
        }
        taps.fill(Complex32::new(0.0, 0.0));
        summaries.fill(no_answer(NoAnswer::NoInput));
        for tier in &mut self.tiers {
            for batch in tier.members.chunks(Lanes8::LANES) {
                tier.solver.clear();
                for (lane, &member) in batch.iter().enumerate() {
                    let (link, warm) = (&links[member], &self.links[member]);
                    let frame = Frame::of(link, warm, &tier.indices, input, tones)?;
                    slice(taps, link.tap_offset, link.tap_count, "taps")?;
                    if link.present == 0 {
                        continue;
                    }
                    let loaded = tier.solver.load(
                        lane,
                        &Link {
                            tones: frame.tones,
                            mask: frame.mask,
                            noise_variance: Some(link.noise_variance).filter(|v| *v > 0.0),
                            warm: &warm.taps,
                        },
                    );
                    if let Err(reason) = loaded {
                        summaries[member] = no_answer(reason);
                    }
                }
                tier.solver.solve();
                for (lane, &member) in batch.iter().enumerate() {
                    if !tier.solver.holds(lane) {
                        continue;
                    }
                    let first = links[member].tap_offset as usize;
                    let taps = &mut taps[first..first + links[member].tap_count as usize];
                    summaries[member] = match tier.solver.read(lane, taps, &mut self.links[member].taps) {
                        Ok(estimate) => summary(&estimate),
                        Err(reason) => no_answer(reason),
                    };
                }
            }
        }
        Ok(())
    }
}

/// One link's part of the input, its shape checked.
struct Frame<'a> {
    tones: &'a [Complex32],
    mask: &'a [u8],
}

impl<'a> Frame<'a> {
    fn of(
        link: &CirLink,
        warm: &WarmLink,
        indices: &[i16],
        input: &'a CirInput<'_>,
        tones: &'a [Complex32],
    ) -> Result<Self, StageError> {
        let expected = (
            warm.spec.path,
            warm.spec.tier,
            indices.len() as u32,
            warm.taps.len() as u32,
        );
        let found = (link.path, link.tier, link.tone_count, link.tap_count);
        if found != expected {
            return Err(broken(format!(
                "(path, tier, tones, taps) {expected:?} expected, {found:?} found"
            )));
        }
        let (offset, count) = (link.tone_offset, link.tone_count);
        if slice(input.tone_index.as_slice(), offset, count, "tone indices")? != indices {
            return Err(broken(format!(
                "path {}: the tone indices are not those of {}",
                link.path,
                warm.tier.name()
            )));
        }
        Ok(Self {
            tones: slice(tones, offset, count, "tones")?,
            mask: slice(input.mask.as_slice(), offset, count, "mask bytes")?,
        })
    }
}

fn slice<'a, T>(all: &'a [T], offset: u32, count: u32, what: &str) -> Result<&'a [T], StageError> {
    let first = offset as usize;
    first
        .checked_add(count as usize)
        .and_then(|end| all.get(first..end))
        .ok_or_else(|| {
            broken(format!(
                "{count} {what} from {offset} on expected, {} given in all",
                all.len()
            ))
        })
}

fn broken(message: String) -> StageError {
    StageError::new(code::INPUT, format!("cir: {message}"))
}

fn no_answer(why: NoAnswer) -> CirSummary {
    CirSummary {
        reason: match why {
            NoAnswer::NoInput => reason::NO_INPUT,
            NoAnswer::TooFewTones => reason::TOO_FEW_TONES,
            NoAnswer::NoSignal => reason::NO_SIGNAL,
            NoAnswer::NotFinite => reason::NOT_FINITE,
        },
        ..CirSummary::default()
    }
}

fn summary(estimate: &Estimate) -> CirSummary {
    CirSummary {
        valid: u32::from(estimate.converged),
        reason: if estimate.converged {
            reason::NONE
        } else {
            reason::NOT_CONVERGED
        },
        active_taps: estimate.active_taps,
        iterations: estimate.iterations,
        dominant_delay_s: estimate.dominant_delay_s,
        dominant_delay_sigma_s: estimate.dominant_delay_sigma_s.unwrap_or(0.0),
        dominant_ratio: estimate.dominant_ratio,
        rms_delay_spread_s: estimate.rms_delay_spread_s,
        k_factor_db: estimate.k_factor_db,
        objective: estimate.objective,
        relative_gap: estimate.relative_gap,
        ranging_valid: u32::from(estimate.ranging_valid && estimate.converged),
    }
}

#[cfg(test)]
#[path = "cir_tests.rs"]
mod tests;
