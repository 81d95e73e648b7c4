//! `tapline plugin`.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;

use super::{
    output::{Failure, Outcome, Result, print},
    prove, swap,
};
use crate::host::{golden, load::load_unlisted, stages::LINKED};

/// How long golden vectors may take.
const PROOF_TIME: Duration = Duration::from_secs(120);

/// What to do with plugins.
#[derive(Subcommand)]
pub(super) enum Command {
    /// The stages built into the program
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at a library, load it, and run its golden vectors twice
    Check {
        /// The library
        file: PathBuf,
    },
    /// Bring another plugin into the cycle of a running server: proved, compared on live input, shown, then asked
    Swap(swap::Swap),
    /// Go back to the plugin that ran before, in a running server
    Rollback(swap::Rollback),
    /// Run golden vectors twice: of a library, beside those of the plugin it would replace and with the manifest hash that
    /// follows; without one, of the built-in stages and the whole cycle
    Prove(prove::Options),
}

pub(super) fn run(command: &Command) -> Result {
    match command {
        Command::List { json } => list(*json),
        Command::Check { file } => {
            let (examined, loaded) = load_unlisted(file).map_err(Failure::of)?;
            let about = (loaded.module.describe)();
            let proof = golden::prove(&about.name, &loaded.module, PROOF_TIME).map_err(Failure::of)?;
            print(&format!(
                "{} {} (stage {}): {}\n  BLAKE3  {}\n  golden  {} ({} vectors, run twice)",
                about.name,
                about.version,
                about.stage.name(),
                about.method,
                examined.blake3,
                hex::encode(proof.digest),
                proof.vectors.len()
            ));
            Ok(Outcome::Yes)
        }
        Command::Swap(options) => swap::swap(options),
        Command::Rollback(options) => swap::rollback(options),
        Command::Prove(options) => prove::run(options),
    }
}

fn list(json: bool) -> Result {
    let rows: Vec<_> = LINKED
        .iter()
        .map(|module| {
            let d = (module.describe)();
            serde_json::json!({
                "name": d.name.as_str(), "version": d.version.as_str(), "stage": d.stage.name(), "method": d.method.as_str(),
            })
        })
        .collect();
    if json {
        print(&serde_json::to_string(&rows).map_err(Failure::of)?);
    } else {
        for row in rows {
            let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            print(&format!(
                "{:<12} {:<8} {:<11} {}",
                field("name"),
                field("version"),
                field("stage"),
                field("method")
            ));
        }
    }
    Ok(Outcome::Yes)
}
