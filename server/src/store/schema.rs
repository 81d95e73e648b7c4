//! Opening the database: version, pragmas, migrations.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, types::Value};
use rusqlite_migration::{M, Migrations};

use super::StoreError;

/// `TPL1` in the file header.
pub const APPLICATION_ID: i32 = 0x5450_4c31;

const SQLITE_MIN: (i32, &str) = (3_051_003, "3.51.3");
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const MIGRATIONS_SLICE: &[M<'_>] = &[
    M::up(include_str!("../../../migrations/0001_log.sql")),
    M::up(include_str!("../../../migrations/0002_query.sql")),
    M::up(include_str!("../../../migrations/0003_rollup.sql")),
    M::up(include_str!("../../../migrations/0004_prune.sql")),
    M::up(include_str!("../../../migrations/0005_ended.sql")),
];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(MIGRATIONS_SLICE);

/// What a store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A live log: each commit is on the disk before it is published.
    Live,
    /// The output of a replay. It can be made again at any time, so it is written without waiting for
    /// the disk: a power cut leaves a store to be thrown away, and the next replay makes a fresh one.
    Replay,
}

impl StoreKind {
    /// The word in the `meta` table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Replay => "replay",
        }
    }
}

/// Opens the database for writing, creates it where there is none, and brings its schema up to date.
///
/// # Errors
/// A file of another program, of a newer Tapline or of the other kind, and any pragma that does not read
/// back as it was set.
pub fn open_writer(path: &Path, kind: StoreKind) -> Result<Connection, StoreError> {
    check_sqlite()?;
    let mut db = Connection::open(uri(path)?)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    check_file(&db, path)?;
    set_pragmas(&db, kind)?;
    MIGRATIONS.to_latest(&mut db)?;
    check_kind(&db, path, kind)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// The database as a URI that switches off `psow`, SQLite's assumption that writing next to bytes in a sector never harms
/// them. A power cut can tear a sector; with the assumption, a commit shares its first sector with the one before, and takes it
/// down with it though that was synced and published. Without it SQLite fills up the sector, at one more frame a commit.
fn uri(path: &Path) -> Result<String, StoreError> {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
    let absolute = std::path::absolute(path).map_err(|source| StoreError::Io {
        path: path.into(),
        source,
    })?;
    let mut uri = String::from("file://");
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(uri, "%{byte:02x}")),
        }
    }
    uri.push_str("?psow=0");
    Ok(uri)
}

/// Opens an existing database for reading only.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    check_sqlite()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    check_file(&db, path)?;
    for (pragma, value) in [
        ("query_only", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("mmap_size", 0),
    ] {
        set_pragma(&db, pragma, Value::Integer(value))?;
    }
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn check_sqlite() -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_MIN.0 {
        return Err(StoreError::SqliteTooOld {
            expected: SQLITE_MIN.1,
            found: rusqlite::version(),
        });
    }
    Ok(())
}

fn check_file(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let empty: bool = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && !(empty && application == 0 && version == 0) {
        return Err(StoreError::NotOurs {
            path: path.into(),
            expected: APPLICATION_ID,
            found: application,
        });
    }
    if version > MIGRATIONS_SLICE.len() as i64 {
        return Err(StoreError::Newer {
            path: path.into(),
            expected: MIGRATIONS_SLICE.len(),
            found: version,
        });
    }
    Ok(())
}

fn check_kind(db: &Connection, path: &Path, kind: StoreKind) -> Result<(), StoreError> {
    db.execute("INSERT OR IGNORE INTO meta (k, v) VALUES ('kind', ?1)", [kind.name()])?;
    let found: String = db.query_row("SELECT v FROM meta WHERE k = 'kind'", [], |row| row.get(0))?;
    if found != kind.name() {
        return Err(StoreError::Kind {
            path: path.into(),
            expected: kind.name(),
            found,
        });
    }
    Ok(())
}

fn set_pragmas(db: &Connection, kind: StoreKind) -> Result<(), StoreError> {
    // Before the first table, or it does not take.
    set_pragma(db, "auto_vacuum", Value::Integer(2))?;
    set_pragma(db, "journal_mode", Value::Text("wal".into()))?;
    let synchronous = match kind {
        StoreKind::Live => 2,
        StoreKind::Replay => 0,
    };
    for (pragma, value) in [
        ("synchronous", synchronous),
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("mmap_size", 0),
        ("secure_delete", 1),
        // The writer checkpoints in its idle slots.
        ("wal_autocheckpoint", 0),
        ("application_id", i64::from(APPLICATION_ID)),
    ] {
        set_pragma(db, pragma, Value::Integer(value))?;
    }
    Ok(())
}

fn set_pragma(db: &Connection, pragma: &'static str, value: Value) -> Result<(), StoreError> {
    let read = || db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, Value>(0));
    // Some are kept in the file, and setting them writes it: a database that is refused later is not to be touched.
    if read()? == value {
        return Ok(());
    }
    // Some answer with a row when set and some do not; what counts is what is read back.
    db.pragma_update(None, pragma, &value)?;
    let found = read()?;
    if found != value {
        let expected = format!("{value:?}");
        return Err(StoreError::Pragma {
            pragma,
            expected,
            found: format!("{found:?}"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_valid() {
        MIGRATIONS.validate().unwrap();
    }

    #[test]
    fn any_path_names_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a b?psow=1#c%41.db", "kü\u{fffd}che.db"] {
            let path = dir.path().join(name);
            drop(open_writer(&path, StoreKind::Live).unwrap());
            assert!(path.is_file(), "{name}");
            drop(open_reader(&path).unwrap());
        }
    }

    #[test]
    fn opens_again_but_not_as_the_other_kind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        drop(open_writer(&path, StoreKind::Live).unwrap());
        drop(open_writer(&path, StoreKind::Live).unwrap());
        assert!(matches!(
            open_writer(&path, StoreKind::Replay),
            Err(StoreError::Kind { .. })
        ));
        open_reader(&path).unwrap();
    }

    #[test]
    fn refuses_newer_and_foreign_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let db = open_writer(&path, StoreKind::Live).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        assert!(matches!(
            open_writer(&path, StoreKind::Live),
            Err(StoreError::Newer { found: 99, .. })
        ));
        assert!(matches!(open_reader(&path), Err(StoreError::Newer { .. })));

        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        assert!(matches!(
            open_writer(&foreign, StoreKind::Live),
            Err(StoreError::NotOurs { found: 0, .. })
        ));
        let noise = dir.path().join("noise.db");
        std::fs::write(&noise, [7; 5000]).unwrap();
        assert!(matches!(
            open_writer(&noise, StoreKind::Live),
            Err(StoreError::Sqlite(_))
        ));
    }

    #[test]
    fn triggers_hold_what_they_promise() {
        let db = {
            let dir = tempfile::tempdir().unwrap();
            open_writer(&dir.path().join("t.db"), StoreKind::Live).unwrap()
        };
        let leaf = |seq: i64| {
            db.execute(
                "INSERT INTO leaf (seq, kind, body) VALUES (?1, 1, zeroblob(200))",
                [seq],
            )
            .map_err(|error| error.to_string())
        };
        leaf(0).unwrap();
        leaf(1).unwrap();
        assert_eq!(leaf(3).unwrap_err(), "a leaf follows the last one");
        let refused = |sql: &str, expected: &str| {
            assert_eq!(db.execute(sql, []).unwrap_err().to_string(), expected, "{sql}");
        };
        refused("UPDATE leaf SET kind = 2", "a leaf is never changed");
        refused(
            "DELETE FROM leaf WHERE seq = 1",
            "a leaf at or above the minimum index is kept",
        );
        db.execute("UPDATE meta SET v = 1 WHERE k = 'minimum_index'", [])
            .unwrap();
        db.execute("DELETE FROM leaf WHERE seq = 0", []).unwrap();
        db.execute("INSERT INTO checkpoint (size, note) VALUES (5, 'n')", [])
            .unwrap();
        refused(
            "INSERT INTO checkpoint (size, note) VALUES (5, 'n')",
            "a checkpoint is larger than the last one",
        );
        refused("UPDATE checkpoint SET note = 'm'", "a checkpoint is never changed");
        db.execute("INSERT INTO tile VALUES (0, 0, 1, zeroblob(32))", [])
            .unwrap();
        refused("UPDATE tile SET data = randomblob(32)", "a tile only grows");
        db.execute("UPDATE tile SET width = 2, data = zeroblob(64)", [])
            .unwrap();
    }
}
