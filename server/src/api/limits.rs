//! How much one caller, and all together, may ask for.

use std::time::Duration;

/// Limits of the API; the defaults suit two cores and a home network.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request body or of one message from a client.
    pub body_bytes: usize,
    /// Levels of a query.
    pub depth: usize,
    /// Fields of a query, lists counted by the page size asked for.
    pub complexity: usize,
    /// Time for one request, subscriptions apart.
    pub request: Duration,
    /// Queries that may read the store at once.
    pub store_readers: usize,
    /// Bundle downloads at once.
    pub bundles: usize,
    /// Open websocket connections.
    pub connections: usize,
    /// Open connections of one address of another machine; an IPv6 address counts with its network of 64 bits.
    pub connections_per_address: usize,
    /// Open connections of one address of this machine, behind which a reverse proxy may have everybody.
    pub connections_per_own_address: usize,
    /// Requests a second of one token or address, and how many at once.
    pub requests_per_s: (u32, u32),
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Different subscriptions (query and variables) of all connections, each shared by all who follow it.
    pub distinct_subscriptions: usize,
    /// Subscriptions that each client has for itself (`world`): of all connections, and of one token. Each reads the store with
    /// every commit.
    pub lone_subscriptions: (usize, usize),
    /// Time a client has for a request's head, for TLS, and between opening a websocket and `connection_init`.
    pub init: Duration,
    /// Time between heartbeats of an idle connection.
    pub heartbeat: Duration,
    /// A connection whose client takes no byte for this long is closed.
    pub stalled: Duration,
    /// Time between looks at the certificate's files.
    pub certificate_look: Duration,
    /// Messages of a subscription kept for a client that is behind; older ones are skipped and counted.
    pub backlog: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            depth: 20,
            complexity: 20_000,
            request: Duration::from_secs(10),
            store_readers: 4,
            bundles: 2,
            connections: 4_096,
            connections_per_address: 256,
            connections_per_own_address: 4_096,
            requests_per_s: (200, 8_192),
            subscriptions: 16,
            distinct_subscriptions: 64,
            lone_subscriptions: (128, 32),
            init: Duration::from_secs(5),
            heartbeat: Duration::from_secs(15),
            stalled: Duration::from_secs(30),
            certificate_look: Duration::from_secs(10),
            backlog: 16,
        }
    }
}
