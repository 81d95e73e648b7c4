//! Stages of CIR that answer, and fail, as a test wants.

use super::*;

/// What a [`Plain`] stage is like.
pub(super) trait Flavour: Send + 'static {
    const NAME: &'static str;
    /// What it answers above its number of calls.
    const ADD: f32 = 0.0;
    /// Panics in its forty-first call, which no golden vector reaches.
    const PANICS: bool = false;
    /// Never returns from that call.
    const HANGS: bool = false;
    /// Of the instances only those with so few links hang.
    const HANGS_BELOW: usize = usize::MAX;
    /// Answers a NaN in that call.
    const NAN: bool = false;
    /// Answers with an error from that call on.
    const ERRS: bool = false;
    /// Of the instances only those with so many links do.
    const ERRS_FROM: usize = 0;
    /// Never gives its state after that call.
    const MUTE: bool = false;
}

pub(super) struct Steady;
impl Flavour for Steady {
    const NAME: &'static str = "steady";
}

pub(super) struct Other;
impl Flavour for Other {
    const NAME: &'static str = "other";
    const ADD: f32 = 0.5;
}

pub(super) struct Panics;
impl Flavour for Panics {
    const NAME: &'static str = "panics";
    const PANICS: bool = true;
}

pub(super) struct Nan;
impl Flavour for Nan {
    const NAME: &'static str = "nan";
    const NAN: bool = true;
}

pub(super) struct Hangs;
impl Flavour for Hangs {
    const NAME: &'static str = "hangs";
    const HANGS: bool = true;
}

pub(super) struct Errs;
impl Flavour for Errs {
    const NAME: &'static str = "errs";
    const ERRS: bool = true;
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    gain: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

/// A stage that answers its number of calls in every tap, so that its state shows.
pub(super) struct Plain<F> {
    gain: f32,
    calls: u32,
    links: usize,
    flavour: PhantomData<F>,
}

impl<F: Flavour> Method for Plain<F> {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str(F::NAME),
        version: RStr::from_str("1.0.0"),
        stage: StageKind::Cir,
        method: RStr::from_str("a test"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    };
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        if F::MUTE && self.calls > 40 {
            std::thread::sleep(Duration::MAX);
        }
        into.extend_from_slice(&self.calls.to_le_bytes());
        Ok(())
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let bytes = state
            .try_into()
            .map_err(|_| StageError::new(code::STATE, "expected 4 bytes"))?;
        self.calls = u32::from_le_bytes(bytes);
        Ok(())
    }
}

impl<F: Flavour> CirMethod for Plain<F> {
    fn new(setup: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError> {
        let config: Config =
            toml::from_str(&setup.config_toml).map_err(|e| StageError::new(code::CONFIG, e.to_string()))?;
        Ok(Self {
            gain: config.gain,
            calls: 0,
            links: links.len(),
            flavour: PhantomData,
        })
    }
    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        let taps: usize = input.links.iter().map(|l| l.tap_count as usize).sum();
        let fits = input.links.iter().all(|l| {
            let end = l.tone_offset as usize + l.tone_count as usize;
            l.tap_count == 3 * l.tone_count && end <= input.tones.len() && end <= input.mask.len()
        });
        if !fits || input.links.len() != self.links || output.taps.len() != taps {
            return Err(StageError::new(code::INPUT, "the buffers do not fit the links"));
        }
        assert!(!(F::PANICS && self.calls == 40), "as written");
        if F::HANGS && self.calls == 40 && self.links < F::HANGS_BELOW {
            std::thread::sleep(Duration::MAX);
        }
        if F::ERRS && self.calls == 40 && self.links >= F::ERRS_FROM {
            return Err(StageError::new(code::INPUT, "not this input"));
        }
        let re = if F::NAN && self.calls == 40 {
            f32::NAN
        } else {
            self.gain * self.calls as f32 + F::ADD
        };
        self.calls += 1;
        output.taps.as_mut_slice().fill(C32 { re, im: 0.0 });
        output.summaries.as_mut_slice().fill(CirSummary {
            valid: 1,
            ..CirSummary::default()
        });
        Ok(())
    }
}

pub(super) const LINKED: &[PluginModule] = &[
    linked::cir::<Plain<Steady>>(),
    linked::cir::<Plain<Other>>(),
    linked::cir::<Plain<Panics>>(),
    linked::cir::<Plain<Nan>>(),
];
