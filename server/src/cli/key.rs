//! `tapline key`: which keys sign the log of a running server, and their exchange.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    output::{Failure, Outcome, Result, print},
    remote::{Remote, converse},
};
use crate::{
    log::{self, LogOptions, Stamp, WriterOptions},
    store::retention::Retention,
};

/// What to do with the keys.
#[derive(Subcommand)]
pub(super) enum Command {
    /// The keys that sign or did, and the policy that trusts them
    List(List),
    /// Make another key and let it sign beside the one in force, until `retire`
    Rotate(Order),
    /// Let the older of two keys sign no more, and erase it
    Retire(Order),
    /// End a log whose key was lost or stolen, and begin another one that names its end; the server is stopped
    Succeed(Succeed),
}

/// Which log, and where the next.
#[derive(Args)]
pub(super) struct Succeed {
    /// Data directory of the log that ends
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Its anchor file, when that is not beside it
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Data directory of the log that begins; empty or not there yet
    #[arg(long, value_name = "DIR")]
    new_data_dir: PathBuf,
    /// Anchor file of that one, when it is not to be beside it
    #[arg(long, value_name = "FILE")]
    new_anchor: Option<PathBuf>,
}

/// Whose keys.
#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    remote: Remote,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which key.
#[derive(Args)]
pub(super) struct Order {
    #[command(flatten)]
    remote: Remote,
    /// What the key is for
    #[arg(long, value_enum, default_value = "log")]
    role: Role,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Signs checkpoints
    Log,
    /// Signs them again, with a time
    Cosigner,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Log => "LOG",
            Self::Cosigner => "COSIGNER",
        }
    }
}

pub(super) fn run(command: &Command) -> Result {
    match command {
        Command::List(options) => list(options),
        Command::Rotate(options) => order(options, "rotateKey", "signs beside the one before"),
        Command::Retire(options) => order(options, "retireKey", "signs no more"),
        Command::Succeed(options) => succeed(options),
    }
}

fn ask(remote: &Remote, query: &str, variables: Value) -> std::result::Result<Value, Failure> {
    let endpoint = remote.endpoint()?;
    converse(async {
        let mut connection = endpoint.open().await.map_err(Failure::of)?;
        connection.ask(query, variables).await.map_err(Failure::of)
    })
}

fn list(options: &List) -> Result {
    let query = "{ signingKeys { role vkey since retired } witnessPolicy }";
    let answer = ask(&options.remote, query, json!({}))?;
    if options.json {
        print(&answer.to_string());
        return Ok(Outcome::Yes);
    }
    for key in answer["signingKeys"].as_array().into_iter().flatten() {
        let until = match &key["retired"] {
            Value::Null => "signs".to_owned(),
            leaf => format!("retired with leaf {leaf}"),
        };
        let role = key["role"].as_str().unwrap_or_default().to_lowercase();
        let vkey = key["vkey"].as_str().unwrap_or_default();
        print(&format!("{role:<9} since leaf {}, {until}: {vkey}", key["since"]));
    }
    let policy = answer["witnessPolicy"].as_str().unwrap_or_default();
    print(&format!("\npolicy that trusts them:\n\n{policy}"));
    Ok(Outcome::Yes)
}

fn succeed(options: &Succeed) -> Result {
    let of = |data_dir: &PathBuf, anchor: &Option<PathBuf>| LogOptions {
        anchor: anchor.clone(),
        // Nothing is forgotten or added up on the way.
        writer: WriterOptions {
            window_tiles: None,
            ..WriterOptions::live(Retention::FOREVER)
        },
        rollup: None,
        ..LogOptions::live(data_dir)
    };
    let frozen = log::freeze(of(&options.data_dir, &options.anchor)).map_err(Failure::of)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::of)?;
    let stamp = Stamp {
        mono_ns: 0,
        wall_ns: i64::try_from(now.as_nanos()).map_err(Failure::of)?,
    };
    let end = frozen.predecessor;
    let next = log::succeed(of(&options.new_data_dir, &options.new_anchor), end.clone(), stamp).map_err(Failure::of)?;
    let (origin, policy) = (next.chain.origin().to_owned(), next.chain.policy());
    next.writer.close().map_err(Failure::of)?;
    print(&format!(
        "{} is frozen at size {} with root {}\n{origin} takes over from it: serve with --data-dir {}\n\n\
         policy of what the old log said until then:\n\n{}\npolicy of the new log:\n\n{policy}",
        end.origin.as_str(),
        end.size,
        hex::encode(end.root),
        options.new_data_dir.display(),
        frozen.policy,
    ));
    Ok(Outcome::Yes)
}

fn order(options: &Order, verb: &str, does: &str) -> Result {
    let query = format!("mutation($role: SigningRole!) {{ order: {verb}(role: $role) {{ order vkey }} }}");
    let mut answer = ask(&options.remote, &query, json!({ "role": options.role.name() }))?;
    let done = answer["order"].take();
    if options.json {
        print(&done.to_string());
        return Ok(Outcome::Yes);
    }
    let vkey = done["vkey"].as_str().unwrap_or_default();
    print(&format!(
        "{vkey}\n{does} from the next checkpoint on; `tapline key list` shows the policy to hand out now"
    ));
    Ok(Outcome::Yes)
}
