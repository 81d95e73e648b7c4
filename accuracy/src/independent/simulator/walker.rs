//! How people move: towards places, with finite acceleration and turning, out of each other's way.
//!
//! A hundred moments a second; whoever comes earlier in the plans has moved before the next one looks. Speed changes by
//! at most 0.9 m/s^2 up and 1.6 m/s^2 down; the rate of turning follows what is wanted in 0.15 s. Two who come close
//! bend aside, the later one slows down, and within 0.46 m they push each other apart.

use std::f64::consts::TAU;

use super::{
    curves::wrapped,
    person::{FADE_S, MOMENT_S, Person, Stance},
    random::Random,
    room::{Door, Room},
    script::{Act, Plan},
    unrest::Unrest,
};

/// Speeding up and slowing down, m/s^2.
const FASTER_M_S2: f64 = 0.9;
const SLOWER_M_S2: f64 = 1.6;
/// Within this of a place somebody who stops there has come; who walks on, within the other.
const STOPPED_M: f64 = 0.07;
const PASSED_M: f64 = 0.22;
/// Nearer to each other than this, people are pushed apart, metres.
const ELBOW_M: f64 = 0.46;
/// Nearer to a wall than this nobody comes who is in the room, metres.
const WALL_M: f64 = 0.3;
/// Sitting down or getting up, seconds.
const SEAT_S: f64 = 1.3;

/// Somebody under way.
struct Walker {
    person: Person,
    now: Stance,
    acts: Vec<Act>,
    /// The act under way, and how much of it is left where it has a length, seconds.
    act: usize,
    left_s: Option<f64>,
    state: State,
    has_been_in: bool,
    turning_rad_s: f64,
    turning_rad_s_max: f64,
    /// Own stride by that of people.
    stride: f64,
    unrest: Unrest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Here,
    Leaving,
    Gone,
}

/// What somebody wants at a moment.
#[derive(Clone, Copy, Default)]
struct Wish {
    speed_m_s: f64,
    turning_rad_s: f64,
    seated: f64,
}

/// Somebody else, and whether one's way is given to them.
struct Other {
    stance: Stance,
    has_way: bool,
}

/// Everybody's moments, and two seconds more than the scene has.
pub(super) fn walk(room: &Room, plans: &[Plan], duration_s: f64, random: &mut Random) -> Vec<Person> {
    let people: Vec<Person> = (1..).zip(plans).map(|(id, _)| somebody(id, random)).collect();
    let mut walkers: Vec<Walker> = people
        .into_iter()
        .zip(plans)
        .map(|(person, plan)| Walker::new(person, plan, room, random))
        .collect();
    let moments = (duration_s / MOMENT_S) as usize + 200;
    for moment in 0..moments {
        let time_s = moment as f64 * MOMENT_S;
        for (i, plan) in plans.iter().enumerate() {
            if time_s < plan.enter_s || walkers[i].state == State::Gone {
                continue;
            }
            let others: Vec<Other> = (0..walkers.len())
                .filter(|j| *j != i && matches!(walkers[*j].state, State::Here | State::Leaving))
                .map(|j| Other {
                    stance: walkers[j].now,
                    has_way: j < i,
                })
                .collect();
            let walker = &mut walkers[i];
            if walker.state == State::Before {
                walker.state = State::Here;
                walker.person.first = moment;
            }
            if time_s >= plan.leave_s && walker.state == State::Here {
                walker.leave_by(&room.doors[plan.leave_door], room);
            }
            walker.step(room, &others, random);
        }
    }
    walkers.into_iter().map(|w| w.person).collect()
}

/// A person of 1.60 to 1.90 m, slim to stout.
fn somebody(id: u32, random: &mut Random) -> Person {
    let height_m = random.between(1.60, 1.90);
    let bulk = random.between(0.9, 1.12) * height_m / 1.75;
    Person {
        id,
        height_m,
        half_breadth_m: 0.175 * bulk,
        half_depth_m: 0.115 * bulk,
        first: 0,
        track: Vec::new(),
    }
}

impl Walker {
    /// Two metres outside of the door, on the way in.
    fn new(person: Person, plan: &Plan, room: &Room, random: &mut Random) -> Self {
        let door = &room.doors[plan.enter_door];
        let [x, y] = door.direction_in(room);
        let speed_m_s = random.between(0.8, 1.1);
        let mut acts: Vec<Act> = [-0.3, 0.7].map(|by_m| through(door, room, by_m, speed_m_s)).into();
        acts.extend_from_slice(&plan.acts);
        Self {
            person,
            now: Stance {
                at_m: door.inwards(room, -2.0),
                heading_rad: y.atan2(x),
                speed_m_s: 0.6,
                ..Stance::default()
            },
            acts,
            act: 0,
            left_s: None,
            state: State::Before,
            has_been_in: false,
            turning_rad_s: 0.0,
            turning_rad_s_max: random.between(1.7, 2.6),
            stride: random.between(0.92, 1.08),
            unrest: Unrest::new(random),
        }
    }

    /// Drops what was planned and goes.
    fn leave_by(&mut self, door: &Door, room: &Room) {
        self.state = State::Leaving;
        self.acts.truncate(self.act);
        self.left_s = None;
        self.acts
            .extend([0.7, -0.4, -2.2].map(|by_m| through(door, room, by_m, 1.0)));
    }

    /// One moment on; who has left is gone.
    fn step(&mut self, room: &Room, others: &[Other], random: &mut Random) {
        let Some(wish) = self.wish(others) else {
            self.state = State::Gone;
            return;
        };
        self.move_on(wish, room, others);
        self.swing(wish);
        self.unrest.step(&mut self.now, random);
        self.now.presence = (self.now.presence + MOMENT_S / FADE_S).min(1.0);
        self.person.track.push(self.now);
    }

    /// What the act under way asks for; none when the last one is done and that was to leave.
    fn wish(&mut self, others: &[Other]) -> Option<Wish> {
        match self.acts.get(self.act).copied() {
            None => (self.state != State::Leaving).then(Wish::default),
            Some(Act::Walk { to_m, speed_m_s, stops }) => Some(self.towards(to_m, speed_m_s, stops, others)),
            Some(Act::Stand(for_s)) => {
                self.wait(for_s);
                Some(Wish::default())
            }
            Some(Act::Sit(for_s)) => {
                let left_s = self.wait(for_s);
                let seated = if left_s > 1.5 { 1.0 } else { 0.0 };
                Some(Wish {
                    seated,
                    ..Wish::default()
                })
            }
        }
    }

    /// What is left of the wait, seconds; the next act when it is over.
    fn wait(&mut self, for_s: f64) -> f64 {
        let left_s = self.left_s.unwrap_or(for_s) - MOMENT_S;
        self.left_s = Some(left_s);
        if left_s <= 0.0 {
            self.act += 1;
            self.left_s = None;
        }
        left_s
    }

    fn towards(&mut self, to_m: [f64; 2], speed_m_s: f64, stops: bool, others: &[Other]) -> Wish {
        let now = &self.now;
        let (x_m, y_m) = (to_m[0] - now.at_m[0], to_m[1] - now.at_m[1]);
        let away_m = x_m.hypot(y_m);
        let off_rad = wrapped(y_m.atan2(x_m) - now.heading_rad);
        let mut wish = Wish {
            speed_m_s: if now.seated > 0.05 {
                0.0
            } else {
                speed_m_s * off_rad.cos().max(0.06)
            },
            turning_rad_s: (3.0 * off_rad).clamp(-self.turning_rad_s_max, self.turning_rad_s_max),
            seated: 0.0,
        };
        wish.speed_m_s = if stops {
            wish.speed_m_s.min((2.0 * FASTER_M_S2 * away_m).sqrt())
        } else {
            wish.speed_m_s.min(0.35 + 2.0 * away_m).min(speed_m_s)
        };
        for other in others {
            give_way(now, other, &mut wish);
        }
        let near_m = if stops { STOPPED_M } else { PASSED_M };
        if away_m < near_m || stops && away_m < 0.15 && now.speed_m_s < 0.12 {
            self.act += 1;
        }
        wish
    }

    fn move_on(&mut self, wish: Wish, room: &Room, others: &[Other]) {
        let now = &mut self.now;
        let change_m_s2 = if wish.speed_m_s > now.speed_m_s {
            FASTER_M_S2
        } else {
            SLOWER_M_S2
        };
        let change_m_s = change_m_s2 * MOMENT_S;
        now.speed_m_s += (wish.speed_m_s - now.speed_m_s).clamp(-change_m_s, change_m_s);
        self.turning_rad_s += (wish.turning_rad_s - self.turning_rad_s) * (MOMENT_S / 0.15);
        now.heading_rad += self.turning_rad_s * MOMENT_S;
        let mut velocity_m_s = now.velocity_m_s();
        if now.speed_m_s > 0.1 {
            for other in others {
                let x_m = now.at_m[0] - other.stance.at_m[0];
                let y_m = now.at_m[1] - other.stance.at_m[1];
                let apart_m = x_m.hypot(y_m).max(0.05);
                let push_m_s = 2.2 * (ELBOW_M - apart_m).max(0.0);
                velocity_m_s[0] += push_m_s * x_m / apart_m;
                velocity_m_s[1] += push_m_s * y_m / apart_m;
            }
        }
        now.at_m[0] += velocity_m_s[0] * MOMENT_S;
        now.at_m[1] += velocity_m_s[1] * MOMENT_S;
        self.has_been_in |= room.holds(now.at_m, 0.35);
        if self.has_been_in && self.state != State::Leaving {
            now.at_m[0] = now.at_m[0].clamp(WALL_M, room.size_m[0] - WALL_M);
            now.at_m[1] = now.at_m[1].clamp(WALL_M, room.size_m[1] - WALL_M);
        }
    }

    /// Gait and seat: strides grow with speed and height; who turns on the spot steps, too.
    fn swing(&mut self, wish: Wish) {
        let now = &mut self.now;
        let stride_m = self.stride * self.person.height_m * (0.45 + 0.35 * now.speed_m_s);
        let turning_rad_s = self.turning_rad_s.abs();
        now.gait_rad += TAU * (now.speed_m_s + 0.15 * turning_rad_s) / stride_m * MOMENT_S;
        let gait = ((now.speed_m_s + 0.12 * turning_rad_s) / 1.1).min(1.2);
        now.gait += (gait - now.gait) * (MOMENT_S / 0.25);
        now.seated += (wish.seated - now.seated).clamp(-MOMENT_S / SEAT_S, MOMENT_S / SEAT_S);
    }
}

/// Somebody ahead who will be within 0.4 m in less than 1.3 s: a step to the side on which they do not pass.
fn give_way(now: &Stance, other: &Other, wish: &mut Wish) {
    let (x_m, y_m) = (other.stance.at_m[0] - now.at_m[0], other.stance.at_m[1] - now.at_m[1]);
    let (mine_m_s, theirs_m_s) = (now.velocity_m_s(), other.stance.velocity_m_s());
    let (x_m_s, y_m_s) = (theirs_m_s[0] - mine_m_s[0], theirs_m_s[1] - mine_m_s[1]);
    let nearest_s = -(x_m * x_m_s + y_m * y_m_s) / (x_m_s * x_m_s + y_m_s * y_m_s).max(1e-6);
    let nearest_m = (x_m + x_m_s * nearest_s).hypot(y_m + y_m_s * nearest_s);
    let (cos, sin) = (now.heading_rad.cos(), now.heading_rad.sin());
    let is_ahead = x_m * cos + y_m * sin > 0.0;
    if is_ahead && nearest_s > 0.0 && nearest_s < 1.3 && nearest_m < 0.4 {
        if other.has_way {
            wish.speed_m_s *= 0.45;
        }
        let is_on_the_left = cos * y_m - sin * x_m > 0.0;
        wish.turning_rad_s += if is_on_the_left { -0.7 } else { 0.7 };
    }
}

/// A walk past the point this far inside of a door.
fn through(door: &Door, room: &Room, by_m: f64, speed_m_s: f64) -> Act {
    Act::Walk {
        to_m: door.inwards(room, by_m),
        speed_m_s,
        stops: false,
    }
}
