//! The first look at a datagram: who sends it, what it is, may it wait for a tick.
//!
//! Nothing is dropped silently: whatever does not pass is counted by kind, source and reason. Only what
//! can feed the cycle passes, so a flood of anything else fills no queue.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tapline_wire::Datagram;

use super::{
    allow::Block,
    frames::{Frames, NO_SOURCE},
};
use crate::{
    config::{FleetServer, Site},
    live::UnknownSender,
};

/// Unknown senders remembered; later ones are only counted.
const UNKNOWN_SENDERS: usize = 64;

/// What the gatekeeper knows of a configured node.
#[derive(Clone, Debug, Default)]
pub struct NodeCounters {
    /// Frames that passed.
    pub frames: u64,
    /// Not used, by reason.
    pub not_used: BTreeMap<&'static str, u64>,
    /// When the last one came.
    pub last_seen: Option<Instant>,
    /// Where from.
    pub address: Option<IpAddr>,
    /// Strength of the last one, dBm.
    pub rssi_dbm: Option<i8>,
}

/// All counters since start.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Datagrams by kind.
    pub received: BTreeMap<&'static str, u64>,
    /// Not used, by reason.
    pub not_used: BTreeMap<&'static str, u64>,
    /// By configured node.
    pub nodes: BTreeMap<u16, NodeCounters>,
    /// Senders that are not configured, by address.
    pub unknown: BTreeMap<IpAddr, UnknownSender>,
}

impl Counters {
    /// All datagrams.
    pub fn total(&self) -> u64 {
        self.received.values().sum()
    }

    fn refuse(&mut self, reason: &'static str) {
        *self.not_used.entry(reason).or_default() += 1;
    }
}

struct Waiting {
    frames: Frames,
    counters: Counters,
}

/// Admits datagrams and keeps them until their tick.
pub struct Gatekeeper {
    allow: Vec<Block>,
    keys: BTreeMap<u16, Option<[u8; 32]>>,
    most_waiting: usize,
    waiting: Mutex<Waiting>,
}

impl Gatekeeper {
    /// For a site; `keys` are the authentication keys of the nodes that have one.
    pub fn new(server: &FleetServer, site: &Site, keys: &BTreeMap<u16, [u8; 32]>) -> Self {
        let counters = Counters {
            nodes: site.nodes.iter().map(|n| (n.id, NodeCounters::default())).collect(),
            ..Counters::default()
        };
        Self {
            allow: server.allow.iter().filter_map(|entry| Block::parse(entry)).collect(),
            keys: site.nodes.iter().map(|n| (n.id, keys.get(&n.id).copied())).collect(),
            most_waiting: server.queue_datagrams,
            waiting: Mutex::new(Waiting {
                frames: Frames::with_capacity(server.queue_datagrams.min(512)),
                counters,
            }),
        }
    }

    /// Looks at one datagram; `from` is none for a recording.
    ///
    /// # Errors
    /// The reason it is not used, as counted.
    pub fn admit(&self, from: Option<IpAddr>, arrival_ns: u64, bytes: &[u8]) -> Result<(), &'static str> {
        let mut waiting = self.lock();
        let result = self.judge(&mut waiting, from, arrival_ns, bytes);
        if let Err(reason) = result {
            waiting.counters.refuse(reason);
        }
        result
    }

    /// Counts a line of a recording that is no datagram.
    pub fn count_not_used(&self, reason: &'static str) {
        let mut waiting = self.lock();
        *waiting.counters.received.entry(reason).or_default() += 1;
        waiting.counters.refuse(reason);
    }

    /// Moves what arrived at or before `end_ns` into `into`.
    pub fn take_until(&self, end_ns: u64, into: &mut Frames) {
        self.lock().frames.take_until(end_ns, into);
    }

    /// A copy of the counters.
    pub fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Counters and queue stay usable whatever another thread did.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(
        &self,
        waiting: &mut Waiting,
        from: Option<IpAddr>,
        arrival_ns: u64,
        bytes: &[u8],
    ) -> Result<(), &'static str> {
        let counters = &mut waiting.counters;
        *counters
            .received
            .entry(tapline_wire::kind_of(bytes).name())
            .or_default() += 1;
        if let Some(address) = from.filter(|a| !self.allowed(*a)) {
            remember(counters, address, None, "sender_not_allowed");
            return Err("sender_not_allowed");
        }
        let (source, rssi_dbm) = match tapline_wire::parse(bytes) {
            Err(error) => return Err(error.reason()),
            Ok(Datagram::Csi(csi)) => {
                let Some(key) = self.keys.get(&csi.rx_node) else {
                    if let Some(address) = from {
                        remember(counters, address, Some(csi.rx_node), "unknown_node");
                    }
                    return Err("unknown_node");
                };
                if let Some(key) = key
                    && csi.verify_mac(key).is_err()
                {
                    *counters
                        .nodes
                        .entry(csi.rx_node)
                        .or_default()
                        .not_used
                        .entry("not_authentic")
                        .or_default() += 1;
                    return Err("not_authentic");
                }
                (u32::from(csi.rx_node), csi.rssi())
            }
            Ok(Datagram::Rss(report)) => (report.reporter.map_or(NO_SOURCE, u32::from), None),
            Ok(_) => return Err(tapline_wire::kind_of(bytes).name()),
        };
        if waiting.frames.len() >= self.most_waiting {
            return Err("queue_full");
        }
        waiting.frames.push(source, arrival_ns, bytes);
        if let Ok(node) = u16::try_from(source) {
            let entry = counters.nodes.entry(node).or_default();
            entry.frames += 1;
            entry.last_seen = Some(Instant::now());
            entry.address = from.or(entry.address);
            entry.rssi_dbm = rssi_dbm.or(entry.rssi_dbm);
        }
        Ok(())
    }

    fn allowed(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|b| b.contains(address))
    }
}

fn remember(counters: &mut Counters, address: IpAddr, node: Option<u16>, reason: &'static str) {
    if counters.unknown.len() >= UNKNOWN_SENDERS && !counters.unknown.contains_key(&address) {
        return;
    }
    let sender = counters.unknown.entry(address).or_insert_with(|| UnknownSender {
        address,
        node,
        datagrams: 0,
        reason,
        admit: admit_lines(address, node, reason),
    });
    sender.datagrams += 1;
}

/// The configuration lines that would let a sender in.
fn admit_lines(address: IpAddr, node: Option<u16>, reason: &str) -> String {
    let allow = format!("[server]\nallow = [\"{address}\"]\n");
    match (reason, node) {
        ("sender_not_allowed", _) => allow,
        (_, Some(id)) => {
            format!("[[site.node]]\nid = {id}\nposition_m = [0.0, 0.0, 1.0]\n\n[[site.link]]\ntx = 0\nrx = {id}\n")
        }
        (_, None) => allow,
    }
}
