//! Reading a bundle: the container is checked whole before any entry is looked at; nothing is written to disk.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
};

use super::{
    BundleError, FORMAT,
    ustar::{self, Entry},
};
use crate::{
    hash::Hash,
    tile::{TileId, TilePath},
};

/// What an entry is, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// `request`.
    Request,
    /// `checkpoint`.
    Checkpoint,
    /// `checkpoint.old`.
    OldCheckpoint,
    /// `tile/...`.
    Tile(TilePath),
    /// `data/<tile>.bin`.
    Data(u64),
    /// `state/<seq>.bin`.
    State(u64),
    /// `blob/<hash>`.
    Blob(Hash),
}

impl EntryKind {
    /// The name of such an entry.
    pub fn name(&self) -> String {
        match self {
            Self::Request => "request".into(),
            Self::Checkpoint => "checkpoint".into(),
            Self::OldCheckpoint => "checkpoint.old".into(),
            Self::Tile(path) => path.to_string(),
            Self::Data(tile) => format!("data/{tile}.bin"),
            Self::State(seq) => format!("state/{seq}.bin"),
            Self::Blob(hash) => format!("blob/{}", hex::encode(hash)),
        }
    }

    /// What an entry of this name is; none when no entry may have it.
    pub fn from_name(name: &str) -> Option<Self> {
        let number =
            |prefix, name: &str| -> Option<u64> { name.strip_prefix(prefix)?.strip_suffix(".bin")?.parse().ok() };
        let kind = match name.split_once('/') {
            None => match name {
                "request" => Self::Request,
                "checkpoint" => Self::Checkpoint,
                "checkpoint.old" => Self::OldCheckpoint,
                _ => return None,
            },
            Some(("tile", _)) => Self::Tile(TilePath::parse(name).ok()?),
            Some(("data", _)) => Self::Data(number("data/", name)?),
            Some(("state", _)) => Self::State(number("state/", name)?),
            Some(("blob", hash)) => Self::Blob(hex::decode(hash).ok()?.try_into().ok()?),
            _ => return None,
        };
        // Numbers with a sign or leading zeros parse too, but are not the one spelling.
        (kind.name() == name).then_some(kind)
    }
}

/// A bundle whose container is sound.
#[derive(Debug)]
pub struct Bundle<R> {
    input: R,
    entries: BTreeMap<EntryKind, Entry>,
}

impl<R: Read + Seek> Bundle<R> {
    /// Checks the container and the names in it.
    pub fn open(mut input: R) -> Result<Self, BundleError> {
        let mut found = ustar::index(&mut input)?.into_iter();
        let first = found.next().filter(|entry| entry.name == "format");
        let first = first.ok_or(BundleError::Container {
            at: 0,
            problem: "the first entry is not `format`",
        })?;
        if read_entry(&mut input, &first)? != FORMAT {
            let problem = "not \"tapline witness bundle v1\"".into();
            return Err(BundleError::Entry {
                name: first.name,
                problem,
            });
        }
        let mut entries = BTreeMap::new();
        for entry in found {
            let kind = EntryKind::from_name(&entry.name).ok_or_else(|| BundleError::Entry {
                name: entry.name.clone(),
                problem: "no entry of a bundle has this name".into(),
            })?;
            entries.insert(kind, entry);
        }
        Ok(Self { input, entries })
    }

    /// The entries but `format`, ascending by kind.
    pub fn kinds(&self) -> impl Iterator<Item = &EntryKind> {
        self.entries.keys()
    }

    /// True when there is such an entry.
    pub fn has(&self, kind: &EntryKind) -> bool {
        self.entries.contains_key(kind)
    }

    /// The bytes of an entry.
    pub fn read(&mut self, kind: &EntryKind) -> Result<Vec<u8>, BundleError> {
        let entry = self
            .entries
            .get(kind)
            .ok_or_else(|| BundleError::Missing { name: kind.name() })?;
        read_entry(&mut self.input, entry)
    }

    /// The hash tiles, ascending.
    pub fn hash_tiles(&self) -> Vec<TileId> {
        let tiles = self.entries.keys().filter_map(|kind| match kind {
            EntryKind::Tile(TilePath::Hashes(id)) => Some(*id),
            _ => None,
        });
        tiles.collect()
    }

    /// Index and width of the entry bundles, ascending.
    pub fn entry_bundles(&self) -> Vec<(u64, u16)> {
        let bundles = self.entries.keys().filter_map(|kind| match kind {
            EntryKind::Tile(TilePath::Entries { index, width }) => Some((*index, *width)),
            _ => None,
        });
        bundles.collect()
    }
}

fn read_entry(input: &mut (impl Read + Seek), entry: &Entry) -> Result<Vec<u8>, BundleError> {
    input.seek(SeekFrom::Start(entry.offset))?;
    // The length was checked against the limit and the file.
    let mut bytes = vec![0; entry.len as usize];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
