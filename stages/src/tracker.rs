//! Stage `tracker`: [`tapline_dsp::tracker`] and [`tapline_dsp::pose`] behind the contract.

mod table;

use tapline_dsp::{
    bearing::SPECTRUM,
    detmath,
    doppler::POWERS,
    pose::{self, Joint as Limb, Placed},
    tier::Tier,
    tomography::{LinkSample, TomographyError},
    tracker::{
        Antenna, ArrayLink, Cycle, Entrance, Joint, JointCycle, Life, Pair, People, Track as Person, Walkers,
        WalkersCycle,
    },
};
use tapline_plugin_api::{
    Description, Method, NUMERIC_PROFILE, StageError, StageKind, TrackerMethod,
    abi_stable::std_types::{RStr, RVec},
    describe::Setup,
    geometry::{Door, Grid, Point2},
    guard::code,
    tracker::{
        ARRAY_SPECTRUM, KEYPOINTS, Keypoint, MAX_TRACKS, Track, TrackerInput, TrackerOutput, TrackerSummary, gate,
        source, state,
    },
};

use self::table::Table;
use crate::tomography::{after_header, check_links, header, image_grid, link_sample, node, parse};

/// Version of the state blob.
const STATE_SCHEMA: u32 = 7;

const _: () = assert!(SPECTRUM == ARRAY_SPECTRUM, "the front end's spectra are the contract's");

/// Time without a measurement, seconds, above which it is not counted: also that of a tracker that never had one.
const NEVER_S: f32 = 1e6;
/// Most pairs of nodes that are looked at.
const MOST_PAIRS: usize = 66;
/// Most links to arrays that are looked at in one cycle.
const MOST_ARRAYS: usize = 16;
/// x and y are measured, z is not.
const FLOOR_AXES: u32 = 0b011;

/// The shipped tracker: Bernoulli track-before-detect on link evidence, by Doppler where channel state information gives it, and
/// by arrays of antennas where nodes have them.
pub struct Tracker {
    people: People,
    walkers: Walkers,
    joint: Joint,
    pairs: Vec<Pair>,
    arrays: Vec<ArrayLink>,
    grid: Grid,
    samples: Vec<LinkSample>,
    /// Time since a cycle had evidence, seconds, at most [`NEVER_S`].
    blind_s: f32,
    /// After so long without evidence nobody can say any more how many people there are: the tracks are lost.
    lost_after_s: f32,
}

impl Method for Tracker {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("tracker"),
        version: RStr::from_str("0.4.0"),
        stage: StageKind::Tracker,
        method: RStr::from_str(
            "joint particle filter on antenna arrays, Doppler particle filter, or Bernoulli track-before-detect on a grid; keypoints from a kinematic prior",
        ),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: STATE_SCHEMA,
        uses_rustfft: false,
    };

    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        let mut blob = header(&self.grid, STATE_SCHEMA);
        blob.extend_from_slice(&self.blind_s.to_le_bytes());
        let failed = |e: std::io::Error| StageError::new(code::STATE, e.to_string());
        let mut people = Vec::new();
        self.people.export_state(&mut people).map_err(failed)?;
        blob.extend_from_slice(&(people.len() as u32).to_le_bytes());
        blob.extend_from_slice(&people);
        let mut walkers = Vec::new();
        self.walkers.export_state(&mut walkers).map_err(failed)?;
        blob.extend_from_slice(&(walkers.len() as u32).to_le_bytes());
        blob.extend_from_slice(&walkers);
        self.joint.export_state(&mut blob).map_err(failed)?;
        into.extend_from_slice(&blob);
        Ok(())
    }

    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let refused = |message: String| StageError::new(code::STATE, message);
        let cut = || refused("state: cut off; start without a state".to_owned());
        let after = after_header(&self.grid, STATE_SCHEMA, state)?;
        let (blind_s, rest) = after.split_first_chunk::<4>().ok_or_else(cut)?;
        let blind_s = f32::from_le_bytes(*blind_s);
        if !(0.0..=NEVER_S).contains(&blind_s) {
            return Err(refused(format!(
                "state: {blind_s} s without a measurement found; expected 0 to {NEVER_S}; start without a state"
            )));
        }
        fn part(from: &[u8]) -> Option<(&[u8], &[u8])> {
            let (length, rest) = from.split_first_chunk::<4>()?;
            rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        }
        let (people, rest) = part(rest).ok_or_else(cut)?;
        let (walkers, joint) = part(rest).ok_or_else(cut)?;
        let mut restored = self.walkers.clone();
        restored.import_state(walkers).map_err(|e| refused(e.to_string()))?;
        let mut together = self.joint.clone();
        together.import_state(joint).map_err(|e| refused(e.to_string()))?;
        self.people
            .import_state(people, self.samples.capacity())
            .map_err(|e| refused(e.to_string()))?;
        (self.walkers, self.joint) = (restored, together);
        self.blind_s = blind_s;
        Ok(())
    }
}

impl TrackerMethod for Tracker {
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError> {
        let table = parse::<Table>(setup)?;
        let (config, walkers, joint) = (table.tracker()?, table.doppler.walkers()?, table.arrays.joint()?);
        check_links(max_links)?;
        let floor = image_grid(grid).map_err(|e| StageError::new(code::CONFIG, e.to_string()))?;
        Ok(Self {
            people: People::new(config, &floor),
            walkers: Walkers::new(config, walkers),
            joint: Joint::new(config, joint),
            pairs: Vec::with_capacity(MOST_PAIRS),
            arrays: Vec::with_capacity(MOST_ARRAYS),
            grid: *grid,
            samples: Vec::with_capacity(max_links as usize),
            blind_s: NEVER_S,
            lost_after_s: config.lost_after_s,
        })
    }

    fn run(&mut self, input: &TrackerInput<'_>, output: &mut TrackerOutput<'_>) -> Result<TrackerSummary, StageError> {
        self.check_input(input, output)?;
        let together = self.follow_together(input);
        if self.joint.ready() && !self.joint.engaged() {
            self.joint.lead(without_arrays(&self.walkers, &self.people));
        }
        let by_doppler = !self.joint.engaged() && self.follow(input);
        self.samples.clear();
        self.samples.extend(input.links.iter().map(link_sample));
        self.people
            .set_room(input.outline.iter().map(point), input.doors.iter().map(entrance));
        let cycle = Cycle {
            step_s: input.step_s,
            accept: input.gate == gate::ACCEPT || input.gate == gate::RECALIBRATE,
            nodes: input.nodes.iter().map(node),
            samples: &self.samples,
        };
        let measured = if self.joint.engaged() {
            together
        } else if self.walkers.engaged() {
            by_doppler
        } else {
            self.people
                .step(&cycle)
                .map_err(|e| StageError::new(code::INPUT, e.to_string()))?
        };
        self.blind_s = if measured {
            0.0
        } else {
            detmath::min(self.blind_s + input.step_s, NEVER_S)
        };
        let tracks = output.tracks.as_mut_slice();
        tracks.fill(Track::default());
        for (place, person) in tracks.iter_mut().zip(self.tracks()) {
            *place = written(person, self.grid.origin_z_m);
        }
        Ok(self.summary(measured))
    }
}

impl Tracker {
    /// Whoever counts people here: by arrays or by Doppler once there is any, else by strength.
    fn tracks(&self) -> &[Person] {
        if self.joint.engaged() {
            self.joint.tracks()
        } else {
            without_arrays(&self.walkers, &self.people)
        }
    }

    /// The cycle of the filter by arrays; gives whether it used measurements.
    fn follow_together(&mut self, input: &TrackerInput<'_>) -> bool {
        self.arrays.clear();
        // Nobody knows what the delays of an unknown tier mean; the links before it keep their spectra.
        let known = input.arrays.iter().map(|l| (l, Tier::from_code(l.tier)));
        self.arrays.extend(known.take(MOST_ARRAYS).map_while(|(l, tier)| {
            Some(ArrayLink {
                tx: l.tx,
                rx: l.rx,
                antennas: l.antennas,
                tier: tier?,
                wavelength_m: l.wavelength_m,
                period_m_s: l.period_m_s,
                noise: l.noise,
            })
        }));
        self.joint
            .set_room(input.outline.iter().map(point), input.doors.iter().map(entrance));
        self.joint.step(&JointCycle {
            step_s: input.step_s,
            accept: input.gate == gate::ACCEPT || input.gate == gate::RECALIBRATE,
            antennas: input.antennas.iter().map(|a| Antenna {
                node: a.node,
                antenna: a.antenna,
                at_m: [a.x_m, a.y_m],
            }),
            links: &self.arrays,
            spectra: input.array_spectra.as_slice(),
            vacancy: input.vacancy,
        })
    }

    /// The Doppler filter's cycle; gives whether it used measurements.
    fn follow(&mut self, input: &TrackerInput<'_>) -> bool {
        if !self.walkers.engaged() {
            let last = self.people.tracks().last().map_or(0, |t| t.id);
            self.walkers.begin_after(last);
        }
        self.pairs.clear();
        self.pairs.extend(input.doppler.iter().take(MOST_PAIRS).map(|p| Pair {
            ends: [p.a, p.b],
            energy: p.energy,
        }));
        self.walkers
            .set_room(input.outline.iter().map(point), input.doors.iter().map(entrance));
        self.walkers.step(&WalkersCycle {
            step_s: input.step_s,
            accept: input.gate == gate::ACCEPT || input.gate == gate::RECALIBRATE,
            nodes: input.nodes.iter().map(node),
            pairs: &self.pairs,
            spectra: input.spectra.as_slice(),
            vacancy: self.joint.vacancy(input.vacancy),
        })
    }

    fn check_input(&self, input: &TrackerInput<'_>, output: &TrackerOutput<'_>) -> Result<(), StageError> {
        let refused = |message: String| Err(StageError::new(code::INPUT, message));
        if input.grid != self.grid {
            return refused(format!(
                "grid: found {:?}, this instance was built for {:?}",
                input.grid, self.grid
            ));
        }
        let voxels = self.grid.voxels();
        for (what, found) in [("mean", input.mean.len()), ("variance", input.variance.len())] {
            if found != 0 && found != voxels {
                return refused(format!(
                    "image {what}: {found} values found; expected {voxels}, or none"
                ));
            }
        }
        if !(input.step_s > 0.0 && input.step_s <= 3600.0) {
            return refused(format!(
                "step: {} s found; expected above 0 and at most 3600",
                input.step_s
            ));
        }
        if !(input.vacancy >= 0.0 && input.vacancy.is_finite()) {
            return refused(format!(
                "vacancy: {} nats a second found; expected 0 or more",
                input.vacancy
            ));
        }
        if output.tracks.len() != MAX_TRACKS {
            return refused(format!(
                "output: {} places found; expected {MAX_TRACKS}",
                output.tracks.len()
            ));
        }
        let (found, expected) = (input.spectra.len(), input.doppler.len() * POWERS);
        if found != expected {
            return refused(format!(
                "Doppler: {found} powers found; expected {expected}, {POWERS} a pair"
            ));
        }
        let (found, expected) = (input.array_spectra.len(), input.arrays.len() * SPECTRUM);
        if found != expected {
            return refused(format!(
                "arrays: {found} numbers found; expected {expected}, {SPECTRUM} a link"
            ));
        }
        let (found, max) = (input.links.len(), self.samples.capacity());
        if found > max {
            return refused(TomographyError::TooManyLinks { found, max }.to_string());
        }
        Ok(())
    }

    fn summary(&self, measured: bool) -> TrackerSummary {
        let people = self.tracks().iter().filter(|t| t.life != Life::Terminated);
        let unknown = if self.joint.engaged() {
            self.joint.unknown_existence()
        } else if self.walkers.engaged() {
            self.walkers.unknown_existence()
        } else {
            self.people.unknown_existence()
        };
        let chances = people.map(|t| t.existence).chain([unknown]);
        TrackerSummary {
            count: self.tracks().len() as u32,
            detections: if measured {
                self.tracks().iter().filter(|t| t.existence > 0.5).count() as u32
            } else {
                0
            },
            valid: u32::from(self.blind_s <= self.lost_after_s),
            people_mean: chances.clone().sum(),
            // Independent Bernoulli people.
            people_variance: chances.map(|r| r * (1.0 - r)).sum(),
            reserved: 0,
        }
    }
}

/// Whoever counts people where arrays do not: by Doppler once there is any, else by strength.
fn without_arrays<'p>(walkers: &'p Walkers, people: &'p People) -> &'p [Person] {
    if walkers.engaged() {
        walkers.tracks()
    } else {
        people.tracks()
    }
}

fn point(p: &Point2) -> [f32; 2] {
    [p.x_m, p.y_m]
}

fn entrance(door: &Door) -> Entrance {
    Entrance {
        at_m: point(&door.at),
        width_m: door.width_m,
    }
}

/// A track as the contract wants it. Heights stand above the grid's low corner, which is the floor.
fn written(person: &Person, floor_m: f32) -> Track {
    let mean = person.kalman.mean.map(|v| v as f32);
    let p = person.kalman.covariance;
    let mut covariance = [0.0; 21];
    let upper = (0..6).flat_map(|i| (i..6).map(move |j| (i, j)));
    for (value, (i, j)) in covariance.iter_mut().zip(upper) {
        *value = p[i][j] as f32;
    }
    let placed = Placed {
        at_m: [mean[0], mean[1]],
        covariance: [p[0][0] as f32, p[0][1] as f32, p[1][1] as f32],
        velocity_m_s: [mean[3], mean[4]],
        velocity_covariance: [p[3][3] as f32, p[3][4] as f32, p[4][4] as f32],
        floor_m,
    };
    let mut keypoints = [Keypoint::default(); KEYPOINTS];
    for (keypoint, joint) in keypoints.iter_mut().zip(pose::joints(&placed)) {
        *keypoint = keypoint_of(&joint);
    }
    Track {
        id: person.id,
        state: match person.life {
            Life::Tentative => state::TENTATIVE,
            Life::Active => state::ACTIVE,
            Life::Lost => state::LOST,
            Life::Terminated => state::TERMINATED,
        },
        axes: FLOOR_AXES,
        age_cycles: person.age_cycles,
        coasted_cycles: person.coasted_cycles,
        existence: person.existence,
        mean: [mean[0], mean[1], floor_m + mean[2], mean[3], mean[4], mean[5]],
        covariance,
        keypoints,
        ..Track::default()
    }
}

fn keypoint_of(joint: &Limb) -> Keypoint {
    Keypoint {
        mean: joint.mean,
        covariance: joint.covariance,
        confidence: joint.confidence,
        source: source::PRIOR,
        axes: FLOOR_AXES,
    }
}
