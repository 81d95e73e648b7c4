//! The channel between two nodes at one moment: static paths, shadows on them, ways over bodies.

pub(crate) mod fresnel;
pub mod paths;
pub mod scatter;
pub mod shadow;
pub(crate) mod tones;

use core::ops::Range;

use num_complex::Complex64;

use self::{
    paths::{End, Path},
    scatter::Approach,
    tones::{PathSum, Tones},
};
use crate::{
    material::LIGHT_M_S,
    panel::{Panel, changes_s, panels_at},
    person::body::Body,
    scene::Scene,
};

/// The paths of one pair of antennas and their sum over the tones.
#[derive(Clone, Debug)]
struct Link {
    paths: Vec<Path>,
    /// `[path][tone]`, dense.
    tones: Vec<Complex64>,
    /// `[tone]`, dense: the empty room.
    still: Vec<Complex64>,
}

/// The room as radios see it. The static part is traced once and again when furniture moves.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) tones: Tones,
    wavelength_m: f64,
    /// Every antenna of every node.
    ends: Vec<End>,
    /// `[node]`: which of `ends` are its own; the first sends.
    antennas: Vec<Range<usize>>,
    order: usize,
    changes_s: Vec<f64>,
    /// Furniture moves that have been taken in.
    epoch: usize,
    panels: Vec<Panel>,
    /// `[pair]`, one for each unordered pair of nodes (a < b), as the channel is reciprocal. Of its links the first is
    /// from the first antenna of a to the first of b, then come those to the others of b, then those from the others
    /// of a to the first of b.
    links: Vec<Vec<Link>>,
    /// `[body][end]`: ways from each antenna to each body now.
    approaches: Vec<Vec<Vec<Approach>>>,
    sum: PathSum,
}

impl Channel {
    pub(crate) fn new(scene: &Scene) -> Self {
        let centre_hz = scene.radio.centre_mhz * 1e6;
        let (mut ends, mut antennas) = (Vec::new(), Vec::new());
        for node in &scene.node {
            let begin = ends.len();
            ends.extend(node.places().map(|at| End {
                at,
                antenna: node.antenna,
            }));
            antennas.push(begin..ends.len());
        }
        let mut channel = Self {
            tones: Tones::new(scene.radio.tier, centre_hz),
            wavelength_m: LIGHT_M_S / centre_hz,
            approaches: vec![vec![Vec::new(); ends.len()]; scene.person.len()],
            ends,
            antennas,
            order: usize::from(scene.radio.reflections),
            changes_s: changes_s(scene),
            epoch: 0,
            panels: panels_at(scene, 0.0),
            links: Vec::new(),
            sum: PathSum::default(),
        };
        channel.trace();
        channel
    }

    /// Brings furniture and bodies to time `t_s`. Bodies that are away are `None`.
    pub(crate) fn set(&mut self, scene: &Scene, t_s: f64, bodies: &[Option<Body>]) {
        let epoch = self.changes_s.iter().filter(|c| **c <= t_s).count();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.panels = panels_at(scene, t_s);
            self.trace();
        }
        for (body, per_end) in bodies.iter().zip(&mut self.approaches) {
            let Some(body) = body else { continue };
            for (end, into) in self.ends.iter().zip(per_end) {
                scatter::approaches(&self.panels, *end, body.middle(), self.order > 0, into);
            }
        }
    }

    /// The channel from node `tx`, its first antenna, to every antenna of node `rx` (indices): `[antenna][tone]`, dense;
    /// amplitude against 1 mW into 1 mW.
    pub(crate) fn response(&mut self, tx: usize, rx: usize, bodies: &[Option<Body>], into: &mut Vec<Complex64>) {
        into.clear();
        for antenna in 0..self.antennas[rx].len() {
            let begin = into.len();
            let link = self.link(tx, rx, antenna);
            into.extend_from_slice(&link.still);
            let row = &mut into[begin..];
            for (path, tones) in link.paths.iter().zip(link.tones.chunks_exact(self.tones.dense())) {
                let factor = shadow_of(path, bodies, self.wavelength_m);
                let change = factor - 1.0;
                if change.norm_sqr() > 0.0 {
                    for (out, tone) in row.iter_mut().zip(tones) {
                        *out += change * tone;
                    }
                }
            }
            self.sum.clear(&self.tones);
            for (body, per_end) in bodies.iter().zip(&self.approaches) {
                let Some(body) = body else { continue };
                scatter::add_body(
                    &self.tones,
                    self.wavelength_m,
                    body.screen.breadth_m,
                    &body.segments,
                    &per_end[self.antennas[tx].start],
                    &per_end[self.antennas[rx].start + antenna],
                    &mut self.sum,
                );
            }
            self.sum.add_to(row);
        }
    }

    /// The static paths between the first antennas of two nodes, direct one first.
    pub(crate) fn paths(&self, tx: usize, rx: usize) -> &[Path] {
        &self.link(tx, rx, 0).paths
    }

    /// The link from the first antenna of node `tx` to this one of node `rx`.
    fn link(&self, tx: usize, rx: usize, antenna: usize) -> &Link {
        let others_of_b = if tx < rx || antenna == 0 {
            0
        } else {
            self.antennas[tx].len() - 1
        };
        &self.links[pair(tx, rx)][others_of_b + antenna]
    }

    fn trace(&mut self) {
        self.links.clear();
        let mut sum = PathSum::default();
        for b in 1..self.antennas.len() {
            for a in 0..b {
                let (of_a, of_b) = (self.antennas[a].clone(), self.antennas[b].clone());
                let to_b = of_b.clone().map(|end| (of_a.start, end));
                let to_a = of_a.clone().skip(1).map(|end| (end, of_b.start));
                let links = to_b.chain(to_a).map(|(a, b)| self.traced(a, b, &mut sum)).collect();
                self.links.push(links);
            }
        }
    }

    /// The link between two antennas (indices of `ends`).
    fn traced(&self, a: usize, b: usize, sum: &mut PathSum) -> Link {
        let paths = paths::trace(&self.panels, self.ends[a], self.ends[b], self.order, self.wavelength_m);
        let dense = self.tones.dense();
        let mut tones = vec![Complex64::default(); dense * paths.len()];
        let mut still = vec![Complex64::default(); dense];
        for (path, row) in paths.iter().zip(tones.chunks_exact_mut(dense)) {
            sum.clear(&self.tones);
            sum.push(&self.tones, path.amplitude, path.delay_s);
            sum.add_to(row);
            for (total, value) in still.iter_mut().zip(row) {
                *total += *value;
            }
        }
        Link { paths, tones, still }
    }
}

fn shadow_of(path: &Path, bodies: &[Option<Body>], wavelength_m: f64) -> Complex64 {
    let mut factor = Complex64::new(1.0, 0.0);
    for body in bodies.iter().flatten() {
        factor *= shadow::on_path(path, &body.screen, wavelength_m);
    }
    factor
}

/// Place of an unordered pair among (0,1), (0,2), (1,2), (0,3), ...
fn pair(a: usize, b: usize) -> usize {
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    b * (b - 1) / 2 + a
}
