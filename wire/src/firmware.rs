//! What nodes compute themselves and send beside their CSI: vitals, features, compressed CSI.
//!
//! Tapline counts these and shows them as the node's own claims; no estimate of its own uses them.
//! Floats that are not finite are `None`; finite ones are passed as sent (presence scores above 1 are usual).

use crate::{
    bytes::{check_crc, crc32, exact_length, f32_at, f32_bytes, header, i64_at, u16_at, u32_at, u64_at, whole},
    error::WireError,
    kind::magic,
};

/// Vital signs by a node, 0xC5110002.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vitals {
    /// The node.
    pub node: u8,
    /// Bit 0 presence, bit 1 fall, bit 2 motion.
    pub flags: u8,
    /// Breaths a minute, hundredths.
    pub breathing_centi_bpm: u16,
    /// Heart beats a minute, ten-thousandths.
    pub heart_e4_bpm: u32,
    /// Received strength, dBm.
    pub rssi_dbm: i8,
    /// Persons, by the node's count.
    pub persons: u8,
    /// Motion energy, no unit.
    pub motion_energy: Option<f32>,
    /// Presence score, no unit, unbounded.
    pub presence_score: Option<f32>,
    /// Clock of the node, milliseconds.
    pub node_ms: u32,
}

impl Vitals {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self::from_header(whole::<32>("vitals", bytes)?))
    }

    fn from_header<const N: usize>(h: &[u8; N]) -> Self {
        Self {
            node: h[4],
            flags: h[5],
            breathing_centi_bpm: u16_at(h, 6),
            heart_e4_bpm: u32_at(h, 8),
            rssi_dbm: i8::from_le_bytes([h[12]]),
            persons: h[13],
            motion_energy: f32_at(h, 16),
            presence_score: f32_at(h, 20),
            node_ms: u32_at(h, 24),
        }
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.write_header(magic::VITALS, [0, 0], out);
        out.extend_from_slice(&[0; 4]);
    }

    fn write_header(&self, magic: u32, at_14: [u8; 2], out: &mut Vec<u8>) {
        out.extend_from_slice(&magic.to_le_bytes());
        out.extend_from_slice(&[self.node, self.flags]);
        out.extend_from_slice(&self.breathing_centi_bpm.to_le_bytes());
        out.extend_from_slice(&self.heart_e4_bpm.to_le_bytes());
        out.extend_from_slice(&self.rssi_dbm.to_le_bytes());
        out.push(self.persons);
        out.extend_from_slice(&at_14);
        out.extend_from_slice(&f32_bytes(self.motion_energy));
        out.extend_from_slice(&f32_bytes(self.presence_score));
        out.extend_from_slice(&self.node_ms.to_le_bytes());
    }
}

/// Vital signs by a node with a millimetre-wave sensor, 0xC5110004.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusedVitals {
    /// As without the sensor; bit 3 of its flags says the sensor is there.
    pub vitals: Vitals,
    /// Type of the sensor.
    pub mmwave_type: u8,
    /// Confidence of the fusion, percent.
    pub fusion_confidence: u8,
    /// Heart beats a minute by the sensor.
    pub mmwave_heart_bpm: Option<f32>,
    /// Breaths a minute by the sensor.
    pub mmwave_breathing_bpm: Option<f32>,
    /// Distance by the sensor, centimetres.
    pub mmwave_distance_cm: Option<f32>,
    /// Targets of the sensor.
    pub mmwave_targets: u8,
    /// Confidence of the sensor, percent.
    pub mmwave_confidence: u8,
}

impl FusedVitals {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let h = whole::<48>("fused vitals", bytes)?;
        Ok(Self {
            vitals: Vitals::from_header(h),
            mmwave_type: h[14],
            fusion_confidence: h[15],
            mmwave_heart_bpm: f32_at(h, 28),
            mmwave_breathing_bpm: f32_at(h, 32),
            mmwave_distance_cm: f32_at(h, 36),
            mmwave_targets: h[40],
            mmwave_confidence: h[41],
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.vitals
            .write_header(magic::FUSED_VITALS, [self.mmwave_type, self.fusion_confidence], out);
        out.extend_from_slice(&f32_bytes(self.mmwave_heart_bpm));
        out.extend_from_slice(&f32_bytes(self.mmwave_breathing_bpm));
        out.extend_from_slice(&f32_bytes(self.mmwave_distance_cm));
        out.extend_from_slice(&[self.mmwave_targets, self.mmwave_confidence, 0, 0, 0, 0, 0, 0]);
    }
}

/// A feature vector by a node, 0xC5110003.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// The node.
    pub node: u8,
    /// Sequence number.
    pub seq: u16,
    /// Clock of the node, microseconds.
    pub node_us: i64,
    /// The features, no unit.
    pub features: [Option<f32>; 8],
}

impl Feature {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let h = whole::<48>("feature", bytes)?;
        Ok(Self {
            node: h[4],
            seq: u16_at(h, 6),
            node_us: i64_at(h, 8),
            features: std::array::from_fn(|i| f32_at(h, 16 + 4 * i)),
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&magic::FEATURE.to_le_bytes());
        out.extend_from_slice(&[self.node, 0]);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.node_us.to_le_bytes());
        self.features.iter().for_each(|x| out.extend_from_slice(&f32_bytes(*x)));
    }
}

/// A feature state by a node, 0xC5110006; also the payload of a mesh feature delta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureState {
    /// The node.
    pub node: u8,
    /// Its mode.
    pub mode: u8,
    /// Sequence number.
    pub seq: u16,
    /// Clock of the node, microseconds.
    pub node_us: u64,
    /// Motion, presence, breaths a minute and their confidence, heart beats a minute and their
    /// confidence, anomaly, shift of the environment, coherence.
    pub values: [Option<f32>; 9],
    /// Bit 0 presence, 1 breathing, 2 heart valid, 3 anomaly, 4 shift, 5 degraded, 6 calibrating, 7 wants recalibration.
    pub quality_flags: u16,
}

impl FeatureState {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let h = whole::<60>("feature state", bytes)?;
        if u32_at(h, 0) != magic::FEATURE_STATE {
            return Err(WireError::UnknownMagic { found: u32_at(h, 0) });
        }
        check_crc("feature state", &h[..56], u32_at(h, 56))?;
        Ok(Self {
            node: h[4],
            mode: h[5],
            seq: u16_at(h, 6),
            node_us: u64_at(h, 8),
            values: std::array::from_fn(|i| f32_at(h, 16 + 4 * i)),
            quality_flags: u16_at(h, 52),
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&magic::FEATURE_STATE.to_le_bytes());
        out.extend_from_slice(&[self.node, self.mode]);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.node_us.to_le_bytes());
        self.values.iter().for_each(|x| out.extend_from_slice(&f32_bytes(*x)));
        out.extend_from_slice(&self.quality_flags.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        let crc = crc32(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

/// CSI as run lengths of the XOR with the node's previous buffer, 0xC5110005.
///
/// It carries no sequence number, so after one lost datagram every later one decodes to noise that
/// nothing can tell from CSI. Tapline therefore counts it and does not use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressedCsi<'a> {
    /// The node.
    pub node: u8,
    /// Wi-Fi channel.
    pub channel: u8,
    /// Length of the buffer that was compressed, bytes.
    pub buffer_len: u16,
    /// (value, count) pairs.
    pub runs: &'a [u8],
}

impl<'a> CompressedCsi<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        const WHAT: &str = "compressed CSI";
        let h = header::<10>(WHAT, bytes)?;
        exact_length(WHAT, 10 + usize::from(u16_at(h, 8)), bytes.len())?;
        Ok(Self {
            node: h[4],
            channel: h[5],
            buffer_len: u16_at(h, 6),
            runs: &bytes[10..],
        })
    }

    /// Appends the datagram to `out`.
    ///
    /// # Errors
    /// More than 65535 bytes of runs.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let found = self.runs.len();
        let len = u16::try_from(found).map_err(|_| WireError::Buffer {
            what: "compressed CSI runs",
            expected: usize::from(u16::MAX),
            found,
        })?;
        out.extend_from_slice(&magic::COMPRESSED_CSI.to_le_bytes());
        out.extend_from_slice(&[self.node, self.channel]);
        out.extend_from_slice(&self.buffer_len.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(self.runs);
        Ok(())
    }
}
