//! `tapline demo`: the server, and a simulated room that streams real datagrams into it.
//!
//! The room stands empty for the first seconds, and the server learns it then, as an installer would do it. What is
//! really there goes to the page beside what is sensed; the cycle never sees it.

use std::{
    fs::{self, File},
    io::BufWriter,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use tapline_sim::{Scene, Simulator, write_truth_head, write_truth_line};

use super::{
    output::{Failure, Outcome, Result, print},
    serve::{start_logging, stop_on_signal},
    simulate,
};
use crate::{
    config::PrivacyMode,
    live::{Command, Hub},
    run::{
        live::{Bound, LiveOptions, serve},
        start::prepare,
    },
    scope::Moment,
};

/// Time between the end of the calibration and the first person, seconds.
const MARGIN_S: f64 = 1.0;
/// What is really there is shown this often a second.
const TRUTH_HZ: f64 = 20.0;

/// What to show.
#[derive(Args)]
pub(super) struct Options {
    /// A built-in scene (`tapline simulate --list`), or a scene file
    #[arg(long, default_value = "demo")]
    scene: String,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// HTTP address
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    http: SocketAddr,
    /// UDP address
    #[arg(long, default_value = "127.0.0.1:5005", value_name = "ADDRESS")]
    udp: SocketAddr,
    /// Privacy mode; stricter ones show what is held back
    #[arg(long, default_value = "RawResearch", value_parser = simulate::privacy_mode)]
    mode: PrivacyMode,
    /// Learn the empty room for so many seconds, before anybody comes; 0: do not
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    empty: f64,
    /// Data directory (default: a temporary one)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Manifest to use instead of the one beside the program; `linked` for the built-in stages
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Write a recording to share into this new directory: datagrams, truth, fleet file, how to replay it
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Milliseconds the plugin stages of a cycle may take together. `serve` gives them 40 and then does without the
    /// stage; a demo shares its machine with simulator and browser, and would rather be late
    #[arg(long, default_value_t = 1_000, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u16).range(1..))]
    deadline_ms: u16,
    /// Stop after this many seconds (default: on Ctrl-C)
    #[arg(long)]
    seconds: Option<u64>,
    /// What to log
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "TAPLINE_LOG")]
    log: String,
}

pub(super) fn run(options: &Options) -> Result {
    if !(0.0..=3_600.0).contains(&options.empty) {
        return Err(Failure(format!(
            "--empty {}: expected 0 to 3600 seconds",
            options.empty
        )));
    }
    start_logging(&options.log, false)?;
    let stop = stop_on_signal()?;
    let scene = simulate::scene(&options.scene)?;
    let mut room = Room::new(options, scene, &stop)?;
    let temporary = tempfile::tempdir().map_err(Failure::of)?;
    let data_dir = options
        .data_dir
        .clone()
        .unwrap_or_else(|| temporary.path().join("data"));
    let config = temporary.path().join("demo.toml");
    let text = simulate::fleet_file(&options.scene, options.mode, &room.simulator()?);
    fs::write(&config, &text).map_err(|e| Failure(format!("cannot write {}: {e}", config.display())))?;
    let prepared = prepare(&config, None, options.manifest.as_deref()).map_err(Failure::of)?;
    let mut capture = None;
    if let Some(directory) = &options.record {
        room.truth = Some(begin_recording(directory, &text, options)?);
        capture = Some(directory.join(CAPTURE));
    }
    let mut anchor = data_dir.clone().into_os_string();
    anchor.push(".anchor");
    let welcome = welcome(options, &room);
    if let Some(seconds) = options.seconds {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            stop.store(true, Ordering::Relaxed);
        });
    }
    let room = Mutex::new(Some(room));
    let playing = Arc::new(Mutex::new(None));
    let begun = Arc::clone(&playing);
    let live = LiveOptions {
        security: super::serve::security(&prepared.fleet, options.http, &data_dir)?,
        http: options.http,
        udp: options.udp,
        data_dir,
        anchor: anchor.into(),
        capture,
        deadline: Duration::from_millis(options.deadline_ms.into()),
        ready: Some(Box::new(move |hub, bound| {
            print(&welcome(bound));
            let room = room.lock().unwrap_or_else(PoisonError::into_inner).take();
            *begun.lock().unwrap_or_else(PoisonError::into_inner) = room.map(|room| room.begin(hub, bound.udp));
        })),
    };
    if let Err(error) = serve(prepared, &live, &stop) {
        let begun = playing.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if let Some(directory) = options.record.as_deref().filter(|_| !begun) {
            // Nothing was recorded; another try finds the name free.
            let _ = fs::remove_dir_all(directory);
        }
        return Err(Failure::of(error));
    }
    // The room sees `stop` too; waiting for it puts the rest of the truth on disk.
    if let Some(thread) = playing.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = thread.join();
    }
    if let Some(directory) = &options.record {
        print(&format!("The recording is in {}.", directory.display()));
    }
    Ok(Outcome::Yes)
}

/// What is said once the server listens.
fn welcome(options: &Options, room: &Room) -> impl Fn(Bound) -> String + use<> {
    let scene = options.scene.clone();
    let come = match room.scene.first_person_s() {
        None => "nobody comes".to_owned(),
        Some(s) if s + room.empty_s <= 0.0 => "somebody is there from the start".to_owned(),
        Some(s) => format!("somebody comes after {:.0} s", s + room.empty_s),
    };
    let learn = if options.empty > 0.0 {
        format!("It learns the empty room for {} s; {come}.", options.empty)
    } else {
        format!("It does not learn the empty room; {come}.")
    };
    move |Bound { http, udp }| {
        format!(
            "\nTapline is running with a simulated room ({scene} scene).\n  live page     http://{http}/\n  \
             GraphiQL      http://{http}/graphiql\n  health        http://{http}/readyz\n  \
             metrics       http://{http}/metrics\n  nodes send to udp://{udp}\n{learn}\nCtrl-C stops it.\n"
        )
    }
}

/// The simulated room of a demo.
struct Room {
    scene: Scene,
    seed: u64,
    /// Seconds the empty room is learned.
    learn_s: f64,
    /// Seconds by which the scene begins later, so that the room is empty while it is learned.
    empty_s: f64,
    truth: Option<BufWriter<File>>,
    stop: Arc<AtomicBool>,
}

impl Room {
    fn new(options: &Options, scene: Scene, stop: &Arc<AtomicBool>) -> std::result::Result<Self, Failure> {
        let needed_s = if options.empty > 0.0 {
            options.empty + MARGIN_S
        } else {
            0.0
        };
        Ok(Self {
            // A scene whose people come late enough is played as it is.
            empty_s: scene.first_person_s().map_or(0.0, |s| (needed_s - s).max(0.0)),
            learn_s: options.empty,
            scene,
            seed: options.seed,
            truth: None,
            stop: Arc::clone(stop),
        })
    }

    fn simulator(&self) -> std::result::Result<Simulator, Failure> {
        Simulator::after_empty(self.scene.clone(), self.seed, self.empty_s).map_err(Failure::of)
    }

    /// Streams to `udp` from now on, round and round, and has the empty room learned.
    fn begin(self, hub: &Arc<Hub>, udp: SocketAddr) -> JoinHandle<()> {
        hub.scope.show_demo(self.scene.clone());
        if self.learn_s > 0.0 {
            let milliseconds = (self.learn_s * 1_000.0) as u64;
            // The queue of a server that has just started has room.
            let _ = hub.command(Command::StartCalibration { milliseconds });
        }
        let hub = Arc::clone(hub);
        std::thread::spawn(move || {
            if let Err(failure) = self.play(&hub, udp) {
                tracing::error!(%failure, "the simulated room stops");
            }
        })
    }

    fn play(mut self, hub: &Hub, udp: SocketAddr) -> std::result::Result<(), Failure> {
        let mut simulator = self.simulator()?;
        let (begun, begun_ms) = (Instant::now(), wall_ms());
        if let Some(out) = &mut self.truth
            && write_truth_head(&simulator, TRUTH_HZ, Some(begun_ms), out).is_err()
        {
            self.truth = None;
            truth_ends();
        }
        // Start of this round, seconds after the first.
        let mut round_s = 0.0;
        loop {
            let mut shown = 0_u64;
            let stop = Arc::clone(&self.stop);
            let truth = &mut self.truth;
            simulate::stream_until(&mut simulator, udp, |simulator, t_s| {
                let moment = (t_s * TRUTH_HZ) as u64;
                if moment >= shown {
                    // A moment that a busy machine came too late for is as true as the others.
                    if let Some(out) = truth
                        && (shown..=moment).any(|moment| write(out, simulator, moment, round_s).is_err())
                    {
                        *truth = None;
                        truth_ends();
                    }
                    shown = moment + 1;
                    hub.scope.show_moment(Moment {
                        t_ms: wall_ms(),
                        truth: simulator.truth_at(t_s),
                    });
                }
                !stop.load(Ordering::Relaxed)
            })?;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            round_s = begun.elapsed().as_secs_f64();
            // The room is known by now: it need not be empty again.
            let next = Simulator::new(self.scene.clone(), self.seed).map_err(Failure::of)?;
            simulator = next.following(&simulator);
        }
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes the `moment`-th line of a round that began `round_s` seconds after the recording.
fn write(out: &mut BufWriter<File>, simulator: &Simulator, moment: u64, round_s: f64) -> std::io::Result<()> {
    let mut truth = simulator.truth_at(moment as f64 / TRUTH_HZ);
    truth.t_s += round_s;
    write_truth_line(&truth, out)
}

fn truth_ends() {
    tracing::error!("the truth file ends here: the disk takes no more");
}

/// File of a recording: what arrived, slot by slot.
const CAPTURE: &str = "capture.tlc";
/// File of a recording: what was really there (docs/simulator.md, "truth.jsonl").
const TRUTH: &str = "truth.jsonl";
/// File of a recording: the room.
const FLEET: &str = "fleet.toml";

/// Makes the directory of a recording and what is known before it begins.
fn begin_recording(directory: &Path, fleet: &str, options: &Options) -> std::result::Result<BufWriter<File>, Failure> {
    let fail = |path: &Path, e: std::io::Error| Failure(format!("cannot write {}: {e}", path.display()));
    fs::create_dir(directory).map_err(|e| {
        Failure(format!(
            "cannot make {}: {e}; --record wants a directory that does not exist yet",
            directory.display()
        ))
    })?;
    let read_me = format!(
        "A recording of Tapline's demo: scene {}, seed {}. Everything in it is simulated.\n\
         Made by tapline {} on {}.\n\n\
         {FLEET}  the room\n{CAPTURE}  every datagram that arrived, slot by slot\n\
         {TRUTH}  who was really there, 20 times a second: t_s seconds after zero_unix_ms of its first line (Unix \
         milliseconds, the clock of the server)\n\n\
         Run it again, bit for bit with the plugins it was made with:\n  \
         tapline replay {CAPTURE} --config {FLEET} --out poses.jsonl\n",
        options.scene,
        options.seed,
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
    );
    for (name, text) in [(FLEET, fleet), ("README.txt", &read_me)] {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|e| fail(&path, e))?;
    }
    let path = directory.join(TRUTH);
    Ok(BufWriter::new(File::create(&path).map_err(|e| fail(&path, e))?))
}
