//! NumPy archives of ESP32 CSI: `csi_data.npy`, int8, one row of (imaginary, real) byte pairs a frame.
//!
//! Frames have no time of their own; they are spread evenly over `duration_ms`. Each becomes ADR-018.

use std::io::Read;

use super::{ReadError, ReadOptions, Record, RecordBody, SourceKey, zip};
use crate::{adr018::Adr018, csi::Ppdu};

const WHAT: &str = "NumPy archive";
const MAX_FILE: u64 = 64 * 1024 * 1024;
const MAX_ARRAY: usize = 64 * 1024 * 1024;
/// Time between frames when the archive names no duration, ns: 100 frames a second.
const DEFAULT_STEP_NS: f64 = 10e6;

pub(crate) fn is_magic(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

pub(crate) struct Reader {
    options: ReadOptions,
    data: Vec<u8>,
    row_len: usize,
    row: usize,
    rows: usize,
    step_ns: f64,
}

fn head(expected: &'static str, found: impl Into<String>) -> ReadError {
    ReadError::Head {
        what: WHAT,
        expected,
        found: found.into(),
    }
}

impl Reader {
    pub(crate) fn new(input: impl Read, options: ReadOptions) -> Result<Self, ReadError> {
        let mut file = Vec::new();
        input.take(MAX_FILE + 1).read_to_end(&mut file)?;
        if file.len() as u64 > MAX_FILE {
            return Err(head("a file of at most 64 MiB", "a longer one"));
        }
        let entry = |name| zip::entry(&file, name, MAX_ARRAY).map_err(|(expected, found)| head(expected, found));
        let Some(csi) = entry("csi_data.npy")? else {
            return Err(head("an array `csi_data`", "none"));
        };
        let (array, mut data) = Array::parse(csi)?;
        let (rows, row_len) = match (array.kind.as_str(), array.fortran, &array.shape[..]) {
            ("|i1", false, &[rows, row_len]) if (2..=512).contains(&row_len) && row_len.is_multiple_of(2) => {
                (rows, row_len)
            }
            _ => return Err(head("int8 of N rows of 2 to 512 bytes, in C order", array.describe())),
        };
        if rows.checked_mul(row_len) != Some(data.len()) {
            return Err(head(
                "as many bytes as the shape says",
                format!("{} for {}", data.len(), array.describe()),
            ));
        }
        data.shrink_to_fit();
        let duration_ms = match entry("duration_ms.npy")? {
            Some(npy) => scalar(npy)?,
            None => None,
        };
        let step_ns = duration_ms.map_or(DEFAULT_STEP_NS, |ms| ms * 1e6 / rows.max(1) as f64);
        Ok(Self {
            options,
            data,
            row_len,
            row: 0,
            rows,
            step_ns,
        })
    }
}

impl Iterator for Reader {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.row == self.rows {
            return None;
        }
        let bytes = self.data.get(self.row * self.row_len..(self.row + 1) * self.row_len)?;
        let mut datagram = Vec::new();
        let encoded = Adr018 {
            node: self.options.node,
            antennas: 1,
            bins: (self.row_len / 2) as u16,
            frequency_mhz: self.options.centre_khz / 1000,
            seq: self.row as u32,
            rssi_dbm: 0,
            noise_dbm: 0,
            ppdu: Ppdu::HtOrLegacy,
            wide: false,
            stbc: false,
            ldpc: false,
            sync_valid: false,
            pairs: bytemuck::cast_slice(bytes),
        }
        .encode(&mut datagram);
        let body = match encoded {
            Ok(()) => RecordBody::Datagram(datagram),
            Err(e) => RecordBody::NotUsed { reason: e.reason() },
        };
        let time_ns = (self.row as f64 * self.step_ns).round() as i64;
        self.row += 1;
        let source = SourceKey::Node(self.options.node.into());
        Some(Ok(Record {
            time_ns,
            arrival_ns: None,
            simulated: false,
            source,
            body,
        }))
    }
}

/// The header of an `.npy` file.
struct Array {
    kind: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Array {
    /// After the NumPy format specification, versions 1 to 3: magic, version, length, a Python dictionary.
    fn parse(mut npy: Vec<u8>) -> Result<(Self, Vec<u8>), ReadError> {
        let bad = |found: &str| head("an .npy header", found);
        let h = npy
            .first_chunk::<12>()
            .filter(|h| h.starts_with(b"\x93NUMPY"))
            .ok_or_else(|| bad("none"))?;
        let (from, len): (usize, usize) = match h[6] {
            1 => (10, usize::from(u16::from_le_bytes([h[8], h[9]]))),
            2 | 3 => (12, u32::from_le_bytes([h[8], h[9], h[10], h[11]]) as usize),
            other => return Err(bad(&format!("version {other}"))),
        };
        let dictionary = from
            .checked_add(len)
            .and_then(|to| npy.get(from..to))
            .ok_or_else(|| bad("a shorter one"))?;
        let text = str::from_utf8(dictionary)
            .map_err(|_| bad("bytes that are no UTF-8"))?
            .to_owned();
        let array = Self::from_dictionary(&text).ok_or_else(|| bad(&text.chars().take(200).collect::<String>()))?;
        npy.drain(..from + len);
        Ok((array, npy))
    }

    fn from_dictionary(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let (_, rest) = text.split_once(key)?;
            Some(rest.trim_start().strip_prefix(':')?.trim_start())
        };
        let (kind, _) = value("'descr'")?.strip_prefix('\'')?.split_once('\'')?;
        let (shape, _) = value("'shape'")?.strip_prefix('(')?.split_once(')')?;
        let shape = shape
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            kind: kind.to_owned(),
            fortran: value("'fortran_order'")?.starts_with("True"),
            shape,
        })
    }

    fn describe(&self) -> String {
        format!("{} of shape {:?}", self.kind, self.shape)
    }
}

/// A positive finite `f64` scalar, or `None` for any other array.
fn scalar(npy: Vec<u8>) -> Result<Option<f64>, ReadError> {
    let (array, data) = Array::parse(npy)?;
    let bytes = data
        .first_chunk()
        .filter(|_| array.kind == "<f8" && array.shape.is_empty());
    Ok(bytes
        .map(|bytes| f64::from_le_bytes(*bytes))
        .filter(|ms| *ms > 0.0 && *ms < 1e12))
}
