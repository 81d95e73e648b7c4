//! How a mesh hangs together: the least links whose loss splits it (Stoer and Wagner, J. ACM 44, 1997).

/// The weakest place of a mesh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    /// Sum of the weights of the links that would have to fail; with weights of 1 their number.
    pub weight: f64,
    /// Indices of the nodes on the smaller side, ascending.
    pub side: Vec<usize>,
}

/// The global minimum cut of `nodes` nodes joined by `links` (end, end, weight). Parallel links add up; a weight that
/// is not positive is no link. None with fewer than two nodes.
pub fn minimum_cut(nodes: usize, links: &[(usize, usize, f64)]) -> Option<Cut> {
    if nodes < 2 {
        return None;
    }
    let mut weight = vec![vec![0.0_f64; nodes]; nodes];
    for &(a, b, w) in links {
        if a != b && a < nodes && b < nodes && w > 0.0 {
            weight[a][b] += w;
            weight[b][a] += w;
        }
    }
    let mut merged: Vec<Vec<usize>> = (0..nodes).map(|n| vec![n]).collect();
    let mut left: Vec<usize> = (0..nodes).collect();
    let mut best: Option<Cut> = None;
    while left.len() > 1 {
        // Maximum adjacency order; the first of equals, so that the answer is the same everywhere.
        let mut pull = vec![0.0_f64; nodes];
        let mut waiting = left.clone();
        let (mut before, mut last) = (left[0], left[0]);
        while !waiting.is_empty() {
            let mut pick = 0;
            for i in 1..waiting.len() {
                if pull[waiting[i]] > pull[waiting[pick]] {
                    pick = i;
                }
            }
            (before, last) = (last, waiting.remove(pick));
            for &node in &waiting {
                pull[node] += weight[last][node];
            }
        }
        if best.as_ref().is_none_or(|b| pull[last] < b.weight) {
            best = Some(Cut {
                weight: pull[last],
                side: merged[last].clone(),
            });
        }
        let moved = std::mem::take(&mut merged[last]);
        merged[before].extend(moved);
        let pulled = weight[last].clone();
        for (node, w) in pulled.into_iter().enumerate() {
            weight[before][node] += w;
            weight[node][before] += w;
        }
        weight[before][before] = 0.0;
        left.retain(|n| *n != last);
    }
    best.map(|mut cut| {
        cut.side.sort_unstable();
        if 2 * cut.side.len() > nodes {
            cut.side = (0..nodes).filter(|n| !cut.side.contains(n)).collect();
        }
        cut
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oracle: every way to split the nodes.
    fn by_trial(nodes: usize, links: &[(usize, usize, f64)]) -> f64 {
        (1..1_u32 << (nodes - 1))
            .map(|side| {
                let on = |n: usize| side >> n & 1 == 1;
                links.iter().filter(|(a, b, _)| on(*a) != on(*b)).map(|l| l.2).sum()
            })
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn every_split_is_no_lighter() {
        let mut state = 9_u64;
        let mut random = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for _ in 0..200 {
            let nodes = 2 + random(6) as usize;
            let links: Vec<(usize, usize, f64)> = (0..random(16))
                .map(|_| {
                    (
                        random(nodes as u64) as usize,
                        random(nodes as u64) as usize,
                        random(8) as f64,
                    )
                })
                .filter(|(a, b, _)| a != b)
                .collect();
            let cut = minimum_cut(nodes, &links).expect("nodes");
            assert_eq!(cut.weight, by_trial(nodes, &links), "{nodes} {links:?}");
            let on = |n: usize| cut.side.contains(&n);
            let crossing: f64 = links.iter().filter(|(a, b, _)| on(*a) != on(*b)).map(|l| l.2).sum();
            assert_eq!(crossing, cut.weight, "the side named is the side cut");
            assert!(!cut.side.is_empty() && 2 * cut.side.len() <= nodes);
        }
    }

    #[test]
    fn a_node_on_one_link_and_a_split_mesh() {
        let ring = [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0), (2, 3, 1.0)];
        assert_eq!(
            minimum_cut(4, &ring),
            Some(Cut {
                weight: 1.0,
                side: vec![3]
            })
        );
        assert_eq!(minimum_cut(4, &ring[..3]).map(|c| c.weight), Some(0.0));
        assert_eq!(minimum_cut(1, &[]), None);
    }
}
