//! `tapline send`.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
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
    /// Fleet file that names the channel of frames that do not
    #[arg(long, default_value = "config.example.toml", value_name = "FILE")]
    config: PathBuf,
}

fn speed(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|s| (0.01..=1_000.0).contains(s))
        .ok_or_else(|| format!("found {text:?}; allowed: 0.01x to 1000x"))
}

pub(super) fn run(options: &Options) -> Result {
    let mut read = ReadOptions::default();
    if let Ok(fleet) = Fleet::load(&options.config)
        && let Ok(site) = fleet.select(None, &crate::hostname())
        && let Some(path) = site.paths.first()
    {
        read.centre_khz = centre_khz_of(path.channel);
    }
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
        let _ = socket.send_to(&bytes, options.to);
        sent += 1;
        if sent % 64 == 0 {
            progress.at(since_ns as f64 / 1e9);
        }
    }
    progress.done();
    print(&format!(
        "{sent} datagrams sent, {left_out} records that are none left out"
    ));
    Ok(Outcome::Yes)
}
