//! Where the recorded input of a rerun comes from: a bundle, or the store of the box itself.

use std::{
    collections::BTreeMap,
    io::{Read, Seek},
};

use tapline_witness::{
    body::{Body, PrivacyClass},
    bundle::{
        build::{KeptCycle, LogSource},
        data,
        read::{Bundle, EntryKind},
    },
    hash::Hash,
    leaf,
    tile::{self, TILE_WIDTH},
};

use super::Unavailable;
use crate::store::{
    log_source::{LogSourceError, SqlLog},
    reader::Reader,
};

/// Leaves with what they commit to, by index.
pub trait Material {
    /// Bytes of a leaf; none when it is not here.
    ///
    /// # Errors
    /// [`Unavailable`] when it cannot be read.
    fn leaf(&mut self, seq: u64) -> Result<Option<Vec<u8>>, Unavailable>;

    /// What the cycle at `seq` commits to, as far as it is here.
    ///
    /// # Errors
    /// [`Unavailable`] when it cannot be read.
    fn kept(&mut self, seq: u64) -> Result<Option<KeptCycle>, Unavailable>;

    /// An artefact, its hash not checked.
    ///
    /// # Errors
    /// [`Unavailable`] when it cannot be read.
    fn blob(&mut self, hash: &Hash) -> Result<Option<Vec<u8>>, Unavailable>;

    /// The keyframe to begin with, and one past the last cycle.
    fn range(&self) -> std::ops::Range<u64>;
}

/// A bundle whose integrity was verified.
pub struct BundleMaterial<R> {
    bundle: Bundle<R>,
    range: std::ops::Range<u64>,
    /// Width of each entry bundle.
    widths: BTreeMap<u64, u16>,
    /// The tile that was read last.
    tile: Option<(u64, Tile)>,
}

struct Tile {
    leaves: Vec<Vec<u8>>,
    openings: BTreeMap<u64, KeptCycle>,
}

impl<R: Read + Seek> BundleMaterial<R> {
    /// Looks for a keyframe and the cycles whose raw input is disclosed.
    ///
    /// # Errors
    /// [`Unavailable`] with `privacy` when the class of a cycle does not let raw input out, with `inputs` when it was not
    /// asked for or is forgotten.
    pub fn new(input: R) -> Result<Self, Unavailable> {
        let bundle = Bundle::open(input).map_err(Unavailable::unreadable)?;
        let kinds: Vec<EntryKind> = bundle.kinds().cloned().collect();
        let first_state = kinds.iter().find_map(|kind| match kind {
            EntryKind::State(seq) => Some(*seq),
            _ => None,
        });
        let widths = bundle.entry_bundles().into_iter().collect();
        let mut material = Self {
            bundle,
            range: 0..0,
            widths,
            tile: None,
        };
        let (mut first, mut last) = (None, None);
        let mut strict = None;
        let mut withheld = None;
        for kind in &kinds {
            let EntryKind::Data(index) = kind else { continue };
            let tile = material.tile(*index)?;
            for (seq, kept) in &tile.openings {
                first.get_or_insert(*seq);
                last = Some(*seq);
                if kept.fields[0].is_none() {
                    withheld.get_or_insert(*seq);
                    let at = (seq % TILE_WIDTH as u64) as usize;
                    let class = tile.leaves.get(at).and_then(|bytes| class_of(bytes));
                    strict = strict.or(class.filter(|c| *c > PrivacyClass::Derived).map(|c| (*seq, c)));
                }
            }
        }
        match (first_state, last, withheld, strict) {
            (_, _, _, Some((seq, class))) => Err(Unavailable::Privacy(format!(
                "cycle {seq} ran in class {class:?}, and the raw input of the range is withheld; on the box itself, \
                 --data-dir replays in any class"
            ))),
            (Some(state), Some(last), None, _) if first == Some(state) => {
                material.range = state..last + 1;
                Ok(material)
            }
            // What is opened and not run again would pass with the rest.
            (Some(state), Some(_), None, _) => Err(Unavailable::Inputs(format!(
                "the bundle opens cycles from {} on, and the first state to begin with is that of cycle {state}",
                first.unwrap_or_default()
            ))),
            _ => Err(Unavailable::Inputs(
                "the bundle holds no raw input: it was not asked for (inputs=1), or it is forgotten".to_owned(),
            )),
        }
    }

    fn tile(&mut self, index: u64) -> Result<&Tile, Unavailable> {
        if self.tile.as_ref().is_none_or(|(held, _)| *held != index) {
            let tile = self.read(index)?;
            self.tile = Some((index, tile));
        }
        match &self.tile {
            Some((_, tile)) => Ok(tile),
            None => unreachable!("it was just read"),
        }
    }

    fn read(&mut self, index: u64) -> Result<Tile, Unavailable> {
        let Some(width) = self.widths.get(&index).copied() else {
            return Ok(Tile {
                leaves: Vec::new(),
                openings: BTreeMap::new(),
            });
        };
        let path = tile::TilePath::Entries { index, width };
        let bytes = self
            .bundle
            .read(&EntryKind::Tile(path))
            .map_err(Unavailable::unreadable)?;
        let leaves = tile::entries(&bytes, width).map_err(Unavailable::unreadable)?;
        let mut openings = BTreeMap::new();
        if self.bundle.has(&EntryKind::Data(index)) {
            let bytes = self
                .bundle
                .read(&EntryKind::Data(index))
                .map_err(Unavailable::unreadable)?;
            for opening in data::cycles(&bytes) {
                let opening = opening.map_err(Unavailable::unreadable)?;
                let fields = opening.fields.map(|field| field.map(|f| (f.salt, f.bytes.to_vec())));
                openings.insert(opening.seq, KeptCycle { fields, state: None });
            }
        }
        let leaves = leaves.iter().map(|leaf| leaf.to_vec()).collect();
        Ok(Tile { leaves, openings })
    }
}

fn class_of(bytes: &[u8]) -> Option<PrivacyClass> {
    match leaf::decode(bytes).ok()?.body {
        Body::Cycle(cycle) => Some(cycle.privacy_class),
        _ => None,
    }
}

impl<R: Read + Seek> Material for BundleMaterial<R> {
    fn leaf(&mut self, seq: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        let at = (seq % TILE_WIDTH as u64) as usize;
        Ok(self.tile(seq / TILE_WIDTH as u64)?.leaves.get(at).cloned())
    }

    fn kept(&mut self, seq: u64) -> Result<Option<KeptCycle>, Unavailable> {
        let mut kept = self.tile(seq / TILE_WIDTH as u64)?.openings.get(&seq).cloned();
        if let Some(kept) = &mut kept
            && self.bundle.has(&EntryKind::State(seq))
        {
            let entry = self
                .bundle
                .read(&EntryKind::State(seq))
                .map_err(Unavailable::unreadable)?;
            kept.state = entry.split_first_chunk().map(|(salt, state)| (*salt, state.to_vec()));
        }
        Ok(kept)
    }

    fn blob(&mut self, hash: &Hash) -> Result<Option<Vec<u8>>, Unavailable> {
        let kind = EntryKind::Blob(*hash);
        if !self.bundle.has(&kind) {
            return Ok(None);
        }
        self.bundle.read(&kind).map(Some).map_err(Unavailable::unreadable)
    }

    fn range(&self) -> std::ops::Range<u64> {
        self.range.clone()
    }
}

/// Leaves that are read from a store at once: three seconds of cycles. A snapshot that is held longer keeps the
/// write-ahead log of a server that runs from being cut off.
const PAGE: u64 = 64;

/// The store of the box: raw input is there whatever the privacy class, as long as it is kept. What is forgotten or pruned
/// while it is read is missing.
pub struct StoreMaterial {
    reader: Reader,
    range: std::ops::Range<u64>,
    /// The page that was read last.
    page: Option<(u64, Vec<Kept>)>,
}

/// A leaf, and what it commits to when it is a cycle whose data is kept.
type Kept = (Vec<u8>, Option<KeptCycle>);

impl StoreMaterial {
    /// From the keyframe at or before `from` (or the first, without `from`) to `to` or the end, when the raw input of all
    /// cycles after it is kept.
    ///
    /// # Errors
    /// [`Unavailable`] when there is none.
    pub fn new(reader: &Reader, from: Option<u64>, to: Option<u64>) -> Result<Self, Unavailable> {
        let kept = reader
            .snapshot_or(|db| SqlLog(db).replayable(from, to))
            .map_err(|e: LogSourceError| Unavailable::unreadable(e))?;
        let range = kept.ok_or_else(|| {
            let from = from.map_or_else(String::new, |from| format!(" to replay from leaf {from}"));
            Unavailable::Inputs(format!(
                "the raw ring holds no keyframe with all raw input after it{from}: see [site.retention] raw and raw_minutes"
            ))
        })?;
        Ok(Self {
            reader: reader.clone(),
            range,
            page: None,
        })
    }

    /// What stands at `seq`; none when it is not kept.
    fn at(&mut self, seq: u64) -> Result<Option<&Kept>, Unavailable> {
        let first = seq / PAGE * PAGE;
        if self.page.as_ref().is_none_or(|(held, page)| {
            // A page that the log had not filled when it was read has grown since.
            *held != first || page.len() as u64 <= seq - first
        }) {
            let page = self
                .reader
                .snapshot_or(|db| page(&SqlLog(db), first))
                .map_err(|e: LogSourceError| Unavailable::unreadable(e))?;
            self.page = Some((first, page));
        }
        let page = self.page.as_ref().map_or(&[][..], |(_, page)| page);
        Ok(page.get((seq - first) as usize).filter(|(leaf, _)| !leaf.is_empty()))
    }
}

/// The leaves of a page, empty where one is pruned, to the end of the log.
fn page(log: &SqlLog<'_>, first: u64) -> Result<Vec<Kept>, LogSourceError> {
    let mut page = Vec::with_capacity(PAGE as usize);
    let minimum = log.minimum_index()?;
    for seq in first..first + PAGE {
        if seq < minimum && seq > 0 {
            page.push((Vec::new(), None));
            continue;
        }
        let Ok(Some(leaf)) = log.leaves(seq, seq + 1).map(|mut leaves| leaves.pop()) else {
            break;
        };
        page.push((leaf, log.kept(seq)?));
    }
    Ok(page)
}

impl Material for StoreMaterial {
    fn leaf(&mut self, seq: u64) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.at(seq)?.map(|(leaf, _)| leaf.clone()))
    }

    fn kept(&mut self, seq: u64) -> Result<Option<KeptCycle>, Unavailable> {
        Ok(self.at(seq)?.and_then(|(_, kept)| kept.clone()))
    }

    fn blob(&mut self, hash: &Hash) -> Result<Option<Vec<u8>>, Unavailable> {
        self.reader
            .snapshot_or(|db| SqlLog(db).blob(hash))
            .map_err(|e: LogSourceError| Unavailable::unreadable(e))
    }

    fn range(&self) -> std::ops::Range<u64> {
        self.range.clone()
    }
}
