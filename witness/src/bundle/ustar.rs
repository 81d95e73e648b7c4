//! The container: POSIX ustar, cut down to what cannot be misread.
//!
//! Regular files only; names of `[a-z0-9/._-]`, at most 100 bytes, without empty, `.` or `..` segments; owner and
//! time 0, mode 0644; no extension of any kind; two zero blocks at the end and nothing after them. A header is
//! accepted only when it is byte for byte the one this module writes for its name and size.

use std::io::{Read, Seek, SeekFrom, Write};

use super::{BundleError, MAX_BUNDLE_LEN, MAX_ENTRIES, MAX_ENTRY_LEN};

/// Headers and contents are padded to this.
pub const BLOCK: u64 = 512;

/// An entry found in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where its content begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

/// True for a name an entry may have.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-".contains(&byte);
    name.len() <= 100
        && name.bytes().all(allowed)
        && name
            .split('/')
            .all(|segment| !segment.is_empty() && segment != "." && segment != "..")
}

/// Bytes an entry of this length takes with its header.
pub const fn stored_len(len: u64) -> u64 {
    BLOCK + len.next_multiple_of(BLOCK)
}

/// The header of an entry. `name` must satisfy [`is_name`], `len` is below 8 GiB.
pub fn header(name: &str, len: u64) -> [u8; BLOCK as usize] {
    let mut header = [0_u8; BLOCK as usize];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{len:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    put(329, "0000000\0");
    put(337, "0000000\0");
    // The checksum is over the header with spaces in its place.
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Writes an entry.
pub fn write_entry(out: &mut impl Write, name: &str, content: &[u8]) -> std::io::Result<()> {
    let len = content.len() as u64;
    out.write_all(&header(name, len))?;
    out.write_all(content)?;
    out.write_all(&[0; BLOCK as usize][..(len.next_multiple_of(BLOCK) - len) as usize])
}

/// Writes the end.
pub fn write_end(out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(&[0; 2 * BLOCK as usize])
}

/// Reads the headers of a whole container and checks it; contents are skipped, only their padding is read.
pub fn index(input: &mut (impl Read + Seek)) -> Result<Vec<Entry>, BundleError> {
    let total = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(0))?;
    if total > MAX_BUNDLE_LEN {
        return Err(BundleError::Limit {
            what: "length",
            limit: MAX_BUNDLE_LEN,
            found: total,
        });
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    loop {
        let container = |problem| BundleError::Container { at, problem };
        if total - at < BLOCK {
            return Err(container("the end is missing"));
        }
        let mut block = [0; BLOCK as usize];
        input.read_exact(&mut block)?;
        if block == [0; BLOCK as usize] {
            return match total - at {
                1024 => {
                    input.read_exact(&mut block)?;
                    if block == [0; BLOCK as usize] {
                        Ok(entries)
                    } else {
                        Err(container("the end is not zero"))
                    }
                }
                _ => Err(container("the end is not exactly two zero blocks")),
            };
        }
        if entries.len() == MAX_ENTRIES {
            let found = entries.len() as u64 + 1;
            return Err(BundleError::Limit {
                what: "number of entries",
                limit: MAX_ENTRIES as u64,
                found,
            });
        }
        let (name, len) = parse_header(&block).map_err(container)?;
        if len > MAX_ENTRY_LEN {
            return Err(BundleError::Limit {
                what: "length of an entry",
                limit: MAX_ENTRY_LEN,
                found: len,
            });
        }
        if let Some(before) = entries.last()
            // The first entry stands out of order on purpose.
            && (entries.len() > 1 && name.as_bytes() <= before.name.as_bytes() || name == entries[0].name)
        {
            return Err(BundleError::Order {
                before: before.name.clone(),
                found: name,
            });
        }
        if total - at < stored_len(len) {
            return Err(container("an entry is longer than the bundle"));
        }
        let offset = at + BLOCK;
        let padding = (len.next_multiple_of(BLOCK) - len) as usize;
        input.seek(SeekFrom::Start(offset + len))?;
        let mut pad = [0; BLOCK as usize];
        input.read_exact(&mut pad[..padding])?;
        if pad != [0; BLOCK as usize] {
            return Err(container("the padding of an entry is not zero"));
        }
        entries.push(Entry { name, offset, len });
        at += stored_len(len);
    }
}

fn parse_header(block: &[u8; BLOCK as usize]) -> Result<(String, u64), &'static str> {
    let end = block[..100].iter().position(|byte| *byte == 0).unwrap_or(100);
    let name = std::str::from_utf8(&block[..end]).map_err(|_| "a name that is not allowed")?;
    if !is_name(name) {
        return Err("a name that is not allowed");
    }
    let mut len = 0_u64;
    for digit in &block[124..135] {
        match digit {
            b'0'..=b'7' => len = len * 8 + u64::from(digit - b'0'),
            _ => return Err("a length that is not eleven octal digits"),
        }
    }
    if *block != header(name, len) {
        return Err("a header that is not the plain one of a regular file");
    }
    Ok((name.to_owned(), len))
}
