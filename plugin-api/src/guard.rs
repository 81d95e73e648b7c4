//! The author's side: plain Rust traits, and the guard that turns a panic into an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use abi_stable::{
    StableAbi,
    std_types::{RResult, RSlice, RString, RVec},
};

use crate::{
    abi::{CirStage, TomographyStage, TrackerStage},
    cir::{CirInput, CirLinkSpec, CirOutput},
    describe::{Description, Setup},
    geometry::Grid,
    tomography::{TomographyInput, TomographyOutput, TomographySummary},
    tracker::{TrackerInput, TrackerOutput, TrackerSummary},
};

/// Codes of [`StageError::code`].
pub mod code {
    /// The plugin's configuration table is wrong.
    pub const CONFIG: u32 = 1;
    /// The input breaks the contract.
    pub const INPUT: u32 = 2;
    /// The state blob cannot be read.
    pub const STATE: u32 = 3;
    /// The numerics failed (singular matrix, overflow).
    pub const NUMERIC: u32 = 4;
    /// The code panicked; the instance refuses every later call.
    pub const PANIC: u32 = 5;
    /// Given by the host: what the stage wrote breaks the contract.
    pub const OUTPUT: u32 = 6;
    /// Given by the host: the manifest or the library is not fit to build an instance from.
    pub const HOST: u32 = 7;
    /// Given by the host: the cycle had no time left when the stage's turn came, and it was not called.
    pub const DEADLINE: u32 = 8;
    /// First code for a plugin's own use.
    pub const OWN: u32 = 1000;
}

/// Why a call gave no answer.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq, StableAbi)]
pub struct StageError {
    /// One of [`code`], or the plugin's own.
    pub code: u32,
    /// For people: what was expected, what was found.
    pub message: RString,
}

impl StageError {
    /// An error with a code of [`code`].
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: RString::from(message.into()),
        }
    }
}

impl std::fmt::Display for StageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for StageError {}

/// What all methods share.
pub trait Method: Sized + Send + 'static {
    /// Name, version, stage, method.
    const DESCRIPTION: Description;

    /// Appends the whole state: `import_state` of it must continue bit for bit.
    ///
    /// # Errors
    /// When the state cannot be written.
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError>;

    /// Replaces the state.
    ///
    /// # Errors
    /// [`code::STATE`] when the blob is not one of this schema for this setup; the state is then as before.
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError>;
}

/// A channel impulse response method; one instance serves one group of links.
pub trait CirMethod: Method {
    /// Builds the instance: everything that depends on the links' tiers is computed here, and all
    /// memory that `run` needs is taken here.
    ///
    /// # Errors
    /// [`code::CONFIG`] naming the key, what was found and what is allowed.
    fn new(setup: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError>;

    /// One cycle. Must not allocate, must fill the whole output.
    ///
    /// # Errors
    /// When there is no answer for the group at all; a single link without one says so in its summary.
    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError>;
}

/// A tomography method; one instance serves the site.
pub trait TomographyMethod: Method {
    /// Builds the instance for a grid and at most `max_links` link paths.
    ///
    /// # Errors
    /// [`code::CONFIG`] naming the key, what was found and what is allowed.
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError>;

    /// One cycle. Must not allocate while nodes and links stay as they are, must fill the whole output.
    ///
    /// # Errors
    /// When there is no image.
    fn run(
        &mut self,
        input: &TomographyInput<'_>,
        output: &mut TomographyOutput<'_>,
    ) -> Result<TomographySummary, StageError>;
}

/// A tracking method; one instance serves the site.
pub trait TrackerMethod: Method {
    /// Builds the instance for a grid and at most `max_links` link paths.
    ///
    /// # Errors
    /// [`code::CONFIG`] naming the key, what was found and what is allowed.
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError>;

    /// One cycle. Must not allocate while no track begins or ends, must fill the whole output.
    ///
    /// # Errors
    /// When people cannot be judged.
    fn run(&mut self, input: &TrackerInput<'_>, output: &mut TrackerOutput<'_>) -> Result<TrackerSummary, StageError>;
}

/// Wraps a method so that a panic becomes an error and ends the instance, not the process.
pub struct Guarded<M> {
    /// None once the method has panicked: what it left behind is never touched again.
    method: Option<M>,
}

impl<M> Guarded<M> {
    /// Builds the method inside the guard.
    ///
    /// # Errors
    /// What the constructor says, or [`code::PANIC`].
    pub fn build(new: impl FnOnce() -> Result<M, StageError>) -> Result<Self, StageError> {
        caught(new).map(|method| Self { method: Some(method) })
    }

    fn call<T>(&mut self, f: impl FnOnce(&mut M) -> Result<T, StageError>) -> RResult<T, StageError> {
        let Some(method) = &mut self.method else {
            return RResult::RErr(StageError::new(code::PANIC, "the instance panicked in an earlier call"));
        };
        let result = caught(|| f(method));
        if matches!(&result, Err(e) if e.code == code::PANIC) {
            // Its destructor may rely on what the panic broke, so the memory is given up.
            std::mem::forget(self.method.take());
        }
        result.into()
    }
}

impl<M> Drop for Guarded<M> {
    fn drop(&mut self) {
        let method = self.method.take();
        // A destructor that panics must not unwind into the ABI boundary, which would abort.
        let _ = caught(|| {
            drop(method);
            Ok(())
        });
    }
}

/// Runs `f`; a panic comes back as [`code::PANIC`] with its message.
pub fn caught<T>(f: impl FnOnce() -> Result<T, StageError>) -> Result<T, StageError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is not text".to_owned());
        // A payload whose own drop panics must not reach the ABI boundary.
        std::mem::forget(payload);
        Err(StageError::new(code::PANIC, format!("panic: {text}")))
    })
}

macro_rules! shared_calls {
    () => {
        fn export_state(&mut self, into: &mut RVec<u8>) -> RResult<(), StageError> {
            self.call(|m| m.export_state(into))
        }
        fn import_state(&mut self, state: RSlice<'_, u8>) -> RResult<(), StageError> {
            self.call(|m| m.import_state(state.as_slice()))
        }
    };
}

impl<M: CirMethod> CirStage for Guarded<M> {
    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> RResult<(), StageError> {
        self.call(|m| m.run(input, output))
    }
    shared_calls!();
}

impl<M: TomographyMethod> TomographyStage for Guarded<M> {
    fn run(
        &mut self,
        input: &TomographyInput<'_>,
        output: &mut TomographyOutput<'_>,
    ) -> RResult<TomographySummary, StageError> {
        self.call(|m| m.run(input, output))
    }
    shared_calls!();
}

impl<M: TrackerMethod> TrackerStage for Guarded<M> {
    fn run(&mut self, input: &TrackerInput<'_>, output: &mut TrackerOutput<'_>) -> RResult<TrackerSummary, StageError> {
        self.call(|m| m.run(input, output))
    }
    shared_calls!();
}
