//! The basement mesh: received strengths of ten nodes on eight channels. Here: its recording, and presence.

use std::path::PathBuf;

use super::{
    lab::{Lab, Quiet, Replay, read},
    report::{Row, Section},
    score::{Counts, auc, roc},
    site::Site,
    svg::Picture,
};

/// Channels of the mesh, numbered from 1 in our recording.
const CHANNELS: u16 = 8;
/// The person is in the room from here to there, seconds of the recording.
const OCCUPIED_S: [f64; 2] = [56.0, 376.0];
const CALIBRATION_S: f64 = 30.0;

/// A table of numbers, one row a line.
pub(super) fn table(lab: &Lab, file: &str) -> Result<Vec<Vec<f64>>, String> {
    let text = read(&lab.data().join("rti-basement").join(file))?;
    let number = |w: &str| w.parse::<f64>().map_err(|e| format!("{file}: {w}: {e}"));
    text.lines()
        .map(|l| l.split_whitespace().map(number).collect())
        .collect()
}

/// The mesh as a recording of RSS lines and its fleet file. Node ids and channels count from 1.
pub(super) fn recording(lab: &Lab) -> Result<(PathBuf, PathBuf), String> {
    let nodes = table(lab, "sensor_coords_basement_m.txt")?;
    let mut text = String::new();
    let pairs = |n: usize| (0..n).flat_map(move |tx| (0..n).filter(move |rx| *rx != tx).map(move |rx| (tx, rx)));
    for row in table(lab, "basement_listenx_out_1.txt")? {
        let (time_ms, values) = row.split_last().ok_or("an empty row")?;
        let columns = (0..CHANNELS as usize).flat_map(|c| pairs(nodes.len()).map(move |p| (c, p)));
        // 127 marks what was not received.
        for ((channel, (tx, rx)), value) in columns.zip(values).filter(|(_, v)| **v <= -10.0) {
            text += &format!(
                "{{\"type\":\"rss\",\"t_ms\":{time_ms},\"tx\":{},\"rx\":{},\"channel\":{},\"rssi_dbm\":{value}}}\n",
                tx + 1,
                rx + 1,
                channel + 1
            );
        }
    }
    let recording = lab.write("basement.recording.jsonl", text)?;
    let bound = |axis: usize, pick: fn(f64, f64) -> f64| nodes.iter().map(|n| n[axis]).fold(nodes[0][axis], pick);
    let mut site = Site::new("basement").room(
        "room",
        [bound(0, f64::min), bound(1, f64::min)],
        [bound(0, f64::max), bound(1, f64::max)],
    );
    for (i, node) in nodes.iter().enumerate() {
        site = site.sensor(i as u16 + 1, [node[0], node[1], 1.0], "auto");
    }
    let channels: Vec<u16> = (1..=CHANNELS).collect();
    let config = lab.write("basement.toml", site.rss_mesh(&channels).text())?;
    Ok((recording, config))
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let (recording, config) = recording(lab)?;
    let calibration = lab.calibrate(&config, &recording, Quiet::From(0.0, CALIBRATION_S), "basement")?;
    let replay = Replay {
        config,
        recording,
        calibration: Some(calibration),
        calibrate_first_s: None,
    };
    let cycles = lab.replay(&replay, "basement-presence")?;
    let (mut states, mut probabilities, mut points) = (Counts::default(), [Vec::new(), Vec::new()], Vec::new());
    for cycle in cycles.iter().filter(|c| c.time_s >= CALIBRATION_S) {
        // The truth is in the recording's own time.
        let truth = (OCCUPIED_S[0]..OCCUPIED_S[1]).contains(&(cycle.t_ms / 1e3));
        states.add(truth, cycle.occupied());
        probabilities[usize::from(truth)].push(cycle.probability.unwrap_or(0.0));
        points.push([cycle.t_ms / 1e3, cycle.probability.unwrap_or(0.0)]);
    }
    let [empty, occupied] = &probabilities;
    let area = auc(empty, occupied);
    let mut time = Picture::chart(
        "Basement: published probability of presence",
        ("s", [0.0, 405.0]),
        ("probability", [0.0, 1.02]),
    );
    time.band("truth: occupied", OCCUPIED_S[0], OCCUPIED_S[1]);
    let thinned: Vec<_> = points.iter().step_by(10).copied().collect();
    time.line("published", Picture::colour(0), &thinned);
    let mut curve = Picture::chart(
        "Basement: ROC of presence",
        ("false positives", [0.0, 1.0]),
        ("recall", [0.0, 1.0]),
    );
    curve.line("presence", Picture::colour(0), &roc(empty, occupied));
    Ok(Section {
        title: "Presence, mesh of received strengths (rti-basement)".to_owned(),
        method: format!(
            "Calibrated on the first {CALIBRATION_S} s, scored in every cycle after them. The truth is empty before {} s and after {} s; \
             the person stands at the edge of the mesh for some seconds before and after, which the truth counts as empty.",
            OCCUPIED_S[0], OCCUPIED_S[1]
        ),
        rows: vec![
            Row::asked(
                "AUC of the published probability",
                format!("{area:.4}"),
                "0.97",
                area >= 0.97,
            )
            .reference("0.84 (maximum of an RTI image)"),
            Row::reported("published state", states.to_string()),
        ],
        images: vec![
            (
                lab.image("basement-presence", time.svg()),
                "Published probability over time".to_owned(),
            ),
            (
                lab.image("basement-presence-roc", curve.svg()),
                "ROC of presence in the basement".to_owned(),
            ),
        ],
        ..Section::default()
    })
}
