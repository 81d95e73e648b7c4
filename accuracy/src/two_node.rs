//! The two-node recording: no record of who was in the room, so what is reported is no accuracy.

use super::{
    lab::{Lab, Replay},
    report::{Row, Section},
};
use xtask::run::root;

const CALIBRATION_S: f64 = 30.0;

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let replay = Replay {
        config: root().join("config.example.toml"),
        recording: lab.data().join("esp32-two-node/pretrain-1775182186.csi.jsonl"),
        calibration: None,
        calibrate_first_s: Some(CALIBRATION_S),
    };
    let cycles = lab.replay(&replay, "two-node")?;
    let share = |what: &dyn Fn(&super::lab::Cycle) -> bool| {
        format!(
            "{:.1} %",
            100.0 * cycles.iter().filter(|c| what(c)).count() as f64 / cycles.len().max(1) as f64
        )
    };
    let state = |name: &'static str| share(&move |c| c.state == name);
    Ok(Section {
        title: "Two nodes, mixed activity (esp32-two-node)".to_owned(),
        method: format!(
            "There is no truth for this recording. With `config.example.toml` and a calibration asked for over its first {CALIBRATION_S} s: what was \
             published, so that a change is seen. A calibration is refused when somebody moves; then presence stays unknown."
        ),
        rows: vec![
            Row::reported("cycles", cycles.len().to_string()),
            Row::reported("published UNKNOWN", state("UNKNOWN")),
            Row::reported("published EMPTY", state("EMPTY")),
            Row::reported("published OCCUPIED_MOVING", state("OCCUPIED_MOVING")),
            Row::reported("published OCCUPIED_STILL", state("OCCUPIED_STILL")),
            Row::reported("gate ACCEPT", share(&|c| c.gate == "ACCEPT")),
        ],
        ..Section::default()
    })
}
