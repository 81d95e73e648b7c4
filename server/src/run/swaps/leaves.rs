//! SWAP leaves: every attempt leaves one, whatever came of it.

use tapline_witness::{
    body::{Body, StateHandling as Handled, Swap, SwapResult},
    codec::List,
    hash::{Hash, ZERO},
};

use crate::{
    host::{HostError, Manifest, candidate::Evidence, swap::StateHandling},
    live::attempt::Attempt,
    log::{Blob, Stamp},
    run::engine::{Engine, EngineError},
};

/// What a SWAP leaf says.
pub(super) struct Leaf<'a> {
    /// The manifest asked for, when it could be written.
    pub(super) new: Option<&'a Manifest>,
    /// First tick under it; none: the one after the last cycle.
    pub(super) effective_tick: Option<u64>,
    /// Golden vectors and files.
    pub(super) evidence: Option<&'a Evidence>,
    /// Digest of the state that is carried over; none: the stage begins anew.
    pub(super) state: Option<Hash>,
    pub(super) old: Hash,
    pub(super) result: SwapResult,
    pub(super) reason: u16,
    pub(super) operator: Hash,
}

impl Leaf<'_> {
    /// The leaf of an attempt.
    pub(super) const fn of(attempt: &Attempt, operator: Hash, result: SwapResult, reason: u16) -> Self {
        Self {
            new: None,
            effective_tick: None,
            evidence: None,
            state: None,
            old: attempt.old_manifest_hash,
            result,
            reason,
            operator,
        }
    }

    /// Appends it, with the artefacts it is the first to name; its `seq`.
    pub(super) fn write(&self, engine: &mut Engine, stamp: Stamp) -> Result<u64, EngineError> {
        let mut blobs = Vec::new();
        let new = self.new.map(|manifest| {
            let hash = manifest.hash();
            blobs.push(Blob {
                hash,
                kind: "manifest",
                bytes: manifest.text().as_bytes().to_vec(),
            });
            hash
        });
        let none = Evidence::default();
        let evidence = self.evidence.unwrap_or(&none);
        if !evidence.golden.is_empty() {
            blobs.push(Blob {
                hash: evidence.golden_set(),
                kind: "golden",
                bytes: evidence.golden.clone(),
            });
        }
        let body = Body::Swap(Swap {
            effective_tick: self
                .effective_tick
                .unwrap_or_else(|| engine.chain.last_tick().map_or(0, |t| t + 1)),
            old_manifest_hash: self.old,
            new_manifest_hash: new.unwrap_or(ZERO),
            result: self.result,
            reason: self.reason,
            operator: self.operator,
            golden_set: evidence.golden_set(),
            vectors_run: evidence.run,
            vectors_passed: evidence.passed,
            vectors_failed: evidence.failed,
            results: evidence.results,
            state_handling: if self.state.is_some() {
                Handled::Kept
            } else {
                Handled::Reset
            },
            state: self.state.unwrap_or(ZERO),
            attestation: ZERO,
            builds: List::new(evidence.builds.clone()).unwrap_or_default(),
        });
        Ok(engine.append(stamp, &body, blobs)?.seq)
    }
}

/// Why a recovery of a replay cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The stand-in does not come up.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The log.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Replaces failed stages at once, where nobody waits: in a replay. The leaf names the tick after the last cycle, so two
/// replays of one recording give one root. True when something took over.
///
/// # Errors
/// [`RecoverError`].
pub(crate) fn recover_now(engine: &mut Engine, stamp: Stamp) -> Result<bool, RecoverError> {
    let Some(order) = engine.core.host.recovery_order() else {
        return Ok(false);
    };
    let Some(ready) = engine.core.host.preparer().recover(&order)? else {
        return Ok(false);
    };
    let failures = engine.core.host.failures();
    let Some((stage, run)) = failures.into_iter().find(|(stage, _)| *stage == ready.stage) else {
        return Ok(false);
    };
    let manifest = ready.generation.manifest().clone();
    let tick = engine.chain.last_tick().map_or(0, |t| t + 1);
    let reason = super::reason_of(&run);
    let activation = engine.put_in_force(ready.generation, tick, (SwapResult::RolledBack, reason))?;
    tracing::warn!(
        stage = stage.name(),
        disposition = run.disposition.name(),
        "a stage failed and was replaced"
    );
    let evidence = Evidence {
        // Files are of this machine, and a replay's root is the same on every one.
        builds: Vec::new(),
        ..ready.evidence
    };
    let leaf = Leaf {
        new: Some(&manifest),
        effective_tick: Some(tick),
        evidence: Some(&evidence),
        state: None,
        old: activation.old_manifest_hash,
        result: SwapResult::RolledBack,
        reason,
        operator: ZERO,
    };
    debug_assert!(activation.state[stage as usize] == StateHandling::Reset);
    leaf.write(engine, stamp)?;
    Ok(true)
}

/// Puts in force what a capture says was, from `tick` on; what became of the stages' states. The leaf gives result and
/// reason as they were; golden vectors and operator stand in the log of the live run.
///
/// # Errors
/// [`RecoverError`].
pub(crate) fn put_as_recorded(
    engine: &mut Engine,
    stamp: Stamp,
    manifest: Manifest,
    tick: u64,
    (result, reason): (SwapResult, u16),
) -> Result<[StateHandling; 3], RecoverError> {
    let generation = engine.core.host.preparer().prepare(manifest.clone())?;
    let activation = engine.put_in_force(generation, tick, (result, reason))?;
    let leaf = Leaf {
        new: Some(&manifest),
        effective_tick: Some(tick),
        evidence: None,
        state: None,
        old: activation.old_manifest_hash,
        result,
        reason,
        operator: ZERO,
    };
    leaf.write(engine, stamp)?;
    Ok(activation.state)
}
