//! Recordings on an operator's order: begun and ended between two slots, bounded in time.

use std::{fs, sync::Arc};

use super::{capture::Capture, engine::Engine, notes::Note};
use crate::{
    cycle::Report,
    ingest::frames::Frames,
    live::{Hub, recording::RecordingNow},
    log::Stamp,
};

struct Running {
    capture: Capture,
    now: RecordingNow,
    last_tick: u64,
    /// What changed before the first slot is in force when the recording begins.
    fresh: bool,
}

/// An order to record that waits for its first slot.
struct Ordered {
    name: String,
    slots: u64,
}

/// The recording that runs, if one does.
pub(super) struct Recorder {
    hub: Arc<Hub>,
    ordered: Option<Ordered>,
    running: Option<Running>,
}

impl Recorder {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            ordered: None,
            running: None,
        }
    }

    /// Has one of `slots` slots begin with the next slot.
    pub(super) fn start(&mut self, name: String, slots: u64) {
        if self.running.is_some() || self.ordered.is_some() {
            tracing::warn!(name, "a recording runs already: the order is left out");
            return;
        }
        self.ordered = Some(Ordered { name, slots });
    }

    /// Right before slot `tick`, when all orders are taken: begins what was ordered. One that cannot be begun is said in the
    /// program's log: the order was taken already.
    pub(super) fn begin(&mut self, engine: &mut Engine, tick: u64, stamp: Stamp) {
        let Some(Ordered { name, slots }) = self.ordered.take() else {
            return;
        };
        let Some(file) = self.hub.recordings.file(&name) else {
            return;
        };
        let made = file.parent().map_or(Ok(()), fs::create_dir_all);
        let begin = engine.begin().map_err(std::io::Error::other);
        let capture = made.and_then(|()| Capture::start(&file, &self.hub.facts, begin?));
        match capture {
            Ok(capture) => {
                let now = RecordingNow {
                    name,
                    started_wall_ns: stamp.wall_ns,
                    slots: 0,
                    lost: 0,
                };
                self.hub.recordings.show(Some(now.clone()));
                self.running = Some(Running {
                    capture,
                    now,
                    last_tick: tick.saturating_add(slots.saturating_sub(1)),
                    fresh: true,
                });
            }
            Err(error) => tracing::error!(name, %error, "the recording cannot be begun"),
        }
    }

    /// Ends it; what it has is put on disk by its own thread.
    pub(super) fn stop(&mut self) {
        self.ordered = None;
        if let Some(running) = self.running.take() {
            running.capture.leave();
            self.hub.recordings.show(None);
        }
    }

    /// Hands over a slot; never waits.
    pub(super) fn slot(&mut self, frames: &Frames, tick: u64, stamp: Stamp, report: &Report, notes: &[Note]) {
        let Some(running) = &mut self.running else { return };
        let notes = if std::mem::take(&mut running.fresh) { &[] } else { notes };
        running.capture.slot(frames, tick, stamp, report, notes);
        running.now.slots += 1;
        running.now.lost = running.capture.lost();
        if tick.is_multiple_of(20) {
            self.hub.recordings.show(Some(running.now.clone()));
        }
        if tick >= running.last_tick || running.capture.is_over() {
            self.stop();
        }
    }
}
