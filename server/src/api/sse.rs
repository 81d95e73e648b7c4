//! GraphQL over an event stream: the distinct connections mode of `graphql-sse`.
//!
//! One request, one operation, one stream: `next` events with an id to go on from, then `complete`. Whatever has no
//! websocket, a browser's `EventSource` or curl, can follow. A client that takes no bytes is closed by the socket
//! ([`super::listen`]); while it does not, its subscription skips.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_graphql::{Request, parser::types::OperationType};
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{Transport, auth::Identity, error::Failure, fanout::Event, graphql::operation, metrics::Metrics, ws};

/// True when the client asks for an event stream.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    accepts
        .flat_map(|v| v.split(','))
        .any(|kind| kind.split(';').next().unwrap_or_default().trim() == "text/event-stream")
}

/// A request in a URL, as `EventSource` sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    query: String,
    variables: Option<String>,
    operation_name: Option<String>,
}

/// `GET /graphql`: a question or subscription as an event stream. Orders have to be POSTed.
pub(super) async fn get(
    State(transport): State<Arc<Transport>>,
    Extension(who): Extension<Identity>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Failure> {
    if !wanted(&headers) {
        return Err(Failure::Invalid {
            what: "Accept",
            found: "no text/event-stream".to_owned(),
            expected: "text/event-stream; anything else is asked for with POST".to_owned(),
        });
    }
    let refused = |found: String| Failure::Invalid {
        what: "query string",
        found,
        expected: "query, and if need be variables (JSON) and operationName".to_owned(),
    };
    let Query(asked) = asked.map_err(|e| refused(e.body_text()))?;
    let mut request = Request::new(asked.query);
    if let Some(text) = asked.variables.filter(|text| !text.is_empty()) {
        let variables = serde_json::from_str(&text).map_err(|e| refused(format!("variables that are none ({e})")))?;
        request = request.variables(async_graphql::Variables::from_json(variables));
    }
    if let Some(name) = asked.operation_name {
        request = request.operation_name(name);
    }
    if operation(&mut request) == Some(OperationType::Mutation) {
        return Err(Failure::Invalid {
            what: "operation",
            found: "a mutation".to_owned(),
            expected: "a query or a subscription; orders go by POST".to_owned(),
        });
    }
    stream(&transport, who, &headers, request)
}

/// Answers a request with an event stream.
pub(super) fn stream(
    transport: &Arc<Transport>,
    who: Identity,
    headers: &HeaderMap,
    mut request: Request,
) -> Result<Response, Failure> {
    if let Some(last) = headers.get("last-event-id") {
        let text = last.to_str().unwrap_or("(not text)").to_owned();
        request
            .extensions
            .insert("lastEventId".to_owned(), async_graphql::Value::String(text));
    }
    let permit = transport.connections()?;
    let events = ws::events(transport, request, &who);
    let open = Open::new(Arc::clone(&transport.api.metrics), permit);
    let watched = Arc::clone(transport);
    let events = events.take_until(async move { over(&watched, who).await });
    let events = events.map(move |event| {
        // Travels with the stream: the place is free when the client has gone.
        let _open = &open;
        Ok::<_, Infallible>(written(event))
    });
    let alive = KeepAlive::new().interval(transport.api.limits.heartbeat.max(Duration::from_millis(1)));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// Returns when the conversation has to end: the server stops, or the caller's token is no longer good.
async fn over(transport: &Transport, who: Identity) {
    tokio::select! {
        () = transport.stopping.cancelled() => {}
        () = Arc::clone(&transport.doors).ended(who) => {}
    }
}

fn written(event: Event) -> sse::Event {
    match event {
        Event::Next { text, mark } => {
            let next = sse::Event::default().event("next").data(text);
            match mark {
                Some(mark) => next.id(mark.to_string()),
                None => next,
            }
        }
        // In this protocol errors before the first message are a message.
        Event::Error(errors) => sse::Event::default()
            .event("next")
            .data(format!(r#"{{"data":null,"errors":{errors}}}"#)),
        Event::Complete => sse::Event::default().event("complete").data(""),
    }
}

/// Counts an open stream while it lives.
struct Open(
    Arc<Metrics>,
    #[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit,
);

impl Open {
    fn new(metrics: Arc<Metrics>, permit: OwnedSemaphorePermit) -> Self {
        metrics.connections(1.0);
        metrics.subscriptions(1.0);
        Self(metrics, permit)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections(-1.0);
        self.0.subscriptions(-1.0);
    }
}
