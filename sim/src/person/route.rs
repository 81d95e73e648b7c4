//! The line a person walks: straight pieces and arcs, by length.
//!
//! Corners are rounded by arcs of up to 0.4 m radius, so that direction and speed are continuous. Reversals cannot be
//! rounded: a [script](super::script) parts its walks there and turns on the spot.

use tapline_dsp::detmath::{atan2_64, cos64, sin64};

/// Largest radius of a rounded corner, metres.
const CORNER_M: f64 = 0.4;

/// Half a turn of this much or more (172 degrees in all) is a reversal, radians.
const REVERSAL_HALF: f64 = 1.5;

/// A place and a direction on the floor plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pose {
    pub(crate) x_m: f64,
    pub(crate) y_m: f64,
    /// Direction, radians from east towards north.
    pub(crate) heading: f64,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Line {
        from: [f64; 2],
        heading: f64,
    },
    Arc {
        centre: [f64; 2],
        radius_m: f64,
        /// Angle of the start point as seen from the centre.
        from: f64,
        /// +1 left turn, -1 right turn.
        turn: f64,
    },
}

/// A walk from the first point to the last.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Each piece with the length at which it ends.
    pieces: Vec<(f64, Piece)>,
}

impl Route {
    /// The route through these points (two or more, no two equal in a row).
    pub(crate) fn new(points: &[[f64; 2]]) -> Self {
        let mut route = Self { pieces: Vec::new() };
        let mut at = points[0];
        for i in 1..points.len() {
            let (a, b) = (points[i - 1], points[i]);
            let heading = heading(a, b);
            let Some(c) = points.get(i + 1) else {
                route.line(at, b, heading);
                break;
            };
            let next = self::heading(b, *c);
            let turn = wrap(next - heading);
            let half = 0.5 * turn.abs();
            // Straight on; or a reversal, at which a script has no route go on.
            if !(1e-6..REVERSAL_HALF).contains(&half) {
                route.line(at, b, heading);
                at = b;
                continue;
            }
            let tangent = sin64(half) / cos64(half);
            let room_m = 0.5 * smaller(distance(a, b), distance(b, *c));
            let cut_m = smaller(CORNER_M * tangent, room_m);
            let radius_m = cut_m / tangent;
            let enter = [b[0] - cut_m * cos64(heading), b[1] - cut_m * sin64(heading)];
            route.line(at, enter, heading);
            let side = if turn > 0.0 { 1.0 } else { -1.0 };
            let centre = [
                enter[0] - side * radius_m * sin64(heading),
                enter[1] + side * radius_m * cos64(heading),
            ];
            let end = route.length_m() + radius_m * turn.abs();
            route.pieces.push((
                end,
                Piece::Arc {
                    centre,
                    radius_m,
                    from: heading - side * core::f64::consts::FRAC_PI_2,
                    turn: side,
                },
            ));
            at = [b[0] + cut_m * cos64(next), b[1] + cut_m * sin64(next)];
        }
        route
    }

    fn line(&mut self, from: [f64; 2], to: [f64; 2], heading: f64) {
        let length_m = distance(from, to);
        if length_m > 1e-9 {
            self.pieces
                .push((self.length_m() + length_m, Piece::Line { from, heading }));
        }
    }

    /// Length of the whole route, metres.
    pub(crate) fn length_m(&self) -> f64 {
        self.pieces.last().map_or(0.0, |(end, _)| *end)
    }

    /// Place and direction after `s_m` metres; before the start and past the end the line goes on straight.
    pub(crate) fn at(&self, s_m: f64) -> Pose {
        let mut begin = 0.0;
        for (i, (end, piece)) in self.pieces.iter().enumerate() {
            if s_m > *end && i + 1 < self.pieces.len() {
                begin = *end;
                continue;
            }
            let way = s_m - begin;
            return match *piece {
                Piece::Line { from, heading } => Pose {
                    x_m: from[0] + way * cos64(heading),
                    y_m: from[1] + way * sin64(heading),
                    heading,
                },
                Piece::Arc {
                    centre,
                    radius_m,
                    from,
                    turn,
                } => {
                    let angle = from + turn * way / radius_m;
                    Pose {
                        x_m: centre[0] + radius_m * cos64(angle),
                        y_m: centre[1] + radius_m * sin64(angle),
                        heading: angle + turn * core::f64::consts::FRAC_PI_2,
                    }
                }
            };
        }
        Pose {
            x_m: 0.0,
            y_m: 0.0,
            heading: 0.0,
        }
    }
}

/// Parts the way through these points wherever it turns back on itself; the parts share that point.
pub(crate) fn parted(points: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
    let mut parts = vec![points[..1].to_vec()];
    for i in 1..points.len() {
        let (b, next) = (points[i], points.get(i + 1));
        if let Some(part) = parts.last_mut() {
            part.push(b);
        }
        let turn = next.map_or(0.0, |c| wrap(heading(b, *c) - heading(points[i - 1], b)));
        if 0.5 * turn.abs() >= REVERSAL_HALF {
            parts.push(vec![b]);
        }
    }
    parts
}

/// `angle` taken into (-pi, pi].
pub(crate) fn wrap(angle: f64) -> f64 {
    let tau = core::f64::consts::TAU;
    angle - tau * ((angle - core::f64::consts::PI) / tau).ceil()
}

fn heading(a: [f64; 2], b: [f64; 2]) -> f64 {
    atan2_64(b[1] - a[1], b[0] - a[0])
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    (dx * dx + dy * dy).sqrt()
}

fn smaller(a: f64, b: f64) -> f64 {
    tapline_dsp::detmath::min64(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_continuous_and_measured_by_its_length() {
        let route = Route::new(&[[0.0, 0.0], [3.0, 0.0], [3.0, 2.0], [0.5, 2.0], [0.0, 0.3]]);
        let n = 20_000;
        let step = route.length_m() / f64::from(n);
        let mut last = route.at(0.0);
        assert_eq!((last.x_m, last.y_m), (0.0, 0.0));
        for i in 1..=n {
            let p = route.at(f64::from(i) * step);
            let moved = distance([p.x_m, p.y_m], [last.x_m, last.y_m]);
            assert!((moved / step - 1.0).abs() < 1e-4, "step {i}: {moved} of {step}");
            assert!(wrap(p.heading - last.heading).abs() < 0.01);
            last = p;
        }
        assert!((last.x_m - 0.0).abs() < 1e-9 && (last.y_m - 0.3).abs() < 1e-9);
    }

    #[test]
    fn wrap_keeps_angles_in_one_turn() {
        for (angle, expected) in [
            (0.0, 0.0),
            (4.0, 4.0 - core::f64::consts::TAU),
            (-3.0, -3.0),
            (-4.0, -4.0 + core::f64::consts::TAU),
        ] {
            assert!((wrap(angle) - expected).abs() < 1e-12, "{angle}");
        }
    }
}
