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

use tapline_wire::{Datagram, RssReport};

use super::{
    admit::Admission,
    allow::Block,
    frames::{Frames, NO_SOURCE},
    sequence::Once,
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
    /// Of the nodes that have a key.
    once: BTreeMap<u16, Once>,
}

/// Admits datagrams and keeps them until their tick.
pub struct Gatekeeper {
    allow: Vec<Block>,
    admission: Admission,
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
            admission: Admission::new(server, site),
            keys: site.nodes.iter().map(|n| (n.id, keys.get(&n.id).copied())).collect(),
            most_waiting: server.queue_datagrams,
            waiting: Mutex::new(Waiting {
                frames: Frames::with_capacity(server.queue_datagrams.min(512)),
                counters,
                once: keys.keys().map(|node| (*node, Once::default())).collect(),
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
            remember(counters, address, None, "sender_not_allowed", || {
                self.admission.of_address(address)
            });
            return Err("sender_not_allowed");
        }
        let once = &mut waiting.once;
        // A datagram is refused for what it is before it counts as taken.
        let room = if waiting.frames.len() < self.most_waiting {
            Ok(())
        } else {
            Err("queue_full")
        };
        let (source, rssi_dbm) = match tapline_wire::parse(bytes) {
            Err(error) => return Err(error.reason()),
            Ok(Datagram::Csi(csi)) => {
                let key = self.key_of(csi.rx_node, from, counters)?;
                let authentic = key.is_none_or(|key| csi.verify_mac(key).is_ok());
                admit_authentic(authentic, Some(csi.rx_node), counters)?;
                room?;
                if let Some(once) = once.get_mut(&csi.rx_node) {
                    // Every format with a code has a boot count.
                    let new = once.frame(csi.boot_count.unwrap_or(0), csi.seq);
                    count_refused(new, Some(csi.rx_node), counters)?;
                }
                (u32::from(csi.rx_node), csi.rssi())
            }
            Ok(Datagram::Rss(report)) => {
                admit_authentic(self.is_authentic(&report), report.reporter, counters)?;
                room?;
                if let Some(once) = report.reporter.and_then(|node| once.get_mut(&node)) {
                    let new = once.report(report.capture_ms, report.seq);
                    count_refused(new, report.reporter, counters)?;
                }
                (report.reporter.map_or(NO_SOURCE, u32::from), None)
            }
            Ok(Datagram::Sync(sync)) => {
                let node = u16::from(sync.node);
                // No clock message carries a code, so a node that has a key cannot send one.
                let keyless = self.key_of(node, from, counters)?.is_none();
                admit_authentic(keyless, Some(node), counters)?;
                room?;
                (node.into(), None)
            }
            Ok(_) => return Err(tapline_wire::kind_of(bytes).name()),
        };
        waiting.frames.push(source, arrival_ns, bytes);
        // Whoever is not configured has no counters, or a flood of numbers would be a flood of them.
        if let Some(entry) = u16::try_from(source)
            .ok()
            .and_then(|node| counters.nodes.get_mut(&node))
        {
            entry.frames += 1;
            entry.last_seen = Some(Instant::now());
            entry.address = from.or(entry.address);
            entry.rssi_dbm = rssi_dbm.or(entry.rssi_dbm);
        }
        Ok(())
    }

    /// The key of a configured node, if it has one.
    fn key_of(
        &self,
        node: u16,
        from: Option<IpAddr>,
        counters: &mut Counters,
    ) -> Result<Option<&[u8; 32]>, &'static str> {
        let Some(key) = self.keys.get(&node) else {
            if let Some(address) = from {
                remember(counters, address, Some(node), "unknown_node", || {
                    self.admission.of_node(node)
                });
            }
            return Err("unknown_node");
        };
        Ok(key.as_ref())
    }

    /// A reporter that has a key signs its reports with it; only such a report may speak for receivers that have one.
    fn is_authentic(&self, report: &RssReport<'_>) -> bool {
        let has_key = |node: u16| self.keys.get(&node).is_some_and(Option::is_some);
        match report.reporter.and_then(|node| self.keys.get(&node)?.as_ref()) {
            Some(key) => report.verify_mac(key).is_ok(),
            None => !report.entries().any(|entry| has_key(entry.rx)),
        }
    }

    fn allowed(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|b| b.contains(address))
    }
}

fn admit_authentic(authentic: bool, node: Option<u16>, counters: &mut Counters) -> Result<(), &'static str> {
    let result = if authentic { Ok(()) } else { Err("not_authentic") };
    count_refused(result, node, counters)
}

/// Counts what is refused against the node it names.
fn count_refused(
    result: Result<(), &'static str>,
    node: Option<u16>,
    counters: &mut Counters,
) -> Result<(), &'static str> {
    if let (Err(reason), Some(node)) = (result, node.and_then(|node| counters.nodes.get_mut(&node))) {
        *node.not_used.entry(reason).or_default() += 1;
    }
    result
}

/// `admit` gives the lines of the fleet file that would let the sender in.
fn remember(
    counters: &mut Counters,
    address: IpAddr,
    node: Option<u16>,
    reason: &'static str,
    admit: impl FnOnce() -> String,
) {
    if counters.unknown.len() >= UNKNOWN_SENDERS && !counters.unknown.contains_key(&address) {
        return;
    }
    let sender = counters.unknown.entry(address).or_insert_with(|| UnknownSender {
        address,
        node,
        datagrams: 0,
        reason,
        admit: admit(),
    });
    sender.datagrams += 1;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tapline_wire::{RssEntry, Samples, SyncPacket, Tlf1, TlfGrid, Tlr1};

    use super::*;
    use crate::config::Fleet;

    const KEY: [u8; 32] = [7; 32];

    /// Nodes 1 and 2; node 1 has a key.
    fn gate() -> Gatekeeper {
        let text = "version = 1\n[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]\n\
             [[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n[[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n\
             [site.mesh]\nkind = \"rss\"\n";
        let fleet = Fleet::parse(text, Path::new("fleet.toml")).unwrap();
        let site = fleet.select(None, "test").unwrap();
        Gatekeeper::new(&fleet.server, &site, &BTreeMap::from([(1, KEY)]))
    }

    fn report(reporter: Option<u16>, rx: u16, key: Option<&[u8; 32]>) -> Vec<u8> {
        let entry = RssEntry {
            tx: 3 - rx,
            rx,
            channel: 6,
            rssi_dbm: -50,
        };
        let mut bytes = Vec::new();
        let tlr1 = Tlr1 {
            reporter,
            seq: 1,
            capture_ms: 1,
            simulated: false,
            entries: &[entry],
        };
        tlr1.encode(key, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn strengths_of_a_node_with_a_key_are_used_under_that_key_only() {
        let (gate, another) = (gate(), gate());
        let admit = |bytes: &[u8]| gate.admit(None, 0, bytes);
        assert_eq!(admit(&report(Some(1), 1, Some(&KEY))), Ok(()));
        // A gateway with a key may report what others receive. To another server: this one has had its report.
        assert_eq!(another.admit(None, 0, &report(Some(1), 2, Some(&KEY))), Ok(()));
        assert_eq!(admit(&report(Some(2), 2, None)), Ok(()));
        assert_eq!(admit(&report(None, 2, None)), Ok(()));

        let mut forged = report(Some(1), 1, Some(&KEY));
        forged[24] ^= 1;
        for bytes in [
            forged,
            report(Some(1), 1, None),
            report(Some(1), 1, Some(&[8; 32])),
            report(Some(1), 2, None),
            report(Some(2), 1, None),
            report(None, 1, Some(&KEY)),
            report(Some(9), 1, Some(&KEY)),
        ] {
            assert_eq!(admit(&bytes), Err("not_authentic"));
        }
        let counters = gate.counters();
        assert_eq!(counters.nodes[&1].not_used["not_authentic"], 4);
        // Nobody makes counters by inventing numbers.
        assert_eq!(counters.nodes.keys().copied().collect::<Vec<_>>(), [1, 2]);
    }

    fn frame(boot_count: u16, seq: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let tlf1 = Tlf1 {
            rx_node: 1,
            tx_node: Some(2),
            seq,
            capture_us: 0,
            mesh_time: false,
            simulated: false,
            centre_khz: 2_437_000,
            bandwidth_mhz: 20,
            grid: TlfGrid::Own(&[1]),
            antennas: 1,
            rssi_dbm: -40,
            noise_dbm: -90,
            agc_db: None,
            boot_count,
            samples: Samples::I8(&[[1, 1]]),
        };
        tlf1.encode(Some(&KEY), &mut bytes).unwrap();
        bytes
    }

    /// The code of a recorded datagram is good for ever; what it says of its boot and its number tells that it was here before.
    #[test]
    fn a_recording_of_a_node_with_a_key_is_refused_and_counted() {
        let gate = gate();
        let admit = |bytes: &[u8]| gate.admit(None, 0, bytes);
        let first: Vec<_> = (0..100).map(|seq| frame(1, seq)).collect();
        for bytes in &first {
            assert_eq!(admit(bytes), Ok(()));
        }
        assert_eq!(admit(&report(Some(1), 1, Some(&KEY))), Ok(()));
        // What is forged teaches nothing.
        let mut forged = frame(7, 9_000);
        forged[42] ^= 1;
        assert_eq!(admit(&forged), Err("not_authentic"));
        for (seq, bytes) in first.iter().enumerate() {
            let reason = if seq <= 99 - 64 { "too_late" } else { "repeated" };
            assert_eq!(admit(bytes), Err(reason));
        }
        assert_eq!(admit(&report(Some(1), 1, Some(&KEY))), Err("repeated"));
        assert_eq!(admit(&frame(2, 0)), Ok(()));
        assert_eq!(admit(&first[99]), Err("old_boot"));
        let not_used = &gate.counters().nodes[&1].not_used;
        assert_eq!(
            not_used.iter().map(|(reason, n)| (*reason, *n)).collect::<Vec<_>>(),
            [
                ("not_authentic", 1),
                ("old_boot", 1),
                ("repeated", 65),
                ("too_late", 36)
            ]
        );
    }

    #[test]
    fn a_full_queue_uses_up_no_number() {
        let mut gate = gate();
        gate.most_waiting = 1;
        assert_eq!(gate.admit(None, 0, &frame(1, 0)), Ok(()));
        assert_eq!(gate.admit(None, 1, &frame(1, 1)), Err("queue_full"));
        gate.take_until(0, &mut Frames::default());
        assert_eq!(gate.admit(None, 2, &frame(1, 1)), Ok(()));
    }

    #[test]
    fn clock_messages_of_configured_nodes_pass_unless_they_should_be_signed() {
        let gate = gate();
        let message = |node| {
            let mut bytes = Vec::new();
            let sync = SyncPacket {
                node,
                leader: false,
                valid: true,
                smoothed: false,
                local_us: 1,
                epoch_us: 0,
                seq_high_water: 0,
            };
            sync.encode(&mut bytes);
            gate.admit(None, 0, &bytes)
        };
        assert_eq!(
            [message(2), message(1), message(9)],
            [Ok(()), Err("not_authentic"), Err("unknown_node")]
        );
    }
}
