//! What goes wrong at the edge, and what the caller can do about it.
//!
//! Every failure has a stable `code`, a message for people and a line of help. Whatever the server knows
//! beyond that (a database message, a path) goes to the log under the same correlation id, never to the
//! client.

use async_graphql::ServerError;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A failure at the edge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The request names no host.
    #[error("the request has no Host header; expected the name this server is reached by")]
    HostMissing,
    /// The request names a host that is not this server.
    #[error("this server does not answer for host {found:?}; expected one of: {}", allowed.join(", "))]
    HostNotAllowed {
        /// What the request said.
        found: String,
        /// What it may say.
        allowed: Vec<String>,
    },
    /// A page of another origin sent the request.
    #[error("pages of origin {found:?} may not use this server")]
    OriginNotAllowed {
        /// What the request said.
        found: String,
    },
    /// No such route.
    #[error("there is nothing at {path:?}")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// The route exists, the method does not.
    #[error("this method is not answered here")]
    MethodNotAllowed,
    /// The body has another type.
    #[error("content type {found:?}; expected application/json")]
    MediaType {
        /// What the request said.
        found: String,
    },
    /// The body is too large.
    #[error("the body is larger than {allowed} bytes")]
    TooLarge {
        /// The limit.
        allowed: usize,
    },
    /// The body or an argument cannot be read.
    #[error("{what}: found {found}; expected {expected}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: String,
    },
    /// It was there once and is not kept any more.
    #[error("{what} is no longer kept: {because}")]
    Gone {
        /// What was asked for.
        what: String,
        /// Since when, and why.
        because: String,
    },
    /// A range holds more than one answer may.
    #[error("{what}: found {found}, allowed are {allowed}; the largest range from there ends before {largest}")]
    RangeTooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u64,
        /// The limit.
        allowed: u64,
        /// Where the largest allowed range with this beginning ends.
        largest: u64,
    },
    /// The request took too long.
    #[error("no answer within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The privacy class or mode in force does not let it out.
    #[error("{what} does not leave under {under}")]
    Privacy {
        /// Which field or route.
        what: String,
        /// The class, and the mode where that decides; then what would leave.
        under: String,
    },
    /// It leaves to this machine only, whatever the class and the token.
    #[error("{what} leaves to callers on the server's own machine only")]
    Elsewhere {
        /// Which field.
        what: &'static str,
    },
    /// Nobody known, or a token that is none.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Known, but not allowed.
    #[error("{what} needs the scope {scope:?}, which this token does not have")]
    Forbidden {
        /// Which field or route.
        what: String,
        /// What it needs.
        scope: &'static str,
    },
    /// Too many requests.
    #[error("too many requests from this token or address")]
    RateLimited,
    /// Something limited is used up.
    #[error("{what}: all {limit} are in use")]
    Busy {
        /// What is used up.
        what: &'static str,
        /// How many there are.
        limit: usize,
    },
    /// The server cannot answer for a reason of its own.
    #[error("the server could not answer")]
    Internal {
        /// For the log only.
        detail: String,
    },
}

impl Failure {
    /// What needs a scope that the caller has not.
    pub(super) fn forbidden(of: &str, field: &str, scope: crate::tokens::Scope) -> Self {
        Self::Forbidden {
            what: format!("{of}.{field}"),
            scope: scope.name(),
        }
    }

    /// What the class in force (0 Raw to 3 Restricted) keeps back.
    pub(super) fn privacy(what: String, class: u8) -> Self {
        let class = ["Raw", "Derived", "Anonymous", "Restricted"][usize::from(class.min(3))];
        Self::Privacy {
            what,
            under: format!("class {class}"),
        }
    }

    /// The stable code in `error.code` (REST) and `extensions.code` (GraphQL).
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::HostMissing => "HOST_MISSING",
            Self::HostNotAllowed { .. } => "HOST_NOT_ALLOWED",
            Self::OriginNotAllowed { .. } => "ORIGIN_NOT_ALLOWED",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::MediaType { .. } => "UNSUPPORTED_MEDIA_TYPE",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::Invalid { .. } => "INVALID_ARGUMENT",
            Self::Privacy { .. } | Self::Elsewhere { .. } => "PRIVACY",
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::Forbidden { .. } => "FORBIDDEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::Gone { .. } => "GONE",
            Self::RangeTooLarge { .. } => "RANGE_TOO_LARGE",
            Self::TimedOut { .. } => "TIMED_OUT",
            Self::Busy { .. } => "BUSY",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    /// The HTTP status of the code.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::HostMissing | Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::HostNotAllowed { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::OriginNotAllowed { .. } | Self::Privacy { .. } | Self::Elsewhere { .. } | Self::Forbidden { .. } => {
                StatusCode::FORBIDDEN
            }
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } | Self::RangeTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Gone { .. } => StatusCode::GONE,
            Self::TimedOut { .. } | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the caller can do.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::HostMissing | Self::HostNotAllowed { .. } => {
                "Reach the server by the address it prints at start, for example http://127.0.0.1:8080."
            }
            Self::OriginNotAllowed { .. } => "Serve the page from this server or from this machine (localhost).",
            Self::NotFound { .. } => "docs/api.md lists all routes; GraphQL is at POST /graphql.",
            Self::MethodNotAllowed => "The Allow header names the methods.",
            Self::MediaType { .. } => "Send the header Content-Type: application/json.",
            Self::TooLarge { .. } => "Ask for less at a time, and put values into variables.",
            Self::Invalid { .. } => "The schema's description of the argument says what it takes.",
            Self::Unauthenticated(_) => {
                "Make a token with `tapline token create --name NAME` and send it as `Authorization: Bearer TOKEN`."
            }
            Self::Forbidden { .. } => "Use a token with this scope: `tapline token create --scope …`.",
            Self::RateLimited => "Wait a second, and ask less often.",
            Self::Privacy { .. } => "docs/api.md says what each class lets out; the site's mode decides the class.",
            Self::Elsewhere { .. } => "Ask on that machine, or through a tunnel: ssh -L 8080:127.0.0.1:8080 HOST.",
            Self::Gone { .. } => "Ask for something newer; what was saved before stays valid.",
            Self::RangeTooLarge { .. } => "Ask for the range in parts.",
            Self::TimedOut { .. } => "Ask for a shorter range, or try again later.",
            Self::Busy { .. } => "Close what is not needed, or try again later.",
            Self::Internal { .. } => "Look for the correlation id in the server's log.",
        }
    }

    /// Writes what is internal to the log and returns the id under which it stands there.
    fn logged(&self) -> String {
        let id = correlation_id();
        if let Self::Internal { detail } = self {
            tracing::error!(correlation_id = id, detail, "request failed");
        } else {
            tracing::debug!(correlation_id = id, code = self.code(), failure = %self, "request refused");
        }
        id
    }
}

/// Eight random bytes in hex: names one failure in the log and in the answer.
pub(super) fn correlation_id() -> String {
    let mut bytes = [0_u8; 8];
    // Without entropy the id is all zeros: still an answer, only harder to find in the log.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "error": {
                "code": self.code(),
                "message": self.to_string(),
                "help": self.help(),
                "correlationId": self.logged(),
            }
        });
        let mut response = (self.status(), Json(body)).into_response();
        if self.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"tapline\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&self.status()) {
            // Who is not known, or asks too much, keeps no connection from others between two requests.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&self.status()) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Gives an error of a GraphQL answer its code, help and correlation id. Those of the GraphQL layer itself
/// (a syntax error, an unknown field, a limit) come without a [`Failure`].
pub(super) fn explain(error: &mut ServerError) {
    let (code, help, id) = match error.source::<Failure>() {
        Some(failure) => (failure.code(), failure.help(), failure.logged()),
        None => {
            let (code, help) = match error.message.as_str() {
                "Query is nested too deep." => ("TOO_DEEP", "Ask for fewer levels."),
                "Query is too complex." => ("TOO_COMPLEX", "Ask for fewer fields, or for smaller pages."),
                m if m.contains("recursion depth") => ("TOO_DEEP", "Ask for fewer levels."),
                _ => ("BAD_QUERY", "GET /schema.graphql describes every type and argument."),
            };
            (code, help, correlation_id())
        }
    };
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", code);
    extensions.set("help", help);
    extensions.set("correlationId", id);
}
