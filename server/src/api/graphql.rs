//! GraphQL over HTTP: one question or order a request.

use std::sync::Arc;

use async_graphql::{Request, parser::types::OperationType};
use axum::{
    Extension, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};

use super::{
    Transport,
    access::{Caller, Leaves, Route, route},
    auth::Identity,
    error::{Failure, explain},
    sse, ws,
};

/// The routes of GraphQL.
pub(super) const ROUTES: &[Route] = &[
    route("POST", "/graphql", Caller::Known, Leaves::Anyway),
    route("GET", "/graphql", Caller::Known, Leaves::Anyway),
    route("GET", "/graphql/ws", Caller::Anybody, Leaves::Anyway),
];

/// The routes of GraphQL.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new()
        .route("/graphql", routing::post(post).get(sse::get))
        .route("/graphql/ws", routing::get(ws::upgrade))
}

/// `POST /graphql`.
pub(super) async fn post(
    State(transport): State<Arc<Transport>>,
    Extension(who): Extension<Identity>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Failure> {
    let body = body.map_err(|_| Failure::TooLarge {
        allowed: transport.api.limits.body_bytes,
    })?;
    let mut request = read(&body)?;
    if sse::wanted(&headers) {
        return sse::stream(&transport, who, &headers, request);
    }
    if operation(&mut request) == Some(OperationType::Subscription) {
        return Err(Failure::Invalid {
            what: "operation",
            found: "a subscription".to_owned(),
            expected: "a query or a mutation; subscriptions go over the websocket at /graphql/ws, \
                       or with the header Accept: text/event-stream"
                .to_owned(),
        });
    }
    let mut response = match transport.admit(request, &who) {
        Ok(request) => transport.schema.execute(request).await,
        Err(failure) => refusal(failure),
    };
    response.errors.iter_mut().for_each(explain);
    let text = serde_json::to_vec(&response).map_err(|e| Failure::Internal { detail: e.to_string() })?;
    let json = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, json)], text).into_response())
}

/// A failure before anything ran, as a GraphQL answer.
pub(super) fn refusal(failure: Failure) -> async_graphql::Response {
    let error = async_graphql::Error::from(failure).into_server_error(async_graphql::Pos::default());
    async_graphql::Response::from_errors(vec![error])
}

/// Reads one GraphQL request; a list of them (batching) is refused.
///
/// # Errors
/// [`Failure::Invalid`] naming what was found.
pub(super) fn read(body: &[u8]) -> Result<Request, Failure> {
    let refused = |found: String| Failure::Invalid {
        what: "body",
        found,
        expected: "one JSON object with a text \"query\", and if need be \"variables\" and \"operationName\""
            .to_owned(),
    };
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(refused("a list of requests".to_owned()));
    }
    let request: Request = serde_json::from_slice(body).map_err(|e| refused(format!("something else ({e})")))?;
    // Without a query it would be read as an empty one.
    if request.query.is_empty() {
        return Err(refused("no query, or an empty one".to_owned()));
    }
    Ok(request)
}

/// What the request asks for; none when the query cannot be parsed or does not say which operation.
pub(super) fn operation(request: &mut Request) -> Option<OperationType> {
    let name = request.operation_name.clone();
    let document = request.parsed_query().ok()?;
    let mut operations = document.operations.iter();
    match name {
        Some(name) => operations.find(|(n, _)| n.is_some_and(|n| n.as_str() == name)),
        None => operations.next(),
    }
    .map(|(_, o)| o.node.ty)
}
