//! People who visit a simulated room: who they are, which way they walk, and what the radio says of it.
//!
//! A scene holds one visit: the room is empty, then one person comes in by the door and walks from point to point
//! until the end. Everything is drawn from a fixed generator by numbers of person, route and visit, so a visit is the same
//! whenever it is asked for.

use std::{fmt::Write as _, path::PathBuf};

use tapline_wire::{
    Datagram, parse,
    recording::{ReadOptions, RecordBody, Recording},
};

use super::{lab::Lab, random::Random, site::Site};

/// The room is empty so long, seconds.
pub(super) const EMPTY_S: f64 = 31.0;
/// A visit, from the door's far side to the end, seconds.
pub(super) const STAY_S: f64 = 75.0;
/// Corners of the room, metres.
pub(super) const ROOM_M: [f64; 2] = [6.0, 5.0];
/// Where the door is.
pub(super) const DOOR_M: [f64; 2] = [6.0, 2.5];
/// Where people come from: outside, behind the door.
const OUTSIDE_M: [f64; 2] = [9.0, 2.5];
/// Nearest to a wall that a route goes, metres.
const WALL_M: f64 = 0.6;
/// Shortest leg of a route, metres.
const LEG_M: f64 = 1.5;
/// Legs of a route: more than the fastest can walk in a visit.
const LEGS: u32 = 31;
/// Received strengths of every pair of nodes in a second.
const RATE_HZ: f64 = 10.0;
/// The channel on which the mesh is heard.
const CHANNEL: u16 = 6;

/// Ten nodes round the room, as somebody mounts them: not all at one height.
pub(super) const NODES_M: [[f64; 3]; 10] = [
    [0.2, 0.2, 1.0],
    [2.1, 0.2, 1.2],
    [4.0, 0.2, 0.9],
    [5.8, 0.2, 1.1],
    [5.8, 1.7, 1.0],
    [5.8, 4.8, 1.2],
    [4.1, 4.8, 1.0],
    [2.0, 4.8, 1.1],
    [0.2, 4.8, 0.9],
    [0.2, 2.5, 1.2],
];

/// What stays with a person from visit to visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build {
    pub(super) height_m: f64,
    pub(super) speed_m_s: f64,
    breaths_min: f64,
    breath_mm: f64,
}

impl Build {
    /// Person number so and so.
    pub(super) fn of(person: u64) -> Self {
        let mut random = Random::new([1, person, 0]);
        Self {
            height_m: random.between(1.5, 1.9),
            speed_m_s: random.between(0.7, 1.3),
            breaths_min: random.between(12.0, 18.0),
            breath_mm: random.between(5.0, 12.0),
        }
    }
}

/// One person's visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) person: u64,
    /// Number of the route: equal numbers are equal points and pauses.
    pub(super) route: u64,
    /// Number of the visit: its mood (speed within 10 %) and the radio's chance.
    pub(super) number: u64,
}

/// A visit as files.
pub(super) struct Files {
    pub(super) config: PathBuf,
    pub(super) recording: PathBuf,
    pub(super) truth: PathBuf,
}

impl Visit {
    /// A name for its files.
    pub(super) fn name(&self) -> String {
        format!("reid-{}-{}-{}", self.person, self.route, self.number)
    }

    /// The scene file.
    fn scene(&self) -> String {
        let build = Build::of(self.person);
        let mood = Random::new([2, self.person, self.number]).between(0.9, 1.1);
        let mut text = format!(
            "name = \"visit\"\ntitle = \"One visit\"\nduration_s = {:?}\n\n\
             [radio]\ntier = \"HT20\"\ncentre_mhz = 2437.0\nrate_hz = {RATE_HZ:?}\n\n\
             [[room]]\nid = \"lab\"\nmin = [0.0, 0.0, 0.0]\nmax = [{:?}, {:?}, 2.6]\n\n\
             [[door]]\nid = \"door\"\nroom = \"lab\"\nat = {DOOR_M:?}\nwidth_m = 0.9\n",
            EMPTY_S + STAY_S,
            ROOM_M[0],
            ROOM_M[1],
        );
        for (node, at) in (1..).zip(NODES_M) {
            let ppm = Random::new([3, node, 0]).between(-5.0, 5.0);
            let _ = write!(text, "\n[[node]]\nid = {node}\nat = {at:?}\ncrystal_ppm = {ppm:?}\n");
        }
        let _ = write!(
            text,
            "\n[[person]]\nid = 1\nheight_m = {:?}\nbreaths_min = {:?}\nbreath_mm = {:?}\nstart = {OUTSIDE_M:?}\n\
             facing_deg = 180.0\nappear_s = {EMPTY_S:?}\n",
            build.height_m, build.breaths_min, build.breath_mm
        );
        let speed_m_s = build.speed_m_s * mood;
        let mut random = Random::new([4, self.route, 0]);
        let (mut at, mut legs) = ([5.2, 2.5], 0);
        let _ = write!(text, "\n[[person.do]]\nwalk = [{at:?}]\nspeed_m_s = {speed_m_s:?}\n");
        while legs < LEGS {
            let next = [0, 1].map(|axis: usize| random.between(WALL_M, ROOM_M[axis] - WALL_M));
            let leg_m = (next[0] - at[0]).hypot(next[1] - at[1]);
            if leg_m < LEG_M {
                continue;
            }
            let pause_s = random.between(0.5, 2.0);
            let _ = write!(
                text,
                "\n[[person.do]]\nwalk = [{next:?}]\nspeed_m_s = {speed_m_s:?}\n\n[[person.do]]\nstand_s = {pause_s:?}\n"
            );
            legs += 1;
            at = next;
        }
        text
    }

    /// Lets the product simulate it, and keeps of each frame what a mesh of received strengths has: the strength.
    pub(super) fn files(&self, lab: &Lab) -> Result<Files, String> {
        let name = self.name();
        let scene = lab.write(&format!("{name}.scene.toml"), self.scene())?;
        let frames = lab.write(&format!("{name}.frames.jsonl"), "")?;
        let truth = lab.write(&format!("{name}.truth.jsonl"), "")?;
        let seed = Random::new([5, self.person * 1000 + self.route, self.number]).next() >> 32;
        lab.tapline(&[
            "simulate",
            "--scene",
            &scene.display().to_string(),
            "--seed",
            &seed.to_string(),
            "--record",
            &frames.display().to_string(),
            "--truth",
            &truth.display().to_string(),
        ])?;
        let mut lines = String::new();
        let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", frames.display());
        for record in Recording::open(&frames, &ReadOptions::default()).map_err(|e| fail(&e))? {
            let record = record.map_err(|e| fail(&e))?;
            let RecordBody::Datagram(bytes) = &record.body else {
                continue;
            };
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                continue;
            };
            let Some(tx) = frame.tx_node else { continue };
            let _ = writeln!(
                lines,
                "{{\"type\":\"rss\",\"t_ms\":{},\"tx\":{tx},\"rx\":{},\"channel\":{CHANNEL},\"rssi_dbm\":{}}}",
                record.time_ns / 1_000_000,
                frame.rx_node,
                frame.rssi_dbm
            );
        }
        // Large, and not needed any more.
        let _ = std::fs::remove_file(&frames);
        Ok(Files {
            config: lab.write(&format!("{name}.toml"), fleet().text())?,
            recording: lab.write(&format!("{name}.recording.jsonl"), lines)?,
            truth,
        })
    }
}

/// The fleet file of the room.
fn fleet() -> Site {
    let mut site = Site::new("visit").room("lab", [0.0, 0.0], ROOM_M);
    for (node, at) in (1..).zip(NODES_M) {
        site = site.sensor(node, at, "auto");
    }
    let door = format!("[[site.door]]\nid = \"door\"\nroom = \"lab\"\nat_m = {DOOR_M:?}\nwidth_m = 0.9\n");
    site.rss_mesh(&[CHANNEL]).lines(&door)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_the_same_for_everybody_and_a_person_on_every_route() {
        let visit = |person, route, number| Visit { person, route, number }.scene();
        let lines = |text: &str, key: &str| {
            text.lines()
                .filter(|l| l.starts_with(key))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (one, other) = (visit(1, 7, 0), visit(2, 7, 1));
        assert_eq!(lines(&one, "walk"), lines(&other, "walk"));
        assert_ne!(lines(&one, "height_m"), lines(&other, "height_m"));
        assert_ne!(lines(&one, "speed_m_s"), lines(&other, "speed_m_s"));
        let again = visit(1, 8, 1);
        assert_ne!(lines(&one, "walk"), lines(&again, "walk"));
        assert_eq!(lines(&one, "height_m"), lines(&again, "height_m"));
    }
}
