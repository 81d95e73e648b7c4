//! Little-endian fields of a fixed header, CRC-32 and the keyed MAC.

use crate::error::WireError;

/// Length of a MAC, bytes.
pub(crate) const MAC_LEN: usize = 16;

/// The first `N` bytes, or how many are missing.
pub(crate) fn header<'a, const N: usize>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8; N], WireError> {
    bytes.first_chunk().ok_or(WireError::TooShort {
        what,
        expected: N,
        found: bytes.len(),
    })
}

/// Exactly `N` bytes.
pub(crate) fn whole<'a, const N: usize>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8; N], WireError> {
    let found = header(what, bytes)?;
    exact_length(what, N, bytes.len())?;
    Ok(found)
}

/// Fails unless the datagram is as long as its header says.
pub(crate) fn exact_length(what: &'static str, expected: usize, found: usize) -> Result<(), WireError> {
    if expected == found {
        Ok(())
    } else {
        Err(WireError::Length { what, expected, found })
    }
}

fn at<const N: usize, const W: usize>(header: &[u8; N], offset: usize) -> [u8; W] {
    std::array::from_fn(|i| header[offset + i])
}

pub(crate) fn u16_at<const N: usize>(header: &[u8; N], offset: usize) -> u16 {
    u16::from_le_bytes(at(header, offset))
}

pub(crate) fn u32_at<const N: usize>(header: &[u8; N], offset: usize) -> u32 {
    u32::from_le_bytes(at(header, offset))
}

pub(crate) fn u64_at<const N: usize>(header: &[u8; N], offset: usize) -> u64 {
    u64::from_le_bytes(at(header, offset))
}

pub(crate) fn i64_at<const N: usize>(header: &[u8; N], offset: usize) -> i64 {
    i64::from_le_bytes(at(header, offset))
}

/// A float as nodes send it; `None` when it is not finite.
pub(crate) fn f32_at<const N: usize>(header: &[u8; N], offset: usize) -> Option<f32> {
    Some(f32::from_le_bytes(at(header, offset))).filter(|x| x.is_finite())
}

/// The bytes of an optional float: a missing one is a NaN.
pub(crate) fn f32_bytes(x: Option<f32>) -> [u8; 4] {
    x.unwrap_or(f32::NAN).to_le_bytes()
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// CRC-32 (IEEE 802.3, reflected, as zlib computes it).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, byte| (crc >> 8) ^ CRC_TABLE[usize::from(crc as u8 ^ byte)])
}

/// Fails unless `found` is the CRC-32 of `covered`.
pub(crate) fn check_crc(what: &'static str, covered: &[u8], found: u32) -> Result<(), WireError> {
    let expected = crc32(covered);
    if expected == found {
        Ok(())
    } else {
        Err(WireError::Crc { what, expected, found })
    }
}

/// The MAC of our own datagrams: the first 16 bytes of keyed BLAKE3 over all that stands before it.
pub(crate) fn mac_of(key: &[u8; 32], covered: &[u8]) -> [u8; MAC_LEN] {
    let hash = blake3::keyed_hash(key, covered);
    at(hash.as_bytes(), 0)
}

/// Compares in constant time, so that a forger learns nothing from how long it takes.
pub(crate) fn check_mac(key: &[u8; 32], covered: &[u8], mac: Option<&[u8; MAC_LEN]>) -> Result<(), WireError> {
    let mac = mac.ok_or(WireError::MacMissing)?;
    let expected = mac_of(key, covered);
    let difference = expected.iter().zip(mac).fold(0, |all, (a, b)| all | (a ^ b));
    if std::hint::black_box(difference) == 0 {
        Ok(())
    } else {
        Err(WireError::MacMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_matches_the_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn mac_is_refused_under_another_key_or_over_other_bytes() {
        let mac = mac_of(&[7; 32], b"tones");
        assert_eq!(check_mac(&[7; 32], b"tones", Some(&mac)), Ok(()));
        assert_eq!(check_mac(&[8; 32], b"tones", Some(&mac)), Err(WireError::MacMismatch));
        assert_eq!(check_mac(&[7; 32], b"tonez", Some(&mac)), Err(WireError::MacMismatch));
        assert_eq!(check_mac(&[7; 32], b"tones", None), Err(WireError::MacMissing));
    }
}
