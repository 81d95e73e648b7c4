//! Signatures of the people in a replay: what [`tapline_dsp::tracker::People`] collected.
//!
//! The product compares signatures inside the tracker and publishes none. The trace of a replay holds what the tracker
//! was given, to the bit; the same code with the same defaults is run on it once more, and its people must be those
//! that the replay published. So the signatures are the ones that the replay's tracker held.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use serde_json::Value;
use tapline_dsp::{
    sketch::Bank,
    tomography::{ImageGrid, LinkSample, Node, QuietSample},
    tracker::{self, Entrance, NUMBERS, People, Signature, TrackerConfig},
};

use super::{lab::Cycle, people::distance_m};

/// A slot of the product's cycle, seconds.
const SLOT_S: f32 = 0.05;
/// Edge of a cell of the product's image, and the height of a room, metres: defaults of the fleet file.
const PITCH_M: f32 = 0.25;
const HEIGHT_M: f32 = 2.5;
/// Published positions are `f32`; this is far above their steps, metres.
const SAME_M: f64 = 1e-3;

/// Room, door and nodes as the tracker is told of them.
pub(super) struct Place<'a> {
    pub(super) room_m: [f64; 2],
    pub(super) door_m: [f64; 2],
    pub(super) nodes_m: &'a [[f64; 3]],
}

impl Place<'_> {
    fn grid(&self) -> Result<ImageGrid, String> {
        let cells = self.room_m.map(|m| (m / f64::from(PITCH_M)).ceil() as usize);
        ImageGrid::new([0.0; 3], [PITCH_M, PITCH_M, HEIGHT_M], [cells[0], cells[1], 1]).map_err(|e| e.to_string())
    }

    fn nodes(&self) -> Vec<Node> {
        let node = |(id, at): (u32, &[f64; 3])| Node {
            id,
            at_m: at.map(|v| v as f32),
        };
        (1..).zip(self.nodes_m).map(node).collect()
    }
}

/// One visitor's signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    /// When it rested on the looks that the product waits for before it compares a newcomer.
    pub(super) early: Signature,
    /// At the end of the visit: what would be remembered.
    pub(super) late: Signature,
}

/// The signature of whoever was looked at most; none when nobody was looked at long enough to be compared.
///
/// # Errors
/// When the people are not those that the replay published.
pub(super) fn collect(place: &Place<'_>, trace: &Path, cycles: &[Cycle]) -> Result<Option<Signed>, String> {
    let config = TrackerConfig::default();
    let mut people = People::new(config, &place.grid()?);
    let [x, y] = place.room_m.map(|v| v as f32);
    let door = Entrance {
        at_m: place.door_m.map(|v| v as f32),
        width_m: 0.9,
    };
    people.set_room([[0.0, 0.0], [x, 0.0], [x, y], [0.0, y]].into_iter(), [door].into_iter());
    let nodes = place.nodes();
    let mut all: Vec<(u64, Signed)> = Vec::new();
    let file = File::open(trace).map_err(|e| format!("cannot read {}: {e}", trace.display()))?;
    let mut lines = BufReader::new(file).lines();
    for cycle in cycles {
        let line = lines
            .next()
            .ok_or("a cycle without a trace")?
            .map_err(|e| e.to_string())?;
        let line: Value = serde_json::from_str(&line).map_err(|e| e.to_string())?;
        let samples: Vec<LinkSample> = line["links"]
            .as_array()
            .ok_or("a trace without links")?
            .iter()
            .map(sample)
            .collect::<Option<_>>()
            .ok_or("a link without ends")?;
        let step = tracker::Cycle {
            step_s: SLOT_S,
            accept: matches!(line["gate"].as_str(), Some("Accept" | "Recalibrate")),
            nodes: nodes.iter().copied(),
            samples: &samples,
        };
        people.step(&step).map_err(|e| e.to_string())?;
        same(&people, cycle)?;
        for (track, signature) in people.tracks().iter().zip(people.signatures()) {
            if signature.looks() < config.reid_looks {
                continue;
            }
            match all.iter_mut().find(|(id, _)| *id == track.id) {
                Some((_, signed)) => signed.late = *signature,
                None => all.push((
                    track.id,
                    Signed {
                        early: *signature,
                        late: *signature,
                    },
                )),
            }
        }
    }
    let most = all
        .into_iter()
        .max_by(|a, b| a.1.late.looks().total_cmp(&b.1.late.looks()));
    Ok(most.map(|(_, signed)| signed))
}

fn sample(link: &Value) -> Option<LinkSample> {
    let number = |key: &str| link[key].as_f64().map(|v| v as f32);
    let quiet = |key: &str| number(key).unwrap_or_default();
    Some(LinkSample {
        tx: u32::try_from(link["tx"].as_u64()?).ok()?,
        rx: u32::try_from(link["rx"].as_u64()?).ok()?,
        quiet: number("quiet_dbm").map(|quiet_dbm| QuietSample {
            quiet_dbm,
            attenuation_db: quiet("attenuation_db"),
            noise_db: quiet("noise_db"),
        }),
        change: number("change").zip(number("change_quiet")),
        age_s: quiet("age_s"),
    })
}

/// Whether everybody whom the product published is among these, where it published them.
fn same(people: &People, cycle: &Cycle) -> Result<(), String> {
    for published in &cycle.tracks {
        let own = people.tracks().iter().find(|t| t.id == published.id);
        let off_m = own.map_or(f64::INFINITY, |t| {
            distance_m(t.kalman.floor().at_m, published.position_m)
        });
        if off_m > SAME_M {
            return Err(format!(
                "at {:.2} s the replay published track {} at {:?}, the tracker run on its trace is {off_m} m from it",
                cycle.time_s, published.id, published.position_m
            ));
        }
    }
    Ok(())
}

/// The cosine of two signatures as the product takes it; none when one has no direction.
pub(super) fn cosine(remembered: &[f32], new: &[f32]) -> Option<f64> {
    let mut bank = Bank::new(remembered.len(), 1);
    bank.push(remembered)?;
    let mut found = [(0.0, 0)];
    (bank.nearest(new, &mut found) == 1).then_some(f64::from(found[0].0))
}

/// Which numbers of a signature are compared.
pub(super) const ALL: core::ops::Range<usize> = 0..NUMBERS;
/// By how much links are disturbed.
pub(super) const ATTENUATION: core::ops::Range<usize> = 0..NUMBERS / 2;
/// How much they change.
pub(super) const CHANGE: core::ops::Range<usize> = NUMBERS / 2..NUMBERS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traced_link_is_the_sample_that_the_tracker_had() {
        let written = 0.1_f32 + 0.2_f32;
        let link = serde_json::json!({
            "tx": 3, "rx": 9, "age_s": 0.0125_f32, "quiet_dbm": -51.3_f32, "attenuation_db": written, "noise_db": 0.4_f32,
            "change": null, "change_quiet": null,
        });
        let link: Value = serde_json::from_str(&link.to_string()).expect("JSON");
        let sample = sample(&link).expect("a sample");
        let quiet = sample.quiet.expect("a strength");
        assert_eq!(
            (quiet.attenuation_db.to_bits(), sample.change),
            (written.to_bits(), None)
        );
        assert_eq!((sample.tx, sample.rx, sample.age_s), (3, 9, 0.0125));
    }

    #[test]
    fn a_cosine_by_hand() {
        let near = |a: &[f32], b: &[f32], want: f64| cosine(a, b).is_some_and(|c| (c - want).abs() < 1e-3);
        assert!(near(&[1.0, 0.0], &[3.0, 3.0], 0.5_f64.sqrt()));
        assert!(near(&[1.0, 2.0], &[-2.0, -4.0], -1.0));
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), None);
    }
}
