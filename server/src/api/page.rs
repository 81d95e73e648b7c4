//! The live page: the files that `cargo xtask build` makes of `web/`, served at `/`.
//!
//! An optimised build holds them inside; a debug build reads them from the checkout. Without them `/` says
//! how to get them: Node is needed to build the page, never to run the server.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{
    Transport,
    access::{Caller, Leaves, Route, route},
    error::Failure,
};

#[derive(RustEmbed)]
#[folder = "../web/page/"]
#[include = "dist/*"]
#[include = "dist/assets/*"]
struct Files;

/// Scripts, styles, fonts and data come from this server alone; nothing is inline, nobody frames the page. No text becomes a
/// script, save the address of the worker that draws (`web/src/plan/thread.ts`).
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; font-src 'self'; \
                      img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tapline";

/// What stands at `/` when the page was not built.
const NOT_BUILT: &str = "Tapline runs. Its live page was not built into this program: that needs Node 20.19 or newer.\n\
                         Install Node and npm, then run `cargo xtask build` (or `cargo xtask demo`) again.\n\n\
                         What works without the page:\n  /graphiql         try queries in the browser\n  \
                         /schema.graphql   what can be asked\n  /readyz           whether cycles run\n  \
                         /metrics          for Prometheus\n";

/// The page gives nothing away: what it shows it asks for, with its reader's token.
pub(super) const ROUTES: &[Route] = &[
    route("GET", "/", Caller::Anybody, Leaves::Anyway),
    route("GET", "/assets/{name}", Caller::Anybody, Leaves::Anyway),
    route("GET", "/favicon.svg", Caller::Anybody, Leaves::Anyway),
];

/// The page's files.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new()
        .route("/", get(index))
        .route("/assets/{name}", get(asset))
        .route("/favicon.svg", get(asset))
}

/// `GET /`.
async fn index(headers: HeaderMap) -> Response {
    match file("index.html", &headers) {
        Some(page) => page,
        None => (
            [(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            )],
            NOT_BUILT,
        )
            .into_response(),
    }
}

/// `GET /assets/NAME`, `GET /favicon.svg`.
async fn asset(uri: axum::http::Uri, headers: HeaderMap) -> Result<Response, Failure> {
    file(uri.path().trim_start_matches('/'), &headers).ok_or_else(|| Failure::NotFound {
        path: uri.path().chars().take(200).collect(),
    })
}

/// A file of the page, compressed when the client takes it so.
fn file(name: &str, request: &HeaderMap) -> Option<Response> {
    let compressed = Files::get(&format!("dist/{name}.gz"));
    let two_forms = compressed.is_some();
    let compressed = compressed.filter(|_| takes_gzip(request));
    let gzip = compressed.is_some();
    let EmbeddedFile { data, metadata } = compressed.or_else(|| Files::get(&format!("dist/{name}")))?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", hex::encode(&metadata.sha256_hash()[..16]))).ok()?;
    let mut response = if request.get(header::IF_NONE_MATCH) == Some(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        data.into_owned().into_response()
    };
    // Names under assets/ carry a hash of their contents.
    let keep = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut put = |name: HeaderName, value: &'static str| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    put(header::CONTENT_TYPE, kind(name));
    put(header::CACHE_CONTROL, keep);
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    if two_forms {
        // What stands between must not give one client's form to another. The guard adds `origin`.
        put(header::VARY, "accept-encoding");
    }
    if gzip {
        put(header::CONTENT_ENCODING, "gzip");
    }
    response.headers_mut().insert(header::ETAG, tag);
    Some(response)
}

/// True when the client takes gzip, by its name or by `*`; a weight of zero says no (RFC 9110, 12.5.3).
fn takes_gzip(request: &HeaderMap) -> bool {
    let weight = |wanted: &str| {
        request
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .find_map(|coding| {
                let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
                name.trim().eq_ignore_ascii_case(wanted).then(|| weight_in(parameters))
            })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// The weight among a coding's parameters: 1 when there is none, 0 when it cannot be read.
fn weight_in(parameters: &str) -> f32 {
    let q = parameters.split(';').find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    q.map_or(1.0, |q| q.parse().unwrap_or(0.0))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(accepted: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accepted {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        takes_gzip(&headers)
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        let said: [&[&str]; 6] = [
            &["gzip"],
            &["GZip"],
            &["br, gzip;q=0.5"],
            &["deflate", "gzip"],
            &["*"],
            &["identity;q=0, *;q=0.1"],
        ];
        for accepted in said {
            assert!(takes(accepted), "{accepted:?}");
        }
    }

    #[test]
    fn a_weight_of_zero_says_no() {
        let said: [&[&str]; 8] = [
            &[],
            &["identity"],
            &["br, zstd"],
            &["gzip;q=0"],
            &["gzip; Q=0.000, br"],
            &["gzip;q=0, *"],
            &["*;q=0"],
            &["gzip;q=none"],
        ];
        for accepted in said {
            assert!(!takes(accepted), "{accepted:?}");
        }
    }
}
