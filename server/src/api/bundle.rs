//! `GET /v1/witness/bundles?from=&to=`: a range of the log with all that proves it, as one download.
//!
//! A blocking thread holds one snapshot of the store from the plan to the last byte, so that neither the
//! next commit nor pruning can tear the download; it makes one entry at a time and waits for the client, and
//! the cycle waits for neither. The bytes follow from range, checkpoint and kept data alone: the strong `ETag`
//! names them, and a download that was cut off goes on with `Range`.

use std::{io, ops::Range, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
};
use serde::Deserialize;
use tapline_witness::{
    body::AuditResult,
    bundle::{
        BundleError, MAX_CYCLES, MEDIA_TYPE,
        build::{BundleRequest, InputsWithheld, Prepared},
    },
    hash::Domain,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Transport,
    access::{Bar, Scope},
    aside::aside,
    auth::Identity,
    disclosure,
    error::Failure,
    log::published,
};
use crate::{
    live::{Command, Durable, Hub},
    store::log_source::{LogSourceError, SqlLog},
};

/// Where bundles are.
pub(super) const PATH: &str = "/v1/witness/bundles";
/// What the client is told beside the bundle.
const CHECKPOINT: HeaderName = HeaderName::from_static("tapline-checkpoint");
const INPUTS: HeaderName = HeaderName::from_static("tapline-inputs");
const NONCE: HeaderName = HeaderName::from_static("tapline-nonce");
/// Bytes handed to the connection at once, and how many such pieces wait for a slow one.
pub(super) const PIECE: usize = 64 << 10;
pub(super) const WAITING_PIECES: usize = 4;
/// How long the leaf that records a disclosure may take to become durable.
const RECORDED: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    from: String,
    to: String,
    checkpoint: Option<u64>,
    old: Option<u64>,
    inputs: Option<u8>,
    nonce: Option<String>,
    /// Looked at before the route.
    #[allow(dead_code, reason = "a ticket may stand in the query")]
    ticket: Option<String>,
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Index of a leaf.
    Index(u64),
    /// Unix nanoseconds.
    Time(i64),
}

impl End {
    fn parse(what: &'static str, text: &str) -> Result<Self, Failure> {
        let invalid = || Failure::Invalid {
            what,
            found: text.chars().take(60).collect(),
            expected: "the number of a cycle, or a time such as 2026-11-23T17:22:05Z".to_owned(),
        };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Index).map_err(|_| invalid());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        i64::try_from(time.as_nanosecond())
            .map(Self::Time)
            .map_err(|_| invalid())
    }
}

/// What the thread that makes the bundle knows before it writes.
struct Head {
    len: u64,
    etag: String,
    request: BundleRequest,
    withheld: Option<InputsWithheld>,
}

/// Pieces of a body.
type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// `GET /v1/witness/bundles`.
pub(super) async fn get(
    State(transport): State<Arc<Transport>>,
    method: Method,
    uri: Uri,
    who: Option<Extension<Identity>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let who = who.map(|Extension(who)| who);
    let query = axum::extract::Query::<Query>::try_from_uri(&uri).map_err(|error| Failure::Invalid {
        what: "query",
        found: error.to_string(),
        expected: "from and to, and maybe checkpoint, old, inputs=1, nonce".to_owned(),
    })?;
    let query = query.0;
    let inputs = match query.inputs {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => {
            return Err(Failure::Invalid {
                what: "inputs",
                found: other.to_string(),
                expected: "0 or 1".to_owned(),
            });
        }
    };
    if inputs && !who.as_ref().is_some_and(|who| who.may(Scope::Admin)) {
        let failure = Failure::Forbidden {
            what: format!("{PATH} with inputs=1"),
            scope: Scope::Admin.name(),
        };
        return Err(match &who {
            Some(who) => transport.refused(who, failure),
            None => failure,
        });
    }
    let bar = Bar::of(&transport.api);
    let mode = transport.api.hub.configured().site.privacy.mode;
    let ends = (End::parse("from", &query.from)?, End::parse("to", &query.to)?);
    let nonce = query.nonce.as_deref().map(nonce).transpose()?;
    let durable = published(&transport, PATH)?;
    let limit = transport.api.limits.bundles;
    let permit = Arc::clone(&transport.bundles)
        .try_acquire_owned()
        .map_err(|_| Failure::Busy {
            what: "bundle downloads",
            limit,
        })?;

    let (head, planned) = oneshot::channel();
    let (go, start) = std::sync::mpsc::channel::<Range<u64>>();
    let (pieces, body) = mpsc::channel(WAITING_PIECES);
    let history = Arc::clone(&transport.api.history);
    let stalled = transport.api.limits.stalled;
    let (checkpoint, old) = (query.checkpoint, query.old);
    let runtime = tokio::runtime::Handle::current();
    let hub = Arc::clone(&transport.api.hub);
    let made = aside(move || {
        let _permit = permit;
        let Some(store) = history.log() else {
            return Err(Failure::Internal {
                detail: "this history has no log behind it".to_owned(),
            });
        };
        store.snapshot_or(|db| {
            let log = SqlLog(db);
            let request = resolve(&log, ends, inputs, checkpoint, old, &durable)?;
            let (prepared, withheld) = prepare(&log, request)?;
            disclosure::check(prepared.disclosed(), prepared.request().to, bar, mode)?;
            let _ = head.send(Head {
                len: prepared.plan().bundle_len(),
                etag: format!("\"{}\"", hex::encode(&prepared.digest()[..16])),
                request: prepared.request().clone(),
                withheld,
            });
            // Nobody waits any more: nothing to do.
            let Ok(range) = start.recv() else { return Ok(()) };
            let mut out = Pipe::new(&pieces, runtime, stalled, &hub);
            let written = prepared
                .write_range(&mut out, range)
                .and_then(|()| io::Write::flush(&mut out).map_err(|e| BundleError::from(e).into()));
            if let Err(error) = written {
                tracing::info!(%error, "a bundle download ended early");
                // The client sees a connection that ends before its Content-Length.
                let _ = pieces.blocking_send(Err(io::Error::other("the bundle cannot be completed")));
            }
            Ok(())
        })
    });
    let Ok(head) = planned.await else {
        // The thread ended before it had a plan: it says why.
        made.await.map_err(|error| Failure::Internal {
            detail: error.to_string(),
        })??;
        return Err(Failure::Internal {
            detail: "a bundle without a plan".to_owned(),
        });
    };
    let mut response = respond(&transport, who.as_ref(), &method, &headers, head, &go, body).await?;
    if let Some(nonce) = nonce {
        response.headers_mut().insert(NONCE, nonce);
    }
    Ok(response)
}

/// Headers, and the body if one is wanted.
async fn respond(
    transport: &Transport,
    who: Option<&Identity>,
    method: &Method,
    headers: &HeaderMap,
    head: Head,
    go: &std::sync::mpsc::Sender<Range<u64>>,
    body: Pieces,
) -> Result<Response, Failure> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let value = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    let mut response = Response::new(Body::empty());
    let to = response.headers_mut();
    to.insert(header::ETAG, value(head.etag.clone()));
    to.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    to.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    to.insert(CHECKPOINT, value(head.request.checkpoint.0.to_string()));
    let inputs = match (head.request.inputs, head.withheld) {
        (true, _) => "included",
        (false, Some(InputsWithheld::Privacy)) => "withheld; reason=privacy",
        (false, Some(InputsWithheld::Forgotten)) => "withheld; reason=forgotten",
        (false, None) => "not asked for",
    };
    to.insert(INPUTS, HeaderValue::from_static(inputs));
    if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == head.etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    to.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let name = format!("tapline-{}-{}.wbundle", head.request.from, head.request.to);
    to.insert(
        header::CONTENT_DISPOSITION,
        value(format!("attachment; filename=\"{name}\"")),
    );
    // Another ETag in If-Range: what the client has is of another head; it gets the whole bundle.
    let same = text(header::IF_RANGE).is_none_or(|tag| tag == head.etag);
    let bytes = match text(header::RANGE).filter(|_| same).map(|range| part(range, head.len)) {
        None | Some(Part::Whole) => 0..head.len,
        Some(Part::Bytes(bytes)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let of = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, head.len);
            response.headers_mut().insert(header::CONTENT_RANGE, value(of));
            bytes
        }
        Some(Part::Outside) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            let of = format!("bytes */{}", head.len);
            response.headers_mut().insert(header::CONTENT_RANGE, value(of));
            return Ok(response);
        }
    };
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    if method == Method::HEAD {
        return Ok(response);
    }
    if head.request.inputs {
        record_disclosure(transport, who, &head).await?;
    }
    // The thread waits for this; if it is gone, the body ends at once and the client sees it.
    let _ = go.send(bytes);
    let stream = futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

/// An AUDIT leaf says that raw input was given out, before the first byte of it leaves.
async fn record_disclosure(transport: &Transport, who: Option<&Identity>, head: &Head) -> Result<(), Failure> {
    let hub = &transport.api.hub;
    let what = format!("bundle.inputs {} {}", head.request.from, head.request.to);
    let before = hub.latest().map_or(0, |cycle| cycle.cycle);
    let command = Command::Audited {
        operator: who.map_or([0; 32], Identity::operator),
        action: what,
        target: Domain::Target.hash(head.etag.as_bytes()),
        result: AuditResult::Done,
        command: None,
    };
    hub.command(command).ok_or(Failure::Busy {
        what: "places for orders that wait for the next cycle",
        limit: 16,
    })?;
    // Orders are taken before a cycle: two cycles on, the leaf stands below the newest one.
    let mut cycles = hub.subscribe();
    let mut durable = hub.durable();
    let recorded = async {
        let mut appended = before;
        while appended <= before + 1 {
            match cycles.recv().await {
                Ok(cycle) => appended = cycle.cycle,
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return false,
            }
        }
        durable.wait_for(|durable| durable.size > appended).await.is_ok()
    };
    match tokio::time::timeout(RECORDED, recorded).await {
        Ok(true) => Ok(()),
        _ => Err(Failure::TimedOut {
            seconds: RECORDED.as_secs(),
        }),
    }
}

/// From what was asked to leaf indices and notes.
fn resolve(
    log: &SqlLog<'_>,
    (from, to): (End, End),
    inputs: bool,
    checkpoint: Option<u64>,
    old: Option<u64>,
    durable: &Durable,
) -> Result<BundleRequest, Failure> {
    let head = match checkpoint {
        None => (durable.size, durable.note.clone()),
        Some(size) => (size, note(log, "checkpoint", size, durable.size)?),
    };
    let old = match old {
        None | Some(0) => None,
        Some(size) => Some((size, note(log, "old", size, head.0)?)),
    };
    let minimum = log.minimum_index()?;
    let from = match from {
        End::Index(index) => index,
        End::Time(wall_ns) => {
            check_kept(log, wall_ns)?;
            log.first_cycle_from(wall_ns)?.unwrap_or(head.0)
        }
    };
    let to = match to {
        End::Index(index) => index,
        End::Time(wall_ns) => log.first_cycle_from(wall_ns)?.unwrap_or(head.0).min(head.0),
    };
    let invalid = |what, found: u64, expected: String| {
        Err(Failure::Invalid {
            what,
            found: found.to_string(),
            expected,
        })
    };
    if to > head.0 {
        return invalid("to", to, format!("at most {}, the size of the checkpoint", head.0));
    }
    if from >= to {
        return invalid("from", from, format!("below to, which is {to}"));
    }
    if from < minimum {
        return Err(Failure::Gone {
            what: format!("leaf {from}"),
            because: format!("retention has pruned the leaves before {minimum}"),
        });
    }
    Ok(BundleRequest {
        from,
        to,
        inputs,
        checkpoint: head,
        old,
    })
}

/// A published note of exactly this size.
fn note(log: &SqlLog<'_>, what: &'static str, size: u64, at_most: u64) -> Result<String, Failure> {
    let found = if size <= at_most { log.note(size)? } else { None };
    found.ok_or_else(|| Failure::Invalid {
        what,
        found: size.to_string(),
        expected: format!("the size of a published checkpoint, at most {at_most}"),
    })
}

/// A time before the oldest cycle that is kept names a range that is gone.
fn check_kept(log: &SqlLog<'_>, wall_ns: i64) -> Result<(), Failure> {
    let Some((oldest, oldest_ns)) = log.oldest_cycle()? else {
        return Ok(());
    };
    let forgotten: bool = log
        .0
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM leaf WHERE seq < ?1 AND kind = 1)")
        .and_then(|mut query| query.query_row([oldest.cast_signed()], |row| row.get(0)))
        .map_err(LogSourceError::from)?;
    if wall_ns < oldest_ns && (forgotten || log.minimum_index()? > 0) {
        return Err(Failure::Gone {
            what: "a cycle of that time".to_owned(),
            because: format!("the oldest cycle that can be found by its time is {oldest}"),
        });
    }
    Ok(())
}

/// Plans; too large a range is answered with the largest one that fits.
fn prepare<'a>(
    log: &'a SqlLog<'a>,
    request: BundleRequest,
) -> Result<(Prepared<'a, SqlLog<'a>>, Option<InputsWithheld>), Failure> {
    let (what, allowed, found) = match Prepared::new(log, request.clone()) {
        Ok(prepared) => return Ok(prepared),
        Err(LogSourceError::Bundle(BundleError::Limit { what, limit, found })) => (what, limit, found),
        Err(error) => return Err(error.into()),
    };
    let mut cycles = request.to - request.from;
    if cycles > MAX_CYCLES {
        cycles = MAX_CYCLES;
    } else {
        cycles = (u128::from(cycles) * u128::from(allowed) / u128::from(found.max(1))) as u64;
    }
    loop {
        let smaller = BundleRequest {
            to: request.from + cycles,
            ..request.clone()
        };
        match Prepared::new(log, smaller) {
            Err(LogSourceError::Bundle(BundleError::Limit { .. })) if cycles > 1 => cycles = cycles * 15 / 16,
            Err(LogSourceError::Bundle(BundleError::Limit { .. })) | Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::RangeTooLarge {
        what,
        found,
        allowed,
        largest: request.from + cycles,
    })
}

fn nonce(text: &str) -> Result<HeaderValue, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if (1..=64).contains(&text.len())
        && text.bytes().all(plain)
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return Ok(value);
    }
    Err(Failure::Invalid {
        what: "nonce",
        found: text.chars().take(70).collect(),
        expected: "1 to 64 letters, digits, - _ . ~".to_owned(),
    })
}

/// What a Range header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing that is understood: the whole, as HTTP has it.
    Whole,
    Bytes(Range<u64>),
    /// Beyond the end.
    Outside,
}

/// RFC 9110, 14.1.2, one range of bytes.
pub(super) fn part(header: &str, len: u64) -> Part {
    let number = |text: &str| -> Option<u64> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    let bytes = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Some(first), None) if last.is_empty() => first..len,
        (None, Some(suffix)) if first.is_empty() => len.saturating_sub(suffix)..len,
        _ => return Part::Whole,
    };
    if bytes.start < bytes.end {
        Part::Bytes(bytes)
    } else {
        Part::Outside
    }
}

/// From the thread that makes a download to its connection, while the cycle rests.
pub(super) struct Pipe<'p> {
    pieces: &'p mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    runtime: tokio::runtime::Handle,
    stalled: Duration,
    hub: &'p Hub,
}

impl<'p> Pipe<'p> {
    /// `stalled`: how long the client may take no byte.
    pub(super) fn new(
        pieces: &'p mpsc::Sender<io::Result<Bytes>>,
        runtime: tokio::runtime::Handle,
        stalled: Duration,
        hub: &'p Hub,
    ) -> Self {
        Self {
            pieces,
            buffer: Vec::with_capacity(PIECE),
            runtime,
            stalled,
            hub,
        }
    }
}

impl io::Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PIECE {
            io::Write::flush(self)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.hub.breaks.wait();
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE)));
        let sent = self
            .runtime
            // Inside: this thread is none of the runtime's, and a timer is.
            .block_on(async { tokio::time::timeout(self.stalled, self.pieces.send(Ok(piece))).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::other("the client went away")),
            Err(_) => Err(io::Error::other("the client takes no byte")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_bytes() {
        for (header, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=5-", Part::Bytes(5..100)),
            ("bytes=-10", Part::Bytes(90..100)),
            ("bytes=-1000", Part::Bytes(0..100)),
            ("bytes=90-99999999999999999999999", Part::Bytes(90..100)),
            ("bytes=100-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=9-8", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=--1", Part::Whole),
            ("bytes=+1-", Part::Whole),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(part(header, 100), expected, "{header}");
        }
    }

    #[test]
    fn ends_of_a_range() {
        assert_eq!(End::parse("from", "17").unwrap(), End::Index(17));
        let time = End::Time(1_795_454_525_250_000_000);
        assert_eq!(End::parse("from", "2026-11-23T17:22:05.250Z").unwrap(), time);
        assert_eq!(End::parse("from", "2026-11-23T18:22:05.250+01:00").unwrap(), time);
        for bad in [
            "",
            "-1",
            "+1",
            "1e3",
            "0x10",
            "99999999999999999999",
            "yesterday",
            "2026-11-23",
            "17 ",
        ] {
            assert!(matches!(End::parse("from", bad), Err(Failure::Invalid { .. })), "{bad}");
        }
    }
}
