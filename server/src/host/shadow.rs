//! A generation that computes what the active one computes, and is only looked at.
//!
//! It never runs on the cycle's thread: the cycle hands over what it read and answered ([`Feed`]), and a slow or
//! hanging candidate costs the cycle nothing but that copy.

use std::time::{Duration, Instant};

use tapline_plugin_api::StageKind;
use tapline_witness::disposition::Disposition;

use super::{
    HostError, PluginHost,
    bench::{Bench, RunOrder},
    buffers::{CirBuffers, Scene, TomographyBuffers, TrackerBuffers},
    fill_tomography, fill_tracker,
    generation::Generation,
    kind::Kind,
    manifest_write::stage_kinds,
    state,
    swap::{Carried, UNHURRIED},
    worker::StageRun,
};

/// What the active generation read and answered in one cycle.
pub struct Feed {
    tick: u64,
    orders: [RunOrder; 3],
    cir: Vec<CirBuffers>,
    scene: Scene,
    image: Option<TomographyBuffers>,
    people: Option<TrackerBuffers>,
    runs: [Vec<StageRun>; 3],
}

/// One stage of one cycle: the candidate beside what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageComparison {
    /// How the running stage ended.
    pub active: Disposition,
    /// How the candidate's ended.
    pub shadow: Disposition,
    /// 32-bit values compared; 0 when either gave no answer.
    pub values: u64,
    /// Of which with equal bits.
    pub equal: u64,
    /// Largest absolute difference: of taps, voxel means and variances, positions (m) and velocities (m/s).
    pub max_difference: f32,
    /// Slowest instance of the running stage, microseconds.
    pub active_us: u32,
    /// Slowest instance of the candidate's, microseconds.
    pub shadow_us: u32,
}

/// One compared cycle: stages cir, tomography, tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShadowCycle {
    /// Its tick.
    pub tick: u64,
    /// One a stage.
    pub stages: [StageComparison; 3],
}

/// A generation in the shadow.
pub struct Shadow {
    generation: Generation,
    /// State of its instances before they saw anything.
    newborn: Vec<u8>,
    /// Stages that are out in the active generation and stay so.
    out: [bool; 3],
}

impl PluginHost {
    /// A copy of what the stages read and answered in the cycle that has just run.
    pub fn feed(&self, tick: u64) -> Feed {
        let cir = &self.active.cir;
        Feed {
            tick,
            orders: self.orders,
            cir: (0..cir.len()).filter_map(|i| cir.buffers(i).cloned()).collect(),
            scene: self.scene.clone(),
            image: self.active.tomography.buffers(0).cloned(),
            people: self.active.tracker.buffers(0).cloned(),
            runs: stage_kinds().map(|stage| self.runs(stage).to_vec()),
        }
    }
}

impl Shadow {
    /// Puts a generation in the shadow.
    pub const fn new(generation: Generation) -> Self {
        Self {
            generation,
            newborn: Vec::new(),
            out: [false; 3],
        }
    }

    /// Begins where the active generation stands, as far as code and state schema allow.
    ///
    /// # Errors
    /// [`HostError::State`] when a stage does not give or refuses its state.
    pub fn adopt(&mut self, carried: &Carried) -> Result<(), HostError> {
        self.newborn.clear();
        state::export(&mut self.generation, UNHURRIED, &mut self.newborn)?;
        self.out = stage_kinds().map(|stage| carried.is_out(stage));
        carried.give(&mut self.generation)
    }

    /// The generation, to be activated. What it saw in the shadow is forgotten: a stage that takes no state over begins
    /// anew, whatever it was compared on.
    ///
    /// # Errors
    /// [`HostError::State`] when a stage refuses the state that it gave itself.
    pub fn into_generation(mut self) -> Result<Generation, HostError> {
        if !self.newborn.is_empty() {
            state::import(&mut self.generation, UNHURRIED, &self.newborn)?;
        }
        Ok(self.generation)
    }

    /// The stage that ended itself in the shadow, with what ended it.
    pub fn failure(&self) -> Option<(StageKind, StageRun)> {
        let failed = |stage| Some((stage, self.generation.failure(stage)?.clone()));
        let mut inside = stage_kinds().into_iter().filter(|stage| !self.out[*stage as usize]);
        inside.find_map(failed)
    }

    /// Computes one cycle within a time and compares.
    pub fn run(&mut self, feed: &Feed, within: Duration) -> ShadowCycle {
        let begun = Instant::now();
        let next = &mut self.generation;
        let order = |stage: StageKind| RunOrder {
            deadline: Some(within.saturating_sub(begun.elapsed())),
            // Skipped for want of input is the cycle's own decision; everything else the candidate shows itself.
            idle: feed.orders[stage as usize].idle,
            obey: None,
        };
        let mut cycle = ShadowCycle {
            tick: feed.tick,
            ..ShadowCycle::default()
        };
        if next.cir.len() == feed.cir.len() {
            for (index, from) in feed.cir.iter().enumerate() {
                let to = next.cir.buffers_mut(index);
                to.links.copy_from_slice(&from.links);
                to.tones.copy_from_slice(&from.tones);
                to.mask.copy_from_slice(&from.mask);
            }
            next.cir.run(order(StageKind::Cir));
        }
        cycle.stages[0] = judge(&next.cir, &feed.runs[0], |index, into| {
            if let (Some(a), Some(b)) = (feed.cir.get(index), next.cir.buffers(index)) {
                into.bits(bytemuck::cast_slice(&a.taps), bytemuck::cast_slice(&b.taps));
                into.bits(bytemuck::cast_slice(&a.summaries), bytemuck::cast_slice(&b.summaries));
                into.difference(bytemuck::cast_slice(&a.taps), bytemuck::cast_slice(&b.taps));
            }
        });
        fill_tomography(next, &feed.scene);
        next.tomography.run(order(StageKind::Tomography));
        cycle.stages[1] = judge(&next.tomography, &feed.runs[1], |_, into| {
            if let (Some(a), Some(b)) = (&feed.image, next.tomography.buffers(0)) {
                for (x, y) in [(&a.mean, &b.mean), (&a.variance, &b.variance)] {
                    into.bits(bytemuck::cast_slice(x), bytemuck::cast_slice(y));
                    into.difference(x, y);
                }
                into.bits(bytemuck::bytes_of(&a.summary), bytemuck::bytes_of(&b.summary));
            }
        });
        fill_tracker(next, &feed.scene);
        next.tracker.run(order(StageKind::Tracker));
        cycle.stages[2] = judge(&next.tracker, &feed.runs[2], |_, into| {
            if let (Some(a), Some(b)) = (&feed.people, next.tracker.buffers(0)) {
                let used = a.summary.count.max(b.summary.count) as usize;
                into.bits(bytemuck::bytes_of(&a.summary), bytemuck::bytes_of(&b.summary));
                into.bits(
                    bytemuck::cast_slice(&a.tracks[..used]),
                    bytemuck::cast_slice(&b.tracks[..used]),
                );
                for (x, y) in a.tracks[..used].iter().zip(&b.tracks[..used]) {
                    into.difference(&x.mean, &y.mean);
                }
            }
        });
        cycle
    }
}

/// Compares the instances of one stage; `values` compares one instance's answers.
fn judge<K: Kind>(
    shadow: &Bench<K>,
    active: &[StageRun],
    values: impl Fn(usize, &mut StageComparison),
) -> StageComparison {
    let mut stage = StageComparison {
        active: whole(active),
        shadow: whole(shadow.runs()),
        active_us: slowest_us(active),
        shadow_us: slowest_us(shadow.runs()),
        ..StageComparison::default()
    };
    if (stage.active, stage.shadow) == (Disposition::Ran, Disposition::Ran) {
        for index in 0..active.len().min(shadow.len()) {
            values(index, &mut stage);
        }
    }
    stage
}

/// One group's fault is the stage's.
fn whole(runs: &[StageRun]) -> Disposition {
    let worst = runs.iter().map(|r| r.disposition).find(|d| *d != Disposition::Ran);
    worst.unwrap_or(if runs.is_empty() {
        Disposition::Skipped
    } else {
        Disposition::Ran
    })
}

fn slowest_us(runs: &[StageRun]) -> u32 {
    let slowest = runs.iter().map(|r| r.elapsed_ns).max().unwrap_or(0);
    u32::try_from(slowest / 1_000).unwrap_or(u32::MAX)
}

impl StageComparison {
    /// Answers are canonical, so equal values are equal bits.
    fn bits(&mut self, a: &[u8], b: &[u8]) {
        let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
        self.values += a.len().max(b.len()) as u64;
        self.equal += a.zip(b).filter(|(x, y)| x == y).count() as u64;
    }

    fn difference(&mut self, a: &[f32], b: &[f32]) {
        for (x, y) in a.iter().zip(b) {
            let by = (x - y).abs();
            if by > self.max_difference {
                self.max_difference = by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_differences_are_counted() {
        let mut stage = StageComparison::default();
        let (a, b) = ([1.0_f32, 2.0, 3.0], [1.0_f32, 2.5, 2.0]);
        stage.bits(bytemuck::cast_slice(&a), bytemuck::cast_slice(&b));
        stage.difference(&a, &b);
        assert_eq!((stage.values, stage.equal, stage.max_difference), (3, 1, 1.0));
        // An answer that is longer has values the other lacks.
        stage.bits(bytemuck::cast_slice(&a), bytemuck::cast_slice(&b[..2]));
        assert_eq!((stage.values, stage.equal), (6, 2));
    }
}
