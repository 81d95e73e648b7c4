//! The smallest complete plugin: link paths that answer nothing but their strongest tone.
#![forbid(unsafe_code)]

use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi_stable::std_types::{RStr, RVec},
    cir::{C32, CirInput, CirLinkSpec, CirOutput, CirSummary, reason},
    describe::Setup,
    export_plugin,
};

/// Keeps nothing, answers nothing.
pub struct Minimal;

impl Method for Minimal {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("minimal"),
        version: RStr::from_str(env!("CARGO_PKG_VERSION")),
        stage: StageKind::Cir,
        method: RStr::from_str("answers nothing"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    };
    fn export_state(&self, _: &mut RVec<u8>) -> Result<(), StageError> {
        Ok(())
    }
    fn import_state(&mut self, _: &[u8]) -> Result<(), StageError> {
        Ok(())
    }
}

impl CirMethod for Minimal {
    fn new(_: &Setup, _: &[CirLinkSpec]) -> Result<Self, StageError> {
        Ok(Self)
    }
    fn run(&mut self, _: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        output.taps.as_mut_slice().fill(C32::default());
        output.summaries.as_mut_slice().fill(CirSummary {
            reason: reason::NO_SIGNAL,
            ..CirSummary::default()
        });
        Ok(())
    }
}

export_plugin!(cir: Minimal);
