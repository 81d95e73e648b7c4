//! One encoding a cycle for each different subscription, shared by all who follow it.
//!
//! Clients with the same query, variables and operation form a group. One task a group runs the
//! subscription, writes each message as JSON once and hands the text to all members. A member that falls
//! behind by more than the backlog loses the oldest messages and is told how many; it never slows the
//! group, and the group never slows the cycle. The last member to leave ends the task.
//!
//! What begins with the state as it is: of `occupancy`, `health`, `swapProgress` and `witness` each message is the whole state, so
//! whoever comes later to a group has a first message made for them and then those of the group. Those of the latter three are
//! about no cycle: what was on its way meanwhile comes after the first message, and may be what that has said. Messages of `world` tell what changed since the one before, which is
//! another one for each client: it is run for each alone, and has places of its own.
//!
//! A client that goes on after a lost connection is sent what it missed by a run of its own ([`super::resume`]), then
//! joins its group.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_graphql::{Request, Response, Value, parser::types::Selection};
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{
    Api,
    auth::Identity,
    error::{Failure, explain},
    limits::Limits,
    metrics::Metrics,
    resume::{self, Mark},
    schema::{Schema, skips},
};

/// What a member receives.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A message.
    Next {
        /// The text of a GraphQL response.
        text: String,
        /// The cycle it is about, when it is about one.
        mark: Option<Mark>,
    },
    /// The subscription cannot run, or ended in failure: the text of a list of GraphQL errors.
    Error(Arc<str>),
    /// The subscription ended.
    Complete,
}

/// A message, cut where each member's own count of skipped messages goes.
#[derive(Debug)]
struct Encoded {
    pieces: Vec<String>,
    /// Messages the whole group missed before this one.
    missed: u64,
    mark: Option<Mark>,
}

impl Encoded {
    fn new(response: &Response, shared: &skips::Shared) -> Self {
        let text = serde_json::to_string(response).unwrap_or_else(|_| "null".to_owned());
        let stand_in = skips::stand_in().to_string();
        Self {
            pieces: text.split(&stand_in).map(str::to_owned).collect(),
            missed: shared.take(),
            mark: shared.mark(),
        }
    }

    fn text(&self, skipped: u64) -> String {
        self.pieces.join(&skipped.to_string())
    }
}

/// How a subscription ended, when it ended in failure.
type Failed = Arc<OnceLock<Arc<str>>>;

/// Clients that follow the same subscription. The task that runs it holds the sender.
struct Group {
    messages: broadcast::WeakSender<Arc<Encoded>>,
    failed: Failed,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    query: String,
    operation: Option<String>,
    variables: String,
    scopes: u8,
    /// Callers of this machine get what no other machine does.
    near: bool,
    /// Another number for each client that is in a group of its own, with its token; none for all others.
    alone: Option<(u64, Option<Arc<str>>)>,
}

/// All groups.
pub(super) struct Fanout {
    schema: Schema,
    metrics: Arc<Metrics>,
    groups: Mutex<HashMap<Key, Group>>,
    limits: Limits,
    /// Groups of one client so far.
    loners: AtomicU64,
}

impl Fanout {
    pub(super) fn new(schema: Schema, metrics: Arc<Metrics>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            schema,
            metrics,
            groups: Mutex::default(),
            limits,
            loners: AtomicU64::new(0),
        })
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Key, Group>> {
        // A panic elsewhere leaves the map as it was: each change is one call.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a subscription, from where the request says or from now on.
    ///
    /// # Errors
    /// [`Failure::Busy`] when too many different subscriptions run, [`Failure::Invalid`] for a wrong `lastEventId`.
    pub(super) fn join(
        self: &Arc<Self>,
        api: &Arc<Api>,
        mut request: Request,
        who: &Identity,
    ) -> Result<BoxStream<'static, Event>, Failure> {
        let mark = resume::wanted(&mut request)?;
        let begins = begins(&mut request);
        // The run of its own asks the same.
        let again = (mark.is_some() || begins == Begins::WithState).then(|| {
            let mut again = Request::new(request.query.clone()).variables(request.variables.clone());
            again.operation_name.clone_from(&request.operation_name);
            again.introspection_mode = request.introspection_mode;
            again.data(who.clone())
        });
        let alone =
            (begins == Begins::ForEach).then(|| (self.loners.fetch_add(1, Ordering::Relaxed), who.token.clone()));
        let key = Key {
            alone,
            query: request.query.clone(),
            operation: request.operation_name.clone(),
            variables: serde_json::to_string(&request.variables).unwrap_or_default(),
            scopes: who.scopes,
            near: who.near,
        };
        let mut groups = self.groups();
        let running = groups
            .get(&key)
            .and_then(|g| Some((g.messages.upgrade()?.subscribe(), Arc::clone(&g.failed))));
        let late = running.is_some();
        let (receiver, failed) = match running {
            Some(running) => running,
            None => {
                groups.remove(&key);
                self.has_room(&groups, &key)?;
                let (messages, receiver) = broadcast::channel(self.limits.backlog);
                let failed = Failed::default();
                groups.insert(
                    key.clone(),
                    Group {
                        messages: messages.downgrade(),
                        failed: Arc::clone(&failed),
                    },
                );
                tokio::spawn(Arc::clone(self).run(key, request, messages, Arc::clone(&failed)));
                (receiver, failed)
            }
        };
        drop(groups);
        let metrics = Arc::clone(&self.metrics);
        Ok(match (mark, again) {
            (Some(mark), Some(again)) => self.resumed(api, mark, again, receiver, failed),
            // Who opened the group hears its first message.
            (None, Some(again)) if late => self.state_first(again, receiver, failed),
            _ => follow(receiver, failed, metrics, None, 0).boxed(),
        })
    }

    /// # Errors
    /// [`Failure::Busy`] when there is no place for a group with this key.
    fn has_room(&self, groups: &HashMap<Key, Group>, key: &Key) -> Result<(), Failure> {
        let Limits {
            distinct_subscriptions,
            lone_subscriptions: (lone, of_one),
            ..
        } = self.limits;
        let count = |of: &dyn Fn(&Key) -> bool| groups.keys().filter(|key| of(key)).count();
        let busy = |what, limit| Err(Failure::Busy { what, limit });
        let Some((_, token)) = &key.alone else {
            let open = count(&|key| key.alone.is_none());
            return match open < distinct_subscriptions {
                true => Ok(()),
                false => busy("different subscriptions", distinct_subscriptions),
            };
        };
        let same = |key: &Key| key.alone.as_ref().is_some_and(|(_, other)| other == token);
        if token.is_some() && count(&same) >= of_one {
            return busy("followers of the world with this token", of_one);
        }
        match count(&|key| key.alone.is_some()) < lone {
            true => Ok(()),
            false => busy("followers of the world", lone),
        }
    }

    /// The state as it is, by a run of its own, then what the group gets.
    fn state_first(
        &self,
        request: Request,
        receiver: broadcast::Receiver<Arc<Encoded>>,
        failed: Failed,
    ) -> BoxStream<'static, Event> {
        let (schema, metrics) = (self.schema.clone(), Arc::clone(&self.metrics));
        let events = async move {
            let shared = Arc::new(skips::Shared::alone());
            let first = schema.execute_stream(request.data(Arc::clone(&shared))).next().await;
            let mark = shared.mark();
            let first = first.map(|mut response| {
                response.errors.iter_mut().for_each(explain);
                let text = serde_json::to_string(&response).unwrap_or_else(|_| "null".to_owned());
                Event::Next { text, mark }
            });
            let told = mark.map(|mark| mark.cycle);
            let rest = follow(receiver, failed, metrics, told, 0);
            stream::iter(first).chain(rest)
        };
        stream::once(events).flatten().boxed()
    }

    /// What was missed after `mark`, then what the group gets.
    fn resumed(
        &self,
        api: &Arc<Api>,
        mark: Mark,
        request: Request,
        receiver: broadcast::Receiver<Arc<Encoded>>,
        failed: Failed,
    ) -> BoxStream<'static, Event> {
        let place = Arc::new(Mutex::new(Some(receiver)));
        let joined = Arc::new(AtomicU64::new(mark.cycle));
        let lock = |place: &Mutex<Option<broadcast::Receiver<Arc<Encoded>>>>, new: bool| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if new {
                // What the group got while the missed was sent is sent from memory, not counted as skipped.
                *place = place.take().map(|receiver| receiver.resubscribe());
                None
            } else {
                place.take()
            }
        };
        let rejoin = {
            let (place, joined, hub) = (Arc::clone(&place), Arc::clone(&joined), Arc::clone(&api.hub));
            move || {
                lock(&place, true);
                let newest = hub.latest().map_or(0, |c| c.cycle);
                joined.store(newest, Ordering::Relaxed);
                newest
            }
        };
        let (api, schema) = (Arc::clone(api), self.schema.clone());
        let left = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&left);
        let missed = async move {
            let Some(replay) = resume::missed(&api, mark, left, rejoin).await else {
                return stream::empty().boxed();
            };
            let shared = Arc::new(skips::Shared::alone());
            let responses = schema.execute_stream(request.data(replay).data(Arc::clone(&shared)));
            let events = responses.map(move |mut response| {
                response.errors.iter_mut().for_each(explain);
                let text = serde_json::to_string(&response).unwrap_or_else(|_| "null".to_owned());
                Event::Next {
                    text,
                    mark: shared.mark(),
                }
            });
            events.boxed()
        };
        let missed = stream::once(missed).flatten();
        let metrics = Arc::clone(&self.metrics);
        let live = stream::once(async move {
            let (sent, skipped) = (joined.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
            match lock(&place, false) {
                Some(receiver) => follow(receiver, failed, metrics, Some(sent), skipped).boxed(),
                None => stream::empty().boxed(),
            }
        });
        missed.chain(live.flatten()).boxed()
    }

    /// Runs a subscription until it ends or nobody follows it.
    async fn run(
        self: Arc<Self>,
        key: Key,
        request: Request,
        messages: broadcast::Sender<Arc<Encoded>>,
        failed: Failed,
    ) {
        let shared = Arc::new(skips::Shared::default());
        let mut responses = self.schema.execute_stream(request.data(Arc::clone(&shared)));
        loop {
            tokio::select! {
                response = responses.next() => match response {
                    Some(mut response) if response.is_err() && response.data == Value::Null => {
                        response.errors.iter_mut().for_each(explain);
                        let errors = serde_json::to_string(&response.errors).unwrap_or_else(|_| "[]".to_owned());
                        let _ = failed.set(errors.into());
                        break;
                    }
                    Some(mut response) => {
                        response.errors.iter_mut().for_each(explain);
                        // No receiver is not an error: the last one is just leaving.
                        let _ = messages.send(Arc::new(Encoded::new(&response, &shared)));
                    }
                    None => break,
                },
                () = messages.closed() => {
                    // Clients join under the lock, so none can have come after this look.
                    let mut groups = self.groups();
                    if messages.receiver_count() == 0 {
                        groups.remove(&key);
                        return;
                    }
                }
            }
        }
        // From here on joining starts a new group.
        let mut groups = self.groups();
        groups.remove(&key);
        drop(messages);
    }
}

/// How a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// With what happens next: the same for all.
    WithNews,
    /// With the state as it is, and every message is the whole state.
    WithState,
    /// With the state as it is, and later messages say what changed since for this client.
    ForEach,
}

fn begins(request: &mut Request) -> Begins {
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else {
        return Begins::WithNews;
    };
    let fields = document
        .operations
        .iter()
        .filter(|(operation, _)| name.is_none() || operation.map(|n| n.as_str()) == name.as_deref())
        .flat_map(|(_, definition)| &definition.node.selection_set.node.items);
    let begins = fields.map(|item| match &item.node {
        Selection::Field(field) => match field.node.name.node.as_str() {
            "health" | "occupancy" | "swapProgress" | "witness" => Begins::WithState,
            "world" => Begins::ForEach,
            _ => Begins::WithNews,
        },
        // What a fragment asks for is not looked up.
        _ => Begins::ForEach,
    });
    // A subscription has one field; of a wrong one, which the run refuses, the first says enough.
    begins
        .reduce(|a, b| if a == b { a } else { Begins::ForEach })
        .unwrap_or(Begins::WithNews)
}

/// One member's view of a group, without messages about cycles up to `told`; the first counts `skipped` messages besides.
fn follow(
    receiver: broadcast::Receiver<Arc<Encoded>>,
    failed: Failed,
    metrics: Arc<Metrics>,
    told: Option<u64>,
    skipped: u64,
) -> impl Stream<Item = Event> {
    stream::unfold(Some((receiver, failed, metrics, skipped)), move |state| async move {
        let (mut receiver, failed, metrics, mut skipped) = state?;
        loop {
            match receiver.recv().await {
                Ok(message) => {
                    let mark = message.mark;
                    if mark.is_some_and(|mark| Some(mark.cycle) <= told) {
                        skipped += message.missed;
                        continue;
                    }
                    let text = message.text(skipped + message.missed);
                    return Some((Event::Next { text, mark }, Some((receiver, failed, metrics, 0))));
                }
                Err(RecvError::Lagged(n)) => {
                    metrics.skipped(n);
                    skipped += n;
                }
                Err(RecvError::Closed) => {
                    let end = failed.get().map_or(Event::Complete, |e| Event::Error(Arc::clone(e)));
                    return Some((end, None));
                }
            }
        }
    })
}
