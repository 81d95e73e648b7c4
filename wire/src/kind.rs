//! Which format a datagram is, by its first four bytes.

/// Magic numbers, little-endian at offset 0.
pub mod magic {
    /// Raw CSI (ADR-018).
    pub const RAW_CSI: u32 = 0xC511_0001;
    /// Vital signs computed by a node.
    pub const VITALS: u32 = 0xC511_0002;
    /// Feature vector computed by a node.
    pub const FEATURE: u32 = 0xC511_0003;
    /// Vital signs fused with a millimetre-wave sensor.
    pub const FUSED_VITALS: u32 = 0xC511_0004;
    /// CSI as run lengths of the XOR with the node's previous buffer.
    pub const COMPRESSED_CSI: u32 = 0xC511_0005;
    /// Feature state computed by a node.
    pub const FEATURE_STATE: u32 = 0xC511_0006;
    /// Output of a module that runs on the node.
    pub const MODULE_OUTPUT: u32 = 0xC511_0007;
    /// Clock synchronisation.
    pub const SYNC: u32 = 0xC511_A110;
    /// Mesh control envelope.
    pub const MESH: u32 = 0xC511_8100;
    /// "TLF1": this project's CSI frame.
    pub const TLF1: u32 = u32::from_le_bytes(*b"TLF1");
    /// "TLR1": this project's RSS report.
    pub const TLR1: u32 = u32::from_le_bytes(*b"TLR1");
    /// "MTC1": vendor CSI.
    pub const MTC1: u32 = u32::from_le_bytes(*b"MTC1");
    /// "QCS1": vendor CSI.
    pub const QCS1: u32 = u32::from_le_bytes(*b"QCS1");
    /// "RTR1": vendor channel response.
    pub const RTR1: u32 = u32::from_le_bytes(*b"RTR1");
}

/// The kinds of datagram that are told apart; the unit of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatagramKind {
    /// Raw CSI (ADR-018).
    RawCsi,
    /// Node vitals.
    Vitals,
    /// Node feature vector.
    Feature,
    /// Node vitals fused with millimetre-wave.
    FusedVitals,
    /// Compressed CSI.
    CompressedCsi,
    /// Node feature state.
    FeatureState,
    /// On-node module output: counted only.
    ModuleOutput,
    /// Clock synchronisation.
    Sync,
    /// Mesh control.
    Mesh,
    /// Our CSI frame.
    Tlf1,
    /// Our RSS report.
    Tlr1,
    /// Vendor CSI: counted only.
    Mtc1,
    /// Vendor CSI: counted only.
    Qcs1,
    /// Vendor channel response: counted only.
    Rtr1,
    /// A vendor event in JSON: counted only.
    Json,
    /// Anything else.
    Unknown,
}

impl DatagramKind {
    /// Every kind, in the order of the counters.
    pub const ALL: [Self; 16] = [
        Self::RawCsi,
        Self::Vitals,
        Self::Feature,
        Self::FusedVitals,
        Self::CompressedCsi,
        Self::FeatureState,
        Self::ModuleOutput,
        Self::Sync,
        Self::Mesh,
        Self::Tlf1,
        Self::Tlr1,
        Self::Mtc1,
        Self::Qcs1,
        Self::Rtr1,
        Self::Json,
        Self::Unknown,
    ];

    /// A short stable name: the label of a counter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RawCsi => "raw-csi",
            Self::Vitals => "vitals",
            Self::Feature => "feature",
            Self::FusedVitals => "fused-vitals",
            Self::CompressedCsi => "compressed-csi",
            Self::FeatureState => "feature-state",
            Self::ModuleOutput => "module-output",
            Self::Sync => "sync",
            Self::Mesh => "mesh",
            Self::Tlf1 => "tlf1",
            Self::Tlr1 => "tlr1",
            Self::Mtc1 => "mtc1",
            Self::Qcs1 => "qcs1",
            Self::Rtr1 => "rtr1",
            Self::Json => "json",
            Self::Unknown => "unknown",
        }
    }

    /// The kind with this magic number.
    pub const fn from_magic(found: u32) -> Self {
        match found {
            magic::RAW_CSI => Self::RawCsi,
            magic::VITALS => Self::Vitals,
            magic::FEATURE => Self::Feature,
            magic::FUSED_VITALS => Self::FusedVitals,
            magic::COMPRESSED_CSI => Self::CompressedCsi,
            magic::FEATURE_STATE => Self::FeatureState,
            magic::MODULE_OUTPUT => Self::ModuleOutput,
            magic::SYNC => Self::Sync,
            magic::MESH => Self::Mesh,
            magic::TLF1 => Self::Tlf1,
            magic::TLR1 => Self::Tlr1,
            magic::MTC1 => Self::Mtc1,
            magic::QCS1 => Self::Qcs1,
            magic::RTR1 => Self::Rtr1,
            _ => Self::Unknown,
        }
    }
}

/// The kind of a datagram, told from its first bytes alone. Says nothing about the rest.
pub fn kind_of(bytes: &[u8]) -> DatagramKind {
    if bytes.first() == Some(&b'{') {
        return DatagramKind::Json;
    }
    match bytes.first_chunk() {
        Some(found) => DatagramKind::from_magic(u32::from_le_bytes(*found)),
        None => DatagramKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_magics_are_the_documented_numbers() {
        assert_eq!((magic::TLF1, magic::TLR1), (0x3146_4C54, 0x3152_4C54));
        assert_eq!(
            (magic::MTC1, magic::QCS1, magic::RTR1),
            (0x3143_544D, 0x3153_4351, 0x3152_5452)
        );
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<_> = DatagramKind::ALL.iter().map(|k| k.name()).collect();
        assert_eq!(names.len(), DatagramKind::ALL.len());
    }
}
