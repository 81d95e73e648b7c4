//! Links to arrays of antennas: frames of several paths that belong together.

use super::{Front, path::Path};
use crate::{
    bearing::{ArraySpectrum, Arrays, DIMENSIONS_MAX, DelayBasis, Reference},
    doppler::{Sample, Series},
    front::PathSpec,
    tier::Tier,
};

/// What one link remembers, and what its baselines make of the empty room.
#[derive(Clone, Debug, Default)]
struct Link {
    moved: Series<DIMENSIONS_MAX>,
    /// None without a calibration of all its antennas together.
    room: Option<Reference>,
}

/// The links to arrays of a site.
#[derive(Clone, Debug)]
pub(super) struct Bearings {
    arrays: Arrays,
    links: Vec<Link>,
    /// One a tier in use.
    bases: Vec<(Tier, DelayBasis)>,
}

impl Bearings {
    pub(super) fn new(paths: &[PathSpec]) -> Self {
        let arrays = Arrays::new(paths);
        let mut bases: Vec<(Tier, DelayBasis)> = Vec::new();
        for tier in (0..arrays.len()).map(|l| arrays.link(l).0) {
            if !bases.iter().any(|(t, _)| *t == tier) {
                bases.push((tier, DelayBasis::new(tier)));
            }
        }
        Self {
            links: vec![Link::default(); arrays.len()],
            arrays,
            bases,
        }
    }

    /// Takes a frame that is complete with this path: what moved in it, and, `learning`, how the antennas' phases stand to each other.
    pub(super) fn push(&mut self, path: usize, paths: &mut [Path], learning: bool) {
        let Some((link, _)) = self.arrays.of_path(path) else {
            return;
        };
        let (tier, of) = self.arrays.link(link);
        let Some(time_ns) = paths[path].newest_ns() else { return };
        if of.iter().any(|p| paths[*p].newest_ns() != Some(time_ns)) {
            return;
        }
        if learning {
            for further in &of[1..] {
                // The first antenna's path has the smaller number.
                let (before, rest) = paths.split_at_mut(*further);
                rest[0].learn_cross(&before[of[0]]);
            }
        }
        let Link { moved, room } = &mut self.links[link];
        if let (Some(room), Some((_, basis))) = (room, self.bases.iter().find(|(t, _)| *t == tier)) {
            let frame = |antenna: usize| paths[of[antenna]].frame();
            if let Some(value) = room.sample(basis, paths[path].agc_db(), frame) {
                moved.push(Sample { time_ns, value });
            }
        }
    }

    /// Derives the empty room from the paths' baselines; what moved is forgotten when they are new ones.
    pub(super) fn derive(&mut self, paths: &[Path], new: bool) {
        for (at, link) in self.links.iter_mut().enumerate() {
            let (tier, of) = self.arrays.link(at);
            if new {
                link.moved.clear();
            }
            let baselines: Option<Vec<_>> = of.iter().map(|p| paths[*p].baseline()).collect();
            let basis = self.bases.iter().find(|(t, _)| *t == tier);
            link.room = baselines
                .zip(basis)
                .and_then(|(baselines, (_, basis))| Reference::new(tier, basis, &baselines));
        }
    }

    pub(super) fn measure(&mut self, tick: u64, end_ns: i64) {
        let links = &self.links;
        self.arrays
            .measure(tick, end_ns, |l| Some((&links[l].moved, links[l].room.as_ref()?)));
    }

    pub(super) fn spectra(&self) -> (&[ArraySpectrum], &[f32]) {
        self.arrays.spectra()
    }

    /// What moved, link by link: the memory.
    pub(super) fn moved(&self) -> impl Iterator<Item = &Series<DIMENSIONS_MAX>> {
        self.links.iter().map(|l| &l.moved)
    }

    /// The memory of each link, to be replaced.
    pub(super) fn moved_mut(&mut self) -> impl Iterator<Item = &mut Series<DIMENSIONS_MAX>> {
        self.links.iter_mut().map(|l| &mut l.moved)
    }
}

impl Front {
    /// Spectra by rate, delay and antenna of the links to arrays whose turn it is in this cycle; see [`crate::bearing`].
    pub fn bearings(&self) -> (&[ArraySpectrum], &[f32]) {
        self.bearings.spectra()
    }
}
