//! A copy of a store while its server runs, and what takes the space in one.

use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{DATABASE_FILE, StoreError, schema::open_reader};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Leaves in the copy.
    pub leaves: u64,
    /// Leaves under the latest checkpoint of the copy.
    pub durable: u64,
    /// Size of the copy, bytes.
    pub bytes: u64,
}

/// Copies the database of `data_dir` to `to`, as of one commit. The server may run: a reader of a WAL file blocks no
/// writer. The copy holds the secrets behind the salts, so only its owner may read it; the signing keys are not in it.
///
/// # Errors
/// A `to` that exists, a store that cannot be read, and a copy that SQLite's own check finds damaged. What
/// was begun is then removed, but for a program that was killed: it leaves `<to>.part`.
pub fn backup(data_dir: &Path, to: &Path) -> Result<BackupReport, StoreError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    };
    if to.exists() {
        return Err(io(to)(ErrorKind::AlreadyExists.into()));
    }
    let source = open_reader(&data_dir.join(DATABASE_FILE))?;
    let part = PathBuf::from(format!("{}.part", to.display()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(io(&part))?;
    let result = copy(&source, &part).and_then(|report| {
        File::open(&part).and_then(|file| file.sync_all()).map_err(io(&part))?;
        name(&part, to).map_err(io(to))?;
        let parent = to
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(io(parent))?;
        Ok(report)
    });
    let removed = match std::fs::remove_file(&part) {
        // It was renamed.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io(&part)),
    };
    let report = result?;
    removed?;
    Ok(report)
}

/// Gives a file that is whole its name; unlike a plain rename never over a file that came to be meanwhile.
fn name(part: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(part, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => rename_new(part, to),
        linked => linked,
    }
}

/// For file systems without hard links: FAT, exFAT, some shares.
fn rename_new(part: &Path, to: &Path) -> std::io::Result<()> {
    Ok(renameat_with(CWD, part, CWD, to, RenameFlags::NOREPLACE)?)
}

fn copy(source: &Connection, part: &Path) -> Result<BackupReport, StoreError> {
    let mut target = Connection::open(part)?;
    {
        let backup = Backup::new(source, &mut target)?;
        // All pages in one step: in smaller ones, each commit of the server would begin the copy anew.
        if backup.step(-1)? != StepResult::Done {
            return Err(StoreError::Corrupt {
                what: "backup".to_owned(),
                problem: "the database was locked; try again".to_owned(),
            });
        }
    }
    // A copy in WAL mode would need two more files beside it; `open_writer` sets the mode again.
    let mode: String = target.query_row("PRAGMA journal_mode = delete", [], |row| row.get(0))?;
    let found: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if mode != "delete" || found != "ok" {
        return Err(StoreError::Corrupt {
            what: format!("backup {}", part.display()),
            problem: format!("journal mode {mode}, quick_check says {found}"),
        });
    }
    let number = |sql: &str| target.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(BackupReport {
        leaves: number("SELECT coalesce(max(seq) + 1, 0) FROM leaf")? as u64,
        durable: number("SELECT coalesce(max(size), 0) FROM checkpoint")? as u64,
        bytes: number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")? as u64,
    })
}

/// Bytes of each table and index, largest first, and then of the pages that are free.
pub fn space(data_dir: &Path) -> Result<Vec<(String, u64)>, StoreError> {
    let db = open_reader(&data_dir.join(DATABASE_FILE))?;
    let mut statement = db.prepare(
        "SELECT name, sum(pgsize) AS bytes FROM dbstat WHERE aggregate = TRUE GROUP BY name ORDER BY bytes DESC, name",
    )?;
    let mut sizes = statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?
        .collect::<rusqlite::Result<Vec<(String, u64)>>>()?;
    let free: i64 = db.query_row(
        "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size",
        [],
        |row| row.get(0),
    )?;
    sizes.push(("(free pages)".to_owned(), free as u64));
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::schema::{StoreKind, open_writer};

    fn add_leaf(db: &Connection, seq: i64) {
        db.execute("INSERT INTO leaf VALUES (?1, 1, zeroblob(124))", [seq])
            .unwrap();
    }

    fn add_leaves(db: &Connection, count: i64) {
        let tx = db.unchecked_transaction().unwrap();
        (0..count).for_each(|seq| add_leaf(&tx, seq));
        tx.commit().unwrap();
    }

    #[test]
    fn a_copy_is_one_commit_of_a_store_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_writer(&dir.path().join(DATABASE_FILE), StoreKind::Live).unwrap();
        add_leaves(&db, 300);
        // A transaction that is open meanwhile neither waits nor is seen.
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        add_leaf(&db, 300);
        let to = dir.path().join("copy.db");
        let report = backup(dir.path(), &to).unwrap();
        db.execute_batch("COMMIT").unwrap();
        assert_eq!((report.leaves, report.durable), (300, 0));
        let file = std::fs::metadata(&to).unwrap();
        assert_eq!(file.len(), report.bytes);
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert!(!dir.path().join("copy.db.part").exists());

        // It goes on as a store.
        let copy = open_writer(&to, StoreKind::Live).unwrap();
        add_leaf(&copy, 300);
    }

    #[test]
    fn nothing_is_overwritten_and_no_part_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("copy.db");
        assert!(matches!(backup(dir.path(), &to), Err(StoreError::Sqlite(_))));
        drop(open_writer(&dir.path().join(DATABASE_FILE), StoreKind::Live).unwrap());
        std::fs::write(&to, "mine").unwrap();
        assert!(matches!(backup(dir.path(), &to), Err(StoreError::Io { .. })));
        assert_eq!(std::fs::read(&to).unwrap(), b"mine");
        assert!(!dir.path().join("copy.db.part").exists());
    }

    /// On a stick with FAT there are no hard links, and the copy was thrown away when it was whole. No such file system can be
    /// mounted here: this is the step taken there.
    #[test]
    fn without_hard_links_a_copy_gets_its_name_over_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let [part, to] = ["copy.db.part", "copy.db"].map(|name| dir.path().join(name));
        std::fs::write(&part, "whole").unwrap();
        std::fs::write(&to, "mine").unwrap();
        assert_eq!(rename_new(&part, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"mine");
        std::fs::remove_file(&to).unwrap();
        rename_new(&part, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"whole");
        assert!(!part.exists());
    }

    #[test]
    fn space_is_all_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DATABASE_FILE);
        let db = open_writer(&path, StoreKind::Live).unwrap();
        add_leaves(&db, 2_000);
        let sizes = space(dir.path()).unwrap();
        assert_eq!(sizes[0].0, "leaf");
        assert!(sizes[0].1 > 2_000 * 124, "{sizes:?}");
        let pages: i64 = db
            .query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let sum: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
        // A file that vacuums itself by steps has pages that say where the others went: at most one in 800.
        let maps = pages as u64 - sum;
        assert!(maps > 0 && maps <= 4096 * (1 + pages as u64 / 4096 / 800), "{maps}");
    }
}
