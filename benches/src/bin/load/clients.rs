//! Subscribers: many that keep up, many more that do not.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tapline_client::{Connection, Subscription};
use tokio::{net::TcpSocket, task::JoinSet, time::sleep};

use crate::{
    Result,
    report::{Part, ms, quantile},
    room::Recorded,
    server::Server,
};

/// Whole poses, as a page draws them.
const POSES: &str = "subscription { poses { skipped tick tMs cycle bootId simulated ageMs durable privacyClass \
                     quality { score } presence { state probability } people \
                     tracks { id x y z sigmaM keypoints { name x y z sigmaM source } } } }";
/// What a cycle took.
pub(crate) const TIMES: &str = "subscription { cycles { skipped tick stages { tookUs } } }";

/// What one subscriber saw while it was watched.
#[derive(Default)]
struct Seen {
    delay_us: Vec<u32>,
    ticks: Vec<u64>,
    skipped: u64,
    bytes: u64,
}

/// The unsigned number behind `"name":` in a message of the server, whose keys have one spelling.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = &text[text.find(name)? + name.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

impl Seen {
    fn take(&mut self, text: &str) -> Result<()> {
        let now_us = now_us();
        let found = |name| field(text, name).ok_or_else(|| format!("no {name} in {text}"));
        self.ticks.push(found("\"tick\":")?);
        self.skipped += found("\"skipped\":")?;
        self.bytes += text.len() as u64;
        if let Some(end_ms) = field(text, "\"tMs\":") {
            // The end of the slot is cut to whole milliseconds: what is measured is late by up to one.
            self.delay_us.push(now_us.saturating_sub(end_ms * 1_000) as u32);
        }
        Ok(())
    }

    fn missed(&self) -> u64 {
        let gaps = self.ticks.windows(2).map(|w| w[1].saturating_sub(w[0] + 1));
        gaps.sum()
    }
}

/// Follows a subscription; keeps what comes while `watch` is set, ends when `stop` is.
async fn follow(mut subscription: Subscription, watch: Arc<AtomicBool>, stop: Arc<AtomicBool>) -> Result<Seen> {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let Some(text) = subscription.next_text().await? else {
            break;
        };
        if watch.load(Ordering::Relaxed) {
            seen.take(&text)?;
        }
    }
    Ok(seen)
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Learns the empty room, then waits until somebody is in it.
pub(crate) async fn settle(connection: &mut Connection) -> Result<()> {
    connection
        .ask("mutation { startCalibration(seconds: 4) { order } }", json!({}))
        .await?;
    sleep(Duration::from_secs(9)).await;
    Ok(())
}

const SUBSCRIBERS: usize = 500;

/// 500 subscribers that keep up.
pub(crate) fn poses(tapline: &Path, room: &Recorded, seconds: u64) -> Result<Part> {
    let server = Server::start(tapline, room)?;
    runtime()?.block_on(async {
        let mut connection = server.ready().await?;
        let playing = room.play(server.udp)?;
        settle(&mut connection).await?;
        let (watch, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for _ in 0..SUBSCRIBERS {
            let subscriber = Connection::open(&server.http.to_string(), None).await?;
            let subscription = subscriber.subscribe(POSES, json!({})).await?;
            tasks.spawn(follow(subscription, Arc::clone(&watch), Arc::clone(&stop)));
        }
        sleep(Duration::from_secs(2)).await;
        let (missed_before, cpu_before) = (server.missed().await?, server.cpu_s()?);
        watch.store(true, Ordering::Relaxed);
        let mut rss_kib = 0;
        for _ in 0..seconds {
            sleep(Duration::from_secs(1)).await;
            rss_kib = rss_kib.max(server.memory_kib("VmRSS")?);
        }
        watch.store(false, Ordering::Relaxed);
        let cpu = (server.cpu_s()? - cpu_before) / seconds as f64;
        sleep(Duration::from_millis(1_500)).await;
        let missed_ticks = server.missed().await? - missed_before;
        stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(seen) = tasks.join_next().await {
            all.push(seen??);
        }
        playing.stop()?;
        let messages: usize = all.iter().map(|s| s.ticks.len()).sum();
        let bytes: u64 = all.iter().map(|s| s.bytes).sum();
        let skipped: u64 = all.iter().map(|s| s.skipped + s.missed()).sum();
        let mut delays: Vec<u32> = all.iter().flat_map(|s| s.delay_us.iter().copied()).collect();
        let mut part = Part::new(format!("{SUBSCRIBERS} pose subscribers at 20 Hz, {seconds} s"));
        part.told("messages a second", format!("{:.0}", messages as f64 / seconds as f64));
        part.told(
            "bytes a message",
            format!("{:.0}", bytes as f64 / messages.max(1) as f64),
        );
        part.told(
            "delivery after the end of the slot, median",
            ms(quantile(&mut delays, 0.5)),
        );
        let p99 = quantile(&mut delays, 0.99);
        part.held(
            "delivery after the end of the slot, p99",
            ms(p99),
            "60 ms".to_owned(),
            p99 <= 60_000,
        );
        part.told(
            "delivery after the end of the slot, longest",
            ms(quantile(&mut delays, 1.0)),
        );
        part.held(
            "cycles that a subscriber missed",
            skipped.to_string(),
            "0".to_owned(),
            skipped == 0,
        );
        part.held(
            "slots without a cycle",
            missed_ticks.to_string(),
            "0".to_owned(),
            missed_ticks == 0,
        );
        let rss = format!("{:.0} MB", rss_kib as f64 * 1.024e-3);
        part.held(
            "resident memory of the server",
            rss,
            "200 MB".to_owned(),
            rss_kib * 1_024 <= 200_000_000,
        );
        part.told("processor time of the server", format!("{cpu:.2} s a second"));
        Ok(part)
    })
}

const CONNECTIONS: usize = 2_000;
/// Of which keep up.
const FAST: usize = 200;
/// A slow client takes one message in this time.
const SLOW: Duration = Duration::from_secs(4);

/// One that reads a message now and then, from a receive buffer of 4 KiB.
async fn slow_client(server: std::net::SocketAddr, stop: Arc<AtomicBool>) -> Result<u64> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 << 10)?;
    let stream = socket.connect(server).await?;
    let connection = Connection::over(stream, &server.to_string(), None).await?;
    let mut subscription = connection.subscribe(POSES, json!({})).await?;
    let mut heard = 0;
    while !stop.load(Ordering::Relaxed) {
        sleep(SLOW).await;
        match subscription.next_text().await? {
            Some(_) => heard += 1,
            None => break,
        }
    }
    Ok(heard)
}

/// What each cycle takes while nothing else is asked of the generator.
async fn cycle_times(server: &Server, seconds: u64) -> Result<(Vec<u32>, u64)> {
    let observer = Connection::open(&server.http.to_string(), None).await?;
    let mut observer = observer.subscribe(TIMES, json!({})).await?;
    let (mut took_us, mut skipped, mut first) = (Vec::new(), 0, true);
    while took_us.len() < 20 * seconds as usize {
        let data = observer.next().await?.ok_or("the observer's subscription ended")?;
        let cycle = &data["cycles"];
        // The first message may come with what was missed before.
        if !std::mem::take(&mut first) {
            skipped += cycle["skipped"].as_u64().unwrap_or(0);
        }
        let stages = cycle["stages"].as_array().ok_or("a live cycle has timings")?;
        let sum: u64 = stages.iter().filter_map(|s| s["tookUs"].as_u64()).sum();
        took_us.push(sum as u32);
    }
    Ok((took_us, skipped))
}

/// 2,000 connections, most of them slow. At niceness 19 they take only the time that the server leaves: clients have machines of
/// their own, and what is asked for is what they cost the server, not what 2,000 clients cost a machine.
pub(crate) fn slow(tapline: &Path, room: &Recorded, seconds: u64, niceness: i32) -> Result<Part> {
    // Niceness is a thread's own, and cannot be given back.
    std::thread::scope(|scope| {
        let measured = scope.spawn(|| slow_beside(tapline, room, seconds, niceness));
        measured.join().map_err(|_| "the generator panicked")?
    })
}

fn slow_beside(tapline: &Path, room: &Recorded, seconds: u64, niceness: i32) -> Result<Part> {
    let server = Server::start(tapline, room)?;
    runtime()?.block_on(async {
        let mut connection = server.ready().await?;
        let playing = room.play(server.udp)?;
        rustix::process::nice(niceness)?;
        settle(&mut connection).await?;
        // Half of it before and half of it after: a machine is not the same for minutes.
        let (mut without, _) = cycle_times(&server, seconds.div_ceil(2)).await?;
        let (watch, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (mut slow, mut fast) = (JoinSet::new(), JoinSet::new());
        for n in 0..CONNECTIONS {
            if n % (CONNECTIONS / FAST) == 0 {
                let subscriber = Connection::open(&server.http.to_string(), None).await?;
                let subscription = subscriber.subscribe(POSES, json!({})).await?;
                fast.spawn(follow(subscription, Arc::clone(&watch), Arc::clone(&stop)));
            } else {
                slow.spawn(slow_client(server.http, Arc::clone(&stop)));
            }
            // As clients come: not all in one moment.
            if n % 20 == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        }
        sleep(Duration::from_secs(2)).await;
        let missed_before = server.missed().await?;
        watch.store(true, Ordering::Relaxed);
        let (mut with, observer_skipped) = cycle_times(&server, seconds).await?;
        watch.store(false, Ordering::Relaxed);
        let rss_kib = server.memory_kib("VmRSS")?;
        sleep(Duration::from_millis(1_500)).await;
        let missed_ticks = server.missed().await? - missed_before;
        stop.store(true, Ordering::Relaxed);
        let mut fast_skipped = 0;
        while let Some(seen) = fast.join_next().await {
            let seen = seen??;
            fast_skipped += seen.skipped + seen.missed();
        }
        let (mut still_there, mut heard) = (0, 0);
        while let Some(ended) = slow.join_next().await {
            if let Ok(messages) = ended? {
                still_there += 1;
                heard += messages;
            }
        }
        sleep(Duration::from_secs(2)).await;
        without.extend(cycle_times(&server, seconds / 2).await?.0);
        playing.stop()?;
        let title = format!(
            "{CONNECTIONS} connections, {} of them slow, {seconds} s",
            CONNECTIONS - FAST
        );
        let mut part = Part::new(title);
        let (p50, p99) = (quantile(&mut without, 0.5), quantile(&mut without, 0.99));
        let (p50_with, p99_with) = (quantile(&mut with, 0.5), quantile(&mut with, 0.99));
        part.told(
            "cycle without them, median and p99",
            format!("{}, {}", ms(p50), ms(p99)),
        );
        part.told(
            "cycle with them, median and p99",
            format!("{}, {}", ms(p50_with), ms(p99_with)),
        );
        let moved = (f64::from(p99_with) / f64::from(p99.max(1)) - 1.0) * 100.0;
        part.held(
            "change of the p99",
            format!("{moved:+.1} %"),
            "10 %".to_owned(),
            moved < 10.0,
        );
        part.held(
            "slots without a cycle",
            missed_ticks.to_string(),
            "0".to_owned(),
            missed_ticks == 0,
        );
        let kept_up = fast_skipped + observer_skipped;
        part.held(
            "cycles missed by the 200 that keep up",
            kept_up.to_string(),
            "0".to_owned(),
            kept_up == 0,
        );
        part.told("slow connections at the end", still_there.to_string());
        part.told("messages that the slow ones took", heard.to_string());
        part.told(
            "resident memory of the server",
            format!("{:.0} MB", rss_kib as f64 * 1.024e-3),
        );
        Ok(part)
    })
}
