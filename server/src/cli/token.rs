//! `tapline token`: who may talk to the server.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::output::{Failure, Outcome, Result, duration, print};
use crate::{
    config::Fleet,
    tokens::{Scope, Tokens, now_s, secret_path},
};

/// What to do with tokens. A running server takes changes up within a second.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a token and print it; it is shown this once
    Create(Create),
    /// List tokens, without their secrets
    List(List),
    /// Take a token away
    Revoke(Revoke),
}

/// Where the tokens are.
#[derive(Args)]
struct Place {
    /// Fleet file
    #[arg(long, default_value = "config.example.toml", value_name = "FILE")]
    config: PathBuf,
    /// Data directory instead of the one in the file
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Place {
    fn file(&self) -> std::result::Result<PathBuf, Failure> {
        let mut fleet = Fleet::load(&self.config).map_err(Failure::of)?;
        if let Some(dir) = &self.data_dir {
            dir.clone_into(&mut fleet.store.dir);
        }
        secret_path(&fleet.tokens_path()).map_err(Failure::of)
    }
}

/// A new token.
#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    place: Place,
    /// Whose it is: 1 to 64 letters, digits, '-', '_', '.'
    #[arg(long)]
    name: String,
    /// What it allows: read, subscribe, operate, admin
    #[arg(long, value_delimiter = ',', default_value = "read,subscribe")]
    scope: Vec<Scope>,
    /// How long it is good for, for example 12h (default: until revoked)
    #[arg(long, value_parser = duration)]
    expires: Option<Duration>,
}

/// All tokens.
#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    place: Place,
}

/// One token.
#[derive(Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    place: Place,
    /// Its id or name
    which: String,
}

pub(super) fn run(command: &Command) -> Result {
    match command {
        Command::Create(options) => create(options),
        Command::List(options) => list(options),
        Command::Revoke(options) => revoke(options),
    }
}

fn create(options: &Create) -> Result {
    let path = options.place.file()?;
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|e| Failure(format!("cannot make {}: {e}", parent.display())))?;
    }
    let mut tokens = Tokens::load(&path).map_err(Failure::of)?;
    let expires_s = options.expires.map(|d| now_s().saturating_add(d.as_secs()));
    let text = tokens
        .create(&options.name, &options.scope, expires_s)
        .map_err(Failure::of)?;
    tokens.save(&path).map_err(Failure::of)?;
    if options.place.json {
        let token = tokens.all().last();
        print(&serde_json::json!({ "token": text, "id": token.map(|t| &t.id), "scopes": options.scope }).to_string());
    } else {
        print(&text);
    }
    Ok(Outcome::Yes)
}

fn list(options: &List) -> Result {
    let found = Tokens::find(&options.place.file()?).map_err(Failure::of)?;
    let open = found.is_none();
    let tokens = found.unwrap_or_default();
    let scopes = |t: &crate::tokens::Token| t.scopes.iter().map(|s| s.name()).collect::<Vec<_>>();
    if options.place.json {
        let rows = tokens.all().iter().map(|t| {
            serde_json::json!({ "id": t.id, "name": t.name, "scopes": scopes(t), "createdS": t.created_s, "expiresS": t.expires_s })
        });
        print(&serde_json::Value::from_iter(rows).to_string());
    } else if open {
        print("no token file: on a loopback address everybody on this machine may do everything");
    } else if tokens.all().is_empty() {
        print("no tokens: nobody may use the API");
    } else {
        for t in tokens.all() {
            let end = match t.expires_s {
                None => String::new(),
                Some(end) if end <= now_s() => "  expired".to_owned(),
                Some(end) => format!("  ends in {} s", end - now_s()),
            };
            print(&format!("{}  {:24}  {}{end}", t.id, t.name, scopes(t).join(",")));
        }
    }
    Ok(Outcome::Yes)
}

fn revoke(options: &Revoke) -> Result {
    let path = options.place.file()?;
    let mut tokens = Tokens::load(&path).map_err(Failure::of)?;
    if !tokens.revoke(&options.which) {
        print(&format!("there is no token {:?}", options.which));
        return Ok(Outcome::No);
    }
    tokens.save(&path).map_err(Failure::of)?;
    if options.place.json {
        print(&serde_json::json!({ "revoked": options.which }).to_string());
    } else {
        print("revoked; connections that use it are closed within a second");
        if tokens.all().is_empty() {
            print("it was the last one: nobody may use the API until there is another");
        }
    }
    Ok(Outcome::Yes)
}
