//! The leaf: one record of the log, a 120-byte header and a body (docs/witness-format.md, "Leaf").

use thiserror::Error;

use crate::{
    body::Body,
    codec::{DecodeError, Reader, Value, byte_enum},
    hash::{Hash, ZERO},
};

/// First bytes of every leaf.
pub const MAGIC: [u8; 4] = *b"CWR1";
/// Header bytes before `body_len`.
pub const HEADER_LEN: usize = 120;
/// Header with `body_len`.
pub const PREFIX_LEN: usize = HEADER_LEN + 4;
/// Longest leaf: an entry of a tile bundle has a 16-bit length.
pub const MAX_LEAF_LEN: usize = 65_535;
/// A CYCLE leaf, always.
pub const CYCLE_LEAF_LEN: usize = PREFIX_LEN + crate::body::CYCLE_BODY_LEN;

byte_enum! {
    /// What a leaf records.
    pub enum Kind ("a leaf kind 0 to 13") {
        /// The log begins: seq 0 and only there.
        Genesis = 0,
        /// One 50 ms cycle.
        Cycle = 1,
        /// A process starts to append.
        Boot = 2,
        /// A manifest was replaced, or an attempt at it ended.
        Swap = 3,
        /// Integer aggregates of a range whose leaves may be pruned.
        Rollup = 4,
        /// The witnessed configuration changed.
        Config = 5,
        /// The calibration changed.
        Calibration = 6,
        /// A signing key was added or retired.
        Key = 7,
        /// The privacy mode changed.
        PrivacyMode = 8,
        /// Ticks without a cycle.
        Gap = 9,
        /// The wall clock was set.
        ClockStep = 10,
        /// How long what is kept.
        RetentionPolicy = 11,
        /// A process stops appending.
        Shutdown = 12,
        /// An operator's action.
        Audit = 13,
    }
}

impl Kind {
    /// The name in reports and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "GENESIS",
            Self::Cycle => "CYCLE",
            Self::Boot => "BOOT",
            Self::Swap => "SWAP",
            Self::Rollup => "ROLLUP",
            Self::Config => "CONFIG",
            Self::Calibration => "CALIBRATION",
            Self::Key => "KEY",
            Self::PrivacyMode => "PRIVACY_MODE",
            Self::Gap => "GAP",
            Self::ClockStep => "CLOCK_STEP",
            Self::RetentionPolicy => "RETENTION_POLICY",
            Self::Shutdown => "SHUTDOWN",
            Self::Audit => "AUDIT",
        }
    }
}

/// Bits of [`Header::flags`]; only CYCLE leaves carry any.
pub mod flags {
    /// The state after this cycle is committed.
    pub const KEYFRAME: u8 = 1;
    /// The privacy class is stricter than the mode's own.
    pub const DEMOTED: u8 = 2;
    /// The clocks of the nodes spread beyond the soft guard.
    pub const DEGRADED_CLOCK: u8 = 4;
    /// A frame of the cycle was simulated.
    pub const SIMULATED: u8 = 8;
    /// All defined bits.
    pub const ALL: u8 = 15;
}

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the leaf records.
    pub kind: Kind,
    /// Bits of [`flags`].
    pub flags: u8,
    /// [`crate::hash::log_id`].
    pub log_id: Hash,
    /// Index of the leaf in the tree.
    pub seq: u64,
    /// Witness of leaf `seq - 1`; zero only for seq 0.
    pub prev: Hash,
    /// Random per process start (derived in a replay).
    pub boot_id: [u8; 16],
    /// 50 ms slot since boot: rises from CYCLE to CYCLE, other kinds repeat the last CYCLE's.
    pub tick: u64,
    /// Monotonic nanoseconds, strictly increasing within a boot.
    pub mono_ns: u64,
    /// Unix nanoseconds; may go back.
    pub wall_ns: i64,
}

/// A leaf, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its header.
    pub header: Header,
    /// Its body, of the header's kind.
    pub body: Body,
}

/// Why a leaf was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeafError {
    /// It does not begin as a leaf.
    #[error("not a leaf: magic CWR1 expected, found {found:02x?}")]
    Magic {
        /// The first bytes.
        found: [u8; 4],
    },
    /// A field is missing, out of range or in excess.
    #[error("leaf: {0}")]
    Decode(#[from] DecodeError),
    /// `body_len` and the bytes that follow differ.
    #[error("leaf body: {expected} bytes stated, {found} there")]
    BodyLength {
        /// As stated.
        expected: usize,
        /// As found.
        found: usize,
    },
    /// It is longer than an entry of a tile bundle can be.
    #[error("leaf of {found} bytes: at most 65535 are allowed")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Kind, sequence number, `prev`, flags or body do not fit together.
    #[error("leaf {seq} of kind {kind}: {problem}", kind = kind.name())]
    Inconsistent {
        /// Its sequence number.
        seq: u64,
        /// Its kind.
        kind: Kind,
        /// What does not fit.
        problem: &'static str,
    },
}

impl Header {
    fn put(&self, out: &mut Vec<u8>) {
        MAGIC.put(out);
        self.kind.put(out);
        self.flags.put(out);
        0_u16.put(out);
        self.log_id.put(out);
        self.seq.put(out);
        self.prev.put(out);
        self.boot_id.put(out);
        self.tick.put(out);
        self.mono_ns.put(out);
        self.wall_ns.put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, LeafError> {
        let magic: [u8; 4] = reader.array("magic")?;
        if magic != MAGIC {
            return Err(LeafError::Magic { found: magic });
        }
        let kind: Kind = reader.value("kind")?;
        let flags: u8 = reader.value("flags")?;
        let reserved: u16 = reader.value("reserved")?;
        if reserved != 0 {
            return Err(DecodeError::Invalid {
                field: "reserved",
                expected: "0",
                found: u64::from(reserved),
            }
            .into());
        }
        let header = Self {
            kind,
            flags,
            log_id: reader.value("log_id")?,
            seq: reader.value("seq")?,
            prev: reader.value("prev")?,
            boot_id: reader.value("boot_id")?,
            tick: reader.value("tick")?,
            mono_ns: reader.value("mono_ns")?,
            wall_ns: reader.value("wall_ns")?,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), LeafError> {
        let problem = if (self.seq == 0) != (self.kind == Kind::Genesis) {
            "GENESIS is the leaf with seq 0 and no other"
        } else if (self.seq == 0) != (self.prev == ZERO) {
            "prev is zero for seq 0 and no other"
        } else if self.flags & !flags::ALL != 0 {
            "an undefined flag is set"
        } else if self.flags != 0 && self.kind != Kind::Cycle {
            "only CYCLE leaves carry flags"
        } else {
            return Ok(());
        };
        Err(LeafError::Inconsistent {
            seq: self.seq,
            kind: self.kind,
            problem,
        })
    }
}

/// Appends the bytes of a leaf with this header and these body bytes, whatever they are.
///
/// [`encode`] is the typed form; this one is for known answers and for tests of the decoder.
pub fn encode_raw(header: &Header, body: &[u8], out: &mut Vec<u8>) {
    header.put(out);
    (body.len() as u32).put(out);
    out.extend_from_slice(body);
}

/// Appends the bytes of a leaf. Nothing is appended when it fails.
///
/// # Errors
/// When kind, flags and body do not fit together, or the leaf would be longer than [`MAX_LEAF_LEN`].
pub fn encode(header: &Header, body: &Body, out: &mut Vec<u8>) -> Result<(), LeafError> {
    header.check()?;
    check_body(header, body)?;
    let start = out.len();
    header.put(out);
    0_u32.put(out);
    let body_start = out.len();
    body.put(out);
    let (body_len, leaf_len) = (out.len() - body_start, out.len() - start);
    if leaf_len > MAX_LEAF_LEN {
        out.truncate(start);
        return Err(LeafError::TooLong { found: leaf_len });
    }
    out[body_start - 4..body_start].copy_from_slice(&(body_len as u32).to_le_bytes());
    Ok(())
}

/// Splits a leaf into its checked header and its body bytes, without looking into the body.
pub fn split(leaf: &[u8]) -> Result<(Header, &[u8]), LeafError> {
    if leaf.len() > MAX_LEAF_LEN {
        return Err(LeafError::TooLong { found: leaf.len() });
    }
    let mut reader = Reader::new(leaf);
    let header = Header::take(&mut reader)?;
    let stated = reader.value::<u32>("body_len")? as usize;
    if stated != reader.rest().len() {
        return Err(LeafError::BodyLength {
            expected: stated,
            found: reader.rest().len(),
        });
    }
    Ok((header, reader.rest()))
}

/// Decodes a leaf; whatever is accepted encodes back to the same bytes.
pub fn decode(leaf: &[u8]) -> Result<Leaf, LeafError> {
    let (header, body) = split(leaf)?;
    let body = Body::decode(header.kind, body)?;
    check_body(&header, &body)?;
    Ok(Leaf { header, body })
}

fn check_body(header: &Header, body: &Body) -> Result<(), LeafError> {
    let problem = if body.kind() != header.kind {
        "the body is of another kind"
    } else if let Body::Cycle(cycle) = body
        && (header.flags & flags::KEYFRAME != 0) != (cycle.state != ZERO)
    {
        "a keyframe commits a state and no other cycle does"
    } else {
        return Ok(());
    };
    Err(LeafError::Inconsistent {
        seq: header.seq,
        kind: header.kind,
        problem,
    })
}
