//! HTTP and GraphQL: the only module that knows either.
//!
//! | route | what |
//! |---|---|
//! | `GET /` | the live page |
//! | `POST /graphql` | queries and mutations |
//! | `GET /graphql/ws` | the same and subscriptions, `graphql-transport-ws` |
//! | `GET`, `POST /graphql` with `Accept: text/event-stream` | the same as an event stream |
//! | `GET /graphiql`, `/schema.graphql` | a page to try queries on; the schema as text |
//! | `GET /checkpoint`, `/tile/...` | the log as C2SP tlog-tiles |
//! | `GET /proof?index=`, `/consistency?from=` | one proof as text, with the checkpoint it leads to |
//! | `GET /v1/witness/bundles?from=&to=` | a range of the log with all that proves it |
//! | `GET /v1/export?what=&from=&to=` | a table of what was, as CSV |
//! | `GET /v1/recordings/NAME` | a recording as a file |
//! | `/v1/plugins/…` | plugins exchanged while the cycle runs |
//! | `GET /healthz`, `/readyz`, `/metrics`, `/version` | probes, Prometheus |
//!
//! Who may use what stands in [`access`] and [`auth`]; [`listen`] has the sockets.
//!
//! Readers never block the cycle: they take `Arc`s from the [`Hub`], and the store is read on blocking
//! threads, a few at a time. docs/api.md is the user's page.

mod access;
mod alias;
mod array;
mod aside;
mod auth;
mod bundle;
mod disclosure;
mod error;
mod export;
mod fanout;
mod graphql;
mod guard;
mod history;
mod limits;
mod listen;
mod log;
mod metrics;
mod openapi;
mod page;
mod plugins;
mod recent;
mod recordings;
mod rest;
mod resume;
mod schema;
mod sse;
mod store;
#[cfg(test)]
mod tests;
mod then;
mod tls;
mod ws;

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tapline_witness::body::AuditResult;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use self::auth::Security;
use self::{
    access::Route,
    auth::{Doors, Identity},
    error::Failure,
    fanout::Fanout,
};
pub use self::{
    history::{CyclePage, History, HistoryError, StoredCheckpoint, StoredCycle, World, WorldEdge, WorldNode},
    limits::Limits,
    metrics::{Metrics, STAGES},
    schema::sdl,
};
use crate::{
    live::Hub,
    store::{StoreError, log_source::SqlLog},
    tokens::TokenError,
};

/// The OpenAPI document of the routes, as the repository keeps it.
pub fn openapi() -> String {
    openapi::text_of_document()
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from other machines, and nobody would be asked who they are.
    #[error(
        "http = \"{found}\" can be reached from other machines and there is no token. Make one with `tapline token create \
         --name NAME`, use a tunnel (ssh -L 8080:127.0.0.1:8080 HOST) with http = \"127.0.0.1:8080\", or, for a closed \
         network only, set insecure = true in [server]"
    )]
    Open {
        /// The address asked for.
        found: SocketAddr,
    },
    /// The token file.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The certificate.
    #[error("TLS: {0}")]
    Tls(io::Error),
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
    doors: Arc<Doors>,
    started: Instant,
    readers: Arc<Semaphore>,
    /// Names for people who were sensed under a looser class.
    aliases: alias::Aliases,
    /// Held while an operator's order changes the configuration.
    configuring: tokio::sync::Mutex<()>,
    /// The newest cycles, for clients that come back.
    recent: Arc<recent::Recent>,
    /// How cycles of the past number areas and link paths.
    thens: Arc<then::Thens>,
    /// Clients that may still be sent what they missed.
    replays: Arc<Semaphore>,
    /// What the places of the radios can tell, once somebody asked.
    array: tokio::sync::OnceCell<Arc<array::Judged>>,
}

impl Api {
    /// Reads from one snapshot of the log on a blocking thread.
    async fn read_log<T: Send + 'static>(
        &self,
        f: impl FnOnce(&SqlLog<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let permit = permit.map_err(|e| Failure::Internal { detail: e.to_string() })?;
        let history = Arc::clone(&self.history);
        let read = move || {
            let _permit = permit;
            let store = history.log().ok_or(Failure::Internal {
                detail: "this history has no log behind it".to_owned(),
            })?;
            store.snapshot_or(|db| f(&SqlLog(db)))
        };
        let result = tokio::task::spawn_blocking(read).await;
        result.map_err(|e| Failure::Internal { detail: e.to_string() })?
    }

    /// Reads from one snapshot of the store on a blocking thread.
    async fn read_store<T: Send + 'static>(
        &self,
        f: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.read(move |history| {
            let store = history
                .log()
                .ok_or_else(|| HistoryError("this history has no store behind it".to_owned()))?;
            Ok(store.snapshot(f)?)
        })
        .await
    }

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
    doors: Arc<Doors>,
    schema: schema::Schema,
    fanout: Arc<Fanout>,
    connections: Arc<Semaphore>,
    /// Bundle downloads that may still begin.
    bundles: Arc<Semaphore>,
    stopping: Stopping,
}

impl Transport {
    /// A request as its sender may make it.
    fn admit(&self, mut request: async_graphql::Request, who: &Identity) -> Result<async_graphql::Request, Failure> {
        access::admit(&mut request, who).map_err(|failure| self.refused(who, failure))?;
        if !self.doors.introspection(who) {
            request = request.disable_introspection();
        }
        Ok(request.data(who.clone()))
    }

    /// Notes in the log that an order, or raw input, was refused to somebody for want of a scope.
    fn refused(&self, who: &Identity, failure: Failure) -> Failure {
        if let Failure::Forbidden { what, scope } = &failure
            && ["operate", "admin"].contains(scope)
        {
            self.api.hub.audit(who.operator(), what, AuditResult::Refused);
        }
        failure
    }

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
    limits: Limits,
    tls: Option<(PathBuf, PathBuf)>,
}

/// Builds all routes with the default limits. Call it inside a tokio runtime: the metrics follow the hub
/// from here on.
///
/// # Errors
/// [`ServeError::Tokens`], [`ServeError::Open`].
pub fn router(
    hub: Arc<Hub>,
    history: Arc<dyn History>,
    metrics: Arc<Metrics>,
    security: Security,
) -> Result<Server, ServeError> {
    with_limits(hub, history, metrics, security, Limits::default())
}

/// Builds all routes with other limits.
///
/// # Errors
/// [`ServeError::Tokens`]; [`ServeError::Open`] for an address that other machines reach without any token to ask for.
pub fn with_limits(
    hub: Arc<Hub>,
    history: Arc<dyn History>,
    metrics: Arc<Metrics>,
    security: Security,
    limits: Limits,
) -> Result<Server, ServeError> {
    let tls = security.tls.clone();
    let names = guard::Names::new(&security);
    let doors = Doors::new(security, limits.requests_per_s)?;
    if !doors.security.loopback() && !doors.security.insecure && !doors.has_tokens() {
        return Err(ServeError::Open {
            found: doors.security.address,
        });
    }
    tokio::spawn(Arc::clone(&doors).watch());
    // Subscribed here, not in the task: no cycle may be missed in between.
    tokio::spawn(Arc::clone(&metrics).follow(hub.subscribe()));
    let recent = recent::Recent::new();
    tokio::spawn(Arc::clone(&recent).follow(hub.subscribe()));
    let api = Arc::new(Api {
        hub,
        history,
        metrics: Arc::clone(&metrics),
        limits,
        doors: Arc::clone(&doors),
        started: Instant::now(),
        readers: Arc::new(Semaphore::new(limits.store_readers)),
        aliases: alias::Aliases::new().map_err(TokenError::Random)?,
        configuring: tokio::sync::Mutex::new(()),
        recent,
        thens: Arc::default(),
        replays: Arc::new(Semaphore::new(resume::REPLAYS)),
        array: tokio::sync::OnceCell::new(),
    });
    let schema = schema::build(Arc::clone(&api));
    let (stop, stopping) = watch::channel(false);
    let transport = Arc::new(Transport {
        fanout: Fanout::new(schema.clone(), metrics, limits),
        connections: Arc::new(Semaphore::new(limits.connections)),
        bundles: Arc::new(Semaphore::new(limits.bundles)),
        schema,
        api,
        doors,
        stopping: Stopping(stopping),
    });
    let router = routes()
        .fallback(rest::nothing)
        .method_not_allowed_fallback(rest::other_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&transport), ruled))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state(limits.request, in_time))
        .layer(middleware::from_fn_with_state(Arc::new(names), guard::check))
        .with_state(transport);
    Ok(Server {
        router,
        stop,
        limits,
        tls,
    })
}

/// The rules of all routes. An area adds its own; [`access`] says how.
const ROUTES: &[&[Route]] = &[
    export::ROUTES,
    graphql::ROUTES,
    log::ROUTES,
    openapi::ROUTE,
    page::ROUTES,
    plugins::ROUTES,
    recordings::ROUTES,
    rest::ROUTES,
];

/// All routes. An area merges its own.
fn routes() -> Router<Arc<Transport>> {
    Router::new()
        .merge(export::router())
        .merge(graphql::router())
        .merge(log::router())
        .merge(openapi::router())
        .merge(page::router())
        .merge(plugins::router())
        .merge(recordings::router())
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
async fn ruled(State(transport): State<Arc<Transport>>, mut request: Request, next: Next) -> Response {
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
    let from = auth::peer(request.extensions());
    let who = match caller(&transport, rule, &request, from) {
        Ok(who) => who,
        Err(failure) => return failure.into_response(),
    };
    if let Err(failure) = transport.doors.count(who.as_ref(), from) {
        return failure.into_response();
    }
    // After counting: refusals that are noted take places in the queue of orders.
    let needed = match rule.caller {
        access::Caller::With(scope) => Some(scope),
        access::Caller::PublicLog(scope) if !transport.doors.security.public_log => Some(scope),
        access::Caller::Anybody | access::Caller::Known | access::Caller::PublicLog(_) => None,
    };
    if let (Some(scope), Some(known)) = (needed, &who)
        && !known.may(scope)
    {
        let failure = Failure::forbidden(rule.method, rule.path, scope);
        return transport.refused(known, failure).into_response();
    }
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    if let Err(failure) = json_only(&request) {
        return failure.into_response();
    }
    let bar = access::Bar::of(&transport.api);
    if !bar.lets_out(rule.leaves) {
        return Failure::privacy(format!("{} {}", rule.method, rule.path), bar.class).into_response();
    }
    next.run(request).await
}

/// Every body is JSON. A form of a foreign page cannot send this type without asking first (CORS), so this check also
/// stops forged requests of clients that send no Origin.
fn json_only(request: &Request) -> Result<(), Failure> {
    if request.method() != Method::POST {
        return Ok(());
    }
    let found = request.headers().get(header::CONTENT_TYPE);
    let found = found.and_then(|v| v.to_str().ok()).unwrap_or("none");
    let essence = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if ["application/json", "application/graphql+json"].contains(&essence.as_str()) {
        return Ok(());
    }
    Err(Failure::MediaType {
        found: found.to_owned(),
    })
}

/// Who asks, where the rule wants to know; whether the scope is theirs is asked later.
fn caller(transport: &Transport, rule: &Route, request: &Request, from: IpAddr) -> Result<Option<Identity>, Failure> {
    let mut who = transport.doors.headers(request.headers(), from);
    // A ticket stands in for a token where only a URL will do; POST is not such a place.
    let mut query = request.uri().query().unwrap_or_default().split('&');
    if let Some(ticket) = query.find_map(|part| part.strip_prefix("ticket="))
        && rule.method == "GET"
        && !request.headers().contains_key(header::AUTHORIZATION)
    {
        who = transport.doors.redeem(ticket, request.uri().path(), from).map(Some);
    }
    match rule.caller {
        // Whoever shows a token shows a good one.
        access::Caller::Anybody => who,
        access::Caller::PublicLog(_) if transport.doors.security.public_log => who,
        access::Caller::Known | access::Caller::With(_) | access::Caller::PublicLog(_) => {
            Ok(Some(who?.ok_or(Failure::Unauthenticated("this needs a token"))?))
        }
    }
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
/// [`ServeError::Listen`] when it is taken.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
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
    /// [`ServeError::Listen`] when the socket does not work, [`ServeError::Tls`].
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
        let tls = self
            .tls
            .map(|(certificate, key)| tls::Tls::new(certificate, key, self.limits.certificate_look));
        let tls = tls.transpose().map_err(ServeError::Tls)?;
        let signal = async move {
            shutdown.await;
            stop.send_replace(true);
        };
        tokio::select! {
            () = listen::serve(listener, self.router, tls, self.limits, signal) => Ok(()),
            () = async {
                let _ = stopped.wait_for(|s| *s).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
            } => Ok(()),
        }
    }
}
