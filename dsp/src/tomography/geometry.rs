//! Which samples belong to which pair of nodes, and where the pairs stand.

use super::{ImageGrid, LinkSample, LinkWeights, TomographyError, WeightModel};

/// A node's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Node {
    /// Id from the configuration.
    pub id: u32,
    /// Metres.
    pub at_m: [f32; 3],
}

/// The links of a mesh, grouped by unordered pair of nodes, ascending.
#[derive(Clone, Debug, Default)]
pub struct LinkGeometry {
    nodes: Vec<Node>,
    /// `(tx, rx)` of each sample, as the samples came.
    ends: Vec<(u32, u32)>,
    pairs: Vec<(u32, u32)>,
    offsets: Vec<usize>,
    members: Vec<u32>,
}

impl LinkGeometry {
    /// Groups samples by pair. Samples of a node without a position, or of a node with itself, belong to none.
    ///
    /// # Errors
    /// [`TomographyError::Nodes`] when nodes do not ascend by id or stand at no finite place.
    pub fn build(nodes: &[Node], ends: Vec<(u32, u32)>) -> Result<Self, TomographyError> {
        let ascending = nodes.windows(2).all(|w| w[0].id < w[1].id);
        let placed = nodes.iter().all(|n| n.at_m.iter().all(|v| v.is_finite()));
        if !(ascending && placed) {
            return Err(TomographyError::Nodes { count: nodes.len() });
        }
        let known = |id: u32| nodes.binary_search_by_key(&id, |n| n.id).is_ok();
        let pair_of = |&(tx, rx): &(u32, u32)| {
            let pair = if tx < rx { (tx, rx) } else { (rx, tx) };
            (tx != rx && known(tx) && known(rx)).then_some(pair)
        };
        let mut pairs: Vec<_> = ends.iter().filter_map(pair_of).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut offsets = vec![0];
        let mut members = Vec::with_capacity(ends.len());
        for pair in &pairs {
            members.extend(
                (0_u32..)
                    .zip(&ends)
                    .filter(|(_, e)| pair_of(e) == Some(*pair))
                    .map(|(i, _)| i),
            );
            offsets.push(members.len());
        }
        Ok(Self {
            nodes: nodes.to_vec(),
            ends,
            pairs,
            offsets,
            members,
        })
    }

    /// Whether this geometry still fits: same nodes in the same places, same links.
    pub fn fits(&self, nodes: impl ExactSizeIterator<Item = Node>, samples: &[LinkSample]) -> bool {
        self.nodes.len() == nodes.len()
            && self.ends.len() == samples.len()
            && nodes.zip(&self.nodes).all(|(now, then)| now == *then)
            && samples
                .iter()
                .zip(&self.ends)
                .all(|(now, then)| (now.tx, now.rx) == *then)
    }

    /// The nodes it was built with.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// `(tx, rx)` of each sample it was built with.
    pub fn ends(&self) -> &[(u32, u32)] {
        &self.ends
    }

    /// Pairs of node ids, smaller id first, ascending.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }

    /// Samples of a pair, ascending.
    pub fn samples_of(&self, pair: usize) -> &[u32] {
        &self.members[self.offsets[pair]..self.offsets[pair + 1]]
    }

    /// Both end points of a pair, metres.
    pub fn end_points(&self, pair: usize) -> [[f32; 3]; 2] {
        let at = |id: u32| {
            let i = self
                .nodes
                .binary_search_by_key(&id, |n| n.id)
                .expect("pairs hold known nodes only");
            self.nodes[i].at_m
        };
        let (a, b) = self.pairs[pair];
        [at(a), at(b)]
    }

    /// The weight rows of all pairs.
    pub fn weights(&self, grid: &ImageGrid, model: WeightModel, excess_m: f32) -> LinkWeights {
        let ends: Vec<_> = (0..self.pairs.len()).map(|pair| self.end_points(pair)).collect();
        LinkWeights::build(grid, &ends, model, excess_m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Node> {
        (1..4)
            .map(|id| Node {
                id,
                at_m: [id as f32, 0.0, 0.0],
            })
            .collect()
    }

    #[test]
    fn both_directions_and_all_channels_share_a_pair() {
        let ends = vec![(3, 1), (1, 2), (2, 1), (1, 2), (9, 1), (2, 2)];
        let g = LinkGeometry::build(&nodes(), ends).unwrap();
        assert_eq!(g.pairs(), [(1, 2), (1, 3)]);
        assert_eq!((g.samples_of(0), g.samples_of(1)), (&[1, 2, 3][..], &[0][..]));
        assert_eq!(g.end_points(1), [[1.0, 0.0, 0.0], [3.0, 0.0, 0.0]]);
    }

    #[test]
    fn unsorted_or_unplaced_nodes_are_refused() {
        let mut swapped = nodes();
        swapped.swap(0, 1);
        assert!(LinkGeometry::build(&swapped, Vec::new()).is_err());
        let mut lost = nodes();
        lost[1].at_m[0] = f32::NAN;
        assert!(LinkGeometry::build(&lost, Vec::new()).is_err());
    }
}
