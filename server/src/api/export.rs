//! `GET /v1/export?what=&from=&to=`: a table of what was, as CSV.
//!
//! A blocking thread reads one snapshot of the store a piece at a time and waits for the client, so neither the size of the
//! answer nor a slow client costs memory. What a table gives away is held against the class in force ([`leaves`]).

use std::{
    io::{self, BufWriter},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, Method, Uri, header},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::{
    Transport,
    access::{Bar, Caller, Leaves, Route, Scope, route},
    aside::aside,
    bundle::{PIECE, Pipe, WAITING_PIECES},
    error::Failure,
};
use crate::{
    export::{Csv, Request, RequestError, Resolution, Span, What, export, time},
    rollup::{Calendar, Level},
    store::rollup::query,
};

const PATH: &str = "/v1/export";
/// Most windows of a table: a day of seconds.
const MAX_WINDOWS: u64 = 86_400;
/// Which level answered.
const RESOLUTION: HeaderName = HeaderName::from_static("tapline-resolution");

/// Each table's class is held by the handler.
pub(super) const ROUTES: &[Route] = &[route("GET", PATH, Caller::With(Scope::Read), Leaves::Anyway)];

/// The route of this area.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new().route(PATH, get(download))
}

/// What a table gives away; time in a cell, by the second, is the way of a person. Of [`What::Occupancy`] and [`What::Events`] the rows of zones are left out where zones may not leave.
const fn leaves(what: What) -> Leaves {
    match what {
        What::Operation | What::Latency | What::Occupancy | What::Events => Leaves::Anyway,
        What::Links | What::Flows => Leaves::Zones,
        What::Heat => Leaves::People,
        What::People => Leaves::Identity,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    what: String,
    from: String,
    to: String,
    resolution: Option<String>,
    /// Looked at before the route.
    #[allow(dead_code, reason = "a ticket may stand in the query")]
    ticket: Option<String>,
}

/// What is asked for, read.
struct Asked {
    what: What,
    from: String,
    to: String,
    resolution: Resolution,
    zones: bool,
}

fn invalid(what: &'static str, found: &str, expected: String) -> Failure {
    Failure::Invalid {
        what,
        found: found.chars().take(60).collect(),
        expected,
    }
}

fn read(uri: &Uri, bar: Bar) -> Result<Asked, Failure> {
    let query = axum::extract::Query::<Query>::try_from_uri(uri).map_err(|error| Failure::Invalid {
        what: "query",
        found: error.to_string(),
        expected: "what, from and to, and maybe resolution".to_owned(),
    })?;
    let Query {
        what,
        from,
        to,
        resolution,
        ticket: _,
    } = query.0;
    let what = What::from_name(&what).ok_or_else(|| {
        invalid(
            "what",
            &what,
            format!("one of {}", What::ALL.map(What::name).join(", ")),
        )
    })?;
    if !bar.lets_out(leaves(what)) {
        return Err(Failure::privacy(format!("{PATH} with what={}", what.name()), bar.class));
    }
    let resolution = match resolution.as_deref() {
        None => Resolution::Auto,
        Some(name) => Resolution::from_name(name).ok_or_else(|| {
            let levels = Level::ALL.map(Level::name).join(", ");
            invalid("resolution", name, format!("auto, {levels}"))
        })?,
    };
    Ok(Asked {
        what,
        from,
        to,
        resolution,
        zones: bar.lets_out(Leaves::Zones),
    })
}

impl Asked {
    fn settle(&self, db: &rusqlite::Connection, calendar: &Calendar) -> Result<Request, Failure> {
        let at = |which: &'static str, text: &str| {
            time(text, calendar)
                .map_err(|RequestError { found }| invalid(which, &found, RequestError::EXPECTED.to_owned()))
        };
        let (from_s, to_s) = (at("from", &self.from)?, at("to", &self.to)?);
        if from_s >= to_s {
            return Err(invalid("from", &self.from, "a time before to".to_owned()));
        }
        let span = Span {
            from_s: Some(from_s),
            to_s: Some(to_s),
        };
        let request = Request::settle(db, self.what, span, self.resolution, self.zones)?;
        if self.what != What::Events && request.windows() > MAX_WINDOWS {
            let most_s = MAX_WINDOWS.cast_signed() * request.level.usual_s();
            return Err(Failure::RangeTooLarge {
                what: "windows",
                found: request.windows(),
                allowed: MAX_WINDOWS,
                largest: request.from_s.saturating_add(most_s).max(0).cast_unsigned(),
            });
        }
        Ok(request)
    }
}

async fn download(State(transport): State<Arc<Transport>>, method: Method, uri: Uri) -> Result<Response, Failure> {
    let asked = read(&uri, Bar::of(&transport.api))?;
    let limit = transport.api.limits.bundles;
    let permit = Arc::clone(&transport.bundles)
        .try_acquire_owned()
        .map_err(|_| Failure::Busy {
            what: "downloads",
            limit,
        })?;
    let (settled, head) = oneshot::channel();
    let (pieces, body) = mpsc::channel(WAITING_PIECES);
    let history = Arc::clone(&transport.api.history);
    let stalled = transport.api.limits.stalled;
    let runtime = tokio::runtime::Handle::current();
    let head_only = method == Method::HEAD;
    let what = asked.what;
    let hub = Arc::clone(&transport.api.hub);
    let made = aside(move || {
        let _permit = permit;
        let Some(store) = history.log() else {
            return Err(Failure::Internal {
                detail: "this history has no store behind it".to_owned(),
            });
        };
        store.snapshot_or(|db| {
            let calendar = query::calendar(db)?;
            let request = asked.settle(db, &calendar)?;
            // Nobody waits any more: nothing to do.
            if settled.send(request).is_err() || head_only {
                return Ok(());
            }
            let pipe = BufWriter::with_capacity(PIECE, Pipe::new(&pieces, runtime, stalled, &hub));
            let written = Csv::new(pipe, request.what).and_then(|mut csv| {
                export(db, &calendar, &request, &mut csv)?;
                csv.finish().map(|_| ())
            });
            if let Err(error) = written {
                tracing::info!(%error, "an export ended early");
                // The client sees a connection that breaks before its end.
                let _ = pieces.blocking_send(Err(io::Error::other("the export cannot be completed")));
            }
            Ok(())
        })
    });
    let Ok(request) = head.await else {
        // The thread ended before it knew what to write: it says why.
        made.await.map_err(|error| Failure::Internal {
            detail: error.to_string(),
        })??;
        return Err(Failure::Internal {
            detail: "an export without a request".to_owned(),
        });
    };
    let stream = futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    let mut response = Response::new(if head_only {
        Body::empty()
    } else {
        Body::from_stream(stream)
    });
    let to = response.headers_mut();
    to.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    to.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if what != What::Events {
        to.insert(RESOLUTION, HeaderValue::from_static(request.level.name()));
    }
    let name = format!("attachment; filename=\"tapline-{}.csv\"", what.name());
    if let Ok(name) = HeaderValue::from_str(&name) {
        to.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
