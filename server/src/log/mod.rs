//! The witness log: the only place that builds leaves and the only one that holds signing keys.
//!
//! ```text
//! cycle thread                              writer thread
//! Writer::checkout ─▶ Record ─▶ Chain::append ─▶ Writer::submit ─▶ group commit
//!        ▲                                                            │ BEGIN, leaves, tiles, data,
//!        └───────────────── emptied records come back ────────────────┤ sign, checkpoint, COMMIT
//!                                                                     │ anchor (compare and swap)
//!                                                                     ▼ publish: Durable
//! ```
//!
//! Life of a leaf: *appended* (it has a sequence number and a witness; live messages carry it as
//! `durable: false`), *committed* (in the database, under a signed checkpoint), *anchored*, *published*
//! ([`Durable`]). Only a published size may be shown to anyone as a checkpoint. Whatever fails between
//! two of these steps ends the process's log: the next start recovers what was committed.
//!
//! ```no_run
//! # use tapline_server::{log::*, store::{schema::StoreKind, retention::Retention}};
//! # use std::time::Duration;
//! # fn f(boot: tapline_witness::body::Boot, blobs: Vec<Blob>, stamp: Stamp, facts: CycleFacts) -> Result<(), LogError> {
//! let Log { mut chain, writer, .. } = Log::open(LogOptions::live("data"))?;
//! chain.boot(stamp, boot, blobs, &writer)?;                     // GENESIS when the log is new, then BOOT
//! let mut record = writer.checkout(Duration::from_millis(5))?;
//! // ... fill record.inputs, record.stages, record.outcome ...
//! if chain.keyframe_due(&facts.manifest_hash) {
//!     // ... export the state into record.state ...
//! }
//! let appended = chain.append_cycle(stamp, &facts, &mut record)?;
//! writer.submit(record)?;
//! writer.close()?;                                            // everything submitted is durable
//! # Ok(()) }
//! ```

mod anchor;
mod chain;
mod commit;
mod cut_off;
mod error;
mod forget;
mod fsck;
mod keys;
mod open;
mod prune;
mod record;
mod recover;
mod succeed;
mod writer;

pub use anchor::{AnchorState, default_anchor_path};
pub use chain::{Appended, Chain, CycleFacts, Stamp};
pub use commit::{Faults, NoFaults, Step};
pub use error::LogError;
pub use forget::Forget;
pub use fsck::{FsckCheck, FsckReport, fsck};
pub use keys::{Identity, prepare_key};
pub use open::{KEY_DIR, Log, LogOptions};
pub use record::{Blob, Record};
pub use recover::{Recovered, policy_of};
pub use succeed::{FROZEN_FILE, Frozen, freeze, succeed};
pub use writer::{Durable, WINDOW_TILES, Writer, WriterOptions};

#[cfg(test)]
pub(crate) mod tests;
