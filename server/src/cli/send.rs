//! `tapline send`.

use std::{
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use tapline_wire::recording::{ReadOptions, RecordBody, Recording};

use super::{
    output::{Failure, Outcome, Result, print},
    progress::Progress,
};
use crate::{config::Fleet, ingest::intake::centre_khz_of};

/// What to send, and where to.
#[derive(Args)]
pub(super) struct Options {
    /// The recording
    recording: PathBuf,
    /// Where the server listens for nodes
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    /// A multiple of recorded time, for example `1x` or `4x`
    #[arg(long, default_value = "1x", value_parser = speed)]
    speed: f64,
    /// Fleet file that names the channel of frames that do not (default: config.example.toml, when it is there)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const DEFAULT_CONFIG: &str = "config.example.toml";

fn speed(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|s| (0.01..=1_000.0).contains(s))
        .ok_or_else(|| format!("found {text:?}; allowed: 0.01x to 1000x"))
}

pub(super) fn run(options: &Options) -> Result {
    let read = read_options(options.config.as_deref())?;
    let recording = Recording::open(&options.recording, &read).map_err(Failure::of)?;
    let local: SocketAddr = if options.to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0; 16], 0).into()
    };
    let socket = UdpSocket::bind(local).map_err(|e| Failure(format!("cannot open a socket: {e}")))?;
    let progress = Progress::seconds("sending");
    let begun = Instant::now();
    let (mut first_ns, mut sent, mut left_out) = (None, 0_u64, 0_u64);
    let (mut failed, mut first_error) = (0_u64, None);
    for record in recording {
        let record = record.map_err(Failure::of)?;
        let RecordBody::Datagram(bytes) = record.body else {
            left_out += 1;
            continue;
        };
        let since_ns = record
            .time_ns
            .saturating_sub(*first_ns.get_or_insert(record.time_ns))
            .max(0);
        let due = Duration::from_secs_f64(since_ns as f64 / 1e9 / options.speed);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        // Nobody listening yet is no reason to stop: UDP nodes send on, too.
        match socket.send_to(&bytes, options.to) {
            Ok(_) => sent += 1,
            Err(error) => {
                failed += 1;
                first_error.get_or_insert(error);
            }
        }
        if (sent + failed).is_multiple_of(64) {
            progress.at(since_ns as f64 / 1e9);
        }
    }
    progress.done();
    let not_sent = first_error.map_or_else(String::new, |error| format!(", {failed} could not be sent ({error})"));
    if sent == 0 && failed > 0 {
        return Err(Failure(format!("no datagram was sent to {}{not_sent}", options.to)));
    }
    print(&format!(
        "{sent} datagrams sent{not_sent}, {left_out} records that are none left out"
    ));
    Ok(Outcome::Yes)
}

fn read_options(config: Option<&Path>) -> std::result::Result<ReadOptions, Failure> {
    let mut read = ReadOptions::default();
    let config = match config {
        Some(config) => config,
        None if Path::new(DEFAULT_CONFIG).exists() => Path::new(DEFAULT_CONFIG),
        None => return Ok(read),
    };
    let fleet = Fleet::load(config).map_err(Failure::of)?;
    let site = fleet.select(None, &crate::hostname()).map_err(Failure::of)?;
    if let Some(path) = site.paths.first() {
        read.centre_khz = centre_khz_of(path.channel);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It counted what the system refused as sent, and took a channel from nowhere when the fleet file could not be read.
    #[test]
    fn what_is_not_sent_is_not_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let recording = directory.path().join("three.jsonl");
        let line = |n: u32| format!("{{\"timestamp\":{n}.0,\"node_id\":1,\"type\":\"datagram\",\"hex\":\"0102\"}}\n");
        std::fs::write(&recording, (1..4).map(line).collect::<String>()).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |to, config| {
            run(&Options {
                recording: recording.clone(),
                to,
                speed: 1_000.0,
                config,
            })
        };
        let config = directory.path().join("fleet.toml");
        let simulator = tapline_sim::Simulator::new(tapline_sim::Scene::builtin("demo").unwrap(), 1).unwrap();
        std::fs::write(
            &config,
            format!("version = 1\n{}", simulator.site_config().to_fleet_toml()),
        )
        .unwrap();
        let good = receiver.local_addr().unwrap();
        assert_eq!(send(good, Some(config.clone())).unwrap(), Outcome::Yes);
        // No datagram goes to port 0.
        let refused = send(([127, 0, 0, 1], 0).into(), Some(config)).unwrap_err().to_string();
        assert!(refused.contains("3 could not be sent ("), "{refused}");
        let refused = send(good, Some(directory.path().join("absent.toml"))).unwrap_err();
        assert!(refused.to_string().contains("absent.toml"), "{refused}");
    }
}
