//! Who may ask: the Host and Origin checks in front of every route, and the headers behind them.
//!
//! A page in a browser can make the browser talk to a server on this machine. Two checks stop it. The
//! Host check refuses names that are not ours, so a foreign name that is rebound to 127.0.0.1 gets a 421.
//! The Origin check refuses pages of other machines; pages of this machine (`localhost` on any port, as a
//! front-end under development is) may read, and get the CORS headers for it.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{auth::Security, error::Failure};

/// The names this server answers for.
#[derive(Clone, Debug)]
pub(super) struct Names {
    hosts: BTreeSet<String>,
    /// Any address written in digits will do as Host: no name is in it that could be rebound.
    addresses: bool,
    tls: bool,
}

impl Names {
    /// This machine's names for itself, and those it is configured with.
    pub(super) fn new(security: &Security) -> Self {
        let own = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        Self {
            hosts: own
                .into_iter()
                .chain(security.names.iter().map(|n| n.to_ascii_lowercase()))
                .collect(),
            addresses: !security.loopback(),
            tls: security.tls.is_some(),
        }
    }

    /// True when a request may name this host.
    fn host(&self, authority: &str) -> bool {
        self.has(authority) || self.addresses && host_of(authority).is_some_and(|host| is_address(&host))
    }

    /// True when `authority` (`host` or `host:port`) is one of ours; the port does not matter, so that a
    /// forwarded port works.
    fn has(&self, authority: &str) -> bool {
        host_of(authority).is_some_and(|host| self.hosts.contains(&host))
    }

    fn list(&self) -> Vec<String> {
        self.hosts.iter().cloned().collect()
    }
}

/// The host part of `host[:port]`, lower case; none when it is not an authority.
fn host_of(authority: &str) -> Option<String> {
    let authority: axum::http::uri::Authority = authority.parse().ok()?;
    // `user@host` has no place in a Host or Origin header.
    (!authority.as_str().contains('@')).then(|| authority.host().to_ascii_lowercase())
}

/// True for `192.168.1.7` and `[fd00::7]`.
fn is_address(host: &str) -> bool {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>()
        .is_ok()
}

/// Lets through what names us and comes from us.
pub(super) async fn check(State(names): State<Arc<Names>>, request: Request, next: Next) -> Response {
    let origin = match allowed(&names, request.uri(), request.headers()) {
        Ok(origin) => origin,
        Err(failure) => return secured(failure.into_response(), None, names.tls),
    };
    if request.method() == Method::OPTIONS && origin.is_some() {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("content-type, authorization, last-event-id"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        return secured(response, origin, names.tls);
    }
    secured(next.run(request).await, origin, names.tls)
}

/// The origin to name in the answer, when the request names one that may read it.
fn allowed(names: &Names, uri: &Uri, headers: &HeaderMap) -> Result<Option<HeaderValue>, Failure> {
    let host = match (headers.get(header::HOST), uri.host()) {
        (Some(host), _) => host.to_str().unwrap_or("(not text)"),
        // HTTP/2 carries the host in the request target.
        (None, Some(host)) => host,
        (None, None) => return Err(Failure::HostMissing),
    };
    if !names.host(host) {
        return Err(Failure::HostNotAllowed {
            found: host.to_owned(),
            allowed: names.list(),
        });
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(None);
    };
    let text = origin.to_str().unwrap_or("(not text)");
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    // The page is ours, or stands under a name that is.
    let same = |a: &str| host_of(a).is_some_and(|of| host_of(host).is_some_and(|to| of == to));
    if authority.is_some_and(|a| names.has(a) || same(a)) {
        Ok(Some(origin.clone()))
    } else {
        Err(Failure::OriginNotAllowed { found: text.to_owned() })
    }
}

/// Adds the headers every answer has.
fn secured(mut response: Response, origin: Option<HeaderValue>, tls: bool) -> Response {
    let headers = response.headers_mut();
    if tls {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    // Added: an answer in two forms already says what else it varies by.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>) -> Result<bool, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        allowed(&Names::new(&Security::local()), &Uri::from_static("/graphql"), &headers)
            .map(|o| o.is_some())
            .map_err(|f| f.code())
    }

    #[test]
    fn our_own_names_pass_with_any_port() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:8080"] {
            assert_eq!(check(Some(host), None), Ok(false), "{host}");
        }
    }

    #[test]
    fn rebound_names_are_refused() {
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "user@localhost",
            "0.0.0.0",
            "",
        ] {
            assert_eq!(check(Some(host), None), Err("HOST_NOT_ALLOWED"), "{host}");
        }
        assert_eq!(check(None, None), Err("HOST_MISSING"));
    }

    #[test]
    fn what_an_answer_varies_by_already_stays() {
        let answer = [(header::VARY, HeaderValue::from_static("accept-encoding"))].into_response();
        let answer = secured(answer, None, false);
        let vary: Vec<_> = answer.headers().get_all(header::VARY).iter().collect();
        assert_eq!(vary, ["accept-encoding", "origin"]);
    }

    #[test]
    fn pages_of_this_machine_pass_and_others_do_not() {
        for origin in ["http://localhost:5173", "https://127.0.0.1:8080", "http://[::1]"] {
            assert_eq!(check(Some("localhost"), Some(origin)), Ok(true), "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost.evil.example",
            "file://",
            "chrome-extension://x",
            "http://localhost@evil.example",
        ] {
            assert_eq!(
                check(Some("localhost"), Some(origin)),
                Err("ORIGIN_NOT_ALLOWED"),
                "{origin}"
            );
        }
    }
}
