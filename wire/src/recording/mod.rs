//! Recordings: one reader for every file format, giving datagrams as a socket would.
//!
//! [`Recording::open`] finds the format from the file's first bytes. Iterating gives [`Record`]s: a
//! datagram that [`crate::parse`] reads, or what was not used and why, so that nothing in a file
//! disappears silently. Text formats become the datagrams a node would have sent.
//!
//! All readers stream, and bound what one line, packet or chunk may hold.

pub mod capture;
mod clock;
mod csv;
mod intel5300;
mod jsonl;
mod lines;
mod npz;
mod pcap;
mod zip;

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read, Seek},
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use capture::{CaptureHeader, CaptureReader, TickEntry};

/// What a recording does not say itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Carrier of CSI lines that do not name one, kHz.
    pub centre_khz: u32,
    /// Receiving node of files that hold one node and do not name it.
    pub node: u8,
    /// Transmitting node of files that tell transmit streams apart: the first stream; the others follow.
    pub transmitter: u16,
}

impl Default for ReadOptions {
    /// Channel 6 (2437 MHz), node 1, transmitter 100.
    fn default() -> Self {
        Self {
            centre_khz: 2_437_000,
            node: 1,
            transmitter: 100,
        }
    }
}

/// Where a record came from: the key of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKey {
    /// The recording as a whole.
    Recording,
    /// A node the recording names.
    Node(u16),
    /// A sender's address.
    Address(SocketAddr),
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording => f.write_str("recording"),
            Self::Node(node) => write!(f, "node:{node}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `recording`, `node:ID` or an address with port, found {found:?}")]
pub struct SourceKeyError {
    /// The text.
    pub found: String,
}

impl FromStr for SourceKey {
    type Err = SourceKeyError;

    fn from_str(text: &str) -> Result<Self, SourceKeyError> {
        if text == "recording" {
            return Ok(Self::Recording);
        }
        let node = text
            .strip_prefix("node:")
            .and_then(|id| id.parse().ok())
            .map(Self::Node);
        node.or_else(|| text.parse().ok().map(Self::Address))
            .ok_or_else(|| SourceKeyError {
                found: text.chars().take(80).collect(),
            })
    }
}

/// One entry of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When: Unix nanoseconds, or nanoseconds in the recording's own base (RSS lines, CSV logs). An
    /// entry without a time of its own has its predecessor's.
    pub time_ns: i64,
    /// The recording machine's monotonic clock at arrival; captures only.
    pub arrival_ns: Option<i64>,
    /// The recording says a generator made it.
    pub simulated: bool,
    /// Who sent it.
    pub source: SourceKey,
    /// What it is.
    pub body: RecordBody,
}

/// What a record is.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordBody {
    /// A UDP payload, as received or as the node would have sent it.
    Datagram(Vec<u8>),
    /// Something that gives no datagram.
    NotUsed {
        /// A short stable name: the label of a counter.
        reason: &'static str,
    },
    /// The end of a tick; captures only.
    Tick(TickEntry),
    /// What the server that wrote a capture has to say before the next tick, in its own encoding; captures only.
    Note(Vec<u8>),
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordingFormat {
    /// JSON lines: raw CSI, RSS, datagrams.
    JsonLines,
    /// pcap of UDP traffic.
    Pcap,
    /// ESP32 `CSI_DATA` log.
    EspCsv,
    /// Log of the Intel 5300 CSI tool.
    Intel5300,
    /// NumPy archive of ESP32 CSI.
    EspNpz,
    /// Tapline's own capture.
    Capture,
}

impl RecordingFormat {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "JSON lines",
            Self::Pcap => "pcap",
            Self::EspCsv => "ESP32 CSI_DATA CSV",
            Self::Intel5300 => "Intel 5300 CSI log",
            Self::EspNpz => "NumPy archive of ESP32 CSI",
            Self::Capture => "Tapline capture",
        }
    }
}

/// Why a recording cannot be read (further).
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The first bytes fit no format.
    #[error(
        "{}: expected JSON lines, a pcap, an ESP32 CSI_DATA log or .npz, an Intel 5300 log or a Tapline capture, found a file that begins with {found:?}",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first bytes, escaped.
        found: String,
    },
    /// The head of the file contradicts its format.
    #[error("{}: {what}: expected {expected}, found {found}", path.display())]
    Head {
        /// The file.
        path: PathBuf,
        /// The format.
        what: &'static str,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

/// The same without the path, for readers that know no path.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    Head {
        what: &'static str,
        expected: &'static str,
        found: String,
    },
}

impl From<io::Error> for ReadError {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

impl ReadError {
    fn at(self, path: &Path) -> RecordingError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => RecordingError::Io { path, source },
            Self::Head { what, expected, found } => RecordingError::Head {
                path,
                what,
                expected,
                found,
            },
        }
    }
}

type Records = Box<dyn Iterator<Item = Result<Record, ReadError>> + Send>;

/// An open recording: an iterator over its records.
pub struct Recording {
    path: PathBuf,
    format: RecordingFormat,
    capture: Option<CaptureHeader>,
    records: Records,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("path", &self.path)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

const HEAD_BYTES: u64 = 64 * 1024;

impl Recording {
    /// Opens a recording, whatever its format.
    ///
    /// # Errors
    /// A file that cannot be read, is of no known format, or whose head contradicts its format.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| ReadError::from(e).at(path))?;
        Self::from_seekable(file, path, options)
    }

    /// The same of what is no file; `path` is its name in messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_seekable(
        mut input: impl Read + Seek + Send + 'static,
        path: &Path,
        options: &ReadOptions,
    ) -> Result<Self, RecordingError> {
        let located = |e: ReadError| e.at(path);
        let mut head = Vec::new();
        (&mut input)
            .take(HEAD_BYTES)
            .read_to_end(&mut head)
            .map_err(|e| located(e.into()))?;
        input.rewind().map_err(|e| located(e.into()))?;
        let format = detect(&head).ok_or_else(|| RecordingError::UnknownFormat {
            path: path.to_owned(),
            found: head
                .iter()
                .take(16)
                .flat_map(|byte| byte.escape_ascii())
                .map(char::from)
                .collect(),
        })?;
        let input = BufReader::with_capacity(1 << 16, input);
        let mut capture = None;
        let records: Records = match format {
            RecordingFormat::JsonLines => Box::new(jsonl::Reader::new(input, *options)),
            RecordingFormat::EspCsv => Box::new(csv::Reader::new(input, *options)),
            RecordingFormat::Pcap => Box::new(pcap::Reader::new(input).map_err(located)?),
            RecordingFormat::Intel5300 => Box::new(intel5300::Reader::new(input, *options)),
            RecordingFormat::EspNpz => Box::new(npz::Reader::new(input, *options).map_err(located)?),
            RecordingFormat::Capture => {
                let reader = CaptureReader::from_seekable(input).map_err(located)?;
                capture = Some(reader.header().clone());
                Box::new(reader.records())
            }
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            capture,
            records,
        })
    }

    /// Its format.
    pub fn format(&self) -> RecordingFormat {
        self.format
    }

    /// Its header, when it is a capture.
    pub fn capture_header(&self) -> Option<&CaptureHeader> {
        self.capture.as_ref()
    }
}

impl Iterator for Recording {
    type Item = Result<Record, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next().map(|record| record.map_err(|e| e.at(&self.path)))
    }
}

/// The format of a file with this beginning.
fn detect(head: &[u8]) -> Option<RecordingFormat> {
    if head.starts_with(capture::MAGIC) {
        return Some(RecordingFormat::Capture);
    }
    if pcap::is_magic(head) {
        return Some(RecordingFormat::Pcap);
    }
    if npz::is_magic(head) {
        return Some(RecordingFormat::EspNpz);
    }
    if intel5300::is_log(head) {
        return Some(RecordingFormat::Intel5300);
    }
    if head.contains(&0) {
        return None;
    }
    head.split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find_map(|line| {
            if line.starts_with(b"{") {
                Some(RecordingFormat::JsonLines)
            } else if csv::is_row_or_header(line) {
                Some(RecordingFormat::EspCsv)
            } else {
                None
            }
        })
}

/// Reads until `buffer` is full or the file is over; says how many bytes came.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match input.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// BLAKE3 of a file: the identity of a recording.
///
/// # Errors
/// A file that cannot be read.
pub fn digest(path: impl AsRef<Path>) -> Result<[u8; 32], RecordingError> {
    let path = path.as_ref();
    let hash = || -> io::Result<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize().into())
    };
    hash().map_err(|source| RecordingError::Io {
        path: path.to_owned(),
        source,
    })
}
