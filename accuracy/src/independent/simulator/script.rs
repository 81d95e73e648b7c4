//! Who comes when, and what they do.

use super::{layout::Scenario, random::Random, room::Room};

/// One thing to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Walk there; who does not stop cuts the corner.
    Walk {
        to_m: [f64; 2],
        speed_m_s: f64,
        stops: bool,
    },
    /// Stand this long, seconds.
    Stand(f64),
    /// Sit down, stay and get up, seconds in all.
    Sit(f64),
}

/// One person's part. Who has done it all stands until it is time to leave.
pub(super) struct Plan {
    pub(super) enter_s: f64,
    /// Doors are numbers of the room's doors.
    pub(super) enter_door: usize,
    pub(super) leave_s: f64,
    pub(super) leave_door: usize,
    pub(super) acts: Vec<Act>,
}

/// A line on the floor from end to end.
type Line = [[f64; 2]; 2];

impl Scenario {
    /// Seconds; everybody is out again before the end.
    pub(super) fn duration_s(self) -> f64 {
        match self {
            Self::Cross1 | Self::Cross2 | Self::Cross3 | Self::Cross4 => 160.0,
            Self::One1 => 120.0,
            Self::Sit1 => 140.0,
            Self::Empty1 => 90.0,
            Self::Join1 => 150.0,
        }
    }

    /// What people do. Nobody comes before 40 s.
    pub(super) fn plans(self, room: &Room, random: &mut Random) -> Vec<Plan> {
        let enter_s = 40.0 + random.between(0.2, 1.5);
        match self {
            Self::Cross1 => {
                let (a, b) = (
                    line(room, 0.0, 2.2, random.within(0.1)),
                    line(room, 90.0, 1.6, random.within(0.2)),
                );
                let (a_m_s, b_m_s) = (random.between(0.85, 1.1), random.between(0.75, 1.0));
                vec![
                    plan(enter_s, 147.5, to_and_fro(a, a_m_s, 80, random)),
                    plan(enter_s + 5.0, 150.5, to_and_fro(turned(b), b_m_s, 80, random)),
                ]
            }
            Self::Cross2 => {
                let (a, b) = (line(room, 5.0, 2.5, 0.0), line(room, 35.0, 2.3, random.within(0.15)));
                let (a_m_s, b_m_s) = (random.between(0.9, 1.15), random.between(0.7, 0.95));
                let first = plan(enter_s, 146.5, to_and_fro(a, a_m_s, 80, random));
                let second = plan(enter_s + 5.5, 150.0, to_and_fro(turned(b), b_m_s, 80, random));
                vec![
                    first,
                    Plan {
                        leave_door: 1,
                        ..second
                    },
                ]
            }
            Self::Cross3 => {
                let (a, b) = (line(room, 0.0, 1.75, 0.27), line(room, 0.0, 1.75, -0.27));
                let (a_m_s, b_m_s) = (random.between(0.8, 1.0), random.between(0.8, 1.0));
                vec![
                    plan(enter_s, 147.0, to_and_fro(turned(a), a_m_s, 90, random)),
                    plan(enter_s + 4.5, 150.5, to_and_fro(b, b_m_s, 90, random)),
                ]
            }
            Self::Cross4 => overtaking_then_crossing(room, enter_s, random),
            Self::One1 => vec![plan(enter_s, 112.0, roam(room, 60, 0.35, [0.6, 1.3], random))],
            Self::Sit1 => {
                let mut acts = roam(room, 6, 0.3, [0.7, 1.1], random);
                acts.push(Act::Walk {
                    to_m: [0.38 * room.size_m[0], 0.42 * room.size_m[1]],
                    speed_m_s: 0.8,
                    stops: true,
                });
                acts.push(Act::Sit(40.0));
                acts.extend(roam(room, 20, 0.2, [0.7, 1.1], random));
                vec![plan(enter_s, 119.0, acts)]
            }
            Self::Empty1 => Vec::new(),
            Self::Join1 => {
                let mut acts = vec![
                    Act::Walk {
                        to_m: [0.33 * room.size_m[0], 0.58 * room.size_m[1]],
                        speed_m_s: 0.9,
                        stops: true,
                    },
                    Act::Stand(30.0),
                ];
                acts.extend(roam(room, 40, 0.3, [0.7, 1.1], random));
                let second = plan(56.0, 140.0, roam(room, 60, 0.25, [0.7, 1.15], random));
                vec![
                    plan(enter_s, 134.0, acts),
                    Plan {
                        enter_door: 1,
                        ..second
                    },
                ]
            }
        }
    }
}

/// On lines 0.6 m apart, the second nearly twice as fast; then on lines at 50 degrees.
fn overtaking_then_crossing(room: &Room, enter_s: f64, random: &mut Random) -> Vec<Plan> {
    let (a, b) = (line(room, 12.0, 2.8, 0.30), line(room, 12.0, 2.8, -0.30));
    let (a_m_s, b_m_s) = (random.between(0.62, 0.70), random.between(1.15, 1.28));
    let mut first = to_and_fro(a, a_m_s, 6, random);
    let mut second = to_and_fro(b, b_m_s, 11, random);
    first.extend(to_and_fro(line(room, -20.0, 2.6, 0.0), 0.9, 60, random));
    second.extend(to_and_fro(line(room, 30.0, 2.6, 0.0), 1.05, 60, random));
    vec![plan(enter_s, 146.0, first), plan(enter_s + 5.0, 149.5, second)]
}

fn plan(enter_s: f64, leave_s: f64, acts: Vec<Act>) -> Plan {
    Plan {
        enter_s,
        enter_door: 0,
        leave_s,
        leave_door: 0,
        acts,
    }
}

/// Through a point beside the room's middle, both ways this far.
fn line(room: &Room, direction_deg: f64, half_m: f64, beside_m: f64) -> Line {
    let (sin, cos) = direction_deg.to_radians().sin_cos();
    let (x_m, y_m) = (
        room.size_m[0] / 2.0 - sin * beside_m,
        room.size_m[1] / 2.0 + cos * beside_m,
    );
    [
        [x_m - cos * half_m, y_m - sin * half_m],
        [x_m + cos * half_m, y_m + sin * half_m],
    ]
}

fn turned([a, b]: Line) -> Line {
    [b, a]
}

/// From end to end this many times, with a stop now and then.
fn to_and_fro(line: Line, speed_m_s: f64, times: usize, random: &mut Random) -> Vec<Act> {
    let mut acts = Vec::new();
    for i in 0..times {
        let [x_m, y_m] = line[i % 2];
        acts.push(Act::Walk {
            to_m: [x_m + random.within(0.12), y_m + random.within(0.06)],
            speed_m_s: (speed_m_s * random.between(0.93, 1.07)).clamp(0.6, 1.3),
            stops: true,
        });
        if random.unit() < 0.5 {
            acts.push(Act::Stand(random.between(1.0, 3.0)));
        }
    }
    acts
}

/// To this many places anywhere, each more than 1.2 m from the last; with this probability to stand there for a while.
fn roam(room: &Room, places: usize, stop_probability: f64, speeds_m_s: [f64; 2], random: &mut Random) -> Vec<Act> {
    let [width_m, depth_m, _] = room.size_m;
    let mut acts = Vec::new();
    let mut last_m = [width_m / 2.0, depth_m / 2.0];
    for _ in 0..places {
        let to_m = loop {
            let to_m = [
                random.between(0.75, width_m - 0.75),
                random.between(0.75, depth_m - 0.75),
            ];
            if (to_m[0] - last_m[0]).hypot(to_m[1] - last_m[1]) > 1.2 {
                break to_m;
            }
        };
        let stops = random.unit() < stop_probability;
        acts.push(Act::Walk {
            to_m,
            speed_m_s: random.between(speeds_m_s[0], speeds_m_s[1]),
            stops,
        });
        if stops {
            acts.push(Act::Stand(random.between(0.7, 4.0)));
        }
        last_m = to_m;
    }
    acts
}
