//! Writing a bundle: the plan first (names and lengths, so that the whole length is known), then the bytes.

use std::{
    io::{self, Write},
    ops::Range,
};

use super::{BundleError, FORMAT, MAX_BUNDLE_LEN, MAX_ENTRIES, MAX_ENTRY_LEN, ustar};

/// The entries of a bundle in order, with their lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<(String, u64)>,
    len: u64,
}

impl Plan {
    /// Puts entries in order. `format` is added; the others must have allowed and different names.
    ///
    /// # Errors
    /// [`BundleError::Limit`] when the bundle would be too long or have too many entries.
    pub fn new(mut entries: Vec<(String, u64)>) -> Result<Self, BundleError> {
        entries.sort_unstable();
        entries.insert(0, ("format".into(), FORMAT.len() as u64));
        let limit = |what, limit, found| BundleError::Limit { what, limit, found };
        if entries.len() > MAX_ENTRIES {
            return Err(limit("number of entries", MAX_ENTRIES as u64, entries.len() as u64));
        }
        let mut len = 2 * ustar::BLOCK;
        for (index, (name, entry_len)) in entries.iter().enumerate() {
            if !ustar::is_name(name) {
                return Err(BundleError::Entry {
                    name: name.clone(),
                    problem: "the name is not allowed".into(),
                });
            }
            if index > 0 && (entries[index - 1].0 == *name || name == "format") {
                return Err(BundleError::Order {
                    before: entries[index - 1].0.clone(),
                    found: name.clone(),
                });
            }
            if *entry_len > MAX_ENTRY_LEN {
                return Err(limit("length of an entry", MAX_ENTRY_LEN, *entry_len));
            }
            len += ustar::stored_len(*entry_len);
        }
        if len > MAX_BUNDLE_LEN {
            return Err(limit("length", MAX_BUNDLE_LEN, len));
        }
        Ok(Self { entries, len })
    }

    /// Length of the whole bundle, bytes.
    pub const fn bundle_len(&self) -> u64 {
        self.len
    }

    /// Names and lengths in order.
    pub fn entries(&self) -> &[(String, u64)] {
        &self.entries
    }

    /// Writes these bytes of the bundle; `content` gives the bytes of an entry other than `format`, and is
    /// asked in order for those the range touches.
    ///
    /// # Errors
    /// When an entry has another length than planned: nothing after it is written.
    pub fn write_range<E: From<BundleError>>(
        &self,
        out: &mut impl Write,
        bytes: Range<u64>,
        mut content: impl FnMut(&str) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let mut out = Window { out, at: 0, bytes };
        for (name, len) in &self.entries {
            let stored = ustar::stored_len(*len);
            if out.at + stored <= out.bytes.start {
                out.at += stored;
                continue;
            }
            if out.at >= out.bytes.end {
                return Ok(());
            }
            let bytes = if name == "format" {
                FORMAT.to_vec()
            } else {
                content(name)?
            };
            if bytes.len() as u64 != *len {
                let problem = format!("{} bytes, {len} were planned", bytes.len());
                return Err(BundleError::Entry {
                    name: name.clone(),
                    problem,
                }
                .into());
            }
            ustar::write_entry(&mut out, name, &bytes).map_err(BundleError::from)?;
        }
        ustar::write_end(&mut out).map_err(BundleError::from)?;
        Ok(())
    }
}

/// Lets through what falls into a range of all that is written.
struct Window<'w, W> {
    out: &'w mut W,
    at: u64,
    bytes: Range<u64>,
}

impl<W: Write> Write for Window<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let end = self.at + buf.len() as u64;
        let (first, last) = (self.at.max(self.bytes.start), end.min(self.bytes.end));
        if first < last {
            self.out
                .write_all(&buf[(first - self.at) as usize..(last - self.at) as usize])?;
        }
        self.at = end;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
