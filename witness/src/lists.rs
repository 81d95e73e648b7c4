//! `inputs_list` and `stages_list`: what a cycle consumed and what its stages made of it.
//!
//! Both encoders append to a buffer of the caller, so a cycle whose buffers have grown once does not
//! allocate. Both decoders are iterators over borrowed bytes.

use crate::{
    codec::{DecodeError, Reader, Value},
    disposition::Disposition,
    hash::{Domain, Hash, ZERO},
};

/// Longest frame an `inputs_list` can hold: a UDP datagram.
pub const MAX_FRAME_LEN: usize = 65_535;

/// One frame, in the order the host consumed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Which sender: index in the witnessed configuration's list, or the host's number for it.
    pub source_id: u32,
    /// Host monotonic time of arrival, nanoseconds.
    pub arrival_mono_ns: u64,
    /// The datagram.
    pub bytes: &'a [u8],
}

impl Input<'_> {
    /// Appends the frame to an `inputs_list`.
    ///
    /// # Errors
    /// When the frame is longer than [`MAX_FRAME_LEN`]; nothing is appended then.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        check_frame_len(self.bytes.len())?;
        self.source_id.put(out);
        self.arrival_mono_ns.put(out);
        (self.bytes.len() as u32).put(out);
        out.extend_from_slice(self.bytes);
        Ok(())
    }
}

fn check_frame_len(len: usize) -> Result<(), DecodeError> {
    if len <= MAX_FRAME_LEN {
        return Ok(());
    }
    Err(DecodeError::Invalid {
        field: "frame length",
        expected: "at most 65535",
        found: len as u64,
    })
}

/// The frames of an `inputs_list`. Ends after the first error.
pub fn inputs(bytes: &[u8]) -> impl Iterator<Item = Result<Input<'_>, DecodeError>> {
    entries(bytes, |reader| {
        let source_id = reader.value("source_id")?;
        let arrival_mono_ns = reader.value("arrival_mono_ns")?;
        let len = reader.value::<u32>("frame length")? as usize;
        check_frame_len(len)?;
        Ok(Input {
            source_id,
            arrival_mono_ns,
            bytes: reader.take("frame", len)?,
        })
    })
}

/// One stage of a cycle, in pipeline order (a plugin stage has one entry per link group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageEntry {
    /// Number of the stage, 1 to 10.
    pub stage_id: u16,
    /// Index of the plugin in the manifest, [`HOST_STAGE`] for the host's own stages.
    pub plugin_index: u16,
    /// What became of it.
    pub disposition: Disposition,
    /// The stage's own code when it did not run; 0 when it did.
    pub err_code: u32,
    /// Version of the layout of its output.
    pub schema: u32,
    /// Length of its output, bytes.
    pub len: u32,
    /// Digest of its output; zero when it has none.
    pub output: Hash,
}

/// `plugin_index` of a stage that is no plugin.
pub const HOST_STAGE: u16 = u16::MAX;
/// Bytes of one entry.
pub const STAGE_ENTRY_LEN: usize = 49;

impl StageEntry {
    /// The entry of a stage that ran, over its canonical output bytes.
    pub fn ran(stage_id: u16, plugin_index: u16, schema: u32, output: &[u8]) -> Self {
        Self {
            stage_id,
            plugin_index,
            disposition: Disposition::Ran,
            err_code: 0,
            schema,
            // A stage output is bounded far below 4 GiB by the plugin contract.
            len: output.len() as u32,
            output: Domain::Output.hash(output),
        }
    }

    /// The entry of a stage that left no output.
    pub const fn absent(stage_id: u16, plugin_index: u16, disposition: Disposition, err_code: u32) -> Self {
        Self {
            stage_id,
            plugin_index,
            disposition,
            err_code,
            schema: 0,
            len: 0,
            output: ZERO,
        }
    }

    /// Appends the entry to a `stages_list`.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.stage_id.put(out);
        self.plugin_index.put(out);
        out.push(self.disposition as u8);
        self.err_code.put(out);
        self.schema.put(out);
        self.len.put(out);
        self.output.put(out);
    }
}

/// The entries of a `stages_list`. Ends after the first error.
pub fn stages(bytes: &[u8]) -> impl Iterator<Item = Result<StageEntry, DecodeError>> {
    entries(bytes, |reader| {
        let stage_id = reader.value("stage_id")?;
        let plugin_index = reader.value("plugin_index")?;
        let byte = reader.value::<u8>("disposition")?;
        let disposition = Disposition::from_byte(byte).ok_or(DecodeError::Invalid {
            field: "disposition",
            expected: "0 to 6",
            found: u64::from(byte),
        })?;
        Ok(StageEntry {
            stage_id,
            plugin_index,
            disposition,
            err_code: reader.value("err_code")?,
            schema: reader.value("schema")?,
            len: reader.value("len")?,
            output: reader.value("output")?,
        })
    })
}

fn entries<'a, T>(
    bytes: &'a [u8],
    mut next: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> impl Iterator<Item = Result<T, DecodeError>> {
    let mut reader = Some(Reader::new(bytes));
    std::iter::from_fn(move || {
        let mut current = reader.take()?;
        if current.rest().is_empty() {
            return None;
        }
        let entry = next(&mut current);
        if entry.is_ok() {
            reader = Some(current);
        }
        Some(entry)
    })
}
