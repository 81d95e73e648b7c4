//! HTTP and GraphQL: the only module that knows either.
//!
//! | route | what |
//! |---|---|
//! | `GET /` | the live page |
//! | `POST /graphql` | queries and mutations |
//! | `GET /graphql/ws` | the same and subscriptions, `graphql-transport-ws` |
//! | `GET /graphiql`, `/schema.graphql` | a page to try queries on; the schema as text |
//! | `GET /healthz`, `/readyz`, `/metrics`, `/version` | probes, Prometheus |
//!
//! Readers never block the cycle: they take `Arc`s from the [`Hub`], and the store is read on blocking
//! threads, a few at a time. docs/api.md is the user's page.

#[allow(dead_code, reason = "scopes are asked for with the tokens, which come next")]
mod access;
mod error;
mod fanout;
mod graphql;
mod guard;
mod history;
mod limits;
mod metrics;
mod page;
mod rest;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod ws;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use self::{access::Route, error::Failure, fanout::Fanout};
pub use self::{
    history::{CyclePage, History, HistoryError, StoredCheckpoint, StoredCycle, World, WorldEdge, WorldNode},
    limits::Limits,
    metrics::{Metrics, STAGES},
    schema::sdl,
};
use crate::live::Hub;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from other machines.
    #[error(
        "http = \"{found}\" can be reached from other machines; expected a loopback address such as 127.0.0.1:8080. \
         To reach the server from elsewhere use a tunnel: ssh -L 8080:127.0.0.1:8080 HOST"
    )]
    NotLoopback {
        /// The address asked for.
        found: SocketAddr,
    },
    /// The socket does not work.
    #[error("cannot listen on {address}: {source}. Is another server running? Choose another port with --http.")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What resolvers read from.
struct Api {
    hub: Arc<Hub>,
    history: Arc<dyn History>,
    metrics: Arc<Metrics>,
    limits: Limits,
    started: Instant,
    readers: Arc<Semaphore>,
}

impl Api {
    /// Reads from the store on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&dyn History) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, Failure> {
        let internal = |detail: String| Failure::Internal { detail };
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let permit = permit.map_err(|e| internal(e.to_string()))?;
        let history = Arc::clone(&self.history);
        let read = move || {
            // Held until the read ends, also when the caller gave up waiting.
            let _permit = permit;
            f(&*history)
        };
        let result = tokio::task::spawn_blocking(read).await;
        result
            .map_err(|e| internal(e.to_string()))?
            .map_err(|e| internal(e.to_string()))
    }
}

/// Says that the server stops.
#[derive(Clone, Debug)]
struct Stopping(watch::Receiver<bool>);

impl Stopping {
    async fn cancelled(&self) {
        let mut stopping = self.0.clone();
        // A sender that is gone means the router outlived its server (tests): never stopping.
        if stopping.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending().await
        }
    }
}

/// What routes share.
struct Transport {
    api: Arc<Api>,
    schema: schema::Schema,
    fanout: Arc<Fanout>,
    connections: Arc<Semaphore>,
    stopping: Stopping,
}

impl Transport {
    /// A place for one more connection.
    fn connections(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.connections)
            .try_acquire_owned()
            .map_err(|_| Failure::Busy {
                what: "connections",
                limit: self.api.limits.connections,
            })
    }
}

/// The API, ready to be served or to be called as a service.
#[derive(Debug)]
pub struct Server {
    router: Router,
    stop: watch::Sender<bool>,
}

/// Builds all routes with the default limits. Call it inside a tokio runtime: the metrics follow the hub
/// from here on.
pub fn router(hub: Arc<Hub>, history: Arc<dyn History>, metrics: Arc<Metrics>) -> Server {
    with_limits(hub, history, metrics, Limits::default())
}

/// Builds all routes with other limits.
pub fn with_limits(hub: Arc<Hub>, history: Arc<dyn History>, metrics: Arc<Metrics>, limits: Limits) -> Server {
    // Subscribed here, not in the task: no cycle may be missed in between.
    tokio::spawn(Arc::clone(&metrics).follow(hub.subscribe()));
    let api = Arc::new(Api {
        hub,
        history,
        metrics: Arc::clone(&metrics),
        limits,
        started: Instant::now(),
        readers: Arc::new(Semaphore::new(limits.store_readers)),
    });
    let schema = schema::build(Arc::clone(&api));
    let (stop, stopping) = watch::channel(false);
    let transport = Arc::new(Transport {
        fanout: Fanout::new(schema.clone(), metrics, limits.distinct_subscriptions, limits.backlog),
        connections: Arc::new(Semaphore::new(limits.connections)),
        schema,
        api,
        stopping: Stopping(stopping),
    });
    let router = routes()
        .fallback(rest::nothing)
        .method_not_allowed_fallback(rest::other_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&transport), ruled))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state(limits.request, in_time))
        .layer(middleware::from_fn_with_state(
            Arc::new(guard::Names::loopback()),
            guard::check,
        ))
        .with_state(transport);
    Server { router, stop }
}

/// The rules of all routes. An area adds its own; [`access`] says how.
const ROUTES: &[&[Route]] = &[graphql::ROUTES, page::ROUTES, rest::ROUTES];

/// All routes. An area merges its own.
fn routes() -> Router<Arc<Transport>> {
    Router::new()
        .merge(graphql::router())
        .merge(page::router())
        .merge(rest::router())
}

/// Rules of a path, one a method.
fn rules_of(path: &str) -> impl Iterator<Item = &'static Route> {
    ROUTES
        .iter()
        .flat_map(|area| area.iter())
        .filter(move |rule| rule.path == path)
}

/// A route that has no rule is nobody's; one whose answer the class in force does not let out answers so.
async fn ruled(State(transport): State<Arc<Transport>>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // The fallback, which gives nothing away.
        return next.run(request).await;
    };
    let method = if request.method() == Method::HEAD {
        "GET"
    } else {
        request.method().as_str()
    };
    let Some(rule) = rules_of(path.as_str()).find(|rule| rule.method == method) else {
        return if rules_of(path.as_str()).next().is_some() {
            // Another method of a known path: the router says which there are.
            next.run(request).await
        } else {
            rest::nothing(request.uri().clone()).await.into_response()
        };
    };
    let class = access::class(&transport.api);
    if !rule.leaves.under(class) {
        return Failure::privacy(format!("{} {}", rule.method, rule.path), class).into_response();
    }
    next.run(request).await
}

/// Ends a request that takes too long. A websocket's handshake is a request, its conversation is not.
async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::TimedOut {
            seconds: limit.as_secs(),
        }
        .into_response(),
    }
}

/// Opens the listening socket.
///
/// # Errors
/// [`ServeError::NotLoopback`] for an address that other machines can reach, [`ServeError::Listen`] when it
/// is taken.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(ServeError::NotLoopback { found: address });
    }
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    Ok(listener)
}

impl Server {
    /// The routes, to be called without a socket.
    pub fn into_router(self) -> Router {
        self.router
    }

    /// Serves until `shutdown` completes; then subscriptions are closed, and requests have two seconds to end.
    ///
    /// # Errors
    /// [`ServeError::Listen`] when the socket does not work.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let address = listener.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        let listen = |source| ServeError::Listen { address, source };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(listen)?;
        let stop = self.stop;
        let mut stopped = stop.subscribe();
        let signal = async move {
            shutdown.await;
            stop.send_replace(true);
            stop.closed().await;
        };
        tokio::select! {
            result = axum::serve(listener, self.router).with_graceful_shutdown(signal) => result.map_err(listen),
            () = async {
                let _ = stopped.wait_for(|s| *s).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
            } => Ok(()),
        }
    }
}
