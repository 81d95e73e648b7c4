//! The verifier: what a bundle proves to someone who trusts nothing but a policy file.
//!
//! Each level is PASS, FAIL or NOT_CHECKED with a reason. A check that did not run never counts as passed,
//! and there is no tolerance anywhere: bits are equal or they are not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{Read, Seek},
};

use serde::Serialize;

use crate::{
    body::{Body, Cycle, Genesis, Key},
    bundle::{
        BundleError,
        data::{self, FIELDS},
        read::{Bundle, EntryKind},
        tiles_needed,
    },
    checkpoint::{Checkpoint, CheckpointError},
    codec::Reader,
    hash::{Domain, Field, Hash, ZERO, commit, log_id},
    leaf::{self, Kind, Leaf, flags},
    lists,
    note::{KeyType, NoteError, SignedNote, Verifier},
    outcome_codec::decode_outcome,
    policy::Policy,
    tile::{self, TILE_WIDTH, TileId, TilePath},
    tree::{Edge, TileSource, TreeError, leaf_hash, root_at, subtree},
    walk::Walk,
    who::{self, Named, Vouched},
};

/// What is proven, each without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// The bundle is well formed.
    Format,
    /// The checkpoint is signed by a log of the policy.
    Authentic,
    /// Every byte follows by hash from the checkpoint, and the leaves keep the rules between them.
    Integrity,
    /// The log continues what was seen before.
    Consistent,
    /// The witnesses the policy asks for have seen the checkpoint.
    Witnessed,
    /// The checkpoint is as young as asked for.
    Fresh,
    /// The named code produces these very bits.
    Replayed,
}

impl Level {
    /// All levels in the order they are checked.
    pub const ALL: [Self; 7] = [
        Self::Format,
        Self::Authentic,
        Self::Integrity,
        Self::Consistent,
        Self::Witnessed,
        Self::Fresh,
        Self::Replayed,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "FORMAT",
            Self::Authentic => "AUTHENTIC",
            Self::Integrity => "INTEGRITY",
            Self::Consistent => "CONSISTENT",
            Self::Witnessed => "WITNESSED",
            Self::Fresh => "FRESH",
            Self::Replayed => "REPLAYED",
        }
    }
}

/// What became of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail(String),
    /// Nothing is known about it.
    NotChecked(String),
}

/// A checkpoint of a log, seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// What to check against.
#[derive(Clone, Debug)]
pub struct VerifyRequest<'a> {
    /// Whom to trust.
    pub policy: &'a Policy,
    /// What was seen of each log before, by origin.
    pub seen: &'a BTreeMap<String, Seen>,
    /// True when a seen checkpoint must be there and be continued (a state file was given).
    pub must_be_consistent: bool,
    /// The present, Unix seconds, and how much older the signed time may be: for [`Level::Fresh`].
    pub fresh: Option<(u64, u64)>,
    /// True when [`Level::Replayed`] will be filled in by the caller and must pass.
    pub replay: bool,
}

/// What a bundle proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Origin of the log, as far as it was readable.
    pub origin: Option<String>,
    /// Size of the checkpoint.
    pub size: Option<u64>,
    /// Its root, hexadecimal.
    pub root: Option<String>,
    /// Time of the latest cosignature, Unix seconds.
    pub time_s: Option<u64>,
    /// Leaves proven to be in the log.
    pub leaves: u64,
    /// First and last cycle whose commitments were opened.
    pub cycles: Option<(u64, u64)>,
    /// How many of them.
    pub cycles_opened: u64,
    /// Cycles whose raw input is disclosed.
    pub inputs_opened: u64,
    /// The verdicts, one a level; in JSON an object by level name.
    #[serde(serialize_with = "as_object")]
    pub levels: Vec<(Level, Verdict)>,
    /// Levels that had to pass.
    pub required: Vec<Level>,
}

fn as_object<S: serde::Serializer>(levels: &[(Level, Verdict)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(levels.iter().map(|(level, verdict)| (level.name(), verdict)))
}

impl Report {
    /// True when every required level passed.
    pub fn is_accepted(&self) -> bool {
        self.required.iter().all(|level| *self.verdict(*level) == Verdict::Pass)
    }

    /// The verdict of a level.
    pub fn verdict(&self, level: Level) -> &Verdict {
        &self.levels[level as usize].1
    }

    /// Replaces the verdict of a level.
    pub fn set(&mut self, level: Level, verdict: Verdict) {
        self.levels[level as usize].1 = verdict;
    }

    /// What to remember of the log for next time.
    pub fn seen(&self) -> Option<(String, Seen)> {
        let root = hex::decode(self.root.as_ref()?).ok()?.try_into().ok()?;
        Some((self.origin.clone()?, Seen { size: self.size?, root }))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, verdict) in &self.levels {
            match verdict {
                Verdict::Pass => writeln!(f, "{:<11} PASS", level.name())?,
                Verdict::Fail(reason) => writeln!(f, "{:<11} FAIL         {reason}", level.name())?,
                Verdict::NotChecked(reason) => writeln!(f, "{:<11} NOT_CHECKED  {reason}", level.name())?,
            }
        }
        if let (Some(origin), Some(size)) = (&self.origin, self.size) {
            writeln!(f, "log {origin}, size {size}")?;
        }
        match self.cycles {
            Some((first, last)) => write!(f, "{} leaves, cycles {first} to {last} opened", self.leaves),
            None => write!(f, "{} leaves, no cycle opened", self.leaves),
        }
    }
}

/// Verifies a bundle. It never fails as a call: whatever is wrong is in the report.
pub fn verify(input: impl Read + Seek, request: &VerifyRequest<'_>) -> Report {
    let unchecked = |level| (level, Verdict::NotChecked("an earlier check failed".into()));
    let mut required = vec![Level::Format, Level::Authentic, Level::Integrity];
    let mut report = Report {
        origin: None,
        size: None,
        root: None,
        time_s: None,
        leaves: 0,
        cycles: None,
        cycles_opened: 0,
        inputs_opened: 0,
        levels: Level::ALL.into_iter().map(unchecked).collect(),
        required: Vec::new(),
    };
    for (level, wanted) in [
        (Level::Consistent, request.must_be_consistent),
        (Level::Witnessed, request.policy.has_quorum()),
        (Level::Fresh, request.fresh.is_some()),
        (Level::Replayed, request.replay),
    ] {
        if wanted {
            required.push(level);
        }
    }
    report.required = required;
    let mut run = Run { request, report };
    if let Err((level, reason)) = run.all(input) {
        run.report.set(level, Verdict::Fail(reason));
    }
    run.report
}

type Failed = (Level, String);

fn at<E: fmt::Display>(level: Level) -> impl Fn(E) -> Failed {
    move |error| (level, error.to_string())
}

struct Run<'a> {
    request: &'a VerifyRequest<'a>,
    report: Report,
}

/// The checkpoint of a bundle, its signatures not yet looked at.
struct Head {
    note: Vec<u8>,
    checkpoint: Checkpoint,
}

impl Run<'_> {
    fn all<R: Read + Seek>(&mut self, input: R) -> Result<(), Failed> {
        let mut bundle = Bundle::open(input).map_err(at(Level::Format))?;
        let head = read_head(&mut bundle, &EntryKind::Checkpoint)?;
        let old = match bundle.has(&EntryKind::OldCheckpoint) {
            true => Some(read_head(&mut bundle, &EntryKind::OldCheckpoint)?),
            false => None,
        };
        self.report.origin = Some(head.checkpoint.origin.to_string());
        self.report.size = Some(head.checkpoint.size);
        self.report.root = Some(hex::encode(head.checkpoint.root));
        self.report.set(Level::Format, Verdict::Pass);

        let by = self.authentic(&mut bundle, &head, old.as_ref())?;
        self.report.set(Level::Authentic, Verdict::Pass);

        let tiles = integrity_of_tiles(&mut bundle, &head.checkpoint, old.as_ref()).map_err(at(Level::Integrity))?;
        let keys = self.leaves(&mut bundle, &head.checkpoint, &tiles)?;
        let set = who::key_set(keys.genesis.as_ref(), &keys.leaves).map_err(at(Level::Integrity))?;
        self.report.set(Level::Integrity, Verdict::Pass);
        if let Some(set) = &set {
            for (head, by) in [(Some(&head), Some(&by.head)), (old.as_ref(), by.old.as_ref())] {
                if let (Some(head), Some(by)) = (head, by) {
                    who::in_force(set, head.checkpoint.size, &by.signers).map_err(at(Level::Authentic))?;
                }
            }
        }
        let policy = self.request.policy.keys();
        let cosigners: Vec<Verifier> = by.head.signers.into_iter().filter(|key| policy.contains(key)).collect();
        let cosigners: Vec<Verifier> = cosigners
            .into_iter()
            .filter(|key| key.key_type() == KeyType::Cosignature)
            .collect();

        let consistent = self.consistent(&head.checkpoint, old.as_ref(), &tiles);
        self.report.set(Level::Consistent, consistent);
        self.witnessed(&cosigners);
        self.fresh();
        self.report
            .set(Level::Replayed, Verdict::NotChecked("replay was not asked for".into()));
        Ok(())
    }

    /// Both notes are by the log, under the policy.
    fn authentic<R: Read + Seek>(
        &mut self,
        bundle: &mut Bundle<R>,
        head: &Head,
        old: Option<&Head>,
    ) -> Result<By, Failed> {
        let origin = &head.checkpoint.origin;
        if self.request.policy.logs(origin).is_empty() {
            return Err((Level::Authentic, format!("the policy names no log {origin}")));
        }
        if let Some(other) = old.map(|old| &old.checkpoint.origin).filter(|other| *other != origin) {
            let error = CheckpointError::Origin {
                expected: origin.to_string(),
                found: other.to_string(),
            };
            return Err((Level::Authentic, error.to_string()));
        }
        let by = match self.vouch(head, old, &[], None) {
            Ok(by) => by,
            Err(unknown) => {
                // Perhaps a key took over that the policy does not know. Only what is in the tree can say so.
                let Ok(tiles) = integrity_of_tiles(bundle, &head.checkpoint, old) else {
                    return Err((Level::Authentic, unknown));
                };
                let named = named(bundle, origin.as_str(), &tiles);
                if named.is_empty() {
                    return Err((Level::Authentic, unknown));
                }
                self.vouch(head, old, &named, Some(&tiles))
                    .map_err(at(Level::Authentic))?
            }
        };
        self.report.time_s = by.head.time_s;
        Ok(by)
    }

    fn vouch(&self, head: &Head, old: Option<&Head>, named: &[Named], tiles: Option<&Tiles>) -> Result<By, String> {
        let policy = self.request.policy;
        let text = |error: CheckpointError| error.to_string();
        let by = who::vouched(&head.note, &head.checkpoint, policy, named).map_err(text)?;
        let vouched = |old: &Head| who::vouched(&old.note, &old.checkpoint, policy, named).map_err(text);
        let old_by = old.map(vouched).transpose()?;
        if let (Some(old), Some(false)) = (old, old_by.as_ref().map(|by| by.direct)) {
            return Err(text(who::unsigned(&old.checkpoint)));
        }
        if !by.direct {
            let (Some(old), Some(tiles)) = (old, tiles) else {
                return Err(text(who::unsigned(&head.checkpoint)));
            };
            let size = old.checkpoint.size;
            if root_at(tiles, size).ok() != Some(old.checkpoint.root) {
                return Err("checkpoint.old is of another tree: it vouches for no key of this one".into());
            }
            if !by.is_by_key_below(named, size) {
                return Err(format!(
                    "only a key signs that the policy does not name, and no KEY leaf below size {size} of checkpoint.old adds it"
                ));
            }
        }
        Ok(By { head: by, old: old_by })
    }

    fn leaves<R: Read + Seek>(
        &mut self,
        bundle: &mut Bundle<R>,
        checkpoint: &Checkpoint,
        tiles: &Tiles,
    ) -> Result<KeyLeaves, Failed> {
        let failed = |reason: String| (Level::Integrity, reason);
        let mut walk = Walk::new(self.log_id(bundle, checkpoint));
        let mut keys = KeyLeaves::default();
        let mut references = References::default();
        for (index, width) in bundle.entry_bundles() {
            let path = TilePath::Entries { index, width };
            let bytes = bundle.read(&EntryKind::Tile(path)).map_err(at(Level::Integrity))?;
            let leaves = tile::entries(&bytes, width).map_err(at(Level::Integrity))?;
            let hashes = &tiles.0[&(0, index)].1;
            let openings = match bundle.has(&EntryKind::Data(index)) {
                true => bundle.read(&EntryKind::Data(index)).map_err(at(Level::Format))?,
                false => Vec::new(),
            };
            if openings.is_empty() && bundle.has(&EntryKind::Data(index)) {
                return Err(failed(format!("data/{index}.bin opens nothing")));
            }
            let mut openings = data::cycles(&openings).peekable();
            for ((offset, bytes), hash) in (0..).zip(&leaves).zip(hashes.chunks_exact(32)) {
                let seq = index * TILE_WIDTH as u64 + offset;
                if leaf_hash(bytes) != *hash {
                    return Err(failed(format!(
                        "leaf {seq}: its bytes are not those hashed in the tree"
                    )));
                }
                let leaf = walk.step(seq, bytes).map_err(at(Level::Integrity))?;
                references.note(&leaf);
                match &leaf.body {
                    Body::Genesis(genesis) => keys.genesis = Some(genesis.clone()),
                    Body::Key(key) => keys.leaves.push((seq, key.clone())),
                    _ => {}
                }
                self.report.leaves += 1;
                if let Some(opening) = openings.next_if(|next| next.as_ref().is_ok_and(|next| next.seq == seq)) {
                    let opening = opening.map_err(at(Level::Format))?;
                    if !walk.in_force_known() {
                        return Err(failed(format!(
                            "cycle {seq}: the leaves of the bundle do not tell what was in force for it"
                        )));
                    }
                    self.open_cycle(&leaf, &opening).map_err(failed)?;
                }
                if bundle.has(&EntryKind::State(seq)) {
                    let entry = bundle.read(&EntryKind::State(seq)).map_err(at(Level::Integrity))?;
                    open_state(&leaf, &entry).map_err(failed)?;
                    references.states.insert(seq);
                }
            }
            match openings.next() {
                None => {}
                Some(Ok(stray)) => return Err(failed(format!("data of cycle {}: no such cycle here", stray.seq))),
                Some(Err(error)) => return Err((Level::Format, format!("data/{index}.bin: {error}"))),
            }
            references.data.insert(index);
        }
        references.check(bundle).map_err(failed)?;
        Ok(keys)
    }

    /// The id that every leaf of the log carries: it follows from the first key the log had. That is one of the policy's,
    /// or GENESIS of the bundle names it, whose place in the tree is checked with all other leaves.
    fn log_id<R: Read + Seek>(&self, bundle: &mut Bundle<R>, checkpoint: &Checkpoint) -> Hash {
        let origin = checkpoint.origin.as_str();
        let mut ids: Vec<Hash> = self
            .request
            .policy
            .logs(&checkpoint.origin)
            .iter()
            .map(|key| log_id(origin, &key.public_key()))
            .collect();
        let mut found = None;
        let (first, width) = bundle.entry_bundles().first().copied().unwrap_or_default();
        let path = TilePath::Entries { index: first, width };
        if let Ok(bytes) = bundle.read(&EntryKind::Tile(path))
            && let Some(leaf) = tile::entries(&bytes, width)
                .ok()
                .and_then(|l| leaf::decode(l.first()?).ok())
        {
            found = Some(leaf.header.log_id);
            if let Body::Genesis(genesis) = leaf.body
                && genesis.origin.as_str() == origin
            {
                ids.push(log_id(origin, &genesis.log_key));
            }
        }
        let fits = ids.iter().find(|id| Some(**id) == found);
        fits.or(ids.first()).copied().unwrap_or(ZERO)
    }

    fn open_cycle(&mut self, leaf: &Leaf, opening: &data::CycleOpening<'_>) -> Result<(), String> {
        let seq = opening.seq;
        let Body::Cycle(cycle) = &leaf.body else {
            return Err(format!("leaf {seq}: data for a leaf that is no cycle"));
        };
        if opening.fields.iter().all(Option::is_none) {
            return Err(format!("cycle {seq}: its record opens nothing"));
        }
        for (field, opened) in FIELDS.into_iter().zip(&opening.fields) {
            let Some(opened) = opened else { continue };
            let expected = commitment(cycle, field);
            if commit(field, &opened.salt, opened.bytes) != expected {
                return Err(format!(
                    "cycle {seq}: {} are not what the leaf commits to",
                    field.name()
                ));
            }
            match field {
                Field::Inputs => {
                    count(seq, "inputs", cycle.n_inputs.into(), lists::inputs(opened.bytes))?;
                    self.report.inputs_opened += 1;
                }
                Field::Stages => count(seq, "stages", cycle.n_stages.into(), lists::stages(opened.bytes))?,
                _ => check_outcome(leaf, cycle, opened.bytes)?,
            }
        }
        let first = self.report.cycles.map_or(seq, |(first, _)| first);
        self.report.cycles = Some((first, seq));
        self.report.cycles_opened += 1;
        Ok(())
    }

    fn consistent(&self, checkpoint: &Checkpoint, old: Option<&Head>, tiles: &Tiles) -> Verdict {
        let seen = self.request.seen.get(checkpoint.origin.as_str());
        let old = old.map(|old| Seen {
            size: old.checkpoint.size,
            root: old.checkpoint.root,
        });
        let before: Vec<Seen> = seen.copied().into_iter().chain(old).collect();
        if before.is_empty() && !self.request.must_be_consistent {
            return Verdict::NotChecked("no earlier checkpoint was given".into());
        }
        for seen in before {
            if seen.size > checkpoint.size {
                return Verdict::Fail(format!(
                    "the log had {} leaves before, now {}",
                    seen.size, checkpoint.size
                ));
            }
            match root_at(tiles, seen.size) {
                Ok(root) if root == seen.root => {}
                Ok(root) => {
                    return Verdict::Fail(format!(
                        "fork: at size {} the root was {}, in this log it is {}",
                        seen.size,
                        hex::encode(seen.root),
                        hex::encode(root)
                    ));
                }
                Err(error) => {
                    return Verdict::NotChecked(format!("{error}: ask for a bundle that continues size {}", seen.size));
                }
            }
        }
        // A checkpoint that the bundle itself brings is none that its reader remembers.
        if seen.is_none() && self.request.must_be_consistent {
            return Verdict::NotChecked("first seen: nothing is remembered of this log".into());
        }
        Verdict::Pass
    }

    fn witnessed(&mut self, cosigners: &[Verifier]) {
        let cosigners: Vec<&Verifier> = cosigners.iter().collect();
        let verdict = if !self.request.policy.has_quorum() {
            Verdict::NotChecked("the policy asks for no witness".into())
        } else if self.request.policy.is_witnessed(&cosigners) {
            Verdict::Pass
        } else {
            Verdict::Fail(format!("{} cosignatures do not make the quorum", cosigners.len()))
        };
        self.report.set(Level::Witnessed, verdict);
    }

    fn fresh(&mut self) {
        let verdict = match (self.request.fresh, self.report.time_s) {
            (None, _) => Verdict::NotChecked("no time to compare with was given".into()),
            (Some(_), None) => Verdict::Fail("the checkpoint carries no signed time".into()),
            (Some((now_s, tolerance_s)), Some(time_s)) => {
                if time_s.abs_diff(now_s) <= tolerance_s {
                    Verdict::Pass
                } else {
                    Verdict::Fail(format!(
                        "signed at {time_s}, it is {now_s} and {tolerance_s} s are allowed"
                    ))
                }
            }
        };
        self.report.set(Level::Fresh, verdict);
    }
}

/// Who vouches for the checkpoints of a bundle.
struct By {
    head: Vouched,
    old: Option<Vouched>,
}

/// The leaves of a bundle that say which keys sign.
#[derive(Default)]
struct KeyLeaves {
    genesis: Option<Genesis>,
    leaves: Vec<(u64, Key)>,
}

/// The keys that KEY leaves of a bundle add: of leaves whose bytes are those hashed in the tree.
fn named<R: Read + Seek>(bundle: &mut Bundle<R>, origin: &str, tiles: &Tiles) -> Vec<Named> {
    let mut named = Vec::new();
    for (index, width) in bundle.entry_bundles() {
        let path = TilePath::Entries { index, width };
        let Ok(bytes) = bundle.read(&EntryKind::Tile(path)) else {
            continue;
        };
        let (Ok(leaves), Some((_, hashes))) = (tile::entries(&bytes, width), tiles.0.get(&(0, index))) else {
            continue;
        };
        for ((seq, bytes), hash) in (index * TILE_WIDTH as u64..).zip(&leaves).zip(hashes.chunks_exact(32)) {
            // The kind is the fifth byte: others are not decoded for this.
            if bytes.get(4) != Some(&(Kind::Key as u8)) || leaf_hash(bytes) != *hash {
                continue;
            }
            if let Ok(Leaf {
                body: Body::Key(key), ..
            }) = leaf::decode(bytes)
            {
                named.extend(Named::of(origin, seq, &key));
            }
        }
    }
    named
}

fn read_head<R: Read + Seek>(bundle: &mut Bundle<R>, kind: &EntryKind) -> Result<Head, Failed> {
    let note = bundle.read(kind).map_err(at(Level::Format))?;
    let parse = || -> Result<Checkpoint, CheckpointError> {
        let parsed = SignedNote::parse(&note)?;
        if parsed.signatures.is_empty() {
            return Err(NoteError::Malformed {
                problem: "no signature",
            }
            .into());
        }
        Checkpoint::from_text(parsed.text)
    };
    let checkpoint = parse().map_err(|error| (Level::Format, format!("{}: {error}", kind.name())))?;
    Ok(Head { note, checkpoint })
}

/// The hash tiles of a bundle: width and hashes by (level, index).
struct Tiles(BTreeMap<(u8, u64), (u16, Vec<u8>)>);

impl TileSource for Tiles {
    fn tile(&self, id: TileId) -> Result<Vec<u8>, TreeError> {
        self.0
            .get(&(id.level, id.index))
            .map(|(_, data)| data.clone())
            .ok_or(TreeError::MissingTile(id))
    }
}

/// Reads the hash tiles and ties every one of them to the root.
fn integrity_of_tiles<R: Read + Seek>(
    bundle: &mut Bundle<R>,
    checkpoint: &Checkpoint,
    old: Option<&Head>,
) -> Result<Tiles, String> {
    let text = |error: BundleError| error.to_string();
    let size = checkpoint.size;
    let bundles = bundle.entry_bundles();
    if bundles.is_empty() {
        return Err("there is no leaf in it: nothing is proven".into());
    }
    for (index, width) in &bundles {
        let in_tree = TilePath::Entries {
            index: *index,
            width: *width,
        }
        .is_in_tree(size);
        if !in_tree || u64::from(*width) != (size - index * TILE_WIDTH as u64).min(TILE_WIDTH as u64) {
            return Err(format!(
                "entry bundle {index} of {width} leaves is not one of a log of {size} leaves"
            ));
        }
    }
    let old_size = old.map(|old| old.checkpoint.size);
    if let Some(old_size) = old_size.filter(|old_size| *old_size > size) {
        return Err(format!(
            "checkpoint.old is of size {old_size}, the checkpoint of size {size}"
        ));
    }
    let needed = tiles_needed(size, bundles.iter().map(|(index, _)| *index), old_size);
    let found = bundle.hash_tiles();
    if let Some(extra) = found.iter().find(|id| needed.binary_search(id).is_err()) {
        return Err(format!("{extra} is not referenced"));
    }
    let mut tiles = Tiles(BTreeMap::new());
    for id in needed {
        let data = bundle.read(&EntryKind::Tile(TilePath::Hashes(id))).map_err(text)?;
        if data.len() != 32 * usize::from(id.width) {
            return Err(format!(
                "{id}: {} bytes, expected {}",
                data.len(),
                32 * usize::from(id.width)
            ));
        }
        tiles.0.insert((id.level, id.index), (id.width, data));
    }
    let root = Edge::restore(size, &tiles).map_err(|error| error.to_string())?.root();
    if root != checkpoint.root {
        return Err("the tiles give another root than the checkpoint signs".into());
    }
    for ((level, index), (width, data)) in &tiles.0 {
        // A tile that is not full lies on the right edge, which the root just covered.
        if usize::from(*width) < TILE_WIDTH {
            continue;
        }
        let id = TileId {
            level: *level,
            index: *index,
            width: *width,
        };
        let parent = tiles
            .0
            .get(&(level + 1, index >> 8))
            .ok_or_else(|| format!("the parent of {id} is missing"))?;
        let at = 32 * (index % TILE_WIDTH as u64) as usize;
        if parent.1.get(at..at + 32) != Some(&subtree(data)[..]) {
            return Err(format!("{id}: not the hashes its parent stands for"));
        }
    }
    Ok(tiles)
}

/// What the leaves of a bundle refer to.
#[derive(Default)]
struct References {
    blobs: BTreeMap<Hash, Domain>,
    data: BTreeSet<u64>,
    states: BTreeSet<u64>,
}

impl References {
    fn note(&mut self, leaf: &Leaf) {
        let mut refer = |domain, hashes: &[&Hash]| {
            for hash in hashes {
                if **hash != ZERO {
                    self.blobs.insert(**hash, domain);
                }
            }
        };
        match &leaf.body {
            Body::Cycle(cycle) => {
                refer(Domain::Manifest, &[&cycle.manifest_hash]);
                refer(Domain::Config, &[&cycle.config_hash]);
                refer(Domain::Calibration, &[&cycle.calibration_id]);
            }
            Body::Boot(boot) => {
                refer(Domain::Manifest, &[&boot.manifest_hash]);
                refer(Domain::Config, &[&boot.config_hash]);
                refer(Domain::Calibration, &[&boot.calibration_id]);
            }
            Body::Swap(swap) => {
                refer(Domain::Manifest, &[&swap.old_manifest_hash, &swap.new_manifest_hash]);
                refer(Domain::Blob, &[&swap.golden_set, &swap.attestation]);
            }
            Body::Config(config) => refer(Domain::Config, &[&config.old_config_hash, &config.new_config_hash]),
            Body::Calibration(calibration) => {
                refer(
                    Domain::Calibration,
                    &[&calibration.old_calibration_id, &calibration.new_calibration_id],
                );
            }
            _ => {}
        }
    }

    /// Everything in the bundle is referred to, and every artefact hashes to its name.
    fn check<R: Read + Seek>(&self, bundle: &mut Bundle<R>) -> Result<(), String> {
        let kinds: Vec<EntryKind> = bundle.kinds().cloned().collect();
        for kind in kinds {
            match &kind {
                EntryKind::Blob(hash) => {
                    let domain = self
                        .blobs
                        .get(hash)
                        .ok_or_else(|| format!("{} is not referenced by any leaf", kind.name()))?;
                    let bytes = bundle.read(&kind).map_err(|error| error.to_string())?;
                    if domain.hash(&bytes) != *hash {
                        return Err(format!("{}: its bytes do not hash to its name", kind.name()));
                    }
                }
                EntryKind::Data(tile) if !self.data.contains(tile) => {
                    return Err(format!("{} belongs to no leaf of the bundle", kind.name()));
                }
                EntryKind::State(seq) if !self.states.contains(seq) => {
                    return Err(format!("{} belongs to no leaf of the bundle", kind.name()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The commitment of a cycle to a field.
pub const fn commitment(cycle: &Cycle, field: Field) -> Hash {
    match field {
        Field::Inputs => cycle.inputs,
        Field::Stages => cycle.stages,
        Field::Outcome => cycle.outcome,
        Field::State => cycle.state,
    }
}

fn open_state(leaf: &Leaf, entry: &[u8]) -> Result<(), String> {
    let seq = leaf.header.seq;
    let mut reader = Reader::new(entry);
    let salt: Hash = reader
        .value("salt")
        .map_err(|error| format!("state of cycle {seq}: {error}"))?;
    match &leaf.body {
        Body::Cycle(cycle) if cycle.state != ZERO && commit(Field::State, &salt, reader.rest()) == cycle.state => {
            Ok(())
        }
        _ => Err(format!("cycle {seq}: the state is not what the leaf commits to")),
    }
}

fn count<T, E: fmt::Display>(
    seq: u64,
    what: &str,
    expected: u64,
    list: impl Iterator<Item = Result<T, E>>,
) -> Result<(), String> {
    let mut found = 0;
    for entry in list {
        entry.map_err(|error| format!("cycle {seq}: {what}: {error}"))?;
        found += 1;
    }
    if found == expected {
        Ok(())
    } else {
        Err(format!("cycle {seq}: {found} {what}, the leaf says {expected}"))
    }
}

/// Checks that committed outcome bytes say what the leaf in clear says.
pub fn check_outcome(leaf: &Leaf, cycle: &Cycle, bytes: &[u8]) -> Result<(), String> {
    let seq = leaf.header.seq;
    let outcome = decode_outcome(bytes).map_err(|error| format!("cycle {seq}: {error}"))?;
    let flag = |bit| leaf.header.flags & bit != 0;
    let agree = outcome.tick == leaf.header.tick
        && outcome.privacy_class == cycle.privacy_class as u8
        && outcome.privacy_mode == cycle.privacy_mode as u8
        && outcome.simulated == flag(flags::SIMULATED)
        // A cause of demotion need not change a class that is strict already.
        && (outcome.demotion != 0 || !flag(flags::DEMOTED));
    if agree {
        return Ok(());
    }
    Err(format!(
        "cycle {seq}: outcome and leaf differ in tick, privacy class or mode, simulated or demoted"
    ))
}
