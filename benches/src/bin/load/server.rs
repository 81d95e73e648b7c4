//! The server under load: started, asked, watched from outside.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tapline_client::Connection;

use crate::{Result, room::Recorded};

/// How long it may take to run its first cycle.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) udp: SocketAddr,
    /// Lives as long as what runs in it.
    directory: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn start(tapline: &Path, room: &Recorded) -> Result<Self> {
        Self::start_with(tapline, room, None)
    }

    /// Runs what a manifest names; none: what is built in.
    pub(crate) fn start_with(tapline: &Path, room: &Recorded, manifest: Option<&Path>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let scene = directory.path().join("scene.toml");
        let config = directory.path().join("fleet.toml");
        std::fs::write(&scene, &room.scene)?;
        let mut simulate = Command::new(tapline);
        simulate.arg("simulate").arg("--scene").arg(&scene);
        let written = simulate.arg("--write-config").arg(&config).output()?;
        if !written.status.success() {
            return Err(String::from_utf8_lossy(&written.stderr).into_owned().into());
        }
        let mut server = Self::serve(tapline, directory.path(), manifest)?;
        server.directory = Some(directory);
        Ok(server)
    }

    /// Goes on in a directory that holds `fleet.toml` and `data`.
    pub(crate) fn start_in(tapline: &Path, directory: &Path) -> Result<Self> {
        Self::serve(tapline, directory, None)
    }

    fn serve(tapline: &Path, directory: &Path, manifest: Option<&Path>) -> Result<Self> {
        let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let udp = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let mut serve = Command::new(tapline);
        serve.arg("serve").arg("--config").arg(directory.join("fleet.toml"));
        serve.arg("--data-dir").arg(directory.join("data"));
        if let Some(manifest) = manifest {
            serve.arg("--manifest").arg(manifest);
        }
        serve.args(["--log", "warn", "--http", &http.to_string(), "--udp", &udp.to_string()]);
        let child = serve.env_remove("LD_LIBRARY_PATH").stdin(Stdio::null()).spawn()?;
        Ok(Self {
            child,
            http,
            udp,
            directory: None,
        })
    }

    /// A connection, as soon as cycles run.
    pub(crate) async fn ready(&self) -> Result<Connection> {
        let begun = std::time::Instant::now();
        loop {
            if let Ok(mut connection) = Connection::open(&self.http.to_string(), None).await
                && connection.ask("{ server { ready } }", json!({})).await?["server"]["ready"] == true
            {
                return Ok(connection);
            }
            if begun.elapsed() > PATIENCE {
                return Err("the server runs no cycle".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lines of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
    pub(crate) fn memory_kib(&self, line: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let found = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
        let number = found.and_then(|rest| rest.trim().split(' ').next());
        Ok(number.ok_or("no such line in /proc/PID/status")?.parse()?)
    }

    /// Different plugin libraries that are mapped: each is a sealed copy with an inode of its own.
    pub(crate) fn libraries(&self) -> Result<usize> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.id()))?;
        let inodes = maps.lines().filter(|line| line.contains("/memfd:tapline-"));
        let inodes = inodes.filter_map(|line| line.split_whitespace().nth(4));
        Ok(inodes.collect::<std::collections::BTreeSet<_>>().len())
    }

    /// Slots that passed without a cycle. Asked over a connection of its own: one that nobody reads answers no heartbeat and is closed.
    pub(crate) async fn missed(&self) -> Result<u64> {
        let answer = self.ready().await?.ask("{ server { missedTicks } }", json!({})).await?;
        number(&answer["server"]["missedTicks"])
    }

    /// Processor time so far, seconds.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after = stat.rsplit_once(')').ok_or("no such file as /proc/PID/stat was")?.1;
        let mut fields = after.split_whitespace().skip(11);
        let mut next = || -> Result<f64> { Ok(fields.next().ok_or("too short")?.parse()?) };
        // Linux counts in hundredths of a second.
        Ok((next()? + next()?) / 100.0)
    }
}

pub(crate) fn number(value: &Value) -> Result<u64> {
    Ok(value
        .as_u64()
        .ok_or_else(|| format!("expected a number, found {value}"))?)
}
