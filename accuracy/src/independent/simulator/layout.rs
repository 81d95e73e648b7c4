//! The eight scenes: rooms, doors and where nodes stand, which are the same for every seed.

use super::room::Door;

/// A scene by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Two people to and fro at right angles.
    Cross1,
    /// Two people to and fro at 30 degrees.
    Cross2,
    /// Two people to and fro on lines 0.54 m apart.
    Cross3,
    /// One overtakes the other on lines 0.6 m apart; then they cross at 50 degrees.
    Cross4,
    /// One person roams.
    One1,
    /// One person roams, sits for 40 s, roams.
    Sit1,
    /// Nobody.
    Empty1,
    /// One person stands when another comes in by a second door; then both roam.
    Join1,
}

/// What is fixed of a room.
pub(super) struct Layout {
    /// Width, depth, height.
    pub(super) size_m: [f64; 3],
    pub(super) doors: Vec<Door>,
    /// About where the nodes stand on the floor plan.
    pub(super) spots_m: [[f64; 2]; 4],
}

impl Scenario {
    /// The name: in files, and in the seeds of chance.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cross1 => "cross1",
            Self::Cross2 => "cross2",
            Self::Cross3 => "cross3",
            Self::Cross4 => "cross4",
            Self::One1 => "one1",
            Self::Sit1 => "sit1",
            Self::Empty1 => "empty1",
            Self::Join1 => "join1",
        }
    }

    /// Room, doors and nodes: near the corners, at the middles of walls, or mixed.
    pub(super) fn layout(self) -> Layout {
        match self {
            Self::Cross1 => layout(
                [6.4, 4.8, 2.5],
                &[([6.4, 1.35], 0.9)],
                [[0.25, 0.35], [6.1, 0.3], [6.05, 4.55], [0.3, 4.4]],
            ),
            Self::Cross2 => layout(
                [7.5, 5.2, 2.7],
                &[([1.9, 0.0], 0.9), ([5.4, 5.2], 0.8)],
                [[0.15, 2.86], [3.9, 0.2], [7.35, 2.184], [3.375, 5.05]],
            ),
            Self::Cross3 => layout(
                [5.1, 4.2, 2.4],
                &[([0.0, 2.9], 0.85)],
                [[0.3, 0.2], [4.95, 1.47], [4.6, 4.0], [1.785, 4.05]],
            ),
            Self::Cross4 => layout(
                [8.0, 6.0, 3.0],
                &[([5.9, 6.0], 1.0)],
                [[0.3, 0.5], [7.5, 0.25], [7.75, 5.3], [0.6, 5.8]],
            ),
            Self::One1 => layout(
                [5.6, 5.0, 2.6],
                &[([1.5, 5.0], 0.9)],
                [[0.2, 0.3], [5.4, 0.5], [5.2, 4.7], [0.2, 4.2]],
            ),
            Self::Sit1 => layout(
                [4.6, 5.4, 2.5],
                &[([4.6, 3.9], 0.9)],
                [[0.2, 0.6], [2.76, 0.15], [4.4, 4.9], [0.3, 5.1]],
            ),
            Self::Empty1 => layout(
                [6.0, 5.0, 2.6],
                &[([0.0, 1.6], 0.9)],
                [[0.25, 0.25], [5.75, 0.4], [5.7, 4.7], [0.3, 4.75]],
            ),
            Self::Join1 => layout(
                [6.8, 4.4, 2.45],
                &[([6.8, 3.0], 0.9), ([2.2, 0.0], 0.9)],
                [[0.2, 0.3], [6.4, 0.2], [6.6, 4.1], [2.72, 4.25]],
            ),
        }
    }
}

fn layout(size_m: [f64; 3], doors: &[([f64; 2], f64)], spots_m: [[f64; 2]; 4]) -> Layout {
    let doors = doors.iter().map(|&(at_m, width_m)| Door { at_m, width_m }).collect();
    Layout { size_m, doors, spots_m }
}
