//! The keys that sign the log, and their exchange.

use async_graphql::{Context, Enum, Object, SimpleObject};
use tapline_witness::{
    body::{Key, KeyAction, KeyRole},
    codec::Text,
    keyset::{KeySet, LogKey, MAX_IN_FORCE},
};

use super::{api, mutation::send, query::invalid, scalars::Long};
use crate::{
    api::{
        Api,
        access::{Leaves::Anyway, Rule, Scope::*, rule},
        error::Failure,
    },
    live::Command,
    log::{KEY_DIR, prepare_key},
};

/// Who may ask what, and what the answers give away: public keys are public.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "signingKeys witnessPolicy"),
    rule("SigningKey", Read, Anyway, "role vkey since retired"),
    rule("Mutation", Admin, Anyway, "rotateKey retireKey"),
    rule("KeyOrder", Admin, Anyway, "order vkey"),
];

/// What a signing key is for.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub(crate) enum SigningRole {
    /// Signs checkpoints.
    Log,
    /// Signs them again, with a time.
    Cosigner,
}

impl SigningRole {
    const fn role(self) -> KeyRole {
        match self {
            Self::Log => KeyRole::Log,
            Self::Cosigner => KeyRole::Cosigner,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Cosigner => "cosigner",
        }
    }
}

/// A key that signs the log, or did.
#[derive(SimpleObject)]
pub(crate) struct SigningKey {
    /// What it is for.
    role: SigningRole,
    /// The public key, C2SP vkey text.
    vkey: String,
    /// Number of the leaf that names it: 0 for a key of the log's beginning.
    since: Long,
    /// Number of the KEY leaf that retires it; null while it signs.
    retired: Option<Long>,
}

impl From<&LogKey> for SigningKey {
    fn from(key: &LogKey) -> Self {
        Self {
            role: match key.role {
                KeyRole::Log => SigningRole::Log,
                KeyRole::Cosigner => SigningRole::Cosigner,
            },
            vkey: key.verifier.to_vkey(),
            since: key.since.into(),
            retired: key.retired.map(Long::from),
        }
    }
}

/// An order about a key was handed to the cycle.
#[derive(SimpleObject)]
pub(crate) struct KeyOrder {
    /// Number of the order since the process started.
    order: Long,
    /// The key that is added or retired.
    vkey: String,
}

/// Questions about the keys.
#[derive(Default)]
pub(crate) struct KeysQuery;

/// Questions about the keys.
#[Object]
impl KeysQuery {
    /// Every key that signs the log or did, the first ones first.
    async fn signing_keys(&self, ctx: &Context<'_>) -> Vec<SigningKey> {
        let keys = api(ctx).hub.keys();
        keys.iter().flat_map(|set| set.keys()).map(SigningKey::from).collect()
    }

    /// Policy text (C2SP tlog-policy) that trusts this log, for `tapline verify --policy`. Hand it over by another way than
    /// from the server that is to be checked. Null without a log.
    async fn witness_policy(&self, ctx: &Context<'_>) -> Option<String> {
        api(ctx).hub.keys().map(|set| set.policy())
    }
}

/// Orders about the keys.
#[derive(Default)]
pub(crate) struct KeysMutation;

/// Orders about the keys.
#[Object]
impl KeysMutation {
    /// Makes another key and lets it sign beside the one in force: a KEY leaf names it, and from that leaf on every
    /// checkpoint carries both signatures. Who knows the old key sees it vouch for the new one. Hand out the new policy
    /// meanwhile, then order `retireKey`.
    async fn rotate_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the key is for.")] role: SigningRole,
    ) -> async_graphql::Result<KeyOrder> {
        let (keys, directory) = place(api(ctx))?;
        if in_force(&keys, role).len() >= MAX_IN_FORCE {
            let expected = "a role with one key in force: order retireKey first".to_owned();
            return Err(invalid("role", role.name(), expected).into());
        }
        let origin = keys.origin().as_str().to_owned();
        let made = tokio::task::spawn_blocking(move || prepare_key(&directory, &origin, role.role())).await;
        let internal = |detail: String| Failure::Internal { detail };
        let key = made
            .map_err(|e| internal(e.to_string()))?
            .map_err(|e| internal(e.to_string()))?;
        order(ctx, role, KeyAction::Added, &key)
    }

    /// Ends the time in which two keys sign: the older one signs no more, and its private half is erased once the KEY leaf
    /// that says so is durable.
    async fn retire_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the key is for.")] role: SigningRole,
    ) -> async_graphql::Result<KeyOrder> {
        let (keys, _) = place(api(ctx))?;
        let [oldest, _] = in_force(&keys, role)[..] else {
            let expected = "a role with two keys in force: order rotateKey first".to_owned();
            return Err(invalid("role", role.name(), expected).into());
        };
        order(ctx, role, KeyAction::Retired, &oldest.verifier)
    }
}

fn in_force(keys: &KeySet, role: SigningRole) -> Vec<&LogKey> {
    let of_role = |key: &&LogKey| key.role == role.role() && key.retired.is_none();
    keys.keys().iter().filter(of_role).collect()
}

/// The keys, and where their private halves lie.
fn place(api: &Api) -> Result<(std::sync::Arc<KeySet>, std::path::PathBuf), Failure> {
    match (api.hub.keys(), api.hub.data_dir()) {
        (Some(keys), Some(directory)) => Ok((keys, directory.join(KEY_DIR))),
        _ => Err(Failure::Internal {
            detail: "this server has no log of its own".to_owned(),
        }),
    }
}

fn order(
    ctx: &Context<'_>,
    role: SigningRole,
    action: KeyAction,
    key: &tapline_witness::note::Verifier,
) -> async_graphql::Result<KeyOrder> {
    let word = match action {
        KeyAction::Added => "add",
        KeyAction::Retired => "retire",
    };
    let named = format!("key.{word} {} {:08x}", role.name(), key.key_id());
    let body = Key {
        role: role.role(),
        action,
        name: Text::new(key.name().as_str()),
        public_key: key.public_key(),
    };
    Ok(KeyOrder {
        order: send(ctx, &named, Command::Key(body))?.number(),
        vkey: key.to_vkey(),
    })
}
