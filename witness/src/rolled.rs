//! ROLLUP leaves against the leaves they stand for, by somebody who saved those before they were pruned.
//!
//! Both bundles have to be verified first, under one policy. What is compared then is between leaves that the log itself
//! signed: where they differ, the two bundles together prove that the rollup is false.

use std::io::{Read, Seek};

use serde::Serialize;

use crate::{
    body::{Body, Rollup},
    bundle::{
        BundleError, data,
        read::{Bundle, EntryKind},
    },
    leaf::{self, Kind},
    rollup::{Counter, compare, states_outcomes},
    tile::{self, TILE_WIDTH, TilePath},
    verify::Verdict,
};

/// What became of a ROLLUP leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolledUp {
    /// Its index.
    pub leaf: u64,
    /// First leaf of its range.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Whether its counts follow from the saved outcomes too, not from the leaves alone.
    pub outcomes: bool,
    /// PASS: it says what its leaves add up to. FAIL: it does not, and in what. NOT_CHECKED: they are not all saved.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Holds every ROLLUP leaf of `later` against the leaves of `saved`.
///
/// # Errors
/// [`BundleError`] when a bundle cannot be read.
pub fn against_saved<A: Read + Seek, B: Read + Seek>(
    saved: &mut Bundle<A>,
    later: &mut Bundle<B>,
) -> Result<Vec<RolledUp>, BundleError> {
    let mut all = Vec::new();
    for (index, width) in later.entry_bundles() {
        let bytes = later.read(&EntryKind::Tile(TilePath::Entries { index, width }))?;
        for (seq, bytes) in (index * TILE_WIDTH as u64..).zip(entries(&bytes, index, width)?) {
            // The kind is the fifth byte.
            if bytes.get(4) != Some(&(Kind::Rollup as u8)) {
                continue;
            }
            if let Ok(leaf::Leaf {
                body: Body::Rollup(rollup),
                ..
            }) = leaf::decode(bytes)
            {
                all.push(one(saved, seq, &rollup)?);
            }
        }
    }
    Ok(all)
}

fn entries(bytes: &[u8], index: u64, width: u16) -> Result<Vec<&[u8]>, BundleError> {
    tile::entries(bytes, width).map_err(|error| BundleError::Entry {
        name: format!("tile/entries/{index}"),
        problem: error.to_string(),
    })
}

fn one<R: Read + Seek>(saved: &mut Bundle<R>, seq: u64, rollup: &Rollup) -> Result<RolledUp, BundleError> {
    let mut found = RolledUp {
        leaf: seq,
        start: rollup.start,
        end: rollup.end,
        outcomes: false,
        verdict: Verdict::NotChecked(String::new()),
    };
    let width = TILE_WIDTH as u64;
    let (start, end) = (rollup.start, rollup.end);
    if start >= end || !start.is_multiple_of(width) || !end.is_multiple_of(width) {
        found.verdict = Verdict::Fail(format!("{start} to {end} are no whole tiles"));
        return Ok(found);
    }
    let tiles = start / width..end / width;
    let wanted = tiles.end - tiles.start;
    let full = |(index, of): (u64, u16)| (tiles.contains(&index) && usize::from(of) == TILE_WIDTH).then_some(index);
    let held = saved.entry_bundles().into_iter().filter_map(full).count() as u64;
    if held < wanted {
        found.verdict = Verdict::NotChecked(format!("the saved bundle holds {held} of its {wanted} tiles"));
        return Ok(found);
    }
    let refused = |error: crate::rollup::RollupError| BundleError::Entry {
        name: format!("leaf {seq}"),
        problem: error.to_string(),
    };
    let mut counter = Counter::new(rollup.start).map_err(refused)?;
    for index in tiles {
        let path = TilePath::Entries {
            index,
            width: TILE_WIDTH as u16,
        };
        let bytes = saved.read(&EntryKind::Tile(path))?;
        let opened = match saved.has(&EntryKind::Data(index)) {
            true => saved.read(&EntryKind::Data(index))?,
            false => Vec::new(),
        };
        let mut openings = data::cycles(&opened).flatten().peekable();
        for (at, bytes) in (index * width..).zip(entries(&bytes, index, TILE_WIDTH as u16)?) {
            let opening = openings.next_if(|opening| opening.seq == at);
            let fields = opening.and_then(|o| Some((o.fields[1].as_ref()?.bytes, o.fields[2].as_ref()?.bytes)));
            counter.add(bytes, fields).map_err(refused)?;
        }
    }
    let recomputed = counter.finish().map_err(refused)?;
    found.outcomes = states_outcomes(rollup) && states_outcomes(&recomputed);
    let differs: Vec<String> = compare(rollup, &recomputed).iter().map(ToString::to_string).collect();
    found.verdict = match differs.is_empty() {
        true => Verdict::Pass,
        false => Verdict::Fail(differs.join("; ")),
    };
    Ok(found)
}
