//! Quiet and moving rooms, one ESP32 each: one decision a cycle, for every kind of chip in the directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use super::{
    lab::{Cycle, Lab, Quiet, Replay},
    report::{Row, Section},
    score::{Counts, auc, roc},
    site::Site,
    svg::Picture,
};

/// Files whose own label is in doubt, and why: reported with and without.
const DOUBTFUL: &[(&str, &str)] = &[(
    "baseline_s3_64sc_20260117_222606",
    "labelled quiet, but its first 1.5 s move as much as the moving files do",
)];
/// The calibration is the last part of a quiet file, seconds.
pub(super) const CALIBRATION_S: f64 = 3.0;
/// Cycles before this are not scored: a window has to fill, seconds.
const FROM_S: f64 = 1.0;

/// One file.
pub(super) struct File {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) moving: bool,
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let mut section = Section {
        title: "Motion, ESP32 chips (esp32-motion)".to_owned(),
        method: format!(
            "Per chip: calibrated on the last {CALIBRATION_S} s of one quiet file, then every file of the chip is replayed with that \
             calibration and scored from {FROM_S} s in (the file of the calibration up to its last {CALIBRATION_S} s). Every quiet file \
             takes its turn as the calibration, so each row is a hold-out of the other files. A positive is the published \
             state OCCUPIED_MOVING in one cycle of 50 ms."
        ),
        ..Section::default()
    };
    let mut curve = Picture::chart(
        "ESP32 motion: ROC of the probability of motion",
        ("false positives", [0.0, 0.1]),
        ("recall", [0.9, 1.0]),
    );
    for (index, (chip, files)) in by_chip(lab)?.into_iter().enumerate() {
        let (rows, scores) = chip_rows(lab, &chip, &files)?;
        section.rows.extend(rows);
        if !scores[0].is_empty() && !scores[1].is_empty() {
            let name = format!("{chip}, AUC {:.4}", auc(&scores[0], &scores[1]));
            curve.line(&name, Picture::colour(index), &roc(&scores[0], &scores[1]));
        }
    }
    for (name, why) in DOUBTFUL {
        section
            .notes
            .push(format!("`{name}` is {why}; rows that count it say so."));
    }
    section.images.push((
        lab.image("esp32-motion-roc", curve.svg()),
        "ROC of the published motion probability, all calibrations of a chip together, doubtful files left out"
            .to_owned(),
    ));
    Ok(section)
}

/// The files of each chip, by name.
pub(super) fn by_chip(lab: &Lab) -> Result<BTreeMap<String, Vec<File>>, String> {
    let directory = lab.data().join("esp32-motion");
    let entries = fs::read_dir(&directory).map_err(|e| format!("cannot read {}: {e}", directory.display()))?;
    let names: BTreeSet<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    let mut chips: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for path in names {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        let mut parts = stem.split('_');
        let (label, chip) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if path.extension().is_none_or(|e| e != "npz") || !["baseline", "movement"].contains(&label) {
            continue;
        }
        let file = File {
            moving: label == "movement",
            path: path.clone(),
            name: stem.clone(),
        };
        chips.entry(chip.to_owned()).or_default().push(file);
    }
    Ok(chips)
}

pub(super) fn config(lab: &Lab, chip: &str) -> Result<PathBuf, String> {
    let layout = if chip == "esp32" {
        chip.to_owned()
    } else {
        format!("esp32{chip}")
    };
    let site = Site::new("esp32-motion")
        .room("room", [0.0, 0.0], [4.0, 4.0])
        .transmitter(100, [0.5, 2.0, 1.0])
        .sensor(1, [3.5, 2.0, 1.0], &layout)
        .csi(100, 1, "LLTF-64", 6, 1);
    lab.write(&format!("esp32-{chip}.toml"), site.text())
}

type Scores = [Vec<f64>; 2];

fn chip_rows(lab: &Lab, chip: &str, files: &[File]) -> Result<(Vec<Row>, Scores), String> {
    let config = config(lab, chip)?;
    let (mut rows, mut scores) = (Vec::new(), Scores::default());
    for quiet in files.iter().filter(|f| !f.moving) {
        let what = format!("{chip}, calibrated on `{}`", quiet.name);
        let calibration = match lab.calibrate(&config, &quiet.path, Quiet::Last(CALIBRATION_S), &quiet.name) {
            Ok(file) => file,
            Err(reason) => {
                rows.push(Row::asked(what, format!("refused: {reason}"), "a calibration", false));
                continue;
            }
        };
        let jobs: Vec<_> = files
            .iter()
            .map(|file| {
                let replay = Replay {
                    config: config.clone(),
                    recording: file.path.clone(),
                    calibration: Some(calibration.clone()),
                    calibrate_first_s: None,
                };
                (format!("{}-by-{}", file.name, quiet.name), replay)
            })
            .collect();
        let (mut with, mut without, mut doubt) = (Counts::default(), Counts::default(), false);
        for (file, cycles) in files.iter().zip(lab.replay_all(&jobs)?) {
            let own = count(file, file.name == quiet.name, &cycles);
            with.merge(own);
            if doubtful(&file.name) {
                doubt = true;
                continue;
            }
            without.merge(own);
            let scored = scored(file.name == quiet.name, &cycles);
            scores[usize::from(file.moving)].extend(scored.map(|c| c.moving_probability.unwrap_or(0.0)));
        }
        let reached = without.recall() >= 0.99 && without.false_rate() <= 0.005;
        let row = Row::asked(
            what.clone(),
            without.to_string(),
            "recall 99 %, false positives 0.5 %",
            reached,
        );
        rows.push(row.reference("recall 96 to 100 %, false positives 0 to 3 % (the recordings' author)"));
        if doubt {
            rows.push(Row::reported(
                format!("{what}, with the doubtful file"),
                with.to_string(),
            ));
        }
    }
    Ok((rows, scores))
}

/// True for a file whose own label is in doubt.
pub(super) fn doubtful(name: &str) -> bool {
    DOUBTFUL.iter().any(|(doubtful, _)| *doubtful == name)
}

/// The cycles that count; `own`: the file's last part was its calibration.
fn scored(own: bool, cycles: &[Cycle]) -> impl Iterator<Item = &Cycle> {
    let length_s = cycles.last().map_or(0.0, |c| c.time_s);
    let until_s = if own { length_s - CALIBRATION_S } else { f64::INFINITY };
    cycles.iter().filter(move |c| (FROM_S..until_s).contains(&c.time_s))
}

/// Decisions of one file.
pub(super) fn count(file: &File, own: bool, cycles: &[Cycle]) -> Counts {
    let mut counts = Counts::default();
    scored(own, cycles).for_each(|c| counts.add(file.moving, c.moving()));
    counts
}
