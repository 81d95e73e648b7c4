//! What the running cycle shows to its readers: the API, the command line, metrics.
//!
//! The cycle thread is the only writer. Readers take `Arc`s: nobody waits for anybody.

pub mod attempt;
mod breaks;
pub mod recording;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tapline_dsp::array::{
    changes::{DriftClass, Verdict},
    clock::ClockReport,
};
use tapline_witness::{
    body::{AuditResult, Host, Key},
    disposition::Disposition,
    hash::Domain,
    keyset::KeySet,
    outcome::Outcome,
};
use tokio::sync::{broadcast, watch};

pub use self::breaks::Breaks;
use self::{attempt::Attempts, recording::Recordings};
use crate::{
    config::{Site, witnessed},
    host::candidate::Candidate,
    scope::Scope,
};

/// Cycles a subscriber may fall behind before it skips: three seconds.
pub const SUBSCRIBER_CYCLES: usize = 64;

/// A server whose last cycle is older is not ready, whatever it did before: forty slots.
const STALE: Duration = Duration::from_secs(2);

/// One finished cycle.
#[derive(Clone, Debug)]
pub struct Cycle {
    /// `seq` of the cycle's leaf; the number of the cycle everywhere.
    pub cycle: u64,
    /// Witness W of the leaf.
    pub witness: [u8; 32],
    /// Wall clock at the end of the slot, Unix nanoseconds.
    pub wall_ns: i64,
    /// What was published, decoded.
    pub outcome: Outcome,
    /// What was published, as committed.
    pub outcome_bytes: Vec<u8>,
    /// What became of each of the stages 1 to 10, in order, with the microseconds it took.
    pub stages: [(Disposition, u32); 10],
}

/// The head of the log that is on disk and signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// Leaves covered by the latest published checkpoint.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// How a node is doing.
#[derive(Clone, Debug, Default)]
pub struct NodeStatus {
    /// Its id.
    pub node: u16,
    /// Seconds since its last frame; none when it was never heard.
    pub last_seen_s: Option<f64>,
    /// Frames a second over the last seconds.
    pub rate_hz: f64,
    /// Share of frames lost, from sequence numbers; none without them.
    pub loss: Option<f64>,
    /// Frames used.
    pub frames: u64,
    /// Restarts noticed.
    pub reboots: u64,
    /// Frames that arrived late, twice, or broken, by reason.
    pub not_used: BTreeMap<&'static str, u64>,
    /// Strength of the last frame, dBm.
    pub rssi_dbm: Option<i8>,
    /// Address it sends from.
    pub address: Option<IpAddr>,
    /// One word (`ok`, `silent`, `never seen`, `slow`) and why.
    pub health: (&'static str, String),
    /// How its clock does; none before the server looked.
    pub clock: Option<ClockReport>,
}

/// What the server says of a link path beside its cycles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkStatus {
    /// What kind of change its quiet profile shows.
    pub drift: DriftClass,
    /// Deviation from the calibrated profile when it was last known, standard deviations.
    pub sigma: Option<f32>,
    /// Seconds since it stepped; none when it did not.
    pub stepped_s: Option<u32>,
    /// Speed up to which a walk is told from others by the Doppler of its two nodes, m/s; none without a spectrum.
    pub walk_m_s: Option<f32>,
}

/// Somebody who sends but is not configured.
#[derive(Clone, Debug)]
pub struct UnknownSender {
    /// Where from.
    pub address: IpAddr,
    /// The node id in its datagrams, when they can be read.
    pub node: Option<u16>,
    /// Datagrams so far.
    pub datagrams: u64,
    /// Why they are not used.
    pub reason: &'static str,
    /// Configuration lines that would admit it.
    pub admit: String,
}

/// A plugin as the host sees it.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Name in the manifest.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `cir`, `tomography`, `tracker`.
    pub stage: &'static str,
    /// Generation of the manifest that names it.
    pub generation: u64,
    /// The method, one line.
    pub method: String,
    /// `DECLARED`, `VERIFIED`, `LOADED`, `PROVED`, `ACTIVE`, `RETIRED`, `FAILED`.
    pub state: &'static str,
    /// Why it is in that state, when there is something to say.
    pub reason: Option<String>,
    /// BLAKE3 of the library, hex; none when linked in.
    pub blake3: Option<String>,
    /// Digest of its golden outputs, hex.
    pub golden: String,
}

/// Everything about the process that no witness holds.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// Ascending id.
    pub nodes: Vec<NodeStatus>,
    /// Ascending address.
    pub unknown: Vec<UnknownSender>,
    /// Active and failed plugins.
    pub plugins: Vec<PluginStatus>,
    /// Datagrams received, by kind.
    pub received: BTreeMap<&'static str, u64>,
    /// Datagrams not used, by reason.
    pub not_used: BTreeMap<&'static str, u64>,
    /// Slots that passed without a cycle.
    pub missed_ticks: u64,
    /// Cycles since start.
    pub cycles: u64,
    /// The decision trace of each area, by name: which evidence, which threshold, since when.
    pub why: BTreeMap<String, Vec<String>>,
    /// The empty-room calibration.
    pub calibration: Calibration,
    /// By path; empty before the server looked.
    pub links: Vec<LinkStatus>,
    /// What the links together say of the quiet room, and how many seconds ago a change of the room began; none before the
    /// server looked.
    pub change: Option<(Verdict, Option<u32>)>,
}

/// Where the empty-room calibration stands.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    /// One line for people.
    pub line: String,
    /// Digest of the one in force; none without one.
    pub id: Option<[u8; 32]>,
    /// When it was learned or loaded, Unix nanoseconds; none without one.
    pub since_ns: Option<i64>,
    /// By link path: what is known of the empty room there; none where nothing is.
    pub paths: Vec<Option<LinkCalibration>>,
}

/// What a calibration knows of one link path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkCalibration {
    /// Frames it was learned from, one a cycle at most.
    pub frames: u32,
    /// Tones that were measured often enough; none for a path that measures strength only.
    pub tones: Option<u32>,
    /// Mean received strength, dBm, where it is reported.
    pub rssi_dbm: Option<f32>,
    /// Mean gain setting of the receiver, dB, where it is reported.
    pub agc_db: Option<f32>,
}

/// Orders to the cycle thread, taken at the next cycle boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Learn the empty room for this many milliseconds.
    StartCalibration {
        /// How long.
        milliseconds: u64,
    },
    /// Give up a calibration.
    StopCalibration,
    /// An operator's action: into the log first, then done.
    Audited {
        /// Hash of the operator's name.
        operator: [u8; 32],
        /// What was asked, as a short word.
        action: String,
        /// Hash of what it was aimed at; zero for the server as a whole.
        target: [u8; 32],
        /// Whether it is done or was refused.
        result: AuditResult,
        /// What the cycle thread has to do; none when it was done elsewhere.
        command: Option<Box<Command>>,
    },
    /// Bring another plugin into the cycle.
    Swap(SwapOrder),
    /// Take the candidate of an attempt that waits for this, or drop one that is under way.
    DecideSwap {
        /// Number of the attempt.
        attempt: u64,
        /// True: it takes over. False: the manifest stays.
        go: bool,
        /// Hash of the operator's name.
        operator: [u8; 32],
    },
    /// Take another configuration of the same site: the privacy mode and outlines of zones may differ.
    Configure {
        /// The site from the next cycle on.
        site: Ordered,
        /// Hash of the operator's name.
        operator: [u8; 32],
    },
    /// Write everything that arrives into a file.
    StartRecording {
        /// Name of the recording, a valid one.
        name: String,
        /// At most so many slots.
        slots: u64,
    },
    /// End the recording that runs.
    StopRecording,
    /// A key of the log is added, its private half prepared, or retired.
    Key(Key),
}

/// A site that an operator ordered: equal to itself only.
#[derive(Clone, Debug)]
pub struct Ordered(pub Arc<Site>);

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Ordered {}

/// An operator's wish for another plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapOrder {
    /// Number of the attempt that shows how far it is.
    pub attempt: u64,
    /// What is asked for.
    pub candidate: Candidate,
    /// Cycles in which it is compared before it is used.
    pub shadow_cycles: u32,
    /// It waits after the comparison until an operator has looked at it.
    pub review: bool,
    /// Hash of the operator's name.
    pub operator: [u8; 32],
}

/// Is the server ready, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Cycles run.
    Ready,
    /// Not yet, or no more.
    NotReady(String),
}

/// What never changes while the process runs. Of the site, the privacy mode and the outlines of zones are those of the
/// start: [`Hub::configured`] has those of now.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The site.
    pub site: Site,
    /// Other sites of the fleet file, by name only.
    pub other_sites: Vec<String>,
    /// Random, one a process start.
    pub boot_id: [u8; 16],
    /// Origin line of the log.
    pub origin: String,
    /// Verification key of the log, C2SP vkey text.
    pub vkey: String,
    /// Process start, Unix nanoseconds.
    pub started_wall_ns: i64,
    /// Where plugin libraries lie; empty when only built-in stages are used.
    pub plugin_dir: PathBuf,
    /// The witnessed configuration text.
    pub config: String,
    /// Its hash.
    pub config_hash: [u8; 32],
    /// What runs, as the BOOT leaf has it.
    pub host: Host,
}

/// The manifest of the cycles that run now; a swap or a recovery replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The text, hashed verbatim.
    pub text: String,
    /// Its hash.
    pub hash: [u8; 32],
    /// Its generation.
    pub generation: u64,
    /// First tick under it.
    pub since_tick: u64,
}

/// The configuration of the cycles that run now; an operator's order replaces it.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The site.
    pub site: Arc<Site>,
    /// The witnessed configuration text.
    pub text: String,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Configured {
    /// The configuration of a site.
    pub fn of(site: Arc<Site>) -> Self {
        let text = witnessed::document(&site);
        Self {
            hash: Domain::Config.hash(text.as_bytes()),
            site,
            text,
        }
    }
}

/// The meeting place of the cycle and its readers.
#[derive(Debug)]
pub struct Hub {
    /// Constants.
    pub facts: Facts,
    /// Windows into the cycle, for who looks.
    pub scope: Scope,
    /// Attempts to change a plugin.
    pub attempts: Attempts,
    /// Recordings on an operator's order.
    pub recordings: Recordings,
    /// When the cycle rests.
    pub breaks: Breaks,
    data_dir: OnceLock<PathBuf>,
    configured: ArcSwap<Configured>,
    manifest: ArcSwap<InForce>,
    keys: ArcSwapOption<KeySet>,
    cycles: broadcast::Sender<Arc<Cycle>>,
    latest: ArcSwapOption<Cycle>,
    durable: watch::Sender<Durable>,
    diagnostics: ArcSwap<Diagnostics>,
    readiness: ArcSwap<Readiness>,
    made: Instant,
    /// When the newest cycle was shown, milliseconds after `made`.
    shown_ms: AtomicU64,
    commands: std::sync::mpsc::SyncSender<Command>,
    next_command: AtomicU64,
}

impl Hub {
    /// A hub and the receiving end of its commands.
    pub fn new(facts: Facts, manifest: InForce) -> (Arc<Self>, std::sync::mpsc::Receiver<Command>) {
        let (commands, receiver) = std::sync::mpsc::sync_channel(16);
        let hub = Self {
            scope: Scope::new(&facts.site),
            data_dir: OnceLock::new(),
            configured: ArcSwap::from_pointee(Configured {
                site: Arc::new(facts.site.clone()),
                text: facts.config.clone(),
                hash: facts.config_hash,
            }),
            facts,
            attempts: Attempts::default(),
            recordings: Recordings::default(),
            breaks: Breaks::default(),
            manifest: ArcSwap::from_pointee(manifest),
            keys: ArcSwapOption::empty(),
            cycles: broadcast::Sender::new(SUBSCRIBER_CYCLES),
            latest: ArcSwapOption::empty(),
            durable: watch::Sender::new(Durable::default()),
            diagnostics: ArcSwap::from_pointee(Diagnostics::default()),
            readiness: ArcSwap::from_pointee(Readiness::NotReady("starting".to_owned())),
            made: Instant::now(),
            shown_ms: AtomicU64::new(0),
            commands,
            next_command: AtomicU64::new(1),
        };
        (Arc::new(hub), receiver)
    }

    /// Says where the process keeps its data.
    pub fn keep_in(&self, directory: &Path) {
        // A second directory in one process would be a bug; the first one stands.
        let _ = self.data_dir.set(directory.to_owned());
        self.recordings.keep_in(directory.join("recordings"));
    }

    /// Where the process keeps its data; none when it keeps none (tests).
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.get().map(PathBuf::as_path)
    }

    /// The keys of the log, those it had included; none without a log (tests).
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Other keys sign.
    pub fn publish_keys(&self, keys: KeySet) {
        self.keys.store(Some(Arc::new(keys)));
    }

    /// The configuration of the cycles that run now.
    pub fn configured(&self) -> Arc<Configured> {
        self.configured.load_full()
    }

    /// Another configuration came into force.
    pub fn publish_configured(&self, configured: Configured) {
        self.configured.store(Arc::new(configured));
    }

    /// The manifest of the cycles that run now.
    pub fn manifest(&self) -> Arc<InForce> {
        self.manifest.load_full()
    }

    /// Another manifest came into force.
    pub fn publish_manifest(&self, manifest: InForce) {
        self.manifest.store(Arc::new(manifest));
    }

    /// Shows a finished cycle to everybody.
    pub fn publish(&self, cycle: Arc<Cycle>) {
        self.latest.store(Some(Arc::clone(&cycle)));
        // No subscriber is not an error.
        let _ = self.cycles.send(cycle);
        self.alive();
        self.breaks.cycle_ended();
    }

    /// Says how far the log is on disk and signed.
    pub fn publish_durable(&self, durable: Durable) {
        self.durable.send_replace(durable);
    }

    /// Replaces the diagnostics.
    pub fn publish_diagnostics(&self, diagnostics: Diagnostics) {
        self.diagnostics.store(Arc::new(diagnostics));
    }

    fn alive(&self) {
        let now_ms = self.made.elapsed().as_millis() as u64;
        self.shown_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Replaces the readiness.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.alive();
        self.readiness.store(Arc::new(readiness));
    }

    /// The newest cycle.
    pub fn latest(&self) -> Option<Arc<Cycle>> {
        self.latest.load_full()
    }

    /// All cycles from now on; a slow reader is told how many it skipped.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Cycle>> {
        self.cycles.subscribe()
    }

    /// The durable head, and its changes.
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.subscribe()
    }

    /// The newest diagnostics.
    pub fn diagnostics(&self) -> Arc<Diagnostics> {
        self.diagnostics.load_full()
    }

    /// Ready or why not.
    pub fn readiness(&self) -> Arc<Readiness> {
        self.readiness_at(Instant::now())
    }

    /// The same at a moment: the thread that stopped cannot say so itself.
    pub(crate) fn readiness_at(&self, now: Instant) -> Arc<Readiness> {
        let said = self.readiness.load_full();
        let shown = self.made + Duration::from_millis(self.shown_ms.load(Ordering::Relaxed));
        if *said == Readiness::Ready && now.saturating_duration_since(shown) > STALE {
            // The same words for as long as it lasts: who follows is told once.
            let why = format!("no cycle for more than {} s", STALE.as_secs());
            return Arc::new(Readiness::NotReady(why));
        }
        said
    }

    /// Puts an action of an operator into the log that the cycle thread has no part in. One that finds no room is
    /// written to the program's log. The order's number.
    pub fn audit(&self, operator: [u8; 32], action: &str, result: AuditResult) -> u64 {
        let order = Command::Audited {
            operator,
            action: action.to_owned(),
            target: [0; 32],
            result,
            command: None,
        };
        if self.commands.try_send(order).is_err() {
            tracing::warn!(action, ?result, "no room for an audit leaf");
        }
        self.next_command.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands an order to the cycle thread; returns its number, or none when too many wait.
    pub fn command(&self, command: Command) -> Option<u64> {
        self.commands.try_send(command).ok()?;
        Some(self.next_command.fetch_add(1, Ordering::Relaxed))
    }
}
