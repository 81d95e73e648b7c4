//! Datagram and recording formats: bytes to typed frames and back, no sockets.
//!
//! [`parse`] turns one UDP payload into a [`Datagram`] that borrows from it; the encoders ([`Adr018`],
//! [`Tlf1`], [`Tlr1`], …) are its inverse. [`CsiFrame::tones`] gives the active tones of a PHY tier from
//! whatever grid and bin order a node sends. `docs/formats.md` draws every format byte by byte.
//!
//! Everything here is read as if an attacker had written it: lengths are checked before use, nothing is
//! allocated for a datagram, and what is not understood is an error with a reason that can be counted.

#![forbid(unsafe_code)]

mod adr018;
mod bytes;
mod csi;
mod datagram;
mod error;
mod firmware;
mod kind;
mod mesh;
pub mod recording;
mod rss;
mod sync;
mod tlf1;
mod tones;

pub use adr018::Adr018;
pub use bytes::crc32;
pub use csi::{CsiFrame, Grid, Ppdu, SampleFormat};
pub use datagram::{Datagram, parse};
pub use error::WireError;
pub use firmware::{CompressedCsi, Feature, FeatureState, FusedVitals, Vitals};
pub use kind::{DatagramKind, kind_of, magic};
pub use mesh::{MeshBody, MeshMessage};
pub use rss::{MAX_RSS_ENTRIES, RssEntry, RssReport, Tlr1};
pub use sync::{SyncPacket, seq_delta};
pub use tlf1::{MAX_DATAGRAM, MAX_OWN_TONES, Samples, Tlf1, TlfGrid, own_indices};
pub use tones::{BinLayout, BinOrder};
