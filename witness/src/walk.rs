//! The rules that hold *between* leaves: sequence, `prev`, time, and that each cycle ran under the
//! manifest, configuration, calibration and privacy mode that earlier leaves put in force.
//!
//! None of this proves that a leaf is in the log; the tree does (rule 4 of docs/witness-format.md). It is
//! asked of leaves already proven to stand at their index.

use thiserror::Error;

use crate::{
    body::{Body, Boot, Cycle, PrivacyMode, PrivacyModeCode, Swap, SwapResult, swap_reason},
    hash::{Hash, ZERO, witness},
    leaf::{self, Header, Kind, Leaf, LeafError, flags},
};

/// Missed ticks from which on a GAP leaf has to name them.
pub const GAP_TICKS: u64 = 20;

/// Which rule a leaf breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WalkError {
    /// It is no leaf.
    #[error("leaf {index}: {source}")]
    Leaf {
        /// Its place in the tree.
        index: u64,
        /// Why.
        source: LeafError,
    },
    /// A rule between leaves.
    #[error("leaf {index}: {what} is {found}, expected {expected}")]
    Rule {
        /// Its place in the tree.
        index: u64,
        /// The field or rule.
        what: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Another boot than the leaf before, and no BOOT leaf between them.
    #[error("leaf {index} belongs to boot {boot}, which no BOOT leaf begins", boot = hex::encode(boot_id))]
    NoBoot {
        /// Its place in the tree.
        index: u64,
        /// Its boot.
        boot_id: [u8; 16],
    },
}

/// What came into force, in the order of the leaves that say so.
#[derive(Clone, Debug)]
struct InForce<T>(Vec<Since<T>>);

#[derive(Clone, Copy, Debug)]
struct Since<T> {
    /// The leaf.
    leaf: u64,
    tick: u64,
    value: T,
}

#[derive(Clone, Debug)]
struct BootState {
    id: [u8; 16],
    mono_ns: u64,
    /// Tick of the last leaf.
    tick: u64,
    last_cycle: Option<LastCycle>,
    in_force_known: bool,
    /// Every leaf since the last cycle (or since BOOT) was shown.
    complete: bool,
    gap_since_cycle: bool,
    /// No leaf of this boot was left out from this one on.
    shown_from: u64,
    manifests: InForce<Hash>,
    configs: InForce<Hash>,
    calibrations: InForce<Hash>,
    modes: InForce<PrivacyModeCode>,
}

#[derive(Clone, Copy, Debug)]
struct LastCycle {
    index: u64,
    tick: u64,
    manifest: Hash,
}

/// Walks leaves in ascending order of index; gaps between indices are allowed, and then only what can be
/// known without the missing leaves is checked.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    log_id: Option<Hash>,
    /// Index and witness of the last leaf.
    last: Option<(u64, Hash)>,
    boot: Option<BootState>,
}

impl Walk {
    /// A walk over the log with this id.
    pub fn new(log_id: Hash) -> Self {
        Self {
            log_id: Some(log_id),
            ..Self::default()
        }
    }

    /// The log id, given or taken from the first leaf.
    pub const fn log_id(&self) -> Option<&Hash> {
        self.log_id.as_ref()
    }

    /// Index and witness of the last leaf walked over.
    pub const fn last(&self) -> Option<(u64, Hash)> {
        self.last
    }

    /// True when the leaves shown tell what was in force at the last CYCLE: where leaves were left out, the BOOT leaf
    /// or one that changed something may be among them, and then nothing about it was checked.
    pub fn in_force_known(&self) -> bool {
        self.boot.as_ref().is_some_and(|boot| boot.in_force_known)
    }

    /// Walks over the leaf at `index`.
    pub fn step(&mut self, index: u64, bytes: &[u8]) -> Result<Leaf, WalkError> {
        let leaf = leaf::decode(bytes).map_err(|source| WalkError::Leaf { index, source })?;
        let header = &leaf.header;
        let rule = Rule { index };
        rule.equal("seq", index, header.seq)?;
        let log_id = *self.log_id.get_or_insert(header.log_id);
        rule.equal_hash("log_id", &log_id, &header.log_id)?;
        let follows = match self.last {
            Some((last, _)) if index <= last => {
                return rule.broken("index", format!("more than {last}"), index.to_string());
            }
            Some((last, w)) if index == last + 1 => {
                rule.equal_hash("prev", &w, &header.prev)?;
                true
            }
            _ => index == 0,
        };
        self.step_boot(&rule, follows, &leaf)?;
        self.last = Some((index, witness(bytes)));
        Ok(leaf)
    }

    fn step_boot(&mut self, rule: &Rule, follows: bool, leaf: &Leaf) -> Result<(), WalkError> {
        let header = &leaf.header;
        let same = self.boot.as_mut().filter(|boot| boot.id == header.boot_id);
        match (same, &leaf.body) {
            (None, Body::Genesis(_)) => {
                rule.equal("tick before the first cycle", 0, header.tick)?;
                self.boot = Some(BootState::new(header));
            }
            (None, Body::Boot(boot)) => {
                rule.equal("tick before the first cycle", 0, header.tick)?;
                let mut state = BootState::new(header);
                state.put_in_force(rule, header.seq, boot)?;
                self.boot = Some(state);
            }
            (None, _) if follows => {
                return Err(WalkError::NoBoot {
                    index: rule.index,
                    boot_id: header.boot_id,
                });
            }
            (None, body) => {
                // Shown from its middle on.
                let mut state = BootState::new(header);
                state.complete = false;
                if let Body::Cycle(cycle) = body {
                    state.cycle(rule, header, cycle)?;
                }
                state.came_into_force(rule, body)?;
                self.boot = Some(state);
            }
            (Some(state), body) => {
                state.complete &= follows;
                if !follows {
                    state.shown_from = rule.index;
                }
                if header.mono_ns <= state.mono_ns {
                    return rule.broken(
                        "mono_ns",
                        format!("more than {}", state.mono_ns),
                        header.mono_ns.to_string(),
                    );
                }
                match body {
                    Body::Cycle(cycle) => state.cycle(rule, header, cycle)?,
                    _ if follows => rule.equal("tick of the last cycle", state.tick, header.tick)?,
                    _ if header.tick < state.tick => {
                        return rule.broken("tick", format!("at least {}", state.tick), header.tick.to_string());
                    }
                    _ => {}
                }
                match body {
                    // GENESIS and the first BOOT share a boot id.
                    Body::Boot(boot) if header.seq == 1 => state.put_in_force(rule, 0, boot)?,
                    Body::Boot(_) => return rule.broken("BOOT", "one a boot".into(), "a second one".into()),
                    Body::Genesis(_) => return rule.broken("GENESIS", "one a log".into(), "a second one".into()),
                    body => state.came_into_force(rule, body)?,
                }
                (state.mono_ns, state.tick) = (header.mono_ns, header.tick);
            }
        }
        Ok(())
    }
}

impl BootState {
    const fn new(header: &Header) -> Self {
        Self {
            id: header.boot_id,
            mono_ns: header.mono_ns,
            tick: header.tick,
            last_cycle: None,
            in_force_known: false,
            complete: true,
            gap_since_cycle: false,
            shown_from: header.seq,
            manifests: InForce(Vec::new()),
            configs: InForce(Vec::new()),
            calibrations: InForce(Vec::new()),
            modes: InForce(Vec::new()),
        }
    }

    fn came_into_force(&mut self, rule: &Rule, body: &Body) -> Result<(), WalkError> {
        let leaf = rule.index;
        match body {
            Body::Swap(swap) => self.swapped(leaf, swap),
            Body::Config(config) => self.configs.push(leaf, config.effective_tick, config.new_config_hash),
            Body::Calibration(calibration) => {
                self.calibrations
                    .push(leaf, calibration.effective_tick, calibration.new_calibration_id);
            }
            Body::Gap(_) => self.gap_since_cycle = true,
            Body::PrivacyMode(mode) => self.mode_changed(rule, mode)?,
            _ => {}
        }
        Ok(())
    }

    fn mode_changed(&mut self, rule: &Rule, mode: &PrivacyMode) -> Result<(), WalkError> {
        // One that is shown without the leaves before it says what it was.
        if let Some(before) = self.modes.0.last()
            && before.value != mode.old_mode
        {
            if before.leaf >= self.shown_from {
                return rule.equal("privacy mode before", before.value as u64, mode.old_mode as u64);
            }
            self.modes.forget_before(self.shown_from);
        }
        self.modes.push(rule.index, mode.effective_tick, mode.new_mode);
        Ok(())
    }

    /// A leaf that was not durable at its tick is withdrawn by a second one that rejects it.
    fn swapped(&mut self, leaf: u64, swap: &Swap) {
        let (tick, manifest) = (swap.effective_tick, swap.new_manifest_hash);
        if swap.result != SwapResult::Rejected {
            self.manifests.push(leaf, tick, manifest);
        } else if swap.reason == swap_reason::NOT_DURABLE {
            self.manifests
                .0
                .retain(|since| (since.tick, since.value) != (tick, manifest));
        }
    }

    /// `found_at_start` is the size of the tree this boot found: nothing, when it wrote GENESIS itself.
    fn put_in_force(&mut self, rule: &Rule, found_at_start: u64, boot: &Boot) -> Result<(), WalkError> {
        rule.equal("recovered size", found_at_start, boot.recovered_size)?;
        self.manifests.push(rule.index, 0, boot.manifest_hash);
        self.configs.push(rule.index, 0, boot.config_hash);
        self.calibrations.push(rule.index, 0, boot.calibration_id);
        self.modes.push(rule.index, 0, boot.privacy_mode);
        Ok(())
    }

    fn cycle(&mut self, rule: &Rule, header: &Header, cycle: &Cycle) -> Result<(), WalkError> {
        if let Some(last) = self.last_cycle {
            if header.tick <= last.tick {
                return rule.broken("tick", format!("more than {}", last.tick), header.tick.to_string());
            }
            let missed = header.tick - last.tick - 1;
            if self.complete && missed >= GAP_TICKS && !self.gap_since_cycle {
                return rule.broken(
                    "missed ticks without a GAP leaf",
                    format!("below {GAP_TICKS}"),
                    missed.to_string(),
                );
            }
        } else if header.tick < self.tick {
            return rule.broken("tick", format!("at least {}", self.tick), header.tick.to_string());
        }
        let (tick, shown_from) = (header.tick, self.shown_from);
        self.in_force_known = true;
        for (what, list, found) in [
            ("manifest in force", &mut self.manifests, cycle.manifest_hash),
            ("configuration in force", &mut self.configs, cycle.config_hash),
            ("calibration in force", &mut self.calibrations, cycle.calibration_id),
        ] {
            self.in_force_known &= list.holds(tick, found, shown_from, |expected| {
                rule.equal_hash(what, &expected, &found)
            })?;
        }
        let mode = cycle.privacy_mode;
        self.in_force_known &= self.modes.holds(tick, mode, shown_from, |expected| {
            rule.equal("privacy mode in force", expected as u64, mode as u64)
        })?;
        let is_keyframe = header.flags & flags::KEYFRAME != 0;
        let due = self
            .last_cycle
            .is_none_or(|last| last.manifest != cycle.manifest_hash || last.index / 256 != header.seq / 256);
        if self.complete && due != is_keyframe {
            return rule.broken("keyframe", due.to_string(), is_keyframe.to_string());
        }
        self.last_cycle = Some(LastCycle {
            index: header.seq,
            tick: header.tick,
            manifest: cycle.manifest_hash,
        });
        (self.complete, self.gap_since_cycle) = (true, false);
        Ok(())
    }
}

impl<T: Copy + PartialEq> InForce<T> {
    fn push(&mut self, leaf: u64, tick: u64, value: T) {
        self.0.push(Since { leaf, tick, value });
    }

    fn forget_before(&mut self, leaf: u64) {
        self.0.retain(|since| since.leaf >= leaf);
    }

    /// Whether `found` is known to be in force at `tick`; `broken` when the leaves shown say that it is not.
    ///
    /// What a leaf from before `shown_from` says may have been changed by one that was left out: then it is forgotten,
    /// and nothing is known until another leaf says something.
    fn holds(
        &mut self,
        tick: u64,
        found: T,
        shown_from: u64,
        broken: impl FnOnce(T) -> Result<(), WalkError>,
    ) -> Result<bool, WalkError> {
        match self.0.iter().rev().find(|since| since.tick <= tick) {
            Some(since) if since.value == found => Ok(true),
            Some(since) if since.leaf >= shown_from => broken(since.value).map(|()| false),
            Some(_) => {
                self.forget_before(shown_from);
                Ok(false)
            }
            // A boot shown whole begins with its BOOT leaf, so it can only be one shown from its middle.
            None => Ok(false),
        }
    }
}

/// True for the leaves that later cycles and checkpoints refer to: a bundle carries those of its boot beside its range, and
/// KEY leaves of every boot.
pub const fn is_context(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Genesis | Kind::Boot | Kind::Swap | Kind::Config | Kind::Calibration | Kind::Key | Kind::PrivacyMode
    )
}

struct Rule {
    index: u64,
}

impl Rule {
    fn broken<T>(&self, what: &'static str, expected: String, found: String) -> Result<T, WalkError> {
        Err(WalkError::Rule {
            index: self.index,
            what,
            expected,
            found,
        })
    }

    fn equal(&self, what: &'static str, expected: u64, found: u64) -> Result<(), WalkError> {
        if expected == found {
            Ok(())
        } else {
            self.broken(what, expected.to_string(), found.to_string())
        }
    }

    fn equal_hash(&self, what: &'static str, expected: &Hash, found: &Hash) -> Result<(), WalkError> {
        let name = |hash: &Hash| {
            if *hash == ZERO {
                "none".into()
            } else {
                hex::encode(hash)
            }
        };
        if expected == found {
            Ok(())
        } else {
            self.broken(what, name(expected), name(found))
        }
    }
}
