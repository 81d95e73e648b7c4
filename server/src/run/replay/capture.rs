//! A capture: its slots, their times, which slot took which datagram and what the host decided are recorded input,
//! and they are obeyed. So are the code, the configuration and the calibrations it was made with, unless they are left out
//! on purpose: then the outcomes are the live run's, or the replay ends with what is missing.

use std::sync::Arc;

use tapline_plugin_api::StageKind;
use tapline_wire::recording::{RecordBody, Recording, capture::TickEntry};
use tapline_witness::{
    body::SwapResult,
    disposition::Disposition,
    hash::{Domain, ZERO},
};

use super::{ReplayError, Run};
use crate::{
    config::witnessed,
    cycle::{Obey, Report, clock::SLOT_NS},
    host::Manifest,
    log::Stamp,
    run::{
        engine::{Engine, EngineError},
        notes::{self, Begin, Note},
        swaps::put_as_recorded,
    },
};

/// Slot numbers from which a capture is not believed: three hundred years.
const TICK_MAX: u64 = 1 << 38;

/// Where a pass lies behind the end of the one before.
#[derive(Clone, Copy, Default)]
struct Offset {
    ticks: u64,
    ns: u64,
}

impl Run<'_> {
    /// Goes through a capture once.
    pub(super) fn pass_capture(&mut self, capture: Recording) -> Result<(), ReplayError> {
        let offset = Offset {
            ticks: self.tick - self.base_tick,
            ns: self
                .last
                .map_or(0, |last| last.mono_ns.saturating_sub(self.base_tick * SLOT_NS)),
        };
        let (mut waiting, mut notes) = (0, Vec::new());
        for record in capture {
            if self.learned() {
                return Ok(());
            }
            let record = record?;
            match record.body {
                RecordBody::Datagram(bytes) => {
                    self.tally.records += 1;
                    let arrival_ns = record.arrival_ns.unwrap_or_default().max(0).cast_unsigned();
                    // A refusal is counted by the gatekeeper.
                    if let Err(reason) = self.gate.admit(None, arrival_ns.saturating_add(offset.ns), &bytes) {
                        self.differs(|| format!("a datagram after slot {} is not used here: {reason}", self.before()))?;
                    }
                    waiting += 1;
                }
                RecordBody::NotUsed { reason } => {
                    self.tally.records += 1;
                    self.gate.count_not_used(reason);
                    // A torn tail is the end: whatever stands before it is whole.
                    if reason != "torn-tail" {
                        self.differs(|| format!("it is damaged ({reason}) after slot {}", self.before()))?;
                    }
                }
                RecordBody::Note(bytes) => notes.push(bytes),
                RecordBody::Tick(entry) => {
                    if waiting != entry.frames {
                        self.gate.count_not_used("capture-incomplete-slot");
                        let (tick, frames) = (entry.tick, entry.frames);
                        self.differs(|| format!("slot {tick} has {waiting} of its {frames} datagrams"))?;
                    }
                    waiting = 0;
                    for note in notes.drain(..) {
                        self.obey_note(&note, entry.tick)?;
                    }
                    self.recorded_slot(&entry, offset)?;
                }
            }
        }
        Ok(())
    }

    fn recorded_slot(&mut self, entry: &TickEntry, offset: Offset) -> Result<(), ReplayError> {
        let tick = entry.tick.saturating_add(offset.ticks);
        let mono_ns = u64::try_from(entry.end_ns)
            .unwrap_or_default()
            .saturating_add(offset.ns);
        let goes_on = self
            .last
            .is_none_or(|last| mono_ns > last.mono_ns.saturating_add(SLOT_NS / 2));
        let is_sane = (self.tick..TICK_MAX).contains(&tick) && (SLOT_NS / 2..TICK_MAX * SLOT_NS).contains(&mono_ns);
        let Some(mut obey) = obey(&entry.dispositions).filter(|_| goes_on && is_sane) else {
            self.gate.count_not_used("capture-bad-slot");
            return self.differs(|| format!("slot {tick} is not one that follows slot {}", self.before()));
        };
        if !self.as_recorded {
            // Other code fails for reasons of its own.
            obey.failed = [false; 3];
        }
        if self.last.is_none() {
            // It may have begun in the middle of a run.
            (self.tick, self.base_tick) = (tick, tick);
        }
        self.skip_to(tick)?;
        let wall_ns = entry.wall_ns.saturating_add_unsigned(offset.ns);
        // Whatever lies between two recorded slots was consumed by the later one, however late it was taken.
        let report = self.slot(Stamp { mono_ns, wall_ns }, u64::MAX, Some(obey))?;
        let found = [5, 7, 8].map(|stage: usize| report.stage[stage - 1].0);
        let stages = [StageKind::Cir, StageKind::Tomography, StageKind::Tracker];
        match (0..3).find(|i| found[*i] != obey.stages[*i]) {
            None => Ok(()),
            Some(i) => self.differs(|| {
                format!(
                    "in slot {tick} the stage {} ended in {}, and here in {}; this plugin does not do the same twice",
                    stages[i].name(),
                    obey.stages[i].name(),
                    found[i].name()
                )
            }),
        }
    }

    /// Ends a replay that is to be as recorded.
    fn differs(&self, what: impl FnOnce() -> String) -> Result<(), ReplayError> {
        if self.as_recorded {
            return Err(ReplayError::NotAsRecorded { what: what() });
        }
        Ok(())
    }

    /// The last slot in words.
    fn before(&self) -> String {
        self.last
            .map_or_else(|| "none".to_owned(), |_| self.tick.saturating_sub(1).to_string())
    }

    /// Does what was done before slot `tick`.
    fn obey_note(&mut self, note: &[u8], tick: u64) -> Result<(), ReplayError> {
        if !self.as_recorded {
            return Ok(());
        }
        // As early as can be: the slot keeps the time it was computed for, whatever stands before it.
        let stamp = match self.last {
            Some(_) => self.after_last(),
            None => Stamp {
                mono_ns: 0,
                wall_ns: self.first_ns,
            },
        };
        match Note::from_bytes(note)? {
            Note::Begin(_) if self.last.is_none() => {}
            Note::Begin(_) => return self.differs(|| format!("it begins a second time before slot {tick}")),
            Note::Lost(slots) => {
                return self
                    .differs(|| format!("{slots} slots before slot {tick} are not in it: the disk was too slow"));
            }
            Note::Withheld(slots) => {
                return self.differs(|| {
                    format!(
                        "{slots} slots before slot {tick} are not in it: they ran in a privacy class stricter than Raw, in \
                         which nothing is recorded"
                    )
                });
            }
            Note::Manifest { text, state, leaf } => self.put_in_force(text, state, leaf, stamp, tick)?,
            Note::Configured { now, config_hash } => {
                let site = now.over(self.engine.core.site())?;
                if Domain::Config.hash(witnessed::document(&site).as_bytes()) != config_hash {
                    return self.differs(|| format!("the configuration of slot {tick} is not the recorded one"));
                }
                self.engine.configure(stamp, tick, Arc::clone(&site), ZERO)?;
            }
            Note::StartCalibration { end_ns } => self.engine.start_calibration(stamp, end_ns)?,
            Note::StopCalibration => self.engine.stop_calibration(stamp)?,
        }
        Ok(())
    }

    fn put_in_force(
        &mut self,
        text: String,
        state: [u8; 3],
        (result, reason): (u8, u16),
        stamp: Stamp,
        tick: u64,
    ) -> Result<(), ReplayError> {
        let missing = |why: String| {
            ReplayError::not_as_recorded(format!(
                "from slot {tick} on it ran under another manifest, which does not come up here: {why}"
            ))
        };
        let manifest = Manifest::parse(text).map_err(|e| missing(e.to_string()))?;
        let result = SwapResult::from_byte(result).ok_or_else(|| missing(format!("result {result} is none")))?;
        let found = put_as_recorded(&mut self.engine, stamp, manifest, tick, (result, reason))
            .map_err(|e| missing(e.to_string()))?;
        if found.map(notes::code) != state {
            return self.differs(|| {
                format!("at slot {tick} the stages' states went over as {state:?}, and here as {found:?}")
            });
        }
        Ok(())
    }
}

/// Takes over what was in force when a capture began.
pub(super) fn go_on_from(engine: &mut Engine, begin: Begin, stamp: Stamp) -> Result<(), ReplayError> {
    if let Some(bytes) = &begin.calibration {
        engine.load_calibration(bytes, stamp)?;
    }
    if let Some(state) = &begin.state {
        engine.go_on_from(state).map_err(EngineError::from)?;
    }
    Ok(())
}

/// Dispositions as [`dispositions`] writes them.
fn obey(bytes: &[u8]) -> Option<Obey> {
    let (stages, more) = bytes.split_first_chunk::<3>()?;
    let mut obey = Obey::whole([Disposition::Ran; 3]);
    for (slot, byte) in obey.stages.iter_mut().zip(stages) {
        *slot = Disposition::from_byte(*byte)?;
    }
    match more {
        [] => Some(obey),
        [failed @ 0..8, late @ ..] => {
            obey.failed = [0, 1, 2].map(|stage| failed >> stage & 1 == 1);
            obey.late_groups = u64::from_le_bytes(late.try_into().ok()?);
            Some(obey)
        }
        _ => None,
    }
}

/// What the host decided in a slot: one byte each for cir, tomography, tracker. When that leaves something open, a byte with a
/// bit for each of them that was skipped because it had failed, and a u64 with a bit for each group of cir that was late.
pub(in crate::run) fn dispositions(report: &Report) -> Vec<u8> {
    let mut bytes = [5, 7, 8].map(|stage: usize| report.stage[stage - 1].0 as u8).to_vec();
    let failed = (0..3).fold(0, |bits, stage| bits | u8::from(report.failed[stage]) << stage);
    if failed != 0 || report.late_groups != 0 {
        bytes.push(failed);
        bytes.extend_from_slice(&report.late_groups.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Disposition, Obey, Report, dispositions, obey};

    #[test]
    fn three_known_bytes_are_dispositions() {
        assert_eq!(obey(&[0, 0, 0]), Some(Obey::whole([Disposition::Ran; 3])));
        assert_eq!(obey(&[0, 0]), None);
        assert_eq!(obey(&[0, 0, 0, 0]), None);
        assert_eq!(obey(&[0, 255, 0]), None);
        assert_eq!(
            obey(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
            None,
            "there is no fourth stage"
        );
    }

    #[test]
    fn what_the_three_leave_open_comes_back() {
        let mut report = Report {
            late_groups: 0b101,
            failed: [false, false, true],
            ..Report::default()
        };
        report.stage[4].0 = Disposition::Timeout;
        report.stage[6].0 = Disposition::Ran;
        report.stage[7].0 = Disposition::Skipped;
        let found = obey(&dispositions(&report)).unwrap();
        assert_eq!(
            found.stages,
            [Disposition::Timeout, Disposition::Ran, Disposition::Skipped]
        );
        assert_eq!((found.late_groups, found.failed), (0b101, [false, false, true]));
        report.stage[4].0 = Disposition::Ran;
        (report.late_groups, report.failed) = (0, [false; 3]);
        assert_eq!(dispositions(&report).len(), 3);
    }
}
