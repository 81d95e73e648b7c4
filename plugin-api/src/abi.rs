//! What crosses the boundary: ABI-stable trait objects and the root module of a library.

#![allow(
    missing_docs,
    clippy::used_underscore_binding,
    clippy::module_name_repetitions,
    reason = "sabi_trait and StableAbi generate items without documentation"
)]
#![allow(unsafe_code, reason = "abi_stable's derive macros expand to unsafe code")]
#![allow(
    non_local_definitions,
    reason = "sabi_trait puts impls of the trait's types into a module of their own"
)]

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, RResult, RSlice, RVec},
};

use crate::{
    cir::{CirInput, CirLinkSpec, CirOutput},
    describe::{Description, Setup},
    geometry::Grid,
    guard::StageError,
    tomography::{TomographyInput, TomographyOutput, TomographySummary},
    tracker::{TrackerInput, TrackerOutput, TrackerSummary},
};

/// An instance of a `cir` stage; serves one group, is called by one worker at a time.
#[sabi_trait]
pub trait CirStage: Send {
    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> RResult<(), StageError>;
    fn export_state(&mut self, into: &mut RVec<u8>) -> RResult<(), StageError>;
    #[sabi(last_prefix_field)]
    fn import_state(&mut self, state: RSlice<'_, u8>) -> RResult<(), StageError>;
}

/// An instance of a `tomography` stage.
#[sabi_trait]
pub trait TomographyStage: Send {
    fn run(
        &mut self,
        input: &TomographyInput<'_>,
        output: &mut TomographyOutput<'_>,
    ) -> RResult<TomographySummary, StageError>;
    fn export_state(&mut self, into: &mut RVec<u8>) -> RResult<(), StageError>;
    #[sabi(last_prefix_field)]
    fn import_state(&mut self, state: RSlice<'_, u8>) -> RResult<(), StageError>;
}

/// An instance of a `tracker` stage.
#[sabi_trait]
pub trait TrackerStage: Send {
    fn run(&mut self, input: &TrackerInput<'_>, output: &mut TrackerOutput<'_>) -> RResult<TrackerSummary, StageError>;
    fn export_state(&mut self, into: &mut RVec<u8>) -> RResult<(), StageError>;
    #[sabi(last_prefix_field)]
    fn import_state(&mut self, state: RSlice<'_, u8>) -> RResult<(), StageError>;
}

/// A boxed `cir` instance.
pub type CirBox = CirStage_TO<'static, RBox<()>>;
/// A boxed `tomography` instance.
pub type TomographyBox = TomographyStage_TO<'static, RBox<()>>;
/// A boxed `tracker` instance.
pub type TrackerBox = TrackerStage_TO<'static, RBox<()>>;

/// The root module of a plugin library: all constructors are there, those of other
/// stages than its own answer with an error.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    pub describe: extern "C" fn() -> Description,
    pub new_cir: extern "C" fn(&Setup, RSlice<'_, CirLinkSpec>) -> RResult<CirBox, StageError>,
    pub new_tomography: extern "C" fn(&Setup, &Grid, u32) -> RResult<TomographyBox, StageError>,
    #[sabi(last_prefix_field)]
    pub new_tracker: extern "C" fn(&Setup, &Grid, u32) -> RResult<TrackerBox, StageError>,
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "tapline_plugin";
    const NAME: &'static str = "tapline_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
