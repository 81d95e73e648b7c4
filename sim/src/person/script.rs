//! What a person does, compiled to a function of time.
//!
//! Walks accelerate and brake at 1.2 m/s^2 (comfortable gait initiation), turns on the spot take 180 degrees a second,
//! sitting down and getting up take 1.6 s each. A walk that turns back on itself stops there and turns on the spot.

use super::route::{Pose, Route, parted, wrap};
use crate::{antenna::DEGREE, scene::Person, vector::smoothstep};

const ACCELERATION_M_S2: f64 = 1.2;
const TURN_RAD_S: f64 = core::f64::consts::PI;
const SEAT_S: f64 = 1.6;
const SPEED_M_S: f64 = 1.0;
/// Below this a person is not called moving.
const MOVING_M_S: f64 = 0.05;

/// A person at one moment, limbs apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stance {
    pub(crate) pose: Pose,
    pub(crate) speed_m_s: f64,
    /// Cruising speed of the walk under way: sets the stride.
    pub(crate) cruise_m_s: f64,
    /// Way along the current route, and how the route lies around it.
    pub(crate) walked_m: f64,
    /// 0 standing, 1 seated.
    pub(crate) seated: f64,
    /// Walks, turns, sits down or gets up.
    pub(crate) moving: bool,
    /// The walk under way.
    pub(crate) part: Option<usize>,
}

#[derive(Clone, Debug)]
enum Part {
    Walk { route: Route, speed_m_s: f64 },
    Turn { at: Pose, by: f64 },
    Rest { at: Pose, sits: bool },
    Away,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    appear_s: f64,
    repeat: bool,
    /// Each part with its start and its length, seconds after `appear_s`.
    parts: Vec<(f64, f64, Part)>,
    length_s: f64,
    last: Pose,
}

impl Script {
    pub(crate) fn new(person: &Person) -> Self {
        let start = Pose {
            x_m: person.start[0],
            y_m: person.start[1],
            heading: person.facing_deg * DEGREE,
        };
        let mut script = Self {
            appear_s: person.appear_s,
            repeat: person.repeat,
            parts: Vec::new(),
            length_s: 0.0,
            last: start,
        };
        for action in &person.script {
            if let Some(points) = &action.walk {
                let mut all = vec![[script.last.x_m, script.last.y_m]];
                all.extend_from_slice(points);
                let speed_m_s = action.speed_m_s.unwrap_or(SPEED_M_S);
                for points in parted(&all) {
                    let route = Route::new(&points);
                    script.turn_to(route.at(0.0).heading);
                    script.last = route.at(route.length_m());
                    script.push(walk_s(route.length_m(), speed_m_s), Part::Walk { route, speed_m_s });
                }
            } else if let Some(seconds) = action.away_s {
                script.push(seconds, Part::Away);
            } else {
                let sits = action.sit_s.is_some();
                let at = script.last;
                script.push(action.sit_s.or(action.stand_s).unwrap_or(0.0), Part::Rest { at, sits });
            }
        }
        if script.repeat {
            script.turn_to(start.heading);
        }
        script
    }

    fn push(&mut self, seconds: f64, part: Part) {
        self.parts.push((self.length_s, seconds, part));
        self.length_s += seconds;
    }

    fn turn_to(&mut self, heading: f64) {
        let by = wrap(heading - self.last.heading);
        if by.abs() > 1e-6 {
            let at = self.last;
            self.push(by.abs() / TURN_RAD_S, Part::Turn { at, by });
            self.last.heading = heading;
        }
    }

    /// How long it takes once, seconds.
    pub(crate) fn length_s(&self) -> f64 {
        self.length_s
    }

    /// The route of a walk.
    pub(crate) fn route(&self, part: usize) -> Option<&Route> {
        match self.parts.get(part) {
            Some((_, _, Part::Walk { route, .. })) => Some(route),
            _ => None,
        }
    }

    /// The person at a time; `None` when they are not there.
    pub(crate) fn at(&self, t_s: f64) -> Option<Stance> {
        let mut t = t_s - self.appear_s;
        if t < 0.0 {
            return None;
        }
        if self.repeat && self.length_s > 0.0 {
            t -= (t / self.length_s).floor() * self.length_s;
        }
        let still = |pose| Stance {
            pose,
            speed_m_s: 0.0,
            cruise_m_s: SPEED_M_S,
            walked_m: 0.0,
            seated: 0.0,
            moving: false,
            part: None,
        };
        let Some((index, (begin, seconds, part))) = self
            .parts
            .iter()
            .enumerate()
            .find(|(_, (begin, seconds, _))| t < begin + seconds)
        else {
            // Past the end of a script that does not repeat: they stay, or stay away.
            let away = matches!(self.parts.last(), Some((_, _, Part::Away)));
            return (!away).then(|| still(self.last));
        };
        let into = t - begin;
        Some(match part {
            Part::Away => return None,
            Part::Rest { at, sits } => {
                let (down, up) = (into / SEAT_S, (seconds - into) / SEAT_S);
                let seated = if *sits {
                    smoothstep(if down < up { down } else { up })
                } else {
                    0.0
                };
                Stance {
                    seated,
                    moving: seated > 0.0 && seated < 1.0,
                    ..still(*at)
                }
            }
            Part::Turn { at, by } => {
                let heading = at.heading + by * smoothstep(into / seconds);
                Stance {
                    moving: true,
                    ..still(Pose { heading, ..*at })
                }
            }
            Part::Walk { route, speed_m_s } => {
                let (walked_m, speed) = profile(route.length_m(), *speed_m_s, into);
                Stance {
                    pose: route.at(walked_m),
                    speed_m_s: speed,
                    cruise_m_s: *speed_m_s,
                    walked_m,
                    seated: 0.0,
                    moving: speed > MOVING_M_S,
                    part: Some(index),
                }
            }
        })
    }
}

/// Seconds a walk takes from standstill to standstill.
fn walk_s(length_m: f64, cruise_m_s: f64) -> f64 {
    let peak = peak_m_s(length_m, cruise_m_s);
    2.0 * peak / ACCELERATION_M_S2 + (length_m - peak * peak / ACCELERATION_M_S2) / peak
}

/// Speed reached: less than the cruising speed when the walk is too short for it.
fn peak_m_s(length_m: f64, cruise_m_s: f64) -> f64 {
    let reach = (length_m * ACCELERATION_M_S2).sqrt();
    if reach < cruise_m_s { reach } else { cruise_m_s }
}

/// Way and speed `t` seconds into a walk.
fn profile(length_m: f64, cruise_m_s: f64, t: f64) -> (f64, f64) {
    let peak = peak_m_s(length_m, cruise_m_s);
    let (rise_s, whole_s) = (peak / ACCELERATION_M_S2, walk_s(length_m, cruise_m_s));
    if t < rise_s {
        (0.5 * ACCELERATION_M_S2 * t * t, ACCELERATION_M_S2 * t)
    } else if t < whole_s - rise_s {
        (0.5 * peak * rise_s + peak * (t - rise_s), peak)
    } else {
        let left_s = whole_s - t;
        (
            length_m - 0.5 * ACCELERATION_M_S2 * left_s * left_s,
            ACCELERATION_M_S2 * left_s,
        )
    }
}

#[cfg(test)]
mod tests {
    use tapline_dsp::detmath::{cos64, sin64};

    use super::*;
    use crate::scene::Action;

    fn person(script: Vec<Action>, repeat: bool) -> Person {
        Person {
            id: 1,
            height_m: 1.75,
            start: [1.0, 1.0],
            facing_deg: 90.0,
            appear_s: 0.0,
            repeat,
            breaths_min: 15.0,
            breath_mm: 8.0,
            script,
        }
    }

    fn walk(points: &[[f64; 2]]) -> Action {
        Action {
            walk: Some(points.to_vec()),
            speed_m_s: Some(1.1),
            ..Action::default()
        }
    }

    #[test]
    fn speed_is_the_derivative_of_the_way() {
        let script = Script::new(&person(vec![walk(&[[5.0, 1.0], [5.0, 4.0]])], false));
        let (h, mut cruised) = (1e-4, false);
        for i in 0..700 {
            let t = 0.51 + f64::from(i) * 0.01;
            let (Some(a), Some(b)) = (script.at(t - h), script.at(t + h)) else {
                unreachable!()
            };
            let (dx, dy) = (b.pose.x_m - a.pose.x_m, b.pose.y_m - a.pose.y_m);
            let measured = (dx * dx + dy * dy).sqrt() / (2.0 * h);
            let told = script.at(t).unwrap().speed_m_s;
            assert!((measured - told).abs() < 2e-3, "t {t}: {measured} {told}");
            cruised |= (told - 1.1).abs() < 1e-12;
        }
        assert!(cruised);
    }

    #[test]
    fn a_repeated_script_joins_its_end_to_its_start() {
        let sit = Action {
            sit_s: Some(6.0),
            ..Action::default()
        };
        let script = Script::new(&person(vec![walk(&[[3.0, 1.0]]), sit, walk(&[[1.0, 1.0]])], true));
        let n = 40_000;
        let mut last = script.at(0.0).unwrap();
        let mut seated: f64 = 0.0;
        for i in 1..=n {
            let now = script.at(2.5 * script.length_s * f64::from(i) / f64::from(n)).unwrap();
            let (dx, dy) = (now.pose.x_m - last.pose.x_m, now.pose.y_m - last.pose.y_m);
            assert!((dx * dx + dy * dy).sqrt() < 0.005);
            assert!(wrap(now.pose.heading - last.pose.heading).abs() < 0.03);
            assert!((now.seated - last.seated).abs() < 0.01);
            seated = if now.seated > seated { now.seated } else { seated };
            last = now;
        }
        assert_eq!(seated, 1.0);
    }

    #[test]
    fn who_turns_back_brakes_turns_and_sets_off_again() {
        // Straight there and back, and nearly so.
        for back in [[1.0, 2.0], [1.0, 2.1]] {
            let mut p = person(vec![walk(&[[4.0, 2.0], back])], false);
            (p.start, p.facing_deg) = ([1.0, 2.0], 0.0);
            let script = Script::new(&p);
            let (step_s, mut t) = (1e-3, 0.0);
            let velocity = |s: &Stance| [s.speed_m_s * cos64(s.pose.heading), s.speed_m_s * sin64(s.pose.heading)];
            let mut last = script.at(0.0).unwrap();
            while t < script.length_s + 0.5 {
                t += step_s;
                let now = script.at(t).unwrap();
                let ([ax, ay], [bx, by]) = (velocity(&last), velocity(&now));
                let change = ((bx - ax) * (bx - ax) + (by - ay) * (by - ay)).sqrt();
                assert!(change < 1.01 * ACCELERATION_M_S2 * step_s, "{t} s: {change} m/s");
                // A turn eases in and out: at its middle it is half as fast again as on average.
                let turned = wrap(now.pose.heading - last.pose.heading).abs();
                assert!(turned < 1.01 * 1.5 * TURN_RAD_S * step_s, "{t} s: {turned} rad");
                last = now;
            }
            assert!((last.pose.x_m - back[0]).abs() < 1e-9 && (last.pose.y_m - back[1]).abs() < 1e-9);
        }
    }

    #[test]
    fn who_is_away_is_not_there() {
        let away = Action {
            away_s: Some(5.0),
            ..Action::default()
        };
        let mut p = person(vec![away], false);
        p.appear_s = 2.0;
        let script = Script::new(&p);
        assert!(script.at(1.0).is_none() && script.at(4.0).is_none() && script.at(100.0).is_none());
    }
}
