//! A client of a Tapline server in Rust: questions, orders and subscriptions over one websocket that speaks
//! `graphql-transport-ws`. The command line, the tests and the load generator use it; docs/api.md is the reference.
//!
//! ```no_run
//! # async fn example() -> Result<(), tapline_client::Error> {
//! use serde_json::json;
//! use tapline_client::Connection;
//!
//! let mut server = Connection::open("127.0.0.1:8080", None).await?;
//! let answer = server.ask("{ server { version mode } }", json!({})).await?;
//! println!("tapline {}", answer["server"]["version"]);
//! let mut poses = server.subscribe("subscription { poses { cycle people } }", json!({})).await?;
//! while let Some(data) = poses.next().await? {
//!     println!("{}", data["poses"]);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod endpoint;

pub use endpoint::{Answer, Endpoint, Stream};

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message, Utf8Bytes,
        client::IntoClientRequest,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

/// The sub-protocol of the websocket.
pub const PROTOCOL: &str = "graphql-transport-ws";
/// A server says something at least this often: heartbeats come every 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes read at once; a message may be longer.
const READ_BYTES: usize = 8 << 10;

/// What can go wrong between here and the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("cannot reach {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server answered the handshake with an HTTP status: 401, 403, 421, 429, 503 (docs/api.md).
    #[error("the server refused the websocket: HTTP {0}")]
    Refused(u16),
    /// The server closed the conversation; docs/api.md lists the codes.
    #[error("the server closed the connection: {code} {reason}")]
    Closed {
        /// Close code of the protocol.
        code: u16,
        /// Its words.
        reason: String,
    },
    /// GraphQL errors.
    #[error("{}", text(.0))]
    Answer(Vec<Value>),
    /// The server said nothing for a minute.
    #[error("nothing heard from the server for 60 s")]
    Silent,
    /// An address that cannot be one, or certificates that cannot be read.
    #[error("{0}")]
    Endpoint(String),
    /// HTTP went wrong on the way.
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    /// A message that is not of the protocol.
    #[error("expected a message of graphql-transport-ws, found {0}")]
    Protocol(String),
    /// The transport.
    #[error(transparent)]
    Transport(#[from] Box<tungstenite::Error>),
}

impl Error {
    /// The stable code of the first GraphQL error, for example `FORBIDDEN`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Answer(errors) => errors.first()?["extensions"]["code"].as_str(),
            _ => None,
        }
    }
}

fn text(errors: &[Value]) -> String {
    let one = |e: &Value| {
        let help = e["extensions"]["help"].as_str().unwrap_or_default();
        format!("{} {help}", e["message"].as_str().unwrap_or("an error without words"))
    };
    errors.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A websocket to a server that greeted us. One thing at a time: ask, or follow.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    socket: WebSocketStream<S>,
    next_id: u64,
}

impl Connection {
    /// Opens `address` (`host:port`) with a token, when the server asks for one.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open(address: &str, token: Option<&str>) -> Result<Self, Error> {
        let connect = |source| Error::Connect {
            address: address.to_owned(),
            source,
        };
        let stream = TcpStream::connect(address).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        Self::over(stream, address, token).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The same over a stream that is open already: a TLS session, a socket with buffers of one's own.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn over(stream: S, host: &str, token: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{host}/graphql/ws")
            .into_client_request()
            .map_err(Box::new)?;
        let protocol = tungstenite::http::HeaderValue::from_static(PROTOCOL);
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        let socket = match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => socket,
            Err(tungstenite::Error::Http(answer)) => return Err(Error::Refused(answer.status().as_u16())),
            Err(e) => return Err(Box::new(e).into()),
        };
        let mut connection = Self { socket, next_id: 1 };
        let payload = token.map_or(json!({}), |t| json!({ "authorization": format!("Bearer {t}") }));
        connection
            .say(json!({ "type": "connection_init", "payload": payload }))
            .await?;
        let greeting = connection.hear().await?;
        if greeting.contains("connection_ack") {
            Ok(connection)
        } else {
            Err(Error::Protocol(greeting.as_str().to_owned()))
        }
    }

    /// Asks a question or gives an order; the answer's `data`.
    ///
    /// # Errors
    /// [`Error::Answer`] when the server says no; the rest of [`Error`].
    pub async fn ask(&mut self, query: &str, variables: Value) -> Result<Value, Error> {
        let id = self.begin(query, &variables).await?;
        let mut answer = Value::Null;
        loop {
            let mut message = parse(&self.hear().await?)?;
            if message["id"].as_str() != Some(&id) {
                continue;
            }
            match message["type"].as_str() {
                Some("next") => answer = message["payload"].take(),
                Some("error") => return Err(errors(message["payload"].take())),
                _ => break,
            }
        }
        match answer["errors"].take() {
            Value::Null => Ok(answer["data"].take()),
            found => Err(errors(found)),
        }
    }

    /// Follows a subscription.
    ///
    /// # Errors
    /// [`Error`]; what the server says against the subscription comes with the first [`Subscription::next`].
    pub async fn subscribe(mut self, query: &str, variables: Value) -> Result<Subscription<S>, Error> {
        self.begin(query, &variables).await?;
        Ok(Subscription { connection: self })
    }

    async fn begin(&mut self, query: &str, variables: &Value) -> Result<String, Error> {
        let id = self.next_id.to_string();
        self.next_id += 1;
        let payload = json!({ "query": query, "variables": variables });
        self.say(json!({ "id": id, "type": "subscribe", "payload": payload }))
            .await?;
        Ok(id)
    }

    async fn say(&mut self, message: Value) -> Result<(), Error> {
        let sent = self.socket.send(Message::text(message.to_string())).await;
        Ok(sent.map_err(Box::new)?)
    }

    /// The next text; heartbeats are answered on the way.
    async fn hear(&mut self) -> Result<Utf8Bytes, Error> {
        loop {
            let Ok(message) = timeout(SILENCE, self.socket.next()).await else {
                return Err(Error::Silent);
            };
            match message {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                None => return Err(closed(None)),
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(Box::new(e).into()),
            }
        }
    }
}

/// A subscription that runs.
#[derive(Debug)]
pub struct Subscription<S = TcpStream> {
    connection: Connection<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Subscription<S> {
    /// The next message's `data`; none at the end.
    ///
    /// # Errors
    /// [`Error::Answer`] when the subscription is refused or fails; the rest of [`Error`].
    pub async fn next(&mut self) -> Result<Option<Value>, Error> {
        let Some(text) = self.next_text().await? else {
            return Ok(None);
        };
        let mut message = parse(&text)?;
        match message["payload"]["errors"].take() {
            Value::Null => Ok(Some(message["payload"]["data"].take())),
            found => Err(errors(found)),
        }
    }

    /// The next message as it stands in the protocol (`{"id":…,"type":"next","payload":…}`); none at the end.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub async fn next_text(&mut self) -> Result<Option<Utf8Bytes>, Error> {
        let text = self.connection.hear().await?;
        // The server writes its own keys, so the type stands where a data field cannot reach.
        let head = &text.as_bytes()[..text.len().min(160)];
        if contains(head, br#""type":"next""#) {
            return Ok(Some(text));
        }
        let mut message = parse(&text)?;
        match message["type"].as_str() {
            Some("next") => Ok(Some(text)),
            Some("complete") => Ok(None),
            Some("error") => Err(errors(message["payload"].take())),
            _ => Err(Error::Protocol(text.as_str().to_owned())),
        }
    }
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|w| w == what)
}

fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|e| Error::Protocol(e.to_string()))
}

fn errors(found: Value) -> Error {
    match found {
        Value::Array(all) => Error::Answer(all),
        one => Error::Answer(vec![one]),
    }
}

fn closed(frame: Option<CloseFrame>) -> Error {
    match frame {
        Some(frame) => Error::Closed {
            code: frame.code.into(),
            reason: frame.reason.to_string(),
        },
        None => Error::Closed {
            code: 1006,
            reason: "without a word".to_owned(),
        },
    }
}
