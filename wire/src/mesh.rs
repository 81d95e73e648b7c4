//! The mesh control envelope 0xC5118100.

use crate::{
    bytes::{check_crc, crc32, exact_length, f32_at, f32_bytes, header, u16_at, u32_at, u64_at, whole},
    error::WireError,
    firmware::FeatureState,
    kind::magic,
};

const WHAT: &str = "mesh envelope";
const HEADER_LEN: usize = 16;
const VERSION: u8 = 1;
/// Longest payload, bytes.
const MAX_PAYLOAD: u16 = 256;

/// One message of the mesh. Its authentication class is carried, not checked: the keys stay in the mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeshMessage {
    /// Role of the sender: 0 unassigned, 1 anchor, 2 observer, 3 relay, 4 coordinator.
    pub sender_role: u8,
    /// 0 none, 1 HMAC, 2 Ed25519.
    pub auth_class: u8,
    /// Epoch of the mesh.
    pub epoch: u32,
    /// What it says.
    pub body: MeshBody,
}

/// What a mesh message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MeshBody {
    /// Clock of the anchor.
    TimeSync {
        /// Microseconds.
        anchor_us: u64,
        /// Cycle.
        cycle_id: u32,
        /// Its length, microseconds.
        period_us: u32,
    },
    /// A node gets a role.
    RoleAssign {
        /// The node.
        id: [u8; 8],
        /// The role.
        role: u8,
        /// From this epoch on.
        epoch: u32,
    },
    /// A node gets channels to dwell on.
    ChannelPlan {
        /// The node.
        id: [u8; 8],
        /// How many of `channels` count.
        count: u8,
        /// Dwell time, milliseconds; big-endian on the wire, unlike everything else.
        dwell_ms: u16,
        /// Raw CSI is wanted.
        raw_csi: u8,
        /// Channels.
        channels: [u8; 8],
        /// From this epoch on.
        epoch: u32,
    },
    /// A calibration begins.
    CalibrationStart {
        /// Microseconds.
        start_us: u64,
        /// Milliseconds.
        duration_ms: u32,
        /// Epoch.
        epoch: u32,
        /// Profile.
        profile: u8,
    },
    /// A node's feature state.
    FeatureDelta(FeatureState),
    /// A node's health.
    Health {
        /// The node.
        id: [u8; 8],
        /// Its clock, microseconds.
        node_us: u64,
        /// Its role.
        role: u8,
        /// Its channel.
        channel: u8,
        /// Its bandwidth code.
        bandwidth: u8,
        /// Its noise floor, dBm.
        noise_dbm: i8,
        /// Frames a second.
        packet_yield: u16,
        /// Clock error, microseconds.
        sync_error_us: u16,
        /// Flags.
        flags: u16,
    },
    /// A node's alarm.
    Anomaly {
        /// The node.
        id: [u8; 8],
        /// Its clock, microseconds.
        node_us: u64,
        /// Severity.
        severity: u8,
        /// 0 none, 1 physics, 2 multi-link, 3 yield collapse, 4 fall, 5 coherence.
        reason: u8,
        /// Anomaly score.
        anomaly: Option<f32>,
        /// Motion score.
        motion: Option<f32>,
    },
}

fn id<const N: usize>(h: &[u8; N]) -> [u8; 8] {
    std::array::from_fn(|i| h[i])
}

impl MeshBody {
    /// The type byte of the envelope.
    pub const fn code(&self) -> u8 {
        match self {
            Self::TimeSync { .. } => 1,
            Self::RoleAssign { .. } => 2,
            Self::ChannelPlan { .. } => 3,
            Self::CalibrationStart { .. } => 4,
            Self::FeatureDelta(_) => 5,
            Self::Health { .. } => 6,
            Self::Anomaly { .. } => 7,
        }
    }

    fn parse(code: u8, payload: &[u8]) -> Result<Self, WireError> {
        Ok(match code {
            1 => {
                let h = whole::<16>("mesh time sync", payload)?;
                Self::TimeSync {
                    anchor_us: u64_at(h, 0),
                    cycle_id: u32_at(h, 8),
                    period_us: u32_at(h, 12),
                }
            }
            2 => {
                let h = whole::<16>("mesh role assignment", payload)?;
                Self::RoleAssign {
                    id: id(h),
                    role: h[8],
                    epoch: u32_at(h, 12),
                }
            }
            3 => {
                let h = whole::<24>("mesh channel plan", payload)?;
                Self::ChannelPlan {
                    id: id(h),
                    count: h[8],
                    dwell_ms: u16::from_be_bytes([h[9], h[10]]),
                    raw_csi: h[11],
                    channels: std::array::from_fn(|i| h[12 + i]),
                    epoch: u32_at(h, 20),
                }
            }
            4 => {
                let h = whole::<20>("mesh calibration start", payload)?;
                Self::CalibrationStart {
                    start_us: u64_at(h, 0),
                    duration_ms: u32_at(h, 8),
                    epoch: u32_at(h, 12),
                    profile: h[16],
                }
            }
            5 => Self::FeatureDelta(FeatureState::parse(payload)?),
            6 => {
                let h = whole::<28>("mesh health", payload)?;
                Self::Health {
                    id: id(h),
                    node_us: u64_at(h, 8),
                    role: h[16],
                    channel: h[17],
                    bandwidth: h[18],
                    noise_dbm: i8::from_le_bytes([h[19]]),
                    packet_yield: u16_at(h, 20),
                    sync_error_us: u16_at(h, 22),
                    flags: u16_at(h, 24),
                }
            }
            7 => {
                let h = whole::<28>("mesh anomaly", payload)?;
                Self::Anomaly {
                    id: id(h),
                    node_us: u64_at(h, 8),
                    severity: h[16],
                    reason: h[17],
                    anomaly: f32_at(h, 20),
                    motion: f32_at(h, 24),
                }
            }
            _ => {
                return Err(WireError::Field {
                    what: WHAT,
                    field: "type",
                    expected: "1..=7",
                    found: code.into(),
                });
            }
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::TimeSync {
                anchor_us,
                cycle_id,
                period_us,
            } => {
                out.extend_from_slice(&anchor_us.to_le_bytes());
                out.extend_from_slice(&cycle_id.to_le_bytes());
                out.extend_from_slice(&period_us.to_le_bytes());
            }
            Self::RoleAssign { id, role, epoch } => {
                out.extend_from_slice(&id);
                out.extend_from_slice(&[role, 0, 0, 0]);
                out.extend_from_slice(&epoch.to_le_bytes());
            }
            Self::ChannelPlan {
                id,
                count,
                dwell_ms,
                raw_csi,
                channels,
                epoch,
            } => {
                out.extend_from_slice(&id);
                out.push(count);
                out.extend_from_slice(&dwell_ms.to_be_bytes());
                out.push(raw_csi);
                out.extend_from_slice(&channels);
                out.extend_from_slice(&epoch.to_le_bytes());
            }
            Self::CalibrationStart {
                start_us,
                duration_ms,
                epoch,
                profile,
            } => {
                out.extend_from_slice(&start_us.to_le_bytes());
                out.extend_from_slice(&duration_ms.to_le_bytes());
                out.extend_from_slice(&epoch.to_le_bytes());
                out.extend_from_slice(&[profile, 0, 0, 0]);
            }
            Self::FeatureDelta(state) => state.encode(out),
            Self::Health {
                id,
                node_us,
                role,
                channel,
                bandwidth,
                noise_dbm,
                packet_yield,
                sync_error_us,
                flags,
            } => {
                out.extend_from_slice(&id);
                out.extend_from_slice(&node_us.to_le_bytes());
                out.extend_from_slice(&[role, channel, bandwidth]);
                out.extend_from_slice(&noise_dbm.to_le_bytes());
                out.extend_from_slice(&packet_yield.to_le_bytes());
                out.extend_from_slice(&sync_error_us.to_le_bytes());
                out.extend_from_slice(&flags.to_le_bytes());
                out.extend_from_slice(&[0; 2]);
            }
            Self::Anomaly {
                id,
                node_us,
                severity,
                reason,
                anomaly,
                motion,
            } => {
                out.extend_from_slice(&id);
                out.extend_from_slice(&node_us.to_le_bytes());
                out.extend_from_slice(&[severity, reason, 0, 0]);
                out.extend_from_slice(&f32_bytes(anomaly));
                out.extend_from_slice(&f32_bytes(motion));
            }
        }
    }
}

impl MeshMessage {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let h = header::<HEADER_LEN>(WHAT, bytes)?;
        if h[4] != VERSION {
            return Err(WireError::Version {
                what: WHAT,
                expected: VERSION,
                found: h[4],
            });
        }
        let payload_len = u16_at(h, 12);
        if payload_len > MAX_PAYLOAD {
            let found = payload_len.into();
            return Err(WireError::Field {
                what: WHAT,
                field: "payload length",
                expected: "at most 256",
                found,
            });
        }
        let end = HEADER_LEN + usize::from(payload_len);
        exact_length(WHAT, end + 4, bytes.len())?;
        let (covered, crc) = bytes.split_at(end);
        check_crc(WHAT, covered, u32_at(whole::<4>(WHAT, crc)?, 0))?;
        Ok(Self {
            sender_role: h[6],
            auth_class: h[7],
            epoch: u32_at(h, 8),
            body: MeshBody::parse(h[5], &covered[HEADER_LEN..])?,
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&magic::MESH.to_le_bytes());
        out.extend_from_slice(&[VERSION, self.body.code(), self.sender_role, self.auth_class]);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        self.body.write(out);
        let payload_len = (out.len() - start - HEADER_LEN) as u16;
        out[start + 12..start + 14].copy_from_slice(&payload_len.to_le_bytes());
        let crc = crc32(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}
