//! Front end: 4 nodes, 12 links, HT20, one frame of 100 Hz and one 20 Hz cycle, and the sketch search.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use num_complex::Complex32;
use tapline_dsp::{
    front::{Area, Front, FrontConfig, PathKind, PathSpec},
    sketch::{Bank, Sketch, nearest},
    tier::Tier,
};

/// Uniform numbers in -0.5..0.5 from a fixed generator.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5
    }
}

struct Site {
    front: Front,
    random: Uniform,
    frame: i64,
}

impl Site {
    /// A calibrated site whose windows are full.
    fn new() -> Self {
        let kind = PathKind::Csi {
            tier: Tier::Ht20,
            centre_khz: 2_437_000,
        };
        let mut paths = Vec::new();
        for tx in 0..4 {
            for rx in (0..4).filter(|&rx| rx != tx) {
                paths.push(PathSpec {
                    tx,
                    rx,
                    tx_antenna: 0,
                    rx_antenna: 0,
                    channel: 6,
                    kind,
                });
            }
        }
        let square = vec![[0.0, 0.0], [5.0, 0.0], [5.0, 4.0], [0.0, 4.0]];
        let config = FrontConfig {
            paths,
            nodes: vec![
                (0, [0.0; 3]),
                (1, [5.0, 0.0, 1.0]),
                (2, [5.0, 4.0, 1.0]),
                (3, [0.0, 4.0, 1.0]),
            ],
            areas: vec![
                Area {
                    is_room: true,
                    room: 0,
                    outline_m: square
                };
                3
            ],
            ..FrontConfig::default()
        };
        let front = Front::new(config).expect("a valid site");
        let mut site = Self {
            front,
            random: Uniform(1),
            frame: 0,
        };
        site.front.start_calibration(3_000_000_000);
        (0..70).for_each(|_| site.tick());
        let artefact = site.front.take_calibration().expect("ended").expect("nothing moves");
        site.front.load_calibration(&artefact).expect("made here");
        (0..60).for_each(|_| site.tick());
        site
    }

    fn tones(&mut self) -> Vec<Complex32> {
        (0..52)
            .map(|_| Complex32::new(20.0 + self.random.next(), self.random.next()))
            .collect()
    }

    /// Five frames a path, the rate of 100 Hz.
    fn feed(&mut self) {
        for _ in 0..5 {
            self.frame += 1;
            for path in 0..12 {
                let tones = self.tones();
                let time_ns = self.frame * 10_000_000;
                self.front
                    .push_csi(path, time_ns, -50, -92, None, &tones, &[1; 52])
                    .expect("a CSI path");
            }
        }
    }

    fn tick(&mut self) {
        self.feed();
        self.front.begin_tick((self.frame / 5) as u64, self.frame * 10_000_000);
        self.front.calibrate();
        self.front.align();
        self.front.fuse();
        self.front.sense(false);
    }
}

fn front(c: &mut Criterion) {
    let mut site = Site::new();
    let tones = site.tones();
    let mut time_ns = site.frame * 10_000_000;
    c.bench_function("front: one frame in (stage 1)", |b| {
        b.iter(|| {
            time_ns += 10_000_000;
            site.front
                .push_csi(0, time_ns, -50, -92, None, &tones, &[1; 52])
                .expect("a CSI path");
        });
    });

    let stages: [(&str, Stage); 4] = [
        ("front: calibration apply (stage 2)", Front::calibrate),
        ("front: phase alignment (stage 3)", Front::align),
        ("front: fusion (stage 4)", Front::fuse),
        ("front: evidence, gate, presence (stage 6)", |f| f.sense(false)),
    ];
    for (timed, (name, _)) in stages.iter().enumerate() {
        c.bench_function(name, |b| {
            b.iter_custom(|cycles| {
                let mut spent = Duration::ZERO;
                for _ in 0..cycles {
                    site.feed();
                    site.front.begin_tick((site.frame / 5) as u64, site.frame * 10_000_000);
                    for (at, (_, stage)) in stages.iter().enumerate() {
                        let start = Instant::now();
                        stage(&mut site.front);
                        if at == timed {
                            spent += start.elapsed();
                        }
                    }
                }
                spent
            });
        });
    }
}

type Stage = fn(&mut Front);

fn sketch(c: &mut Criterion) {
    let mut random = Uniform(7);
    let mut bank = Bank::new(128, 1024);
    let mut vector = || (0..128).map(|_| random.next()).collect::<Vec<_>>();
    let mut sketches = Vec::new();
    for _ in 0..1024 {
        let vector = vector();
        bank.push(&vector).expect("a direction");
        sketches.push(Sketch::of(&vector));
    }
    let query = vector();
    c.bench_function("sketch: of 128 numbers", |b| b.iter(|| Sketch::of(&query)));
    let of_query = Sketch::of(&query);
    c.bench_function("sketch: top 8 of 1,024 by Hamming distance", |b| {
        b.iter(|| nearest(of_query, &sketches, &mut [(0, 0); 8]));
    });
    c.bench_function("sketch: sketch, short list, exact top 8 of 1,024", |b| {
        b.iter(|| bank.nearest(&query, &mut [(0.0, 0); 8]));
    });
}

criterion_group!(benches, front, sketch);
criterion_main!(benches);
