//! The ESP32 motion files with frames lost and gains stepped: what a busy channel and an unlocked receiver do.

use std::path::{Path, PathBuf};

use tapline_wire::{
    Adr018, Datagram, Ppdu, parse,
    recording::{ReadOptions, RecordBody, Recording},
};

use super::{
    esp32_motion::{self, CALIBRATION_S, File},
    lab::{Lab, Quiet, Replay},
    report::{Row, Section},
    score::Counts,
};

/// Something that happens to a recording.
struct Mishap {
    name: &'static str,
    what: &'static str,
    /// Keeps a frame, given its number and time.
    keep: fn(usize, f64) -> bool,
    /// Factor on its samples, which are rounded to whole numbers again.
    gain: fn(f64) -> f64,
}

const MISHAPS: &[Mishap] = &[
    Mishap {
        name: "half",
        what: "every second frame lost",
        keep: |i, _| i % 2 == 0,
        gain: |_| 1.0,
    },
    Mishap {
        name: "quarter",
        what: "three of four frames lost",
        keep: |i, _| i % 4 == 0,
        gain: |_| 1.0,
    },
    Mishap {
        name: "tenth",
        what: "nine of ten frames lost",
        keep: |i, _| i % 10 == 0,
        gain: |_| 1.0,
    },
    Mishap {
        name: "random",
        what: "40 % of the frames lost at random",
        keep: |i, _| hash(i) % 10 >= 4,
        gain: |_| 1.0,
    },
    Mishap {
        name: "bursts",
        what: "300 ms lost in every second",
        keep: |_, t| t.fract() < 0.7,
        gain: |_| 1.0,
    },
    Mishap {
        name: "gain",
        what: "gain halved for every other 700 ms",
        keep: |_, _| true,
        gain: |t| if ((t / 0.7) as u64).is_multiple_of(2) { 1.0 } else { 0.5 },
    },
];

/// Scatters frame numbers; the same on every machine.
fn hash(i: usize) -> u64 {
    ((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % 1_000
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let mut section = Section {
        title: "Motion with lost frames and gain steps (esp32-motion, altered)".to_owned(),
        method: format!(
            "The files of the section before, altered after recording; each quiet file's last {CALIBRATION_S} s, altered as well, calibrate \
             every file of its chip in turn. All chips and calibrations are counted together, the doubtful file is left out. \
             Nothing was set on these."
        ),
        ..Section::default()
    };
    let chips = esp32_motion::by_chip(lab)?;
    for mishap in MISHAPS {
        let (mut counts, mut refused, mut worst) = (Counts::default(), Vec::new(), (0.0, String::new()));
        for (chip, files) in &chips {
            let config = esp32_motion::config(lab, chip)?;
            let altered: Vec<(&File, PathBuf)> = files
                .iter()
                .filter(|f| !esp32_motion::doubtful(&f.name))
                .map(|file| Ok((file, alter(lab, &file.path, &file.name, mishap)?)))
                .collect::<Result<_, String>>()?;
            for (quiet, recording) in altered.iter().filter(|(f, _)| !f.moving) {
                let name = format!("{}-{}", quiet.name, mishap.name);
                let calibration = match lab.calibrate(&config, recording, Quiet::Last(CALIBRATION_S), &name) {
                    Ok(file) => file,
                    Err(_) => {
                        refused.push(quiet.name.clone());
                        continue;
                    }
                };
                let jobs: Vec<_> = altered
                    .iter()
                    .map(|(file, recording)| {
                        let replay = Replay {
                            config: config.clone(),
                            recording: recording.clone(),
                            calibration: Some(calibration.clone()),
                            calibrate_first_s: None,
                        };
                        (format!("{}-by-{name}", file.name), replay)
                    })
                    .collect();
                for ((file, _), cycles) in altered.iter().zip(lab.replay_all(&jobs)?) {
                    let own = esp32_motion::count(file, file.name == quiet.name, &cycles);
                    let wrong = if file.moving {
                        1.0 - own.recall()
                    } else {
                        own.false_rate()
                    };
                    if wrong > worst.0 {
                        worst = (wrong, format!("`{}` by `{}`", file.name, quiet.name));
                    }
                    counts.merge(own);
                }
            }
        }
        let mut figure = counts.to_string();
        if worst.0 > 0.0 {
            figure += &format!("; worst {:.1} % wrong: {}", 100.0 * worst.0, worst.1);
        }
        if !refused.is_empty() {
            figure += &format!("; no calibration from {}", refused.join(", "));
        }
        section.rows.push(Row::reported(mishap.what, figure));
    }
    Ok(section)
}

/// The file as the product reads it, altered, as a recording of datagrams.
fn alter(lab: &Lab, path: &Path, name: &str, mishap: &Mishap) -> Result<PathBuf, String> {
    let mut text = String::new();
    let recording = Recording::open(path, &ReadOptions::default()).map_err(|e| e.to_string())?;
    for (i, record) in recording.enumerate() {
        let record = record.map_err(|e| e.to_string())?;
        let time_s = record.time_ns as f64 * 1e-9;
        let RecordBody::Datagram(bytes) = record.body else {
            continue;
        };
        if !(mishap.keep)(i, time_s) {
            continue;
        }
        let Ok(Datagram::Csi(csi)) = parse(&bytes) else {
            return Err(format!("{}: a datagram that is no CSI", path.display()));
        };
        let gain = (mishap.gain)(time_s);
        let scaled = |b: &u8| (f64::from(b.cast_signed()) * gain).round() as i8;
        let pairs: Vec<[i8; 2]> = csi
            .samples
            .chunks_exact(2)
            .map(|p| [scaled(&p[0]), scaled(&p[1])])
            .collect();
        let mut datagram = Vec::new();
        Adr018 {
            node: 1,
            antennas: 1,
            bins: csi.bins,
            frequency_mhz: csi.centre_khz / 1_000,
            seq: csi.seq,
            rssi_dbm: 0,
            noise_dbm: 0,
            ppdu: Ppdu::HtOrLegacy,
            wide: false,
            stbc: false,
            ldpc: false,
            sync_valid: false,
            pairs: &pairs,
        }
        .encode(&mut datagram)
        .map_err(|e| e.to_string())?;
        let hex: String = datagram.iter().map(|b| format!("{b:02x}")).collect();
        text += &format!("{{\"type\":\"datagram\",\"timestamp\":{time_s:.6},\"node_id\":1,\"hex\":\"{hex}\"}}\n");
    }
    lab.write(&format!("{name}-{}.recording.jsonl", mishap.name), text)
}
