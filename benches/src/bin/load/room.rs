//! A room of four radios at 100 frames a second each, made before it is played so that playing costs little.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tapline_sim::{Scene, Simulator};

use crate::Result;

const SCENE: &str = include_str!("../../../../sim/scenes/four-nodes-ht20.toml");
/// Every radio hears three others, so this many frames a second of each make 100.
const RATE_HZ: f64 = 100.0 / 3.0;
/// When the person comes; the room is learned before.
const APPEARS_S: f64 = 7.0;

/// The scene of all measurements, and what its radios send.
pub(crate) struct Recorded {
    /// The scene as a file.
    pub(crate) scene: String,
    datagrams: Arc<Vec<(Duration, u16, Vec<u8>)>>,
}

impl Recorded {
    pub(crate) fn new(seconds: u64) -> Result<Self> {
        let changed = |text: &str, from: &str, to: String| {
            if text.contains(from) {
                Ok(text.replace(from, &to))
            } else {
                Err(format!("the scene four-nodes-ht20 has no line {from:?} any more"))
            }
        };
        let scene = changed(SCENE, "rate_hz = 25.0", format!("rate_hz = {RATE_HZ}"))?;
        let scene = changed(&scene, "appear_s = 40.0", format!("appear_s = {APPEARS_S}"))?;
        let scene = changed(&scene, "duration_s = 180.0", format!("duration_s = {seconds}.0"))?;
        let mut simulator = Simulator::new(Scene::from_toml(&scene)?, 1)?;
        let (mut datagrams, mut bytes) = (Vec::new(), Vec::new());
        while let Some(emission) = simulator.next_datagram(&mut bytes) {
            let at = Duration::from_nanos(emission.time_ns);
            datagrams.push((at, emission.node, std::mem::take(&mut bytes)));
        }
        Ok(Self {
            scene,
            datagrams: Arc::new(datagrams),
        })
    }

    /// Plays it to a server until it is stopped.
    pub(crate) fn play(&self, to: SocketAddr) -> Result<Playing> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, datagrams) = (Arc::clone(&stop), Arc::clone(&self.datagrams));
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            let mut sent = std::collections::BTreeMap::new();
            for (at, node, bytes) in datagrams.iter() {
                std::thread::sleep(at.saturating_sub(begun.elapsed()));
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                if socket.send(bytes).is_ok() {
                    *sent.entry(*node).or_insert(0_u64) += 1;
                }
            }
            sent
        });
        Ok(Playing { stop, thread })
    }
}

/// A room being played.
pub(crate) struct Playing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::collections::BTreeMap<u16, u64>>,
}

impl Playing {
    /// Stops it; datagrams sent, by radio.
    pub(crate) fn stop(self) -> Result<std::collections::BTreeMap<u16, u64>> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| "the room's thread panicked")?)
    }
}
