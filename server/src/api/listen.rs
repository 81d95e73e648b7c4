//! The sockets: TLS or not, how many, how long a client may take to say what it wants.
//!
//! `axum::serve` has no limit on connections nor on the time for a request's head, so a few lines over hyper are here
//! instead: a client that opens connections and says nothing (slowloris) holds a bounded number of them for a bounded
//! time.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use super::{Limits, tls::Tls};

/// The address of the other side, in a request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Of all places, this part is for connections of this machine alone: whoever runs it gets in whatever the network does.
const OWN_PART: usize = 16;

/// Whose connections are counted together: an address, and how many it may have. Who has one IPv6 address has its network.
fn counted(address: IpAddr, limits: &Limits) -> (IpAddr, usize) {
    match address.to_canonical() {
        own if own.is_loopback() => (own, limits.connections_per_own_address),
        IpAddr::V6(v6) => {
            let network = Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX));
            (network.into(), limits.connections_per_address)
        }
        v4 => (v4, limits.connections_per_address),
    }
}

/// Open connections by address.
#[derive(Default)]
struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

/// Counts one connection while it lives.
struct Counted(Arc<PerAddress>, IpAddr);

impl PerAddress {
    fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Counted> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted(Arc::clone(self), address))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// Places for connections.
struct Places {
    all: Arc<Semaphore>,
    /// Of these, those that other machines may have.
    others: Arc<Semaphore>,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            others: Arc::new(Semaphore::new(most - most / OWN_PART)),
        }
    }

    /// One for a connection of this machine (`own`), or of another.
    fn take(&self, own: bool) -> Option<Place> {
        let others = match own {
            true => None,
            false => Some(Arc::clone(&self.others).try_acquire_owned().ok()?),
        };
        Some((Arc::clone(&self.all).try_acquire_owned().ok()?, others))
    }
}

/// Held while a connection is open.
type Place = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// Files that the process needs beside connections: database, plugins, sockets.
const OTHER_FILES: u64 = 256;

/// Bytes that wait in the kernel for a client.
const SEND_BYTES: usize = 256 << 10;

/// Lets the process open as many files as all connections need, as far as the system allows it: services usually begin
/// with 1,024.
fn room_for(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = connections as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|now| now >= wanted) {
        return;
    }
    let given = maximum.map_or(wanted, |most| most.min(wanted));
    let limit = Rlimit {
        current: Some(given),
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    } else if given < wanted {
        tracing::warn!(
            given,
            wanted,
            "fewer connections than configured: raise the limit of open files"
        );
    }
}

/// Accepts until `stop` completes, then lets open requests end.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    // Websockets hold a place here too; beyond them there is room for short requests.
    let most = limits.connections + limits.connections / 4 + 16;
    room_for(most);
    let places = Places::new(most);
    let addresses = Arc::new(PerAddress::default());
    let (ending, _) = watch::channel(false);
    tokio::pin!(stop);
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a connection that ended before it was taken.
                    if !connection_error(&error) {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (address, at_most) = counted(peer.ip(), &limits);
        let Some(place) = places.take(address.is_loopback()) else {
            continue;
        };
        let Some(counted) = addresses.take(address, at_most) else {
            continue;
        };
        let held = (place, counted);
        let router = router.clone();
        let ending = ending.subscribe();
        let tls = tls.clone();
        tokio::spawn(async move {
            // A message goes out when it is there, not when there are more.
            let _ = socket.set_nodelay(true);
            // What a slow client leaves in the kernel is bounded too, and it is told of what it misses while that is fresh.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BYTES);
            match tls {
                None => converse(socket, peer, router, limits, ending).await,
                Some(tls) => match tokio::time::timeout(limits.init, tls.accept(socket)).await {
                    Ok(Ok(socket)) => converse(socket, peer, router, limits, ending).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                    Err(_) => tracing::debug!(%peer, "no TLS in time"),
                },
            }
            drop(held);
        });
    }
    drop(listener);
    ending.send_replace(true);
    // Until the last conversation is over; the caller bounds the time.
    ending.closed().await;
}

async fn converse<S>(socket: S, peer: SocketAddr, router: Router, limits: Limits, mut ending: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.map(axum::body::Body::new)
    });
    // Whatever is being sent: a client that takes no byte for so long is gone, or keeps a place from others.
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(limits.stalled));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.init)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(Box::pin(socket)), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { let _ = ending.wait_for(|ending| *ending).await.is_ok(); } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

fn connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// A plain socket, for the type of [`Tls::accept`].
pub(super) type Plain = TcpStream;

#[cfg(test)]
mod tests {
    use super::*;

    /// One host could hold every connection there is: as many as all websockets together.
    #[test]
    fn one_host_leaves_room_for_others_and_all_of_them_for_this_machine() {
        let limits = Limits::default();
        let of = |text: &str| counted(text.parse().unwrap(), &limits);
        let (host, most) = of("192.0.2.7");
        assert!(host == of("::ffff:192.0.2.7").0 && most * 8 <= limits.connections);
        // Whoever has a network of IPv6 addresses is one host.
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        // A reverse proxy here has everybody behind it.
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(of(own).1, limits.connections, "{own}");
        }
        let addresses = Arc::new(PerAddress::default());
        let mut open: Vec<_> = (0..most).filter_map(|_| addresses.take(host, most)).collect();
        assert!(open.len() == most && addresses.take(host, most).is_none());
        assert!(addresses.take(of("192.0.2.8").0, most).is_some());
        open.pop();
        assert!(addresses.take(host, most).is_some());

        let places = Places::new(32);
        let others: Vec<_> = std::iter::from_fn(|| places.take(false)).collect();
        let own: Vec<_> = std::iter::from_fn(|| places.take(true)).collect();
        assert_eq!((others.len(), own.len()), (30, 2));
        drop(others);
        assert!(places.take(false).is_some());
    }
}
