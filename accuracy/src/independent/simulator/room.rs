//! A box of six walls with doors that stand open.

use super::{
    slab::{Polarisation, Slab},
    vector::Vector,
};

/// Where an open door ends, metres above the floor.
const DOOR_TOP_M: f64 = 2.05;
/// Softness of a door's jambs for waves, metres.
const JAMB_M: f64 = 0.05;

/// One of the six: x = 0, x = width, y = 0, y = depth, floor, ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wall(usize);

/// A door in one of the four upright walls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    /// Its middle on the floor plan, on a wall.
    pub(super) at_m: [f64; 2],
    pub(super) width_m: f64,
}

/// A room; its lower corner in the west and south is the origin.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// West to east, south to north, floor to ceiling.
    pub(super) size_m: [f64; 3],
    pub(super) doors: Vec<Door>,
    /// What each wall is made of.
    pub(super) slabs: [Slab; 6],
}

impl Wall {
    /// All six.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..6).map(Self)
    }

    /// The four upright ones.
    pub(super) fn upright() -> impl Iterator<Item = Self> {
        (0..4).map(Self)
    }

    /// Across this axis, at its beginning or at its end.
    pub(super) fn across(axis: usize, at_end: bool) -> Self {
        Self(2 * axis + usize::from(at_end))
    }

    /// The axis that it is across: 0 x, 1 y, 2 z.
    pub(super) fn axis(self) -> usize {
        self.0 / 2
    }

    fn is_at_end(self) -> bool {
        self.0 % 2 == 1
    }

    fn is_upright(self) -> bool {
        self.0 < 4
    }

    /// Where it is along its axis.
    fn at_m(self, room: &Room) -> f64 {
        if self.is_at_end() {
            room.size_m[self.axis()]
        } else {
            0.0
        }
    }

    /// How far beyond it a point is; negative within the room.
    pub(super) fn beyond_m(self, room: &Room, point: Vector) -> f64 {
        let along = point.axis(self.axis());
        if self.is_at_end() {
            along - self.at_m(room)
        } else {
            -along
        }
    }

    /// The mirror image of a point.
    pub(super) fn mirror(self, room: &Room, point: Vector) -> Vector {
        point.with_axis(self.axis(), 2.0 * self.at_m(room) - point.axis(self.axis()))
    }

    /// Where the line through two points meets it.
    pub(super) fn meets(self, room: &Room, from: Vector, to: Vector) -> Vector {
        let axis = self.axis();
        let fraction = (self.at_m(room) - from.axis(axis)) / (to.axis(axis) - from.axis(axis));
        from + (to - from) * fraction
    }

    /// How the field of an upright antenna lies to its plane of incidence.
    pub(super) fn polarisation(self) -> Polarisation {
        if self.is_upright() {
            Polarisation::Across
        } else {
            Polarisation::Within
        }
    }

    /// What it is made of.
    pub(super) fn slab(self, room: &Room) -> &Slab {
        &room.slabs[self.0]
    }

    /// How much of an open door a point on it is in: 1 within, 0 on the wall.
    pub(super) fn opening(self, room: &Room, point: Vector) -> f64 {
        if !self.is_upright() || point.z > DOOR_TOP_M {
            return 0.0;
        }
        let along = 1 - self.axis();
        room.doors
            .iter()
            .filter(|door| door.wall(room) == self)
            .map(|door| {
                let inside_m = 0.5 * door.width_m - (point.axis(along) - door.at_m[along]).abs();
                1.0 / (1.0 + (-inside_m / JAMB_M).exp())
            })
            .fold(0.0, f64::max)
    }
}

impl Door {
    /// The nearest wall.
    fn wall(&self, room: &Room) -> Wall {
        let [x_m, y_m] = self.at_m;
        let away_m = [x_m, room.size_m[0] - x_m, y_m, room.size_m[1] - y_m];
        let nearest = (1..4).fold(0, |best, wall| if away_m[wall] < away_m[best] { wall } else { best });
        Wall(nearest)
    }

    /// The point this far into the room from its middle; outside when negative.
    pub(super) fn inwards(&self, room: &Room, by_m: f64) -> [f64; 2] {
        let [x, y] = self.direction_in(room);
        [self.at_m[0] + by_m * x, self.at_m[1] + by_m * y]
    }

    /// The direction into the room.
    pub(super) fn direction_in(&self, room: &Room) -> [f64; 2] {
        let wall = self.wall(room);
        let sign = if wall.is_at_end() { -1.0 } else { 1.0 };
        let mut direction = [0.0; 2];
        direction[wall.axis()] = sign;
        direction
    }
}

impl Room {
    /// True at least this far from every upright wall.
    pub(super) fn holds(&self, [x_m, y_m]: [f64; 2], margin_m: f64) -> bool {
        let [width_m, depth_m, _] = self.size_m;
        (margin_m..=width_m - margin_m).contains(&x_m) && (margin_m..=depth_m - margin_m).contains(&y_m)
    }
}
