//! A capture: its slots, their times, which slot took which datagram and what the host decided are recorded input,
//! and they are obeyed. The same capture, manifest and configuration give the outcomes of the live run.

use tapline_wire::recording::{RecordBody, Recording, capture::TickEntry};
use tapline_witness::disposition::Disposition;

use super::{ReplayError, Run};
use crate::{
    cycle::{Obey, clock::SLOT_NS},
    log::Stamp,
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
            ticks: self.tick,
            ns: self.last.map_or(0, |last| last.mono_ns),
        };
        let mut waiting = 0;
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
                    let _ = self.gate.admit(None, arrival_ns.saturating_add(offset.ns), &bytes);
                    waiting += 1;
                }
                RecordBody::NotUsed { reason } => {
                    self.tally.records += 1;
                    self.gate.count_not_used(reason);
                }
                RecordBody::Tick(entry) => {
                    if waiting != entry.frames {
                        self.gate.count_not_used("capture-incomplete-slot");
                    }
                    waiting = 0;
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
        let Some(obey) = obey(&entry.dispositions).filter(|_| goes_on && is_sane) else {
            self.gate.count_not_used("capture-bad-slot");
            return Ok(());
        };
        self.skip_to(tick)?;
        let wall_ns = entry.wall_ns.saturating_add_unsigned(offset.ns);
        // Whatever lies between two recorded slots was consumed by the later one, however late it was taken.
        self.slot(Stamp { mono_ns, wall_ns }, u64::MAX, Some(obey))
    }
}

/// Dispositions as `serve --capture` writes them: one byte each for cir, tomography, tracker.
fn obey(bytes: &[u8]) -> Option<Obey> {
    let mut obey = [Disposition::Ran; 3];
    for (slot, byte) in obey.iter_mut().zip(bytes) {
        *slot = Disposition::from_byte(*byte)?;
    }
    (bytes.len() == 3).then_some(obey)
}

#[cfg(test)]
mod tests {
    use super::{Disposition, obey};

    #[test]
    fn three_known_bytes_are_dispositions() {
        assert_eq!(obey(&[0, 0, 0]), Some([Disposition::Ran; 3]));
        assert_eq!(obey(&[0, 0]), None);
        assert_eq!(obey(&[0, 0, 0, 0]), None);
        assert_eq!(obey(&[0, 255, 0]), None);
    }
}
