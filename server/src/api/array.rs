//! What the places of the radios can tell: judged once, for they do not change while the process runs.

use std::sync::Arc;

use tapline_dsp::array::{
    geometry::{self, LinkLine, RoomGeometry},
    mesh::{Cut, minimum_cut},
    placement::{NodeLink, Place, Worth, best_place, worth},
};

use super::{Api, error::Failure};
use crate::config::Site;

/// Noise of a link's level that the bounds assume, dB: the quantisation step of a receiver's strength.
pub(super) const NOISE_DB: f64 = 1.0;
/// Links times places that are looked at in all, once in the life of a process: seconds of one core, not minutes.
const WORK_MAX: usize = 20_000_000;
/// Places in a room at most (24 along each side), and places tried along its walls.
const ROOM_PLACES: usize = 24 * 24;
const WALL_PLACES: usize = 64;

/// What the places of a site's radios can tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    /// What each node is worth, ascending id; empty when that is too much work.
    pub(super) worth: Vec<Worth>,
    /// By room; none for one that cannot be judged.
    pub(super) rooms: Vec<Option<RoomGeometry>>,
    /// By room; none where another radio would not help, or when that is too much work.
    pub(super) places: Vec<Option<Place>>,
    /// Pairs of nodes that are linked.
    pub(super) pairs: usize,
    /// Where the mesh is weakest, by index of the node; none with fewer than two nodes.
    pub(super) cut: Option<Cut>,
    /// What was left out, because the site is too large to judge it.
    pub(super) left_out: Option<&'static str>,
}

impl Judged {
    pub(super) fn of(site: &Site) -> Self {
        Self::within(site, WORK_MAX)
    }

    fn within(site: &Site, work_max: usize) -> Self {
        let links = pairs(site);
        let rooms: Vec<_> = site.rooms.iter().map(|r| r.outline_m.clone()).collect();
        let nodes: Vec<u16> = site.nodes.iter().map(|n| n.id).collect();
        let edges: Vec<_> = links
            .iter()
            .filter_map(|l| {
                let at = |id| nodes.binary_search(&id).ok();
                Some((at(l.nodes.0)?, at(l.nodes.1)?, 1.0))
            })
            .collect();
        let mut judged = Self {
            pairs: links.len(),
            cut: minimum_cut(nodes.len(), &edges),
            places: vec![None; rooms.len()],
            ..Self::default()
        };
        let once = links.len() * ROOM_PLACES * rooms.len();
        let mut left = work_max;
        let mut afford = |times: usize| {
            let work = once.saturating_mul(times);
            let yes = work <= left;
            left -= if yes { work } else { 0 };
            yes
        };
        if !afford(1) {
            judged.rooms = vec![None; rooms.len()];
            judged.left_out = Some("the rooms, what each radio adds, and where another would help");
            return judged;
        }
        let lines: Vec<_> = links.iter().map(|l| l.line).collect();
        judged.rooms = rooms.iter().map(|r| geometry::room(&lines, r)).collect();
        if !afford(nodes.len() + 1) {
            judged.left_out = Some("what each radio adds, and where another would help");
            return judged;
        }
        judged.worth = worth(&nodes, &links, &rooms);
        if !afford(WALL_PLACES + 1) {
            judged.left_out = Some("where another radio would help");
            return judged;
        }
        let partners: Vec<_> = site.nodes.iter().map(|n| on_floor(n.position_m)).collect();
        judged.places = rooms
            .iter()
            .map(|r| best_place(&links, &partners, NOISE_DB, r))
            .collect();
        judged
    }
}

/// Every pair of nodes with a path between them in either direction, once.
fn pairs(site: &Site) -> Vec<NodeLink> {
    let mut pairs: Vec<(u16, u16)> = site.paths.iter().map(|p| (p.tx.min(p.rx), p.tx.max(p.rx))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let line = |nodes: (u16, u16)| {
        let at = |id| site.node(id).map(|n| on_floor(n.position_m));
        let line = LinkLine {
            a_m: at(nodes.0)?,
            b_m: at(nodes.1)?,
            noise_db: NOISE_DB,
        };
        (nodes.0 != nodes.1).then_some(NodeLink { nodes, line })
    };
    pairs.into_iter().filter_map(line).collect()
}

fn on_floor([x, y, _]: [f32; 3]) -> [f64; 2] {
    [x.into(), y.into()]
}

impl Api {
    /// What the places of the radios can tell; the first who asks waits until it is computed.
    pub(super) async fn array(&self) -> Result<Arc<Judged>, Failure> {
        let compute = || async {
            let hub = Arc::clone(&self.hub);
            let judged = tokio::task::spawn_blocking(move || Arc::new(Judged::of(&hub.facts.site))).await;
            judged.map_err(|e| Failure::Internal { detail: e.to_string() })
        };
        self.array.get_or_try_init(compute).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Fleet;

    fn site(more: &str) -> Site {
        let text = format!(
            "version = 1\n[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\n\
             outline_m = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]\n\
             [[site.node]]\nid = 1\nposition_m = [0.0, 0.0, 1.0]\n[[site.node]]\nid = 2\nposition_m = [4.0, 0.0, 1.0]\n\
             [[site.node]]\nid = 4\nposition_m = [4.0, 4.0, 1.0]\n{more}"
        );
        let fleet = Fleet::parse(&text, Path::new("fleet.toml")).unwrap();
        fleet.select(None, "test").unwrap()
    }

    const BESIDE: &str = "[[site.node]]\nid = 9\nposition_m = [-5.0, -5.0, 1.0]\n\
        [[site.link]]\ntx = 1\nrx = 9\ntier = \"HT20\"\nchannels = [1]\n\
        [[site.link]]\ntx = 1\nrx = 2\ntier = \"HT20\"\nchannels = [1, 6]\n\
        [[site.link]]\ntx = 2\nrx = 1\ntier = \"HT20\"\nchannels = [1]\n\
        [[site.link]]\ntx = 2\nrx = 4\ntier = \"HT20\"\nchannels = [1]\n\
        [[site.link]]\ntx = 1\nrx = 4\ntier = \"HT20\"\nchannels = [1]\n";

    #[test]
    fn directions_and_channels_of_a_pair_are_one_link_and_a_node_beside_the_room_adds_nothing() {
        let judged = Judged::of(&site(BESIDE));
        assert_eq!((judged.pairs, judged.left_out), (4, None));
        let nothing: Vec<_> = judged.worth.iter().map(|w| (w.node, w.nothing())).collect();
        assert_eq!(nothing, [(1, false), (2, false), (4, false), (9, true)]);
        // The node beside the room hangs on one link.
        let cut = judged.cut.unwrap();
        assert_eq!((cut.weight, cut.side), (1.0, vec![3]));
        let (room, place) = (judged.rooms[0].as_ref().unwrap(), judged.places[0].unwrap());
        assert!(place.median_m < room.median_m, "{room:?} {place:?}");
        assert!(
            place.at_m[0] < 2.0 && place.at_m[1] > 2.0,
            "the corner without a node: {place:?}"
        );
    }

    #[test]
    fn what_is_too_much_work_is_left_out_and_said() {
        let site = site(BESIDE);
        let once = 4 * ROOM_PLACES;
        let all = |judged: &Judged| {
            (
                judged.rooms[0].is_some(),
                !judged.worth.is_empty(),
                judged.places[0].is_some(),
                judged.left_out.is_some(),
            )
        };
        for (times, expected) in [
            (0, (false, false, false, true)),
            (1, (true, false, false, true)),
            (6, (true, true, false, true)),
            (71, (true, true, true, false)),
        ] {
            let judged = Judged::within(&site, times * once);
            assert_eq!(all(&judged), expected, "{times}");
            assert!(judged.cut.is_some());
        }
    }
}
