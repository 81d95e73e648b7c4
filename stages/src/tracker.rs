//! Stage `tracker`: [`tapline_dsp::tracker`] and [`tapline_dsp::pose`] behind the contract.

use serde::Deserialize;
use tapline_dsp::{
    bearing::SPECTRUM,
    detmath,
    doppler::POWERS,
    pose::{self, Joint as Limb, Placed},
    tier::Tier,
    tomography::{LinkSample, TomographyError},
    tracker::{
        Antenna, ArrayLink, Cycle, Entrance, FieldConfig, Joint, JointConfig, JointCycle, Life, Pair, People,
        Track as Person, TrackerConfig, Walkers, WalkersConfig, WalkersCycle,
    },
};
use tapline_plugin_api::{
    Description, Method, NUMERIC_PROFILE, StageError, StageKind, TrackerMethod,
    abi_stable::std_types::{RStr, RVec},
    describe::Setup,
    geometry::{Door, Grid, Point2},
    guard::code,
    tracker::{
        KEYPOINTS, Keypoint, MAX_TRACKS, Track, TrackerInput, TrackerOutput, TrackerSummary, gate, source, state,
    },
};

use crate::tomography::{after_header, check, check_links, header, image_grid, link_sample, node, parse};

/// Version of the state blob.
const STATE_SCHEMA: u32 = 5;

/// Time without a measurement, seconds, above which it is not counted: also that of a tracker that never had one.
const NEVER_S: f32 = 1e6;
/// Most pairs of nodes that are looked at.
const MOST_PAIRS: usize = 66;
/// Most links to arrays that are looked at in one cycle.
const MOST_ARRAYS: usize = 16;
/// x and y are measured, z is not.
const FLOOR_AXES: u32 = 0b011;

/// The configuration table; every key may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    body_db: f32,
    fade_power: f32,
    detour_power: f32,
    quiet: f32,
    spread: f32,
    body_radius_m: f32,
    shadow: f32,
    coherence_s: f32,
    walk_m2_s: f32,
    acceleration_density: f32,
    speed_m_s: f32,
    births_per_s: f32,
    birth_anywhere: f32,
    life_s: f32,
    beyond_m: f32,
    birth: f32,
    birth_apart: f32,
    confirm: f32,
    confirm_updates: u32,
    drop: f32,
    lost_after_s: f32,
    give_up_after_s: f32,
    reid_weight: f32,
    reid_least_cosine: f32,
    reid_looks: f32,
    reid_memory_s: f32,
    doppler: DopplerTable,
    arrays: ArraysTable,
}

/// The table `doppler` in it: what holds where channel state information shows Doppler. `births-per-s`, `life-s`, `birth`, `confirm`
/// and what follows from them are those above.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct DopplerTable {
    trust: f32,
    speed_m_s: f32,
    speed_most_m_s: f32,
    acceleration: f32,
    heading_s: f32,
    starts_and_stops_per_s: f32,
    wall: f32,
    jitter_m: f32,
    jitter_m_s: f32,
    quiet_energy: f32,
    motion: f32,
    explained: f32,
    stray: f32,
    birth_anywhere: f32,
    found_m: f32,
    apart_m: f32,
}

impl Default for DopplerTable {
    fn default() -> Self {
        let w = WalkersConfig::default();
        Self {
            trust: w.trust,
            speed_m_s: w.speed_m_s,
            speed_most_m_s: w.speed_most_m_s,
            acceleration: w.acceleration,
            heading_s: w.heading_s,
            starts_and_stops_per_s: w.starts_and_stops_per_s,
            wall: w.wall,
            jitter_m: w.jitter_m,
            jitter_m_s: w.jitter_m_s,
            quiet_energy: w.quiet_energy,
            motion: w.motion,
            explained: w.explained,
            stray: w.stray,
            birth_anywhere: w.birth_anywhere,
            found_m: w.found_m,
            apart_m: w.apart_m,
        }
    }
}

impl DopplerTable {
    fn walkers(&self) -> Result<WalkersConfig, StageError> {
        check("doppler.trust", self.trust, 0.01, 2.0)?;
        check("doppler.speed-m-s", self.speed_m_s, 0.01, 10.0)?;
        check("doppler.speed-most-m-s", self.speed_most_m_s, 0.1, 20.0)?;
        check("doppler.acceleration", self.acceleration, 0.01, 10.0)?;
        check("doppler.heading-s", self.heading_s, 0.1, 1000.0)?;
        check(
            "doppler.starts-and-stops-per-s",
            self.starts_and_stops_per_s,
            0.001,
            10.0,
        )?;
        check("doppler.wall", self.wall, 0.0, 1000.0)?;
        check("doppler.jitter-m", self.jitter_m, 0.001, 1.0)?;
        check("doppler.jitter-m-s", self.jitter_m_s, 0.001, 1.0)?;
        check("doppler.quiet-energy", self.quiet_energy, 1.0, 1000000.0)?;
        check("doppler.motion", self.motion, 0.0, 100.0)?;
        check("doppler.explained", self.explained, 0.0, 1.0)?;
        check("doppler.stray", self.stray, 0.0, 0.5)?;
        check("doppler.birth-anywhere", self.birth_anywhere, 0.0, 1.0)?;
        check("doppler.found-m", self.found_m, 0.05, 10.0)?;
        check("doppler.apart-m", self.apart_m, 0.0, 10.0)?;
        Ok(WalkersConfig {
            trust: self.trust,
            speed_m_s: self.speed_m_s,
            speed_most_m_s: self.speed_most_m_s,
            acceleration: self.acceleration,
            heading_s: self.heading_s,
            starts_and_stops_per_s: self.starts_and_stops_per_s,
            wall: self.wall,
            jitter_m: self.jitter_m,
            jitter_m_s: self.jitter_m_s,
            quiet_energy: self.quiet_energy,
            motion: self.motion,
            explained: self.explained,
            stray: self.stray,
            birth_anywhere: self.birth_anywhere,
            found_m: self.found_m,
            apart_m: self.apart_m,
        })
    }
}

/// The table `arrays` in it: what holds where nodes have several receive antennas.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ArraysTable {
    trust: f32,
    stops_per_s: f32,
    starts_per_s: f32,
    turns_per_s: f32,
    acceleration: f32,
    speed_most_m_s: f32,
    wall: f32,
    jitter_m: f32,
    jitter_m_s: f32,
    stray: f32,
    stray_price: f32,
    birth_anywhere: f32,
    birth: f32,
    birth_by_chance: f32,
    found_m: f32,
    apart_m: f32,
}

impl Default for ArraysTable {
    fn default() -> Self {
        let j = JointConfig::default();
        Self {
            trust: j.trust,
            stops_per_s: j.stops_per_s,
            starts_per_s: j.starts_per_s,
            turns_per_s: j.turns_per_s,
            acceleration: j.acceleration,
            speed_most_m_s: j.speed_most_m_s,
            wall: j.wall,
            jitter_m: j.jitter_m,
            jitter_m_s: j.jitter_m_s,
            stray: j.stray,
            stray_price: j.stray_price,
            birth_anywhere: j.birth_anywhere,
            birth: j.birth,
            birth_by_chance: j.birth_by_chance,
            found_m: j.found_m,
            apart_m: j.apart_m,
        }
    }
}

impl ArraysTable {
    fn joint(&self) -> Result<JointConfig, StageError> {
        check("arrays.trust", self.trust, 0.001, 0.2)?;
        check("arrays.stops-per-s", self.stops_per_s, 0.001, 10.0)?;
        check("arrays.starts-per-s", self.starts_per_s, 0.001, 10.0)?;
        check("arrays.turns-per-s", self.turns_per_s, 0.0, 10.0)?;
        check("arrays.acceleration", self.acceleration, 0.01, 10.0)?;
        check("arrays.speed-most-m-s", self.speed_most_m_s, 0.1, 20.0)?;
        check("arrays.wall", self.wall, 0.0, 1000.0)?;
        check("arrays.jitter-m", self.jitter_m, 0.001, 1.0)?;
        check("arrays.jitter-m-s", self.jitter_m_s, 0.001, 1.0)?;
        check("arrays.stray", self.stray, 0.0, 0.5)?;
        check("arrays.stray-price", self.stray_price, 0.0, 100.0)?;
        check("arrays.birth-anywhere", self.birth_anywhere, 0.0, 1.0)?;
        check("arrays.birth", self.birth, 1.0, 1000.0)?;
        check("arrays.birth-by-chance", self.birth_by_chance, 0.1, 10.0)?;
        check("arrays.found-m", self.found_m, 0.05, 10.0)?;
        check("arrays.apart-m", self.apart_m, 0.0, 10.0)?;
        Ok(JointConfig {
            trust: self.trust,
            stops_per_s: self.stops_per_s,
            starts_per_s: self.starts_per_s,
            turns_per_s: self.turns_per_s,
            acceleration: self.acceleration,
            speed_most_m_s: self.speed_most_m_s,
            wall: self.wall,
            jitter_m: self.jitter_m,
            jitter_m_s: self.jitter_m_s,
            stray: self.stray,
            stray_price: self.stray_price,
            birth_anywhere: self.birth_anywhere,
            birth: self.birth,
            birth_by_chance: self.birth_by_chance,
            found_m: self.found_m,
            apart_m: self.apart_m,
        })
    }
}

impl Default for Table {
    fn default() -> Self {
        let t = TrackerConfig::default();
        let f = t.field;
        Self {
            body_db: f.body_db,
            fade_power: f.fade_power,
            detour_power: f.detour_power,
            quiet: f.quiet,
            spread: f.spread,
            body_radius_m: f.body_radius_m,
            shadow: f.shadow,
            coherence_s: f.coherence_s,
            walk_m2_s: t.walk_m2_s,
            acceleration_density: t.acceleration_density,
            speed_m_s: t.speed_m_s,
            births_per_s: t.births_per_s,
            birth_anywhere: t.birth_anywhere,
            life_s: t.life_s,
            beyond_m: t.beyond_m,
            birth: t.birth,
            birth_apart: t.birth_apart,
            confirm: t.confirm,
            confirm_updates: t.confirm_updates,
            drop: t.drop,
            lost_after_s: t.lost_after_s,
            give_up_after_s: t.give_up_after_s,
            reid_weight: t.reid_weight,
            reid_least_cosine: t.reid_least_cosine,
            reid_looks: t.reid_looks,
            reid_memory_s: t.reid_memory_s,
            doppler: DopplerTable::default(),
            arrays: ArraysTable::default(),
        }
    }
}

impl Table {
    fn tracker(&self) -> Result<TrackerConfig, StageError> {
        check("body-db", self.body_db, 0.01, 100.0)?;
        check("fade-power", self.fade_power, 0.0, 2.0)?;
        check("detour-power", self.detour_power, 0.0, 4.0)?;
        check("quiet", self.quiet, 0.1, 10.0)?;
        check("spread", self.spread, 0.1, 10.0)?;
        check("body-radius-m", self.body_radius_m, 0.01, 2.0)?;
        check("shadow", self.shadow, 0.0, 0.95)?;
        check("coherence-s", self.coherence_s, 0.01, 10.0)?;
        check("walk-m2-s", self.walk_m2_s, 1e-4, 10.0)?;
        check("acceleration-density", self.acceleration_density, 1e-4, 100.0)?;
        check("speed-m-s", self.speed_m_s, 0.01, 10.0)?;
        check("births-per-s", self.births_per_s, 1e-6, 10.0)?;
        check("birth-anywhere", self.birth_anywhere, 0.0, 1.0)?;
        check("life-s", self.life_s, 1.0, 1e6)?;
        check("beyond-m", self.beyond_m, 0.0, 100.0)?;
        check("birth", self.birth, 0.01, 0.99)?;
        check("birth-apart", self.birth_apart, 0.0, 10.0)?;
        check("confirm", self.confirm, 0.01, 0.99)?;
        check("confirm-updates", self.confirm_updates as f32, 1.0, 1000.0)?;
        check("drop", self.drop, 1e-4, 0.5)?;
        check("lost-after-s", self.lost_after_s, 0.05, 600.0)?;
        check("give-up-after-s", self.give_up_after_s, 0.1, 3600.0)?;
        check("reid-weight", self.reid_weight, 0.0, 1.0)?;
        check("reid-least-cosine", self.reid_least_cosine, -1.0, 1.0)?;
        check("reid-looks", self.reid_looks, 0.0, 10_000.0)?;
        check("reid-memory-s", self.reid_memory_s, 0.0, 86_400.0)?;
        Ok(TrackerConfig {
            field: FieldConfig {
                body_db: self.body_db,
                fade_power: self.fade_power,
                detour_power: self.detour_power,
                quiet: self.quiet,
                spread: self.spread,
                body_radius_m: self.body_radius_m,
                shadow: self.shadow,
                coherence_s: self.coherence_s,
            },
            walk_m2_s: self.walk_m2_s,
            acceleration_density: self.acceleration_density,
            speed_m_s: self.speed_m_s,
            births_per_s: self.births_per_s,
            birth_anywhere: self.birth_anywhere,
            life_s: self.life_s,
            beyond_m: self.beyond_m,
            birth: self.birth,
            birth_apart: self.birth_apart,
            confirm: self.confirm,
            confirm_updates: self.confirm_updates,
            drop: self.drop,
            lost_after_s: self.lost_after_s,
            give_up_after_s: self.give_up_after_s,
            reid_weight: self.reid_weight,
            reid_least_cosine: self.reid_least_cosine,
            reid_looks: self.reid_looks,
            reid_memory_s: self.reid_memory_s,
        })
    }
}

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
        } else if self.walkers.engaged() {
            self.walkers.tracks()
        } else {
            self.people.tracks()
        }
    }

    /// The cycle of the filter by arrays; gives whether it used measurements.
    fn follow_together(&mut self, input: &TrackerInput<'_>) -> bool {
        if !self.joint.engaged() {
            if input.arrays.is_empty() {
                return false;
            }
            let last = self.tracks().last().map_or(0, |t| t.id);
            self.joint.begin_after(last);
        }
        self.arrays.clear();
        // Nobody knows what the delays of an unknown tier mean.
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
            vacancy: input.vacancy,
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
