//! Intel 5300 in a room with nobody, one and two people: presence with one calibration for all recordings.

use super::{
    lab::{Lab, Quiet, Replay},
    report::{Row, Section},
    score::{Counts, auc, roc},
    site::Site,
    svg::Picture,
};

const CALIBRATION_S: f64 = 30.0;
/// Cycles before this are not scored where nothing was learned, seconds.
const FROM_S: f64 = 1.0;

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let directory = lab.data().join("iwl5300-occupancy");
    let config = lab.write("room-a.toml", site().text())?;
    let mut section = Section {
        title: "Presence, Intel 5300 (iwl5300-occupancy)".to_owned(),
        method: format!(
            "Calibrated on the first {CALIBRATION_S} s of a room's empty recording; that calibration is used on all recordings of the \
             room. Scored is the published probability and state of the site in every cycle: of the empty recording after \
             the calibration, of the others from {FROM_S} s on. The two transmit streams are two transmitting nodes, the three \
             receive antennas three paths each. Rooms are found by their file names."
        ),
        ..Section::default()
    };
    for room in ["A", "B", "C"] {
        let file = |people: u32| directory.join(format!("Room{room}_{people}p.dat"));
        if file(0).is_file() {
            one_room(lab, room, &config, &file, &mut section)?;
        }
    }
    Ok(section)
}

/// The antennas' places are not given; the room is about 6 m by 5 m in the recordings' sketch.
fn site() -> Site {
    Site::new("room-a")
        .room("room", [0.0, 0.0], [6.0, 5.0])
        .transmitter(100, [0.5, 2.4, 1.0])
        .transmitter(101, [0.5, 2.6, 1.0])
        .sensor(1, [5.5, 2.5, 1.0], "auto")
        .csi(100, 1, "canonical-56", 6, 3)
        .csi(101, 1, "canonical-56", 6, 3)
}

fn one_room(
    lab: &Lab,
    room: &str,
    config: &std::path::Path,
    file: &dyn Fn(u32) -> std::path::PathBuf,
    section: &mut Section,
) -> Result<(), String> {
    let calibration = lab.calibrate(
        config,
        &file(0),
        Quiet::From(0.0, CALIBRATION_S),
        &format!("room-{room}"),
    )?;
    let counts: Vec<u32> = (0..=8).filter(|p| file(*p).is_file()).collect();
    let jobs: Vec<_> = counts
        .iter()
        .map(|&people| {
            let replay = Replay {
                config: config.to_owned(),
                recording: file(people),
                calibration: Some(calibration.clone()),
                calibrate_first_s: None,
            };
            (format!("room-{room}-{people}"), replay)
        })
        .collect();
    let (mut states, mut probabilities) = (Counts::default(), [Vec::new(), Vec::new()]);
    let mut curve = Picture::chart(
        &format!("Room {room}: published probability of presence"),
        ("s", [0.0, 185.0]),
        ("probability", [0.0, 1.02]),
    );
    for (&people, cycles) in counts.iter().zip(lab.replay_all(&jobs)?) {
        let from_s = if people == 0 { CALIBRATION_S } else { FROM_S };
        let (mut own, mut least, mut most) = (Counts::default(), 1.0_f64, 0.0_f64);
        let scored = || cycles.iter().filter(|c| c.time_s >= from_s);
        for cycle in scored() {
            // Unknown is no answer: it counts as empty with people and as occupied without.
            let p = cycle.probability.unwrap_or(if people > 0 { 0.0 } else { 1.0 });
            own.add(people > 0, cycle.occupied());
            probabilities[usize::from(people > 0)].push(p);
            (least, most) = (least.min(p), most.max(p));
        }
        let points: Vec<[f64; 2]> = scored()
            .step_by(10)
            .map(|c| [c.time_s, c.probability.unwrap_or(0.0)])
            .collect();
        curve.line(&format!("{people} people"), Picture::colour(people as usize), &points);
        states.merge(own);
        section.rows.push(Row::reported(
            format!("room {room}, {people} people"),
            format!("{own}; probability {least:.3} to {most:.3}"),
        ));
    }
    let [empty, occupied] = &probabilities;
    if occupied.is_empty() {
        return Ok(());
    }
    let area = auc(empty, occupied);
    section.rows.push(
        Row::asked(
            format!("room {room}, AUC of the probability"),
            format!("{area:.4}"),
            "1.0",
            area >= 1.0,
        )
        .reference("1.000 (standard deviation over 100 frames)"),
    );
    section.rows.push(Row::asked(
        format!("room {room}, false positives in the rest of the empty recording"),
        format!("{} of {}", states.false_alarms, states.negatives),
        "0",
        states.false_alarms == 0,
    ));
    let name = format!("room-{}", room.to_lowercase());
    section.images.push((
        lab.image(&name, curve.svg()),
        format!("Room {room}: published probability over time"),
    ));
    if area < 1.0 {
        let mut picture = Picture::chart(
            &format!("Room {room}: ROC"),
            ("false positives", [0.0, 1.0]),
            ("recall", [0.0, 1.0]),
        );
        picture.line("presence", Picture::colour(0), &roc(empty, occupied));
        section.images.push((
            lab.image(&format!("{name}-roc"), picture.svg()),
            format!("Room {room}: ROC"),
        ));
    }
    Ok(())
}
