//! The floor that a mesh spans.

use core::cmp::Ordering;

use crate::detmath;

/// Convex hull of the nodes, counter-clockwise; without area (fewer than three nodes, or all in a line) it
/// bounds nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hull {
    corners: Vec<[f32; 2]>,
}

impl Hull {
    /// The hull of points (Andrew's monotone chain, 1979).
    pub fn of(points: impl Iterator<Item = [f32; 2]>) -> Self {
        let mut sorted: Vec<_> = points.collect();
        sorted.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        sorted.dedup();
        let mut corners = half(sorted.iter());
        corners.extend(half(sorted.iter().rev()));
        if corners.len() < 3 {
            corners.clear();
        }
        Self { corners }
    }

    /// How far a point lies outside, metres; 0 inside, and everywhere when the hull bounds nothing.
    pub fn distance_m(&self, at: [f32; 2]) -> f32 {
        if self.corners.is_empty() || inside(&self.corners, at) {
            return 0.0;
        }
        edges(&self.corners).fold(f32::MAX, |nearest, (a, b)| {
            detmath::min(nearest, segment_distance_m(at, a, b))
        })
    }
}

/// One side of the hull without its last point: only left turns are kept.
fn half<'a>(points: impl Iterator<Item = &'a [f32; 2]>) -> Vec<[f32; 2]> {
    let mut chain: Vec<[f32; 2]> = Vec::new();
    for &p in points {
        while let [.., a, b] = chain[..] {
            let turn = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
            if turn.total_cmp(&0.0) == Ordering::Greater {
                break;
            }
            chain.pop();
        }
        chain.push(p);
    }
    chain.pop();
    chain
}

fn edges(corners: &[[f32; 2]]) -> impl Iterator<Item = ([f32; 2], [f32; 2])> {
    let next = corners.iter().cycle().skip(1);
    corners.iter().copied().zip(next.copied())
}

/// Even-odd rule: whether a ray from the point towards +x crosses the closed line an odd number of times.
pub(super) fn inside(corners: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    edges(corners).fold(false, |odd, ([ax, ay], [bx, by])| {
        odd ^ ((ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax))
    })
}

/// Distance from a point to the segment between two others, metres.
pub(super) fn segment_distance_m(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (vx, vy) = (b[0] - a[0], b[1] - a[1]);
    let (px, py) = (p[0] - a[0], p[1] - a[1]);
    let length2 = vx * vx + vy * vy;
    let along = if length2 > 0.0 {
        detmath::clamp((px * vx + py * vy) / length2, 0.0, 1.0)
    } else {
        0.0
    };
    detmath::hypot(px - along * vx, py - along * vy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_of_a_square_with_points_in_and_on_it() {
        let points = [
            [0.0, 0.0],
            [2.0, 0.0],
            [1.0, 1.0],
            [2.0, 2.0],
            [0.0, 2.0],
            [1.0, 0.0],
            [0.0, 0.0],
        ];
        let hull = Hull::of(points.into_iter());
        assert_eq!(hull.corners, [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]);
        assert_eq!(
            [[1.0, 1.5], [3.0, 1.0], [-3.0, -4.0]].map(|p| hull.distance_m(p)),
            [0.0, 1.0, 5.0]
        );
    }

    #[test]
    fn a_mesh_without_area_bounds_nothing() {
        for points in [vec![], vec![[1.0, 1.0]], vec![[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]]] {
            assert_eq!(Hull::of(points.into_iter()).distance_m([9.0, -9.0]), 0.0);
        }
    }

    #[test]
    fn a_segment_s_distance() {
        let d = |x, y| segment_distance_m([x, y], [0.0, 0.0], [4.0, 0.0]);
        assert_eq!((d(2.0, 1.5), d(7.0, 4.0), d(-3.0, 4.0)), (1.5, 5.0, 5.0));
    }
}
