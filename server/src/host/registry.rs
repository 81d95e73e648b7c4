//! What the API shows of plugins: one state each, with the reason it is in it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tapline_plugin_api::StageKind;

/// The life of a plugin. A plugin that ends in `Failed` keeps its reason; nothing leaves `Retired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginState {
    /// Named by a manifest, not looked at yet.
    Declared,
    /// Its bytes have the manifest's digests and passed the static gate.
    Verified,
    /// Mapped from a sealed copy, hand-shaken, described as the manifest says.
    Loaded,
    /// It reproduced its golden vectors, twice.
    Proved,
    /// It runs in the cycle.
    Active,
    /// It ran, and another generation took over.
    Retired,
    /// It cannot be used, or misbehaved.
    Failed,
}

impl PluginState {
    /// The name in API and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declared => "DECLARED",
            Self::Verified => "VERIFIED",
            Self::Loaded => "LOADED",
            Self::Proved => "PROVED",
            Self::Active => "ACTIVE",
            Self::Retired => "RETIRED",
            Self::Failed => "FAILED",
        }
    }
}

/// One plugin of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginStatus {
    /// Generation of the manifest that names it.
    pub generation: u64,
    /// Its stage.
    pub stage: StageKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its method, one line; empty until it is loaded.
    pub method: String,
    /// True when it is part of this program, false when it is a library.
    pub linked: bool,
    /// BLAKE3 of the library, hexadecimal; empty for a linked stage.
    pub blake3: String,
    /// Where it stands.
    pub state: PluginState,
    /// Why, in words.
    pub reason: String,
}

/// Retired and failed plugins that are kept for the API, beside the active ones.
const KEPT: usize = 64;

/// The list, shared with the API: the host writes, readers take a snapshot without waiting.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<ArcSwap<Vec<PluginStatus>>>);

impl Registry {
    /// The list as it is now.
    pub fn snapshot(&self) -> Arc<Vec<PluginStatus>> {
        self.0.load_full()
    }

    /// Sets the state of a plugin, adding it when it is new.
    pub fn set(&self, status: PluginStatus) {
        tracing::info!(
            generation = status.generation,
            stage = status.stage.name(),
            plugin = status.name,
            state = status.state.name(),
            reason = status.reason,
            "plugin"
        );
        self.0.rcu(|list| {
            let mut list = Vec::clone(list);
            let same = |s: &&mut PluginStatus| {
                (s.generation, s.stage, &s.name) == (status.generation, status.stage, &status.name)
            };
            match list.iter_mut().find(same) {
                Some(found) => *found = status.clone(),
                None => list.push(status.clone()),
            }
            let over = list.len().saturating_sub(KEPT);
            let mut dropped = 0;
            list.retain(|s| {
                let old = dropped < over && matches!(s.state, PluginState::Retired | PluginState::Failed);
                dropped += usize::from(old);
                !old
            });
            list
        });
    }
}

impl Registry {
    /// Drops the plugins of a generation that was never used; those that failed keep their line and reason.
    pub fn forget_unused(&self, generation: u64) {
        self.0.rcu(|list| {
            let mut list = Vec::clone(list);
            list.retain(|s| s.generation != generation || s.state == PluginState::Failed);
            list
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(generation: u64, state: PluginState) -> PluginStatus {
        PluginStatus {
            generation,
            stage: StageKind::Cir,
            name: "x".into(),
            version: "1.0.0".into(),
            method: String::new(),
            linked: true,
            blake3: String::new(),
            state,
            reason: String::new(),
        }
    }

    #[test]
    fn a_plugin_has_one_line_a_generation_and_old_ones_go() {
        let registry = Registry::default();
        registry.set(status(1, PluginState::Declared));
        registry.set(status(1, PluginState::Active));
        assert_eq!(*registry.snapshot(), vec![status(1, PluginState::Active)]);
        for generation in 2..200 {
            registry.set(status(generation, PluginState::Retired));
        }
        let list = registry.snapshot();
        assert!(list.len() <= KEPT && list[0].state == PluginState::Active);
    }
}
