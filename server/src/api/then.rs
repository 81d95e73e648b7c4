//! The areas and link paths of a past cycle. A cycle numbers them by the lists of its own configuration, and those may have
//! had others, or the same in another order, than the lists of now.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;

use super::history::{History, HistoryError};
use crate::{
    config::{PathKind, Site, witnessed::PathRow},
    live::Facts,
};

/// Configurations remembered: what is asked for spans few of them.
const KNOWN: usize = 16;

/// What is read of a witnessed configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    room: Vec<AreaRow>,
    zone: Vec<AreaRow>,
    path: Vec<PathRow>,
}

#[derive(Deserialize)]
struct AreaRow {
    id: String,
}

/// Where the areas and link paths of another configuration stand in that of now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Then {
    rooms: Vec<Option<u16>>,
    zones: Vec<Option<u16>>,
    paths: Vec<(Option<u16>, Option<PathKind>)>,
}

impl Then {
    /// `text` is a witnessed configuration, `now` the site as it is. Of a text that cannot be read nothing is known.
    fn of(text: &str, now: &Site) -> Self {
        let document: Document = toml::from_str(text).unwrap_or_default();
        let zone = |id: &str| now.zones.iter().position(|z| z.id == id);
        let path = |p: &PathRow| {
            let key = (p.tx, p.rx, p.tx_antenna, p.rx_antenna, p.channel);
            now.paths
                .binary_search_by_key(&key, |p| (p.tx, p.rx, p.tx_antenna, p.rx_antenna, p.channel))
                .ok()
        };
        let index = |i: usize| i as u16;
        Self {
            rooms: document.room.iter().map(|r| now.room(&r.id).map(index)).collect(),
            zones: document.zone.iter().map(|z| zone(&z.id).map(index)).collect(),
            paths: document.path.iter().map(|p| (path(p).map(index), p.kind())).collect(),
        }
    }

    /// Index of a room in the list of now; none when it is no longer configured.
    pub(super) fn room(&self, index: u16) -> Option<u16> {
        self.rooms.get(usize::from(index)).copied().flatten()
    }

    /// Index of a zone in the list of now; none when it is no longer configured.
    pub(super) fn zone(&self, index: u16) -> Option<u16> {
        self.zones.get(usize::from(index)).copied().flatten()
    }

    /// Index of a link path in the list of now, none when it is no longer configured; and what it measured.
    pub(super) fn path(&self, index: u16) -> (Option<u16>, Option<PathKind>) {
        self.paths.get(usize::from(index)).copied().unwrap_or_default()
    }
}

/// The configurations of the past that were asked for.
#[derive(Default)]
pub(super) struct Thens(Mutex<BTreeMap<[u8; 32], Arc<Then>>>);

impl Thens {
    /// The configuration with this hash; none for the one the process was started with, which has the lists of now. May block.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn of(
        &self,
        facts: &Facts,
        history: &dyn History,
        hash: &[u8; 32],
    ) -> Result<Option<Arc<Then>>, HistoryError> {
        if *hash == facts.config_hash {
            return Ok(None);
        }
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(then) = known().get(hash) {
            return Ok(Some(Arc::clone(then)));
        }
        let text = history.config(hash)?.unwrap_or_default();
        let then = Arc::new(Then::of(&text, &facts.site));
        let mut known = known();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(*hash, Arc::clone(&then));
        Ok(Some(then))
    }
}
