//! Which node adds nothing, and where a new one would help: the bound of [`super::geometry`] with and without it.

use super::geometry::{LinkLine, RoomGeometry, room};
use crate::detmath;

/// A node whose loss worsens no room's bound by more adds nothing: share of the bound.
pub const NOTHING: f64 = 0.05;
/// Distance of the places tried along a wall, metres.
const STEP_M: f64 = 1.0;
/// Most places tried.
const PLACES_MAX: usize = 64;

/// A link with the nodes it joins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeLink {
    /// Its nodes.
    pub nodes: (u16, u16),
    /// Where it runs.
    pub line: LinkLine,
}

/// What a node is worth: how much the bound of the room it helps most worsens without it, as a share: its median, or where it
/// is best or worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// The node.
    pub node: u16,
    /// 0: nothing; 0.5: half as bad again without it.
    pub share: f64,
    /// Index of the room it helps most.
    pub room: usize,
}

impl Worth {
    /// True when the node adds nothing.
    pub fn nothing(&self) -> bool {
        self.share < NOTHING
    }
}

fn lines(links: &[NodeLink], without: Option<u16>) -> Vec<LinkLine> {
    let kept = links
        .iter()
        .filter(|l| without.is_none_or(|n| l.nodes.0 != n && l.nodes.1 != n));
    kept.map(|l| l.line).collect()
}

/// The worth of each node, in the order given.
pub fn worth(nodes: &[u16], links: &[NodeLink], rooms: &[Vec<[f32; 2]>]) -> Vec<Worth> {
    let whole: Vec<Option<RoomGeometry>> = rooms.iter().map(|r| room(&lines(links, None), r)).collect();
    let one = |&node: &u16| {
        let rest = lines(links, Some(node));
        let mut best = Worth {
            node,
            share: 0.0,
            room: 0,
        };
        for (i, (outline, whole)) in rooms.iter().zip(&whole).enumerate() {
            let (Some(with), Some(without)) = (whole, room(&rest, outline)) else {
                continue;
            };
            // The median says how well people are placed, the 90th percentile how far the room is covered; where few links
            // are, only the 10th says that any are there.
            let median = without.median_m / with.median_m - 1.0;
            let near = without.p10_m / with.p10_m - 1.0;
            let far = without.p90_m / with.p90_m - 1.0;
            let share = detmath::max64(median, detmath::max64(near, far));
            if share > best.share {
                best = Worth { node, share, room: i };
            }
        }
        best
    };
    nodes.iter().map(one).collect()
}

/// A place for a new node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// On the room's wall, metres.
    pub at_m: [f64; 2],
    /// The room's median bound with it, metres.
    pub median_m: f64,
}

/// The best place along a room's walls for a node that would be linked with `partners`. None when none helps.
pub fn best_place(links: &[NodeLink], partners_m: &[[f64; 2]], noise_db: f64, outline_m: &[[f32; 2]]) -> Option<Place> {
    let mut all = lines(links, None);
    let before = room(&all, outline_m)?;
    let own = all.len();
    let mut best: Option<Place> = None;
    for at_m in walls(outline_m) {
        all.truncate(own);
        all.extend(partners_m.iter().map(|p| LinkLine {
            a_m: at_m,
            b_m: *p,
            noise_db,
        }));
        let Some(with) = room(&all, outline_m) else { continue };
        if with.median_m < (1.0 - NOTHING) * before.median_m && best.is_none_or(|b| with.median_m < b.median_m) {
            best = Some(Place {
                at_m,
                median_m: with.median_m,
            });
        }
    }
    best
}

/// Places along the walls, corners included.
fn walls(outline_m: &[[f32; 2]]) -> Vec<[f64; 2]> {
    let mut places = Vec::new();
    for (i, from) in outline_m.iter().enumerate() {
        let to = outline_m[(i + 1) % outline_m.len()];
        let (from, to) = (from.map(f64::from), to.map(f64::from));
        let length = detmath::max64((to[0] - from[0]).abs(), (to[1] - from[1]).abs());
        let steps = detmath::clamp64((length / STEP_M).round(), 1.0, PLACES_MAX as f64) as u32;
        for s in 0..steps {
            let share = f64::from(s) / f64::from(steps);
            places.push([0, 1].map(|a| from[a] + share * (to[a] - from[a])));
        }
    }
    places.truncate(PLACES_MAX);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: [[f32; 2]; 4] = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];

    fn mesh(nodes: &[(u16, [f64; 2])]) -> Vec<NodeLink> {
        let mut links = Vec::new();
        for (i, (a, a_m)) in nodes.iter().enumerate() {
            for (b, b_m) in &nodes[..i] {
                let line = LinkLine {
                    a_m: *a_m,
                    b_m: *b_m,
                    noise_db: 1.0,
                };
                links.push(NodeLink { nodes: (*a, *b), line });
            }
        }
        links
    }

    /// A fifth node whose only link runs outside the room sees nothing of it.
    #[test]
    fn a_node_beside_the_room_adds_nothing_and_a_corner_does() {
        let nodes = [(1, [0.0, 0.0]), (2, [4.0, 0.0]), (3, [4.0, 4.0]), (4, [0.0, 4.0])];
        let mut links = mesh(&nodes);
        let line = LinkLine {
            a_m: [-5.0, -5.0],
            b_m: [0.0, 0.0],
            noise_db: 1.0,
        };
        links.push(NodeLink { nodes: (5, 1), line });
        let all = worth(&[1, 2, 3, 4, 5], &links, &[ROOM.to_vec()]);
        assert!(all[4].nothing(), "{all:?}");
        assert!(all[..4].iter().all(|w| !w.nothing() && w.share > 0.1), "{all:?}");
    }

    /// A single link tells of few places, but its nodes are all there is.
    #[test]
    fn the_nodes_of_the_only_link_add_something() {
        let nodes = [(1, [0.0, 0.0]), (2, [4.0, 4.0])];
        let all = worth(&[1, 2], &mesh(&nodes), &[ROOM.to_vec()]);
        assert!(all.iter().all(|w| !w.nothing()), "{all:?}");
    }

    #[test]
    fn a_new_node_goes_where_the_others_are_not() {
        let nodes = [(1, [0.0, 0.0]), (2, [4.0, 0.0]), (3, [0.0, 0.5])];
        let partners: Vec<[f64; 2]> = nodes.iter().map(|n| n.1).collect();
        let place = best_place(&mesh(&nodes), &partners, 1.0, &ROOM).expect("a better place");
        assert!(place.at_m[1] > 1.0, "{place:?}");
        let before = room(&lines(&mesh(&nodes), None), &ROOM).expect("a room");
        assert!(place.median_m < before.median_m);
        // The oracle: no other place along the walls is better.
        for at_m in walls(&ROOM) {
            let mut with = lines(&mesh(&nodes), None);
            with.extend(partners.iter().map(|p| LinkLine {
                a_m: at_m,
                b_m: *p,
                noise_db: 1.0,
            }));
            assert!(room(&with, &ROOM).expect("a room").median_m >= place.median_m);
        }
        assert_eq!(
            best_place(&mesh(&nodes), &[], 1.0, &ROOM),
            None,
            "a node without a link helps nowhere"
        );
    }
}
