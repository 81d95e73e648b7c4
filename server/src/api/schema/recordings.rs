//! Recordings: begun, ended, listed, deleted. They hold raw measurements, so they are an administrator's, and nothing of
//! them leaves, nor is any begun, in a class stricter than Raw.

use std::{cmp::Ordering, fs, path::PathBuf, time::UNIX_EPOCH};

use async_graphql::{
    Context, Enum, Object, SimpleObject,
    connection::{self, Connection, Edge, EmptyFields},
};
use tapline_witness::body::AuditResult;

use super::{
    api,
    mutation::{Accepted, send},
    query::invalid,
    scalars::{Long, Timestamp},
};
use crate::{
    api::{
        Api,
        access::{self, Leaves::*, Rule, Scope::*, rule},
        auth::Identity,
        error::Failure,
    },
    live::{
        Command,
        recording::{RecordingEnd, RecordingNow, name_of, valid},
    },
};

/// Who may order and ask, and what the answers give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "recordings"),
    rule(
        "Mutation",
        Admin,
        Anyway,
        "deleteRecording startRecording stopRecording",
    ),
    rule("RecordingConnection", Read, Anyway, "edges nodes pageInfo"),
    rule("RecordingEdge", Read, Anyway, "cursor node"),
    // That there is one, not what is in it.
    rule(
        "Recording",
        Read,
        Anyway,
        "bytes changedAt ended lostSlots name path running slots startedAt withheldSlots",
    ),
];

/// Recordings of one page at most.
const PAGE: usize = 200;
/// Seconds of a recording when the caller does not say, and at most.
const USUAL_S: f64 = 600.0;
const LONGEST_S: f64 = 86_400.0;
/// What a recording's name may be.
const NAMES: &str = "1 to 64 letters, digits, '-' and '_'";

/// Recordings that there are.
#[derive(Default)]
pub(crate) struct RecordingsQuery;

#[Object]
impl RecordingsQuery {
    /// Recordings on this machine, ascending by name, page by page. At most 200 a page; without arguments the first 50.
    #[graphql(complexity = "usize::try_from(first.unwrap_or(50)).unwrap_or(0) * child_complexity + 1")]
    async fn recordings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only recordings after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many.")] first: Option<i32>,
    ) -> async_graphql::Result<Connection<String, Recording>> {
        if let Some(found) = first.filter(|n| !(0..=PAGE as i32).contains(n)) {
            return Err(invalid("first", found, format!("0 to {PAGE}")).into());
        }
        connection::query(after, None::<String>, first, None, |after, _, first, _| async move {
            let all = list(api(ctx)).await?;
            let size = first.unwrap_or(50);
            let mut rest = all
                .into_iter()
                .filter(|r| after.as_ref().is_none_or(|a| r.name > *a))
                .peekable();
            let mut page: Connection<String, Recording, EmptyFields, EmptyFields> =
                Connection::new(after.is_some(), false);
            page.edges
                .extend(rest.by_ref().take(size).map(|r| Edge::new(r.name.clone(), r)));
            page.has_next_page = rest.peek().is_some();
            Ok::<_, async_graphql::Error>(page)
        })
        .await
    }
}

/// Orders about recordings.
#[derive(Default)]
pub(crate) struct RecordingsMutation;

#[Object]
impl RecordingsMutation {
    /// Begins a recording of everything that arrives, for `tapline replay`, with the next cycle. Only in the privacy class
    /// Raw; one at a time. Cycles of a class that is demoted while it runs are left out of it; another mode than Raw
    /// research ends it.
    async fn start_recording(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name: 1 to 64 letters, digits, '-' and '_'; one that there is not yet.")] name: String,
        #[graphql(desc = "How long, seconds, 1 to 86,400; default 600.")] seconds: Option<f64>,
    ) -> async_graphql::Result<Accepted> {
        let api = api(ctx);
        let bar = access::Bar::of(api);
        if !bar.lets_out(Raw) {
            return Err(Failure::privacy("a recording".to_owned(), bar.class).into());
        }
        let seconds = seconds.unwrap_or(USUAL_S);
        if !(1.0..=LONGEST_S).contains(&seconds) {
            return Err(invalid("seconds", seconds, format!("1 to {LONGEST_S}")).into());
        }
        let file = file(api, &name)?;
        if let Some(now) = api.hub.recordings.now() {
            let expected = format!("no recording while {:?} runs; stopRecording ends it", now.name);
            return Err(invalid("name", name, expected).into());
        }
        if blocking(move || Ok(file.exists())).await? {
            return Err(invalid("name", name, "a name that no recording has".to_owned()).into());
        }
        let slots = (seconds * 20.0).ceil() as u64;
        send(
            ctx,
            &format!("recording.start {name}"),
            Command::StartRecording { name, slots },
        )
    }

    /// Ends the running recording with the next cycle; what it has stays.
    async fn stop_recording(&self, ctx: &Context<'_>) -> async_graphql::Result<Accepted> {
        send(ctx, "recording.stop", Command::StopRecording)
    }

    /// Deletes a recording for good. One that runs has to be stopped first.
    async fn delete_recording(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name.")] name: String,
    ) -> async_graphql::Result<Accepted> {
        let api = api(ctx);
        let file = file(api, &name)?;
        if api.hub.recordings.now().is_some_and(|now| now.name == name) {
            return Err(invalid("name", name, "a recording that does not run".to_owned()).into());
        }
        let what = format!("recording {name:?}");
        let gone = blocking(move || match fs::remove_file(&file) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        });
        if !gone.await? {
            return Err(Failure::NotFound { path: what }.into());
        }
        let operator = ctx.data_unchecked::<Identity>().operator();
        Ok(Accepted::now(
            api,
            operator,
            &format!("recording.delete {name}"),
            AuditResult::Done,
        ))
    }
}

/// A recording of everything that arrived.
#[derive(SimpleObject)]
pub(crate) struct Recording {
    /// Its name.
    name: String,
    /// Path of the download; needs scope `admin` and the privacy class Raw.
    path: String,
    /// Size on disk, bytes.
    bytes: Long,
    /// When it was last written to; null when the file system does not say.
    changed_at: Option<Timestamp>,
    /// True while it is being made.
    running: bool,
    /// When it began; null when it does not run.
    started_at: Option<Timestamp>,
    /// 50 ms slots it has so far; null when it does not run.
    slots: Option<Long>,
    /// Slots it lacks because the disk was too slow; null when it does not run.
    lost_slots: Option<Long>,
    /// Slots left out because their class was demoted, stricter than Raw; null when it does not run.
    withheld_slots: Option<Long>,
    /// Why it ended; null while it runs, and unless it is the last one that ended since the server started.
    ended: Option<RecordingEnded>,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "RecordingEnd")]
pub(crate) enum RecordingEnded {
    /// Somebody stopped it.
    Ordered,
    /// It has the length that was asked for.
    Whole,
    /// The site was given a mode stricter than Raw.
    Mode,
    /// The file took no more: the disk is full, or failed.
    Disk,
}

/// The file of a recording.
///
/// # Errors
/// [`Failure::Invalid`] for a name that is none, [`Failure::NotFound`] when this process keeps no recordings.
pub(in crate::api) fn file(api: &Api, name: &str) -> Result<PathBuf, Failure> {
    if !valid(name) {
        let found: String = name.chars().take(80).collect();
        return Err(invalid("name", found.escape_default(), NAMES.to_owned()));
    }
    api.hub.recordings.file(name).ok_or_else(|| Failure::NotFound {
        path: format!("recording {name:?}"),
    })
}

/// Touches the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, Failure> {
    let internal = |detail: String| Failure::Internal { detail };
    let done = tokio::task::spawn_blocking(f).await;
    done.map_err(|e| internal(e.to_string()))?
        .map_err(|e| internal(e.to_string()))
}

async fn list(api: &Api) -> Result<Vec<Recording>, Failure> {
    let hub = std::sync::Arc::clone(&api.hub);
    let now = hub.recordings.now();
    let Some(directory) = hub.recordings.directory().map(PathBuf::from) else {
        return Ok(Vec::new());
    };
    blocking(move || {
        let entries = match fs::read_dir(&directory) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let Some(name) = name_of(&path) else { continue };
            // Deleted since the directory was read.
            let Ok(metadata) = entry.metadata() else { continue };
            found.push(recording(
                name,
                &metadata,
                now.as_deref().filter(|now| now.name == name),
                hub.recordings.ended(name),
            ));
        }
        found.sort_unstable_by(|a, b| -> Ordering { a.name.cmp(&b.name) });
        Ok(found)
    })
    .await
}

fn recording(
    name: &str,
    metadata: &fs::Metadata,
    now: Option<&RecordingNow>,
    ended: Option<RecordingEnd>,
) -> Recording {
    let changed = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let time = |wall_ns| Timestamp { wall_ns };
    Recording {
        name: name.to_owned(),
        path: format!("/v1/recordings/{name}"),
        bytes: metadata.len().into(),
        changed_at: changed.map(|t| time(i64::try_from(t.as_nanos()).unwrap_or(i64::MAX))),
        running: now.is_some(),
        started_at: now.map(|n| time(n.started_wall_ns)),
        slots: now.map(|n| n.slots.into()),
        lost_slots: now.map(|n| n.lost.into()),
        withheld_slots: now.map(|n| n.withheld.into()),
        ended: ended.filter(|_| now.is_none()).map(Into::into),
    }
}
