//! In steady state the cycle allocates nothing, keyframes apart: neither when somebody comes in nor when an area or the privacy class turns.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering},
};

use tapline_server::{
    cycle::{Slot, clock::SLOT_NS},
    golden_run::simulated,
    ingest::frames::Frames,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counter is no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract, which is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, which is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `realloc`'s contract, which is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of each cycle of a scene over linked-in stages: all threads are counted. The empty room is learned first.
fn allocations(scene: &str, learn_ns: i64, ticks: u64) -> (Vec<u64>, usize) {
    let (mut core, mut simulator) = simulated(scene, 1, "cir-fft").expect("the scene");
    core.front.start_calibration(learn_ns);
    let mut frames = Frames::default();
    let mut datagram = Vec::with_capacity(4_096);
    let mut next = simulator.next_datagram(&mut datagram);
    let mut allocated = Vec::with_capacity(2_000);
    let mut people = 0;
    for tick in 0..ticks {
        let end_ns = tick * SLOT_NS;
        frames.clear();
        while let Some(emission) = next.filter(|e| e.time_ns <= end_ns) {
            frames.push(u32::from(emission.node), emission.time_ns, &datagram);
            datagram.clear();
            next = simulator.next_datagram(&mut datagram);
        }
        let slot = Slot {
            cycle: tick,
            tick,
            end_ns,
            t_ms: 0,
            frames: &frames,
            deadline: None,
            obey: None,
        };
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        core.step(&slot);
        allocated.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
        people = core.outcome().tracks.len();
        if let Some(learned) = core.front.take_calibration() {
            core.front
                .load_calibration(&learned.expect("an empty room"))
                .expect("its paths");
        }
    }
    (allocated, people)
}

/// Four nodes, twelve links: an empty room, and one into which somebody comes and is followed.
#[test]
fn a_steady_cycle_allocates_nothing() {
    const LEARN_NS: i64 = 10_000_000_000;
    for (scene, from, to, expected) in [("empty-room", 300, 600, 0), ("demo", 300, 500, 1)] {
        let (allocated, people) = allocations(scene, LEARN_NS, to);
        assert_eq!(people, expected, "{scene}: people at the end");
        let steady = &allocated[from..];
        let worst = steady.iter().max().copied().unwrap_or(0);
        assert_eq!(worst, 0, "{scene}: allocations from cycle {from} on: {steady:?}");
    }
}
