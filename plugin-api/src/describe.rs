//! What a plugin says of itself.

use abi_stable::{
    StableAbi,
    std_types::{RStr, RString},
};

/// The numeric rules a plugin keeps: `ieee-strict-1` (docs/numeric-profile.md).
pub const NUMERIC_PROFILE: u32 = 1;

/// The three stages that may be plugins.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, StableAbi)]
pub enum StageKind {
    /// Channel impulse response.
    Cir,
    /// Tomographic image.
    Tomography,
    /// People.
    Tracker,
}

impl StageKind {
    /// The stage's name in manifests, configuration and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cir => "cir",
            Self::Tomography => "tomography",
            Self::Tracker => "tracker",
        }
    }
}

/// A plugin's own description; the manifest must agree with it.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, StableAbi)]
pub struct Description {
    /// Name in manifests, for example `cir-fft`.
    pub name: RStr<'static>,
    /// Semantic version.
    pub version: RStr<'static>,
    /// The stage it implements.
    pub stage: StageKind,
    /// One line: the method and its source.
    pub method: RStr<'static>,
    /// [`NUMERIC_PROFILE`].
    pub numeric_profile: u32,
    /// Version of the blob that `export_state` writes; a change resets the state on a swap.
    pub state_schema: u32,
    /// True when the library imports `sin`, `cos` or `sincos` for rustfft's twiddle tables.
    pub uses_rustfft: bool,
}

/// What an instance is built from.
#[repr(C)]
#[derive(Clone, Debug, StableAbi)]
pub struct Setup {
    /// The plugin's own TOML table from the configuration, as text (may be empty).
    pub config_toml: RString,
    /// Nominal cycle period, seconds.
    pub step_s: f32,
}
