//! `GET /v1/recordings/NAME`: a recording as a file, whole or from where a download was cut.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
    time::UNIX_EPOCH,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
    routing::get,
};
use tapline_witness::body::AuditResult;
use tokio::sync::mpsc;

use super::{
    Transport,
    access::{Caller, Leaves, Route, Scope, route},
    auth::Identity,
    bundle::{Part, part},
    error::Failure,
    schema::recording_file,
};

/// Raw measurements: an administrator's, in class Raw only.
pub(super) const ROUTES: &[Route] = &[route(
    "GET",
    "/v1/recordings/{name}",
    Caller::With(Scope::Admin),
    Leaves::Raw,
)];

/// The route of this area.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new().route("/v1/recordings/{name}", get(download))
}

/// Bytes read at once, and how many such pieces wait for a slow client.
const PIECE: usize = 64 << 10;
const WAITING_PIECES: usize = 4;

struct Opened {
    file: File,
    bytes: u64,
    etag: String,
}

fn open(path: &std::path::Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Opened {
        bytes: metadata.len(),
        etag: format!("\"{:x}-{:x}\"", metadata.len(), changed.as_nanos()),
        file,
    })
}

async fn download(
    State(transport): State<Arc<Transport>>,
    Extension(who): Extension<Identity>,
    method: Method,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let path = recording_file(&transport.api, &name)?;
    let internal = |detail: String| Failure::Internal { detail };
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let opened = match opened.map_err(|e| internal(e.to_string()))? {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::NotFound {
                path: format!("/v1/recordings/{name}"),
            });
        }
        Err(e) => return Err(internal(e.to_string())),
    };
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let value = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    let mut response = Response::new(Body::empty());
    let same = text(header::IF_RANGE).is_none_or(|tag| tag == opened.etag);
    let asked = text(header::RANGE)
        .filter(|_| same)
        .map(|range| part(range, opened.bytes));
    let range = match asked {
        None | Some(Part::Whole) => 0..opened.bytes,
        Some(Part::Bytes(range)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let of = format!("bytes {}-{}/{}", range.start, range.end - 1, opened.bytes);
            response.headers_mut().insert(header::CONTENT_RANGE, value(of));
            range
        }
        Some(Part::Outside) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            let of = format!("bytes */{}", opened.bytes);
            response.headers_mut().insert(header::CONTENT_RANGE, value(of));
            return Ok(response);
        }
    };
    let to = response.headers_mut();
    to.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    let disposition = format!("attachment; filename=\"{name}.tlc\"");
    to.insert(header::CONTENT_DISPOSITION, value(disposition));
    to.insert(header::ETAG, value(opened.etag));
    to.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    to.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if method == Method::HEAD {
        return Ok(response);
    }
    let action = format!("recording.download {name}");
    transport.api.hub.audit(who.operator(), &action, AuditResult::Done);
    let (pieces, body) = mpsc::channel(WAITING_PIECES);
    tokio::task::spawn_blocking(move || send(opened.file, range, &pieces));
    let stream = futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

/// Reads until the end, or until nobody wants it any more.
fn send(mut file: File, range: std::ops::Range<u64>, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut left = range.end - range.start;
    if let Err(error) = file.seek(SeekFrom::Start(range.start)) {
        let _ = pieces.blocking_send(Err(error));
        return;
    }
    while left > 0 {
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        let read = file.read_exact(&mut piece).map(|()| Bytes::from(piece));
        let failed = read.is_err();
        left -= read.as_ref().map_or(0, |b| b.len() as u64);
        if pieces.blocking_send(read).is_err() || failed {
            return;
        }
    }
}
