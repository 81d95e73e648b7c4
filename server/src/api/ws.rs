//! GraphQL over WebSocket: the `graphql-transport-ws` protocol.
//!
//! One task a connection reads, follows its subscriptions and writes; nothing is queued for a client
//! beyond the message being written and the backlog its groups keep for all. A client that stops taking
//! bytes is skipped over and, after a while, closed. Close codes are those of the protocol.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use async_graphql::{Request, parser::types::OperationType};
use axum::{
    Extension,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::Extensions,
    response::{IntoResponse, Response},
};
use futures_util::{
    SinkExt, StreamExt,
    future::{AbortHandle, Abortable},
    stream::{BoxStream, SelectAll, SplitSink},
};
use serde::Deserialize;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};

use super::{
    Transport,
    auth::{self, Doors, Identity},
    error::{Failure, explain},
    fanout::Event,
    graphql::operation,
};

const PROTOCOL: &str = "graphql-transport-ws";
/// Bytes read at once of what a client says.
const READ_BYTES: usize = 4 << 10;

/// `GET /graphql/ws`.
pub(super) async fn upgrade(
    State(transport): State<Arc<Transport>>,
    who: Option<Extension<Identity>>,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|e| Failure::Invalid {
        what: "request",
        found: e.body_text(),
        expected: format!("a websocket handshake with the sub-protocol {PROTOCOL}"),
    })?;
    let limits = transport.api.limits;
    let mut upgrade = upgrade
        .max_message_size(limits.body_bytes)
        .max_frame_size(limits.body_bytes)
        .protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(Failure::Invalid {
            what: "sub-protocol",
            found: "none that is spoken here".to_owned(),
            expected: PROTOCOL.to_owned(),
        });
    }
    let permit = transport.connections()?;
    let from = auth::peer(&extensions);
    // What clients say is short; the default would hold 128 KiB for each of them.
    upgrade = upgrade
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(usize::MAX);
    Ok(upgrade
        .on_upgrade(move |socket| Connection::new(transport, permit, socket, who.map(|w| w.0), from).serve())
        .into_response())
}

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    ConnectionInit {
        #[serde(default)]
        payload: serde_json::Value,
    },
    Ping {},
    Pong {},
    Subscribe {
        id: String,
        payload: Box<Request>,
    },
    Complete {
        id: String,
    },
}

/// Why a connection is closed: code and words of the protocol.
struct Close(u16, String);

/// Of a token that was good once.
fn gone() -> Close {
    Close(4403, "Forbidden: the token has expired or was revoked".to_owned())
}

/// Ends when the one who is known is no longer good; never while nobody is.
async fn until_ended(doors: Arc<Doors>, who: Option<Identity>) {
    match who {
        Some(who) => doors.ended(who).await,
        None => std::future::pending().await,
    }
}

type Followed = Abortable<BoxStream<'static, (Arc<str>, Event)>>;

struct Connection {
    transport: Arc<Transport>,
    out: SplitSink<WebSocket, Message>,
    input: Option<futures_util::stream::SplitStream<WebSocket>>,
    followed: SelectAll<Followed>,
    ids: HashMap<Arc<str>, AbortHandle>,
    greeted: bool,
    /// Known from the handshake's headers, or from `connection_init`.
    who: Option<Identity>,
    from: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.transport.api.metrics.connections(-1.0);
        self.transport.api.metrics.subscriptions(-(self.ids.len() as f64));
    }
}

impl Connection {
    fn new(
        transport: Arc<Transport>,
        permit: OwnedSemaphorePermit,
        socket: WebSocket,
        who: Option<Identity>,
        from: IpAddr,
    ) -> Self {
        transport.api.metrics.connections(1.0);
        let (out, input) = socket.split();
        Self {
            transport,
            out,
            input: Some(input),
            followed: SelectAll::new(),
            ids: HashMap::new(),
            greeted: false,
            who,
            from,
            _permit: permit,
        }
    }

    async fn serve(mut self) {
        let Err(Close(code, reason)) = self.talk().await else {
            return;
        };
        tracing::debug!(code, reason, "websocket closed");
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        // The client may be gone; it learns nothing then, and nobody waits for it.
        let _ = timeout(Duration::from_secs(1), self.out.send(close)).await;
    }

    /// Reads, follows and writes until the client leaves (`Ok`) or has to go (`Err`).
    async fn talk(&mut self) -> Result<(), Close> {
        let limits = self.transport.api.limits;
        let Some(mut input) = self.input.take() else {
            return Ok(());
        };
        let init = sleep(limits.init);
        tokio::pin!(init);
        let mut heartbeat = interval_at(Instant::now() + limits.heartbeat, limits.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let ended = until_ended(Arc::clone(&self.transport.doors), self.who.clone());
        tokio::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => return Err(gone()),
                message = input.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let greeted = self.greeted;
                            self.said(text.as_bytes()).await?;
                            if self.greeted != greeted {
                                ended.set(until_ended(Arc::clone(&self.transport.doors), self.who.clone()));
                            }
                        }
                        Some(Ok(Message::Binary(_))) => return Err(Close(4400, "expected text messages".to_owned())),
                        // The socket answers pings itself.
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_))) | None => return Ok(()),
                        Some(Err(e)) => return Err(Close(1002, short(&e.to_string()))),
                    }
                }
                Some((id, event)) = self.followed.next() => self.event(&id, event).await?,
                () = &mut init, if !self.greeted => {
                    return Err(Close(4408, "Connection initialisation timeout".to_owned()));
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > limits.heartbeat * 3 {
                        return Err(Close(4408, "no answer to heartbeats".to_owned()));
                    }
                    self.send(Message::Ping(Vec::new().into())).await?;
                }
                () = self.transport.stopping.cancelled() => return Err(Close(1001, "the server stops".to_owned())),
            }
        }
    }

    async fn said(&mut self, text: &[u8]) -> Result<(), Close> {
        let said: Said =
            serde_json::from_slice(text).map_err(|e| Close(4400, short(&format!("Invalid message: {e}"))))?;
        // Asked of the clock itself: no order of a token is taken after its end, however late the timer is.
        if self.who.as_ref().is_some_and(|who| !self.transport.doors.still(who)) {
            return Err(gone());
        }
        match said {
            Said::ConnectionInit { .. } if self.greeted => {
                return Err(Close(4429, "Too many initialisation requests".to_owned()));
            }
            Said::ConnectionInit { payload } => {
                if let Some(token) = auth::of_init(&payload) {
                    let who = self.transport.doors.token(token, self.from);
                    self.who = Some(who.map_err(|failure| Close(4403, short(&failure.to_string())))?);
                }
                if self.who.is_none() {
                    return Err(Close(4403, "Forbidden: connection_init needs a token".to_owned()));
                }
                self.greeted = true;
                self.text(r#"{"type":"connection_ack"}"#.to_owned()).await?;
            }
            Said::Ping {} => self.text(r#"{"type":"pong"}"#.to_owned()).await?,
            Said::Pong {} => {}
            Said::Subscribe { .. } if !self.greeted => return Err(Close(4401, "Unauthorized".to_owned())),
            Said::Subscribe { id, payload } => self.subscribe(id, *payload)?,
            Said::Complete { id } => {
                if let Some(handle) = self.ids.remove(id.as_str()) {
                    handle.abort();
                    self.transport.api.metrics.subscriptions(-1.0);
                }
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, id: String, request: Request) -> Result<(), Close> {
        let limit = self.transport.api.limits.subscriptions;
        let id: Arc<str> = id.into();
        if id.len() > 128 {
            return Err(Close(4400, "an id may have 128 bytes".to_owned()));
        }
        if self.ids.contains_key(&id) {
            return Err(Close(4409, short(&format!("Subscriber for {id} already exists"))));
        }
        let Some(who) = self.who.clone() else {
            return Err(Close(4401, "Unauthorized".to_owned()));
        };
        let events = if self.ids.len() >= limit {
            refused(Failure::Busy {
                what: "subscriptions of one connection",
                limit,
            })
        } else {
            match self.transport.doors.count(Some(&who), self.from) {
                Ok(()) => events(&self.transport, request, &who),
                Err(failure) => refused(failure),
            }
        };
        let named = Arc::clone(&id);
        let events = events.map(move |event| (Arc::clone(&named), event)).boxed();
        let (handle, registration) = AbortHandle::new_pair();
        self.followed.push(Abortable::new(events, registration));
        self.ids.insert(id, handle);
        self.transport.api.metrics.subscriptions(1.0);
        Ok(())
    }

    async fn event(&mut self, id: &Arc<str>, event: Event) -> Result<(), Close> {
        let quoted = serde_json::Value::from(&**id);
        let (text, last) = match event {
            Event::Next { text, .. } => (format!(r#"{{"id":{quoted},"type":"next","payload":{text}}}"#), false),
            Event::Error(errors) => (format!(r#"{{"id":{quoted},"type":"error","payload":{errors}}}"#), true),
            Event::Complete => (format!(r#"{{"id":{quoted},"type":"complete"}}"#), true),
        };
        if last && self.ids.remove(id).is_some() {
            self.transport.api.metrics.subscriptions(-1.0);
        }
        self.text(text).await
    }

    async fn text(&mut self, text: String) -> Result<(), Close> {
        self.send(Message::Text(text.into())).await
    }

    /// Writes one message. While the client does not take it, its subscriptions skip.
    async fn send(&mut self, message: Message) -> Result<(), Close> {
        match timeout(self.transport.api.limits.stalled, self.out.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Close(1011, short(&e.to_string()))),
            Err(_) => Err(Close(1008, "the client takes no bytes".to_owned())),
        }
    }
}

/// The events of any operation, as far as its sender may ask for it.
pub(super) fn events(transport: &Arc<Transport>, request: Request, who: &Identity) -> BoxStream<'static, Event> {
    let mut request = match transport.admit(request, who) {
        Ok(request) => request,
        Err(failure) => return refused(failure),
    };
    if operation(&mut request) != Some(OperationType::Subscription) {
        return once(Arc::clone(transport), request);
    }
    let joined = transport.fanout.join(&transport.api, request, who);
    joined.unwrap_or_else(refused)
}

/// The events of a query or mutation: one answer and the end.
fn once(transport: Arc<Transport>, request: Request) -> BoxStream<'static, Event> {
    let answer = async move {
        let limit = transport.api.limits.request;
        match timeout(limit, transport.schema.execute(request)).await {
            Ok(mut response) => {
                response.errors.iter_mut().for_each(explain);
                match serde_json::to_string(&response) {
                    Ok(text) => vec![Event::Next { text, mark: None }, Event::Complete],
                    Err(e) => vec![error(Failure::Internal { detail: e.to_string() })],
                }
            }
            Err(_) => vec![error(Failure::TimedOut {
                seconds: limit.as_secs(),
            })],
        }
    };
    futures_util::stream::once(answer)
        .flat_map(futures_util::stream::iter)
        .boxed()
}

fn refused(failure: Failure) -> BoxStream<'static, Event> {
    futures_util::stream::iter([error(failure)]).boxed()
}

fn error(failure: Failure) -> Event {
    let mut error = async_graphql::Error::from(failure).into_server_error(async_graphql::Pos::default());
    explain(&mut error);
    let text = serde_json::to_string(&[error]).unwrap_or_else(|_| "[]".to_owned());
    Event::Error(text.into())
}

/// A close reason may have 123 bytes.
fn short(text: &str) -> String {
    let mut end = text.len().min(123);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
