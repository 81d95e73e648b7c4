//! A simulated room as the datagrams of each slot: empty at first, so that it can be learned, then with its people.

use tapline_sim::{Scene, Simulator};

use super::super::output::Failure;
use crate::{cycle::clock::SLOT_NS, ingest::frames::Frames};

/// Goes through the scene again and again, its clock running on.
pub(super) struct Room {
    scene: Scene,
    seed: u64,
    simulator: Simulator,
    /// Time of the simulator's zero on the room's clock.
    begun_ns: u64,
    /// The next datagram and when it arrives.
    waiting: Option<(u32, u64)>,
    datagram: Vec<u8>,
}

impl Room {
    /// The scene without its people.
    pub(super) fn empty(scene: &Scene) -> Result<Self, Failure> {
        let mut scene = scene.clone();
        scene.person.clear();
        Self::begin(scene, 1, 0, None)
    }

    /// The scene as it is, from `now_ns` on.
    pub(super) fn lived_in(scene: &Scene, now_ns: u64) -> Result<Self, Failure> {
        Self::begin(scene.clone(), 2, now_ns, None)
    }

    /// From `begun_ns` on; nodes of a round `before` have restarted.
    fn begin(scene: Scene, seed: u64, begun_ns: u64, before: Option<&Simulator>) -> Result<Self, Failure> {
        let mut simulator = Simulator::new(scene.clone(), seed).map_err(Failure::of)?;
        if let Some(before) = before {
            simulator = simulator.following(before);
        }
        let mut room = Self {
            scene,
            seed,
            simulator,
            begun_ns,
            waiting: None,
            datagram: Vec::new(),
        };
        room.fetch();
        Ok(room)
    }

    fn fetch(&mut self) {
        self.datagram.clear();
        let next = self.simulator.next_datagram(&mut self.datagram);
        self.waiting = next.map(|e| (u32::from(e.node), e.time_ns + self.begun_ns));
    }

    /// What arrives until the end of a slot. Slots are asked for in order.
    pub(super) fn slot(&mut self, end_ns: u64, into: &mut Frames) -> Result<(), Failure> {
        into.clear();
        loop {
            match self.waiting {
                Some((node, arrival_ns)) if arrival_ns <= end_ns => {
                    into.push(node, arrival_ns, &self.datagram);
                    self.fetch();
                }
                Some(_) => return Ok(()),
                None => {
                    *self = Self::begin(
                        self.scene.clone(),
                        self.seed + 1,
                        end_ns + SLOT_NS,
                        Some(&self.simulator),
                    )?;
                }
            }
        }
    }
}
