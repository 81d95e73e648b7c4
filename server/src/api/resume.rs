//! Going on after a lost connection: the cycles missed since the last message, from memory and from the store.
//!
//! A client names the last message it saw by boot id and cycle (`lastEventId` in the extensions of its request,
//! `Last-Event-ID` over an event stream). What it missed is run through its own subscription and sent in front of the
//! messages it shares with others. What cannot be sent again is said: a gap, or a reset when the process was started anew.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_graphql::{
    Request,
    parser::types::{OperationType, Selection},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Api,
    error::Failure,
    history::CyclePage,
    schema::{Snapshot, cycles_of},
};

/// Cycles that are sent again at most: one minute.
const REPLAYED: u64 = 1_200;
/// Cycles read from the store at once.
const PAGE: usize = 32;
/// Clients that are sent missed cycles at once; for others what they missed is a gap.
pub(super) const REPLAYS: usize = 64;
/// Subscriptions whose messages are cycles.
const RESUMABLE: [&str; 4] = ["cycles", "events", "occupancy", "poses"];

/// A message by its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) boot_id: [u8; 16],
    pub(super) cycle: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", hex::encode(self.boot_id), self.cycle)
    }
}

impl Mark {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let read = || {
            let (boot_id, cycle) = text.split_once(':')?;
            let mut bytes = [0; 16];
            hex::decode_to_slice(boot_id, &mut bytes).ok()?;
            // One spelling: what a message says.
            let cycle = cycle.parse().ok().filter(|n: &u64| n.to_string() == cycle)?;
            Some(Self { boot_id: bytes, cycle })
        };
        read().ok_or_else(|| Failure::Invalid {
            what: "lastEventId",
            found: text.chars().take(80).collect(),
            expected: "bootId:cycle of the last message seen".to_owned(),
        })
    }
}

/// What became of the wish to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// The process was started anew since.
    pub(crate) reset: bool,
    /// Highest cycle of the process before that the log kept, as far as the client saw any.
    pub(crate) last_kept: Option<u64>,
    /// First and last cycle that were missed and are not sent again.
    pub(crate) gap: Option<(u64, u64)>,
}

/// Where the request wants to go on; none when it does not say, or follows something that has no cycles.
///
/// # Errors
/// [`Failure::Invalid`] for a text that is no mark.
pub(super) fn wanted(request: &mut Request) -> Result<Option<Mark>, Failure> {
    let mark = match request.extensions.get("lastEventId") {
        None | Some(async_graphql::Value::Null) => return Ok(None),
        Some(async_graphql::Value::String(text)) => Mark::parse(text)?,
        Some(other) => Mark::parse(&other.to_string())?,
    };
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else {
        return Ok(None);
    };
    let operation = document.operations.iter().find(|(n, definition)| {
        let named = name.is_none() || n.map(|n| n.as_str()) == name.as_deref();
        named && definition.node.ty == OperationType::Subscription
    });
    let resumable = operation.is_some_and(|(_, definition)| {
        let items = &definition.node.selection_set.node.items;
        items.iter().any(
            |item| matches!(&item.node, Selection::Field(field) if RESUMABLE.contains(&field.node.name.node.as_str())),
        )
    });
    Ok(resumable.then_some(mark))
}

/// Missed cycles on their way to the subscription that asks for them, once.
pub(crate) struct Replay {
    source: std::sync::Mutex<Option<BoxStream<'static, Snapshot>>>,
    before: Option<Snapshot>,
}

impl Replay {
    /// The cycle before them, as far as it is known: the last that was seen.
    pub(crate) fn before(&self) -> Option<Snapshot> {
        self.before.clone()
    }

    pub(crate) fn take(&self) -> BoxStream<'static, Snapshot> {
        let mut source = self.source.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        source.take().unwrap_or_else(|| stream::empty().boxed())
    }
}

/// What was missed after `mark`, from the store and from memory. `rejoin` is called when that is sent; it joins the
/// live messages and says which cycle is the newest then. How many cycles are lost after the last that is sent
/// stands in `left` at the end. None when nothing was missed.
pub(super) async fn missed(
    api: &Arc<Api>,
    mark: Mark,
    left: Arc<AtomicU64>,
    rejoin: impl Fn() -> u64 + Send + Sync + 'static,
) -> Option<Arc<Replay>> {
    let newest = api.hub.latest()?.cycle;
    let mut resumed = Resumed::default();
    let mut first = mark.cycle.saturating_add(1);
    if mark.boot_id != api.hub.facts.boot_id {
        resumed.reset = true;
        resumed.last_kept = last_kept(api, mark).await;
        first = resumed.last_kept.map_or(0, |n| n + 1);
    } else if first > newest {
        return None;
    }
    let permit = Arc::clone(&api.replays).try_acquire_owned().ok();
    let from = if permit.is_some() {
        first.max((newest + 1).saturating_sub(REPLAYED))
    } else {
        newest
    };
    // One cycle at least carries the news.
    let from = from.min(newest);
    if first < from && (!resumed.reset || resumed.last_kept.is_some()) {
        resumed.gap = Some((first, from - 1));
    }
    let before = match resumed.gap {
        None if !resumed.reset || resumed.last_kept.is_some() => one(api, first.checked_sub(1)).await,
        _ => None,
    };
    let resumed_alone = resumed.reset && resumed.last_kept.is_none();
    let source = Source {
        api: Arc::clone(api),
        next: from,
        end: newest,
        rejoin: Some(Box::new(rejoin)),
        page: Vec::new().into_iter(),
        resumed: Some(Arc::new(resumed)),
        skipped: 0,
        left,
        this_boot: resumed_alone,
        _permit: permit,
    };
    let snapshots = stream::unfold(source, |mut source| async move {
        let snapshot = source.next().await?;
        Some((snapshot, source))
    });
    Some(Arc::new(Replay {
        source: std::sync::Mutex::new(Some(snapshots.boxed())),
        before,
    }))
}

/// The highest cycle not above the mark that the log has of the mark's process.
async fn last_kept(api: &Api, mark: Mark) -> Option<u64> {
    let page = CyclePage {
        first: mark.cycle.saturating_sub(REPLAYED),
        last: mark.cycle,
        newest_first: true,
        limit: REPLAYED as usize,
    };
    let boot_id = mark.boot_id;
    let found = api.read(move |history| {
        let cycles = history.cycles(page)?;
        Ok(cycles.into_iter().find(|c| c.boot_id == boot_id).map(|c| c.cycle))
    });
    match found.await {
        Ok(found) => found,
        Err(failure) => {
            tracing::warn!(?failure, "what a client missed cannot be read");
            None
        }
    }
}

/// One cycle of the past, as far as it is known.
async fn one(api: &Api, cycle: Option<u64>) -> Option<Snapshot> {
    let cycle = cycle?;
    let durable = api.hub.durable().borrow().size;
    if let Some(recent) = api.recent.range(cycle, cycle).await.pop() {
        return Some(Snapshot {
            durable: cycle < durable,
            cycle: recent,
            boot_id: api.hub.facts.boot_id,
            live: true,
            then: None,
            skipped: 0,
            resumed: None,
        });
    }
    let page = CyclePage {
        first: cycle,
        last: cycle,
        newest_first: false,
        limit: 1,
    };
    cycles_of(api, page).await.ok()?.pop()
}

/// Joins the live messages; the newest cycle then.
type Rejoin = Box<dyn Fn() -> u64 + Send + Sync>;

struct Source {
    api: Arc<Api>,
    next: u64,
    end: u64,
    rejoin: Option<Rejoin>,
    page: std::vec::IntoIter<Snapshot>,
    resumed: Option<Arc<Resumed>>,
    skipped: u64,
    /// What was skipped after the last that is sent: for the live messages to say.
    left: Arc<AtomicU64>,
    /// Nothing of the process before is known to have been kept: what it wrote is not what the client missed.
    this_boot: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Source {
    async fn next(&mut self) -> Option<Snapshot> {
        loop {
            if let Some(mut snapshot) = self.page.next() {
                let number = snapshot.cycle.cycle;
                if !self.this_boot {
                    self.skipped += number.saturating_sub(self.next);
                }
                self.next = number + 1;
                snapshot.resumed = self.resumed.take();
                snapshot.skipped = std::mem::take(&mut self.skipped);
                return Some(snapshot);
            }
            if self.next > self.end {
                // Cycles went on meanwhile: the rest comes from memory, and then the client is where the others are.
                let Some(rejoin) = self.rejoin.take() else {
                    self.left.store(self.skipped, Ordering::Relaxed);
                    return None;
                };
                self.end = rejoin();
                continue;
            }
            self.page = self.read().await.into_iter();
        }
    }

    /// The next cycles there are, in order. When there are none up to `end`, they are counted as skipped.
    async fn read(&mut self) -> Vec<Snapshot> {
        if self.api.recent.oldest().is_none_or(|oldest| self.next < oldest) {
            let stored = self.stored(self.end).await;
            if !stored.is_empty() {
                return stored;
            }
        }
        let durable = self.api.hub.durable().borrow().size;
        let recent = self.api.recent.range(self.next, self.end).await;
        let found = recent.first().map_or(self.end + 1, |cycle| cycle.cycle);
        if found > self.next {
            // Memory fell behind while this waited for it, and begins later now.
            let stored = self.stored(found - 1).await;
            if !stored.is_empty() {
                return stored;
            }
        }
        if recent.is_empty() {
            self.skipped += found.saturating_sub(self.next);
            self.next = found;
        }
        let boot_id = self.api.hub.facts.boot_id;
        let recent = recent.into_iter().map(|cycle| Snapshot {
            durable: cycle.cycle < durable,
            cycle,
            boot_id,
            live: true,
            then: None,
            skipped: 0,
            resumed: None,
        });
        recent.collect()
    }

    /// A page of the store from `next` to `last`; empty when it has none of them.
    async fn stored(&mut self, last: u64) -> Vec<Snapshot> {
        let boot_id = self.api.hub.facts.boot_id;
        loop {
            let page = CyclePage {
                first: self.next,
                last,
                newest_first: false,
                limit: PAGE,
            };
            let mut snapshots = match cycles_of(&self.api, page).await {
                Ok(snapshots) => snapshots,
                Err(failure) => {
                    tracing::warn!(?failure, "what a client missed cannot be read");
                    return Vec::new();
                }
            };
            let Some(last_read) = snapshots.last().map(|s| s.cycle.cycle) else {
                return Vec::new();
            };
            snapshots.retain(|s| !self.this_boot || s.boot_id == boot_id);
            if !snapshots.is_empty() {
                return snapshots;
            }
            // All of them are another process's.
            self.next = last_read + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_one_spelling() {
        let text = "000102030405060708090a0b0c0d0e0f:42";
        assert_eq!(Mark::parse(text).unwrap().to_string(), text);
        for other in [
            "",
            "42",
            "00:42",
            "000102030405060708090a0b0c0d0e0f:042",
            "000102030405060708090a0b0c0d0e0f:-1",
        ] {
            assert_eq!(Mark::parse(other).unwrap_err().code(), "INVALID_ARGUMENT", "{other}");
        }
    }

    #[test]
    fn only_what_has_cycles_goes_on() {
        let wanted = |query: &str| {
            let mut request: Request = serde_json::from_value(serde_json::json!({
                "query": query,
                "extensions": { "lastEventId": "000102030405060708090a0b0c0d0e0f:42" },
            }))
            .unwrap();
            wanted(&mut request).unwrap().map(|mark| mark.cycle)
        };
        assert_eq!(wanted("subscription { poses { cycle } }"), Some(42));
        assert_eq!(wanted("subscription { c: cycles { cycle } }"), Some(42));
        assert_eq!(wanted("subscription { witness { size } }"), None);
        assert_eq!(wanted("{ cycle { cycle } }"), None);
    }
}
