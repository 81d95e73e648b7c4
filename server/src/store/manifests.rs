//! Which manifests there were: the leaves that name one, with the texts that are kept of them.

use rusqlite::{Connection, OptionalExtension as _, params};
use tapline_witness::{
    body::Body,
    hash::Hash,
    leaf::{self, Header, Kind},
};

use super::{StoreError, reader::sql_int};

/// A leaf that names a manifest.
#[derive(Clone, Debug)]
pub struct ManifestLeaf {
    /// Number, time and process start.
    pub header: Header,
    /// [`Body::Boot`] or [`Body::Swap`].
    pub body: Body,
    /// The manifest's text; none when the leaf names none, or a text that is not kept.
    pub text: Option<String>,
}

/// Hash of the manifest that a leaf names: the one in force from it on, or the one a REJECTED leaf keeps out. None for all zeros
/// and for other leaves.
pub fn named(body: &Body) -> Option<Hash> {
    let hash = match body {
        Body::Boot(boot) => boot.manifest_hash,
        Body::Swap(swap) => swap.new_manifest_hash,
        _ => return None,
    };
    (hash != [0; 32]).then_some(hash)
}

// The kinds are written out. `kind <> 1` is what the index asks for: SQLite does not see that it follows.
pub(super) const LEAVES: [&str; 2] = [
    "SELECT body FROM leaf WHERE kind <> 1 AND kind = 2 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
    "SELECT body FROM leaf WHERE kind <> 1 AND kind = 3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
];

/// The BOOT and SWAP leaves below `before` (none: all), newest first, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn leaves(db: &Connection, before: Option<u64>, limit: u32) -> Result<Vec<ManifestLeaf>, StoreError> {
    const { assert!(Kind::Boot as u8 == 2 && Kind::Swap as u8 == 3) };
    let mut found = Vec::new();
    for sql in LEAVES {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params![before.map_or(i64::MAX, sql_int), limit])?;
        while let Some(row) = rows.next()? {
            // What the log holds was checked when it was opened.
            if let Ok(decoded) = leaf::decode(&row.get::<_, Vec<u8>>(0)?) {
                found.push((decoded.header, decoded.body));
            }
        }
    }
    found.sort_by_key(|(header, _)| std::cmp::Reverse(header.seq));
    found.truncate(limit as usize);
    let mut text = db.prepare_cached("SELECT bytes FROM blob WHERE hash = ?1 AND kind = 'manifest'")?;
    let mut with_text = |(header, body): (Header, Body)| {
        let bytes: Option<Vec<u8>> = match named(&body) {
            Some(hash) => text.query_row([hash], |row| row.get(0)).optional()?,
            None => None,
        };
        Ok(ManifestLeaf {
            header,
            body,
            text: bytes.and_then(|bytes| String::from_utf8(bytes).ok()),
        })
    };
    found.into_iter().map(&mut with_text).collect()
}
