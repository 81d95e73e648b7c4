//! In the steady state the front end allocates nothing: a counting allocator stands under a running scene.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering},
};

use num_complex::Complex32;
use tapline_dsp::{
    front::{Area, Front, FrontConfig, PathKind, PathSpec},
    tier::Tier,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system allocator unchanged; the counter has no effect on memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn site() -> FrontConfig {
    let path = |tx, rx, kind| PathSpec {
        tx,
        rx,
        tx_antenna: 0,
        rx_antenna: 0,
        channel: 6,
        kind,
    };
    let csi = |tier| PathKind::Csi {
        tier,
        centre_khz: 2_437_000,
    };
    FrontConfig {
        paths: vec![
            path(0, 1, csi(Tier::Ht20)),
            path(0, 2, csi(Tier::Ht40)),
            path(1, 2, csi(Tier::He20)),
            path(1, 3, PathKind::Rss),
        ],
        nodes: vec![
            (0, [0.0; 3]),
            (1, [4.0, 0.0, 1.0]),
            (2, [4.0, 4.0, 1.0]),
            (3, [0.0, 4.0, 1.0]),
        ],
        areas: vec![Area {
            is_room: true,
            room: 0,
            outline_m: vec![[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]],
        }],
        ..FrontConfig::default()
    }
}

#[test]
fn a_running_cycle_allocates_nothing() {
    let config = site();
    let mut front = Front::new(config.clone()).expect("a valid site");
    let mut seed = 1_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32
    };
    let mut frames: Vec<Vec<Complex32>> = config
        .paths
        .iter()
        .map(|p| vec![Complex32::default(); p.channels()])
        .collect();
    let mut mask: Vec<Vec<u8>> = frames.iter().map(|f| vec![1; f.len()]).collect();
    mask[1][5] = 0;

    let mut cycle = |front: &mut Front, tick: u64| {
        let end_ns = (tick as i64 + 1) * 50_000_000;
        for (path, tones) in frames.iter_mut().enumerate() {
            if path == 3 {
                front
                    .push_rss(path, end_ns - 1_000_000, -50.0 - random())
                    .expect("an RSS path");
                continue;
            }
            tones
                .iter_mut()
                .for_each(|h| *h = Complex32::new(10.0 + random(), random()));
            front
                .push_csi(path, end_ns - 2_000_000, -50, -90, None, tones, &mask[path])
                .expect("a CSI path");
        }
        front.begin_tick(tick, end_ns);
        front.calibrate();
        front.align();
        front.fuse();
        front.sense(false);
    };

    front.start_calibration(3_000_000_000);
    for tick in 0..60 {
        cycle(&mut front, tick);
    }
    let artefact = front.take_calibration().expect("it has ended").expect("nothing moves");
    assert_eq!(front.load_calibration(&artefact), Ok(4));
    for tick in 60..200 {
        cycle(&mut front, tick);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for tick in 200..600 {
        cycle(&mut front, tick);
    }
    assert_eq!(
        ALLOCATIONS.load(Ordering::Relaxed) - before,
        0,
        "allocations in 400 cycles"
    );
    assert!(before > 0, "the counter works");
}
