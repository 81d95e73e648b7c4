//! From bytes to a typed datagram.

use crate::{
    adr018,
    csi::CsiFrame,
    error::WireError,
    firmware::{CompressedCsi, Feature, FeatureState, FusedVitals, Vitals},
    kind::{DatagramKind, kind_of},
    mesh::MeshMessage,
    rss::{self, RssReport},
    sync::SyncPacket,
    tlf1,
};

/// A datagram that Tapline reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datagram<'a> {
    /// CSI, from ADR-018 or TLF1.
    Csi(CsiFrame<'a>),
    /// Node vitals.
    Vitals(Vitals),
    /// Node features.
    Feature(Feature),
    /// Node vitals fused with millimetre-wave.
    FusedVitals(FusedVitals),
    /// Node feature state.
    FeatureState(FeatureState),
    /// Compressed CSI.
    CompressedCsi(CompressedCsi<'a>),
    /// Clock synchronisation.
    Sync(SyncPacket),
    /// Mesh control.
    Mesh(MeshMessage),
    /// Received strengths.
    Rss(RssReport<'a>),
}

impl Datagram<'_> {
    /// The node that sent it, where the datagram says so.
    pub fn node(&self) -> Option<u16> {
        match self {
            Self::Csi(frame) => Some(frame.rx_node),
            Self::Vitals(v) => Some(v.node.into()),
            Self::Feature(f) => Some(f.node.into()),
            Self::FusedVitals(v) => Some(v.vitals.node.into()),
            Self::FeatureState(s) => Some(s.node.into()),
            Self::CompressedCsi(c) => Some(c.node.into()),
            Self::Sync(s) => Some(s.node.into()),
            Self::Mesh(_) => None,
            Self::Rss(report) => report.reporter,
        }
    }
}

/// Reads one datagram. Borrows, allocates nothing, and accepts only a datagram of exactly the length
/// its header implies.
///
/// # Errors
/// What was expected and what was found; [`WireError::reason`] is the counter it belongs to.
pub fn parse(bytes: &[u8]) -> Result<Datagram<'_>, WireError> {
    let kind = kind_of(bytes);
    Ok(match kind {
        DatagramKind::RawCsi => Datagram::Csi(adr018::parse(bytes)?),
        DatagramKind::Tlf1 => Datagram::Csi(tlf1::parse(bytes)?),
        DatagramKind::Vitals => Datagram::Vitals(Vitals::parse(bytes)?),
        DatagramKind::Feature => Datagram::Feature(Feature::parse(bytes)?),
        DatagramKind::FusedVitals => Datagram::FusedVitals(FusedVitals::parse(bytes)?),
        DatagramKind::FeatureState => Datagram::FeatureState(FeatureState::parse(bytes)?),
        DatagramKind::CompressedCsi => Datagram::CompressedCsi(CompressedCsi::parse(bytes)?),
        DatagramKind::Sync => Datagram::Sync(SyncPacket::parse(bytes)?),
        DatagramKind::Mesh => Datagram::Mesh(MeshMessage::parse(bytes)?),
        DatagramKind::Tlr1 => Datagram::Rss(rss::parse(bytes)?),
        DatagramKind::ModuleOutput
        | DatagramKind::Mtc1
        | DatagramKind::Qcs1
        | DatagramKind::Rtr1
        | DatagramKind::Json => return Err(WireError::Unsupported { kind }),
        DatagramKind::Unknown => {
            return Err(match bytes.first_chunk() {
                Some(found) => WireError::UnknownMagic {
                    found: u32::from_le_bytes(*found),
                },
                None => WireError::TooShort {
                    what: "datagram",
                    expected: 4,
                    found: bytes.len(),
                },
            });
        }
    })
}
