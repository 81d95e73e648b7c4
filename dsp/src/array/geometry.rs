//! How well the links' places can locate one person: the Cramer-Rao bound of the shadowing model.
//!
//! A person at `p` takes `a(p) = A exp(-e(p) / w)` dB off a link, `e = |p - tx| + |p - rx| - |tx - rx|` the excess path.
//! With noise `s` dB on each link the Fisher information is `J = sum grad a grad a^T / s^2`. A link says nothing of
//! where across its own line of sight a body at its very middle stands, so `J` is averaged over a body's width. The
//! prior, uniform over the room, keeps the bound finite where no link passes: there it is the size of the room.

use crate::{detmath, presence_coverage::inside};

/// Shadow of a body in a link's middle, dB.
const SHADOW_DB: f64 = 4.0;
/// Excess path at which the shadow has fallen to a share of 1/e, metres.
const WIDTH_M: f64 = 0.1;
/// Half a body's width, metres.
const BODY_M: f64 = 0.15;
/// Nodes closer than this are one place.
const NEAR_M: f64 = 1e-3;

/// A link as geometry knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkLine {
    /// One end, metres.
    pub a_m: [f64; 2],
    /// The other end, metres.
    pub b_m: [f64; 2],
    /// Standard deviation of its level in the quiet room, dB.
    pub noise_db: f64,
}

/// Symmetric 2x2 matrix: xx, xy, yy.
type Information = [f64; 3];

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    ((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1])).sqrt()
}

/// Attenuation of a link by a person, dB.
pub fn shadow_db(link: &LinkLine, p: [f64; 2]) -> f64 {
    let excess = distance(p, link.a_m) + distance(p, link.b_m) - distance(link.a_m, link.b_m);
    SHADOW_DB * detmath::exp64(-excess / WIDTH_M)
}

/// Its gradient with respect to the person's place, dB a metre.
fn gradient(link: &LinkLine, p: [f64; 2]) -> [f64; 2] {
    let (da, db) = (distance(p, link.a_m), distance(p, link.b_m));
    if da < NEAR_M || db < NEAR_M {
        return [0.0; 2];
    }
    let scale = -shadow_db(link, p) / WIDTH_M;
    [0, 1].map(|i| scale * ((p[i] - link.a_m[i]) / da + (p[i] - link.b_m[i]) / db))
}

fn information(links: &[LinkLine], p: [f64; 2]) -> Information {
    let mut sum = [0.0; 3];
    let body = [[0.0, 0.0], [BODY_M, 0.0], [-BODY_M, 0.0], [0.0, BODY_M], [0.0, -BODY_M]];
    for link in links {
        let weight = 1.0 / (body.len() as f64 * link.noise_db * link.noise_db);
        for offset in body {
            let [x, y] = gradient(link, [p[0] + offset[0], p[1] + offset[1]]);
            sum[0] += weight * x * x;
            sum[1] += weight * x * y;
            sum[2] += weight * y * y;
        }
    }
    sum
}

/// What the links can tell of one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Least root mean square error of a position there, metres.
    pub sigma_m: f64,
    /// How even the information is over directions: 1 is even, 0 is along one line only.
    pub evenness: f64,
}

/// The bound at a place, with a prior uniform over a room of this extent.
pub fn bound(links: &[LinkLine], p: [f64; 2], extent_m: [f64; 2]) -> Bound {
    let [xx, xy, yy] = information(links, p);
    let trace = xx + yy;
    let evenness = if trace > 0.0 {
        2.0 * detmath::max64(xx * yy - xy * xy, 0.0).sqrt() / trace
    } else {
        0.0
    };
    let prior = extent_m.map(|e| 12.0 / (e * e));
    let (xx, yy) = (xx + prior[0], yy + prior[1]);
    let determinant = xx * yy - xy * xy;
    Bound {
        sigma_m: ((xx + yy) / determinant).sqrt(),
        evenness,
    }
}

/// What the links can tell of a room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomGeometry {
    /// Places looked at.
    pub places: u32,
    /// Median of the bound over them, metres.
    pub median_m: f64,
    /// Its 10th percentile, metres: what is known best.
    pub p10_m: f64,
    /// Its 90th percentile, metres.
    pub p90_m: f64,
    /// Share of the places that are known to [`LOCATED_M`] or better.
    pub located: f64,
    /// Median evenness of the information over directions.
    pub evenness: f64,
    /// The place that is known worst, metres.
    pub worst_m: [f64; 2],
}

/// A place known to this is located, metres.
pub const LOCATED_M: f64 = 0.5;
/// Distance of the places looked at, metres.
const PITCH_M: f64 = 0.4;
/// Most places along one side: a hall is looked at more coarsely.
const SIDE_MAX: f64 = 24.0;

/// The bound over a room. None for an outline without an inside.
pub fn room(links: &[LinkLine], outline_m: &[[f32; 2]]) -> Option<RoomGeometry> {
    let (places, extent_m) = places(outline_m)?;
    let mut bounds: Vec<(f64, [f64; 2], f64)> = places
        .iter()
        .map(|&p| {
            let b = bound(links, p, extent_m);
            (b.sigma_m, p, b.evenness)
        })
        .collect();
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at = |q: f64| bounds[((bounds.len() - 1) as f64 * q) as usize].0;
    let mut evenness: Vec<f64> = bounds.iter().map(|b| b.2).collect();
    evenness.sort_by(f64::total_cmp);
    let located = bounds.partition_point(|b| b.0 <= LOCATED_M);
    Some(RoomGeometry {
        places: bounds.len() as u32,
        median_m: at(0.5),
        p10_m: at(0.1),
        p90_m: at(0.9),
        located: located as f64 / bounds.len() as f64,
        evenness: evenness[evenness.len() / 2],
        worst_m: bounds[bounds.len() - 1].1,
    })
}

/// Places inside an outline, and the outline's extent.
fn places(outline_m: &[[f32; 2]]) -> Option<(Vec<[f64; 2]>, [f64; 2])> {
    let axis = |i: usize| outline_m.iter().map(move |p| f64::from(p[i]));
    let low = [0, 1].map(|i| axis(i).fold(f64::INFINITY, detmath::min64));
    let high = [0, 1].map(|i| axis(i).fold(f64::NEG_INFINITY, detmath::max64));
    let extent = [high[0] - low[0], high[1] - low[1]];
    if !extent.iter().all(|e| e.is_finite() && *e > 0.0) {
        return None;
    }
    let pitch = detmath::max64(PITCH_M, detmath::max64(extent[0], extent[1]) / SIDE_MAX);
    let count = extent.map(|e| (e / pitch).ceil() as u32);
    let mut places = Vec::new();
    for j in 0..count[1] {
        for i in 0..count[0] {
            let p = [
                low[0] + (f64::from(i) + 0.5) * extent[0] / f64::from(count[0]),
                low[1] + (f64::from(j) + 0.5) * extent[1] / f64::from(count[1]),
            ];
            if inside(outline_m, p.map(|v| v as f32)) {
                places.push(p);
            }
        }
    }
    (!places.is_empty()).then_some((places, extent))
}

/// Largest gap between the bearings of nodes as seen from a place, radians; a full turn with fewer than two nodes.
/// Below half a turn the place lies within the nodes.
pub fn bearing_gap(from_m: [f64; 2], nodes_m: &[[f64; 2]]) -> f64 {
    let turn = 2.0 * std::f64::consts::PI;
    let seen = nodes_m.iter().filter(|n| distance(**n, from_m) >= NEAR_M);
    let mut bearings: Vec<f64> = seen
        .map(|n| detmath::atan2_64(n[1] - from_m[1], n[0] - from_m[0]))
        .collect();
    bearings.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (bearings.first(), bearings.last()) else {
        return turn;
    };
    let between = bearings.windows(2).map(|w| w[1] - w[0]);
    between.fold(first + turn - last, detmath::max64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(a_m: [f64; 2], b_m: [f64; 2]) -> LinkLine {
        LinkLine {
            a_m,
            b_m,
            noise_db: 1.0,
        }
    }

    fn square(n: usize) -> Vec<LinkLine> {
        let node = |i: usize| {
            let angle = i as f64 / n as f64 * 2.0 * std::f64::consts::PI;
            [2.0 + 2.0 * detmath::cos64(angle), 2.0 + 2.0 * detmath::sin64(angle)]
        };
        (0..n)
            .flat_map(|i| (0..i).map(move |j| line(node(i), node(j))))
            .collect()
    }

    #[test]
    fn the_gradient_is_that_of_the_shadow() {
        let link = line([0.0, 0.0], [4.0, 1.0]);
        for p in [[1.0, 0.4], [3.0, 0.6], [2.0, 1.2], [-0.5, 0.1]] {
            let h = 1e-6;
            for axis in 0..2 {
                let (mut up, mut down) = (p, p);
                up[axis] += h;
                down[axis] -= h;
                let numeric = (shadow_db(&link, up) - shadow_db(&link, down)) / (2.0 * h);
                assert!((gradient(&link, p)[axis] - numeric).abs() < 1e-5, "{p:?} {axis}");
            }
        }
    }

    /// One link knows a place across its line only: along it the prior is all there is.
    #[test]
    fn one_link_locates_along_one_line_only() {
        let across = bound(&[line([0.0, 0.0], [4.0, 0.0])], [2.0, 0.1], [4.0, 4.0]);
        assert!(across.evenness < 0.1, "{across:?}");
        assert!(across.sigma_m > 0.9 * 4.0 / 12.0_f64.sqrt(), "{across:?}");
        let none = bound(&[], [2.0, 0.1], [4.0, 4.0]);
        assert!((none.sigma_m - (2.0 * 16.0 / 12.0_f64).sqrt()).abs() < 1e-12 && none.evenness == 0.0);
    }

    /// The oracle: maximum likelihood on simulated shadows is as good as the bound says, and no better.
    #[test]
    fn no_estimator_beats_the_bound_and_the_best_one_reaches_it() {
        let links = square(8);
        let truth = [1.7, 2.3];
        let quiet: Vec<LinkLine> = links.iter().map(|l| LinkLine { noise_db: 0.2, ..*l }).collect();
        // The bound of a point, so that it is that of the estimator below.
        let mut j = [0.0; 3];
        for link in &quiet {
            let [x, y] = gradient(link, truth);
            let w = 1.0 / (link.noise_db * link.noise_db);
            j = [j[0] + w * x * x, j[1] + w * x * y, j[2] + w * y * y];
        }
        let limit = ((j[0] + j[2]) / (j[0] * j[2] - j[1] * j[1])).sqrt();
        let mut state = 1_u64;
        let mut gauss = || {
            (0..12)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (state >> 11) as f64 / (1_u64 << 53) as f64
                })
                .sum::<f64>()
                - 6.0
        };
        let mut square_sum = 0.0;
        let runs = 400;
        for _ in 0..runs {
            let seen: Vec<f64> = quiet
                .iter()
                .map(|l| shadow_db(l, truth) + l.noise_db * gauss())
                .collect();
            let mut p = truth;
            for _ in 0..20 {
                let (mut h, mut g) = ([0.0; 3], [0.0; 2]);
                for (link, y) in quiet.iter().zip(&seen) {
                    let (d, r) = (gradient(link, p), y - shadow_db(link, p));
                    h = [h[0] + d[0] * d[0], h[1] + d[0] * d[1], h[2] + d[1] * d[1]];
                    g = [g[0] + d[0] * r, g[1] + d[1] * r];
                }
                let determinant = h[0] * h[2] - h[1] * h[1];
                p[0] += (h[2] * g[0] - h[1] * g[1]) / determinant;
                p[1] += (h[0] * g[1] - h[1] * g[0]) / determinant;
            }
            square_sum += distance(p, truth) * distance(p, truth);
        }
        let rmse = (square_sum / f64::from(runs)).sqrt();
        assert!((0.9 * limit..1.25 * limit).contains(&rmse), "{rmse} against {limit}");
    }

    #[test]
    fn more_nodes_locate_better_and_a_ring_locates_evenly() {
        let outline = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];
        let few = room(&square(4), &outline).expect("a room");
        let many = room(&square(10), &outline).expect("a room");
        assert!(
            many.median_m < few.median_m && many.located > few.located,
            "{few:?} {many:?}"
        );
        assert!(many.evenness > few.evenness && many.p90_m >= many.median_m);
        assert_eq!(room(&[], &[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), None);
    }

    #[test]
    fn gaps_between_bearings_by_hand() {
        let turn = 2.0 * std::f64::consts::PI;
        let cross = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
        assert!((bearing_gap([0.0, 0.0], &cross) - turn / 4.0).abs() < 1e-12);
        assert!((bearing_gap([0.0, 0.0], &cross[..2]) - 0.75 * turn).abs() < 1e-12);
        assert_eq!(bearing_gap([0.0, 0.0], &[]), turn);
        assert_eq!(bearing_gap([0.0, 0.0], &[[1.0, 0.0]]), turn);
    }
}
