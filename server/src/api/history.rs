//! What the API reads from the store.
//!
//! The store is behind a trait so that the API neither knows SQL nor needs a file in its tests. All calls
//! may block; the API makes them on blocking threads, a few at a time.

/// A cycle whose outcome is still kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCycle {
    /// `seq` of its leaf.
    pub cycle: u64,
    /// Wall clock at the end of the slot, Unix nanoseconds.
    pub wall_ns: i64,
    /// Process start it belongs to.
    pub boot_id: [u8; 16],
    /// Witness W of the leaf.
    pub witness: [u8; 32],
    /// Hash of the configuration it was computed under.
    pub config_hash: [u8; 32],
    /// `outcome_bytes` as committed.
    pub outcome_bytes: Vec<u8>,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Leaves covered.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// A node of the WorldGraph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldNode {
    /// Stable id within the log, for example `room:0`.
    pub id: String,
    /// What it stands for, for example `Room`.
    pub kind: String,
    /// What is known of it, JSON.
    pub attributes: String,
    /// First cycle with it as it is.
    pub since_cycle: u64,
}

/// An edge of the WorldGraph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldEdge {
    /// Where from.
    pub from: String,
    /// Where to.
    pub to: String,
    /// What it says, for example `LocatedIn`.
    pub kind: String,
    /// What is known of it, JSON.
    pub attributes: String,
    /// First cycle with it.
    pub since_cycle: u64,
}

/// The WorldGraph after a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// The cycle.
    pub cycle: u64,
    /// Ascending id.
    pub nodes: Vec<WorldNode>,
    /// Ascending by both ends, then kind.
    pub edges: Vec<WorldEdge>,
}

/// Which cycles, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CyclePage {
    /// Lowest cycle, inclusive.
    pub first: u64,
    /// Highest cycle, inclusive.
    pub last: u64,
    /// Newest first.
    pub newest_first: bool,
    /// At most this many.
    pub limit: usize,
}

/// Why the store does not answer. The text is for the log only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("store: {0}")]
pub struct HistoryError(pub String);

/// The past, as far as it is kept. Calls may block.
pub trait History: Send + Sync + 'static {
    /// Cycles of a page whose outcome is still kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn cycles(&self, page: CyclePage) -> Result<Vec<StoredCycle>, HistoryError>;

    /// The witnessed configuration with this hash; none when it is not kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn config(&self, hash: &[u8; 32]) -> Result<Option<String>, HistoryError>;

    /// The bytes of one leaf by its `seq`; none when there is none or retention has taken it.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn leaf(&self, seq: u64) -> Result<Option<Vec<u8>>, HistoryError>;

    /// The published checkpoint of this size, or the newest.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn checkpoint(&self, size: Option<u64>) -> Result<Option<StoredCheckpoint>, HistoryError>;

    /// The WorldGraph after this cycle, or the newest.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn world(&self, at: Option<u64>) -> Result<World, HistoryError>;

    /// The store behind it, for what only a whole log can answer: tiles, proofs, bundles.
    fn log(&self) -> Option<&crate::store::reader::Reader> {
        None
    }
}
