//! Golden vectors of stage `tomography`: people between nodes, links that fall silent, nodes that move.

use abi_stable::std_types::RVec;
use tapline_dsp::detmath;

use super::probe::{Call, Case, Must, Numbers, Probe, boxed_state};
use crate::{
    abi::{PluginModule, TomographyBox},
    canonical::Canonical,
    cir::{C32, CirLink, CirSummary},
    describe::Setup,
    geometry::{Grid, NodePosition, Point2},
    guard::StageError,
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary, observed},
};

/// The stage kind `tomography`.
pub(super) struct TomographyProbe;

pub(super) struct Input {
    pub(super) grid: Grid,
    pub(super) step_s: f32,
    pub(super) nodes: Vec<NodePosition>,
    pub(super) outline: Vec<Point2>,
    pub(super) links: Vec<LinkObservation>,
    cir_links: Vec<CirLink>,
    pub(super) cir_summaries: Vec<CirSummary>,
    taps: Vec<C32>,
    voxels: usize,
}

pub(super) struct Output {
    mean: Vec<f32>,
    variance: Vec<f32>,
    summary: TomographySummary,
}

impl Probe for TomographyProbe {
    type Site = (Grid, u32);
    type Input = Input;
    type Output = Output;
    type Instance = TomographyBox;

    fn build(module: &PluginModule, setup: &Setup, site: &Self::Site) -> Result<TomographyBox, StageError> {
        (module.new_tomography)(setup, &site.0, site.1).into_result()
    }

    fn output(input: &Input, fill: u8) -> Output {
        Output {
            mean: vec![f32::from_bits(u32::from_le_bytes([fill; 4])); input.voxels],
            variance: vec![f32::from_bits(u32::from_le_bytes([fill; 4])); input.voxels],
            summary: TomographySummary::default(),
        }
    }

    fn call(instance: &mut TomographyBox, input: &Input, output: &mut Output) -> Result<(), StageError> {
        let record = TomographyInput {
            grid: input.grid,
            step_s: input.step_s,
            nodes: input.nodes.as_slice().into(),
            outline: input.outline.as_slice().into(),
            links: input.links.as_slice().into(),
            cir_links: input.cir_links.as_slice().into(),
            cir_summaries: input.cir_summaries.as_slice().into(),
            taps: input.taps.as_slice().into(),
        };
        let mut answer = TomographyOutput {
            mean: output.mean.as_mut_slice().into(),
            variance: output.variance.as_mut_slice().into(),
        };
        output.summary = instance.run(&record, &mut answer).into_result()?;
        Ok(())
    }

    fn bytes(output: &mut Output, into: &mut Vec<u8>) -> Option<()> {
        let finite = output.mean.canonicalise() & output.variance.canonicalise() & output.summary.canonicalise();
        into.extend_from_slice(bytemuck::cast_slice(&output.mean));
        into.extend_from_slice(bytemuck::cast_slice(&output.variance));
        into.extend_from_slice(bytemuck::bytes_of(&output.summary));
        finite.then_some(())
    }

    boxed_state!();

    fn cases() -> Vec<Case<Self>> {
        let case = |name, room: Room, calls: &[usize]| Case {
            name,
            site: (room.grid(), room.link_count()),
            calls: calls.iter().map(|&i| room.call(i)).collect(),
        };
        let all: Vec<usize> = (0..CALLS.len()).collect();
        vec![
            case("a flat room, six nodes, everything", Room::new(12, 10, 1, 6), &all),
            case(
                "a room with height",
                Room::new(8, 7, 3, 8),
                &[0, 1, 2, 3, 4, 5, 8, 9, 12, 2, 3, 1],
            ),
            case("a large room", Room::new(32, 32, 1, 12), &[1, 2, 3, 8]),
            case("two nodes", Room::new(6, 4, 1, 2), &[0, 1, 2, 3, 4, 8, 9, 12]),
            case("one voxel", Room::new(1, 1, 1, 3), &[0, 1, 2, 3, 4, 5, 6, 7, 12]),
        ]
    }
}

/// A kind of call: its name, what it must end in, and how it changes a room with one person in it.
type CallKind = (&'static str, Must, fn(&mut Input, &mut Numbers));

const CALLS: [CallKind; 32] = [
    ("an empty, quiet room", Must::Answer, |i, _| quiet(i)),
    ("a person", Must::Answer, |_, _| {}),
    ("the person has moved", Must::Answer, |_, _| {}),
    ("noise on every link", Must::Answer, |i, n| {
        for link in &mut i.links {
            link.attenuation_db += n.normal();
            link.change += n.unit();
        }
    }),
    ("strengths only", Must::Answer, |i, _| observe(i, observed::RSS)),
    ("attenuation without change", Must::Answer, |i, _| {
        observe(i, observed::RSS | observed::QUIET)
    }),
    ("change without attenuation", Must::Answer, |i, _| {
        observe(i, observed::RSS | observed::CHANGE)
    }),
    ("nothing observed", Must::Answer, |i, _| observe(i, 0)),
    ("every other link missing", Must::Answer, |i, _| {
        let mut keep = false;
        i.links.retain(|_| {
            keep = !keep;
            keep
        });
    }),
    ("one link left", Must::Answer, |i, _| i.links.truncate(1)),
    ("no links", Must::Answer, |i, _| i.links.clear()),
    ("no nodes, no links", Must::Answer, |i, _| {
        i.links.clear();
        i.nodes.clear();
    }),
    ("a node has moved", Must::Answer, |i, _| {
        if let Some(node) = i.nodes.first_mut() {
            node.x_m += 0.37;
            node.y_m += 0.21;
        }
    }),
    ("the node is back", Must::Answer, |_, _| {}),
    ("old measurements", Must::Answer, |i, _| {
        for link in &mut i.links {
            link.age_s = 5.0;
        }
    }),
    ("all zero", Must::Answer, |i, _| {
        for link in &mut i.links {
            (link.rss_dbm, link.quiet_dbm, link.attenuation_db) = (0.0, 0.0, 0.0);
            (link.noise_db, link.change, link.change_quiet) = (0.0, 0.0, 0.0);
        }
    }),
    ("subnormal changes", Must::Answer, |i, _| {
        for link in &mut i.links {
            (link.attenuation_db, link.change) = (1e-41, 1e-41);
        }
    }),
    ("subnormal quiet levels", Must::Answer, |i, _| {
        for link in &mut i.links {
            (link.noise_db, link.change_quiet) = (1e-41, 1e-41);
        }
    }),
    ("an enormous attenuation", Must::Survive, |i, _| {
        for link in &mut i.links {
            link.attenuation_db = 1e30;
        }
    }),
    ("a negative attenuation", Must::Answer, |i, _| {
        for link in &mut i.links {
            link.attenuation_db = -6.0;
        }
    }),
    ("two nodes in one place", Must::Answer, |i, _| {
        if let [a, b, ..] = i.nodes.as_mut_slice() {
            (b.x_m, b.y_m, b.z_m) = (a.x_m, a.y_m, a.z_m);
        }
    }),
    ("CIR of some links", Must::Answer, |i, _| cir(i)),
    ("no outline", Must::Answer, |i, _| i.outline.clear()),
    ("a NaN attenuation", Must::Survive, |i, _| {
        for link in &mut i.links {
            link.attenuation_db = f32::NAN;
        }
    }),
    ("an infinite change", Must::Survive, |i, _| {
        for link in &mut i.links {
            link.change = f32::INFINITY;
        }
    }),
    ("a NaN node", Must::Survive, |i, _| {
        for node in &mut i.nodes {
            node.x_m = f32::NAN;
        }
    }),
    ("a link of a node that is not there", Must::Survive, |i, _| {
        for link in &mut i.links {
            link.tx = 999;
        }
    }),
    ("a CIR index beyond the array", Must::Survive, |i, _| {
        for link in &mut i.links {
            link.observed |= observed::CIR;
            link.cir = 1_000_000;
        }
    }),
    ("an image without room", Must::Refuse, |i, _| i.voxels -= 1),
    ("another grid", Must::Refuse, |i, _| {
        i.grid.nx += 1;
        i.voxels = i.grid.voxels();
    }),
    ("more links than agreed", Must::Refuse, |i, _| {
        let again = i.links.clone();
        i.links.extend(again);
    }),
    ("a clean call after the refused ones", Must::Answer, |_, _| {}),
];

/// A rectangular room with nodes along its wall, every pair of them a link.
pub(super) struct Room {
    nx: u32,
    ny: u32,
    nz: u32,
    node_count: u32,
}

impl Room {
    pub(super) const fn new(nx: u32, ny: u32, nz: u32, node_count: u32) -> Self {
        Self { nx, ny, nz, node_count }
    }

    pub(super) const fn grid(&self) -> Grid {
        Grid {
            origin_x_m: -0.5,
            origin_y_m: 0.25,
            origin_z_m: 0.0,
            pitch_m: 0.5,
            pitch_z_m: 0.75,
            nx: self.nx,
            ny: self.ny,
            nz: self.nz,
        }
    }

    pub(super) const fn link_count(&self) -> u32 {
        self.node_count * (self.node_count - 1) / 2
    }

    fn size_m(&self) -> (f32, f32) {
        (self.nx as f32 * 0.5, self.ny as f32 * 0.5)
    }

    pub(super) fn outline(&self) -> Vec<Point2> {
        let (w, h) = self.size_m();
        let corner = |x: f32, y: f32| Point2 {
            x_m: x - 0.5,
            y_m: y + 0.25,
        };
        vec![corner(0.0, 0.0), corner(w, 0.0), corner(w, h), corner(0.0, h)]
    }

    pub(super) fn nodes(&self) -> Vec<NodePosition> {
        let (w, h) = self.size_m();
        let round = |i: u32| {
            let along = i as f32 / self.node_count as f32 * 2.0 * (w + h);
            let (x, y) = if along < w {
                (along, 0.0)
            } else if along < w + h {
                (w, along - w)
            } else if along < 2.0 * w + h {
                (2.0 * w + h - along, h)
            } else {
                (0.0, 2.0 * (w + h) - along)
            };
            NodePosition {
                node: i + 1,
                x_m: x - 0.5,
                y_m: y + 0.25,
                z_m: 1.0 + 0.25 * (i % 3) as f32,
            }
        };
        (0..self.node_count).map(round).collect()
    }

    /// One observation a pair of nodes, with a person standing at `(x, y)`.
    pub(super) fn observe_person(&self, x: f32, y: f32) -> Vec<LinkObservation> {
        let nodes = self.nodes();
        let mut links = Vec::new();
        for (i, a) in nodes.iter().enumerate() {
            for b in &nodes[i + 1..] {
                let depth = detmath::exp(-8.0 * distance_to_segment(x, y, a, b));
                links.push(LinkObservation {
                    path: links.len() as u32,
                    tx: a.node,
                    rx: b.node,
                    channel: 6,
                    observed: observed::RSS | observed::QUIET | observed::CHANGE,
                    cir: 0,
                    rss_dbm: -48.0 - 9.0 * depth,
                    quiet_dbm: -48.0,
                    attenuation_db: 9.0 * depth,
                    noise_db: 0.8,
                    change: 0.5 + 4.0 * depth,
                    change_quiet: 0.5,
                    age_s: 0.02,
                    reserved: 0,
                });
            }
        }
        links
    }

    fn call(&self, index: usize) -> Call<TomographyProbe> {
        let (name, must, change) = CALLS[index];
        let mut numbers = Numbers(index as u64);
        let (w, h) = self.size_m();
        let step = index as f32 / CALLS.len() as f32;
        let mut input = Input {
            grid: self.grid(),
            step_s: 0.05,
            nodes: self.nodes(),
            outline: self.outline(),
            links: self.observe_person(w * step - 0.5, h * 0.4 + 0.25),
            cir_links: Vec::new(),
            cir_summaries: Vec::new(),
            taps: Vec::new(),
            voxels: self.grid().voxels(),
        };
        change(&mut input, &mut numbers);
        Call { name, must, input }
    }
}

/// Distance of a point from the line between two nodes, in the plan.
fn distance_to_segment(x: f32, y: f32, a: &NodePosition, b: &NodePosition) -> f32 {
    let (dx, dy) = (b.x_m - a.x_m, b.y_m - a.y_m);
    let length2 = detmath::max(dx * dx + dy * dy, 1e-9);
    let t = detmath::clamp(((x - a.x_m) * dx + (y - a.y_m) * dy) / length2, 0.0, 1.0);
    detmath::hypot(x - a.x_m - t * dx, y - a.y_m - t * dy)
}

fn quiet(input: &mut Input) {
    for link in &mut input.links {
        link.rss_dbm = link.quiet_dbm;
        link.attenuation_db = 0.0;
        link.change = link.change_quiet;
    }
}

fn observe(input: &mut Input, what: u32) {
    for link in &mut input.links {
        link.observed = what;
    }
}

/// Gives the first three links a CIR of four taps.
fn cir(input: &mut Input) {
    for (i, link) in input.links.iter_mut().take(3).enumerate() {
        link.observed |= observed::CIR;
        link.cir = i as u32;
        input.cir_links.push(CirLink {
            path: link.path,
            tx: link.tx,
            rx: link.rx,
            present: 1,
            tap_offset: 4 * i as u32,
            tap_count: 4,
            ..CirLink::default()
        });
        input.cir_summaries.push(CirSummary {
            valid: 1,
            active_taps: 2,
            dominant_delay_s: 1e-8,
            dominant_ratio: 0.8,
            ..CirSummary::default()
        });
        input.taps.extend([C32 { re: 1.0, im: -0.5 }; 4]);
    }
}
