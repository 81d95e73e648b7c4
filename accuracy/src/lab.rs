//! Where the product is run: a directory for what it reads and writes, and its command line.
#![allow(dead_code, reason = "shared by the families; not every one needs all of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use xtask::run::{output, program};

/// The product, the recordings, and a place to work in.
pub(crate) struct Lab {
    tapline: PathBuf,
    data: PathBuf,
    work: PathBuf,
    images: Mutex<Vec<(String, String)>>,
}

/// The part of a recording in which nobody moves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quiet {
    /// From a second on, this long.
    From(f64, f64),
    /// The last seconds.
    Last(f64),
}

/// One person in one cycle.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// Published identity.
    pub(crate) id: u64,
    /// Metres.
    pub(crate) position_m: [f64; 2],
    /// Standard deviation of the position, metres.
    pub(crate) sigma_m: f64,
}

/// One line of `replay --out`, with what `--trace` says of the site.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    /// End of the cycle in the recording's own time base, milliseconds.
    pub(crate) t_ms: f64,
    /// The same, seconds since the recording's first record.
    pub(crate) time_s: f64,
    /// Published state of the site.
    pub(crate) state: String,
    /// Published probability that somebody is there; none when unknown.
    pub(crate) probability: Option<f64>,
    /// Probability that somebody moves, from the trace; none when unknown.
    pub(crate) moving_probability: Option<f64>,
    /// The gate's decision.
    pub(crate) gate: String,
    /// Published people.
    pub(crate) tracks: Vec<Track>,
}

impl Cycle {
    /// True when the state says that somebody is there.
    pub(crate) fn occupied(&self) -> bool {
        self.state.starts_with("OCCUPIED")
    }

    /// True when the state says that somebody moves.
    pub(crate) fn moving(&self) -> bool {
        self.state == "OCCUPIED_MOVING"
    }
}

/// A replay to run.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    /// Fleet file.
    pub(crate) config: PathBuf,
    /// Recording.
    pub(crate) recording: PathBuf,
    /// Calibration in force from the start.
    pub(crate) calibration: Option<PathBuf>,
    /// Or: learned from the first seconds.
    pub(crate) calibrate_first_s: Option<f64>,
}

impl Lab {
    pub(super) fn new(tapline: PathBuf, data: PathBuf, work: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&work).map_err(|e| format!("cannot make {}: {e}", work.display()))?;
        Ok(Self {
            tapline,
            data,
            work,
            images: Mutex::default(),
        })
    }

    /// The directory of the recordings.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Writes a file that the product will read.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf, String> {
        let path = self.work.join(name);
        fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(path)
    }

    /// Runs the product with these arguments and gives what it printed.
    pub(crate) fn tapline(&self, arguments: &[&str]) -> Result<String, String> {
        let what = format!("tapline {}", arguments.join(" "));
        output(&what, program(&self.tapline).args(arguments))
    }

    /// `tapline calibrate`: the calibration file, or the product's reason for refusing.
    pub(crate) fn calibrate(
        &self,
        config: &Path,
        recording: &Path,
        quiet: Quiet,
        name: &str,
    ) -> Result<PathBuf, String> {
        let out = self.work.join(format!("{name}.calibration"));
        let mut command = program(&self.tapline);
        command
            .arg("calibrate")
            .arg(recording)
            .arg("--config")
            .arg(config)
            .arg("--out")
            .arg(&out);
        match quiet {
            Quiet::From(from_s, length_s) => {
                command.args(["--from", &format!("{from_s}s"), "--for", &format!("{length_s}s")])
            }
            Quiet::Last(length_s) => command.args(["--last", &format!("{length_s}s")]),
        };
        output(&format!("calibrate on {}", recording.display()), &mut command)?;
        Ok(out)
    }

    /// `tapline replay`: its cycles in order.
    pub(crate) fn replay(&self, replay: &Replay, name: &str) -> Result<Vec<Cycle>, String> {
        let trace = self.work.join(format!("{name}.trace.jsonl"));
        self.replay_to(replay, name, Some(&trace))
    }

    /// The same without the trace, which is large where there are many links: nothing is known of motion.
    pub(crate) fn replay_people(&self, replay: &Replay, name: &str) -> Result<Vec<Cycle>, String> {
        self.replay_to(replay, name, None)
    }

    fn replay_to(&self, replay: &Replay, name: &str, trace: Option<&Path>) -> Result<Vec<Cycle>, String> {
        let out = self.work.join(format!("{name}.jsonl"));
        let mut command = program(&self.tapline);
        command
            .arg("replay")
            .arg(&replay.recording)
            .arg("--config")
            .arg(&replay.config);
        command.arg("--out").arg(&out).arg("--json");
        if let Some(trace) = trace {
            command.arg("--trace").arg(trace);
        }
        if let Some(file) = &replay.calibration {
            command.arg("--calibration").arg(file);
        }
        if let Some(seconds) = replay.calibrate_first_s {
            command.args(["--calibrate-first", &format!("{seconds}s")]);
        }
        output(&format!("replay {}", replay.recording.display()), &mut command)?;
        let trace = trace.map(read).transpose()?;
        cycles(&read(&out)?, trace.as_deref()).map_err(|e| format!("{}: {e}", out.display()))
    }

    /// The same, and the trace as it was written: one line a cycle.
    pub(crate) fn replay_traced(&self, replay: &Replay, name: &str) -> Result<(Vec<Cycle>, PathBuf), String> {
        let trace = self.work.join(format!("{name}.trace.jsonl"));
        Ok((self.replay_to(replay, name, Some(&trace))?, trace))
    }

    /// Replays side by side; results in the order of the jobs. Names are file names and must differ.
    pub(crate) fn replay_all(&self, jobs: &[(String, Replay)]) -> Result<Vec<Vec<Cycle>>, String> {
        side_by_side(jobs, |(name, job)| self.replay(job, name))
    }

    /// Keeps a picture for the document; its file name.
    pub(crate) fn image(&self, name: &str, svg: String) -> String {
        let file = format!("accuracy-{name}.svg");
        self.images.lock().expect("no worker panics").push((file.clone(), svg));
        file
    }

    pub(super) fn publish_images(&self, directory: &Path) -> Result<(), String> {
        fs::create_dir_all(directory).map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
        for (file, svg) in self.images.lock().expect("no worker panics").iter() {
            let path = directory.join(file);
            fs::write(&path, svg).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        Ok(())
    }
}

/// Does all jobs, as many at a time as there are processors; results in the order of the jobs.
pub(crate) fn side_by_side<J: Sync, T: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let next = AtomicUsize::new(0);
    let results: Vec<_> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { return };
            *results[index].lock().expect("no worker panics") = Some(work(job));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(jobs.len()) {
            scope.spawn(worker);
        }
    });
    let taken = |r: Mutex<Option<_>>| r.into_inner().expect("no worker panics");
    results
        .into_iter()
        .map(|r| taken(r).unwrap_or_else(|| Err("not run".to_owned())))
        .collect()
}

/// A text file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn cycles(out: &str, trace: Option<&str>) -> Result<Vec<Cycle>, String> {
    let parse = |line: &str| serde_json::from_str::<Value>(line).map_err(|e| e.to_string());
    let mut first_ms = None;
    let mut traces = trace.map(str::lines);
    let cycle = |line: &str| {
        let v = parse(line)?;
        let trace = match &mut traces {
            Some(lines) => parse(lines.next().ok_or("a cycle without a trace")?)?,
            None => Value::Null,
        };
        let t_ms = v["t_ms"].as_f64().ok_or("a line without t_ms")?;
        let tracks = v["tracks"].as_array().map_or(&[][..], Vec::as_slice);
        let track = |t: &Value| {
            Some(Track {
                id: t["id"].as_u64()?,
                position_m: [t["x"].as_f64()?, t["y"].as_f64()?],
                sigma_m: t["sigma_m"].as_f64()?,
            })
        };
        Ok(Cycle {
            t_ms,
            time_s: (t_ms - *first_ms.get_or_insert(t_ms)) / 1e3,
            state: v["presence"]["state"].as_str().unwrap_or_default().to_owned(),
            probability: v["presence"]["probability"].as_f64(),
            moving_probability: trace["areas"][0]["moving_probability"].as_f64(),
            gate: v["gate"].as_str().unwrap_or_default().to_owned(),
            tracks: tracks.iter().filter_map(track).collect(),
        })
    };
    out.lines().map(cycle).collect()
}
