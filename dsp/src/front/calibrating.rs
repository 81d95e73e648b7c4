//! Taking a calibration while the cycle runs: by wall clock, refused when somebody moves.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Front, ns_to_seconds};
use crate::calibration::{ArtefactError, CalibrationArtefact, CalibrationRefused};

/// A calibration that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Calibrating {
    span_ns: Option<(i64, i64)>,
}

impl Calibrating {
    pub(super) fn start_ns(&self) -> Option<i64> {
        self.span_ns.map(|(start, _)| start)
    }
}

/// Where calibration stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CalibrationStatus {
    /// No baseline is in force and none is being taken.
    None,
    /// One is being taken.
    Running {
        /// Seconds watched so far.
        elapsed_s: f32,
        /// Seconds it takes in all.
        total_s: f32,
        /// Paths that have received enough already.
        paths_ready: u32,
        /// Paths that can be judged and move.
        paths_moving: u32,
    },
    /// One is complete (or was refused) and waits for [`Front::take_calibration`].
    Finished,
    /// A baseline is in force.
    InForce {
        /// Paths that have one.
        paths: u32,
    },
}

impl Front {
    /// Starts an empty-room calibration that lasts from the end of the last tick until `end_ns`. One that is
    /// running or not yet taken is dropped. The baseline in force, if any, stays in force.
    pub fn start_calibration(&mut self, end_ns: i64) {
        self.finished = None;
        self.calibrating.span_ns = Some((self.end_ns, end_ns));
        self.paths.iter_mut().for_each(|p| p.start_learning());
    }

    /// Gives up a calibration that is running.
    pub fn stop_calibration(&mut self) {
        self.calibrating.span_ns = None;
        self.paths.iter_mut().for_each(|p| p.stop_learning());
    }

    /// Where calibration stands.
    pub fn calibration_status(&self) -> CalibrationStatus {
        if self.finished.is_some() {
            return CalibrationStatus::Finished;
        }
        if let Some((start, end)) = self.calibrating.span_ns {
            let learners = || self.paths.iter().filter_map(|p| p.learner());
            return CalibrationStatus::Running {
                elapsed_s: ns_to_seconds(self.end_ns.saturating_sub(start)),
                total_s: ns_to_seconds(end.saturating_sub(start)),
                paths_ready: learners().filter(|l| l.ready()).count() as u32,
                paths_moving: learners().filter(|l| l.moved() == Some(true)).count() as u32,
            };
        }
        match self.paths.iter().filter(|p| p.baseline().is_some()).count() as u32 {
            0 => CalibrationStatus::None,
            paths => CalibrationStatus::InForce { paths },
        }
    }

    /// The calibration that has just ended: the artefact, or why it was refused. Once; it is not in force until it
    /// is given to [`Front::load_calibration`], so that the caller can log it first.
    pub fn take_calibration(&mut self) -> Option<Result<CalibrationArtefact, CalibrationRefused>> {
        self.finished.take()
    }

    /// Puts a calibration in force from the next stage on. Paths that it does not know lose their baseline. Returns
    /// how many paths have one now.
    ///
    /// # Errors
    /// [`ArtefactError`] when it is damaged or knows none of this site's paths; the old one stays in force then.
    pub fn load_calibration(&mut self, artefact: &CalibrationArtefact) -> Result<usize, ArtefactError> {
        artefact.check()?;
        let known = self
            .paths
            .iter()
            .filter(|p| artefact.find(&p.spec.identity()).is_some())
            .count();
        if known == 0 {
            return Err(ArtefactError::NoPathMatches {
                expected: self.paths.len(),
                found: artefact.paths.len(),
            });
        }
        for path in &mut self.paths {
            path.set_baseline(artefact.find(&path.spec.identity()).cloned(), self.config.step_s);
        }
        self.bearings.derive(&self.paths, true);
        self.gate.calibrated();
        Ok(known)
    }

    /// Ends a calibration whose time has come.
    pub(super) fn finish_calibration(&mut self) {
        let Some((start_ns, end_ns)) = self.calibrating.span_ns else {
            return;
        };
        if self.end_ns < end_ns {
            return;
        }
        self.calibrating.span_ns = None;
        self.finished = Some(self.judge_calibration(start_ns));
        self.paths.iter_mut().for_each(|p| p.stop_learning());
    }

    fn judge_calibration(&self, start_ns: i64) -> Result<CalibrationArtefact, CalibrationRefused> {
        let learners = || self.paths.iter().filter_map(|p| Some((p, p.learner()?)));
        let ready = learners().filter(|(_, l)| l.ready()).count();
        if ready == 0 || 2 * ready < self.paths.len() {
            return Err(CalibrationRefused::TooLittle {
                ready: ready as u32,
                paths: self.paths.len() as u32,
                frames_min: learners().map(|(_, l)| l.frames_min()).max().unwrap_or(0),
                frames_best: learners().map(|(_, l)| l.frames()).max().unwrap_or(0),
            });
        }
        let judged = learners().filter_map(|(_, l)| l.moved()).count() as u32;
        let moving = learners().filter(|(_, l)| l.moved() == Some(true)).count() as u32;
        // A quarter of the paths: one fan beside one link is not a person, a person touches more links than that.
        if moving > 0 && 4 * moving >= judged {
            return Err(CalibrationRefused::Motion { moving, judged });
        }
        let paths = learners()
            .filter_map(|(p, l)| Some((p.spec.identity(), l.baseline()?)))
            .collect();
        Ok(CalibrationArtefact {
            start_ns,
            end_ns: self.end_ns,
            paths,
        })
    }
}
