//! One link over an hour: limits set on the first day part, seated against walking on the later ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tapline_dsp::tier::Tier;
use tapline_wire::{Samples, Tlf1, TlfGrid};

use super::{
    lab::{Lab, Quiet, Replay, read},
    report::{Row, Section},
    score::{Counts, auc},
    site::Site,
};

const TONES: usize = 56;
const RATE_HZ: f64 = 100.0;
/// The episode that sets the limits, and how long somebody sits still in it, seconds.
const LIMITS: (&str, &str, f64) = ("D1", "e01_rx_tx", 2.7);
const PARTS: [(&str, &str); 4] = [
    ("D1", "the same part, other episodes"),
    ("D2", "10 minutes later"),
    ("D3", "20 minutes later"),
    ("D4", "an hour later"),
];

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let site = Site::new("esp32-drift")
        .room("room", [0.0, 0.0], [6.0, 4.0])
        .transmitter(100, [0.5, 2.0, 1.0])
        .sensor(1, [5.5, 2.0, 1.0], "auto")
        .csi(100, 1, "canonical-56", 6, 1);
    let config = lab.write("esp32-drift.toml", site.text())?;
    let first = convert(lab, &path(lab, LIMITS.0, LIMITS.1))?;
    let calibration = lab.calibrate(&config, &first, Quiet::From(0.0, LIMITS.2), "esp32-drift")?;
    let mut section = Section {
        title: "Drift over an hour (esp32-drift)".to_owned(),
        method: format!(
            "Amplitudes only, episodes of 8 to 10 s. Calibrated while somebody sits still in the first {} s of {}/{}; all other episodes, \
             seated against walking. A window holds a second, so a cycle counts when its whole second has one label. The \
             AUC is that of the probability of motion, the state that of the cycle.",
            LIMITS.2, LIMITS.0, LIMITS.1
        ),
        ..Section::default()
    };
    for (part, when) in PARTS {
        let episodes = episodes(lab, part)?;
        let mut jobs = Vec::new();
        for name in &episodes {
            let replay = Replay {
                config: config.clone(),
                recording: convert(lab, &path(lab, part, name))?,
                calibration: Some(calibration.clone()),
                calibrate_first_s: None,
            };
            jobs.push((format!("drift-{part}-{name}"), replay));
        }
        let (mut states, mut scores) = (Counts::default(), [Vec::new(), Vec::new()]);
        for (name, cycles) in episodes.iter().zip(lab.replay_all(&jobs)?) {
            let labels = read(&path(lab, part, name).with_file_name(format!("{name}-y.txt")))?;
            let labels: Vec<&str> = labels.lines().map(str::trim).collect();
            for cycle in &cycles {
                let Some(truth) = truth(&labels, cycle.time_s) else {
                    continue;
                };
                states.add(truth, cycle.moving());
                scores[usize::from(truth)].push(cycle.moving_probability.unwrap_or(0.0));
            }
        }
        if scores[0].is_empty() || scores[1].is_empty() {
            continue;
        }
        section.rows.push(Row::reported(
            format!("{part} ({when}), {} episodes", episodes.len()),
            format!("AUC {:.4}; {states}", auc(&scores[0], &scores[1])),
        ));
    }
    Ok(section)
}

/// Moving, or seated, when the whole last second says so.
fn truth(labels: &[&str], time_s: f64) -> Option<bool> {
    let newest = ((time_s * RATE_HZ) as usize).min(labels.len().checked_sub(1)?);
    let second = &labels[newest.checked_sub(RATE_HZ as usize)?..=newest];
    let all = |what: &str| second.iter().all(|l| l.starts_with(what));
    if all("SEATED") {
        Some(false)
    } else {
        all("WALKING").then_some(true)
    }
}

fn path(lab: &Lab, part: &str, name: &str) -> PathBuf {
    lab.data().join("esp32-drift").join(part).join(format!("{name}-x.npy"))
}

/// Episodes of a part of the day, without the one that set the limits.
fn episodes(lab: &Lab, part: &str) -> Result<Vec<String>, String> {
    let directory = lab.data().join("esp32-drift").join(part);
    let entries = fs::read_dir(&directory).map_err(|e| format!("cannot read {}: {e}", directory.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|e| Some(e.ok()?.file_name().to_str()?.strip_suffix("-x.npy")?.to_owned()))
        .filter(|name| (part, name.as_str()) != (LIMITS.0, LIMITS.1))
        .collect();
    names.sort();
    Ok(names)
}

/// A NumPy matrix of amplitudes, tones by samples, as a recording of TLF1 datagrams.
fn convert(lab: &Lab, path: &Path) -> Result<PathBuf, String> {
    let bytes = fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let values = matrix(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    let samples = values.len() / TONES;
    let mut text = String::new();
    for i in 0..samples {
        let amplitudes: Vec<f32> = (0..TONES).map(|k| values[k * samples + i] as f32).collect();
        let mut datagram = Vec::new();
        Tlf1 {
            rx_node: 1,
            tx_node: Some(100),
            seq: i as u32,
            capture_us: (i as f64 / RATE_HZ * 1e6) as u64,
            mesh_time: false,
            simulated: false,
            centre_khz: 2_437_000,
            bandwidth_mhz: 20,
            grid: TlfGrid::Active(Tier::Canonical56),
            antennas: 1,
            rssi_dbm: 0,
            noise_dbm: 0,
            agc_db: None,
            boot_count: 0,
            samples: Samples::Amplitude(&amplitudes),
        }
        .encode(None, &mut datagram)
        .map_err(|e| format!("{}: {e}", path.display()))?;
        let hex: String = datagram.iter().map(|b| format!("{b:02x}")).collect();
        text += &format!(
            "{{\"type\":\"datagram\",\"timestamp\":{:.3},\"node_id\":1,\"hex\":\"{hex}\"}}\n",
            i as f64 / RATE_HZ
        );
    }
    let part = path
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    lab.write(&format!("drift-{part}-{stem}.recording.jsonl"), text)
}

/// `.npy` version 1, little-endian doubles in C order, of [`TONES`] rows.
fn matrix(bytes: &[u8]) -> Result<Vec<f64>, String> {
    let head = bytes.first_chunk::<10>().filter(|h| h.starts_with(b"\x93NUMPY\x01"));
    let head = head.ok_or("expected an .npy file of version 1")?;
    let data = 10 + usize::from(u16::from_le_bytes([head[8], head[9]]));
    let text = bytes
        .get(10..data)
        .and_then(|h| str::from_utf8(h).ok())
        .ok_or("the header is cut short")?;
    if !text.contains("'descr': '<f8'") || !text.contains("'fortran_order': False") || !text.contains("'shape': (56,") {
        return Err(format!("expected doubles in C order of shape (56, N), found {text}"));
    }
    let doubles = bytes[data..].chunks_exact(8);
    Ok(doubles
        .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
        .collect())
}
