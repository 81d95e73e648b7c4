//! Probes, metrics, version, the schema and the GraphiQL page.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;

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

/// `GET /graphiql`: a page to try queries on. Its script comes from unpkg.com, so the browser needs the
/// internet for it; the server itself never does.
pub(super) async fn graphiql() -> Response {
    let page = async_graphql::http::GraphiQLSource::build()
        .endpoint("/graphql")
        .subscription_endpoint("/graphql/ws")
        .title("Tapline")
        .finish();
    let policy = "default-src 'none'; script-src 'unsafe-inline' https://unpkg.com; \
                  style-src 'unsafe-inline' https://unpkg.com; img-src data: https://graphql.org; \
                  font-src data: https://unpkg.com; worker-src blob:; connect-src 'self' ws: wss:; \
                  frame-ancestors 'none'";
    let policy = HeaderValue::from_static(policy);
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

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
