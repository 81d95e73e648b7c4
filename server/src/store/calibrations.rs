//! Which calibrations there were: CALIBRATION leaves, with the files that are kept of them.

use rusqlite::{Connection, OptionalExtension as _, params};
use tapline_dsp::calibration::CalibrationArtefact;
use tapline_witness::{
    body::{Body, Calibration},
    leaf::{self, Header, Kind},
};

use super::{StoreError, reader::sql_int};

/// A leaf that puts a calibration in force.
#[derive(Clone, Debug)]
pub struct CalibrationLeaf {
    /// Number, time and process start.
    pub header: Header,
    /// What it says.
    pub body: Calibration,
    /// The calibration itself; none when it is not kept, or of another version.
    pub artefact: Option<CalibrationArtefact>,
}

// The kind is written out. `kind <> 1` is what the index asks for: SQLite does not see that it follows.
pub(super) const LEAVES: &str =
    "SELECT body FROM leaf WHERE kind <> 1 AND kind = 6 AND seq < ?1 ORDER BY seq DESC LIMIT ?2";

/// The CALIBRATION leaves below `before` (none: all), newest first, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn leaves(db: &Connection, before: Option<u64>, limit: u32) -> Result<Vec<CalibrationLeaf>, StoreError> {
    const { assert!(Kind::Calibration as u8 == 6) };
    let mut statement = db.prepare_cached(LEAVES)?;
    let mut file = db.prepare_cached("SELECT bytes FROM blob WHERE hash = ?1 AND kind = 'calibration'")?;
    let mut rows = statement.query(params![before.map_or(i64::MAX, sql_int), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        // What the log holds was checked when it was opened.
        let Ok(decoded) = leaf::decode(&row.get::<_, Vec<u8>>(0)?) else {
            continue;
        };
        let Body::Calibration(body) = decoded.body else {
            continue;
        };
        let bytes: Option<Vec<u8>> = file.query_row([body.new_calibration_id], |row| row.get(0)).optional()?;
        found.push(CalibrationLeaf {
            header: decoded.header,
            body,
            artefact: bytes.and_then(|bytes| CalibrationArtefact::from_bytes(&bytes).ok()),
        });
    }
    Ok(found)
}
