//! What trust costs a live server: plugins exchanged again and again, and a bundle of a whole hour downloaded beside the
//! cycle.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tapline_client::{Connection, Endpoint};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    Result,
    clients::{TIMES, runtime, settle},
    report::{Part, ms, quantile},
    room::Recorded,
    server::{Server, number},
};

/// The most that the p99 of the cycle may move while a bundle is downloaded, percent.
const MOVED: f64 = 10.0;
/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Cycles that a candidate is compared on live input.
const SHADOW_CYCLES: u32 = 5;
/// What runs in turns: two libraries of one stage.
const IN_TURNS: [&str; 2] = ["cir-dense", "cir-fft"];
/// Exchanges that do not count for memory: by then each library was used, and each buffer was filled once.
const WARM_UP: usize = 20;
/// Lines of `/proc/PID/status`.
const MEMORY: [&str; 4] = ["VmRSS", "RssAnon", "RssFile", "RssShmem"];

/// What the cycles of a while took.
#[derive(Default)]
struct Cycles {
    took_us: Vec<u32>,
    skipped: u64,
}

/// Takes the times of all cycles until it is told to stop.
struct Watch {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Cycles>>,
}

impl Watch {
    async fn begin(server: &Server) -> Result<Self> {
        let observer = Connection::open(&server.http.to_string(), None).await?;
        let mut observer = observer.subscribe(TIMES, json!({})).await?;
        // The first message may come with what was missed before.
        observer.next().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut seen = Cycles::default();
            while !stopped.load(Ordering::Relaxed) {
                let data = observer.next().await?.ok_or("the observer's subscription ended")?;
                let cycle = &data["cycles"];
                seen.skipped += cycle["skipped"].as_u64().unwrap_or(0);
                let stages = cycle["stages"].as_array().ok_or("a live cycle has timings")?;
                let sum: u64 = stages.iter().filter_map(|s| s["tookUs"].as_u64()).sum();
                seen.took_us.push(sum as u32);
            }
            Ok(seen)
        });
        Ok(Self { stop, task })
    }

    async fn end(self) -> Result<Cycles> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// Asks for a plugin and waits until it runs; the manifest's hash from then on.
async fn exchange(connection: &mut Connection, plugin: &str) -> Result<String> {
    const ATTEMPT: &str = "{ id phase finished message newManifestHash }";
    let order = format!(
        "mutation($plugin: String!, $cycles: Int) {{ order: swapPlugin(stage: CIR, plugin: $plugin, shadowCycles: \
         $cycles, review: false) {ATTEMPT} }}"
    );
    let begun = Instant::now();
    let variables = json!({ "plugin": plugin, "cycles": SHADOW_CYCLES });
    let mut attempt = connection.ask(&order, variables).await?["order"].take();
    while attempt["finished"] != true {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the exchange for {plugin} does not end: {attempt}").into());
        }
        sleep(Duration::from_millis(50)).await;
        let question = format!("query($id: Long!) {{ order: swap(id: $id) {ATTEMPT} }}");
        attempt = connection.ask(&question, json!({ "id": attempt["id"] })).await?["order"].take();
    }
    match (&attempt["phase"], &attempt["newManifestHash"]) {
        (Value::String(phase), Value::String(hash)) if phase == "APPLIED" => Ok(hash.clone()),
        _ => Err(format!("{plugin} was not taken: {attempt}").into()),
    }
}

fn memory(server: &Server) -> Result<[u64; 4]> {
    let mut found = [0; 4];
    for (found, line) in found.iter_mut().zip(MEMORY) {
        *found = server.memory_kib(line)?;
    }
    Ok(found)
}

/// Plugins exchanged `count` times under live load.
pub(crate) fn swaps(tapline: &Path, room: &Recorded, count: usize) -> Result<Part> {
    let manifest = tapline.with_file_name("plugins").join("manifest.toml");
    let server = Server::start_with(tapline, room, Some(&manifest))?;
    runtime()?.block_on(async {
        let mut connection = server.ready().await?;
        let playing = room.play(server.udp)?;
        settle(&mut connection).await?;
        let missed_before = server.missed().await?;
        let watch = Watch::begin(&server).await?;
        let (mut hashes, mut grown) = (std::collections::BTreeSet::new(), Vec::new());
        let (mut libraries, mut threads) = ((0, 0), (0, 0));
        let begun = Instant::now();
        for n in 0..count {
            hashes.insert(exchange(&mut connection, IN_TURNS[n % IN_TURNS.len()]).await?);
            grown.push(memory(&server)?);
            if n + 1 == IN_TURNS.len() {
                libraries.0 = server.libraries()?;
                threads.0 = server.memory_kib("Threads")?;
            }
        }
        let took_s = begun.elapsed().as_secs_f64();
        // Threads of the last generation before are on their way out.
        sleep(Duration::from_secs(1)).await;
        (libraries.1, threads.1) = (server.libraries()?, server.memory_kib("Threads")?);
        let mut cycles = watch.end().await?;
        let missed_ticks = server.missed().await? - missed_before;
        playing.stop()?;

        let mut part = Part::new(format!(
            "{count} swaps at 20 Hz, `{}` and `{}` in turns",
            IN_TURNS[0], IN_TURNS[1]
        ));
        part.told(
            "time of one swap, with 2 s from leaf to effect",
            format!("{:.2} s", took_s / count as f64),
        );
        part.held(
            "slots without a cycle",
            missed_ticks.to_string(),
            "0".to_owned(),
            missed_ticks == 0,
        );
        part.held(
            "cycles that a subscriber missed",
            cycles.skipped.to_string(),
            "0".to_owned(),
            cycles.skipped == 0,
        );
        part.held(
            "different manifest hashes",
            hashes.len().to_string(),
            count.to_string(),
            hashes.len() == count,
        );
        part.held(
            "plugin libraries mapped after the second swap and at the end",
            format!("{} and {}", libraries.0, libraries.1),
            "the same".to_owned(),
            libraries.0 == libraries.1 && libraries.0 > 0,
        );
        part.held(
            "threads after the second swap and at the end",
            format!("{} and {}", threads.0, threads.1),
            "no more".to_owned(),
            threads.1 <= threads.0,
        );
        let first = WARM_UP.min(count / 2);
        for (index, line) in MEMORY.iter().enumerate() {
            let (from, to) = (grown[first.max(1) - 1][index], grown[count - 1][index]);
            let each = (to as f64 - from as f64) / (count - first).max(1) as f64;
            part.told(
                match *line {
                    "VmRSS" => "resident memory",
                    "RssAnon" => "of it the program's own",
                    "RssFile" => "of it mapped files",
                    _ => "of it sealed copies of plugins",
                },
                format!("{from} KiB after {first} swaps, {to} KiB after {count}: {each:+.1} KiB a swap"),
            );
        }
        part.told(
            "cycle, median, p99 and longest",
            format!(
                "{}, {}, {}",
                ms(quantile(&mut cycles.took_us, 0.5)),
                ms(quantile(&mut cycles.took_us, 0.99)),
                ms(quantile(&mut cycles.took_us, 1.0))
            ),
        );
        Ok(part)
    })
}

/// A store with an hour of cycles, then a server that goes on in it.
struct Hour {
    directory: tempfile::TempDir,
    /// Leaves of the range that is asked for.
    leaves: u64,
}

impl Hour {
    fn make(tapline: &Path, cycles: u64) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(tapline);
        command.env_remove("LD_LIBRARY_PATH").arg("bench-cycle").arg("--json");
        command.args(["--manifest", "linked", "--paced", "0", "--cycles", &cycles.to_string()]);
        let made = command.arg("--keep").arg(directory.path()).output()?;
        // 1: a cycle was slow, which is not the question here.
        if made.status.code().is_none_or(|code| code > 1) {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        // As an operator who wants whole hours has it: raw input is kept for longer than the usual 15 minutes.
        let config = directory.path().join("fleet.toml");
        let text = fs::read_to_string(&config)?;
        let text = text.replacen(
            "[defaults.privacy]",
            "[defaults.retention]\nraw_minutes = 180\n\n[defaults.privacy]",
            1,
        );
        fs::write(&config, text)?;
        Ok(Self {
            directory,
            leaves: cycles,
        })
    }
}

/// Downloads once; bytes.
async fn download(endpoint: &Endpoint, path: &str) -> Result<u64> {
    let mut answer = endpoint.get(path, &[]).await?;
    if answer.status() != 200 {
        return Err(format!("{path}: {} {}", answer.status(), answer.text(1_000).await?).into());
    }
    let inputs = answer.header("tapline-inputs").unwrap_or_default();
    if inputs != "included" {
        return Err(format!("{path}: raw input is {inputs}").into());
    }
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await? {
        bytes += chunk.len() as u64;
    }
    Ok(bytes)
}

/// The bundle of the largest range, with raw input, again and again while cycles are timed.
pub(crate) fn bundle(tapline: &Path, room: &Recorded, seconds: u64, cycles: u64) -> Result<Part> {
    let hour = Hour::make(tapline, cycles)?;
    let server = Server::start_in(tapline, hour.directory.path())?;
    runtime()?.block_on(async {
        let mut connection = server.ready().await?;
        let playing = room.play(server.udp)?;
        settle(&mut connection).await?;
        let endpoint = Endpoint::new(&server.http.to_string(), None, None)?;
        // Behind genesis, boot and the like, so that it begins with a cycle.
        let path = format!("/v1/witness/bundles?from=100&to={}&inputs=1", hour.leaves);
        let alone = Watch::begin(&server).await?;
        sleep(Duration::from_secs(seconds)).await;
        let mut alone = alone.end().await?;

        let missed_before = server.missed().await?;
        let watch = Watch::begin(&server).await?;
        let (begun, mut bundles, mut bytes) = (Instant::now(), 0_u32, 0);
        while begun.elapsed() < Duration::from_secs(seconds) {
            bytes = download(&endpoint, &path).await?;
            bundles += 1;
        }
        let took_s = begun.elapsed().as_secs_f64();
        let mut with = watch.end().await?;
        let missed_ticks = server.missed().await? - missed_before;
        let rss_kib = server.memory_kib("VmHWM")?;
        playing.stop()?;
        let leaves = number(&json!(hour.leaves - 100))?;

        let mut part = Part::new(format!(
            "A bundle of {leaves} leaves with raw input, downloaded beside the cycle"
        ));
        part.told("bytes of the bundle", bytes.to_string());
        part.told("downloads, one after the other", format!("{bundles} in {took_s:.0} s"));
        part.told(
            "speed",
            format!("{:.1} MB/s", bytes as f64 * f64::from(bundles) / took_s / 1e6),
        );
        let [before, during] = [&mut alone, &mut with].map(|cycles| {
            let p99 = quantile(&mut cycles.took_us, 0.99);
            (cycles.took_us.len(), quantile(&mut cycles.took_us, 0.5), p99)
        });
        for (name, (count, p50, p99)) in [
            ("cycle without a download, median and p99", before),
            ("cycle during downloads, median and p99", during),
        ] {
            part.told(name, format!("{}, {} ({count} cycles)", ms(p50), ms(p99)));
        }
        let moved = (f64::from(during.2) / f64::from(before.2.max(1)) - 1.0) * 100.0;
        part.held(
            "change of the p99",
            format!("{moved:+.1} %"),
            format!("{MOVED} %"),
            moved <= MOVED,
        );
        part.held(
            "slots without a cycle",
            missed_ticks.to_string(),
            "0".to_owned(),
            missed_ticks == 0,
        );
        part.told(
            "highest resident memory of the server",
            format!("{:.0} MB", rss_kib as f64 * 1.024e-3),
        );
        Ok(part)
    })
}
