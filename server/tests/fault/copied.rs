//! An old database is copied back: refused, as long as the anchor is not copied back with it.

use std::fs;

use tapline_server::log::{LogError, fsck};

use crate::{
    Extent, Found,
    oracle::{Place, copy_tree, recovers},
};

pub(crate) fn run(_: Extent) -> Found {
    let place = Place::new();
    let old_size = place.grow(5)?;
    let yesterday = Place::new();
    place.copy_to(&yesterday);
    let size = place.grow(7)?;

    // The whole data directory, and the database file alone.
    for whole in [true, false] {
        let today = Place::new();
        place.copy_to(&today);
        if whole {
            copy_tree(&yesterday.data(), &today.data());
        } else {
            fs::copy(yesterday.database(), today.database()).map_err(|e| e.to_string())?;
        }
        let before = fs::read(today.database()).map_err(|e| e.to_string())?;
        match today.open() {
            Err(error @ LogError::RolledBack { .. }) => {
                let text = error.to_string();
                if !text.contains(&format!("size {size}")) || !text.contains(&format!("size {old_size}")) {
                    return Err(format!("the refusal does not name both sizes: {text}"));
                }
            }
            other => {
                return Err(format!(
                    "an old database is not refused: {:?}",
                    other.map(|log| log.recovered)
                ));
            }
        }
        if fs::read(today.database()).map_err(|e| e.to_string())? != before {
            return Err("the refused database was changed".into());
        }
        let report = fsck(&today.data(), None).map_err(|e| e.to_string())?;
        if report.is_clean() {
            return Err(format!("fsck finds nothing:\n{report}"));
        }
        // With today's database back, all is well.
        fs::copy(place.database(), today.database()).map_err(|e| e.to_string())?;
        recovers(&today, size)?;
    }

    // Without an anchor nothing could tell, so that is refused, too.
    let today = Place::new();
    place.copy_to(&today);
    fs::remove_file(today.root().join("data.anchor")).map_err(|e| e.to_string())?;
    if !matches!(today.open(), Err(LogError::AnchorMissing { .. })) {
        return Err("a log without its anchor is not refused".into());
    }
    // The limit that is documented: database and anchor of yesterday together look like yesterday. A client's
    // state file is what catches it (`a_log_that_was_longer_or_other_before_is_not_consistent`).
    recovers(&yesterday, old_size)?;
    Ok("an old directory, an old database and a lost anchor are refused by name".into())
}
