//! Stage 1: from datagrams to link paths.
//!
//! What a datagram means depends on the configuration (which paths exist, who transmits) and on the
//! node's sequence numbers; both are the same on replay, so this is part of the cycle.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use num_complex::Complex32;
use tapline_dsp::{array::clock::ClockWatch, front::Front, tier::Tier};
use tapline_wire::{BinLayout, CsiFrame, Datagram, RssReport};

use super::{
    frames::Frame,
    sequence::{Order, Sequence},
};
use crate::config::{NodeRole, Path, PathKind, Site};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It fed at least one link path.
    Csi,
    /// It fed this many RSS paths.
    Rss(u32),
    /// It was understood but feeds nothing: vitals, features, clock messages.
    Other(&'static str),
    /// It was not used, and why.
    NotUsed(&'static str),
}

struct NodeEntry {
    id: u16,
    layout: BinLayout,
    transmitter: Option<u16>,
    simulated: bool,
}

/// Sequence numbers of what came.
#[derive(Debug, Default, BorshSerialize, BorshDeserialize)]
struct Orders {
    /// Of each node's frames.
    frames: Vec<Sequence>,
    /// Of each node's strength reports, which are numbered by themselves.
    reports: Vec<Sequence>,
    /// Of each path's newest frame: a node numbers its frames over all its paths.
    newest: Vec<Option<u32>>,
}

/// The configuration as the first stage needs it, and the nodes' sequence numbers.
pub struct Intake {
    nodes: Vec<NodeEntry>,
    paths: Vec<Path>,
    order: Orders,
    /// What is known of the nodes' clocks. It decides nothing in the cycle, so it is no part of its state.
    clocks: Vec<ClockWatch>,
    tones: Vec<Complex32>,
    mask: Vec<u8>,
    /// True when a frame of the current tick was simulated.
    pub simulated: bool,
}

impl Intake {
    /// Prepares for a site.
    pub fn new(site: &Site) -> Self {
        let nodes: Vec<NodeEntry> = site
            .nodes
            .iter()
            .map(|n| NodeEntry {
                id: n.id,
                layout: BinLayout::from_name(&n.chip).unwrap_or_default(),
                transmitter: n.transmitter.or_else(|| only_transmitter(site, n.id)),
                simulated: n.simulated,
            })
            .collect();
        let widest = Tier::ALL.iter().map(|t| t.tones()).max().unwrap_or(0);
        Self {
            order: Orders {
                frames: vec![Sequence::default(); nodes.len()],
                reports: vec![Sequence::default(); nodes.len()],
                newest: vec![None; site.paths.len()],
            },
            // Not cloned: a clone has no room set aside.
            clocks: nodes.iter().map(|_| ClockWatch::default()).collect(),
            nodes,
            paths: site.paths.clone(),
            tones: vec![Complex32::default(); widest],
            mask: vec![0; widest],
            simulated: false,
        }
    }

    /// Takes one datagram and feeds the paths it measures.
    pub fn take(&mut self, frame: &Frame<'_>, front: &mut Front) -> Taken {
        match tapline_wire::parse(frame.bytes) {
            Err(error) => Taken::NotUsed(error.reason()),
            Ok(Datagram::Csi(csi)) => self.csi(&csi, frame.arrival_ns, front),
            Ok(Datagram::Rss(report)) => self.rss(&report, frame.arrival_ns, front),
            Ok(Datagram::Sync(sync)) => {
                if let Ok(index) = self.nodes.binary_search_by_key(&u16::from(sync.node), |n| n.id) {
                    self.clocks[index].message(frame.arrival_ns.cast_signed(), sync.local_us);
                }
                Taken::Other(tapline_wire::kind_of(frame.bytes).name())
            }
            Ok(_) => Taken::Other(tapline_wire::kind_of(frame.bytes).name()),
        }
    }

    fn csi(&mut self, csi: &CsiFrame<'_>, arrival_ns: u64, front: &mut Front) -> Taken {
        let Ok(index) = self.nodes.binary_search_by_key(&csi.rx_node, |n| n.id) else {
            return Taken::NotUsed("unknown_node");
        };
        match self.order.frames[index].take(csi.seq, csi.boot_count) {
            Order::Repeat => return Taken::NotUsed("repeated"),
            Order::TooLate => return Taken::NotUsed("too_late"),
            Order::Newest | Order::Late => {}
            Order::Restart => {
                for (path, newest) in self.paths.iter().zip(&mut self.order.newest) {
                    if path.rx == csi.rx_node {
                        *newest = None;
                    }
                }
            }
        }
        self.clocks[index].frame(arrival_ns.cast_signed(), csi.capture_us);
        let node = &self.nodes[index];
        let Some(tx) = csi.tx_node.or(node.transmitter) else {
            return Taken::NotUsed("unknown_transmitter");
        };
        self.simulated |= csi.simulated || node.simulated;
        let time_ns = arrival_ns.cast_signed();
        let mut fed = false;
        let mut reason = "no_such_link";
        let from = self.paths.partition_point(|p| (p.tx, p.rx) < (tx, csi.rx_node));
        for (i, path) in self.paths.iter().enumerate().skip(from) {
            if (path.tx, path.rx) != (tx, csi.rx_node) {
                break;
            }
            let PathKind::Csi(tier) = path.kind else { continue };
            let newest = &mut self.order.newest[i];
            if newest.is_some_and(|newest| csi.seq.wrapping_sub(newest).cast_signed() < 0) {
                // What it measured is over: its phase would stand at the wrong time.
                reason = "late";
                continue;
            }
            if path.tx_antenna != 0 || path.rx_antenna >= csi.rx_antennas {
                // Why antenna 0 was not used says more.
                if reason == "no_such_link" {
                    reason = "no_such_antenna";
                }
                continue;
            }
            if !on_channel(path.channel, csi.centre_khz, tier) {
                reason = "other_channel";
                continue;
            }
            let tones = &mut self.tones[..tier.tones()];
            let mask = &mut self.mask[..tier.tones()];
            match csi.tones(path.rx_antenna, node.layout, tier, tones, mask) {
                Ok(()) => match front.push_csi(i, time_ns, csi.rssi_dbm, csi.noise_dbm, csi.agc_db, tones, mask) {
                    Ok(()) => (fed, *newest) = (true, Some(csi.seq)),
                    Err(_) => reason = "no_such_link",
                },
                Err(error) => reason = error.reason(),
            }
        }
        if fed { Taken::Csi } else { Taken::NotUsed(reason) }
    }

    fn rss(&mut self, report: &RssReport<'_>, arrival_ns: u64, front: &mut Front) -> Taken {
        // Gateways that are no nodes share one number: whose sequence it is cannot be told.
        let reporter = report
            .reporter
            .and_then(|id| self.nodes.binary_search_by_key(&id, |n| n.id).ok());
        match reporter.map(|index| self.order.reports[index].take(report.seq, None)) {
            Some(Order::Repeat) => return Taken::NotUsed("repeated"),
            Some(Order::TooLate) => return Taken::NotUsed("too_late"),
            Some(Order::Newest | Order::Late | Order::Restart) | None => {}
        }
        let simulated = |id: u16| {
            let node = self.nodes.binary_search_by_key(&id, |n| n.id);
            node.is_ok_and(|i| self.nodes[i].simulated)
        };
        // A gateway that is no node passes on what nodes received.
        let by_node =
            report.reporter.is_some_and(simulated) || report.entries().any(|e| simulated(e.rx) || simulated(e.tx));
        self.simulated |= report.simulated || by_node;
        let mut fed = 0;
        for entry in report.entries() {
            let Some(rssi_dbm) = entry.rssi() else { continue };
            let key = (entry.tx, entry.rx, 0, 0, u16::from(entry.channel));
            let found = self
                .paths
                .binary_search_by(|p| (p.tx, p.rx, p.tx_antenna, p.rx_antenna, p.channel).cmp(&key));
            if let Ok(i) = found
                && front.push_rss(i, arrival_ns.cast_signed(), f32::from(rssi_dbm)).is_ok()
            {
                fed += 1;
            }
        }
        if fed > 0 {
            Taken::Rss(fed)
        } else {
            Taken::NotUsed("no_such_link")
        }
    }

    /// Sequence numbers of all nodes' frames, by node id.
    pub fn sequences(&self) -> BTreeMap<u16, &Sequence> {
        self.nodes
            .iter()
            .zip(&self.order.frames)
            .map(|(n, s)| (n.id, s))
            .collect()
    }

    /// Clocks of all nodes, by node id.
    pub fn clocks(&self) -> BTreeMap<u16, &ClockWatch> {
        self.nodes.iter().zip(&self.clocks).map(|(n, c)| (n.id, c)).collect()
    }

    /// Appends the state.
    pub fn export_state(&self, into: &mut Vec<u8>) {
        borsh::to_writer(into, &self.order).expect("writing to memory does not fail");
    }

    /// Replaces the state; false when the blob is not of this configuration.
    pub fn import_state(&mut self, state: &[u8]) -> bool {
        let nodes = self.nodes.len();
        let fits = |o: &Orders| [o.frames.len(), o.reports.len(), o.newest.len()] == [nodes, nodes, self.paths.len()];
        match borsh::from_slice::<Orders>(state) {
            Ok(order) if fits(&order) => {
                self.order = order;
                true
            }
            _ => false,
        }
    }
}

/// The one node that any configured link into `rx` comes from, if it is one only.
fn only_transmitter(site: &Site, rx: u16) -> Option<u16> {
    let mut transmitters = site
        .paths
        .iter()
        .filter(|p| p.rx == rx && matches!(p.kind, PathKind::Csi(_)))
        .map(|p| p.tx);
    let first = transmitters.next()?;
    let alone = transmitters.all(|tx| tx == first);
    let sends_only = site.node(first).is_some_and(|n| n.role == NodeRole::Transmitter);
    (alone && sends_only).then_some(first)
}

/// True when a frame with this centre belongs to the channel. The centre of a 40 MHz frame lies two
/// channel numbers above or below its primary channel. Zero: the node does not say.
fn on_channel(channel: u16, centre_khz: u32, tier: Tier) -> bool {
    if centre_khz == 0 {
        return true;
    }
    let Some(found) = channel_of(centre_khz) else {
        return false;
    };
    let slack = if tier.bandwidth_mhz() > 20 { 2 } else { 0 };
    found.abs_diff(channel) <= slack
}

/// Channel number of a centre frequency (IEEE 802.11-2020, annex E; 802.15.4 numbers lie in 11..26).
pub fn channel_of(centre_khz: u32) -> Option<u16> {
    let mhz = centre_khz / 1_000;
    let number = match mhz {
        2_484 => 14,
        2_407..=2_483 => (mhz - 2_407) / 5,
        5_000..=5_949 => (mhz - 5_000) / 5,
        5_955..=7_125 => (mhz - 5_950) / 5,
        _ => return None,
    };
    Some(number as u16)
}

/// Centre frequency of a Wi-Fi channel, kHz; numbers above 14 are taken as 5 GHz.
pub fn centre_khz_of(channel: u16) -> u32 {
    match channel {
        14 => 2_484_000,
        0..=13 => 2_407_000 + 5_000 * u32::from(channel),
        _ => 5_000_000 + 5_000 * u32::from(channel),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use tapline_dsp::{
        array::clock::{ClockReason, ClockState},
        front::{FrontConfig, PathKind as FrontKind, PathSpec},
    };
    use tapline_wire::{RssEntry, Samples, SyncPacket, Tlf1, TlfGrid, Tlr1};

    use super::*;
    use crate::config::Fleet;

    /// Three nodes, each of which hears the others at HT20.
    fn site() -> Site {
        let node = |id: u16| format!("[[site.node]]\nid = {id}\nposition_m = [{id}.0, 0.0, 1.0]\n");
        let text = format!(
            "version = 1\n[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]\n\
             {}{}{}[site.mesh]\ntier = \"HT20\"\nchannels = [6]\n",
            node(1),
            node(2),
            node(3)
        );
        let fleet = Fleet::parse(&text, FilePath::new("fleet.toml")).unwrap();
        fleet.select(None, "test").unwrap()
    }

    /// Node 1 sends frames with a time, 30 ppm slow; node 2 clock messages only; node 3 nothing.
    #[test]
    fn clocks_are_judged_by_the_times_in_frames_and_in_clock_messages() {
        let mut intake = Intake::new(&site());
        let mut front = Front::new(FrontConfig::default()).unwrap();
        let mut bytes = Vec::new();
        for i in 0..600_u64 {
            let arrival_ns = i * 50_000_000;
            bytes.clear();
            let tlf1 = Tlf1 {
                rx_node: 1,
                tx_node: Some(2),
                seq: i as u32,
                capture_us: 7_000_000 + (i as f64 * 50_000.0 * (1.0 - 30e-6)) as u64,
                mesh_time: false,
                simulated: true,
                centre_khz: 2_437_000,
                bandwidth_mhz: 20,
                grid: TlfGrid::Own(&[1]),
                antennas: 1,
                rssi_dbm: -40,
                noise_dbm: -90,
                agc_db: None,
                boot_count: 1,
                samples: Samples::I8(&[[1, 1]]),
            };
            tlf1.encode(None, &mut bytes).unwrap();
            let sync = SyncPacket {
                node: 2,
                leader: true,
                valid: true,
                smoothed: false,
                local_us: 9_000_000 + i * 50_000,
                epoch_us: 0,
                seq_high_water: 0,
            };
            let frame = |bytes: &[u8], intake: &mut Intake, front: &mut Front| {
                let frame = Frame {
                    source: 0,
                    arrival_ns,
                    bytes,
                };
                intake.take(&frame, front)
            };
            frame(&bytes, &mut intake, &mut front);
            bytes.clear();
            sync.encode(&mut bytes);
            assert!(matches!(frame(&bytes, &mut intake, &mut front), Taken::Other(_)));
        }
        let report = |node: u16| intake.clocks()[&node].report(30_000_000_000);
        let (framed, messages, silent) = (report(1), report(2), report(3));
        assert_eq!((framed.state, framed.reason), (ClockState::Admit, ClockReason::Steady));
        assert!((framed.drift_ppm.unwrap() - 30.0).abs() < 3.0, "{framed:?}");
        assert_eq!((messages.reason, messages.drift_ppm), (ClockReason::Steady, Some(0.0)));
        assert_eq!((silent.state, silent.reason), (ClockState::Reject, ClockReason::Stale));
    }

    #[test]
    fn what_comes_late_or_twice_is_not_the_newest_of_its_path() {
        let site = site();
        let paths = site.paths.iter().map(|p| PathSpec {
            tx: p.tx,
            rx: p.rx,
            tx_antenna: p.tx_antenna,
            rx_antenna: p.rx_antenna,
            channel: p.channel,
            kind: FrontKind::Csi {
                tier: Tier::Ht20,
                centre_khz: 2_437_000,
            },
        });
        let config = FrontConfig {
            paths: paths.collect(),
            ..FrontConfig::default()
        };
        let mut front = Front::new(config).unwrap();
        let mut intake = Intake::new(&site);
        let frame = |tx_node: u16, seq: u32, boot_count: u16| {
            let mut bytes = Vec::new();
            let tlf1 = Tlf1 {
                rx_node: 1,
                tx_node: Some(tx_node),
                seq,
                capture_us: 0,
                mesh_time: false,
                simulated: true,
                centre_khz: 2_437_000,
                bandwidth_mhz: 20,
                grid: TlfGrid::Active(Tier::Ht20),
                antennas: 1,
                rssi_dbm: -40,
                noise_dbm: -90,
                agc_db: None,
                boot_count,
                samples: Samples::I8(&vec![[1, 1]; Tier::Ht20.tones()]),
            };
            tlf1.encode(None, &mut bytes).unwrap();
            bytes
        };
        let report = |reporter: Option<u16>, seq: u32| {
            let mut bytes = Vec::new();
            let tlr1 = Tlr1 {
                reporter,
                seq,
                capture_ms: 0,
                simulated: true,
                entries: &[],
            };
            tlr1.encode(None, &mut bytes).unwrap();
            bytes
        };
        let no_link = Taken::NotUsed("no_such_link");
        for (bytes, expected, what) in [
            (frame(2, 10, 1), Taken::Csi, "the first"),
            (frame(2, 14, 1), Taken::Csi, "the next"),
            (frame(3, 12, 1), Taken::Csi, "late, but the newest from node 3"),
            (frame(2, 12, 1), Taken::NotUsed("repeated"), "again"),
            (frame(2, 13, 1), Taken::NotUsed("late"), "behind the newest from node 2"),
            (
                frame(3, 13, 1),
                Taken::NotUsed("repeated"),
                "a number is one frame's, used or not",
            ),
            (frame(2, 3, 2), Taken::Csi, "after a restart"),
            (report(Some(2), 5), no_link, "a report"),
            (report(Some(2), 5), Taken::NotUsed("repeated"), "the report again"),
            (report(Some(2), 7), no_link, "the next report"),
            (
                report(Some(2), 6),
                no_link,
                "a late report, which has strengths of its own time",
            ),
            (report(Some(2), 100), no_link, "much later"),
            (report(Some(2), 20), Taken::NotUsed("too_late"), "much too late"),
            (report(None, 5), no_link, "a gateway that is no node"),
            (report(None, 5), no_link, "maybe another gateway"),
        ] {
            let frame = Frame {
                source: 0,
                arrival_ns: 1,
                bytes: &bytes,
            };
            assert_eq!(intake.take(&frame, &mut front), expected, "{what}");
        }
        let mut state = Vec::new();
        intake.export_state(&mut state);
        let mut other = Intake::new(&site);
        assert!(other.import_state(&state) && !other.import_state(&state[..state.len() - 1]));
        let mut again = Vec::new();
        other.export_state(&mut again);
        assert_eq!(again, state);
    }

    /// What a generator sends is simulated, whether its reports say so or not.
    #[test]
    fn strengths_of_a_simulated_node_are_simulated() {
        let text = "version = 1\n[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]\n\
             [[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n[[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n\
             [[site.node]]\nid = 3\nposition_m = [2.0, 5.0, 1.0]\nsimulated = true\n[site.mesh]\nkind = \"rss\"\n";
        let fleet = Fleet::parse(text, FilePath::new("fleet.toml")).unwrap();
        let site = fleet.select(None, "test").unwrap();
        let entry = |tx: u16, rx: u16| RssEntry {
            tx,
            rx,
            channel: 11,
            rssi_dbm: -50,
        };
        for (reporter, entries, simulated) in [
            (Some(1), vec![entry(2, 1)], false),
            (Some(3), vec![], true),
            (None, vec![entry(1, 2)], false),
            (None, vec![entry(1, 2), entry(1, 3)], true),
            (None, vec![entry(3, 1)], true),
        ] {
            let mut intake = Intake::new(&site);
            let mut front = Front::new(FrontConfig::default()).unwrap();
            let mut bytes = Vec::new();
            let tlr1 = Tlr1 {
                reporter,
                seq: 1,
                capture_ms: 0,
                simulated: false,
                entries: &entries,
            };
            tlr1.encode(None, &mut bytes).unwrap();
            let frame = Frame {
                source: 0,
                arrival_ns: 1,
                bytes: &bytes,
            };
            intake.take(&frame, &mut front);
            assert_eq!(intake.simulated, simulated, "{reporter:?} {entries:?}");
        }
    }
}
