//! From the samples of each link and channel to one reading for each pair of nodes.
//!
//! Both directions and all channels between two nodes cross the same ellipse, so they share one row of
//! the image problem. What a channel says is measured against that channel's own quiet level; a sample
//! without one, or older than [`ReadingConfig::max_age_s`], is left out.

use super::LinkGeometry;

/// What one link says on one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkSample {
    /// Transmitting node.
    pub tx: u32,
    /// Receiving node.
    pub rx: u32,
    /// Strength against the quiet level, when the link has one.
    pub quiet: Option<QuietSample>,
    /// Short-time change against its quiet value: `(now, quiet)`, one unit.
    pub change: Option<(f32, f32)>,
    /// Seconds since the last measurement.
    pub age_s: f32,
}

/// Received strength against the quiet level of the same link and channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuietSample {
    /// The quiet level, dBm.
    pub quiet_dbm: f32,
    /// Quiet level minus now, dB.
    pub attenuation_db: f32,
    /// Standard deviation of the quiet level, dB.
    pub noise_db: f32,
}

/// Least standard deviation of a strength reported in whole dB: the rounding error, 1 / sqrt(12).
pub const ROUNDING_DB: f32 = 0.288_675_13;

/// Most dB that any strength, loss or scatter can amount to: no receiver spans more.
const MOST_DB: f32 = 200.0;

impl QuietSample {
    /// Standard deviation, never below what rounding to whole dB causes, dB.
    pub fn sigma_db(&self) -> f32 {
        if self.noise_db > ROUNDING_DB {
            self.noise_db
        } else {
            ROUNDING_DB
        }
    }

    /// Whether all three are numbers a receiver can report.
    pub fn is_sound(&self) -> bool {
        self.quiet_dbm.abs() <= MOST_DB
            && self.attenuation_db.abs() <= MOST_DB
            && (0.0..=MOST_DB).contains(&self.noise_db)
    }
}

/// What is imaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantity {
    /// Distance of the strength from its quiet level over the quiet scatter: the size, not the sign, is
    /// what a body near a link changes in a cluttered room. Links without a quiet level give their change.
    #[default]
    Deviation,
    /// Loss against the quiet level, dB.
    Attenuation,
    /// Short-time change over quiet change.
    Change,
}

/// How readings are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadingConfig {
    /// What is imaged.
    pub quantity: Quantity,
    /// Samples of a pair that count, those with the strongest quiet level first (fade level: a channel that
    /// is not in a fade follows the direct path; Kaltiokallio et al. 2012). Zero: all.
    pub strongest: u32,
    /// Older samples are left out, seconds.
    pub max_age_s: f32,
    /// Standard deviation of what the model does not explain, in the unit of the reading.
    pub clutter: f32,
}

impl Default for ReadingConfig {
    fn default() -> Self {
        Self {
            quantity: Quantity::Deviation,
            strongest: 0,
            max_age_s: 1.0,
            clutter: 1.0,
        }
    }
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Value, unit of [`Quantity`] (dB, or times the quiet scatter).
    pub value: f32,
    /// Variance, the square of that unit.
    pub variance: f32,
}

/// Mean of `|n|` for a standard normal `n`, sqrt(2 / pi): what a quiet deviation amounts to.
const QUIET_DEVIATION: f32 = 0.797_884_6;
/// A deviation says *that* a link is disturbed; above this many quiet scatters, more says no more.
const MOST_DEVIATION: f32 = 20.0;

/// Value and own variance of a sample, `None` when it does not have the quantity.
fn single(sample: &LinkSample, quantity: Quantity) -> Option<(f32, f32)> {
    let quiet = sample.quiet.filter(QuietSample::is_sound);
    let change = sample
        .change
        .filter(|&(now, quiet)| now.is_finite() && now >= 0.0 && quiet.is_finite() && quiet > 0.0)
        .map(|(now, quiet)| (limit(now / quiet) - 1.0, 1.0));
    match quantity {
        Quantity::Deviation => quiet
            .map(|q| (limit(q.attenuation_db.abs() / q.sigma_db()) - QUIET_DEVIATION, 1.0))
            .or(change),
        Quantity::Attenuation => quiet.map(|q| (q.attenuation_db, q.sigma_db() * q.sigma_db())),
        Quantity::Change => change,
    }
}

fn limit(x: f32) -> f32 {
    if x < MOST_DEVIATION { x } else { MOST_DEVIATION }
}

/// Fills one reading a pair of `geometry` from samples in the order the geometry was built with; `None`
/// where no sample counts. Returns how many pairs have one.
pub fn combine(
    geometry: &LinkGeometry,
    samples: &[LinkSample],
    config: &ReadingConfig,
    readings: &mut [Option<Reading>],
) -> usize {
    let mut used = 0;
    for (pair, reading) in readings.iter_mut().enumerate() {
        *reading = pair_reading(geometry.samples_of(pair), samples, config);
        used += usize::from(reading.is_some());
    }
    used
}

fn pair_reading(members: &[u32], samples: &[LinkSample], config: &ReadingConfig) -> Option<Reading> {
    let usable = |&&i: &&u32| {
        let sample = &samples[i as usize];
        (sample.age_s >= 0.0 && sample.age_s <= config.max_age_s).then_some(())?;
        single(sample, config.quantity)
    };
    let floor_dbm = strongest_floor(members, samples, config);
    let (mut sum, mut variance, mut count) = (0.0, 0.0, 0_u32);
    for i in members {
        let Some((value, own)) = usable(&i) else { continue };
        let strong = samples[*i as usize].quiet.is_none_or(|q| q.quiet_dbm >= floor_dbm);
        if strong {
            sum += value;
            variance += own;
            count += 1;
        }
    }
    (count > 0).then(|| {
        let n = count as f32;
        Reading {
            value: sum / n,
            variance: variance / (n * n) + config.clutter * config.clutter,
        }
    })
}

/// Quiet level of the weakest sample that still counts; by the quiet levels alone, so that a missing
/// measurement does not let a faded channel in.
fn strongest_floor(members: &[u32], samples: &[LinkSample], config: &ReadingConfig) -> f32 {
    let level = |i: &u32| samples[*i as usize].quiet.map_or(f32::NEG_INFINITY, |q| q.quiet_dbm);
    let wanted = config.strongest as usize;
    if wanted == 0 || members.len() <= wanted {
        return f32::NEG_INFINITY;
    }
    // The largest level that at least `wanted` members reach.
    members
        .iter()
        .map(level)
        .filter(|&l| members.iter().filter(|m| level(m) >= l).count() >= wanted)
        .fold(f32::NEG_INFINITY, |best, l| if l > best { l } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(quiet_dbm: f32, attenuation_db: f32) -> LinkSample {
        LinkSample {
            tx: 1,
            rx: 2,
            quiet: Some(QuietSample {
                quiet_dbm,
                attenuation_db,
                noise_db: 0.0,
            }),
            change: None,
            age_s: 0.0,
        }
    }

    fn read(samples: &[LinkSample], config: ReadingConfig) -> Option<Reading> {
        let members: Vec<u32> = (0..samples.len() as u32).collect();
        pair_reading(&members, samples, &config)
    }

    #[test]
    fn attenuation_takes_the_strongest_channels() {
        let config = ReadingConfig {
            quantity: Quantity::Attenuation,
            strongest: 2,
            clutter: 0.5,
            ..ReadingConfig::default()
        };
        let got = read(&[sample(-40.0, 6.0), sample(-80.0, -9.0), sample(-45.0, 2.0)], config).unwrap();
        assert_eq!(got.value, 4.0);
        // Two roundings of 1/12 averaged, plus the clutter.
        assert!((got.variance - (1.0 / 24.0 + 0.25)).abs() < 1e-6);
    }

    #[test]
    fn deviation_does_not_care_for_the_sign() {
        let config = ReadingConfig::default();
        let loss = read(&[sample(-40.0, 3.0)], config).unwrap();
        let gain = read(&[sample(-40.0, -3.0)], config).unwrap();
        assert_eq!(loss, gain);
        assert!((loss.value - (3.0 / ROUNDING_DB - QUIET_DEVIATION)).abs() < 1e-5);
    }

    #[test]
    fn old_unsound_and_uncalibrated_samples_are_left_out() {
        let old = LinkSample {
            age_s: 1.5,
            ..sample(-40.0, 5.0)
        };
        let bare = LinkSample {
            quiet: None,
            ..sample(-40.0, 5.0)
        };
        for bad in [old, bare, sample(f32::NAN, 5.0), sample(-40.0, f32::INFINITY)] {
            assert_eq!(read(&[bad], ReadingConfig::default()), None);
        }
    }

    #[test]
    fn change_stands_in_where_there_is_no_quiet_level() {
        let csi = LinkSample {
            quiet: None,
            change: Some((0.6, 0.2)),
            ..sample(0.0, 0.0)
        };
        let got = read(&[csi], ReadingConfig::default()).unwrap();
        assert!((got.value - 2.0).abs() < 1e-6);
    }
}
