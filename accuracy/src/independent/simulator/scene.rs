//! A scene made from its scenario and chance: what walls are made of, where exactly nodes stand, clutter, plans.

use super::{
    band::WAVELENGTH_M, layout::Scenario, random::Random, room::Room, script::Plan, slab::Slab, vector::Vector,
};

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: u16,
    pub(super) at: Vector,
    /// Its antennas, metres from `at`. The first one sends.
    pub(super) antennas: Vec<Vector>,
}

/// Something small that scatters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clutter {
    pub(super) at: Vector,
    /// Radar cross section, square metres, to all sides.
    pub(super) cross_section_m2: f64,
}

/// All that does not move, and who will.
pub(super) struct Scene {
    pub(super) scenario: Scenario,
    pub(super) room: Room,
    pub(super) nodes: Vec<Node>,
    pub(super) clutter: Vec<Clutter>,
    pub(super) plans: Vec<Plan>,
}

/// No clutter is nearer to a node, metres.
const CLEAR_M: f64 = 0.4;

impl Scene {
    /// Made from chance; the same room and plans for any number of antennas.
    pub(super) fn new(scenario: Scenario, antennas: usize, random: &mut Random) -> Self {
        let layout = scenario.layout();
        let room = Room {
            size_m: layout.size_m,
            doors: layout.doors,
            slabs: slabs(random),
        };
        let nodes: Vec<Node> = (1..)
            .zip(layout.spots_m)
            .map(|(id, spot_m)| node(id, spot_m, &room, antennas, random))
            .collect();
        let mut clutter = clutter(&room, random);
        clutter.retain(|c| nodes.iter().all(|node| (c.at - node.at).length() > CLEAR_M));
        let plans = scenario.plans(&room, random);
        Self {
            scenario,
            room,
            nodes,
            clutter,
            plans,
        }
    }
}

fn slabs(random: &mut Random) -> [Slab; 6] {
    let mut wall = || match (random.unit() * 3.0) as u32 {
        0 => Slab::brick(random.between(0.10, 0.16)),
        1 => Slab::concrete(random.between(0.12, 0.22)),
        _ => Slab::plasterboard(random.between(0.024, 0.05)),
    };
    let [west, east, south, north] = [wall(), wall(), wall(), wall()];
    let floor = if random.unit() < 0.5 {
        Slab::floorboard(0.03)
    } else {
        Slab::concrete(0.2)
    };
    [west, east, south, north, floor, Slab::concrete(0.2)]
}

/// A node about a spot, its array across the direction to about the room's middle, half a wavelength from antenna to
/// antenna; the first one is on the left, seen along that direction.
fn node(id: u16, [x_m, y_m]: [f64; 2], room: &Room, antennas: usize, random: &mut Random) -> Node {
    let [width_m, depth_m, _] = room.size_m;
    let millimetres = |m: f64| (m * 1000.0).round() / 1000.0;
    let at = Vector::new(
        millimetres((x_m + random.within(0.06)).clamp(0.1, width_m - 0.1)),
        millimetres((y_m + random.within(0.06)).clamp(0.1, depth_m - 0.1)),
        millimetres(random.between(0.85, 1.45)),
    );
    let (north_m, east_m) = (
        depth_m / 2.0 + random.within(0.4) - at.y,
        width_m / 2.0 + random.within(0.4) - at.x,
    );
    let aim_rad = north_m.atan2(east_m);
    let left = Vector::new(-aim_rad.sin(), aim_rad.cos(), 0.0);
    let middle = (antennas - 1) as f64 / 2.0;
    let antenna = |k: usize| left * ((middle - k as f64) * WAVELENGTH_M / 2.0);
    Node {
        id,
        at,
        antennas: (0..antennas).map(antenna).collect(),
    }
}

/// Furniture in 14 heaps of three along the walls, 24 small things on the walls, two metal cabinets.
fn clutter(room: &Room, random: &mut Random) -> Vec<Clutter> {
    let [width_m, depth_m, height_m] = room.size_m;
    let mut all = Vec::new();
    for _ in 0..14 {
        let inset_m = random.between(0.15, 0.7);
        let [x_m, y_m] = along_walls(room, inset_m, random);
        for _ in 0..3 {
            let at = Vector::new(
                (x_m + random.within(0.3)).clamp(0.02, width_m - 0.02),
                (y_m + random.within(0.3)).clamp(0.02, depth_m - 0.02),
                random.between(0.2, 1.4),
            );
            let cross_section_m2 = 0.03 * (0.9 * random.normal()).exp();
            all.push(Clutter { at, cross_section_m2 });
        }
    }
    for _ in 0..24 {
        let inset_m = random.between(0.0, 0.06);
        let [x_m, y_m] = along_walls(room, inset_m, random);
        let at = Vector::new(
            x_m.clamp(0.0, width_m),
            y_m.clamp(0.0, depth_m),
            random.between(0.1, height_m - 0.1),
        );
        let cross_section_m2 = 0.02 * (0.9 * random.normal()).exp();
        all.push(Clutter { at, cross_section_m2 });
    }
    for _ in 0..2 {
        let [x_m, y_m] = along_walls(room, 0.3, random);
        let at = Vector::new(x_m, y_m, random.between(0.6, 1.4));
        let cross_section_m2 = random.between(0.3, 0.9);
        all.push(Clutter { at, cross_section_m2 });
    }
    all
}

/// Anywhere along the four walls, this far from them.
fn along_walls(room: &Room, inset_m: f64, random: &mut Random) -> [f64; 2] {
    let [width_m, depth_m, _] = room.size_m;
    let along_m = random.unit() * 2.0 * (width_m + depth_m);
    if along_m < width_m {
        [along_m, inset_m]
    } else if along_m < 2.0 * width_m {
        [along_m - width_m, depth_m - inset_m]
    } else if along_m < 2.0 * width_m + depth_m {
        [inset_m, along_m - 2.0 * width_m]
    } else {
        [width_m - inset_m, along_m - 2.0 * width_m - depth_m]
    }
}
