//! Probes, metrics, version, the schema and the GraphiQL page.

use std::sync::{Arc, LazyLock};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    Transport,
    access::{Caller, Leaves, Route, Scope, route},
    error::Failure,
    schema,
};
use crate::live::Readiness;

/// The probes and pages.
pub(super) const ROUTES: &[Route] = &[
    route("GET", "/graphiql", Caller::Anybody, Leaves::Anyway),
    route("GET", "/schema.graphql", Caller::With(Scope::Read), Leaves::Anyway),
    route("GET", "/healthz", Caller::Anybody, Leaves::Anyway),
    route("GET", "/readyz", Caller::Anybody, Leaves::Anyway),
    route("GET", "/metrics", Caller::With(Scope::Read), Leaves::Anyway),
    route("GET", "/version", Caller::With(Scope::Read), Leaves::Anyway),
];

/// The probes and pages.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new()
        .route("/graphiql", get(graphiql))
        .route("/schema.graphql", get(schema))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthz(State(transport): State<Arc<Transport>>) -> Json<serde_json::Value> {
    Json(with_warning(json!({ "status": "ok" }), &transport))
}

/// A health answer with the warning of a server that is open to everybody.
fn with_warning(mut answer: serde_json::Value, transport: &Transport) -> serde_json::Value {
    if let Some(warning) = transport.doors.warning() {
        answer["warning"] = warning.into();
    }
    answer
}

/// `GET /readyz`: cycles run, or 503 with the reason.
pub(super) async fn readyz(State(transport): State<Arc<Transport>>) -> Response {
    match &*transport.api.hub.readiness() {
        Readiness::Ready => Json(with_warning(json!({ "status": "ready" }), &transport)).into_response(),
        Readiness::NotReady(reason) => {
            let body = Json(with_warning(
                json!({ "status": "not ready", "reason": reason }),
                &transport,
            ));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// `GET /metrics`: Prometheus text.
pub(super) async fn metrics(State(transport): State<Arc<Transport>>) -> Response {
    let text = transport.api.metrics.render(&transport.api.hub);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// `GET /version`.
pub(super) async fn version(State(transport): State<Arc<Transport>>) -> Json<serde_json::Value> {
    let facts = &transport.api.hub.facts;
    Json(json!({
        "name": "tapline",
        "version": env!("CARGO_PKG_VERSION"),
        "bootId": hex::encode(facts.boot_id),
        "site": facts.site.id,
        "manifestHash": hex::encode(transport.api.hub.manifest().hash),
        "configHash": hex::encode(transport.api.hub.configured().hash),
    }))
}

/// `GET /schema.graphql`: the schema as text.
pub(super) async fn schema() -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], schema::sdl()).into_response()
}

/// The page to try queries on. Its scripts come from unpkg.com, so the browser needs the internet for it; the server itself
/// never does. Their hashes stand in the page (those of the packages that web/package.json names): what differs does not run.
const GRAPHIQL: &str = include_str!("graphiql.html");

/// `GET /graphiql`.
pub(super) async fn graphiql() -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, GRAPHIQL_POLICY.clone()),
    ];
    (headers, GRAPHIQL).into_response()
}

/// Only the scripts that the page names run, and the one inside it by its hash.
static GRAPHIQL_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = GRAPHIQL
        .split_once("<script>")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .map_or("", |(script, _)| script);
    let hash = BASE64_STANDARD.encode(Sha256::digest(script));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{hash}' https://unpkg.com/react@18.3.1/ \
         https://unpkg.com/react-dom@18.3.1/ https://unpkg.com/graphiql@4.1.2/; \
         style-src 'unsafe-inline' https://unpkg.com/graphiql@4.1.2/; img-src 'self' data:; font-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("visible ASCII")
});

/// Everything else.
pub(super) async fn nothing(uri: Uri) -> Failure {
    Failure::NotFound {
        path: uri.path().chars().take(200).collect(),
    }
}

/// A known path with another method.
pub(super) async fn other_method() -> Failure {
    Failure::MethodNotAllowed
}
