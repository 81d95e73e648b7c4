//! Phases of receive chains, learned from people who walk.
//!
//! Behind every antenna is a chain of line, amplifier and mixer that turns what it receives by an angle of its own: any, but always the
//! same. Directions are differences of phases between antennas, so the angles must be known, and the empty room does not tell them: a wall
//! close to a node sends the direct way back from another side. Echoes of people come from all over the room; what they are ahead by at
//! each antenna, against the first one, is the chain's in the mean. Until enough of them came, each antenna is judged by itself.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::bearing::{ANTENNAS_MAX, LINKS_MAX};

/// Phasors by antenna.
pub(super) type Phasors = [[f32; 2]; ANTENNAS_MAX];

/// Length of the sum of phasors from which on an angle is known: about a second of a walk. Later ones make it better.
const KNOWN: f32 = 12.0;
/// What is older than so many counts less and less.
const MOST: f32 = 200.0;

/// The chains of one node, the first one's phase taken for zero.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Node {
    id: u32,
    antennas: u32,
    /// By antenna, the sum of unit phasors by which echoes were ahead.
    sums: Phasors,
}

/// The chains of all nodes with several antennas.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Chains {
    nodes: Vec<Node>,
}

impl Chains {
    /// By antenna, what takes its chain's phase off: 1 where nothing is known.
    pub(super) fn back(&self, node: u32) -> Phasors {
        self.find(node)
            .map_or([[1.0, 0.0]; ANTENNAS_MAX], |n| n.sums.map(unit))
            .map(|[re, im]| [re, -im])
    }

    /// Whether the phases of all antennas of a node are known.
    pub(super) fn known(&self, node: u32) -> bool {
        let known = |s: &[f32; 2]| s[0] * s[0] + s[1] * s[1] > KNOWN * KNOWN;
        self.find(node)
            .is_some_and(|n| n.sums.iter().take(n.antennas as usize).all(known))
    }

    /// Takes by how much an echo was ahead at each antenna, its chain's phase as it is known taken off.
    pub(super) fn learn(&mut self, (node, antennas): (u32, usize), ahead: &Phasors) {
        let known = self.nodes.iter().position(|n| n.id == node);
        // A state with more would not be taken back.
        if known.is_none() && self.nodes.len() == LINKS_MAX {
            return;
        }
        let at = known.unwrap_or_else(|| {
            let sums = [[0.0; 2]; ANTENNAS_MAX];
            self.nodes.push(Node {
                id: node,
                antennas: antennas as u32,
                sums,
            });
            self.nodes.len() - 1
        });
        for (sum, [re, im]) in self.nodes[at].sums.iter_mut().zip(ahead) {
            let [cosine, sine] = unit(*sum);
            let size = (sum[0] * sum[0] + sum[1] * sum[1]).sqrt();
            let keep = if size > MOST { MOST / size } else { 1.0 };
            *sum = [
                sum[0] * keep + re * cosine - im * sine,
                sum[1] * keep + im * cosine + re * sine,
            ];
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        let finite = |n: &Node| n.sums.as_flattened().iter().all(|v| v.is_finite());
        self.nodes.len() <= LINKS_MAX && self.nodes.iter().all(finite)
    }

    fn find(&self, node: u32) -> Option<&Node> {
        self.nodes.iter().find(|n| n.id == node)
    }
}

/// With length 1; 1 for no direction.
fn unit([re, im]: [f32; 2]) -> [f32; 2] {
    let length = (re * re + im * im).sqrt();
    if length > 0.0 {
        [re / length, im / length]
    } else {
        [1.0, 0.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detmath, tracker::sequence::Sequence};

    /// Two nodes, one of which hears echoes with angles of its own, scattered by half a radian.
    #[test]
    fn angles_are_learned_and_taken_off() {
        let angles = [0.0_f32, 2.5, -1.0, 0.3];
        let mut chains = Chains::default();
        let mut numbers = Sequence::new(7);
        assert_eq!(chains.back(9), [[1.0, 0.0]; ANTENNAS_MAX]);
        for _ in 0..60 {
            assert!(!chains.known(9) || chains.back(9)[1] != [1.0, 0.0]);
            let back = chains.back(9);
            let ahead: Phasors = core::array::from_fn(|a| {
                let now = angles[a] + if a > 0 { 0.5 * numbers.normal() } else { 0.0 };
                let off = now + detmath::atan2(back[a][1], back[a][0]);
                [detmath::cos(off), detmath::sin(off)]
            });
            chains.learn((9, 4), &ahead);
        }
        assert!(chains.known(9) && !chains.known(8) && chains.is_sound());
        for (angle, [re, im]) in angles.into_iter().zip(chains.back(9)) {
            let off = detmath::atan2(im, re) + angle;
            assert!(off.abs() < 0.2, "{off} rad off {angle}");
        }
        // Angles that change, as after a new cable, are learned again.
        for _ in 0..3000 {
            let back = chains.back(9);
            let ahead: Phasors = core::array::from_fn(|a| {
                let off = -angles[a] + detmath::atan2(back[a][1], back[a][0]);
                [detmath::cos(off), detmath::sin(off)]
            });
            chains.learn((9, 4), &ahead);
        }
        let [re, im] = chains.back(9)[1];
        assert!((detmath::atan2(im, re) - angles[1]).abs() < 0.2);
    }
}
