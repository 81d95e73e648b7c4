//! The sketch search of re-identification: 128 bits, the top 8 of 1,024.

use std::time::Instant;

use tapline_dsp::sketch::Bank;

/// Time of a search, and the share of the true neighbours it finds.
pub(super) struct Found {
    pub(super) micros: f64,
    pub(super) recall: f64,
}

/// Vectors of the sketch bank, and how many are wanted.
const BANK: usize = 1_024;
const WANTED: usize = 8;
/// Numbers of a vector.
const DIMENSIONS: usize = 128;
/// Searches that are timed.
const QUERIES: usize = 400;

/// Sketch, short list and exact order: the 8 true neighbours (by cosine) among 1,024 random vectors, the hardest
/// case: nothing clusters.
pub(super) fn measure() -> Found {
    let mut state = 7_u64;
    // Sum of twelve uniform numbers: close enough to normal for a bench, and the same everywhere.
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u32 << 24) as f32
    };
    let mut vector = || -> Vec<f32> {
        (0..DIMENSIONS)
            .map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
            .collect()
    };
    let vectors: Vec<Vec<f32>> = (0..BANK).map(|_| vector()).collect();
    let mut bank = Bank::new(DIMENSIONS, BANK);
    for v in &vectors {
        bank.push(v);
    }
    let (mut hits, mut spent) = (0, std::time::Duration::ZERO);
    for _ in 0..QUERIES {
        let query = vector();
        let mut best: Vec<(f32, usize)> = vectors
            .iter()
            .enumerate()
            .map(|(i, v)| (-cosine(&query, v), i))
            .collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut found = [(0.0, 0); WANTED];
        let begun = Instant::now();
        bank.nearest(std::hint::black_box(&query), &mut found);
        spent += begun.elapsed();
        let is_found = |(_, i): &&(f32, usize)| found.iter().any(|(_, index)| *index as usize == *i);
        hits += best[..WANTED].iter().filter(is_found).count();
    }
    Found {
        micros: spent.as_secs_f64() * 1e6 / QUERIES as f64,
        recall: hits as f64 / (QUERIES * WANTED) as f64,
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
