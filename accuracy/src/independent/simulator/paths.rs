//! Ways that stand still: the direct one, over one or two walls by the image method, over each point of clutter.
//!
//! Image method (Allen and Berkley, J. Acoust. Soc. Am. 65, 1979): the room is unfolded into cells of a lattice, in
//! each of which the transmitter has one image; where the straight line from the receiver to it crosses planes between
//! cells is where walls reflect. The amplitude is that of Friis over the whole length, times each wall's reflection; an
//! open door reflects nothing. That over a point of clutter is the bistatic radar equation's,
//! `lambda / (4 pi) sqrt(sigma / (4 pi)) / (d1 d2)`.

use std::f64::consts::PI;

use super::{
    antenna::{FRIIS_M, pattern},
    complex::Complex,
    room::{Room, Wall},
    scene::Clutter,
    vector::Vector,
};

/// Most walls that a way goes over.
pub(super) const REFLECTIONS_MAX: i32 = 2;

/// What a way does at its corners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corners {
    /// A mirror: the wave goes on as if from the image.
    Mirror,
    /// A point: a new wave begins.
    Scatter,
}

/// A way from the transmitter to one receive antenna.
pub(super) struct Path {
    /// From the transmitter to the antenna.
    pub(super) points: Vec<Vector>,
    pub(super) length_m: f64,
    /// At the carrier, without the turn of the way.
    pub(super) amplitude: Complex,
    pub(super) corners: Corners,
}

/// The direct way and those over up to `reflections` walls.
pub(super) fn over_walls(room: &Room, tx: Vector, rx: Vector, reflections: i32) -> Vec<Path> {
    let each = move || -reflections..=reflections;
    each()
        .flat_map(|x| each().flat_map(move |y| each().map(move |z| [x, y, z])))
        .filter(|cell| cell.iter().map(|n| n.abs()).sum::<i32>() <= reflections)
        .map(|cell| through_cells(room, tx, rx, cell))
        .collect()
}

/// The way from the image in this cell; `[0, 0, 0]` is the room.
fn through_cells(room: &Room, tx: Vector, rx: Vector, cell: [i32; 3]) -> Path {
    let mut image = tx;
    for (axis, (n, size_m)) in cell.into_iter().zip(room.size_m).enumerate() {
        let within_m = if n.rem_euclid(2) == 0 {
            tx.axis(axis)
        } else {
            size_m - tx.axis(axis)
        };
        image = image.with_axis(axis, f64::from(n) * size_m + within_m);
    }
    let way = image - rx;
    let length_m = way.length();
    let mut amplitude = Complex::new(FRIIS_M / length_m * pattern(way).powi(2), 0.0);
    let mut points = vec![rx];
    for (fraction, wall) in crossings(room, rx, way, cell) {
        let point = folded(room, rx + way * fraction);
        let cos_incidence = (way.axis(wall.axis()) / length_m).abs();
        amplitude *= wall.slab(room).reflection(cos_incidence, wall.polarisation()) * (1.0 - wall.opening(room, point));
        points.push(point);
    }
    points.push(tx);
    points.reverse();
    Path {
        points,
        length_m,
        amplitude,
        corners: Corners::Mirror,
    }
}

/// Where the line crosses planes between cells, as fractions of `way` from the receiver on, and the walls they stand
/// for.
fn crossings(room: &Room, rx: Vector, way: Vector, cell: [i32; 3]) -> Vec<(f64, Wall)> {
    let mut all = Vec::new();
    for (axis, n) in cell.into_iter().enumerate() {
        for m in 0..n.abs() {
            // Planes at odd numbers of cells are the wall at the end.
            let plane = if n > 0 { m + 1 } else { -m };
            let fraction = (f64::from(plane) * room.size_m[axis] - rx.axis(axis)) / way.axis(axis);
            all.push((fraction, Wall::across(axis, plane.rem_euclid(2) == 1)));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// A point of the lattice folded back into the room.
fn folded(room: &Room, mut point: Vector) -> Vector {
    for (axis, size_m) in room.size_m.into_iter().enumerate() {
        let along_m = point.axis(axis).rem_euclid(2.0 * size_m);
        point = point.with_axis(
            axis,
            if along_m > size_m {
                2.0 * size_m - along_m
            } else {
                along_m
            },
        );
    }
    point
}

/// The ways over points of clutter.
pub(super) fn over_clutter(clutter: &[Clutter], tx: Vector, rx: Vector) -> impl Iterator<Item = Path> {
    clutter.iter().map(move |c| {
        let (there, on) = (c.at - tx, rx - c.at);
        let amplitude = FRIIS_M * (c.cross_section_m2 / (4.0 * PI)).sqrt() / (there.length() * on.length())
            * pattern(there)
            * pattern(on);
        Path {
            points: vec![tx, c.at, rx],
            length_m: there.length() + on.length(),
            amplitude: Complex::new(amplitude, 0.0),
            corners: Corners::Scatter,
        }
    })
}
