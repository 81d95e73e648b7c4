//! `data/<tile>.bin`: what the cycles of one tile commit to, as far as it is disclosed.
//!
//! For each CYCLE leaf in ascending order: `seq` u64, then for each of inputs, stages, outcome a byte 0
//! (withheld), or 1, the salt, a u32 length and the bytes. The state of a keyframe has its own entry.

use crate::{
    codec::{DecodeError, Reader, Value},
    hash::{Field, Hash},
};

/// The fields an entry discloses, in order.
pub const FIELDS: [Field; 3] = [Field::Inputs, Field::Stages, Field::Outcome];

/// A committed field, opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// Its salt.
    pub salt: Hash,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What is disclosed of one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CycleOpening<'a> {
    /// Index of its leaf.
    pub seq: u64,
    /// In the order of [`FIELDS`]; none when withheld.
    pub fields: [Option<Opening<'a>>; 3],
}

impl CycleOpening<'_> {
    /// Appends the record.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.seq.put(out);
        for field in &self.fields {
            field.is_some().put(out);
            if let Some(opening) = field {
                opening.salt.put(out);
                // A cycle's inputs are bounded far below 4 GiB by the queue they come from.
                (opening.bytes.len() as u32).put(out);
                out.extend_from_slice(opening.bytes);
            }
        }
    }
}

/// The records of an entry. Ends after the first error.
pub fn cycles(bytes: &[u8]) -> impl Iterator<Item = Result<CycleOpening<'_>, DecodeError>> {
    let mut reader = Some(Reader::new(bytes));
    std::iter::from_fn(move || {
        let mut current = reader.take()?;
        if current.rest().is_empty() {
            return None;
        }
        let cycle = cycle(&mut current);
        if cycle.is_ok() {
            reader = Some(current);
        }
        Some(cycle)
    })
}

fn cycle<'a>(reader: &mut Reader<'a>) -> Result<CycleOpening<'a>, DecodeError> {
    let seq = reader.value("seq")?;
    let mut fields = [None; 3];
    for (place, field) in fields.iter_mut().zip(FIELDS) {
        if reader.value::<bool>(field.name())? {
            let salt = reader.value("salt")?;
            let len = reader.value::<u32>("length")? as usize;
            *place = Some(Opening {
                salt,
                bytes: reader.take(field.name(), len)?,
            });
        }
    }
    Ok(CycleOpening { seq, fields })
}
