//! The socket that nodes send to.
//!
//! It is read on a thread of its own: what the API computes for somebody never makes a frame late.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::gatekeeper::Gatekeeper;

/// Largest datagram read; longer ones are cut by the kernel and then refused by their length.
const DATAGRAM_BYTES: usize = 65_536;
/// How often the thread looks whether it has to end while nothing comes.
const LOOK: Duration = Duration::from_millis(200);

/// Why the socket is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for nodes on udp://{address}: {source}. Is another server running? Another address can be given with --udp or [server] udp."
)]
pub struct UdpError {
    address: SocketAddr,
    source: io::Error,
}

/// Opens the socket.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> Result<UdpSocket, UdpError> {
    let open = || {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok(socket)
    };
    let socket = open().map_err(|source| UdpError { address, source })?;
    // A burst of a whole fleet fits; the kernel may give less, then the loss shows in sequence numbers.
    if let Err(error) = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 << 20) {
        tracing::debug!(%error, "receive buffer stays as it is");
    }
    Ok(socket)
}

/// The thread that reads datagrams, until this is dropped.
#[derive(Debug)]
pub struct Receiving {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiving {
    /// Reads from a socket of [`bind`]; `boot` is time zero.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(socket: UdpSocket, gate: Arc<Gatekeeper>, boot: Instant) -> io::Result<Self> {
        let end = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&end);
        let thread = std::thread::Builder::new()
            .name("tapline-udp".into())
            .spawn(move || receive(&socket, &gate, boot, &ends))?;
        Ok(Self {
            end,
            thread: Some(thread),
        })
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        // It ends within a look; that it panicked stands in the program's log already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn receive(socket: &UdpSocket, gate: &Gatekeeper, boot: Instant, end: &AtomicBool) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    while !end.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let arrival_ns = boot.elapsed().as_nanos() as u64;
                if let Err(reason) = gate.admit(Some(from.ip()), arrival_ns, &buffer[..length]) {
                    tracing::trace!(%from, reason, "datagram not used");
                }
            }
            Err(error) if waited(&error) => {}
            // An ICMP answer to something we never sent, or a passing fault: the socket is still there.
            Err(error) => tracing::warn!(%error, "receiving failed"),
        }
    }
}

/// Nothing came in time, or a signal did.
fn waited(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::config::Fleet;

    #[test]
    fn what_is_sent_arrives_until_the_thread_ends() {
        let text = "version = 1\n[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]\n\
             [[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n[[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n\
             [site.mesh]\nkind = \"rss\"\n";
        let fleet = Fleet::parse(text, Path::new("fleet.toml")).unwrap();
        let site = fleet.select(None, "test").unwrap();
        let gate = Arc::new(Gatekeeper::new(&fleet.server, &site, &BTreeMap::new()));
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let to = socket.local_addr().unwrap();
        let receiving = Receiving::start(socket, Arc::clone(&gate), Instant::now()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Longer than a look: that nothing came is no end.
        for wait in [Duration::ZERO, LOOK * 2] {
            std::thread::sleep(wait);
            let before = gate.counters().total();
            sender.send_to(b"not a datagram of ours", to).unwrap();
            let patience = Instant::now();
            while gate.counters().total() == before {
                assert!(patience.elapsed() < Duration::from_secs(10), "it never arrived");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        drop(receiving);
        assert!(UdpSocket::bind(to).is_ok(), "the socket is closed with the thread");
    }
}
