//! A room with a mesh round it, and stages that run on it through the contract's records.

use tapline_plugin_api::{
    TomographyMethod, TrackerMethod,
    abi_stable::std_types::{RSlice, RSliceMut, RString},
    describe::Setup,
    geometry::{Door, Grid, NodePosition, Point2},
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary, observed},
    tracker::{MAX_TRACKS, Track, TrackerInput, TrackerOutput, TrackerSummary, gate},
};
use tapline_stages::{tomography::Tomography, tracker::Tracker};

/// 20 Hz.
pub(crate) const STEP_S: f32 = 0.05;

pub(crate) fn setup(config_toml: &str) -> Setup {
    Setup {
        config_toml: RString::from(config_toml),
        step_s: STEP_S,
    }
}

pub(crate) struct Room {
    pub(crate) grid: Grid,
    pub(crate) nodes: Vec<NodePosition>,
    pub(crate) outline: Vec<Point2>,
    pub(crate) doors: Vec<Door>,
}

impl Room {
    /// 6 x 5 m, ten nodes on the walls, a door in the middle of the south wall.
    pub(crate) fn simple() -> Self {
        let corners = [(0.0, 0.0), (6.0, 0.0), (6.0, 5.0), (0.0, 5.0)];
        let places = [
            (0.0, 0.0),
            (2.0, 0.0),
            (4.0, 0.0),
            (6.0, 0.0),
            (6.0, 2.5),
            (6.0, 5.0),
            (4.0, 5.0),
            (2.0, 5.0),
            (0.0, 5.0),
            (0.0, 2.5),
        ];
        Self {
            grid: Grid {
                pitch_m: 0.2,
                pitch_z_m: 2.5,
                nx: 30,
                ny: 25,
                nz: 1,
                ..Grid::default()
            },
            nodes: (1..)
                .zip(places)
                .map(|(node, (x_m, y_m))| NodePosition {
                    node,
                    x_m,
                    y_m,
                    z_m: 1.0,
                })
                .collect(),
            outline: corners.map(|(x_m, y_m)| Point2 { x_m, y_m }).to_vec(),
            doors: vec![Door {
                at: Point2 { x_m: 3.0, y_m: 0.0 },
                width_m: 0.9,
            }],
        }
    }

    /// Observations of all links when people stand at these places: each disturbs by the bistatic ratio, up
    /// or down by a fixed pattern of link and tick, above a quiet scatter of half a dB.
    pub(crate) fn links(&self, people: &[(f32, f32)], tick: u32) -> Vec<LinkObservation> {
        let mut all = Vec::new();
        for tx in &self.nodes {
            for rx in self.nodes.iter().filter(|rx| rx.node != tx.node) {
                let length = distance((tx.x_m, tx.y_m), (rx.x_m, rx.y_m));
                let mut square = 0.16;
                for &p in people {
                    let (d1, d2) = (distance(p, (tx.x_m, tx.y_m)), distance(p, (rx.x_m, rx.y_m)));
                    let detour = (d1 + d2 - length).max(0.05);
                    let size = 1.6 * length / (d1 * d2 + 0.05) / detour.powf(0.4);
                    square += size * size;
                }
                let pattern = pseudo(tx.node * 131 + rx.node * 17 + tick * 7919);
                all.push(LinkObservation {
                    path: all.len() as u32,
                    tx: tx.node,
                    rx: rx.node,
                    channel: 1,
                    observed: observed::RSS | observed::QUIET,
                    rss_dbm: -50.0,
                    quiet_dbm: -50.0,
                    attenuation_db: square.sqrt() * pattern,
                    noise_db: 0.5,
                    age_s: 0.01,
                    ..LinkObservation::default()
                });
            }
        }
        all
    }
}

/// A fixed pattern of signs and sizes: -1.6 to -0.4 or 0.4 to 1.6.
fn pseudo(seed: u32) -> f32 {
    let h = seed.wrapping_mul(2_654_435_761) >> 8;
    let size = 0.4 + 1.2 * (h % 4096) as f32 / 4096.0;
    if h & 0x10_0000 == 0 { size } else { -size }
}

pub(crate) fn distance(a: (f32, f32), b: (f32, f32)) -> f32 {
    ((a.0 - b.0).powi(2) + (a.1 - b.1).powi(2)).sqrt()
}

/// Both stages, with the buffers a host would own.
pub(crate) struct Stages {
    pub(crate) tomography: Tomography,
    pub(crate) tracker: Tracker,
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
    pub(crate) tracks: Vec<Track>,
}

impl Stages {
    pub(crate) fn new(room: &Room, tomography: &str) -> Self {
        let voxels = room.grid.voxels();
        Self {
            tomography: Tomography::new(&setup(tomography), &room.grid, 1000).unwrap(),
            tracker: Tracker::new(&setup(""), &room.grid, 1000).unwrap(),
            mean: vec![0.0; voxels],
            variance: vec![0.0; voxels],
            tracks: vec![Track::default(); MAX_TRACKS],
        }
    }

    pub(crate) fn cycle(&mut self, room: &Room, links: &[LinkObservation]) -> (TomographySummary, TrackerSummary) {
        let image = self.image(room, links);
        (image, self.track(room, links, image, gate::ACCEPT))
    }

    pub(crate) fn image(&mut self, room: &Room, links: &[LinkObservation]) -> TomographySummary {
        let input = TomographyInput {
            grid: room.grid,
            step_s: STEP_S,
            nodes: RSlice::from_slice(&room.nodes),
            outline: RSlice::from_slice(&room.outline),
            links: RSlice::from_slice(links),
            cir_links: RSlice::EMPTY,
            cir_summaries: RSlice::EMPTY,
            taps: RSlice::EMPTY,
        };
        let mut output = TomographyOutput {
            mean: RSliceMut::from_mut_slice(&mut self.mean),
            variance: RSliceMut::from_mut_slice(&mut self.variance),
        };
        self.tomography.run(&input, &mut output).unwrap()
    }

    pub(crate) fn track(
        &mut self,
        room: &Room,
        links: &[LinkObservation],
        image: TomographySummary,
        gate: u32,
    ) -> TrackerSummary {
        let input = TrackerInput {
            step_s: STEP_S,
            gate,
            presence: -1.0,
            vacancy: 0.0,
            grid: room.grid,
            image,
            mean: RSlice::from_slice(&self.mean),
            variance: RSlice::from_slice(&self.variance),
            outline: RSlice::from_slice(&room.outline),
            doors: RSlice::from_slice(&room.doors),
            nodes: RSlice::from_slice(&room.nodes),
            links: RSlice::from_slice(links),
            cir_summaries: RSlice::EMPTY,
            doppler: RSlice::EMPTY,
            spectra: RSlice::EMPTY,
            antennas: RSlice::EMPTY,
            arrays: RSlice::EMPTY,
            array_spectra: RSlice::EMPTY,
        };
        let mut output = TrackerOutput {
            tracks: RSliceMut::from_mut_slice(&mut self.tracks),
        };
        self.tracker.run(&input, &mut output).unwrap()
    }

    /// Tracks that would be published.
    pub(crate) fn published(&self) -> Vec<Track> {
        use tapline_plugin_api::tracker::state;
        let shown = |t: &&Track| t.id != 0 && (t.state == state::ACTIVE || t.state == state::LOST);
        self.tracks.iter().filter(shown).copied().collect()
    }
}
