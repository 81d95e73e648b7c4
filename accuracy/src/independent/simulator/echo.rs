//! Ways over a body: directly, and over one wall on either side of it.
//!
//! Each part adds the bistatic radar equation's `lambda / (4 pi) sqrt(sigma / (4 pi)) / (d1 d2)`. A wall on the way to
//! the body, or from it, makes the transmitter, or the receiver, its mirror image. What both legs lose is taken once
//! for the whole body: to the walls, to the shadows of other people, and to the wall that is between when the body is
//! outside.

use super::{
    antenna::{FRIIS_M, pattern},
    band::{Response, add_way},
    body::{Body, Part},
    complex::Complex,
    curves::step,
    paths::Corners,
    room::{Room, Wall},
    scatter::scattering,
    shadow::{Obstacle, left_of},
    vector::Vector,
};

/// What clothes and posture leave of the amplitude: chosen, not derived.
const CLOTHED: f64 = 0.85;
/// A part is never nearer to an antenna than this, metres.
const NEAREST_M: f64 = 0.15;
/// Of what walls and other people leave less of, nothing is summed (power).
const WEAKEST_POWER: f64 = 1e-8;

/// Both ends of a link.
pub(super) struct Ends<'a> {
    pub(super) tx: Vector,
    /// The receive antennas, and the middle of the node.
    pub(super) rx: &'a [Vector],
    pub(super) rx_middle: Vector,
}

/// Adds the ways over a body to the response.
pub(super) fn add_echoes(
    room: &Room,
    ends: &Ends<'_>,
    echoing: Obstacle<'_>,
    others: &[Obstacle<'_>],
    into: &mut Response,
) {
    let leg = Leg { room, echoing, others };
    let over_walls = Wall::all()
        .map(|wall| (Some(wall), None))
        .chain(Wall::all().map(|wall| (None, Some(wall))));
    for (tx_wall, rx_wall) in [(None, None)].into_iter().chain(over_walls) {
        if (tx_wall.is_some() || rx_wall.is_some()) && echoing.inside < 0.02 {
            break;
        }
        let mut common = Complex::new(echoing.body.presence, 0.0);
        common = leg.left_of(common, ends.tx, tx_wall);
        common = leg.left_of(common, ends.rx_middle, rx_wall);
        if common.power() < WEAKEST_POWER {
            continue;
        }
        let seen = |end: Vector, wall: Option<Wall>| wall.map_or(end, |wall| wall.mirror(room, end));
        let rx: Vec<Vector> = ends.rx.iter().map(|antenna| seen(*antenna, rx_wall)).collect();
        let mirrored = Ends {
            tx: seen(ends.tx, tx_wall),
            rx: &rx,
            rx_middle: seen(ends.rx_middle, rx_wall),
        };
        for part in &echoing.body.parts {
            add_part(part, echoing.body, &mirrored, common, into);
        }
    }
}

/// A leg between a node and the middle of a body.
struct Leg<'a> {
    room: &'a Room,
    echoing: Obstacle<'a>,
    others: &'a [Obstacle<'a>],
}

impl Leg<'_> {
    /// What is left of a field on the leg to this end, over a wall if one is named.
    fn left_of(&self, mut field: Complex, end: Vector, over: Option<Wall>) -> Complex {
        let (room, middle, inside) = (self.room, self.echoing.body.middle, self.echoing.inside);
        let mut points = vec![end, middle];
        let mut way = middle - end;
        if let Some(wall) = over {
            let image = wall.mirror(room, end);
            way = middle - image;
            let point = wall.meets(room, image, middle);
            let reflection = wall
                .slab(room)
                .reflection(cos_incidence(way, wall), wall.polarisation());
            field *= reflection * (step(2.0 * inside - 1.0) * (1.0 - wall.opening(room, point)));
            points.insert(1, point);
        }
        if !self.others.is_empty() {
            field *= left_of(&points, Corners::Mirror, self.others);
        }
        if inside < 1.0 {
            for wall in Wall::upright() {
                field *= self.through(wall, end, way);
            }
        }
        field
    }

    /// What a wall, or the open door in it, lets through to a body beyond it: 1 when the body is on this side.
    fn through(&self, wall: Wall, end: Vector, way: Vector) -> Complex {
        let (room, middle) = (self.room, self.echoing.body.middle);
        let beyond_m = wall.beyond_m(room, middle);
        if beyond_m <= -0.15 {
            return Complex::ONE;
        }
        let mut point = if beyond_m > 0.02 {
            wall.meets(room, end, middle)
        } else {
            middle
        };
        // A body is high enough for some of it to be seen below the lintel.
        point.z = point.z.min(2.0);
        let open = wall.opening(room, point);
        let slab = wall
            .slab(room)
            .transmission(cos_incidence(way, wall).max(0.1), wall.polarisation());
        let through = Complex::new(open, 0.0) + slab * (1.0 - open);
        let beyond = step((beyond_m + 0.15) / 0.3);
        Complex::new(1.0 - beyond, 0.0) + through * beyond
    }
}

fn cos_incidence(way: Vector, wall: Wall) -> f64 {
    (way.axis(wall.axis()) / way.length()).abs()
}

fn add_part(part: &Part, body: &Body, ends: &Ends<'_>, common: Complex, into: &mut Response) {
    let (to_tx, to_rx) = ((ends.tx - part.middle).unit(), (ends.rx_middle - part.middle).unit());
    let Some(scattering) = scattering(part, to_tx, to_rx) else {
        return;
    };
    let mut amplitude = scattering.amplitude_m * common * CLOTHED;
    if part.is_arm {
        for direction in [to_tx, to_rx] {
            amplitude = amplitude * seen_past_trunk(part, body, direction);
        }
    }
    let arriving = scattering.at - ends.tx;
    let (d1_m, tx_pattern) = (arriving.length().max(NEAREST_M), pattern(arriving));
    for (antenna, tones) in ends.rx.iter().zip(into) {
        let leaving = *antenna - scattering.at;
        let d2_m = leaving.length().max(NEAREST_M);
        let spread = FRIIS_M * tx_pattern * pattern(leaving) / (d1_m * d2_m);
        add_way(amplitude * spread, d1_m + d2_m, tones);
    }
}

/// What of an arm is seen from a direction past the trunk, as an amplitude: 1 on the near side, 0.3 behind it.
fn seen_past_trunk(part: &Part, body: &Body, direction: Vector) -> f64 {
    let off = part.middle - body.middle;
    let level = direction.level_length().max(1e-6);
    let behind_m = -(off.x * direction.x + off.y * direction.y) / level;
    let beside_m = (off.x * direction.y - off.y * direction.x).abs() / level;
    1.0 - 0.7 * step(behind_m / 0.12) * step((body.half_breadth_m + 0.06 - beside_m) / 0.10)
}
