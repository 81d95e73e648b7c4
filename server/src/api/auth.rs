//! Who is asking: tokens, the local user, tickets, and how often each may ask.
//!
//! | bound to | token file | who may |
//! |---|---|---|
//! | loopback | none since the start | everybody on this machine, everything |
//! | any | one, be it empty or gone since | who shows a token, what it allows |
//! | another address | none, `insecure = true` | everybody, everything; every health answer warns |
//!
//! A token comes in the `Authorization` header or in `connection_init`, never in a URL: URLs end up in logs and
//! histories. Where only a URL will do (a download link), a ticket stands in: for one path, once, for a minute.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tapline_witness::hash::Domain;
use tokio::sync::watch;

use super::error::Failure;
use crate::tokens::{Scope, Token, TokenError, Tokens, now_s};

/// How long a download ticket is good for.
pub(super) const TICKET: Duration = Duration::from_secs(60);
/// How long an open connection goes without a look at the clock: a wall clock that was set moves the end of tokens.
const LOOK: Duration = Duration::from_secs(10);
/// The least wait for the end of a token.
const LEAST: Duration = Duration::from_millis(1);
/// Tickets that wait at once.
const TICKETS: usize = 256;

/// How the server is reached, and by whom.
#[derive(Clone, Debug)]
pub struct Security {
    /// Where it listens.
    pub address: SocketAddr,
    /// Token file; none for no tokens, ever (tests).
    pub tokens: Option<PathBuf>,
    /// Everybody may do everything, on any address.
    pub insecure: bool,
    /// Everybody may read checkpoints and tiles.
    pub public_log: bool,
    /// Names under which it is reached, beside this machine's own.
    pub names: Vec<String>,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Security {
    /// Loopback, no tokens: the local user may do everything.
    pub fn local() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tokens: None,
            insecure: false,
            public_log: false,
            names: Vec::new(),
            tls: None,
        }
    }

    /// True when only this machine can connect.
    pub fn loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

/// Somebody who is known, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// For the audit leaf: the token's name, or `local`, `anybody`.
    pub(super) name: Arc<str>,
    /// Id of the token; none for the local user.
    pub(super) token: Option<Arc<str>>,
    /// One bit a scope.
    pub(super) scopes: u8,
    /// It calls from this machine, or through a reverse proxy or tunnel that ends here.
    pub(super) near: bool,
}

impl Identity {
    pub(super) fn new(name: &str, token: Option<&str>, scopes: &[Scope], from: IpAddr) -> Self {
        Self {
            name: name.into(),
            token: token.map(Into::into),
            scopes: scopes.iter().fold(0, |bits, s| bits | 1 << *s as u8),
            near: from.to_canonical().is_loopback(),
        }
    }

    /// True when it may.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.scopes & 1 << scope as u8 != 0
    }

    /// Its name as a leaf has it.
    pub(super) fn operator(&self) -> [u8; 32] {
        Domain::Operator.hash(self.name.as_bytes())
    }
}

struct Ticket {
    path: String,
    who: Identity,
    until: Instant,
}

/// What the token file held when it was last read.
#[derive(Default)]
struct Loaded {
    /// None when there was no file yet. A file that went away leaves its tokens in force: nobody gets more by its loss.
    tokens: Option<Tokens>,
    modified: Option<SystemTime>,
}

impl Loaded {
    fn all(&self) -> &[Token] {
        self.tokens.as_ref().map_or(&[], Tokens::all)
    }
}

/// Where everybody passes.
pub(super) struct Doors {
    pub(super) security: Security,
    loaded: ArcSwap<Loaded>,
    /// Counts the changes of the token file.
    changes: watch::Sender<u64>,
    tickets: Mutex<HashMap<[u8; 32], Ticket>>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    requests: DefaultKeyedRateLimiter<Asker>,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Asker {
    Token(Arc<str>),
    Address(IpAddr),
}

fn per_second(rate: u32, burst: u32) -> Quota {
    let least = NonZeroU32::MIN;
    Quota::per_second(NonZeroU32::new(rate).unwrap_or(least)).allow_burst(NonZeroU32::new(burst).unwrap_or(least))
}

impl Doors {
    /// Reads the tokens.
    ///
    /// # Errors
    /// When the token file cannot be used: a server that cannot tell who may must not let anybody.
    pub(super) fn new(security: Security, requests: (u32, u32)) -> Result<Arc<Self>, TokenError> {
        let doors = Self {
            loaded: ArcSwap::from_pointee(load(&security)?),
            security,
            changes: watch::Sender::new(0),
            tickets: Mutex::default(),
            // Ten wrong tokens at once, then one each second: nobody guesses 256 bits, but logs stay readable.
            failures: RateLimiter::keyed(per_second(1, 10)),
            requests: RateLimiter::keyed(per_second(requests.0, requests.1)),
        };
        Ok(Arc::new(doors))
    }

    /// True when there are tokens.
    pub(super) fn has_tokens(&self) -> bool {
        !self.loaded.load().all().is_empty()
    }

    /// True when there is, or was, a file that says who may.
    fn guarded(&self) -> bool {
        self.loaded.load().tokens.is_some()
    }

    /// The warning every health answer carries; none when the server is not open to everybody.
    pub(super) fn warning(&self) -> Option<&'static str> {
        (self.security.insecure && !self.security.loopback()).then_some(
            "insecure = true: everybody who reaches this address may do everything; make a token and remove the line",
        )
    }

    /// True when questions about the schema itself are answered for somebody without a token.
    pub(super) fn introspection(&self, who: &Identity) -> bool {
        self.security.loopback() || who.token.is_some()
    }

    /// Looks at the token file once a second, and forgets what is over.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            if Arc::strong_count(&self) == 1 {
                return;
            }
            self.reload();
            self.failures.retain_recent();
            self.requests.retain_recent();
            self.tickets().retain(|_, ticket| ticket.until > Instant::now());
        }
    }

    /// Takes up a changed token file. One that cannot be read, or is gone, changes nothing.
    pub(super) fn reload(&self) {
        let Some(path) = &self.security.tokens else { return };
        let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        if modified == self.loaded.load().modified {
            return;
        }
        match load(&self.security) {
            Ok(Loaded { tokens: None, .. }) => {
                tracing::error!(path = %path.display(), "the token file is gone; its tokens stay good until the server ends");
                let tokens = self.loaded.load().tokens.clone();
                let modified = None;
                self.loaded.store(Arc::new(Loaded { tokens, modified }));
            }
            Ok(loaded) => {
                tracing::info!(tokens = loaded.all().len(), "the tokens changed");
                self.loaded.store(Arc::new(loaded));
                self.changes.send_modify(|n| *n += 1);
            }
            Err(error) => tracing::error!(%error, "the changed tokens are not used"),
        }
    }

    /// Says when the tokens changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// True while the identity's token is still good.
    pub(super) fn still(&self, who: &Identity) -> bool {
        let loaded = self.loaded.load();
        match &who.token {
            None => self.open(),
            Some(id) => loaded
                .all()
                .iter()
                .any(|t| *t.id == **id && t.expires_s.is_none_or(|end| now_s() < end)),
        }
    }

    /// Ends when the identity is no longer good: its token expired or was revoked. For who holds a connection open.
    pub(super) async fn ended(self: Arc<Self>, who: Identity) {
        let mut changes = self.changes();
        while self.still(&who) {
            let wait = self.left(&who).unwrap_or(LOOK).min(LOOK);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// How long the identity's token is good yet; none when it does not expire.
    fn left(&self, who: &Identity) -> Option<Duration> {
        let id = who.token.as_deref()?;
        let loaded = self.loaded.load();
        let end_s = loaded.all().iter().find(|t| t.id == id)?.expires_s?;
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(end_s))?;
        // A clock that stands behind the end by less than the timer can wait is asked again.
        Some(end.duration_since(SystemTime::now()).unwrap_or_default().max(LEAST))
    }

    /// True when somebody without a token may do everything.
    pub(super) fn open(&self) -> bool {
        self.security.insecure || self.security.loopback() && !self.guarded()
    }

    /// Who asks without a token.
    pub(super) fn nobody(&self, from: IpAddr) -> Option<Identity> {
        let name = if self.security.insecure { "anybody" } else { "local" };
        self.open().then(|| Identity::new(name, None, &Scope::ALL, from))
    }

    /// Who shows this text as a token.
    ///
    /// # Errors
    /// [`Failure::Unauthenticated`]; [`Failure::RateLimited`] after too many of them from one address.
    pub(super) fn token(&self, text: &str, from: IpAddr) -> Result<Identity, Failure> {
        let loaded = self.loaded.load();
        if let Some(t) = loaded.tokens.as_ref().and_then(|all| all.verify(text, now_s())) {
            return Ok(Identity::new(&t.name, Some(&t.id), &t.scopes, from));
        }
        if self.failures.check_key(&from).is_err() {
            return Err(Failure::RateLimited);
        }
        tracing::warn!(%from, "a token was refused");
        Err(Failure::Unauthenticated("the token is not known, or has expired"))
    }

    /// Who the headers say is asking; none when they say nothing.
    ///
    /// # Errors
    /// As [`Doors::token`].
    pub(super) fn headers(&self, headers: &HeaderMap, from: IpAddr) -> Result<Option<Identity>, Failure> {
        match headers.get(header::AUTHORIZATION) {
            None => Ok(self.nobody(from)),
            Some(value) => {
                let text = value.to_str().ok().and_then(bearer);
                let text = text.ok_or(Failure::Unauthenticated(
                    "the Authorization header is not `Bearer TOKEN`",
                ))?;
                self.token(text, from).map(Some)
            }
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`Failure::RateLimited`].
    pub(super) fn count(&self, who: Option<&Identity>, from: IpAddr) -> Result<(), Failure> {
        let asker = match who.and_then(|w| w.token.clone()) {
            Some(token) => Asker::Token(token),
            None => Asker::Address(from),
        };
        self.requests.check_key(&asker).map_err(|_| Failure::RateLimited)
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<[u8; 32], Ticket>> {
        // A panic elsewhere leaves the map as it was: each change is one call.
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for one download of one path.
    ///
    /// # Errors
    /// [`Failure::Busy`] when too many wait.
    pub(super) fn ticket(&self, path: String, who: Identity) -> Result<String, Failure> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|e| Failure::Internal { detail: e.to_string() })?;
        let text = hex::encode(random);
        let mut tickets = self.tickets();
        tickets.retain(|_, ticket| ticket.until > Instant::now());
        if tickets.len() >= TICKETS {
            return Err(Failure::Busy {
                what: "download tickets",
                limit: TICKETS,
            });
        }
        let until = Instant::now() + TICKET;
        tickets.insert(key(&text), Ticket { path, who, until });
        Ok(text)
    }

    /// Takes a ticket: it is good once, for its path.
    pub(super) fn redeem(&self, text: &str, path: &str, from: IpAddr) -> Result<Identity, Failure> {
        // Looked up by hash, so that timing says nothing about the tickets there are.
        let ticket = self.tickets().remove(&key(text));
        ticket
            .filter(|t| t.path == path && t.until > Instant::now() && self.still(&t.who))
            .map(|t| Identity {
                near: from.to_canonical().is_loopback(),
                ..t.who
            })
            .ok_or(Failure::Unauthenticated(
                "the ticket is not known, was used, has expired, is for another path, or its maker's token is no longer good",
            ))
    }
}

fn key(text: &str) -> [u8; 32] {
    blake3::derive_key("tapline 2026-11 api ticket v1", text.as_bytes())
}

fn load(security: &Security) -> Result<Loaded, TokenError> {
    let Some(path) = &security.tokens else {
        return Ok(Loaded::default());
    };
    let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    Ok(Loaded {
        tokens: Tokens::find(path)?,
        modified,
    })
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token of a `connection_init` payload: `{"authorization": "Bearer TOKEN"}`, any case, or `{"token": "TOKEN"}`.
pub(super) fn of_init(payload: &serde_json::Value) -> Option<&str> {
    let named = |name: &str| {
        let found = payload
            .as_object()?
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(name))?;
        found.1.as_str()
    };
    named("authorization").and_then(bearer).or_else(|| named("token"))
}

/// Where a request came from; this machine when it came over no socket (tests).
pub(super) fn peer(extensions: &axum::http::Extensions) -> IpAddr {
    extensions
        .get::<super::listen::Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |p| p.0.ip().to_canonical())
}
