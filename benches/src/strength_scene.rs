//! Received strengths in a square room: a loss of 8 dB on a link that somebody stands in, noise from a fixed generator.

use tapline_dsp::{
    detmath::{cos, exp, hypot, sin},
    tomography::{LinkSample, Node, QuietSample},
};

use crate::cir_scene::Random;

/// A square room with nodes along its walls.
pub struct Room {
    /// Edge, metres.
    pub side_m: f32,
    /// In the order of their ids, from 1.
    pub nodes: Vec<Node>,
}

impl Room {
    /// A room of this edge with so many nodes, evenly once round.
    pub fn new(side_m: f32, nodes: u32) -> Self {
        let nodes = (0..nodes)
            .map(|k| {
                // Along the walls, once round.
                let way = 4.0 * k as f32 / nodes as f32;
                let (wall, along) = (way as u32, (way - way.floor()) * side_m);
                let [x, y] = match wall {
                    0 => [along, 0.0],
                    1 => [side_m, along],
                    2 => [side_m - along, side_m],
                    _ => [0.0, side_m - along],
                };
                Node {
                    id: k + 1,
                    at_m: [x, y, 1.0],
                }
            })
            .collect();
        Self { side_m, nodes }
    }

    /// Where each of some people is: on circles of their own, which go round the room in `round_s`.
    pub fn people(&self, count: usize, t_s: f32, round_s: f32) -> Vec<[f32; 2]> {
        (0..count)
            .map(|k| {
                let angle = 6.283_185_5 * (k as f32 / count as f32 + t_s / round_s);
                let centre = |turned: f32| 0.5 * self.side_m + 0.34 * self.side_m * turned;
                let own = 0.8 * t_s + k as f32;
                [centre(cos(angle)) + 0.3 * cos(own), centre(sin(angle)) + 0.3 * sin(own)]
            })
            .collect()
    }

    /// One sample for each ordered pair of nodes.
    pub fn samples(&self, people: &[[f32; 2]], random: &mut Random) -> Vec<LinkSample> {
        let mut samples = Vec::new();
        for a in &self.nodes {
            for b in self.nodes.iter().filter(|b| b.id != a.id) {
                let length = hypot(a.at_m[0] - b.at_m[0], a.at_m[1] - b.at_m[1]);
                let loss: f32 = people
                    .iter()
                    .map(|at| {
                        let d = |n: &Node| hypot(at[0] - n.at_m[0], at[1] - n.at_m[1]);
                        8.0 * exp(-8.0 * (d(a) + d(b) - length))
                    })
                    .sum();
                samples.push(LinkSample {
                    tx: a.id,
                    rx: b.id,
                    quiet: Some(QuietSample {
                        quiet_dbm: -50.0,
                        attenuation_db: loss + 0.8 * random.gaussian().0 as f32,
                        noise_db: 0.8,
                    }),
                    change: None,
                    age_s: 0.0,
                });
            }
        }
        samples
    }
}
