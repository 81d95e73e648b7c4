//! The little of ZIP that an `.npz` file needs: find one entry, give its bytes, bounded.
//!
//! After the application note of PKWARE (APPNOTE.TXT 4.3): end record, central directory, local header.

use crate::bytes::{u16_at, u32_at};

const END_LEN: usize = 22;
const MAX_COMMENT: usize = 65_535;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Why an entry could not be had: what was expected, what was found.
pub(crate) type Expected = (&'static str, String);

/// The bytes of the entry `name`, at most `limit` of them; `None` when there is no such entry.
pub(crate) fn entry(file: &[u8], name: &str, limit: usize) -> Result<Option<Vec<u8>>, Expected> {
    let Some(end) = end_record(file) else {
        return Err(("a ZIP end record within the last 64 KiB", "none".into()));
    };
    let (entries, mut at) = (u16_at(end, 10), u32_at(end, 16) as usize);
    for _ in 0..entries {
        let Some((h, rest)) = file.get(at..).and_then(<[u8]>::split_first_chunk::<46>) else {
            return Err(("a whole central directory", format!("{} bytes", file.len())));
        };
        if !h.starts_with(b"PK\x01\x02") {
            return Err(("a central directory entry", h[..4].escape_ascii().to_string()));
        }
        let name_len = usize::from(u16_at(h, 28));
        if rest.get(..name_len) == Some(name.as_bytes()) {
            return extract(file, h, limit).map(Some);
        }
        at += h.len() + name_len + usize::from(u16_at(h, 30)) + usize::from(u16_at(h, 32));
    }
    Ok(None)
}

fn end_record(file: &[u8]) -> Option<&[u8; END_LEN]> {
    let tail = &file[file.len().saturating_sub(END_LEN + MAX_COMMENT)..];
    (0..=tail.len().checked_sub(END_LEN)?)
        .rev()
        .filter_map(|at| tail[at..].first_chunk::<END_LEN>())
        .find(|end| end.starts_with(b"PK\x05\x06"))
}

fn extract(file: &[u8], central: &[u8; 46], limit: usize) -> Result<Vec<u8>, Expected> {
    let (method, stored_len, raw_len) = (
        u16_at(central, 10),
        u32_at(central, 20) as usize,
        u32_at(central, 24) as usize,
    );
    if raw_len > limit {
        return Err(("an array of at most 64 MiB", format!("{raw_len} bytes")));
    }
    let local = u32_at(central, 42) as usize;
    let Some((h, rest)) = file.get(local..).and_then(<[u8]>::split_first_chunk::<30>) else {
        return Err(("a local header inside the file", format!("offset {local}")));
    };
    if !h.starts_with(b"PK\x03\x04") {
        return Err(("a local header", h[..4].escape_ascii().to_string()));
    }
    let from = usize::from(u16_at(h, 26)) + usize::from(u16_at(h, 28));
    let Some(stored) = from.checked_add(stored_len).and_then(|to| rest.get(from..to)) else {
        return Err(("an entry inside the file", format!("{stored_len} bytes at {local}")));
    };
    let raw = match method {
        STORED => stored.to_vec(),
        DEFLATED => miniz_oxide::inflate::decompress_to_vec_with_limit(stored, raw_len)
            .map_err(|e| ("deflated data of the length in the directory", e.to_string()))?,
        other => return Err(("an entry stored or deflated", format!("method {other}"))),
    };
    if raw.len() != raw_len {
        return Err((
            "as many bytes as the directory says",
            format!("{} of {raw_len}", raw.len()),
        ));
    }
    if crate::bytes::crc32(&raw) != u32_at(central, 16) {
        return Err(("an entry that agrees with its CRC-32", "changed bytes".into()));
    }
    Ok(raw)
}
