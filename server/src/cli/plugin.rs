//! `tapline plugin`.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;

use super::output::{Failure, Outcome, Result, print};
use crate::{
    golden_run,
    host::{fingerprint, golden, load::load_unlisted, stages::LINKED},
};

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
    /// Print the golden digests of the built-in stages and of the whole cycle
    Prove {
        /// In the form of golden/digests.txt
        #[arg(long)]
        golden: bool,
    },
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
        Command::Prove { golden } => prove(*golden),
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

fn prove(golden: bool) -> Result {
    let mut text = String::new();
    if golden {
        text += "# Golden digests: what the built-in stages and the whole cycle give on fixed inputs.\n";
        text += "# Written by `cargo xtask golden --update`; a change is deliberate and stands in CHANGELOG.md.\n";
    }
    for module in LINKED {
        let about = (module.describe)();
        let proof = golden::prove(&about.name, module, PROOF_TIME).map_err(Failure::of)?;
        text += &format!(
            "{:<12} {:<8} {}\n",
            about.name,
            about.version,
            hex::encode(proof.digest)
        );
    }
    for (name, digest) in golden_run::digests().map_err(Failure::of)? {
        text += &format!("{name:<21} {}\n", hex::encode(digest));
    }
    text += &format!("fingerprint           {}\n", hex::encode(fingerprint::measured()));
    print(&text);
    Ok(Outcome::Yes)
}
