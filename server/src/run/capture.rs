//! `serve --capture`: every datagram that was consumed and every slot, written beside the running cycle.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use tapline_wire::recording::{
    SourceKey,
    capture::{CaptureHeader, CaptureWriter, TickEntry},
};

use super::{
    notes::{Begin, Note},
    replay::capture::dispositions,
};
use crate::{cycle::Report, host::Manifest, ingest::frames::Frames, live::Facts, log::Stamp};

/// Slots that may wait for the disk; more are lost, and said.
const WAITING_SLOTS: usize = 200;

struct SlotCopy {
    /// What has to be said before it.
    notes: Vec<Note>,
    frames: Frames,
    tick: TickEntry,
}

/// A capture being written by a thread of its own.
pub(super) struct Capture {
    to_writer: Option<SyncSender<SlotCopy>>,
    thread: Option<JoinHandle<()>>,
    lost: u64,
    /// Lost slots of which the file does not know yet.
    untold: u64,
    /// Slots left out on purpose of which the file does not know yet.
    withheld: u64,
}

impl Capture {
    /// Creates the file; one that exists is not overwritten. `begin` is what is in force.
    pub(super) fn start(path: &Path, facts: &Facts, begin: Begin) -> io::Result<Self> {
        let file = File::create_new(path)?;
        let manifest_hash = Manifest::parse(begin.manifest.as_str()).map_or([0; 32], |m| m.hash());
        let header = CaptureHeader {
            simulated: facts.site.nodes.iter().any(|node| node.simulated),
            opened_ns: facts.started_wall_ns,
            manifest_hash,
            site_id: facts.site.id.clone(),
        };
        let mut writer = CaptureWriter::new(BufWriter::new(file), &header)?;
        let (to_writer, slots) = sync_channel::<SlotCopy>(WAITING_SLOTS);
        let thread = std::thread::Builder::new()
            .name("tapline-capture".into())
            .spawn(move || {
                if let Err(error) = writer.note(0, &Note::Begin(Box::new(begin)).to_bytes()) {
                    tracing::error!(%error, "the capture ends before its first slot");
                    return;
                }
                for slot in slots {
                    if let Err(error) = write(&mut writer, &slot) {
                        tracing::error!(%error, "the capture ends here");
                        return;
                    }
                }
                if let Err(error) = writer.finish() {
                    tracing::error!(%error, "the capture was not closed well");
                }
            })?;
        Ok(Self {
            to_writer: Some(to_writer),
            thread: Some(thread),
            lost: 0,
            untold: 0,
            withheld: 0,
        })
    }

    /// Hands over a slot, the time it was computed for, and what changed before it; never waits.
    pub(super) fn slot(&mut self, frames: &Frames, tick: u64, stamp: Stamp, report: &Report, notes: &[Note]) {
        let Some(to_writer) = &self.to_writer else { return };
        let lost = (self.untold > 0).then_some(Note::Lost(self.untold));
        let withheld = (self.withheld > 0).then_some(Note::Withheld(self.withheld));
        let tick = TickEntry {
            tick,
            end_ns: stamp.mono_ns.cast_signed(),
            wall_ns: stamp.wall_ns,
            frames: frames.len() as u32,
            dispositions: dispositions(report),
        };
        match to_writer.try_send(SlotCopy {
            notes: lost.into_iter().chain(withheld).chain(notes.iter().cloned()).collect(),
            frames: frames.clone(),
            tick,
        }) {
            Ok(()) => (self.untold, self.withheld) = (0, 0),
            Err(TrySendError::Full(_)) => self.lose(),
            Err(TrySendError::Disconnected(_)) => self.to_writer = None,
        }
    }

    /// Counts a slot that does not go into the file; the next one that does says so.
    pub(super) fn lose(&mut self) {
        self.lost += 1;
        self.untold += 1;
        tracing::warn!(
            lost = self.lost,
            "the disk is too slow for the capture: a slot is missing in it"
        );
    }

    /// Leaves a slot out; the next one that goes into the file says so.
    pub(super) fn withhold(&mut self) {
        self.withheld += 1;
    }

    /// Slots that were lost.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// True when the file takes no more.
    pub(super) const fn is_over(&self) -> bool {
        self.to_writer.is_none()
    }

    /// Ends it without waiting: its thread puts the rest on disk.
    pub(super) fn close(&mut self) {
        self.to_writer = None;
    }

    /// True when its thread has nothing more to put on disk.
    pub(super) fn is_written(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until everything is on disk.
    pub(super) fn finish(self) {
        drop(self);
    }
}

/// Whatever ends the run, an error or a panic too: what was handed over is put on disk before the process goes.
impl Drop for Capture {
    fn drop(&mut self) {
        self.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the capture's thread panicked");
        }
    }
}

fn write<W: io::Write>(writer: &mut CaptureWriter<W>, slot: &SlotCopy) -> io::Result<()> {
    let offset_ns = slot.tick.wall_ns - slot.tick.end_ns;
    for note in &slot.notes {
        writer.note(slot.tick.end_ns, &note.to_bytes())?;
    }
    for frame in slot.frames.iter() {
        let arrival_ns = frame.arrival_ns.cast_signed();
        let source = u16::try_from(frame.source).map_or(SourceKey::Recording, SourceKey::Node);
        writer.datagram(arrival_ns, arrival_ns + offset_ns, source, frame.bytes)?;
    }
    writer.tick(&slot.tick)
}
