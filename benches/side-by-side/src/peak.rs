//! What this core can do without FMA: independent sums and products of eight lanes.

use std::hint::black_box;

use tapline_dsp::cir::{Lane, Lanes8};

use crate::timed;

/// Best of several runs, Gflop/s.
pub fn gflops() -> f64 {
    const ROUNDS: u32 = 2_000_000;
    let mut best = 0.0_f64;
    for _ in 0..7 {
        let (a, m) = (black_box(Lanes8::splat(1e-9)), black_box(Lanes8::splat(0.999_999_9)));
        let mut sums = [Lanes8::splat(1.0); 6];
        let mut products = [Lanes8::splat(1.0); 6];
        let (time, ()) = timed(|| {
            for _ in 0..ROUNDS {
                for s in &mut sums {
                    *s += a;
                }
                for p in &mut products {
                    *p *= m;
                }
            }
            black_box((sums, products));
        });
        let flops = f64::from(ROUNDS) * 12.0 * 8.0;
        best = best.max(flops / time.as_secs_f64() * 1e-9);
    }
    best
}
