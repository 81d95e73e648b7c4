//! The stages that are linked into this program: one line each.

use tapline_plugin_api::{StageKind, abi::PluginModule, linked};
use tapline_stages::{
    cir::{CirDense, CirFft},
    tomography::Tomography,
    tracker::Tracker,
};

/// Every linked stage; the first of its kind is the default and the one that takes over from a failed plugin.
pub const LINKED: &[PluginModule] = &[
    linked::cir::<CirFft>(),
    linked::cir::<CirDense>(),
    linked::tomography::<Tomography>(),
    linked::tracker::<Tracker>(),
];

/// The linked stage of a kind with this name.
pub fn named<'a>(linked: &'a [PluginModule], kind: StageKind, name: &str) -> Option<&'a PluginModule> {
    linked.iter().find(|module| {
        let about = (module.describe)();
        about.stage == kind && about.name.as_str() == name
    })
}

/// The default stage of a kind.
pub fn default(linked: &[PluginModule], kind: StageKind) -> Option<&PluginModule> {
    linked.iter().find(|module| (module.describe)().stage == kind)
}

/// The names of the linked stages of a kind, for messages.
pub fn names(linked: &[PluginModule], kind: StageKind) -> String {
    let of_kind = linked
        .iter()
        .map(|module| (module.describe)())
        .filter(|about| about.stage == kind);
    of_kind
        .map(|about| about.name.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
