//! What became of a stage in a cycle: recorded, and obeyed on replay.

use borsh::{BorshDeserialize, BorshSerialize};

/// What became of a stage. The discriminant is the byte in `stages_list`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Disposition {
    /// It ran and its output was used.
    Ran = 0,
    /// It had no usable input, is failed and waits for its replacement, or (error code 8) the cycle had no time left for it.
    #[default]
    Skipped = 1,
    /// It did not return in time.
    Timeout = 2,
    /// It returned an error.
    Error = 3,
    /// It panicked.
    Panic = 4,
    /// Its output held a NaN or an infinity.
    NonFinite = 5,
    /// It changed the floating-point environment.
    FpEnv = 6,
}

impl Disposition {
    /// The disposition with this byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Ran,
            Self::Skipped,
            Self::Timeout,
            Self::Error,
            Self::Panic,
            Self::NonFinite,
            Self::FpEnv,
        ]
        .get(usize::from(byte))
        .copied()
    }

    /// The name in API and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ran => "RAN",
            Self::Skipped => "SKIPPED",
            Self::Timeout => "TIMEOUT",
            Self::Error => "ERROR",
            Self::Panic => "PANIC",
            Self::NonFinite => "NONFINITE",
            Self::FpEnv => "FPENV",
        }
    }
}
