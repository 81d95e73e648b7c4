//! Recordings on an operator's order: begun and ended between two slots, bounded in time.
//!
//! No slot of a class stricter than Raw is in one. A demotion, which passes by itself, makes a gap that the file names; a
//! stricter mode, which somebody ordered, ends it.

use std::{fs, sync::Arc};

use super::{capture::Capture, engine::Engine, notes::Note};
use crate::{
    config::PrivacyMode,
    cycle::Report,
    ingest::frames::Frames,
    live::{
        Hub,
        recording::{RecordingEnd, RecordingNow},
    },
    log::Stamp,
};

/// The class in which raw measurements may be kept.
const RAW: u8 = 0;

struct Running {
    capture: Capture,
    now: RecordingNow,
    last_tick: u64,
    /// What changed before the first slot is in force when the recording begins.
    fresh: bool,
    /// The slot before was left out.
    gap: bool,
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
    /// Ended ones whose threads may still write.
    leaving: Vec<Capture>,
}

impl Recorder {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            ordered: None,
            running: None,
            leaving: Vec::new(),
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
    /// program's log: the order was taken already. While the class is demoted it waits: the file would begin with a state of
    /// that class.
    pub(super) fn begin(&mut self, engine: &mut Engine, tick: u64, stamp: Stamp) {
        if engine.core.outcome().privacy_class > RAW || engine.core.site().privacy.mode.class() > RAW {
            return;
        }
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
                    withheld: 0,
                };
                self.hub.recordings.show(Some(now.clone()));
                self.running = Some(Running {
                    capture,
                    now,
                    last_tick: tick.saturating_add(slots.saturating_sub(1)),
                    fresh: true,
                    gap: false,
                });
            }
            Err(error) => tracing::error!(name, %error, "the recording cannot be begun"),
        }
    }

    /// Ends it, or takes the order for it back; what it has is put on disk by its own thread. Its name, if there was one.
    pub(super) fn stop(&mut self, why: RecordingEnd) -> Option<String> {
        let ordered = self.ordered.take().map(|ordered| ordered.name);
        let Some(Running { mut capture, now, .. }) = self.running.take() else {
            return ordered;
        };
        capture.close();
        self.leaving.retain(|capture| !capture.is_written());
        self.leaving.push(capture);
        tracing::info!(
            name = now.name,
            ?why,
            slots = now.slots,
            withheld = now.withheld,
            "the recording ended"
        );
        self.hub.recordings.end(now.name.clone(), why);
        Some(now.name)
    }

    /// Ends it in a mode stricter than Raw: whoever chose it does not expect that raw measurements are kept again once it is
    /// loosened. The name of what ended.
    pub(super) fn hold_to(&mut self, mode: PrivacyMode) -> Option<String> {
        if mode.class() > RAW {
            self.stop(RecordingEnd::Mode)
        } else {
            None
        }
    }

    /// Waits until everything that was recorded is on disk.
    pub(super) fn finish(self) {
        self.hub.recordings.show(None);
        // What its captures do when they go.
        drop(self);
    }

    /// Hands over a slot whose outcome is of this class; never waits.
    pub(super) fn slot(
        &mut self,
        frames: &Frames,
        tick: u64,
        stamp: Stamp,
        report: &Report,
        notes: &[Note],
        class: u8,
    ) {
        let Some(running) = &mut self.running else { return };
        let notes = if std::mem::take(&mut running.fresh) { &[] } else { notes };
        let gap = class > RAW;
        if gap {
            running.capture.withhold();
            running.now.withheld += 1;
        } else {
            running.capture.slot(frames, tick, stamp, report, notes);
            running.now.slots += 1;
            running.now.lost = running.capture.lost();
        }
        if gap != std::mem::replace(&mut running.gap, gap) {
            let (name, withheld) = (&running.now.name, running.now.withheld);
            tracing::info!(
                name,
                tick,
                class,
                withheld,
                "the recording {}",
                if gap { "pauses" } else { "goes on" }
            );
            self.hub.recordings.show(Some(running.now.clone()));
        } else if tick.is_multiple_of(20) {
            self.hub.recordings.show(Some(running.now.clone()));
        }
        if running.capture.is_over() {
            self.stop(RecordingEnd::Disk);
        } else if tick >= running.last_tick {
            self.stop(RecordingEnd::Whole);
        }
    }
}
