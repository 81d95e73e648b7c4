//! Images of a power cut: what of a commit's writes reached the disk is decided sector by sector.
//!
//! A write that had not been synced may be there, missing, or noise, in each sector that it touches, and whole sectors are
//! written even where the data ends inside one. So what was synced before may only be hurt by a later write if both share
//! a sector: the log is opened with `psow=0`, and then SQLite fills up sectors (`server/src/store/schema.rs`).

use std::{fs, ops::Range, path::PathBuf};

use tapline_server::log::LogError;

use crate::{
    Extent, Found, Lcg,
    oracle::{Place, recovers},
    sample,
    victim::{BATCH, boot, cycles},
};

/// Sectors of disks: what is written whole or not.
const SECTORS: [usize; 2] = [512, 4096];
fn sectors(extent: Extent) -> impl Iterator<Item = usize> {
    SECTORS.into_iter().take(if extent.full { 2 } else { 1 })
}

/// Commits before the writer puts the WAL into the database and begins it anew.
const COMMITS: u64 = 13;

/// Files of a log after a commit.
struct Snapshot {
    size: u64,
    database: Vec<u8>,
    wal: Vec<u8>,
    anchor: Vec<u8>,
}

fn wal_of(place: &Place) -> PathBuf {
    let mut name = place.database().into_os_string();
    name.push("-wal");
    name.into()
}

fn anchor_of(place: &Place) -> PathBuf {
    place.root().join("data.anchor")
}

/// A log of some commits, and what its files were after each.
fn history() -> Result<(Place, Vec<Snapshot>), String> {
    let place = Place::new();
    let say = |error: LogError| error.to_string();
    let mut log = place.open().map_err(say)?;
    boot(&mut log).map_err(say)?;
    let mut snapshots = Vec::new();
    for commit in 0..COMMITS {
        cycles(&mut log, 1 + commit * BATCH..1 + (commit + 1) * BATCH).map_err(say)?;
        log.writer.flush().map_err(say)?;
        // The second answer comes after the writer's idle work, which may write, too.
        let size = log.writer.flush().map_err(say)?.size;
        let read = |path: PathBuf| fs::read(&path).map_err(|e| format!("{}: {e}", path.display()));
        snapshots.push(Snapshot {
            size,
            database: read(place.database())?,
            wal: read(wal_of(&place))?,
            anchor: read(anchor_of(&place))?,
        });
    }
    log.writer.close().map_err(say)?;
    Ok((place, snapshots))
}

/// What becomes of the sectors of a write.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Those from this one on did not reach the disk.
    Cut(usize),
    /// This one did not.
    Lost(usize),
    /// Only this one did.
    Only(usize),
    /// This one is noise.
    Noise(usize),
    /// Each is old, new or noise.
    Any(u64),
}

impl Damage {
    /// Every kind at every sector, or one of each kind. Noise in the first sector is the worst: it may be shared with what
    /// was synced before.
    fn all(sectors: usize, few: bool) -> Vec<Self> {
        if few {
            let (third, half) = (sectors / 3, sectors / 2);
            return vec![
                Self::Cut(half),
                Self::Lost(third),
                Self::Only(third),
                Self::Noise(0),
                Self::Any(half as u64),
            ];
        }
        (0..sectors)
            .flat_map(|at| {
                [
                    Self::Cut(at),
                    Self::Lost(at),
                    Self::Only(at),
                    Self::Noise(at),
                    Self::Any(at as u64),
                ]
            })
            .collect()
    }

    /// The file of which only `written` differs between `old` and `new`.
    fn image(self, old: &[u8], new: &[u8], written: &Range<usize>, sector: usize) -> Vec<u8> {
        let mut random = Lcg(match self {
            Self::Any(seed) => seed,
            _ => 1,
        });
        let mut image = new.to_vec();
        for (index, at) in written.clone().step_by(sector).enumerate() {
            let end = (at + sector).min(new.len());
            let fate = match self {
                Self::Cut(from) => u64::from(index < from),
                Self::Lost(one) => u64::from(index != one),
                Self::Only(one) => u64::from(index == one),
                Self::Noise(one) => 1 + u64::from(index == one),
                Self::Any(_) => random.next() % 3,
            };
            match fate {
                // As it was; beyond the old end of the file the disk gives zeros.
                0 => {
                    for (byte, was) in image[at..end].iter_mut().zip(at..) {
                        *byte = old.get(was).copied().unwrap_or(0);
                    }
                }
                1 => {}
                _ => image[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8),
            }
        }
        if let Self::Cut(from) = self {
            // The length is as lost as the data.
            image.truncate((written.start + from * sector).max(old.len()));
        }
        image
    }
}

/// Sectors that differ, from the first to the last.
fn written(old: &[u8], new: &[u8], sector: usize) -> Option<Range<usize>> {
    let differs = |at: &usize| old.get(*at) != new.get(*at);
    let first = (0..new.len()).find(differs)?;
    let last = (0..new.len()).rfind(differs)?;
    // A frame may begin with the page number that stood there before.
    let start = if first >= old.len() {
        first
    } else {
        first.saturating_sub(8)
    };
    Some(start / sector * sector..(last + 1).next_multiple_of(sector).min(new.len()))
}

/// The writes of a commit to the WAL, with a sync after each, and the largest size that may be found after each. A WAL that is
/// begun anew gets its header first, synced: else new frames among old ones would be taken for old ones.
fn writes(before: &Snapshot, after: &Snapshot) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    const HEADER: usize = 32;
    if before.wal[..HEADER] == after.wal[..HEADER] {
        return vec![(before.wal.clone(), after.wal.clone(), after.size)];
    }
    let mut headed = before.wal.clone();
    headed[..HEADER].copy_from_slice(&after.wal[..HEADER]);
    vec![
        (before.wal.clone(), headed.clone(), before.size),
        (headed, after.wal.clone(), after.size),
    ]
}

fn try_image(place: &Place, before: &Snapshot, database: &[u8], wal: &[u8], most: u64) -> Result<u64, String> {
    let image = Place::new();
    crate::oracle::copy_tree(&place.data().join("keys"), &image.data().join("keys"));
    for (path, bytes) in [
        (image.database(), database),
        (wal_of(&image), wal),
        (anchor_of(&image), &before.anchor),
    ] {
        fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let found = recovers(&image, before.size)?;
    if found != before.size && found != most {
        return Err(format!("size {found} is neither {} nor {most}", before.size));
    }
    Ok(found)
}

pub(crate) fn run(extent: Extent) -> Found {
    let (place, snapshots) = history()?;
    let (mut images, mut whole) = (0, 0);
    for pair in snapshots.windows(2) {
        let [before, after] = pair else { continue };
        for (old, new, most) in writes(before, after) {
            for sector in sectors(extent) {
                let Some(written) = written(&old, &new, sector) else {
                    continue;
                };
                let all = Damage::all(written.len().div_ceil(sector), !extent.full);
                for damage in sample(&all, extent.images) {
                    let wal = damage.image(&old, &new, &written, sector);
                    let what = format!("commit to {}, sectors of {sector}, {damage:?}", after.size);
                    let found = try_image(&place, before, &before.database, &wal, most);
                    whole += usize::from(found.map_err(|problem| format!("{what}: {problem}"))? == after.size);
                    images += 1;
                }
            }
        }
    }
    lying_disk(&place, &snapshots)?;
    Ok(format!(
        "{images} images of {} commits: nothing published lost, {whole} hold the commit under way, {} do not; a disk that \
         loses what it synced is refused by name",
        snapshots.len() - 1,
        images - whole
    ))
}

/// A disk that says synced and loses it: the anchor is ahead, and the start says so.
fn lying_disk(place: &Place, snapshots: &[Snapshot]) -> Result<(), String> {
    let [.., before, after] = snapshots else {
        return Err("too few commits".into());
    };
    let image = Place::new();
    place.copy_to(&image);
    for (path, bytes) in [
        (image.database(), &before.database),
        (wal_of(&image), &before.wal),
        (anchor_of(&image), &after.anchor),
    ] {
        fs::write(&path, bytes).map_err(|e| e.to_string())?;
    }
    match image.open() {
        Err(LogError::RolledBack { .. }) => Ok(()),
        other => Err(format!(
            "a lost commit is not refused: {:?}",
            other.map(|log| log.recovered)
        )),
    }
}

/// The WAL is put into the database, and the power fails during that: the WAL still has it all.
pub(crate) fn run_checkpoint(extent: Extent) -> Found {
    let (place, snapshots) = history()?;
    let changed = |pair: &[Snapshot]| pair[0].database != pair[1].database;
    let at = snapshots
        .windows(2)
        .position(changed)
        .ok_or("no commit was followed by a checkpoint of the WAL")?;
    let (before, after) = (&snapshots[at], &snapshots[at + 1]);
    let mut images = 0;
    for sector in sectors(extent) {
        let written = written(&before.database, &after.database, sector).ok_or("nothing was written")?;
        let all = Damage::all(written.len().div_ceil(sector), !extent.full);
        for damage in sample(&all, extent.images) {
            let database = damage.image(&before.database, &after.database, &written, sector);
            let what = format!("sectors of {sector}, {damage:?}");
            try_image(&place, after, &database, &after.wal, after.size)
                .map_err(|problem| format!("{what}: {problem}"))?;
            images += 1;
        }
    }
    Ok(format!(
        "{images} images of a database being written from its WAL: all recover whole"
    ))
}
