//! The product's Doppler spectra of a simulated room, and who walked in it when.

use num_complex::Complex32;
use tapline_dsp::{
    doppler::{POWERS, RATE_BINS, WINDOW_S},
    front::{Front, FrontConfig, PathKind, PathSpec},
    tier::Tier,
    tracker::body::{self, Spectra},
};
use tapline_sim::Simulator;
use tapline_wire::{BinLayout, Datagram};

use crate::Result;

/// Length of a cycle, nanoseconds.
const CYCLE_NS: u64 = 50_000_000;
/// So long the empty room is learned, nanoseconds.
const CALIBRATED_NS: i64 = 30_000_000_000;
/// Cycles from one spectrum that counts to the next.
const EVERY: u64 = 4;
/// Who is slower does not walk, m/s.
const SPEED_LEAST_M_S: f64 = 0.15;
/// As the scenes have it.
const TIER: Tier = Tier::Ht40;
const CENTRE_KHZ: u32 = 2_437_000;

/// Somebody who walks, and the spectra that show it.
pub(crate) struct Moment {
    /// Where they are.
    pub(crate) at_m: [f64; 2],
    /// How fast.
    pub(crate) velocity_m_s: [f64; 2],
    /// Which of [`Room::seen`].
    pub(crate) seen: usize,
}

/// What a pair of nodes saw.
pub(crate) struct Seen {
    /// Where its nodes are.
    pub(crate) nodes_m: [[f64; 2]; 2],
    /// Powers as shares of the pair's peak.
    pub(crate) shares: Spectra<f32>,
}

/// A scene, measured.
#[derive(Default)]
pub(crate) struct Room {
    /// By window: all pairs.
    pub(crate) seen: Vec<Vec<Seen>>,
    /// Everybody who walked in the middle of a window.
    pub(crate) moments: Vec<Moment>,
}

/// Plays a scene into a front end, as the server does, calibrated before anybody comes.
pub(crate) fn measure(simulator: &mut Simulator) -> Result<Room> {
    let nodes: Vec<_> = simulator.scene().node.iter().map(|n| (n.id, n.at)).collect();
    let ids = || nodes.iter().map(|(id, _)| *id);
    let paths: Vec<_> = ids()
        .flat_map(|tx| ids().filter(move |rx| *rx != tx).map(move |rx| path(tx, rx)))
        .collect();
    let mut front = Front::new(FrontConfig {
        paths: paths.clone(),
        ..FrontConfig::default()
    })?;
    front.start_calibration(CALIBRATED_NS);
    let mut room = Room::default();
    let mut datagram = Vec::new();
    let mut next = simulator.next_datagram(&mut datagram);
    for tick in 1.. {
        let end_ns = tick * CYCLE_NS;
        let end_s = end_ns as f64 * 1e-9;
        if end_s > simulator.duration_s() {
            break;
        }
        while let Some(emission) = next.filter(|e| e.time_ns <= end_ns) {
            push(&mut front, &paths, &datagram, emission.time_ns)?;
            next = simulator.next_datagram(&mut datagram);
        }
        front.begin_tick(tick, end_ns.cast_signed());
        front.calibrate();
        front.align();
        front.sense(false);
        if let Some(learned) = front.take_calibration() {
            front.load_calibration(&learned?)?;
        }
        if tick.is_multiple_of(EVERY) {
            room.take(simulator, end_s, &front, |id| {
                nodes.iter().find(|n| n.0 == id).map(|(_, at)| [at.x, at.y])
            });
        }
    }
    Ok(room)
}

fn path(tx: u16, rx: u16) -> PathSpec {
    PathSpec {
        tx,
        rx,
        tx_antenna: 0,
        rx_antenna: 0,
        channel: 6,
        kind: PathKind::Csi {
            tier: TIER,
            centre_khz: CENTRE_KHZ,
        },
    }
}

fn push(front: &mut Front, paths: &[PathSpec], datagram: &[u8], time_ns: u64) -> Result<()> {
    let Datagram::Csi(csi) = tapline_wire::parse(datagram)? else {
        return Ok(());
    };
    let Some(path) = paths
        .iter()
        .position(|p| (Some(p.tx), p.rx) == (csi.tx_node, csi.rx_node))
    else {
        return Ok(());
    };
    let (mut tones, mut mask) = (vec![Complex32::default(); TIER.tones()], vec![0; TIER.tones()]);
    csi.tones(0, BinLayout::Auto, TIER, &mut tones, &mut mask)?;
    front.push_csi(
        path,
        time_ns.cast_signed(),
        csi.rssi_dbm,
        csi.noise_dbm,
        csi.agc_db,
        &tones,
        &mask,
    )?;
    Ok(())
}

impl Room {
    /// Keeps the spectra of a window when anybody walked in its middle.
    fn take(&mut self, simulator: &Simulator, end_s: f64, front: &Front, node: impl Fn(u16) -> Option<[f64; 2]>) {
        let (pairs, powers) = front.doppler();
        let truth = simulator.truth_at(end_s - 0.5 * f64::from(WINDOW_S));
        let walkers = truth.people.iter().filter(|p| {
            let [vx, vy] = p.velocity_m_s;
            p.room.is_some() && (vx * vx + vy * vy).sqrt() > SPEED_LEAST_M_S
        });
        let before = self.moments.len();
        self.moments.extend(walkers.map(|p| Moment {
            at_m: p.position_m,
            velocity_m_s: p.velocity_m_s,
            seen: self.seen.len(),
        }));
        if self.moments.len() > before {
            let pairs = pairs.iter().zip(powers.chunks_exact(POWERS));
            let seen = pairs.filter_map(|(pair, powers)| {
                Some(Seen {
                    nodes_m: [node(pair.a)?, node(pair.b)?],
                    shares: body::shares(&core::array::from_fn(|filter| {
                        core::array::from_fn(|bin| powers[filter * RATE_BINS + bin])
                    })),
                })
            });
            self.seen.push(seen.collect());
        }
    }
}
