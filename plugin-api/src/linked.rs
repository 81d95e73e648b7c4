//! A stage that is linked in, behind the very module record that a loaded library hands out.
//!
//! The host therefore treats both alike, and a test can hold one against the other bit for bit.

use abi_stable::std_types::{RResult, RSlice};

use crate::{
    abi::{CirBox, CirStage_TO, PluginModule, TomographyBox, TomographyStage_TO, TrackerBox, TrackerStage_TO},
    cir::CirLinkSpec,
    describe::{Description, Setup},
    geometry::Grid,
    guard::{CirMethod, Guarded, Method, StageError, TomographyMethod, TrackerMethod, code},
};

/// The module of a channel impulse response method.
pub const fn cir<M: CirMethod>() -> PluginModule {
    PluginModule {
        describe: describe::<M>,
        new_cir: new_cir::<M>,
        new_tomography: no_tomography::<M>,
        new_tracker: no_tracker::<M>,
    }
}

/// The module of a tomography method.
pub const fn tomography<M: TomographyMethod>() -> PluginModule {
    PluginModule {
        describe: describe::<M>,
        new_cir: no_cir::<M>,
        new_tomography: new_tomography::<M>,
        new_tracker: no_tracker::<M>,
    }
}

/// The module of a tracking method.
pub const fn tracker<M: TrackerMethod>() -> PluginModule {
    PluginModule {
        describe: describe::<M>,
        new_cir: no_cir::<M>,
        new_tomography: no_tomography::<M>,
        new_tracker: new_tracker::<M>,
    }
}

extern "C" fn describe<M: Method>() -> Description {
    M::DESCRIPTION
}

extern "C" fn new_cir<M: CirMethod>(setup: &Setup, links: RSlice<'_, CirLinkSpec>) -> RResult<CirBox, StageError> {
    Guarded::build(|| M::new(setup, links.as_slice()))
        .map(|guarded| CirStage_TO::from_value(guarded, abi_stable::sabi_trait::TD_Opaque))
        .into()
}

extern "C" fn new_tomography<M: TomographyMethod>(
    setup: &Setup,
    grid: &Grid,
    max_links: u32,
) -> RResult<TomographyBox, StageError> {
    Guarded::build(|| M::new(setup, grid, max_links))
        .map(|guarded| TomographyStage_TO::from_value(guarded, abi_stable::sabi_trait::TD_Opaque))
        .into()
}

extern "C" fn new_tracker<M: TrackerMethod>(
    setup: &Setup,
    grid: &Grid,
    max_links: u32,
) -> RResult<TrackerBox, StageError> {
    Guarded::build(|| M::new(setup, grid, max_links))
        .map(|guarded| TrackerStage_TO::from_value(guarded, abi_stable::sabi_trait::TD_Opaque))
        .into()
}

fn other_stage<M: Method, T>(wanted: &str) -> RResult<T, StageError> {
    RResult::RErr(StageError::new(
        code::CONFIG,
        format!(
            "{} is a `{}` stage, a `{wanted}` stage was asked of it",
            M::DESCRIPTION.name,
            M::DESCRIPTION.stage.name()
        ),
    ))
}

extern "C" fn no_cir<M: Method>(_: &Setup, _: RSlice<'_, CirLinkSpec>) -> RResult<CirBox, StageError> {
    other_stage::<M, _>("cir")
}

extern "C" fn no_tomography<M: Method>(_: &Setup, _: &Grid, _: u32) -> RResult<TomographyBox, StageError> {
    other_stage::<M, _>("tomography")
}

extern "C" fn no_tracker<M: Method>(_: &Setup, _: &Grid, _: u32) -> RResult<TrackerBox, StageError> {
    other_stage::<M, _>("tracker")
}
