//! Building a bundle from a log: which entries a range needs, how long they are, and their bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    BundleError, MAX_CYCLES,
    data::{CycleOpening, Opening},
    read::EntryKind,
    tiles_needed,
    write::Plan,
};
use crate::{
    body::{Body, PrivacyClass, PrivacyModeCode},
    hash::{Hash, ZERO},
    leaf::{self, Leaf, flags},
    tile::{TILE_WIDTH, TilePath, put_entry},
    tree::{TileSource, TreeError, read_tile},
};

/// What is kept of a cycle, with the salts: an owned [`CycleOpening`] and the state of a keyframe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptCycle {
    /// Salt and bytes of inputs, stages and outcome; none when forgotten.
    pub fields: [Option<(Hash, Vec<u8>)>; 3],
    /// Salt and bytes of the state, on keyframes.
    pub state: Option<(Hash, Vec<u8>)>,
}

/// A log a bundle can be cut from. All answers must be of one snapshot.
pub trait LogSource: TileSource {
    /// The error of the source.
    type Error: From<BundleError> + From<TreeError>;

    /// The leaves `first..end`, all of them.
    fn leaves(&self, first: u64, end: u64) -> Result<Vec<Vec<u8>>, Self::Error>;

    /// Indices of the BOOT leaf of the boot that leaf `seq` belongs to, and of the leaves between it and
    /// `seq` that [`crate::walk::is_context`].
    fn context(&self, seq: u64) -> Result<Vec<u64>, Self::Error>;

    /// Indices of the KEY leaves below `size`, ascending.
    fn key_leaves(&self, size: u64) -> Result<Vec<u64>, Self::Error>;

    /// What is kept of a cycle; none when nothing is.
    fn kept(&self, seq: u64) -> Result<Option<KeptCycle>, Self::Error>;

    /// Lengths of what [`Self::kept`] gives: inputs, stages, outcome, state.
    fn kept_lens(&self, seq: u64) -> Result<Option<[Option<u64>; 4]>, Self::Error>;

    /// An artefact; none when it is not kept.
    fn blob(&self, hash: &Hash) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// What to put into a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleRequest {
    /// First leaf.
    pub from: u64,
    /// One past the last leaf.
    pub to: u64,
    /// Raw input and keyframe state too. The range is then extended back to the keyframe a replay starts from.
    pub inputs: bool,
    /// Size and signed note of the checkpoint: published, and at least `to`.
    pub checkpoint: (u64, String),
    /// Size and signed note of the checkpoint the client has seen.
    pub old: Option<(u64, String)>,
}

/// A bundle ready to be written.
#[derive(Debug)]
pub struct Prepared<'a, S> {
    source: &'a S,
    request: BundleRequest,
    plan: Plan,
    /// Disclosed cycles by tile.
    cycles: BTreeMap<u64, Vec<u64>>,
    disclosed: Vec<Disclosed>,
}

/// A cycle of which a bundle gives out more than its leaf, and what its leaf says it ran in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disclosed {
    /// Its leaf.
    pub seq: u64,
    /// The class it ran in.
    pub class: PrivacyClass,
    /// The mode it ran in.
    pub mode: PrivacyModeCode,
}

/// Why raw input cannot be put into a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputsWithheld {
    /// A cycle of the range ran in class Anonymous or Restricted.
    Privacy,
    /// Some of it is forgotten.
    Forgotten,
}

impl<'a, S: LogSource> Prepared<'a, S> {
    /// Plans a bundle. When raw input was asked for and cannot be given, the bundle is planned without any,
    /// and the reason comes with it.
    ///
    /// # Errors
    /// An empty range or one beyond the checkpoint; more cycles or bytes than a bundle may have.
    pub fn new(source: &'a S, request: BundleRequest) -> Result<(Self, Option<InputsWithheld>), S::Error> {
        check_range(&request)?;
        let mut range = Range::new(source, &request)?;
        let withheld = if request.inputs { range.inputs_withheld() } else { None };
        let inputs = request.inputs && withheld.is_none();
        if request.inputs && !inputs {
            range = Range::new(
                source,
                &BundleRequest {
                    inputs: false,
                    ..request.clone()
                },
            )?;
        }
        let request = BundleRequest {
            from: range.from,
            inputs,
            ..request
        };
        let (entries, cycles) = range.entries(source, &request)?;
        let plan = Plan::new(entries)?;
        Ok((
            Self {
                source,
                request,
                plan,
                cycles,
                disclosed: range.disclosed(),
            },
            withheld,
        ))
    }

    /// Names and lengths.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The request as it is answered: with the range begun at a keyframe, and without inputs when they are withheld.
    pub const fn request(&self) -> &BundleRequest {
        &self.request
    }

    /// The cycles of which more than the leaf is given out, in order; with inputs also those before the range that was
    /// asked for.
    pub fn disclosed(&self) -> &[Disclosed] {
        &self.disclosed
    }

    /// Names these very bytes: the same range, checkpoint and kept data give the same digest, and everything
    /// in a bundle follows by hash from what is digested.
    pub fn digest(&self) -> Hash {
        let mut hasher = crate::hash::Domain::Blob.hasher();
        hasher.update(request_text(&self.request).as_bytes());
        let notes = [Some(&self.request.checkpoint), self.request.old.as_ref()];
        for (_, note) in notes.into_iter().flatten() {
            hasher.update(&(note.len() as u64).to_le_bytes());
            hasher.update(note.as_bytes());
        }
        for (name, len) in self.plan.entries() {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&len.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Writes the bundle.
    pub fn write(&self, out: &mut impl std::io::Write) -> Result<(), S::Error> {
        self.write_range(out, 0..self.plan.bundle_len())
    }

    /// Writes these bytes of the bundle; entries before and after them are not even read.
    pub fn write_range(&self, out: &mut impl std::io::Write, bytes: std::ops::Range<u64>) -> Result<(), S::Error> {
        self.plan.write_range(out, bytes, |name| self.content(name))
    }

    fn content(&self, name: &str) -> Result<Vec<u8>, S::Error> {
        let missing = || BundleError::Missing { name: name.to_owned() };
        match EntryKind::from_name(name).ok_or_else(missing)? {
            EntryKind::Request => Ok(request_text(&self.request).into_bytes()),
            EntryKind::Checkpoint => Ok(self.request.checkpoint.1.clone().into_bytes()),
            EntryKind::OldCheckpoint => Ok(self.request.old.as_ref().ok_or_else(missing)?.1.clone().into_bytes()),
            EntryKind::Tile(TilePath::Hashes(id)) => Ok(read_tile(self.source, id)?),
            EntryKind::Tile(TilePath::Entries { index, width }) => {
                let first = index * TILE_WIDTH as u64;
                let mut out = Vec::new();
                for leaf in self.source.leaves(first, first + u64::from(width))? {
                    put_entry(&leaf, &mut out);
                }
                Ok(out)
            }
            EntryKind::Data(tile) => {
                let mut out = Vec::new();
                for seq in self.cycles.get(&tile).into_iter().flatten() {
                    let kept = self.source.kept(*seq)?.ok_or_else(missing)?;
                    let mut fields = kept
                        .fields
                        .each_ref()
                        .map(|field| field.as_ref().map(|(salt, bytes)| Opening { salt: *salt, bytes }));
                    if !self.request.inputs {
                        fields[0] = None;
                    }
                    CycleOpening { seq: *seq, fields }.put(&mut out);
                }
                Ok(out)
            }
            EntryKind::State(seq) => {
                let (salt, state) = self.source.kept(seq)?.and_then(|kept| kept.state).ok_or_else(missing)?;
                Ok([&salt[..], &state].concat())
            }
            EntryKind::Blob(hash) => Ok(self.source.blob(&hash)?.ok_or_else(missing)?),
        }
    }
}

fn check_range(request: &BundleRequest) -> Result<(), BundleError> {
    let BundleRequest {
        from,
        to,
        checkpoint: (size, _),
        old,
        ..
    } = request;
    let problem = |name: &str, problem: String| {
        Err(BundleError::Entry {
            name: name.into(),
            problem,
        })
    };
    if from >= to || to > size {
        return problem("range", format!("{from} to {to} is no range of a log of {size} leaves"));
    }
    if to - from > MAX_CYCLES {
        return Err(BundleError::Limit {
            what: "number of leaves",
            limit: MAX_CYCLES,
            found: to - from,
        });
    }
    match old {
        Some((old_size, _)) if old_size > size => problem(
            "checkpoint.old",
            format!("of size {old_size}, the checkpoint is of size {size}"),
        ),
        _ => Ok(()),
    }
}

fn request_text(request: &BundleRequest) -> String {
    let BundleRequest {
        from,
        to,
        inputs,
        checkpoint: (size, _),
        ..
    } = request;
    format!(
        "from {from}\nto {to}\ninputs {}\ncheckpoint {size}\n",
        u8::from(*inputs)
    )
}

/// A range of leaves with what it needs beside them. The leaves themselves are looked at a tile at a time.
struct Range {
    from: u64,
    /// Indices of entry bundles, of the range and of its context, with their lengths.
    bundles: BTreeMap<u64, u64>,
    cycles: Vec<RangeCycle>,
    /// The manifests, configurations and calibrations the range ran under.
    artefacts: BTreeSet<Hash>,
}

struct RangeCycle {
    seq: u64,
    class: PrivacyClass,
    mode: PrivacyModeCode,
    kept: Option<[Option<u64>; 4]>,
}

impl Range {
    fn new<S: LogSource>(source: &S, request: &BundleRequest) -> Result<Self, S::Error> {
        let keyframe = if request.inputs {
            keyframe_before(source, request.from)?
        } else {
            None
        };
        let from = keyframe.unwrap_or(request.from);
        let (size, _) = request.checkpoint;
        let mut range = Self {
            from,
            bundles: BTreeMap::new(),
            cycles: Vec::new(),
            artefacts: BTreeSet::new(),
        };
        let context = source.context(from)?;
        let width = TILE_WIDTH as u64;
        // Who has to sign the checkpoint follows from GENESIS and every KEY leaf below it.
        let keys = source.key_leaves(size)?;
        let genesis = (!keys.is_empty()).then_some(0);
        let touched: BTreeSet<u64> = (from / width..=(request.to - 1) / width)
            .chain(context.iter().chain(&keys).chain(&genesis).map(|seq| seq / width))
            .collect();
        for index in touched {
            let first = index * width;
            let leaves = source.leaves(first, (first + width).min(size))?;
            range
                .bundles
                .insert(index, leaves.iter().map(|leaf| 2 + leaf.len() as u64).sum());
            for (seq, bytes) in (first..).zip(&leaves) {
                if (from..request.to).contains(&seq) || context.binary_search(&seq).is_ok() {
                    let kept = |seq| source.kept_lens(seq);
                    range.note(&decode::<S::Error>(bytes)?, (from..request.to).contains(&seq), kept)?;
                }
            }
        }
        range.artefacts.remove(&ZERO);
        Ok(range)
    }

    fn note<E>(
        &mut self,
        leaf: &Leaf,
        in_range: bool,
        kept: impl FnOnce(u64) -> Result<Option<[Option<u64>; 4]>, E>,
    ) -> Result<(), E> {
        match &leaf.body {
            Body::Cycle(cycle) if in_range => {
                self.artefacts
                    .extend([cycle.manifest_hash, cycle.config_hash, cycle.calibration_id]);
                self.cycles.push(RangeCycle {
                    seq: leaf.header.seq,
                    class: cycle.privacy_class,
                    mode: cycle.privacy_mode,
                    kept: kept(leaf.header.seq)?,
                });
            }
            Body::Boot(boot) => {
                self.artefacts
                    .extend([boot.manifest_hash, boot.config_hash, boot.calibration_id]);
            }
            // One that no cycle ran under is put in force all the same.
            Body::Calibration(calibration) => {
                self.artefacts.insert(calibration.new_calibration_id);
            }
            _ => {}
        }
        Ok(())
    }

    fn disclosed(&self) -> Vec<Disclosed> {
        let kept = self.cycles.iter().filter(|cycle| cycle.kept.is_some());
        kept.map(|&RangeCycle { seq, class, mode, .. }| Disclosed { seq, class, mode })
            .collect()
    }

    fn inputs_withheld(&self) -> Option<InputsWithheld> {
        let open = |cycle: &RangeCycle| matches!(cycle.class, PrivacyClass::Raw | PrivacyClass::Derived);
        let has_inputs = |cycle: &RangeCycle| cycle.kept.is_some_and(|lens| lens[0].is_some());
        // A range from before the first cycle of a boot begins with that one, which is a keyframe.
        let begins_with_a_state = self
            .cycles
            .first()
            .is_some_and(|c| c.kept.is_some_and(|lens| lens[3].is_some()));
        if !self.cycles.iter().all(open) {
            Some(InputsWithheld::Privacy)
        } else if !begins_with_a_state || !self.cycles.iter().all(has_inputs) {
            Some(InputsWithheld::Forgotten)
        } else {
            None
        }
    }

    #[allow(clippy::type_complexity, reason = "names with lengths, and disclosed cycles by tile")]
    fn entries<S: LogSource>(
        &self,
        source: &S,
        request: &BundleRequest,
    ) -> Result<(Vec<(String, u64)>, BTreeMap<u64, Vec<u64>>), S::Error> {
        let (size, note) = &request.checkpoint;
        let mut entries = vec![
            (EntryKind::Checkpoint.name(), note.len() as u64),
            (EntryKind::Request.name(), request_text(request).len() as u64),
        ];
        if let Some((_, note)) = &request.old {
            entries.push((EntryKind::OldCheckpoint.name(), note.len() as u64));
        }
        let old = request.old.as_ref().map(|(size, _)| *size);
        for id in tiles_needed(*size, self.bundles.keys().copied(), old) {
            entries.push((id.to_string(), 32 * u64::from(id.width)));
        }
        for (index, len) in &self.bundles {
            let width = (size - index * TILE_WIDTH as u64).min(TILE_WIDTH as u64) as u16;
            entries.push((TilePath::Entries { index: *index, width }.to_string(), *len));
        }
        let mut data: BTreeMap<u64, (u64, Vec<u64>)> = BTreeMap::new();
        for cycle in &self.cycles {
            let Some(lens) = cycle.kept else { continue };
            let (len, cycles) = data.entry(cycle.seq / TILE_WIDTH as u64).or_default();
            *len += 8 + 3;
            for (index, field) in lens[..3].iter().enumerate() {
                if let Some(bytes) = field.filter(|_| index != 0 || request.inputs) {
                    *len += 36 + bytes;
                }
            }
            cycles.push(cycle.seq);
        }
        for (tile, (len, _)) in &data {
            entries.push((EntryKind::Data(*tile).name(), *len));
        }
        // A replay begins with the first, and compares its own state with the others.
        let states = self.cycles.iter().filter(|_| request.inputs);
        for (seq, len) in states.filter_map(|c| Some((c.seq, c.kept?[3]?))) {
            entries.push((EntryKind::State(seq).name(), 32 + len));
        }
        for hash in &self.artefacts {
            if let Some(bytes) = source.blob(hash)? {
                entries.push((EntryKind::Blob(*hash).name(), bytes.len() as u64));
            }
        }
        Ok((
            entries,
            data.into_iter().map(|(tile, (_, cycles))| (tile, cycles)).collect(),
        ))
    }
}

/// The last keyframe at or before `seq` whose state is kept, looked for in this tile and the two before.
fn keyframe_before<S: LogSource>(source: &S, seq: u64) -> Result<Option<u64>, S::Error> {
    let first = (seq / TILE_WIDTH as u64).saturating_sub(2) * TILE_WIDTH as u64;
    for bytes in source.leaves(first, seq + 1)?.iter().rev() {
        let leaf = decode::<S::Error>(bytes)?;
        let keyframe = leaf.header.flags & flags::KEYFRAME != 0;
        if keyframe && matches!(source.kept_lens(leaf.header.seq)?, Some([.., Some(_)])) {
            return Ok(Some(leaf.header.seq));
        }
    }
    Ok(None)
}

fn decode<E: From<BundleError>>(bytes: &[u8]) -> Result<Leaf, E> {
    let decoded = leaf::decode(bytes).map_err(|error| BundleError::Entry {
        name: "leaf".into(),
        problem: error.to_string(),
    });
    Ok(decoded?)
}
