//! The log for everybody: C2SP tlog-tiles (`/checkpoint`, `/tile/...`) and single proofs as text.
//!
//! All of it is under the published checkpoint: what is only committed is not shown. Source:
//! c2sp.org/tlog-tiles, c2sp.org/tlog-proof; a consistency proof has the form of a c2sp.org/tlog-witness
//! request, so that it can be sent to a witness as it is.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tapline_witness::{
    bundle::build::LogSource as _,
    hash::Hash,
    proof::{prove_consistency, prove_inclusion},
    tile::{TILE_WIDTH, TilePath, put_entry},
    tree::{TreeError, read_tile},
};

use super::{
    Api, Transport,
    access::{Caller, Leaves, Route, Scope, route},
    bundle,
    error::Failure,
};
use crate::{
    live::Durable,
    store::{StoreError, log_source::LogSourceError},
};

const PUBLIC: Caller = Caller::PublicLog(Scope::Read);

/// The log: leaves hold commitments only. Bundles open them, and look at the classes themselves.
pub(super) const ROUTES: &[Route] = &[
    route("GET", "/checkpoint", PUBLIC, Leaves::Anyway),
    route("GET", "/tile/{*path}", PUBLIC, Leaves::Anyway),
    route("GET", "/proof", PUBLIC, Leaves::Anyway),
    route("GET", "/consistency", PUBLIC, Leaves::Anyway),
    route("GET", bundle::PATH, Caller::With(Scope::Read), Leaves::Anyway),
];

/// The log.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .route("/proof", get(proof))
        .route("/consistency", get(consistency))
        .route(bundle::PATH, get(bundle::get))
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// A tile of a given width never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The head moves every second.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Internal {
            detail: error.to_string(),
        }
    }
}

impl From<LogSourceError> for Failure {
    fn from(error: LogSourceError) -> Self {
        match error {
            LogSourceError::Pruned { asked, minimum } => Self::Gone {
                what: format!("leaf {asked}"),
                because: format!("retention has pruned the leaves before {minimum}"),
            },
            error => Self::Internal {
                detail: error.to_string(),
            },
        }
    }
}

/// The head that is published; before the first commit there is none.
pub(super) fn published(transport: &Transport, path: &str) -> Result<Durable, Failure> {
    let durable = transport.api.hub.durable().borrow().clone();
    if durable.size == 0 {
        return Err(Failure::NotFound { path: path.to_owned() });
    }
    Ok(durable)
}

/// `GET /checkpoint`.
pub(super) async fn checkpoint(State(transport): State<Arc<Transport>>) -> Result<Response, Failure> {
    let durable = published(&transport, "/checkpoint")?;
    Ok(answer(TEXT, ASK_AGAIN, durable.note))
}

/// `GET /tile/<L>/<N>[.p/<W>]`, `GET /tile/entries/<N>[.p/<W>]`.
pub(super) async fn tile(
    State(transport): State<Arc<Transport>>,
    Path(path): Path<String>,
) -> Result<Response, Failure> {
    let path = format!("tile/{path}");
    let not_found = || Failure::NotFound {
        path: format!("/{}", path.chars().take(100).collect::<String>()),
    };
    let size = published(&transport, "/tile")?.size;
    let tile = TilePath::parse(&path).map_err(|_| not_found())?;
    if !tile.is_in_tree(size) {
        return Err(not_found());
    }
    let read = transport.api.read_log(move |log| match tile {
        TilePath::Hashes(id) => read_tile(log, id).map_err(|error| missing(&error)),
        TilePath::Entries { index, width } => {
            let first = index * TILE_WIDTH as u64;
            let mut bundle = Vec::new();
            for leaf in log.leaves(first, first + u64::from(width))? {
                put_entry(&leaf, &mut bundle);
            }
            Ok(bundle)
        }
    });
    Ok(answer(BYTES, FOR_EVER, read.await?))
}

/// `GET /proof?index=`: inclusion of a leaf in the published tree, as a c2sp.org/tlog-proof.
pub(super) async fn proof(State(transport): State<Arc<Transport>>, uri: Uri) -> Result<Response, Failure> {
    let index = number(&uri, "index", "a leaf's sequence number, for example /proof?index=17")?;
    let durable = published(&transport, "/proof")?;
    if index >= durable.size {
        return Err(Failure::Invalid {
            what: "index",
            found: index.to_string(),
            expected: format!("below {}, the size of the published log", durable.size),
        });
    }
    let proof = Inclusion::prove(&transport.api, index, durable).await?;
    Ok(answer(TEXT, ASK_AGAIN, proof.text()))
}

/// That a leaf is in a published tree.
pub(super) struct Inclusion {
    pub(super) index: u64,
    pub(super) path: Vec<Hash>,
    pub(super) head: Durable,
}

impl Inclusion {
    /// Of leaf `index`, which is below the size of `head`.
    pub(super) async fn prove(api: &Api, index: u64, head: Durable) -> Result<Self, Failure> {
        let size = head.size;
        let read = api.read_log(move |log| prove_inclusion(log, index, size).map_err(|e| missing(&e)));
        let path = read.await?;
        Ok(Self { index, path, head })
    }

    /// A c2sp.org/tlog-proof.
    pub(super) fn text(&self) -> String {
        let Self { index, path, head } = self;
        format!("c2sp.org/tlog-proof@v1\nindex {index}\n{}\n{}", lines(path), head.note)
    }
}

/// `GET /consistency?from=`: that the published tree continues the one of that size.
pub(super) async fn consistency(State(transport): State<Arc<Transport>>, uri: Uri) -> Result<Response, Failure> {
    let from = number(
        &uri,
        "from",
        "the size of an earlier checkpoint, for example /consistency?from=256",
    )?;
    let durable = published(&transport, "/consistency")?;
    if from > durable.size {
        return Err(Failure::Invalid {
            what: "from",
            found: from.to_string(),
            expected: format!("at most {}, the size of the published log", durable.size),
        });
    }
    let path = if from == 0 {
        // Every log continues the empty one.
        Vec::new()
    } else {
        let read = transport
            .api
            .read_log(move |log| prove_consistency(log, from, durable.size).map_err(|e| missing(&e)));
        read.await?
    };
    let text = format!("old {from}\n{}\n{}", lines(&path), durable.note);
    Ok(answer(TEXT, ASK_AGAIN, text))
}

/// A hash that is not there is one that was pruned: the published tree was whole.
pub(super) fn missing(error: &TreeError) -> Failure {
    match error {
        TreeError::MissingTile(id) => Failure::Gone {
            what: id.to_string(),
            because: "retention has pruned it".to_owned(),
        },
        error => Failure::Internal {
            detail: error.to_string(),
        },
    }
}

/// The one number of a query.
fn number(uri: &Uri, what: &'static str, expected: &str) -> Result<u64, Failure> {
    let query = uri.query().unwrap_or("");
    let invalid = || Failure::Invalid {
        what,
        found: format!("?{}", query.chars().take(100).collect::<String>()),
        expected: expected.to_owned(),
    };
    let (name, value) = query.split_once('=').ok_or_else(invalid)?;
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if name != what || !is_plain {
        return Err(invalid());
    }
    value.parse().map_err(|_| invalid())
}

fn lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| format!("{}\n", BASE64.encode(hash))).collect()
}

fn answer(kind: HeaderValue, caching: HeaderValue, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching)], body).into_response()
}
