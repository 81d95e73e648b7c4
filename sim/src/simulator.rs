//! The clockwork: who transmits when, what each receiver makes of it, and when the host gets it.

use std::{cmp::Reverse, collections::BinaryHeap};

use num_complex::Complex64;

use crate::{
    channel::{Channel, paths::Path},
    error::SceneError,
    person::body::{Actor, Body},
    radio::{
        clock::Clock,
        frame::{Framer, Header},
        receiver::{Arriving, Receiver, Reception, Scale, chains, distort},
    },
    random::{Purpose, Stream},
    scene::{Format, Role, Scene},
    site::SiteGeometry,
    truth::{self, Truth},
};

/// Mean wait for a free medium before a transmission, seconds.
const ACCESS_S: f64 = 0.2e-3;

/// A datagram at the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emission {
    /// When it arrives at the host, nanoseconds since the start, its way through the network included.
    pub time_ns: u64,
    /// The node that sends it.
    pub node: u16,
}

/// A datagram on its way, ordered by arrival, then by the order it was sent in.
type Pending = Reverse<(u64, u64, u16, usize)>;

/// A simulated room. Equal scene and seed give equal bytes and times, on every machine.
#[derive(Clone, Debug)]
pub struct Simulator {
    scene: Scene,
    seed: u64,
    actors: Vec<Actor>,
    clocks: Vec<Clock>,
    channel: Channel,
    /// Nodes (indices) that transmit, in turn, and those that listen.
    transmitters: Vec<usize>,
    listeners: Vec<usize>,
    /// Transmission slots that have been used.
    slots: u64,
    next_seq: Vec<u32>,
    boots: Vec<u16>,
    /// Boot count of every node at the start.
    first_boot: u16,
    sent: u64,
    pending: BinaryHeap<Pending>,
    /// Datagrams on their way, and which places are free.
    buffers: Vec<Vec<u8>>,
    free: Vec<usize>,
    bodies: Vec<Option<Body>>,
    /// `[antenna][dense tone]` of the reception at hand.
    response: Vec<Complex64>,
    /// By node (index) and antenna, what its receive chain does.
    chains: Vec<Vec<Complex64>>,
    distortion: Vec<Complex64>,
    reception: Reception,
    framer: Framer,
}

impl Simulator {
    /// A simulator at time 0.
    ///
    /// # Errors
    /// Those of [`Scene::check`].
    pub fn new(scene: Scene, seed: u64) -> Result<Self, SceneError> {
        scene.check()?;
        Ok(Self::build(scene, seed))
    }

    /// A simulator whose room is empty for `empty_s` seconds before the scene begins: time to learn the empty room.
    ///
    /// # Errors
    /// Those of [`Scene::check`].
    pub fn after_empty(mut scene: Scene, seed: u64, empty_s: f64) -> Result<Self, SceneError> {
        scene.check()?;
        scene.begin_later(empty_s);
        Ok(Self::build(scene, seed))
    }

    fn build(scene: Scene, seed: u64) -> Self {
        let channel = Channel::new(&scene);
        let nodes = scene.node.len();
        let dense = channel.tones.dense();
        let without = |role| (0..nodes).filter(|i| scene.node[*i].role != role).collect::<Vec<_>>();
        Self {
            transmitters: without(Role::Receiver),
            listeners: without(Role::Transmitter),
            actors: scene.person.iter().map(|p| Actor::new(p, seed)).collect(),
            clocks: scene
                .node
                .iter()
                .map(|n| Clock::new(n, &scene.temperature, seed))
                .collect(),
            channel,
            slots: 0,
            next_seq: vec![0; nodes],
            boots: vec![0; nodes],
            first_boot: 1,
            sent: 0,
            pending: BinaryHeap::new(),
            buffers: Vec::new(),
            free: Vec::new(),
            bodies: Vec::new(),
            response: Vec::new(),
            chains: scene.node.iter().map(|n| chains(n, seed)).collect(),
            distortion: vec![Complex64::default(); dense],
            reception: Reception::default(),
            framer: Framer::default(),
            seed,
            scene,
        }
    }

    /// Makes this, before its first datagram, the next round of `previous`, in which every node has booted once more:
    /// boot counts go on where its nodes' ended, so that a server takes small sequence numbers and new clocks for those
    /// of a restart. ADR-018 frames have no boot count; there sequence numbers go on instead.
    #[must_use]
    pub fn following(mut self, previous: &Self) -> Self {
        let reboots = self.scene.node.iter().any(|n| n.reboot_s.is_some());
        self.first_boot = previous.first_boot.wrapping_add(1 + u16::from(reboots));
        if self.scene.radio.format == Format::Adr018 {
            for (seq, last) in self.next_seq.iter_mut().zip(&previous.next_seq) {
                *seq = *last;
            }
        }
        self
    }

    /// The scene.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Length of the simulation, seconds.
    pub fn duration_s(&self) -> f64 {
        self.scene.duration_s
    }

    /// What a fleet configuration needs to know of the room.
    pub fn site_config(&self) -> SiteGeometry {
        SiteGeometry::new(&self.scene)
    }

    /// Where everybody is at a time, exactly.
    pub fn truth_at(&self, t_s: f64) -> Truth {
        truth::at(&self.scene, &self.actors, t_s)
    }

    /// The true channel from one node to another (ids) at a time, `[antenna of the receiver][tone]` at the tier's tones,
    /// ascending: field at the receiver over field sent, without any fault of the radios. `None` for nodes that are not
    /// there.
    pub fn channel_at(&mut self, tx: u16, rx: u16, t_s: f64) -> Option<Vec<Complex64>> {
        let (tx, rx) = self.link(tx, rx)?;
        self.set(t_s);
        self.channel.response(tx, rx, &self.bodies, &mut self.response);
        let tones = &self.channel.tones;
        let of = |antenna: &[Complex64]| {
            let at = |i: &i16| antenna[(i32::from(*i) + tones.last) as usize];
            tones.indices.iter().map(at).collect::<Vec<_>>()
        };
        Some(self.response.chunks_exact(tones.dense()).flat_map(of).collect())
    }

    /// The static paths between two nodes (ids), of arrays their first antennas, at a time, the direct one first. `None` for nodes that are not there.
    pub fn paths_at(&mut self, tx: u16, rx: u16, t_s: f64) -> Option<Vec<Path>> {
        let (tx, rx) = self.link(tx, rx)?;
        self.set(t_s);
        Some(self.channel.paths(tx, rx).to_vec())
    }

    /// The bodies at a time, as waves meet them; those not there are left out.
    pub fn bodies_at(&self, t_s: f64) -> Vec<Body> {
        self.actors.iter().filter_map(|a| a.at(t_s)).collect()
    }

    /// Replaces `into` by the next datagram to reach the host. `None` when the simulation is over.
    pub fn next_datagram(&mut self, into: &mut Vec<u8>) -> Option<Emission> {
        loop {
            let next_s = self.slot_s(self.slots);
            let over = next_s >= self.scene.duration_s;
            let due = self
                .pending
                .peek()
                .is_some_and(|Reverse((time_ns, ..))| over || *time_ns <= nanos(next_s));
            if due {
                let Reverse((time_ns, _, node, place)) = self.pending.pop()?;
                std::mem::swap(into, &mut self.buffers[place]);
                self.free.push(place);
                return Some(Emission { time_ns, node });
            }
            if over {
                return None;
            }
            self.transmit(next_s);
            self.slots += 1;
        }
    }

    /// Start of a slot, seconds: nodes take turns, evenly spread over the period.
    fn slot_s(&self, slot: u64) -> f64 {
        slot as f64 / (self.scene.radio.rate_hz * self.transmitters.len() as f64)
    }

    fn link(&self, tx: u16, rx: u16) -> Option<(usize, usize)> {
        let place = |id| self.scene.node.iter().position(|n| n.id == id);
        place(tx).zip(place(rx)).filter(|(a, b)| a != b)
    }

    fn set(&mut self, t_s: f64) {
        self.bodies.clear();
        self.bodies.extend(self.actors.iter().map(|a| a.at(t_s)));
        self.channel.set(&self.scene, t_s, &self.bodies);
    }

    /// One transmission: every other node that listens receives it.
    fn transmit(&mut self, slot_s: f64) {
        let tx = self.transmitters[(self.slots % self.transmitters.len() as u64) as usize];
        let mut random = Stream::new(self.seed, Purpose::Transmission, [self.slots, 0, 0]);
        let t_s = slot_s + ACCESS_S * random.exponential();
        let tx_jitter = self.scene.node[tx].phase_noise_deg * crate::antenna::DEGREE * random.normal();
        distort(&self.scene.node[tx], &mut random, &mut self.distortion);
        self.set(t_s);
        for i in 0..self.listeners.len() {
            let rx = self.listeners[i];
            if rx != tx {
                self.reception(tx, rx, t_s, tx_jitter);
            }
        }
    }

    fn reception(&mut self, tx: usize, rx: usize, t_s: f64, tx_jitter: f64) {
        let mut random = Stream::new(self.seed, Purpose::Reception, [self.slots, rx as u64, 0]);
        let network = &self.scene.radio.network;
        if random.chance(network.miss) {
            return;
        }
        self.channel.response(tx, rx, &self.bodies, &mut self.response);
        let arriving = Arriving {
            t_s,
            channel: &self.response,
            distortion: &self.distortion,
            tx_jitter,
            first_s: self.channel.paths(tx, rx)[0].delay_s,
        };
        let node = &self.scene.node[rx];
        let clock = &self.clocks[rx];
        let receiver = Receiver {
            scene: &self.scene,
            tones: &self.channel.tones,
            node,
            chains: &self.chains[rx],
            tx_clock: &self.clocks[tx],
            rx_clock: clock,
            scale: Scale::of(self.scene.radio.format, node.antennas()),
        };
        receiver.receive(&arriving, &mut random, &mut self.reception);
        if self.boots[rx] != clock.boots(t_s) {
            self.boots[rx] = clock.boots(t_s);
            self.next_seq[rx] = 0;
        }
        let seq = self.next_seq[rx];
        self.next_seq[rx] = seq.wrapping_add(1);
        let mesh_time = self.scene.radio.mesh_time;
        let mesh_error_s = self.scene.radio.mesh_sigma_us * 1e-6 * random.normal();
        let header = Header {
            tx: self.scene.node[tx].id,
            rx: node.id,
            chip: node.chip,
            seq,
            capture_us: if mesh_time {
                Clock::mesh_us(t_s, mesh_error_s)
            } else {
                clock.local_us(t_s)
            },
            mesh_time,
            boot_count: self.first_boot.wrapping_add(self.boots[rx]),
        };

        let mut way = Stream::new(self.seed, Purpose::Network, [self.slots, rx as u64, 0]);
        let mut delay_ms = network.delay_ms + network.jitter_ms * way.exponential();
        if way.chance(network.stall) {
            delay_ms += network.stall_ms * way.uniform();
        }
        if way.chance(network.loss) {
            return;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.buffers.push(Vec::new());
            self.buffers.len() - 1
        });
        let out = &mut self.buffers[place];
        out.clear();
        let written = self
            .framer
            .write(&self.scene, &self.channel.tones, header, &self.reception, out);
        if written.is_err() {
            // The scene's checks leave nothing the formats cannot carry.
            debug_assert!(written.is_ok(), "{written:?}");
            self.free.push(place);
            return;
        }
        self.pending
            .push(Reverse((nanos(t_s + delay_ms * 1e-3), self.sent, header.rx, place)));
        self.sent += 1;
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[cfg(test)]
mod tests {
    use tapline_wire::{Datagram, parse};

    use super::*;

    fn simulator(seed: u64) -> Simulator {
        let mut scene = Scene::builtin("demo").unwrap();
        scene.duration_s = 4.0;
        Simulator::new(scene, seed).unwrap()
    }

    fn all(mut simulator: Simulator) -> Vec<(Emission, Vec<u8>)> {
        let (mut out, mut datagram) = (Vec::new(), Vec::new());
        while let Some(emission) = simulator.next_datagram(&mut datagram) {
            out.push((emission, datagram.clone()));
        }
        out
    }

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_another_seed_gives_others() {
        assert_eq!(all(simulator(5)), all(simulator(5)));
        assert_ne!(all(simulator(5)), all(simulator(6)));
    }

    #[test]
    fn every_datagram_is_a_simulated_frame_and_arrives_in_order() {
        let datagrams = all(simulator(1));
        // 4 nodes, 3 receivers, 25 Hz, 4 s.
        assert_eq!(datagrams.len(), 4 * 3 * 25 * 4);
        let mut last_ns = 0;
        for (emission, bytes) in &datagrams {
            let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                panic!("not a CSI frame")
            };
            assert!(frame.simulated && frame.rx_node == emission.node);
            assert!(frame.tx_node.is_some_and(|tx| tx != frame.rx_node));
            assert!((-70..-20).contains(&frame.rssi_dbm), "{} dBm", frame.rssi_dbm);
            assert!(emission.time_ns >= last_ns);
            last_ns = emission.time_ns;
        }
    }

    #[test]
    fn every_link_has_a_frame_in_every_50_ms() {
        let datagrams = all(simulator(1));
        for tx in 1..=4 {
            for rx in (1..=4).filter(|rx| *rx != tx) {
                let mut last_ns = 0;
                for (emission, bytes) in &datagrams {
                    let Ok(Datagram::Csi(frame)) = parse(bytes) else {
                        unreachable!()
                    };
                    if (frame.tx_node, frame.rx_node) == (Some(tx), rx) {
                        assert!(emission.time_ns - last_ns < 50_000_000, "{tx} to {rx}");
                        last_ns = emission.time_ns;
                    }
                }
            }
        }
    }

    fn frames(datagrams: &[(Emission, Vec<u8>)]) -> impl Iterator<Item = tapline_wire::CsiFrame<'_>> {
        datagrams.iter().map(|(_, bytes)| match parse(bytes) {
            Ok(Datagram::Csi(frame)) => frame,
            other => panic!("not a CSI frame: {other:?}"),
        })
    }

    #[test]
    fn the_next_round_carries_boot_counts_that_no_node_had() {
        let mut scene = simulator(1).scene;
        scene.node[2].reboot_s = Some(2.0);
        let one = Simulator::new(scene, 1).unwrap();
        let two = one.clone().following(&one);
        let three = one.clone().following(&two);
        let boots = |s: Simulator| {
            let mut of: Vec<_> = frames(&all(s)).map(|f| (f.rx_node, f.boot_count.unwrap())).collect();
            of.sort_unstable();
            of.dedup();
            of
        };
        assert_eq!(boots(one), [(1, 1), (2, 1), (3, 1), (3, 2), (4, 1)]);
        assert_eq!(boots(two), [(1, 3), (2, 3), (3, 3), (3, 4), (4, 3)]);
        assert_eq!(boots(three), [(1, 5), (2, 5), (3, 5), (3, 6), (4, 5)]);
    }

    #[test]
    fn without_boot_counts_the_numbers_of_the_next_round_go_on() {
        let mut scene = Scene::builtin("two-nodes-adr018").unwrap();
        scene.duration_s = 3.0;
        let mut one = Simulator::new(scene.clone(), 1).unwrap();
        let mut datagram = Vec::new();
        while one.next_datagram(&mut datagram).is_some() {}
        let two = all(Simulator::new(scene, 1).unwrap().following(&one));
        // 20 Hz, 3 s.
        let first = |node| frames(&two).filter(|f| f.rx_node == node).map(|f| f.seq).min();
        assert_eq!((first(1), first(2)), (Some(60), Some(60)));
    }

    #[test]
    fn mesh_time_is_one_epoch_for_all_and_told() {
        let mut scene = Scene::builtin("bad-clocks").unwrap();
        scene.duration_s = 2.0;
        (scene.radio.mesh_time, scene.radio.mesh_sigma_us) = (true, 0.0);
        let datagrams = all(Simulator::new(scene, 1).unwrap());
        for (frame, (emission, _)) in frames(&datagrams).zip(&datagrams) {
            assert!(frame.mesh_time);
            // 10 s after the mesh began; 2 ms of the network at least, 45 ms of a stall and jitter at most.
            let late_us = emission.time_ns as i64 / 1000 + 10_000_000 - frame.capture_us.unwrap() as i64;
            assert!((1_999..110_000).contains(&late_us), "{late_us} us");
        }
        assert!(frames(&all(simulator(1))).all(|f| !f.mesh_time));
    }

    #[test]
    fn the_next_datagram_comes_soon_however_much_is_lost() {
        let mut scene = Scene::builtin("demo").unwrap();
        scene.duration_s = 31.0 * 86_400.0;
        (scene.radio.network.loss, scene.radio.network.miss) = (0.9, 0.9);
        let mut simulator = Simulator::new(scene.clone(), 1).unwrap();
        let mut datagram = Vec::new();
        for _ in 0..20 {
            assert!(simulator.next_datagram(&mut datagram).is_some());
        }
        // One in a hundred of 300 receptions a second.
        assert!(simulator.slot_s(simulator.slots) < 20.0);
        for everything in [
            |n: &mut crate::scene::Network| n.loss = 1.0,
            |n: &mut crate::scene::Network| n.miss = 1.0,
        ] {
            let mut lost = scene.clone();
            everything(&mut lost.radio.network);
            let message = Simulator::new(lost, 1).unwrap_err().to_string();
            assert!(message.contains("expected 0 to 0.9, found 1"), "{message}");
        }
    }

    #[test]
    fn a_scene_changed_for_the_worse_is_refused() {
        let mut scene = Scene::builtin("demo").unwrap();
        scene.node[0].id = scene.node[1].id;
        assert!(Simulator::new(scene, 1).is_err());
    }

    #[test]
    fn a_random_frame_does_not_depend_on_how_others_fared() {
        let mut lossy = simulator(3);
        lossy.scene.radio.network.loss = 0.5;
        let (kept, full) = (all(lossy), all(simulator(3)));
        assert!(kept.len() > full.len() / 3 && kept.len() < full.len() * 2 / 3);
        assert!(kept.iter().all(|k| full.contains(k)));
    }
}
