//! One stage kind as the vectors see it: how to build an instance, call it and read its answer.

use abi_stable::std_types::{RString, RVec};

use crate::{abi::PluginModule, describe::Setup, guard::StageError};

/// What a call of a vector must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// An answer of finite numbers.
    Answer,
    /// An answer of finite numbers, or an error.
    Survive,
    /// An error: the input breaks the contract.
    Refuse,
}

/// One call.
pub(super) struct Call<P: Probe + ?Sized> {
    /// What it is about, for messages.
    pub(super) name: &'static str,
    pub(super) must: Must,
    pub(super) input: P::Input,
}

/// One instance and the calls it gets, in order.
pub(super) struct Case<P: Probe + ?Sized> {
    pub(super) name: &'static str,
    pub(super) site: P::Site,
    pub(super) calls: Vec<Call<P>>,
}

/// A stage kind.
pub(super) trait Probe {
    /// What an instance is built for.
    type Site;
    /// An input with its own memory.
    type Input;
    /// An answer with its own memory.
    type Output;
    type Instance;

    fn build(module: &PluginModule, setup: &Setup, site: &Self::Site) -> Result<Self::Instance, StageError>;
    /// Room for the answer to this input, every byte of it `fill`.
    fn output(input: &Self::Input, fill: u8) -> Self::Output;
    fn call(instance: &mut Self::Instance, input: &Self::Input, output: &mut Self::Output) -> Result<(), StageError>;
    /// The answer's bytes; none when a number in it is not finite. Brings it into canonical form.
    fn bytes(output: &mut Self::Output, into: &mut Vec<u8>) -> Option<()>;
    fn export(instance: &mut Self::Instance, into: &mut RVec<u8>) -> Result<(), StageError>;
    fn import(instance: &mut Self::Instance, state: &[u8]) -> Result<(), StageError>;
    /// All vectors of the kind.
    fn cases() -> Vec<Case<Self>>;
}

/// A setup with this configuration table.
pub(super) fn setup(config: &str) -> Setup {
    Setup {
        config_toml: RString::from(config),
        step_s: 0.05,
    }
}

/// The `export_state` and `import_state` of a boxed trait object.
macro_rules! boxed_state {
    () => {
        fn export(instance: &mut Self::Instance, into: &mut RVec<u8>) -> Result<(), StageError> {
            instance.export_state(into).into_result()
        }
        fn import(instance: &mut Self::Instance, state: &[u8]) -> Result<(), StageError> {
            instance.import_state(state.into()).into_result()
        }
    };
}
pub(super) use boxed_state;

/// A fixed sequence of numbers (SplitMix64: Steele, Lea, Flood 2014), the same everywhere.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1), a multiple of 2^-24: exact in `f32`.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    /// Roughly normal, variance 1: the sum of twelve uniform numbers.
    pub(super) fn normal(&mut self) -> f32 {
        let mut sum = -6.0;
        for _ in 0..12 {
            sum += self.unit();
        }
        sum
    }
}
