//! The channel between two nodes at one moment: static paths, shadows on them, ways over bodies.

pub(crate) mod fresnel;
pub mod paths;
pub mod scatter;
pub mod shadow;
pub(crate) mod tones;

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

/// The paths of one pair of nodes and their sum over the tones.
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
    ends: Vec<End>,
    order: usize,
    changes_s: Vec<f64>,
    /// Furniture moves that have been taken in.
    epoch: usize,
    panels: Vec<Panel>,
    /// One for each unordered pair (a < b); the channel is reciprocal.
    links: Vec<Link>,
    /// `[body][node]`: ways from each node to each body now.
    approaches: Vec<Vec<Vec<Approach>>>,
    sum: PathSum,
}

impl Channel {
    pub(crate) fn new(scene: &Scene) -> Self {
        let centre_hz = scene.radio.centre_mhz * 1e6;
        let ends: Vec<End> = scene
            .node
            .iter()
            .map(|n| End {
                at: n.at,
                antenna: n.antenna,
            })
            .collect();
        let mut channel = Self {
            tones: Tones::new(scene.radio.tier, centre_hz),
            wavelength_m: LIGHT_M_S / centre_hz,
            approaches: vec![vec![Vec::new(); ends.len()]; scene.person.len()],
            ends,
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
        for (body, per_node) in bodies.iter().zip(&mut self.approaches) {
            let Some(body) = body else { continue };
            for (end, into) in self.ends.iter().zip(per_node) {
                scatter::approaches(&self.panels, *end, body.middle(), self.order > 0, into);
            }
        }
    }

    /// The channel from node `tx` to node `rx` (indices), over the dense tones; amplitude against 1 mW into 1 mW.
    pub(crate) fn response(&mut self, tx: usize, rx: usize, bodies: &[Option<Body>], into: &mut Vec<Complex64>) {
        let link = &self.links[pair(tx, rx)];
        into.clear();
        into.extend_from_slice(&link.still);
        for (path, tones) in link.paths.iter().zip(link.tones.chunks_exact(self.tones.dense())) {
            let factor = shadow_of(path, bodies, self.wavelength_m);
            let change = factor - 1.0;
            if change.norm_sqr() > 0.0 {
                for (out, tone) in into.iter_mut().zip(tones) {
                    *out += change * tone;
                }
            }
        }
        self.sum.clear(&self.tones);
        for (body, per_node) in bodies.iter().zip(&self.approaches) {
            let Some(body) = body else { continue };
            scatter::add_body(
                &self.tones,
                self.wavelength_m,
                body.screen.breadth_m,
                &body.segments,
                &per_node[tx],
                &per_node[rx],
                &mut self.sum,
            );
        }
        self.sum.add_to(into);
    }

    /// The static paths between two nodes, direct one first.
    pub(crate) fn paths(&self, tx: usize, rx: usize) -> &[Path] {
        &self.links[pair(tx, rx)].paths
    }

    fn trace(&mut self) {
        self.links.clear();
        let mut sum = PathSum::default();
        for b in 1..self.ends.len() {
            for a in 0..b {
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
                self.links.push(Link { paths, tones, still });
            }
        }
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
