//! Golden vectors under the host's eye: on a thread of their own, within a time, once a process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tapline_plugin_api::{
    abi::PluginModule,
    conformance::{self, Proof},
};

use super::{error::HostError, fpenv};

/// How long the golden vectors of one stage may take, twice over: a debug build needs seconds.
pub const PROOF_TIME: Duration = Duration::from_secs(120);

/// Golden vectors that may run, or hang, at a time.
const MAX_RUNNING: usize = 32;
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// One of [`MAX_RUNNING`], until its thread comes back.
struct Running;

impl Running {
    fn begin() -> Option<Self> {
        let one_more = |now| (now < MAX_RUNNING).then_some(now + 1);
        RUNNING
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A proof that is there, or being made.
type Place = Arc<Mutex<Option<Proof>>>;

/// Proofs of modules that stay in memory for good: the constructor's address says which.
/// Whoever asks while the vectors run waits for them instead of running them again.
static PROVED: Mutex<BTreeMap<(usize, usize, usize), Place>> = Mutex::new(BTreeMap::new());

/// Runs the golden vectors of a stage twice.
///
/// # Errors
/// [`HostError::Golden`] when they do not come out, differ, or do not return within `within`: then the thread
/// they run on is given up.
pub fn prove(name: &str, module: &PluginModule, within: Duration) -> Result<Proof, HostError> {
    let key = (
        module.new_cir as usize,
        module.new_tomography as usize,
        module.new_tracker as usize,
    );
    let place = {
        let mut all = PROVED.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_default())
    };
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(proof) = &*place {
        return Ok(proof.clone());
    }
    let fail = |why: String| HostError::Golden {
        name: name.to_owned(),
        why,
    };
    let Some(running) = Running::begin() else {
        return Err(fail(format!(
            "{MAX_RUNNING} runs of golden vectors have not come back, and each keeps a thread; restart the server"
        )));
    };
    let (sender, receiver) = mpsc::channel();
    let module = *module;
    thread::Builder::new()
        .name("golden".into())
        .spawn(move || {
            let _running = running;
            fpenv::restore();
            let result = conformance::prove(&module);
            let _ = sender.send((result, fpenv::restore()));
        })
        .map_err(|e| fail(format!("a thread cannot be started: {e}")))?;
    let (result, fpenv) = receiver
        .recv_timeout(within)
        .map_err(|_| fail(format!("they did not return within {} s", within.as_secs_f32())))?;
    if let Some(found) = fpenv {
        return Err(fail(format!(
            "the stage left the floating-point control register at {found:#x}"
        )));
    }
    let proof = result.map_err(|e| fail(e.to_string()))?;
    *place = Some(proof.clone());
    Ok(proof)
}

/// Compares a proof with the manifest.
///
/// # Errors
/// [`HostError::Golden`] with both digests.
pub fn agree(name: &str, proof: &Proof, expected: &[u8; 32]) -> Result<(), HostError> {
    if proof.digest == *expected {
        return Ok(());
    }
    Err(HostError::Golden {
        name: name.to_owned(),
        why: format!(
            "{} vectors gave {}, the manifest says {}; this machine or this build computes other bits",
            proof.vectors.len(),
            hex::encode(proof.digest),
            hex::encode(expected)
        ),
    })
}
