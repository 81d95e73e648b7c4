//! Node clocks: the sync datagram 0xC511A110, and arithmetic on sequence numbers that wrap.

use crate::{
    bytes::{u32_at, u64_at, whole},
    error::WireError,
    kind::magic,
};

const VERSION: u8 = 1;

/// How many frames `newer` is ahead of `older`, on the circle of 2^32; negative when it is behind.
///
/// Signed on purpose: UDP reorders, so a frame just *below* a reference must come out as a small
/// negative number and not as four thousand million.
pub fn seq_delta(newer: u32, older: u32) -> i32 {
    newer.wrapping_sub(older) as i32
}

/// One clock sample of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncPacket {
    /// The node.
    pub node: u8,
    /// It leads the mesh.
    pub leader: bool,
    /// Its epoch is valid.
    pub valid: bool,
    /// Its offset is smoothed.
    pub smoothed: bool,
    /// Its own clock, microseconds.
    pub local_us: u64,
    /// Mesh epoch at the same moment, microseconds.
    pub epoch_us: u64,
    /// Highest CSI sequence number sent at this moment.
    pub seq_high_water: u32,
}

impl SyncPacket {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let h = whole::<32>("sync", bytes)?;
        if h[5] != VERSION {
            return Err(WireError::Version {
                what: "sync",
                expected: VERSION,
                found: h[5],
            });
        }
        Ok(Self {
            node: h[4],
            leader: h[6] & 1 != 0,
            valid: h[6] & 2 != 0,
            smoothed: h[6] & 4 != 0,
            local_us: u64_at(h, 8),
            epoch_us: u64_at(h, 16),
            seq_high_water: u32_at(h, 24),
        })
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&magic::SYNC.to_le_bytes());
        let flags = u8::from(self.leader) | u8::from(self.valid) << 1 | u8::from(self.smoothed) << 2;
        out.extend_from_slice(&[self.node, VERSION, flags, 0]);
        out.extend_from_slice(&self.local_us.to_le_bytes());
        out.extend_from_slice(&self.epoch_us.to_le_bytes());
        out.extend_from_slice(&self.seq_high_water.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }

    /// Mesh epoch minus the node's own clock, microseconds, modulo 2^64.
    pub fn offset_us(&self) -> i64 {
        self.epoch_us.wrapping_sub(self.local_us) as i64
    }

    /// Mesh time of the frame `seq`, microseconds, at `fps` frames a second.
    ///
    /// `None` when the node says its epoch is invalid, when `fps` is not a positive number, or when
    /// the result leaves the clock's range.
    pub fn mesh_time_us(&self, seq: u32, fps: f64) -> Option<u64> {
        if !(self.valid && fps > 0.0 && fps.is_finite()) {
            return None;
        }
        let ahead_us = f64::from(seq_delta(seq, self.seq_high_water)) * 1e6 / fps;
        // The cast below saturates at +-2^63, and that must not pass for a time.
        if ahead_us.abs() >= 9.2e18 {
            return None;
        }
        self.epoch_us.checked_add_signed(ahead_us.round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(seq_high_water: u32) -> SyncPacket {
        SyncPacket {
            node: 1,
            leader: false,
            valid: true,
            smoothed: true,
            local_us: 1_000,
            epoch_us: 50_000_000_000,
            seq_high_water,
        }
    }

    #[test]
    fn deltas_are_signed_and_wrap() {
        assert_eq!(seq_delta(5, 3), 2);
        assert_eq!(seq_delta(3, 5), -2);
        assert_eq!(seq_delta(1, u32::MAX), 2);
        assert_eq!(seq_delta(u32::MAX, 1), -2);
        assert_eq!(seq_delta(0x8000_0000, 0), i32::MIN);
    }

    /// A server elsewhere zero-extended the 32-bit difference of sequence numbers. A frame that UDP
    /// had delivered after the sync datagram that counts it lay one below the high-water mark, and
    /// came out 2^32 frames, 6.8 years at 20 frames a second, in the future.
    #[test]
    fn a_frame_just_below_the_high_water_mark_lies_one_period_back() {
        let sync = sync(1_000);
        assert_eq!(sync.mesh_time_us(999, 20.0), Some(sync.epoch_us - 50_000));
        assert_eq!(sync.mesh_time_us(1_001, 20.0), Some(sync.epoch_us + 50_000));
    }

    #[test]
    fn the_wrap_is_crossed_in_both_directions() {
        assert_eq!(sync(0).mesh_time_us(u32::MAX, 20.0), Some(50_000_000_000 - 50_000));
        assert_eq!(sync(u32::MAX).mesh_time_us(1, 20.0), Some(50_000_000_000 + 100_000));
    }

    #[test]
    fn no_time_without_a_rate_an_epoch_or_room() {
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(sync(9).mesh_time_us(10, fps), None);
        }
        assert_eq!(
            SyncPacket {
                valid: false,
                ..sync(9)
            }
            .mesh_time_us(10, 20.0),
            None
        );
        assert_eq!(
            SyncPacket {
                epoch_us: 10,
                ..sync(9)
            }
            .mesh_time_us(8, 20.0),
            None
        );
        assert_eq!(sync(9).mesh_time_us(10, f64::MIN_POSITIVE), None);
    }
}
