//! A flood of datagrams that are none of ours, beside four radios.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Result,
    report::Part,
    room::Recorded,
    server::{Server, number},
};

const RATE_HZ: u64 = 50_000;
/// Kinds of garbage that are prepared and sent in turns.
const KINDS: usize = 1_024;

/// Random bytes of all lengths, and beginnings of real frames with the rest broken.
fn prepare() -> Vec<Vec<u8>> {
    let mut state = 7_u64;
    let mut byte = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..KINDS)
        .map(|kind| {
            let length = usize::from(byte()) * 2 + 1;
            let mut bytes: Vec<u8> = (0..length).map(|_| byte()).collect();
            let magic: &[u8] = match kind % 4 {
                0 => b"TLF1",
                1 => &[0x01, 0x00, 0x11, 0xc5],
                _ => &[],
            };
            for (to, from) in bytes.iter_mut().zip(magic) {
                *to = *from;
            }
            bytes
        })
        .collect()
}

fn flood(to: SocketAddr, stop: Arc<AtomicBool>) -> Result<JoinHandle<u64>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let garbage = prepare();
    Ok(std::thread::spawn(move || {
        let begun = Instant::now();
        let mut sent = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_micros() as u64) * RATE_HZ / 1_000_000;
            while sent < due {
                // A full buffer is the network's problem, not the sender's.
                let _ = socket.send(&garbage[sent as usize % KINDS]);
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    }))
}

/// 50,000 of them a second.
pub(crate) fn garbage(tapline: &Path, room: &Recorded, seconds: u64) -> Result<Part> {
    let server = Server::start(tapline, room)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        server.ready().await?;
        let playing = room.play(server.udp)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (missed_before, cpu_before) = (server.missed().await?, server.cpu_s()?);
        let stop = Arc::new(AtomicBool::new(false));
        let flooding = flood(server.udp, Arc::clone(&stop))?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let cpu = (server.cpu_s()? - cpu_before) / seconds as f64;
        // The radios end inside the flood: their last frames are under it too.
        let sent = playing.stop()?;
        stop.store(true, Ordering::Relaxed);
        let thrown = flooding.join().map_err(|_| "the flood's thread panicked")?;
        // What the server says of itself is renewed once a second.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let missed_ticks = server.missed().await? - missed_before;
        let question =
            "{ server { received { name count } notUsed { name count } } nodes { id frames notUsed { name count } } }";
        let answer = server.ready().await?.ask(question, json!({})).await?;
        let sum = |counts: &Value| -> Result<u64> {
            let counts = counts.as_array().ok_or("counts are a list")?;
            counts.iter().map(|c| number(&c["count"])).sum()
        };
        let (mut arrived, mut not_used) = (0, 0);
        for node in answer["nodes"].as_array().ok_or("nodes are a list")? {
            arrived += number(&node["frames"])?;
            not_used += sum(&node["notUsed"])?;
        }
        let frames: u64 = sent.values().sum();
        let refused = sum(&answer["server"]["notUsed"])?;
        let mut part = Part::new(format!(
            "{RATE_HZ} garbage datagrams a second beside 4 nodes x 100 Hz, {seconds} s"
        ));
        part.told(
            "garbage sent a second",
            format!("{:.0}", thrown as f64 / seconds as f64),
        );
        let share = refused as f64 / thrown.max(1) as f64 * 100.0;
        part.told("of which the server looked at and refused", format!("{share:.2} %"));
        part.told("frames sent by the radios", frames.to_string());
        let lost = frames.saturating_sub(arrived) + not_used;
        part.held("of which lost or not used", lost.to_string(), "0".to_owned(), lost == 0);
        part.held(
            "slots without a cycle",
            missed_ticks.to_string(),
            "0".to_owned(),
            missed_ticks == 0,
        );
        part.told("processor time of the server", format!("{cpu:.2} s a second"));
        Ok(part)
    })
}
