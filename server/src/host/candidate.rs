//! From an operator's wish, or a stage that failed, to a generation that is ready to take over.

use tapline_plugin_api::StageKind;
use tapline_witness::{
    body::{BuildRow, swap_reason},
    hash::{Domain, Hash, ZERO},
};

use super::{
    builds::{self, Proving},
    error::HostError,
    generation::Generation,
    golden,
    manifest::{CpuLevel, Digest, Manifest, PluginRow},
    manifest_write::{Draft, linked_row, stage_kinds},
    stages,
    swap::Preparer,
};

/// Longest configuration table of a swap, bytes.
pub const MAX_TABLE_BYTES: usize = 16 * 1024;

/// Another plugin for a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The stage.
    pub stage: StageKind,
    /// Where the code is.
    pub source: Source,
    /// BLAKE3 that the file must have; none: whatever it has is recorded.
    pub blake3: Option<Digest>,
    /// Its configuration table, TOML; none: the configured one.
    pub table: Option<String>,
}

/// Where a candidate's code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A plugin of the plugin directory.
    Directory(String),
    /// A stage that is linked into the program.
    Linked(String),
    /// What an earlier manifest named.
    Row(Box<PluginRow>),
    /// The plugin before the one that runs.
    Before,
}

/// A generation that is proved and built, and what goes into its SWAP leaf.
pub struct Ready {
    /// The stage that is exchanged; of several the first.
    pub stage: StageKind,
    /// The generation.
    pub generation: Generation,
    /// Evidence for the leaf.
    pub evidence: Evidence,
}

/// What a SWAP leaf says of the golden vectors and files of the stage that is exchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Vectors run: twice each.
    pub run: u32,
    /// Of which with the same digest in both runs.
    pub passed: u32,
    /// Of which not.
    pub failed: u32,
    /// The vectors' digests, id u32 and 32 bytes each: the artefact that `golden_set` names. Empty: none.
    pub golden: Vec<u8>,
    /// Digest over (vector id, expected, got).
    pub results: Hash,
    /// Files of the new manifest on this machine.
    pub builds: Vec<BuildRow>,
}

/// An attempt that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Reason code of the leaf.
    pub reason: u16,
    /// In words.
    pub why: String,
    /// The manifest that would have been, when it could be written.
    pub manifest: Option<Manifest>,
    /// What was measured of the golden vectors.
    pub evidence: Evidence,
}

/// What a recovery starts from.
#[derive(Clone, Debug)]
pub struct RecoveryOrder {
    /// The manifest whose stages failed.
    pub manifest: Manifest,
    /// The stages.
    pub failed: Vec<StageKind>,
    /// Rows that ran well before, of each stage, the newest last.
    pub(super) good: [Vec<PluginRow>; 3],
    /// Rows that failed in this process.
    pub(super) condemned: Vec<PluginRow>,
}

impl Refused {
    fn new(error: &HostError, manifest: Option<Manifest>) -> Self {
        let failed = u32::from(matches!(error, HostError::Golden { .. }));
        Self {
            reason: reason_of(error),
            why: error.to_string(),
            manifest,
            // Which vector failed stands in the words; that one did is all that is known here.
            evidence: Evidence {
                run: failed,
                failed,
                ..Evidence::default()
            },
        }
    }
}

/// The reason code of a host's error.
pub const fn reason_of(error: &HostError) -> u16 {
    match error {
        HostError::Gate { .. } => swap_reason::GATE,
        HostError::Golden { .. } => swap_reason::GOLDEN,
        HostError::FileDiffers { .. } | HostError::AskedFor { .. } => swap_reason::HASH,
        HostError::State { .. } | HostError::StateBlob { .. } => swap_reason::STATE,
        HostError::FpEnv { .. } => swap_reason::FPENV,
        _ => swap_reason::LOAD,
    }
}

impl Preparer {
    /// Loads, gates, proves and builds a candidate beside what runs. `current` is the manifest it will follow.
    ///
    /// # Errors
    /// [`Refused`], with the reason for the leaf.
    pub fn candidate(&self, current: &Manifest, candidate: &Candidate) -> Result<Ready, Box<Refused>> {
        let early = |error: HostError| Box::new(Refused::new(&error, None));
        let row = self.row_of(current, candidate).map_err(early)?;
        if row.stage != candidate.stage {
            return Err(early(HostError::Candidate {
                why: format!(
                    "`{}` is a plugin for the stage {}, not for {}",
                    row.name,
                    row.stage.name(),
                    candidate.stage.name()
                ),
            }));
        }
        let mut draft = Draft::after(current);
        draft.replace(row);
        let manifest = draft.write().map_err(early)?;
        match self.prepare(manifest.clone()) {
            Ok(generation) => Ok(Ready {
                stage: candidate.stage,
                evidence: generation.evidence(candidate.stage),
                generation,
            }),
            Err(error) => Err(Box::new(Refused::new(&error, Some(manifest)))),
        }
    }

    fn row_of(&self, current: &Manifest, candidate: &Candidate) -> Result<PluginRow, HostError> {
        let spec = &self.spec;
        let configured = spec.tables.of(candidate.stage);
        let table = candidate.table.as_deref().unwrap_or(configured);
        if table.len() > MAX_TABLE_BYTES {
            return Err(HostError::Candidate {
                why: format!(
                    "the configuration is {} bytes, at most {MAX_TABLE_BYTES} are allowed",
                    table.len()
                ),
            });
        }
        let mut row = match &candidate.source {
            Source::Directory(name) => {
                let level = spec.cpu.unwrap_or_else(CpuLevel::of_this_machine);
                let proving = Proving::Best(level);
                builds::row_of(
                    &spec.plugin_dir,
                    name,
                    table,
                    proving,
                    candidate.blake3,
                    spec.proof_time,
                )?
            }
            Source::Linked(name) => {
                let Some(module) = stages::named(spec.linked, candidate.stage, name) else {
                    return Err(HostError::NotLinked {
                        name: name.clone(),
                        known: stages::names(spec.linked, candidate.stage),
                    });
                };
                linked_row(module, &golden::prove(name, module, spec.proof_time)?, table)
            }
            Source::Row(row) => return Ok((**row).clone()),
            Source::Before => {
                return Err(HostError::Candidate {
                    why: "there is no plugin before this one".into(),
                });
            }
        };
        row.table = (table != configured && !table.is_empty()).then(|| table.to_owned());
        if current.plugin(candidate.stage) == Some(&row) {
            return Err(HostError::Candidate {
                why: format!("`{}` with this configuration runs already", row.name),
            });
        }
        Ok(row)
    }

    /// What takes over from failed stages: for each the last plugin that ran well, else a stage that is linked in. A stage for
    /// which nothing is left that has not failed itself stays out; none when that is so of all.
    ///
    /// # Errors
    /// [`HostError`] when what is left does not come up.
    pub fn recover(&self, order: &RecoveryOrder) -> Result<Option<Ready>, HostError> {
        let mut choices = Vec::new();
        for &stage in &order.failed {
            let options = self.stand_ins(order, stage)?;
            if !options.is_empty() {
                choices.push((stage, options));
            }
        }
        let Some(&(stage, _)) = choices.first() else {
            return Ok(None);
        };
        let longest = choices.iter().map(|(_, options)| options.len()).max().unwrap_or(0);
        let mut last = None;
        for rank in 0..longest {
            let mut draft = Draft::after(&order.manifest);
            for (_, options) in &choices {
                draft.replace(options[rank.min(options.len() - 1)].clone());
            }
            match draft.write().and_then(|manifest| self.prepare(manifest)) {
                Ok(generation) => {
                    return Ok(Some(Ready {
                        stage,
                        evidence: generation.evidence(stage),
                        generation,
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a stand-in for a failed stage does not come up; trying the next");
                    last = Some(error);
                }
            }
        }
        last.map_or(Ok(None), Err)
    }

    /// Rows that may take over, best first.
    fn stand_ins(&self, order: &RecoveryOrder, stage: StageKind) -> Result<Vec<PluginRow>, HostError> {
        let now = order.manifest.plugin(stage);
        let fit = |row: &PluginRow| Some(row) != now && !order.condemned.contains(row);
        let mut rows: Vec<PluginRow> = order.good[stage as usize]
            .iter()
            .rev()
            .filter(|r| fit(r))
            .cloned()
            .collect();
        for module in self.spec.linked {
            let about = (module.describe)();
            if about.stage != stage {
                continue;
            }
            let proof = golden::prove(&about.name, module, self.spec.proof_time)?;
            // The configured table was written for the configured plugin; another one gets its defaults.
            let same = now.is_some_and(|row| row.name == about.name.as_str() && row.table.is_none());
            let tables = same.then(|| self.spec.tables.of(stage)).into_iter().chain([""]);
            let before = rows.len();
            rows.extend(tables.map(|table| linked_row(module, &proof, table)).filter(fit));
            if rows.len() > before {
                // The golden vectors of the others take their time, and one is enough: should it fail too, it is
                // condemned and the next recovery goes on from there.
                break;
            }
        }
        Ok(rows)
    }

    /// Runs the golden vectors of the stages that would take over first, so that a recovery does not have to wait for
    /// them.
    pub fn warm_up(&self) {
        for module in stage_kinds()
            .into_iter()
            .filter_map(|s| stages::default(self.spec.linked, s))
        {
            let about = (module.describe)();
            if let Err(error) = golden::prove(&about.name, module, self.spec.proof_time) {
                tracing::warn!(%error, "a built-in stage cannot stand in for a plugin");
            }
        }
    }
}

impl Generation {
    /// What a SWAP leaf says of a stage of this generation.
    pub fn evidence(&self, stage: StageKind) -> Evidence {
        let builds = self.builds();
        let Some(proof) = &self.proofs[stage as usize] else {
            return Evidence {
                builds,
                ..Evidence::default()
            };
        };
        let mut golden = Vec::with_capacity(36 * proof.vectors.len());
        let mut results = Domain::Blob.hasher();
        for vector in &proof.vectors {
            golden.extend_from_slice(&vector.id.to_le_bytes());
            golden.extend_from_slice(&vector.digest);
            // A proof exists only when the second run gave what the first gave.
            results.update(&vector.id.to_le_bytes());
            results.update(&vector.digest);
            results.update(&vector.digest);
        }
        let run = proof.vectors.len() as u32;
        Evidence {
            run,
            passed: run,
            failed: 0,
            golden,
            results: *results.finalize().as_bytes(),
            builds,
        }
    }
}

impl Evidence {
    /// Hash of the artefact with the golden vectors' digests; zero without one.
    pub fn golden_set(&self) -> Hash {
        if self.golden.is_empty() {
            ZERO
        } else {
            Domain::Blob.hash(&self.golden)
        }
    }
}
