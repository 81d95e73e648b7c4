//! Golden vectors run twice: the digest that a manifest names.

use super::{
    probe::{Case, Must, Probe, setup},
    scenes_cir::CirProbe,
    scenes_tomography::TomographyProbe,
    scenes_tracker::TrackerProbe,
};
use crate::{
    abi::PluginModule,
    describe::StageKind,
    guard::{StageError, code},
};

const VECTOR_CONTEXT: &str = "tapline 2026-11 witness golden-vector v1";
const SET_CONTEXT: &str = "tapline 2026-11 witness golden-set v1";
/// What the answers of the second run are filled with before: finite as floats. What a stage leaves of it shows.
const RUBBISH: u8 = 0x3E;

/// What one vector gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorDigest {
    /// Number of the vector in its set, from 0.
    pub id: u32,
    /// BLAKE3 of the answer's bytes, or of the error's code.
    pub digest: [u8; 32],
}

/// What a stage gave for all vectors of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// One digest for the whole set: `golden` in the manifest.
    pub digest: [u8; 32],
    /// One a vector.
    pub vectors: Vec<VectorDigest>,
}

impl Proof {
    /// The first vector on which two proofs differ.
    pub fn first_difference(&self, other: &Self) -> Option<u32> {
        let pairs = self.vectors.iter().zip(&other.vectors);
        pairs.filter(|(a, b)| a != b).map(|(a, _)| a.id).next()
    }
}

/// Why a stage has no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// It cannot even be built with its default configuration.
    #[error("case \"{case}\": the constructor refused an empty configuration: {source}")]
    Build {
        /// The case.
        case: &'static str,
        /// Its words.
        source: StageError,
    },
    /// It refused an input that is within the contract.
    #[error("vector {id} (\"{case}\": {call}): expected an answer, found an error: {source}")]
    Refused {
        /// The vector.
        id: u32,
        /// The case.
        case: &'static str,
        /// The call.
        call: &'static str,
        /// Its words.
        source: StageError,
    },
    /// It accepted an input that breaks the contract.
    #[error("vector {id} (\"{case}\": {call}): expected an error, found an answer")]
    Accepted {
        /// The vector.
        id: u32,
        /// The case.
        case: &'static str,
        /// The call.
        call: &'static str,
    },
    /// It panicked.
    #[error("vector {id} (\"{case}\": {call}): {message}")]
    Panicked {
        /// The vector.
        id: u32,
        /// The case.
        case: &'static str,
        /// The call.
        call: &'static str,
        /// The panic's message.
        message: String,
    },
    /// Its answer holds a NaN or an infinity.
    #[error("vector {id} (\"{case}\": {call}): the answer holds a number that is not finite")]
    NotFinite {
        /// The vector.
        id: u32,
        /// The case.
        case: &'static str,
        /// The call.
        call: &'static str,
    },
    /// Two runs gave different bits.
    #[error(
        "vector {id}: a second run gave other bits, first {first}, then {second}; the stage is not deterministic, or does not \
         write its whole answer (in the second run the buffers hold rubbish)"
    )]
    NotDeterministic {
        /// The first vector that differs.
        id: u32,
        /// Digest of the first run.
        first: String,
        /// Digest of the second.
        second: String,
    },
}

/// Runs the golden vectors of the module's stage twice, with its default configuration and different answers to overwrite.
///
/// # Errors
/// [`ProveError`], naming the vector.
pub fn prove(module: &PluginModule) -> Result<Proof, ProveError> {
    let run = match (module.describe)().stage {
        StageKind::Cir => run_all::<CirProbe>,
        StageKind::Tomography => run_all::<TomographyProbe>,
        StageKind::Tracker => run_all::<TrackerProbe>,
    };
    let first = run(module, 0)?;
    let second = run(module, RUBBISH)?;
    if let Some(id) = first.first_difference(&second) {
        let digest = |proof: &Proof| hex(&proof.vectors[id as usize].digest);
        return Err(ProveError::NotDeterministic {
            id,
            first: digest(&first),
            second: digest(&second),
        });
    }
    Ok(first)
}

fn run_all<P: Probe>(module: &PluginModule, fill: u8) -> Result<Proof, ProveError> {
    let mut vectors = Vec::new();
    let mut set = blake3::Hasher::new_derive_key(SET_CONTEXT);
    for case in P::cases() {
        run_case(module, &case, fill, &mut vectors)?;
    }
    for vector in &vectors {
        set.update(&vector.digest);
    }
    Ok(Proof {
        digest: *set.finalize().as_bytes(),
        vectors,
    })
}

fn run_case<P: Probe>(
    module: &PluginModule,
    case: &Case<P>,
    fill: u8,
    vectors: &mut Vec<VectorDigest>,
) -> Result<(), ProveError> {
    let mut instance = P::build(module, &setup(""), &case.site).map_err(|source| ProveError::Build {
        case: case.name,
        source,
    })?;
    let mut bytes = Vec::new();
    for call in &case.calls {
        let (id, case, name) = (vectors.len() as u32, case.name, call.name);
        let mut output = P::output(&call.input, fill);
        bytes.clear();
        match P::call(&mut instance, &call.input, &mut output) {
            Ok(()) if call.must == Must::Refuse => return Err(ProveError::Accepted { id, case, call: name }),
            Ok(()) => {
                bytes.push(1);
                P::bytes(&mut output, &mut bytes).ok_or(ProveError::NotFinite { id, case, call: name })?;
            }
            Err(error) if error.code == code::PANIC => {
                return Err(ProveError::Panicked {
                    id,
                    case,
                    call: name,
                    message: error.message.into_string(),
                });
            }
            Err(source) if call.must == Must::Answer => {
                return Err(ProveError::Refused {
                    id,
                    case,
                    call: name,
                    source,
                });
            }
            Err(error) => {
                bytes.push(0);
                bytes.extend_from_slice(&error.code.to_le_bytes());
            }
        }
        vectors.push(VectorDigest {
            id,
            digest: blake3::derive_key(VECTOR_CONTEXT, &bytes),
        });
    }
    Ok(())
}

fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
