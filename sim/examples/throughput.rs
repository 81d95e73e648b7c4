//! How many times faster than real time scenes run on one core, in CPU time (Linux) so that a busy machine does not
//! matter: `cargo run --release -p tapline-sim --example throughput [SCENE...]`.

#![allow(clippy::print_stdout, reason = "a program that reports to its user")]

use std::time::Instant;

use tapline_sim::{Scene, SceneError, Simulator};

fn main() -> Result<(), SceneError> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = Scene::names().map(str::to_owned).collect();
    }
    println!(
        "{:22} {:>9} {:>10} {:>12}",
        "scene", "datagrams", "us each", "x real time"
    );
    for name in names {
        let mut simulator = Simulator::new(Scene::builtin(&name)?, 1)?;
        let (mut datagram, mut count) = (Vec::new(), 0_u32);
        let (clock, cpu) = (Instant::now(), cpu_s());
        while simulator.next_datagram(&mut datagram).is_some() {
            count += 1;
        }
        let took_s = match (cpu, cpu_s()) {
            (Some(begin), Some(end)) => end - begin,
            _ => clock.elapsed().as_secs_f64(),
        };
        let each_us = took_s / f64::from(count) * 1e6;
        println!(
            "{name:22} {count:9} {each_us:10.1} {:12.0}",
            simulator.duration_s() / took_s
        );
    }
    Ok(())
}

/// Seconds this thread has been on a CPU.
fn cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
}
