//! Golden vectors of stage `tracker`: people who come, cross, stand, vanish; gates, gaps, empty images.

use abi_stable::std_types::RVec;
use tapline_dsp::detmath;

use super::{
    probe::{Call, Case, Must, Numbers, Probe, boxed_state},
    scenes_tomography::Room,
};
use crate::{
    abi::{PluginModule, TrackerBox},
    canonical::Canonical,
    cir::CirSummary,
    describe::Setup,
    geometry::{AntennaPosition, Door, Grid, NodePosition, Point2},
    guard::StageError,
    tomography::{LinkObservation, TomographySummary},
    tracker::{
        ARRAY_ANTENNAS, ARRAY_SPECTRUM, ArrayLink, DELAY_FILTERS, DopplerPair, MAX_TRACKS, RATE_BINS, RATE_STEP_M_S,
        Track, TrackerInput, TrackerOutput, TrackerSummary, gate,
    },
};

/// The stage kind `tracker`.
pub(super) struct TrackerProbe;

pub(super) struct Input {
    step_s: f32,
    gate: u32,
    presence: f32,
    vacancy: f32,
    grid: Grid,
    image: TomographySummary,
    mean: Vec<f32>,
    variance: Vec<f32>,
    outline: Vec<Point2>,
    doors: Vec<Door>,
    nodes: Vec<NodePosition>,
    links: Vec<LinkObservation>,
    cir_summaries: Vec<CirSummary>,
    doppler: Vec<DopplerPair>,
    spectra: Vec<f32>,
    antennas: Vec<AntennaPosition>,
    arrays: Vec<ArrayLink>,
    array_spectra: Vec<f32>,
    room: usize,
}

pub(super) struct Output {
    tracks: Vec<Track>,
    summary: TrackerSummary,
}

impl Probe for TrackerProbe {
    type Site = (Grid, u32);
    type Input = Input;
    type Output = Output;
    type Instance = TrackerBox;

    fn build(module: &PluginModule, setup: &Setup, site: &Self::Site) -> Result<TrackerBox, StageError> {
        (module.new_tracker)(setup, &site.0, site.1).into_result()
    }

    fn output(input: &Input, fill: u8) -> Output {
        Output {
            tracks: vec![bytemuck::pod_read_unaligned(&[fill; size_of::<Track>()]); input.room],
            summary: TrackerSummary::default(),
        }
    }

    fn call(instance: &mut TrackerBox, input: &Input, output: &mut Output) -> Result<(), StageError> {
        let record = TrackerInput {
            step_s: input.step_s,
            gate: input.gate,
            presence: input.presence,
            vacancy: input.vacancy,
            grid: input.grid,
            image: input.image,
            mean: input.mean.as_slice().into(),
            variance: input.variance.as_slice().into(),
            outline: input.outline.as_slice().into(),
            doors: input.doors.as_slice().into(),
            nodes: input.nodes.as_slice().into(),
            links: input.links.as_slice().into(),
            cir_summaries: input.cir_summaries.as_slice().into(),
            doppler: input.doppler.as_slice().into(),
            spectra: input.spectra.as_slice().into(),
            antennas: input.antennas.as_slice().into(),
            arrays: input.arrays.as_slice().into(),
            array_spectra: input.array_spectra.as_slice().into(),
        };
        let mut answer = TrackerOutput {
            tracks: output.tracks.as_mut_slice().into(),
        };
        output.summary = instance.run(&record, &mut answer).into_result()?;
        Ok(())
    }

    fn bytes(output: &mut Output, into: &mut Vec<u8>) -> Option<()> {
        let finite = output.tracks.canonicalise() & output.summary.canonicalise();
        into.extend_from_slice(bytemuck::cast_slice(&output.tracks));
        into.extend_from_slice(bytemuck::bytes_of(&output.summary));
        finite.then_some(())
    }

    boxed_state!();

    fn cases() -> Vec<Case<Self>> {
        let room = Room::new(12, 10, 1, 6);
        let flat = |name, calls| Case {
            name,
            site: (room.grid(), room.link_count()),
            calls,
        };
        let tall = Room::new(8, 8, 3, 6);
        vec![
            flat(
                "one walks through",
                walk(&room, 36, |t| vec![(0.4 + 4.4 * t, 1.0 + 2.0 * t)]),
            ),
            flat(
                "two cross",
                walk(&room, 24, |t| {
                    vec![(0.5 + 4.0 * t, 2.0), (4.5 - 4.0 * t, 2.2 + 0.2 * t)]
                }),
            ),
            flat(
                "one comes late, one leaves",
                walk(&room, 30, |t| match t {
                    t if t < 0.3 => vec![(1.0, 1.0)],
                    t if t < 0.7 => vec![(1.0, 1.0), (4.0, 3.0)],
                    _ => vec![(4.0, 3.0)],
                }),
            ),
            flat(
                "twenty blobs",
                walk(&room, 6, |_| {
                    (0..20)
                        .map(|i| (0.3 + 0.5 * (i % 10) as f32, 0.6 + 2.4 * (i / 10) as f32))
                        .collect()
                }),
            ),
            flat("what goes wrong", strange(&room)),
            flat("a walk by Doppler", walk_by_doppler(&room, 80)),
            flat("spectra of arrays", by_arrays(&room, 24)),
            Case {
                name: "a room with height",
                site: (tall.grid(), tall.link_count()),
                calls: walk(&tall, 8, |t| vec![(0.5 + 2.0 * t, 1.5)]),
            },
        ]
    }
}

/// `steps` cycles with people at `at(t)`, t from 0 to 1.
fn walk(room: &Room, steps: usize, at: impl Fn(f32) -> Vec<(f32, f32)>) -> Vec<Call<TrackerProbe>> {
    (0..steps)
        .map(|step| Call {
            name: "a step",
            must: Must::Answer,
            input: with_people(room, &at(step as f32 / steps as f32), step as u64),
        })
        .collect()
}

/// A kind of call: its name, what it must end in, and how it changes a room with one person in it.
type CallKind = (&'static str, Must, fn(&mut Input));

fn strange(room: &Room) -> Vec<Call<TrackerProbe>> {
    const KINDS: [CallKind; 33] = [
        ("a person", Must::Answer, |_| {}),
        ("still there", Must::Answer, |_| {}),
        ("predict only", Must::Answer, |i| i.gate = gate::PREDICT_ONLY),
        ("rejected", Must::Answer, |i| i.gate = gate::REJECT),
        ("recalibrate", Must::Answer, |i| i.gate = gate::RECALIBRATE),
        ("no image", Must::Answer, |i| {
            i.mean.clear();
            i.variance.clear();
            i.image = TomographySummary::default();
        }),
        ("presence unknown", Must::Answer, |i| i.presence = -1.0),
        ("presence says nobody", Must::Answer, |i| i.presence = 0.0),
        ("the links look as in the empty room", Must::Answer, |i| i.vacancy = 4.0),
        ("a vacancy that is NaN", Must::Survive, |i| i.vacancy = f32::NAN),
        ("an image of zeros", Must::Answer, |i| i.mean.fill(0.0)),
        ("an image of subnormals", Must::Answer, |i| i.mean.fill(1e-41)),
        ("an image without variance", Must::Answer, |i| i.variance.fill(0.0)),
        ("an even image", Must::Answer, |i| i.mean.fill(3.0)),
        ("a negative image", Must::Answer, |i| i.mean.fill(-2.0)),
        ("a missed second", Must::Answer, |i| i.step_s = 1.0),
        ("a step of nothing", Must::Survive, |i| i.step_s = 0.0),
        ("a step backwards", Must::Survive, |i| i.step_s = -1.0),
        ("an enormous image", Must::Survive, |i| i.mean.fill(1e30)),
        ("a NaN image", Must::Survive, |i| i.mean.fill(f32::NAN)),
        ("an unknown gate", Must::Survive, |i| i.gate = 77),
        ("no room for tracks", Must::Refuse, |i| i.room = MAX_TRACKS - 1),
        ("an image of another size", Must::Refuse, |i| {
            i.mean.pop();
        }),
        ("a variance of another size", Must::Refuse, |i| {
            i.variance.pop();
        }),
        ("Doppler of another size", Must::Refuse, |i| {
            see_rates(i, (2.0, 2.0), 0.7, 1);
            i.spectra.pop();
        }),
        ("Doppler that is NaN", Must::Survive, |i| {
            see_rates(i, (2.0, 2.0), 0.7, 1);
            i.spectra.fill(f32::NAN);
        }),
        ("Doppler of unknown nodes", Must::Answer, |i| {
            see_rates(i, (2.0, 2.0), 0.7, 1);
            i.doppler.iter_mut().for_each(|p| (p.a, p.b) = (9_001, 9_002));
        }),
        ("arrays' spectra of another size", Must::Refuse, |i| {
            see_noise_by_arrays(i, 1);
            i.array_spectra.pop();
        }),
        ("arrays' spectra that are NaN", Must::Survive, |i| {
            see_noise_by_arrays(i, 1);
            i.array_spectra.fill(f32::NAN);
        }),
        ("arrays of nonsense", Must::Survive, |i| {
            see_noise_by_arrays(i, 1);
            for (at, l) in i.arrays.iter_mut().enumerate() {
                (l.antennas, l.tier) = (at as u32 * 1_000, 77);
                (l.wavelength_m, l.period_m_s, l.noise) = (0.0, f32::NAN, -1.0);
            }
        }),
        ("arrays of unknown nodes", Must::Answer, |i| {
            see_noise_by_arrays(i, 1);
            i.antennas.clear();
        }),
        ("a clean step after the refused ones", Must::Answer, |_| {}),
        ("no doors, no outline", Must::Answer, |i| {
            i.doors.clear();
            i.outline.clear();
        }),
    ];
    KINDS
        .iter()
        .enumerate()
        .map(|(step, &(name, must, change))| {
            let mut input = with_people(room, &[(2.0 + 0.02 * step as f32, 2.0)], step as u64);
            change(&mut input);
            Call { name, must, input }
        })
        .collect()
}

fn with_people(room: &Room, people: &[(f32, f32)], seed: u64) -> Input {
    let grid = room.grid();
    let mut numbers = Numbers(seed);
    let mut mean = Vec::with_capacity(grid.voxels());
    for _ in 0..grid.nz {
        for iy in 0..grid.ny {
            for ix in 0..grid.nx {
                let x = grid.origin_x_m + (ix as f32 + 0.5) * grid.pitch_m;
                let y = grid.origin_y_m + (iy as f32 + 0.5) * grid.pitch_m;
                let mut value = 0.05 * numbers.unit();
                for &(px, py) in people {
                    let d2 = (x - px) * (x - px) + (y - py) * (y - py);
                    value += 3.0 * detmath::exp(-2.0 * d2);
                }
                mean.push(value);
            }
        }
    }
    let at = people.first().copied().unwrap_or((-50.0, -50.0));
    Input {
        step_s: 0.05,
        gate: gate::ACCEPT,
        presence: if people.is_empty() { 0.05 } else { 0.97 },
        vacancy: 0.0,
        grid,
        image: TomographySummary {
            valid: 1,
            links_used: room.link_count(),
            iterations: 1,
            objective: 1.5,
            relative_gap: 0.0,
            reserved: 0,
        },
        variance: vec![0.04; mean.len()],
        mean,
        outline: room.outline(),
        doors: vec![Door {
            at: Point2 { x_m: -0.5, y_m: 1.0 },
            width_m: 0.9,
        }],
        nodes: room.nodes(),
        links: room.observe_person(at.0, at.1),
        cir_summaries: Vec::new(),
        doppler: Vec::new(),
        spectra: Vec::new(),
        antennas: Vec::new(),
        arrays: Vec::new(),
        array_spectra: Vec::new(),
        room: MAX_TRACKS,
    }
}

/// A walk along x at 0.8 m/s for `steps` cycles, and a stop at its end, as the Doppler spectra of all pairs show it.
fn walk_by_doppler(room: &Room, steps: usize) -> Vec<Call<TrackerProbe>> {
    const SPEED_M_S: f32 = 0.8;
    (0..steps)
        .map(|step| {
            let stands = step * 5 > steps * 4;
            let x = 0.3 + SPEED_M_S * 0.05 * step.min(steps * 4 / 5) as f32;
            let mut input = with_people(room, &[(x, 1.5)], step as u64);
            if step.is_multiple_of(2) {
                see_rates(&mut input, (x, 1.5), if stands { 0.0 } else { SPEED_M_S }, step as u64);
            }
            Call {
                name: "a step",
                must: Must::Answer,
                input,
            }
        })
        .collect()
}

/// Cycles with spectra of arrays in a room in which somebody walks by strength: as noise has them, and with a strong line.
fn by_arrays(room: &Room, steps: usize) -> Vec<Call<TrackerProbe>> {
    (0..steps)
        .map(|step| {
            let mut input = with_people(room, &[(0.5 + 0.05 * step as f32, 1.5)], step as u64);
            see_noise_by_arrays(&mut input, step as u64);
            if step > steps / 2 {
                input.array_spectra.iter_mut().step_by(7).for_each(|v| *v *= 30.0);
            }
            Call {
                name: "a step",
                must: Must::Answer,
                input,
            }
        })
        .collect()
}

/// Adds spectra of three links between nodes that all have arrays.
fn see_noise_by_arrays(input: &mut Input, seed: u64) {
    let mut numbers = Numbers(seed ^ 0x00a7_7a15);
    let antennas = |n: &NodePosition| {
        let (node, x_m, y_m) = (n.node, n.x_m, n.y_m);
        (0..ARRAY_ANTENNAS as u32).map(move |antenna| AntennaPosition {
            node,
            antenna,
            x_m: x_m + 0.06 * antenna as f32,
            y_m,
        })
    };
    input.antennas = input.nodes.iter().flat_map(antennas).collect();
    let ends = input.nodes.iter().zip(input.nodes.iter().skip(1)).take(3);
    input.arrays = ends
        .map(|(a, b)| ArrayLink {
            tx: a.node,
            rx: b.node,
            antennas: ARRAY_ANTENNAS as u32,
            samples: 17,
            tier: tapline_dsp::tier::Tier::Ht40.code(),
            wavelength_m: 0.123,
            period_m_s: 3.075,
            noise: 1e-4,
        })
        .collect();
    let count = input.arrays.len() * ARRAY_SPECTRUM;
    input.array_spectra = (0..count).map(|_| numbers.normal()).collect();
}

/// Adds spectra of somebody at `at` who walks along x with `speed_m_s`; 0 is quiet.
fn see_rates(input: &mut Input, at: (f32, f32), speed_m_s: f32, seed: u64) {
    let mut numbers = Numbers(seed ^ 0x00d0_bb1e);
    let away = |node: &NodePosition| {
        let (dx, dy) = (at.0 - node.x_m, at.1 - node.y_m);
        speed_m_s * dx / detmath::max(detmath::hypot(dx, dy), 0.3)
    };
    let nodes = input.nodes.clone();
    for (i, a) in nodes.iter().enumerate() {
        for b in &nodes[i + 1..] {
            let rate = away(a) + away(b);
            let strength = if speed_m_s > 0.0 { 400.0 } else { 0.0 };
            let from = input.spectra.len();
            input.spectra.extend((0..DELAY_FILTERS * RATE_BINS).map(|at| {
                let bin = at % RATE_BINS;
                let off = ((bin as f32 - (RATE_BINS / 2) as f32) * RATE_STEP_M_S - rate) / 0.15;
                (0.5 + numbers.unit()) * (1.0 + strength * detmath::exp(-0.5 * off * off))
            }));
            input.doppler.push(DopplerPair {
                a: a.node,
                b: b.node,
                samples: 28,
                energy: input.spectra[from..].iter().sum::<f32>() / (DELAY_FILTERS * RATE_BINS) as f32,
            });
        }
    }
}
