//! What the links say about each place on the floor: the log-likelihood ratio "someone stands here" to
//! "nobody does", before any image is made.
//!
//! A body at distances `d1`, `d2` from the ends of a link of length `l` disturbs its strength by
//! `D = sensitivity * (l / (d1 d2)) * e^-p`: the first factor is the amplitude of a scattered path against
//! the direct one (bistatic radar equation), the second makes paths with a longer detour `e` count less.
//! Quiet scatter `q` and disturbances add in quadrature, `S^2 = q^2 + sum D^2`. The mean deviation `m` of a
//! pair of nodes from its quiet level, over directions and channels, then follows `ln m ~ N(ln S, s^2)`. On
//! top, a body that stands in the line (within its own radius) shadows it: the deviation is a loss more often
//! than a gain.
//!
//! The logarithm makes the evidence a quadratic form in one number a pair, so strong outliers do not rule,
//! and disturbed links far from everybody are expected rather than taken for somebody else.
//!
//! A link that reports faster than its fading changes (`coherence_s`) repeats itself, so a sample counts by
//! the time since its last, up to that time.

use super::{
    levels::{GeometryMap, LEVELS, NEAR_M, Scale},
    signature::{Signature, Stand},
};
use crate::{
    detmath,
    tomography::{ImageGrid, LinkGeometry, LinkSample, Node, QuietSample, TomographyError},
};

/// The model's parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldConfig {
    /// Disturbance by a body at unit scattered amplitude and detour, dB, for a link of 1 dB quiet scatter.
    pub body_db: f32,
    /// Power of the quiet scatter in the disturbance: links that scatter when quiet are in a fade and
    /// react more.
    pub fade_power: f32,
    /// Power `p` of the detour.
    pub detour_power: f32,
    /// Mean deviation of a quiet sample over its standard deviation: 0.8 for a normal law.
    pub quiet: f32,
    /// Standard deviation `s` of a pair's log deviation about the model. Larger than a fit would give (0.5),
    /// because errors of the model are the same from cycle to cycle and from pair to pair.
    pub spread: f32,
    /// Radius of a body, metres.
    pub body_radius_m: f32,
    /// How much likelier a loss is than a gain on the line: 0 is even, 1 always a loss.
    pub shadow: f32,
    /// Time over which a link's deviation stays the same, seconds.
    pub coherence_s: f32,
}

impl Default for FieldConfig {
    fn default() -> Self {
        Self {
            body_db: 3.0,
            fade_power: 0.7,
            detour_power: 0.4,
            quiet: 0.8,
            spread: 1.4,
            body_radius_m: 0.2,
            shadow: 0.7,
            coherence_s: 0.6,
        }
    }
}

/// Added to a mean deviation before its logarithm is taken, dB: a third of the step of the report.
const LEAST_DB: f32 = 0.1;
/// A link that has only its change counts as one of this quiet scatter, dB.
const CHANGE_SIGMA_DB: f32 = 0.5;
/// Most times its quiet value that a change counts for.
const MOST_CHANGE: f32 = 40.0;
/// Added to a change before its logarithm is taken, in quiet ones.
const LEAST_CHANGE: f32 = 0.1;

/// What a pair of nodes says in this cycle.
#[derive(Clone, Copy, Debug, Default)]
struct PairReading {
    pair: u32,
    /// `ln m`, corrected for the number of samples it is the mean of.
    log_deviation: f32,
    /// One over the variance of that, times the share of a coherence time that passed.
    weight: f32,
    /// Quiet part of `S^2`.
    quiet2: f32,
    /// `ln` of what `D` is at level scale zero.
    log_sensitivity: f32,
    /// Share of the deviation that is loss less gain, -1 to 1, faded out where the pair is quiet or not new.
    loss: f32,
    /// Share of an independent look.
    new: f32,
    /// Log of the mean change against the quiet one, where links say it.
    log_change: Option<f32>,
}

/// Evidence of one cycle, and the geometry it rests on.
#[derive(Clone, Debug)]
pub struct LinkField {
    config: FieldConfig,
    geometry: LinkGeometry,
    map: GeometryMap,
    scale: Scale,
    /// Seconds since each sample last counted.
    idle_s: Vec<f32>,
    /// Pairs with a fresh sample in this cycle.
    readings: Vec<PairReading>,
    moved: bool,
}

impl LinkField {
    /// Without any geometry yet.
    pub fn new(config: FieldConfig, grid: &ImageGrid) -> Self {
        let mut floor = *grid;
        floor.shape[2] = 1;
        Self {
            config,
            geometry: LinkGeometry::default(),
            map: GeometryMap::empty(floor),
            scale: Scale::new(),
            idle_s: Vec::new(),
            readings: Vec::new(),
            moved: false,
        }
    }

    /// Nodes, links and idle times: what a restored instance needs to go on with.
    pub fn memory(&self) -> (&[Node], &[(u32, u32)], &[f32]) {
        (self.geometry.nodes(), self.geometry.ends(), &self.idle_s)
    }

    /// Restores what [`Self::memory`] gave.
    ///
    /// # Errors
    /// When it does not fit together.
    pub fn restore(&mut self, nodes: &[Node], ends: Vec<(u32, u32)>, idle_s: &[f32]) -> Result<(), TomographyError> {
        if idle_s.len() != ends.len() || !idle_s.iter().all(|t| t.is_finite() && *t >= 0.0) {
            return Err(TomographyError::State { what: "the idle times" });
        }
        self.rebuild(nodes, ends)?;
        self.idle_s.copy_from_slice(idle_s);
        Ok(())
    }

    fn rebuild(&mut self, nodes: &[Node], ends: Vec<(u32, u32)>) -> Result<(), TomographyError> {
        self.geometry = LinkGeometry::build(nodes, ends)?;
        self.map.rebuild(&self.geometry, &self.config);
        self.idle_s = vec![self.config.coherence_s; self.geometry.ends().len()];
        self.readings = Vec::with_capacity(self.geometry.pairs().len());
        Ok(())
    }

    /// Takes in the samples of a cycle of `step_s` seconds. Those measured in it (age below the step) make
    /// the evidence; returns whether there is any. Allocates only when a node moved or a link came or went.
    ///
    /// # Errors
    /// When nodes break the contract.
    pub fn observe(
        &mut self,
        nodes: impl ExactSizeIterator<Item = Node> + Clone,
        samples: &[LinkSample],
        step_s: f32,
    ) -> Result<bool, TomographyError> {
        self.moved = !self.geometry.fits(nodes.clone(), samples);
        if self.moved {
            let nodes: Vec<_> = nodes.collect();
            self.rebuild(&nodes, samples.iter().map(|s| (s.tx, s.rx)).collect())?;
        }
        for idle in &mut self.idle_s {
            *idle = detmath::min(*idle + step_s, 1e6);
        }
        self.readings.clear();
        for pair in 0..self.geometry.pairs().len() {
            if let Some(reading) = self.read_pair(pair, samples, step_s) {
                self.readings.push(reading);
            }
        }
        Ok(!self.readings.is_empty())
    }

    fn read_pair(&mut self, pair: usize, samples: &[LinkSample], step_s: f32) -> Option<PairReading> {
        let c = &self.config;
        let (mut usable, mut count, mut share) = (0_u32, 0_u32, 0.0);
        let (mut size, mut loss, mut sigma) = (0.0, 0.0, 0.0);
        let (mut change, mut changes) = (0.0, 0_u32);
        for &i in self.geometry.samples_of(pair) {
            let sample = &samples[i as usize];
            let Some((signed_db, sigma_db)) = deviation(sample) else {
                continue;
            };
            usable += 1;
            if !(0.0..step_s).contains(&sample.age_s) {
                continue;
            }
            let idle = &mut self.idle_s[i as usize];
            share += detmath::min(*idle / c.coherence_s, 1.0);
            *idle = 0.0;
            count += 1;
            size += signed_db.abs();
            // A change has no sign.
            loss += if sample.quiet.is_some() { signed_db } else { 0.0 };
            sigma += sigma_db;
            if let Some(times) = times_quiet(sample) {
                change += times;
                changes += 1;
            }
        }
        if count == 0 {
            return None;
        }
        let n = count as f32;
        let (size, loss, sigma) = (size / n, loss / n, sigma / n);
        let quiet = c.quiet * sigma + LEAST_DB;
        // ln of a mean of n Laplace sizes: variance about 1/n, bias about -1/(2n) (tri- and digamma).
        let variance = c.spread * c.spread + 1.0 / n;
        // Share of an independent look that this cycle brings.
        let new = share / usable as f32;
        let disturbed = size * size / (size * size + quiet * quiet);
        Some(PairReading {
            pair: pair as u32,
            log_deviation: detmath::ln(size + LEAST_DB) + 0.5 / n,
            weight: new / variance,
            quiet2: quiet * quiet,
            log_sensitivity: detmath::ln(c.body_db) + c.fade_power * detmath::ln(sigma),
            loss: if size > 0.0 { new * loss / size * disturbed } else { 0.0 },
            new,
            log_change: (changes > 0).then(|| detmath::ln(change / changes as f32 + LEAST_CHANGE)),
        })
    }

    /// Adds to `into`, for each pair of this cycle, `weight` times the squared disturbance that a belief
    /// over the cells is expected to cause, dB^2.
    pub fn add_explained(&self, belief: &[f32], weight: f32, into: &mut [f32]) {
        for (reading, sum) in self.readings.iter().zip(into) {
            let levels = self.map.levels_of(reading.pair);
            let mut mean = 0.0;
            for (p, &level) in belief.iter().zip(levels) {
                mean += p * self.scale.squared(level);
            }
            *sum += weight * mean * detmath::exp(2.0 * reading.log_sensitivity);
        }
    }

    /// The log-likelihood ratio of each cell, given what others explain (dB^2, by pair of this cycle).
    pub fn evidence(&self, explained: &[f32], into: &mut [f32]) {
        into.fill(0.0);
        for (reading, &others) in self.readings.iter().zip(explained) {
            let floor = 0.5 * detmath::ln(reading.quiet2 + others);
            let alone = reading.log_deviation - floor;
            // With somebody here the model rises above the floor by `r`: (alone^2 - (alone - r)^2) / 2.
            let rises = self.scale.rises(reading.log_sensitivity - floor);
            let ratios = rises.map(|r| reading.weight * r * (alone - 0.5 * r));
            for (sum, &level) in into.iter_mut().zip(self.map.levels_of(reading.pair)) {
                *sum += ratios[usize::from(level) % LEVELS];
            }
        }
        self.add_shadows(into);
    }

    /// Loss or gain on the line: `ln(1 + y)` for `y = shadow * loss * closeness`, by its Pade approximant.
    fn add_shadows(&self, into: &mut [f32]) {
        for reading in &self.readings {
            let tilt = self.config.shadow * reading.loss;
            for &(cell, closeness) in self.map.line_of(reading.pair) {
                let y = tilt * closeness;
                into[cell as usize] += y / (1.0 + 0.5 * y);
            }
        }
    }

    /// Takes the pairs of this cycle into the signature of somebody at `at_m` who walks at `velocity_m_s`.
    pub(super) fn sign(&self, at_m: [f32; 2], velocity_m_s: [f32; 2], into: &mut Signature) {
        for reading in &self.readings {
            let [a, b] = self.geometry.end_points(reading.pair as usize);
            let (stand, spread_m) = stand(at_m, velocity_m_s, [a[0], a[1]], [b[0], b[1]]);
            let body = reading.log_sensitivity
                - detmath::ln(spread_m)
                - self.config.detour_power * detmath::ln(detmath::max(stand.detour_m, NEAR_M));
            let expected2 = reading.quiet2 + detmath::exp(2.0 * detmath::clamp(body, -20.0, 20.0));
            let excess = reading.log_deviation - 0.5 * detmath::ln(expected2);
            into.disturbed(&stand, reading.loss > 0.0, excess, reading.new);
            if let Some(log_change) = reading.log_change {
                into.changed(&stand, log_change, reading.new);
            }
        }
    }

    /// Whether the last call of [`Self::observe`] found other nodes or links than the one before.
    pub fn moved(&self) -> bool {
        self.moved
    }

    /// Number of pairs that answered in this cycle: the length of what [`Self::add_explained`] fills.
    pub fn answering(&self) -> usize {
        self.readings.len()
    }
}

/// Signed deviation from quiet (loss positive) and quiet scatter, dB.
fn deviation(sample: &LinkSample) -> Option<(f32, f32)> {
    if let Some(quiet) = sample.quiet.filter(QuietSample::is_sound) {
        return Some((quiet.attenuation_db, quiet.sigma_db()));
    }
    // A change of k times quiet counts as a deviation of k times the quiet one.
    Some((0.8 * CHANGE_SIGMA_DB * times_quiet(sample)?, CHANGE_SIGMA_DB))
}

/// The change in times its quiet value, where a link says both.
fn times_quiet(sample: &LinkSample) -> Option<f32> {
    let (now, quiet) = sample.change?;
    let sound = now.is_finite() && now >= 0.0 && quiet.is_finite() && quiet > 0.0;
    sound.then(|| detmath::min(now / quiet, MOST_CHANGE))
}

/// Where somebody stands to a pair of nodes, seen from above, and `d1 d2 / l`, metres.
fn stand(at: [f32; 2], velocity: [f32; 2], a: [f32; 2], b: [f32; 2]) -> (Stand, f32) {
    let from = |end: [f32; 2]| [at[0] - end[0], at[1] - end[1]];
    let (u, v, line) = (from(a), from(b), [b[0] - a[0], b[1] - a[1]]);
    let [d1, d2, length] = [u, v, line].map(|w| detmath::max(detmath::hypot(w[0], w[1]), NEAR_M));
    let foot = detmath::clamp((u[0] * line[0] + u[1] * line[1]) / (length * length), 0.0, 1.0);
    let rate = velocity[0] * (u[0] / d1 + v[0] / d2) + velocity[1] * (u[1] / d1 + v[1] / d2);
    let stand = Stand {
        detour_m: detmath::max(d1 + d2 - length, 0.0),
        along: detmath::min(foot, 1.0 - foot),
        rate_m_s: rate.abs(),
    };
    (stand, d1 * d2 / length + NEAR_M)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tomography::excess_path_m;

    fn grid() -> ImageGrid {
        ImageGrid::new([0.0; 3], [0.25, 0.25, 1.0], [16, 16, 1]).unwrap()
    }

    /// Twelve nodes round a 4 x 4 m room.
    fn nodes() -> Vec<Node> {
        (0..12_u32)
            .map(|i| {
                let along = (i % 3) as f32 * 4.0 / 3.0;
                let [x, y] = [[along, 0.0], [4.0, along], [4.0 - along, 4.0], [0.0, 4.0 - along]][i as usize / 3];
                Node {
                    id: i + 1,
                    at_m: [x, y, 0.0],
                }
            })
            .collect()
    }

    fn sample(tx: u32, rx: u32, attenuation_db: f32, age_s: f32) -> LinkSample {
        LinkSample {
            tx,
            rx,
            quiet: Some(QuietSample {
                quiet_dbm: -50.0,
                attenuation_db,
                noise_db: 0.5,
            }),
            change: None,
            age_s,
        }
    }

    /// Every link deviates, up or down by its number, as the model expects of a body at `body`.
    fn mesh(body: Option<[f32; 2]>) -> Vec<LinkSample> {
        let nodes = nodes();
        let mut all = Vec::new();
        for (i, a) in nodes.iter().enumerate() {
            for (j, b) in nodes.iter().enumerate().filter(|(j, _)| *j != i) {
                let size = body.map_or(0.3, |[x, y]| {
                    let at = [x, y, 0.0];
                    let spread = grid().distance(at, a.at_m) * grid().distance(at, b.at_m);
                    let detour = detmath::max(excess_path_m(&grid(), at, a.at_m, b.at_m), 0.05);
                    0.3 + 2.0 * grid().distance(a.at_m, b.at_m) / (spread + 0.05) / detmath::pow(detour, 0.4)
                });
                let sign = if (i + j) % 2 == 0 { 1.0 } else { -1.0 };
                all.push(sample(a.id, b.id, sign * size, 0.0));
            }
        }
        all
    }

    fn evidence(samples: &[LinkSample], explained: f32) -> Vec<f32> {
        let mut field = LinkField::new(FieldConfig::default(), &grid());
        assert!(field.observe(nodes().into_iter(), samples, 0.05).unwrap());
        let mut into = vec![f32::NAN; 256];
        field.evidence(&vec![explained; field.answering()], &mut into);
        into
    }

    fn best(values: &[f32]) -> usize {
        (0..values.len())
            .max_by(|&a, &b| values[a].total_cmp(&values[b]))
            .unwrap()
    }

    #[test]
    fn the_evidence_peaks_where_the_body_is() {
        for (x, y) in [(1.125, 2.625), (2.125, 2.125), (3.375, 0.875)] {
            let e = evidence(&mesh(Some([x, y])), 0.0);
            let at = grid().centre(grid().coordinates(best(&e)));
            assert!(grid().distance(at, [x, y, at[2]]) < 0.4, "{at:?} for {x}, {y}");
            assert!(e[best(&e)] > 5.0);
        }
    }

    #[test]
    fn quiet_links_speak_against_anybody_anywhere() {
        assert!(evidence(&mesh(None), 0.0).iter().all(|v| *v < -3.0));
    }

    #[test]
    fn a_disturbance_that_others_explain_is_weak_evidence() {
        let samples = mesh(Some([2.0, 2.0]));
        let alone = evidence(&samples, 0.0);
        let explained = evidence(&samples, 9.0);
        let k = best(&alone);
        assert!(explained[k] < 0.4 * alone[k], "{} {}", explained[k], alone[k]);
    }

    #[test]
    fn a_loss_on_the_line_is_a_body_and_a_gain_is_not() {
        let one = |db: f32| evidence(&[sample(2, 9, db, 0.0), sample(9, 2, db, 0.0)], 0.0);
        let middle = 7 * 16 + 5;
        assert!(one(6.0)[middle] > one(-6.0)[middle] + 0.5);
    }

    #[test]
    fn a_sample_counts_once_and_by_its_rate() {
        let mut field = LinkField::new(FieldConfig::default(), &grid());
        let mut into = vec![0.0; 256];
        let mut run = |age_s: f32| {
            let fresh = field
                .observe(nodes().into_iter(), &[sample(1, 8, 0.0, age_s)], 0.05)
                .unwrap();
            field.evidence(&[0.0], &mut into);
            (fresh, into[7 * 16 + 7])
        };
        let (_, first) = run(0.01);
        let (again, _) = run(0.06);
        let (fresh, third) = run(0.01);
        assert!(fresh && !again);
        // 0.1 s after the last: a sixth of a coherence time.
        assert!((third / first - 0.1 / 0.6).abs() < 1e-3, "{third} {first}");
    }

    #[test]
    fn the_table_is_the_formula() {
        let samples = mesh(Some([1.4, 2.9]));
        let got = evidence(&samples, 0.5);
        let (c, nodes) = (FieldConfig::default(), nodes());
        for cell in [0, 37, 100, 255] {
            let at = grid().centre(grid().coordinates(cell));
            let (mut here, mut none) = (0.0_f64, 0.0_f64);
            for i in 0..12 {
                for j in i + 1..12 {
                    let (a, b) = (nodes[i].at_m, nodes[j].at_m);
                    let m = samples
                        .iter()
                        .find(|s| (s.tx, s.rx) == (nodes[i].id, nodes[j].id))
                        .unwrap();
                    let size = f64::from(m.quiet.unwrap().attenuation_db.abs());
                    let sigma = f64::from(m.quiet.unwrap().sigma_db());
                    let u = (size + 0.1).ln() + 0.25;
                    let w = 1.0 / (1.4 * 1.4 + 0.5);
                    let spread = f64::from(grid().distance(at, a) * grid().distance(at, b) / grid().distance(a, b));
                    let detour = f64::from(excess_path_m(&grid(), at, a, b)).max(0.05);
                    let d = f64::from(c.body_db) * sigma.powf(0.7) / (spread + 0.05) / detour.powf(0.4);
                    let floor = (0.8 * sigma + 0.1).powi(2) + 0.5;
                    for (sum, s2) in [(&mut here, floor + d * d), (&mut none, floor)] {
                        let r = u - 0.5 * s2.ln();
                        *sum -= 0.5 * w * r * r;
                    }
                }
            }
            let want = here - none;
            let mut without_shadow = LinkField::new(FieldConfig { shadow: 0.0, ..c }, &grid());
            without_shadow.observe(nodes.iter().copied(), &samples, 0.05).unwrap();
            let mut into = vec![0.0; 256];
            without_shadow.evidence(&[0.5; 66], &mut into);
            assert!(
                (f64::from(into[cell]) - want).abs() < 0.5,
                "{cell}: {} {want}",
                into[cell]
            );
            assert!(got[cell].is_finite());
        }
    }

    #[test]
    fn a_restored_field_counts_on() {
        let mut first = LinkField::new(FieldConfig::default(), &grid());
        first.observe(nodes().into_iter(), &mesh(None), 0.05).unwrap();
        let (nodes_then, ends, idle) = first.memory();
        let mut second = LinkField::new(FieldConfig::default(), &grid());
        second.restore(nodes_then, ends.to_vec(), idle).unwrap();
        assert!(second.restore(nodes_then, ends.to_vec(), &idle[1..]).is_err());
        let (mut a, mut b) = (vec![0.0; 256], vec![0.0; 256]);
        for (field, into) in [(&mut first, &mut a), (&mut second, &mut b)] {
            field
                .observe(nodes().into_iter(), &mesh(Some([1.0, 1.0])), 0.05)
                .unwrap();
            field.evidence(&[0.0; 66], into);
        }
        assert_eq!(a, b);
    }
}
