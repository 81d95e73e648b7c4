//! Panics when an instance is built: an error of the golden vectors, which are the first to build one.

use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi_stable::std_types::{RStr, RVec},
    cir::{CirInput, CirLinkSpec, CirOutput},
    describe::Setup,
    export_plugin,
};

export_plugin!(cir: Panics);

struct Panics;

impl Method for Panics {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("bad-panic-in-constructor"),
        version: RStr::from_str("0.1.0"),
        stage: StageKind::Cir,
        method: RStr::from_str("none: it exists to be refused"),
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

impl CirMethod for Panics {
    fn new(_: &Setup, _: &[CirLinkSpec]) -> Result<Self, StageError> {
        panic!("this plugin panics in its constructor");
    }

    fn run(&mut self, _: &CirInput<'_>, _: &mut CirOutput<'_>) -> Result<(), StageError> {
        Ok(())
    }
}
