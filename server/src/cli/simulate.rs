//! `tapline simulate`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use serde::{Deserialize as _, de::IntoDeserializer as _};
use tapline_sim::{Scene, SceneError, Simulator, write_truth};

use super::output::{Failure, Outcome, Result, print};
use crate::config::PrivacyMode;

/// What to simulate, and where it goes.
#[derive(Args)]
pub(super) struct Options {
    /// A built-in scene, or a scene file
    #[arg(long, default_value = "demo")]
    scene: String,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stream datagrams to this address, in real time
    #[arg(long, value_name = "ADDRESS")]
    to: Option<SocketAddr>,
    /// Begin again when the scene ends
    #[arg(long = "loop")]
    forever: bool,
    /// Write the room's fleet file
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
    /// Write the datagrams as a recording (JSON lines)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the exact truth (JSON lines, 20 Hz)
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// List the built-in scenes
    #[arg(long)]
    list: bool,
}

pub(super) fn run(options: &Options) -> Result {
    if options.list {
        Scene::names().for_each(print);
        return Ok(Outcome::Yes);
    }
    if options.to.is_none() && options.write_config.is_none() && options.record.is_none() && options.truth.is_none() {
        return Err(Failure(
            "nothing to do: give --to ADDRESS, --record FILE, --truth FILE or --write-config FILE".to_owned(),
        ));
    }
    let new = || Simulator::new(scene(&options.scene)?, options.seed).map_err(Failure::of);
    if let Some(path) = &options.write_config {
        let text = fleet_file(&options.scene, PrivacyMode::RawResearch, &new()?);
        std::fs::write(path, text).map_err(|e| Failure(format!("cannot write {}: {e}", path.display())))?;
    }
    if let Some(path) = &options.truth {
        write_file(path, |out| write_truth(&new()?, 20.0, out).map_err(Failure::of))?;
    }
    if let Some(path) = &options.record {
        write_file(path, |out| record(new()?, out))?;
    }
    if let Some(to) = options.to {
        let mut simulator = new()?;
        loop {
            stream(&mut simulator, to)?;
            if !options.forever {
                break;
            }
            simulator = new()?.following(&simulator);
        }
    }
    Ok(Outcome::Yes)
}

pub(super) fn scene(name: &str) -> std::result::Result<Scene, Failure> {
    match Scene::builtin(name) {
        Err(SceneError::Unknown { .. }) => {}
        known => return known.map_err(Failure::of),
    }
    let text = std::fs::read_to_string(name).map_err(|e| {
        let names: Vec<_> = Scene::names().collect();
        Failure(format!(
            "{name:?} is neither a built-in scene ({}) nor a file that can be read ({e})",
            names.join(", ")
        ))
    })?;
    Scene::from_toml(&text).map_err(Failure::of)
}

/// The mode with this name, as the fleet file has it.
pub(super) fn privacy_mode(name: &str) -> std::result::Result<PrivacyMode, serde::de::value::Error> {
    PrivacyMode::deserialize(name.into_deserializer())
}

/// The fleet file of a simulated room. The name of the scene may be a path: it is escaped, and stays in its line.
pub(super) fn fleet_file(scene: &str, mode: PrivacyMode, simulator: &Simulator) -> String {
    format!(
        "# The simulated room {scene:?}, written by `tapline simulate --write-config`.\n\nversion = 1\n\n\
         [defaults.privacy]\nmode = \"{mode:?}\"\n\n{}",
        simulator.site_config().to_fleet_toml()
    )
}

fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::result::Result<(), Failure>,
) -> std::result::Result<(), Failure> {
    let fail = |e: std::io::Error| Failure(format!("cannot write {}: {e}", path.display()));
    let mut out = BufWriter::new(File::create(path).map_err(fail)?);
    write(&mut out)?;
    out.flush().map_err(fail)
}

fn record(mut simulator: Simulator, out: &mut impl Write) -> std::result::Result<(), Failure> {
    let mut datagram = Vec::new();
    while let Some(emission) = simulator.next_datagram(&mut datagram) {
        let line = serde_json::json!({
            "timestamp": emission.time_ns as f64 / 1e9, "node_id": emission.node, "type": "datagram",
            "simulated": true, "hex": hex::encode(&datagram),
        });
        writeln!(out, "{line}").map_err(Failure::of)?;
        datagram.clear();
    }
    Ok(())
}

fn stream(simulator: &mut Simulator, to: SocketAddr) -> std::result::Result<(), Failure> {
    stream_until(simulator, to, |_, _| true)
}

/// Longest sleep between two questions whether to go on.
const ASK: Duration = Duration::from_millis(100);

/// Streams in real time until the scene ends, or until `go_on`, asked before each datagram and while none is due with the
/// seconds since the start, says no.
pub(super) fn stream_until(
    simulator: &mut Simulator,
    to: SocketAddr,
    mut go_on: impl FnMut(&Simulator, f64) -> bool,
) -> std::result::Result<(), Failure> {
    let local: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0; 16], 0).into()
    };
    let socket = UdpSocket::bind(local).map_err(|e| Failure(format!("cannot open a socket: {e}")))?;
    let begun = Instant::now();
    let mut datagram = Vec::new();
    while let Some(emission) = simulator.next_datagram(&mut datagram) {
        loop {
            let left = Duration::from_nanos(emission.time_ns).saturating_sub(begun.elapsed());
            std::thread::sleep(left.min(ASK));
            if !go_on(simulator, begun.elapsed().as_secs_f64()) {
                return Ok(());
            }
            if left <= ASK {
                break;
            }
        }
        // Nobody listening yet is no reason to stop: UDP nodes send on, too.
        let _ = socket.send_to(&datagram, to);
        datagram.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fleet;

    /// `--mode` went into the fleet file as it was typed: a quote in it made another file of it.
    #[test]
    fn names_cannot_write_the_fleet_file() {
        assert!(privacy_mode("StrictNoIdentity\"\n[server]\nhttp = \"0.0.0.0:80").is_err());
        let said = privacy_mode("Strict").unwrap_err().to_string();
        assert!(said.contains("StrictNoIdentity"), "{said}");

        let simulator = Simulator::new(Scene::builtin("demo").unwrap(), 1).unwrap();
        for name in [
            "RawResearch",
            "PrivateHome",
            "EnterpriseAnonymous",
            "CareWithConsent",
            "StrictNoIdentity",
        ] {
            let mode = privacy_mode(name).unwrap();
            let text = fleet_file("a\nversion = 7\n", mode, &simulator);
            let fleet = Fleet::parse(&text, Path::new("x")).unwrap();
            assert_eq!(fleet.select(None, "box").unwrap().privacy.mode, mode, "{text}");
        }
    }
}
