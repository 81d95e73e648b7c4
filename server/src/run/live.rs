//! The server in real time: socket, cycle thread, readers.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tapline_witness::{
    body::{Audit, Body, ClockStep, Gap, GapReason, Key, Shutdown, ShutdownReason},
    codec::Text,
};

use super::{
    Engine, EngineError,
    capture::Capture,
    diagnostics::Observer,
    engine::SlotInput,
    environment,
    recordings::Recorder,
    start::{Prepared, StartError, Started, node_keys, rollup_options},
    swaps::Swaps,
};
use crate::{
    api,
    config::RawStore,
    cycle::clock::{SLOT_NS, next_slot, slot_end_ns},
    host::{HostError, fingerprint},
    ingest::{frames::Frames, gatekeeper::Gatekeeper, udp},
    live::{Command, Durable, Hub, Readiness, recording::RecordingEnd},
    log::{LogOptions, Stamp, WriterOptions},
    store::{reader::Reader, retention::Retention},
};

/// The plugin stages of a slot must be done by then; the rest of the slot is for the log and the readers.
pub const DEADLINE: Duration = Duration::from_millis(40);
/// How long a slot may wait for a free record.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a stage may take to give or take its state between two slots.
const STATE_TIME: Duration = Duration::from_millis(500);
/// Missed slots from which the log says so in a leaf of its own.
const GAP_SLOTS: u64 = 20;
/// A step of the wall clock against the monotonic one that is logged.
const CLOCK_STEP_NS: i64 = 1_000_000_000;

/// Called with the readers' side when the sockets are open.
pub type OnReady = Box<dyn Fn(&Arc<Hub>, Bound) + Send + Sync>;

/// Where the server listens and keeps its data.
pub struct LiveOptions {
    /// HTTP.
    pub http: SocketAddr,
    /// UDP.
    pub udp: SocketAddr,
    /// Data directory.
    pub data_dir: PathBuf,
    /// Anchor file.
    pub anchor: PathBuf,
    /// Who may reach the API, and how.
    pub security: api::Security,
    /// Write every datagram and slot into this file.
    pub capture: Option<PathBuf>,
    /// How long the plugin stages of a slot may take together; [`DEADLINE`] but for demos.
    pub deadline: Duration,
    /// Told once when the sockets are open: what the demo hangs its room on.
    pub ready: Option<OnReady>,
}

/// Where the server listens: port 0 is a port by now.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Pages and API.
    pub http: SocketAddr,
    /// Datagrams of nodes.
    pub udp: SocketAddr,
}

/// Why the server ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The environment or the plugins.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Configuration, plugins, log.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node socket.
    #[error(transparent)]
    Udp(#[from] udp::UdpError),
    /// The HTTP socket.
    #[error(transparent)]
    Api(#[from] api::ServeError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The capture file.
    #[error("cannot write the capture: {0}")]
    Capture(std::io::Error),
    /// A thread or the runtime.
    #[error("cannot start: {0}")]
    System(std::io::Error),
    /// The log failed while running: what was committed is safe, the process must be started again.
    #[error("the log failed: {0}. What was committed is safe; start the server again")]
    Engine(#[from] EngineError),
}

/// Cycles of so many hours at twenty a second, and a tenth more: what is asked for is never cut short by it.
fn most_cycles(hours: u32) -> u64 {
    Retention::default().cycles_max.max(u64::from(hours) * 3_600 * 22)
}

/// Runs until `stop` is set.
///
/// # Errors
/// [`ServeError`].
pub fn serve(prepared: Prepared, options: &LiveOptions, stop: &Arc<AtomicBool>) -> Result<(), ServeError> {
    crate::host::load::check_environment()?;
    let keys = node_keys(&prepared.site)?;
    let gate = Arc::new(Gatekeeper::new(&prepared.fleet.server, &prepared.site, &keys));
    let retention = &prepared.site.retention;
    let log = LogOptions {
        anchor: Some(options.anchor.clone()),
        writer: WriterOptions::live(Retention {
            raw_s: if retention.raw == RawStore::Off {
                0
            } else {
                u64::from(retention.raw_minutes) * 60
            },
            cycles_s: u64::from(retention.outcome_hours) * 3_600,
            leaves_s: u64::from(retention.leaf_hours) * 3_600,
            cycles_max: most_cycles(retention.outcome_hours),
        }),
        rollup: Some(rollup_options(&prepared.site)),
        ..LogOptions::live(&options.data_dir)
    };
    let boot = Instant::now();
    let stamp = Stamp {
        mono_ns: 0,
        wall_ns: wall_ns(),
    };
    let host = environment::host(prepared.builds());
    let Started { mut engine, hub } =
        prepared.start(log, stamp, host, fingerprint::numeric_profile(), PATIENCE, true)?;
    let (hub, commands) = hub.expect("a live start has readers");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    let reader = Arc::new(Reader::open(&options.data_dir)?);
    engine.end_beliefs_of_earlier_boots(&reader)?;
    engine.reload_calibration(&reader, stamp)?;
    let capture = match &options.capture {
        None => None,
        Some(path) => {
            let begin = engine.begin().map_err(EngineError::from)?;
            Some(Capture::start(path, &hub.facts, begin).map_err(ServeError::Capture)?)
        }
    };
    engine.core.host.set_state_time(STATE_TIME);
    let swaps = Swaps::start(&engine, &hub, options.deadline).map_err(ServeError::System)?;
    let durable = engine.writer.durable();
    let listener = {
        let _inside = runtime.enter();
        api::bind(options.http)?
    };
    let socket = udp::bind(options.udp)?;
    let bound = Bound {
        http: listener.local_addr().map_err(ServeError::System)?,
        udp: socket.local_addr().map_err(ServeError::System)?,
    };
    let receiving = udp::Receiving::start(socket, Arc::clone(&gate), boot).map_err(ServeError::System)?;
    runtime.spawn(follow_durable(durable, Arc::clone(&hub)));
    let metrics = Arc::new(api::Metrics::new());
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let server = {
        let _inside = runtime.enter();
        api::router(Arc::clone(&hub), reader, metrics, options.security.clone())?
    };
    let web = runtime.spawn(async move {
        let ended = async {
            let _ = ended.await;
        };
        server.serve(listener, ended).await
    });
    if let Some(ready) = &options.ready {
        ready(&hub, bound);
    }
    tracing::info!(http = %bound.http, udp = %bound.udp, site = %hub.facts.site.id, "serving");
    hub.keep_in(&options.data_dir);
    let live = Live {
        recorder: Recorder::new(Arc::clone(&hub)),
        engine,
        gate,
        hub: Arc::clone(&hub),
        commands,
        swaps,
        capture,
        deadline: options.deadline,
        boot,
        stop: Arc::clone(stop),
    };
    let cycle = std::thread::Builder::new()
        .name("tapline-cycle".into())
        .spawn(move || live.run())
        .map_err(ServeError::System)?;
    let result = cycle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    hub.set_readiness(Readiness::NotReady("stopping".to_owned()));
    drop(receiving);
    let _ = end.send(());
    let _ = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), web).await });
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(result?)
}

/// The leaf of an order stands in front of the slot it holds for.
fn before(slot: Stamp) -> Stamp {
    Stamp {
        mono_ns: slot.mono_ns.saturating_sub(1),
        ..slot
    }
}

async fn follow_durable(mut durable: tokio::sync::watch::Receiver<crate::log::Durable>, hub: Arc<Hub>) {
    loop {
        let now = durable.borrow_and_update().clone();
        hub.publish_durable(Durable {
            size: now.size,
            note: now.note.to_string(),
        });
        if durable.changed().await.is_err() {
            return;
        }
    }
}

fn wall_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

struct Live {
    engine: Engine,
    gate: Arc<Gatekeeper>,
    hub: Arc<Hub>,
    commands: Receiver<Command>,
    swaps: Swaps,
    capture: Option<Capture>,
    deadline: Duration,
    recorder: Recorder,
    boot: Instant,
    stop: Arc<AtomicBool>,
}

impl Live {
    fn run(mut self) -> Result<(), EngineError> {
        let mut frames = Frames::with_capacity(512);
        let mut observer = Observer::new(&self.gate);
        let first_end_ns = self.now_ns() + SLOT_NS;
        let (mut last, mut cycles, mut missed) = (None, 0_u64, 0_u64);
        // The latest slot that came, whether it ran or not.
        let mut came = None;
        let mut wall_offset_ns = wall_ns() - self.now_ns().cast_signed();
        while !self.stop.load(Ordering::Relaxed) {
            let tick = next_slot(first_end_ns, came, self.now_ns());
            let due_ns = slot_end_ns(first_end_ns, tick);
            std::thread::sleep(Duration::from_nanos(due_ns.saturating_sub(self.now_ns())));
            came = Some(tick);
            if !self.engine.ready()? {
                // Orders and datagrams stay in their queues for the next slot.
                continue;
            }
            missed += self.note_gap(last, tick)?;
            let offset_ns = wall_ns() - self.now_ns().cast_signed();
            if (offset_ns - wall_offset_ns).abs() > CLOCK_STEP_NS {
                self.note_clock_step(wall_offset_ns, offset_ns)?;
            }
            wall_offset_ns = offset_ns;
            let stamp = Stamp {
                mono_ns: due_ns,
                wall_ns: offset_ns.saturating_add_unsigned(due_ns),
            };
            frames.clear();
            self.gate.take_until(due_ns, &mut frames);
            self.take_commands(tick, stamp)?;
            self.swaps.before_slot(&mut self.engine, tick, stamp)?;
            let t_ms = stamp.wall_ns.div_euclid(1_000_000);
            let input = SlotInput {
                tick,
                stamp,
                t_ms,
                frames: &frames,
                deadline: Some(self.deadline),
                obey: None,
            };
            self.recorder.begin(&mut self.engine, tick, stamp);
            let notes = self.engine.take_notes();
            let stepped = self.engine.slot(&input)?;
            if let Some(capture) = &mut self.capture {
                capture.slot(&frames, tick, stepped.stamp, &stepped.report, &notes);
            }
            let class = self.engine.core.outcome().privacy_class;
            self.recorder
                .slot(&frames, tick, stepped.stamp, &stepped.report, &notes, class);
            if self.swaps.after_slot(&mut self.engine, tick, stamp)? {
                // At once, not with the next look: who swapped wants to see it.
                observer.show_plugins(&self.engine, &self.hub);
            }
            (last, cycles) = (Some(tick), cycles + 1);
            if cycles == 1 {
                self.hub.set_readiness(Readiness::Ready);
            }
            if tick.is_multiple_of(20) {
                self.hub
                    .publish_diagnostics(observer.look(&self.engine, &self.gate, due_ns, cycles, missed));
            }
        }
        if let Some(tick) = came {
            missed += self.note_gap(last, tick + 1)?;
        }
        self.shut_down(cycles, missed)
    }

    fn now_ns(&self) -> u64 {
        self.boot.elapsed().as_nanos() as u64
    }

    /// Takes what waits, before the slot `tick` that ends at `slot`.
    fn take_commands(&mut self, tick: u64, slot: Stamp) -> Result<(), EngineError> {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command, tick, slot)?;
        }
        Ok(())
    }

    fn obey(&mut self, command: Command, tick: u64, slot: Stamp) -> Result<(), EngineError> {
        match command {
            Command::StartCalibration { milliseconds } => {
                let end_ns = slot.mono_ns.saturating_add(milliseconds.saturating_mul(1_000_000));
                self.engine.start_calibration(before(slot), end_ns)?;
            }
            Command::StopCalibration => self.engine.stop_calibration(before(slot))?,
            Command::Configure { site, operator } => {
                self.engine.configure(before(slot), tick, site.0, operator)?;
                if let Some(name) = self.recorder.hold_to(self.engine.core.site().privacy.mode) {
                    let action = format!("recording.stop {name} by privacy mode");
                    self.engine.audit(before(slot), operator, &action, [0; 32])?;
                }
            }
            Command::StartRecording { name, slots } => self.recorder.start(name, slots),
            Command::StopRecording => {
                self.recorder.stop(RecordingEnd::Ordered);
            }
            Command::Key(key) => self.turn_key(&key)?,
            Command::Swap(order) => self.swaps.order(&mut self.engine, order, slot)?,
            Command::DecideSwap { attempt, go, operator } => {
                self.swaps
                    .decide(&mut self.engine, (attempt, go, operator), tick, slot)?;
            }
            Command::Audited {
                operator,
                action,
                target,
                result,
                command,
            } => {
                self.append(&Body::Audit(Audit {
                    operator,
                    action: Text::new(&action),
                    target,
                    result,
                }))?;
                if let Some(command) = command {
                    self.obey(*command, tick, slot)?;
                }
            }
        }
        Ok(())
    }

    /// A KEY leaf; one that may not stand here is refused, and the log goes on as it was.
    fn turn_key(&mut self, key: &Key) -> Result<(), EngineError> {
        let chain = &self.engine.chain;
        if let Err(error) = chain.keys().clone().apply(chain.next_seq(), key) {
            tracing::warn!(%error, "an order about a signing key is refused");
            return Ok(());
        }
        self.append(&Body::Key(key.clone()))?;
        self.hub.publish_keys(self.engine.chain.keys().clone());
        Ok(())
    }

    /// Says which slots between the last that ran and this one did not; how many.
    fn note_gap(&mut self, last: Option<u64>, tick: u64) -> Result<u64, EngineError> {
        let first_tick = last.map_or(0, |last| last + 1);
        let slots = tick - first_tick;
        if slots == 0 {
            return Ok(0);
        }
        let reason = self.engine.missed_because();
        tracing::warn!(slots, ?reason, "slots missed");
        // A cycle that was a little late is no news; that the log had no room for one is.
        if slots >= GAP_SLOTS || reason == GapReason::LogBusy {
            self.append(&Body::Gap(Gap {
                first_tick,
                last_tick: tick - 1,
                frames_lost: 0,
                reason,
            }))?;
        }
        Ok(slots)
    }

    fn note_clock_step(&mut self, before_ns: i64, after_ns: i64) -> Result<(), EngineError> {
        let now_ns = self.now_ns();
        tracing::warn!(seconds = (after_ns - before_ns) as f64 / 1e9, "the wall clock was set");
        self.append(&Body::ClockStep(ClockStep {
            before_ns: before_ns.saturating_add_unsigned(now_ns),
            after_ns: after_ns.saturating_add_unsigned(now_ns),
        }))
    }

    fn append(&mut self, body: &Body) -> Result<(), EngineError> {
        let stamp = Stamp {
            mono_ns: self.now_ns(),
            wall_ns: wall_ns(),
        };
        self.engine.append(stamp, body, Vec::new())?;
        Ok(())
    }

    /// Ends the log well, and then the files. An error before leaves the files to be ended by whoever drops them.
    fn shut_down(mut self, cycles: u64, missed_ticks: u64) -> Result<(), EngineError> {
        self.append(&Body::Shutdown(Shutdown {
            reason: ShutdownReason::Requested,
            cycles,
            missed_ticks,
        }))?;
        let durable = self.engine.writer.close()?;
        self.recorder.finish();
        if let Some(capture) = self.capture {
            capture.finish();
        }
        tracing::info!(leaves = durable.size, cycles, missed_ticks, "stopped");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
