//! Just enough of other tools' file formats to feed the front end from public recordings. Everything is bounded by
//! the file's own size; a file that does not fit is an error text.

use std::{fs, path::Path};

use num_complex::Complex32;

/// One frame of one path.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Seconds from the start of the recording.
    pub(crate) time_s: f64,
    /// Index of the path.
    pub(crate) path: usize,
    /// Tones in the path's order (or one value for RSS).
    pub(crate) tones: Vec<Complex32>,
    /// Measured tones.
    pub(crate) mask: Vec<u8>,
}

type Outcome<T> = Result<T, String>;

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn u16_at(b: &[u8], at: usize) -> Outcome<usize> {
    b.get(at..at + 2)
        .map(|v| usize::from(u16::from_le_bytes([v[0], v[1]])))
        .ok_or_else(|| "truncated".into())
}

fn u32_at(b: &[u8], at: usize) -> Outcome<usize> {
    b.get(at..at + 4)
        .map(|v| u32::from_le_bytes([v[0], v[1], v[2], v[3]]) as usize)
        .ok_or_else(|| "truncated".into())
}

/// The member `name` of a zip archive, through its central directory.
fn zip_member(zip: &[u8], name: &str) -> Outcome<Vec<u8>> {
    let end = (0..zip.len().saturating_sub(21))
        .rev()
        .find(|&i| zip[i..].starts_with(b"PK\x05\x06"));
    let end = end.ok_or("not a zip archive")?;
    let (count, mut at) = (u16_at(zip, end + 10)?, u32_at(zip, end + 16)?);
    for _ in 0..count {
        let (method, packed, size) = (u16_at(zip, at + 10)?, u32_at(zip, at + 20)?, u32_at(zip, at + 24)?);
        let (name_len, extra, comment) = (u16_at(zip, at + 28)?, u16_at(zip, at + 30)?, u16_at(zip, at + 32)?);
        let local = u32_at(zip, at + 42)?;
        if zip.get(at + 46..at + 46 + name_len) == Some(name.as_bytes()) {
            let start = local + 30 + u16_at(zip, local + 26)? + u16_at(zip, local + 28)?;
            let data = zip.get(start..start + packed).ok_or("truncated")?;
            return match method {
                0 => Ok(data.to_vec()),
                8 => miniz_oxide::inflate::decompress_to_vec_with_limit(data, size.min(64 << 20))
                    .map_err(|error| format!("{name}: {error}")),
                other => Err(format!("{name}: compression method {other}")),
            };
        }
        at += 46 + name_len + extra + comment;
    }
    Err(format!("no member {name}"))
}

/// Shape and data of a C-ordered `.npy` array of the given type.
fn npy<'a>(bytes: &'a [u8], descr: &str) -> Outcome<(Vec<usize>, &'a [u8])> {
    if !bytes.starts_with(b"\x93NUMPY\x01") {
        return Err("not an .npy array of version 1".into());
    }
    let data = 10 + u16_at(bytes, 8)?;
    let header = bytes.get(10..data).ok_or("truncated")?;
    let header = std::str::from_utf8(header).map_err(|error| error.to_string())?;
    if !header.contains(&format!("'descr': '{descr}'")) || !header.contains("'fortran_order': False") {
        return Err(format!("expected {descr} in C order, found {header}"));
    }
    let shape = header
        .split_once("'shape': (")
        .and_then(|(_, s)| s.split_once(')'))
        .ok_or("no shape")?
        .0;
    let shape = shape.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape: Vec<usize> = shape
        .map(|s| s.parse().map_err(|_| format!("shape {s}")))
        .collect::<Outcome<_>>()?;
    Ok((shape, &bytes[data..]))
}

/// An ESP32 file of `esp32-motion`: its frames on the 52 tones of the legacy training field, and its length.
/// Packets carry no time; they are spread evenly over the file's duration.
pub(crate) fn esp32_npz(path: &Path, first_word_invalid: bool) -> Outcome<(Vec<Frame>, f64)> {
    let zip = read(path)?;
    let csi = zip_member(&zip, "csi_data.npy")?;
    let (shape, data) = npy(&csi, "|i1")?;
    let [packets, 128] = shape[..] else {
        return Err(format!("shape {shape:?}"));
    };
    let duration = zip_member(&zip, "duration_ms.npy")?;
    let (_, duration) = npy(&duration, "<f8")?;
    let duration_s = f64::from_le_bytes(duration.get(..8).and_then(|b| b.try_into().ok()).ok_or("truncated")?) / 1e3;
    let frames = data.chunks_exact(128).take(packets).enumerate().map(|(i, packet)| {
        let tone = |index: i16| {
            let bin = index.rem_euclid(64) as usize;
            // Byte pairs are (imag, real).
            Complex32::new(
                f32::from(packet[2 * bin + 1].cast_signed()),
                f32::from(packet[2 * bin].cast_signed()),
            )
        };
        let indices = || (-26..=26_i16).filter(|&i| i != 0);
        Frame {
            time_s: i as f64 * duration_s / packets as f64,
            path: 0,
            tones: indices().map(tone).collect(),
            mask: indices().map(|i| u8::from(!(first_word_invalid && i == 1))).collect(),
        }
    });
    Ok((frames.collect(), duration_s))
}

/// An episode of `esp32-drift`: 56 amplitudes at 100 Hz (no phase) and one label a sample.
pub(crate) fn drift_npy(path: &Path) -> Outcome<(Vec<Frame>, Vec<String>)> {
    let bytes = read(path)?;
    let (shape, data) = npy(&bytes, "<f8")?;
    let [56, samples] = shape[..] else {
        return Err(format!("shape {shape:?}"));
    };
    let value = |k: usize, i: usize| {
        let at = 8 * (k * samples + i);
        data.get(at..at + 8)
            .and_then(|b| b.try_into().ok())
            .map(|b| f64::from_le_bytes(b) as f32)
    };
    let mut frames = Vec::new();
    for i in 0..samples {
        let tones: Option<Vec<_>> = (0..56).map(|k| value(k, i).map(|a| Complex32::new(a, 0.0))).collect();
        frames.push(Frame {
            time_s: i as f64 / 100.0,
            path: 0,
            tones: tones.ok_or("truncated")?,
            mask: vec![1; 56],
        });
    }
    let labels = path.to_string_lossy().replace("-x.npy", "-y.txt");
    let labels = fs::read_to_string(&labels).map_err(|error| format!("{labels}: {error}"))?;
    Ok((frames, labels.lines().map(|l| l.trim().to_string()).collect()))
}

/// Tone indices of the Intel 5300's 30 groups at 20 MHz.
const IWL_TONES: [i16; 30] = [
    -28, -26, -24, -22, -20, -18, -16, -14, -12, -10, -8, -6, -4, -2, -1, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23,
    25, 27, 28,
];

/// An Intel 5300 log (linux-80211n-csitool): one path an antenna pair, `rx * 2 + tx`, on canonical-56 with the 26
/// tones masked that the card does not report. Receive antennas are put in their physical order by `antenna_sel`
/// (the card permutes them from packet to packet). Packets with another antenna count are left out; a truncated
/// last record ends the file.
pub(crate) fn iwl5300(path: &Path) -> Outcome<Vec<Frame>> {
    let bytes = read(path)?;
    let (mut frames, mut at, mut wraps, mut first, mut last) = (Vec::new(), 0, 0_u64, None, 0_u64);
    while let Some(head) = bytes.get(at..at + 3) {
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let Some(record) = bytes.get(at + 3..at + 2 + length) else {
            break;
        };
        at += 2 + length;
        if head[2] != 0xBB || record.len() < 20 || record[8] != 3 || record[9] != 2 {
            continue;
        }
        let stamp = u32_at(record, 0)? as u64;
        wraps += u64::from(stamp + (1 << 31) < last);
        last = stamp;
        let stamp = stamp + (wraps << 32);
        let time_s = (stamp - *first.get_or_insert(stamp)) as f64 * 1e-6;
        let antenna = |i: usize| usize::from(record[15] >> (2 * i)) & 3;
        let mut pairs = vec![vec![Complex32::default(); 56]; 6];
        let mut mask = vec![0; 56];
        let payload = &record[20..];
        let mut bit = 0;
        for index in IWL_TONES {
            let place = (index + if index < 0 { 28 } else { 27 }) as usize;
            mask[place] = 1;
            bit += 3;
            for j in 0..6 {
                let mut number = || -> Outcome<f32> {
                    let word = u16_at(payload, bit / 8).or_else(|e| match payload.get(bit / 8) {
                        Some(&b) if bit % 8 == 0 => Ok(usize::from(b)),
                        _ => Err(e),
                    })?;
                    let value = (word >> (bit % 8)) as u8;
                    bit += 8;
                    Ok(f32::from(value.cast_signed()))
                };
                let value = Complex32::new(number()?, number()?);
                pairs[antenna(j / 2) * 2 + j % 2][place] = value;
            }
        }
        for (path, tones) in pairs.into_iter().enumerate() {
            frames.push(Frame {
                time_s,
                path,
                tones,
                mask: mask.clone(),
            });
        }
    }
    Ok(frames)
}

/// The basement mesh: nodes `(x, y)` and frames with one value each; path = column of the file, 127 = missing.
#[derive(Debug)]
pub(crate) struct Basement {
    pub(crate) nodes: Vec<[f32; 2]>,
    pub(crate) frames: Vec<Frame>,
}

pub(crate) const BASEMENT_CHANNELS: usize = 8;

pub(crate) fn basement(directory: &Path) -> Outcome<Basement> {
    let table = |name: &str| -> Outcome<Vec<Vec<f64>>> {
        let text = String::from_utf8(read(&directory.join(name))?).map_err(|error| error.to_string())?;
        let number = |w: &str| w.parse::<f64>().map_err(|error| format!("{name}: {w}: {error}"));
        text.lines()
            .map(|l| l.split_whitespace().map(number).collect())
            .collect()
    };
    let nodes = table("sensor_coords_basement_m.txt")?;
    let mut frames = Vec::new();
    for row in table("basement_listenx_out_1.txt")? {
        let (time_ms, values) = row.split_last().ok_or("empty row")?;
        for (path, &value) in values.iter().enumerate().filter(|(_, v)| **v < 0.0) {
            let tones = vec![Complex32::new(value as f32, 0.0)];
            frames.push(Frame {
                time_s: time_ms / 1e3,
                path,
                tones,
                mask: vec![1],
            });
        }
    }
    Ok(Basement {
        nodes: nodes.iter().map(|n| [n[0] as f32, n[1] as f32]).collect(),
        frames,
    })
}
