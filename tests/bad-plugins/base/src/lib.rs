//! What the bad plugins have in common: a `cir` stage that keeps the contract until [`Spoil::spoil`] is called,
//! in the call that the configuration names (`at`, by default one that no golden vector reaches).

#![forbid(unsafe_code)]

use std::marker::PhantomData;

use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi_stable::std_types::{RStr, RVec},
    cir::{C32, CirInput, CirLinkSpec, CirOutput, CirSummary},
    describe::Setup,
    guard::code,
};

/// How a plugin is bad.
pub trait Spoil: Send + 'static {
    /// Its name.
    const NAME: &'static str;

    /// Called once, in the call that the configuration names.
    fn spoil(_: &mut CirOutput<'_>) {}

    /// Called in every call.
    fn every_call(_: &mut CirOutput<'_>) {}
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// The call that is spoilt, from 0.
    at: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { at: 40 }
    }
}

/// A stage that answers its number of calls in every tap.
pub struct Plain<S> {
    at: u32,
    calls: u32,
    links: usize,
    spoil: PhantomData<S>,
}

impl<S: Spoil> Method for Plain<S> {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str(S::NAME),
        version: RStr::from_str("0.1.0"),
        stage: StageKind::Cir,
        method: RStr::from_str("none: it exists to be refused"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    };

    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        into.extend_from_slice(&self.calls.to_le_bytes());
        Ok(())
    }

    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let bytes = state
            .try_into()
            .map_err(|_| StageError::new(code::STATE, format!("expected 4 bytes, found {}", state.len())))?;
        self.calls = u32::from_le_bytes(bytes);
        Ok(())
    }
}

impl<S: Spoil> CirMethod for Plain<S> {
    fn new(setup: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError> {
        let config: Config =
            toml::from_str(&setup.config_toml).map_err(|e| StageError::new(code::CONFIG, e.to_string()))?;
        Ok(Self {
            at: config.at,
            calls: 0,
            links: links.len(),
            spoil: PhantomData,
        })
    }

    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        let taps: usize = input.links.iter().map(|link| link.tap_count as usize).sum();
        let fits = input.links.iter().all(|link| {
            let end = link.tone_offset as usize + link.tone_count as usize;
            link.tap_count == 3 * link.tone_count && end <= input.tones.len() && end <= input.mask.len()
        });
        if !fits || input.links.len() != self.links || output.taps.len() != taps {
            return Err(StageError::new(code::INPUT, "the buffers do not fit the links"));
        }
        let now = self.calls;
        self.calls += 1;
        output.taps.as_mut_slice().fill(C32 {
            re: now as f32,
            im: 0.0,
        });
        output.summaries.as_mut_slice().fill(CirSummary {
            valid: 1,
            ..CirSummary::default()
        });
        S::every_call(output);
        if now == self.at {
            S::spoil(output);
        }
        Ok(())
    }
}
