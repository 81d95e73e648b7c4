//! The channel from one node to another: the empty room's, and what people change of it.

use super::{
    band::{Response, TONES, Tones, add_way},
    body::Body,
    complex::Complex,
    echo::{Ends, add_echoes},
    paths::{Path, REFLECTIONS_MAX, over_clutter, over_walls},
    room::Room,
    scene::{Node, Scene},
    shadow::{Obstacle, left_of},
    vector::Vector,
};

/// Shadows that change a path by less are not summed (power).
const LEAST_SHADOW_POWER: f64 = 1e-10;

/// From the first antenna of one node to all of another.
pub(super) struct Link {
    tx: Vector,
    rx: Vec<Vector>,
    rx_middle: Vector,
    /// `[antenna][path]`, each with its response alone.
    paths: Vec<Vec<(Path, Tones)>>,
    /// The response of the empty room.
    pub(super) empty: Response,
}

impl Link {
    /// Between two nodes of a scene.
    pub(super) fn new(scene: &Scene, from: &Node, to: &Node) -> Self {
        let tx = from.at + from.antennas[0];
        let rx = to.antennas.iter().map(|antenna| to.at + *antenna).collect();
        Self::over(tx, rx, to.at, |antenna| {
            let mut paths = over_walls(&scene.room, tx, antenna, REFLECTIONS_MAX);
            paths.extend(over_clutter(&scene.clutter, tx, antenna));
            paths
        })
    }

    /// Over these paths to each antenna.
    fn over(tx: Vector, rx: Vec<Vector>, rx_middle: Vector, paths_to: impl Fn(Vector) -> Vec<Path>) -> Self {
        let with_response = |path: Path| {
            let mut tones = [Complex::ZERO; TONES];
            add_way(path.amplitude, path.length_m, &mut tones);
            (path, tones)
        };
        let paths: Vec<Vec<_>> = rx
            .iter()
            .map(|antenna| paths_to(*antenna).into_iter().map(with_response).collect())
            .collect();
        let empty = paths.iter().map(|paths| sum(paths)).collect();
        Self {
            tx,
            rx,
            rx_middle,
            paths,
            empty,
        }
    }

    /// The response with these people: their shadows on every path, and what they scatter.
    pub(super) fn response(&self, room: &Room, bodies: &[Body]) -> Response {
        let mut response = self.empty.clone();
        let people: Vec<_> = bodies.iter().map(|body| Obstacle::new(room, body)).collect();
        self.add_shadows(&people, &mut response);
        for (i, echoing) in people.iter().enumerate() {
            let others = in_the_way(people.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, o)| o));
            self.add_echoes(room, *echoing, &others, &mut response);
        }
        response
    }

    fn add_shadows(&self, people: &[Obstacle<'_>], response: &mut Response) {
        let obstacles = in_the_way(people);
        if obstacles.is_empty() {
            return;
        }
        for (paths, tones) in self.paths.iter().zip(response) {
            for (path, alone) in paths {
                let change = left_of(&path.points, path.corners, &obstacles) - Complex::ONE;
                if change.power() > LEAST_SHADOW_POWER {
                    for (tone, field) in tones.iter_mut().zip(alone) {
                        *tone += *field * change;
                    }
                }
            }
        }
    }

    fn add_echoes(&self, room: &Room, echoing: Obstacle<'_>, others: &[Obstacle<'_>], response: &mut Response) {
        let ends = Ends {
            tx: self.tx,
            rx: &self.rx,
            rx_middle: self.rx_middle,
        };
        add_echoes(room, &ends, echoing, others, response);
    }
}

/// Those who are not all outside.
fn in_the_way<'a: 'b, 'b>(people: impl IntoIterator<Item = &'b Obstacle<'a>>) -> Vec<Obstacle<'a>> {
    people.into_iter().filter(|o| o.inside > 0.0).copied().collect()
}

fn sum(paths: &[(Path, Tones)]) -> Tones {
    let mut sum = [Complex::ZERO; TONES];
    for (_, alone) in paths {
        for (tone, field) in sum.iter_mut().zip(alone) {
            *tone += *field;
        }
    }
    sum
}

#[cfg(test)]
mod tests;
