//! In steady state the cycle allocates nothing: no track, node or area begins or ends, keyframes apart.

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

/// Stages 1 to 9 over linked-in stages, an empty room, four nodes, twelve links: all threads are counted.
#[test]
fn a_steady_cycle_allocates_nothing() {
    let (mut core, mut simulator) = simulated("empty-room", 1, "cir-fft").expect("the scene");
    let mut frames = Frames::default();
    let mut datagram = Vec::with_capacity(4_096);
    let mut next = simulator.next_datagram(&mut datagram);
    let mut allocated = Vec::with_capacity(1_000);
    for tick in 0..600 {
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
    }
    let steady = &allocated[300..];
    let worst = steady.iter().max().copied().unwrap_or(0);
    assert_eq!(worst, 0, "allocations in cycles 300 to 600: {steady:?}");
}
