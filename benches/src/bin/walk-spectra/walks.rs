//! Walks that somebody takes and walks that nobody does, held against the spectra.

use tapline_benches::cir_scene::Random;
use tapline_dsp::{detmath, tracker::body};

use crate::{
    spectra::{Room, Seen},
    table::Counts,
};

/// Walks that nobody takes, for one that somebody does; half of them are near it.
pub(crate) const OTHERS: usize = 16;
/// How near: standard deviations of place on each axis, metres, and of direction, radians.
const NEAR_M: f64 = 0.9;
const NEAR_RAD: f64 = 0.9;
/// Distance to a node below which its direction is not what geometry says, metres.
const BESIDE_M: f64 = 0.3;

/// Counts all walks of a room and gives how many there were.
pub(crate) fn count(room: &Room, random: &mut Random, counts: &mut Counts) -> usize {
    for moment in &room.moments {
        let seen = &room.seen[moment.seen];
        for pair in seen {
            let (share, rate) = share(pair, moment.at_m, moment.velocity_m_s);
            counts.walk(share, rate);
        }
        let [vx, vy] = moment.velocity_m_s;
        for other in 0..OTHERS {
            let near = other < OTHERS / 2;
            let mut any = || &room.moments[(random.uniform() * room.moments.len() as f64) as usize];
            let (place, [wx, wy]) = (any().at_m, any().velocity_m_s);
            let speed = (wx * wx + wy * wy).sqrt();
            let (at_m, angle) = if near {
                let (dx, dy) = random.gaussian();
                // The generator's numbers are complex: half the variance each.
                let off = |d: f64| core::f64::consts::SQRT_2 * NEAR_M * d;
                let turned = core::f64::consts::SQRT_2 * NEAR_RAD * random.gaussian().0;
                (
                    [moment.at_m[0] + off(dx), moment.at_m[1] + off(dy)],
                    detmath::atan2_64(vy, vx) + turned,
                )
            } else {
                (place, core::f64::consts::TAU * random.uniform())
            };
            let velocity = [speed * detmath::cos64(angle), speed * detmath::sin64(angle)];
            for pair in seen {
                let (share, rate) = share(pair, at_m, velocity);
                counts.other(share, rate);
            }
        }
    }
    room.moments.len()
}

/// Power at a walk's path rate, in the delay filter of its place, as a share of the pair's peak, and the path rate.
fn share(pair: &Seen, at_m: [f64; 2], velocity: [f64; 2]) -> (f32, f32) {
    let (mut way_m, mut rate) = (0.0, 0.0);
    for node in pair.nodes_m {
        let (dx, dy) = (at_m[0] - node[0], at_m[1] - node[1]);
        let far = (dx * dx + dy * dy).sqrt();
        way_m += far;
        rate += (dx * velocity[0] + dy * velocity[1]) / far.max(BESIDE_M);
    }
    let [a, b] = pair.nodes_m;
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    let excess_m = (way_m - (dx * dx + dy * dy).sqrt()) as f32;
    let rate = rate as f32;
    let shares = &pair.shares[body::filter(excess_m)];
    let (bin, on) = body::bin(rate);
    (shares[bin] + on * (shares[bin + 1] - shares[bin]), rate)
}
