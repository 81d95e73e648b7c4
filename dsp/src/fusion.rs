//! Multistatic fusion: one canonical frame from all receiving nodes, by attention.
//!
//! Each node contributes the mean gain-normalised amplitude of its paths on canonical-56. Its weight is
//! `softmax(similarity / temperature)`, the similarity being the cosine between its frame and the plain mean of all
//! nodes over common tones: a node that disagrees with the rest counts less. The weights are computed once, here,
//! and read by whoever needs them; nothing is cloned.

use num_complex::Complex32;

use crate::{detmath, normalize::CANONICAL_TONES};

/// Softmax temperature: a similarity lower by this much costs a node a factor e.
pub const TEMPERATURE: f32 = 0.1;

/// The fused frame of a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Weighted mean of the nodes' gain-normalised amplitudes.
    pub amplitude: [f32; CANONICAL_TONES],
    /// Phase of the weighted sum of the nodes' detrended channels, radians.
    pub phase_rad: [f32; CANONICAL_TONES],
    /// Tones that at least one node measured.
    pub mask: [u8; CANONICAL_TONES],
    /// Weight of each receiving node, ascending node id; a node without a frame has none. They sum to 1.
    pub weights: Vec<NodeWeight>,
}

/// What one node counted for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeWeight {
    /// The receiving node.
    pub node: u16,
    /// True when it had a frame in this cycle.
    pub present: bool,
    /// Its attention weight, 0 when not present.
    pub weight: f32,
    /// Cosine between its amplitudes and the mean of all present nodes, 0 to 1.
    pub similarity: f32,
}

/// Accumulators of one node.
#[derive(Clone, Debug)]
struct NodeFrame {
    channel: [Complex32; CANONICAL_TONES],
    amplitude: [f32; CANONICAL_TONES],
    count: [u32; CANONICAL_TONES],
    paths: u32,
}

/// Fuses the paths of one cycle: [`Fusion::begin`], [`Fusion::add`] for every path, [`Fusion::finish`].
#[derive(Clone, Debug)]
pub struct Fusion {
    nodes: Vec<NodeFrame>,
    fused: Fused,
}

impl Fusion {
    /// A fusion over these receiving nodes, ascending.
    pub fn new(nodes: &[u16]) -> Self {
        let empty = NodeFrame {
            channel: [Complex32::default(); CANONICAL_TONES],
            amplitude: [0.0; CANONICAL_TONES],
            count: [0; CANONICAL_TONES],
            paths: 0,
        };
        Self {
            nodes: vec![empty; nodes.len()],
            fused: Fused {
                amplitude: [0.0; CANONICAL_TONES],
                phase_rad: [0.0; CANONICAL_TONES],
                mask: [0; CANONICAL_TONES],
                weights: nodes
                    .iter()
                    .map(|&node| NodeWeight {
                        node,
                        ..NodeWeight::default()
                    })
                    .collect(),
            },
        }
    }

    /// Starts a cycle.
    pub fn begin(&mut self) {
        for node in &mut self.nodes {
            node.channel.fill(Complex32::default());
            node.amplitude.fill(0.0);
            node.count.fill(0);
            node.paths = 0;
        }
    }

    /// Adds a path of the node at index `node`: its canonical frame and the gain to divide it by.
    pub fn add(&mut self, node: usize, tones: &[Complex32], mask: &[u8], gain: f32) {
        let frame = &mut self.nodes[node];
        frame.paths += 1;
        for k in 0..CANONICAL_TONES {
            if mask[k] != 0 {
                let h = tones[k] / gain;
                frame.channel[k] += h;
                frame.amplitude[k] += (h.re * h.re + h.im * h.im).sqrt();
                frame.count[k] += 1;
            }
        }
    }

    /// Ends the cycle and gives the fused frame; none when no node had a frame.
    pub fn finish(&mut self) -> Option<&Fused> {
        for node in &mut self.nodes {
            for k in 0..CANONICAL_TONES {
                if node.count[k] > 0 {
                    node.channel[k] /= node.count[k] as f32;
                    node.amplitude[k] /= node.count[k] as f32;
                }
            }
        }
        self.weigh();
        let Fused {
            amplitude,
            phase_rad,
            mask,
            weights,
        } = &mut self.fused;
        for k in 0..CANONICAL_TONES {
            let (mut a, mut h, mut w) = (0.0_f32, Complex32::default(), 0.0_f32);
            for (node, weight) in self.nodes.iter().zip(weights.iter()) {
                if node.count[k] > 0 && weight.present {
                    a += weight.weight * node.amplitude[k];
                    h += node.channel[k] * weight.weight;
                    w += weight.weight;
                }
            }
            mask[k] = u8::from(w > 0.0);
            amplitude[k] = if w > 0.0 { a / w } else { 0.0 };
            phase_rad[k] = if h.re != 0.0 || h.im != 0.0 {
                detmath::atan2(h.im, h.re)
            } else {
                0.0
            };
        }
        self.current()
    }

    /// The fused frame of the last cycle, if it had any.
    pub fn current(&self) -> Option<&Fused> {
        self.fused.weights.iter().any(|w| w.present).then_some(&self.fused)
    }

    fn weigh(&mut self) {
        // The mean of all present nodes, tone by tone.
        let mean = &mut self.fused.amplitude;
        for (k, mean) in mean.iter_mut().enumerate() {
            let (mut sum, mut count) = (0.0_f32, 0_u32);
            for node in &self.nodes {
                if node.count[k] > 0 {
                    sum += node.amplitude[k];
                    count += 1;
                }
            }
            *mean = sum / count.max(1) as f32;
        }
        let mut best = f32::NEG_INFINITY;
        for (node, weight) in self.nodes.iter().zip(&mut self.fused.weights) {
            weight.present = node.paths > 0 && node.count.iter().any(|&n| n > 0);
            weight.similarity = 0.0;
            if weight.present {
                weight.similarity = cosine(&node.amplitude, mean, &node.count);
                best = detmath::max(best, weight.similarity);
            }
        }
        let mut sum = 0.0_f32;
        for weight in &mut self.fused.weights {
            weight.weight = if weight.present {
                detmath::exp((weight.similarity - best) / TEMPERATURE)
            } else {
                0.0
            };
            sum += weight.weight;
        }
        if sum > 0.0 {
            self.fused.weights.iter_mut().for_each(|w| w.weight /= sum);
        }
    }
}

/// Cosine of the angle between two amplitude profiles over the counted tones, 0 to 1.
fn cosine(a: &[f32], b: &[f32], count: &[u32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0_f32, 0.0_f32, 0.0_f32);
    for k in 0..a.len() {
        if count[k] > 0 {
            ab += a[k] * b[k];
            aa += a[k] * a[k];
            bb += b[k] * b[k];
        }
    }
    let scale = (aa * bb).sqrt();
    if scale > 0.0 {
        detmath::clamp(ab / scale, 0.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(value: impl Fn(usize) -> f32) -> [Complex32; CANONICAL_TONES] {
        core::array::from_fn(|k| Complex32::new(value(k), 0.0))
    }

    #[test]
    fn equal_nodes_weigh_equally_and_gain_does_not_matter() {
        let mut fusion = Fusion::new(&[3, 7]);
        fusion.begin();
        let shape = |k: usize| 1.0 + (k % 5) as f32;
        fusion.add(0, &frame(shape), &[1; 56], 1.0);
        fusion.add(1, &frame(|k| 8.0 * shape(k)), &[1; 56], 8.0);
        let fused = fusion.finish().unwrap();
        assert_eq!([fused.weights[0].weight, fused.weights[1].weight], [0.5, 0.5]);
        assert!((fused.amplitude[3] - 4.0).abs() < 1e-6);
        assert!((fused.weights[0].similarity - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_odd_one_out_counts_less() {
        let mut fusion = Fusion::new(&[1, 2, 3]);
        fusion.begin();
        for node in 0..2 {
            fusion.add(node, &frame(|k| if k < 28 { 1.5 } else { 0.5 }), &[1; 56], 1.0);
        }
        fusion.add(2, &frame(|k| if k < 28 { 0.1 } else { 1.9 }), &[1; 56], 1.0);
        let weights = &fusion.finish().unwrap().weights;
        assert!(
            weights[2].weight < 0.1 && weights[0].weight == weights[1].weight,
            "{weights:?}"
        );
        assert!((weights.iter().map(|w| w.weight).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn masks_and_absent_nodes() {
        let mut fusion = Fusion::new(&[1, 2]);
        fusion.begin();
        assert!(fusion.finish().is_none());
        fusion.begin();
        let mut mask = [1; 56];
        mask[0] = 0;
        fusion.add(1, &frame(|_| 1.0), &mask, 1.0);
        let fused = fusion.finish().unwrap();
        assert_eq!((fused.mask[0], fused.mask[1]), (0, 1));
        assert_eq!((fused.weights[0].present, fused.weights[1].weight), (false, 1.0));
    }
}
