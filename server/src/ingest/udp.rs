//! The socket that nodes send to.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use tokio::net::UdpSocket;

use super::gatekeeper::Gatekeeper;

/// Largest datagram read; longer ones are cut by the kernel and then refused by their length.
const DATAGRAM_BYTES: usize = 65_536;

/// Why the socket is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for nodes on udp://{address}: {source}. Is another server running? Another address can be given with --udp or [server] udp."
)]
pub struct UdpError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Opens the socket.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: SocketAddr) -> Result<UdpSocket, UdpError> {
    let socket = UdpSocket::bind(address)
        .await
        .map_err(|source| UdpError { address, source })?;
    // A burst of a whole fleet fits; the kernel may give less, then the loss shows in sequence numbers.
    if let Err(error) = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 << 20) {
        tracing::debug!(%error, "receive buffer stays as it is");
    }
    Ok(socket)
}

/// Reads datagrams until the task is dropped; `boot` is time zero.
pub async fn receive(socket: UdpSocket, gate: Arc<Gatekeeper>, boot: Instant) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let arrival_ns = boot.elapsed().as_nanos() as u64;
                if let Err(reason) = gate.admit(Some(from.ip()), arrival_ns, &buffer[..length]) {
                    tracing::trace!(%from, reason, "datagram not used");
                }
            }
            // An ICMP answer to something we never sent, or a passing fault: the socket is still there.
            Err(error) => tracing::warn!(%error, "receiving failed"),
        }
    }
}
