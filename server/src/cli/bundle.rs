//! `tapline bundle`: bundles downloaded ([`fetch`]), or cut from a data directory without a server.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use tapline_witness::bundle::build::{BundleRequest, InputsWithheld, Prepared};

use super::{
    fetch,
    output::{Failure, Outcome, Result, print, say},
};
use crate::{
    log::{LogError, policy_of},
    store::{
        log_source::{LogSourceError, SqlLog},
        reader::Reader,
    },
};

/// What to do with bundles.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Download a bundle from a running server; a download that was cut off goes on where it ended
    Fetch(fetch::Options),
    /// Cut a bundle from a data directory
    Make(Make),
    /// Print the policy that trusts the log of a data directory
    Policy(PolicyOptions),
}

/// Which range of which log.
#[derive(Args)]
pub(super) struct Make {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "tapline-data")]
    data_dir: PathBuf,
    /// First leaf
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// One past the last leaf (default: the end of the log)
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Raw input too, where the privacy class of every cycle allows it
    #[arg(long)]
    inputs: bool,
    /// Carry the checkpoint of this size too, and the tiles that prove that the log continues it
    #[arg(long, value_name = "SIZE")]
    old: Option<u64>,
    /// File to write; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Whose log.
#[derive(Args)]
pub(super) struct PolicyOptions {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "tapline-data")]
    data_dir: PathBuf,
}

pub(super) fn run(command: &Command) -> Result {
    match command {
        Command::Fetch(options) => fetch::run(options),
        Command::Make(options) => make(options),
        Command::Policy(options) => {
            let reader = Reader::open(&options.data_dir).map_err(Failure::of)?;
            print(
                &reader
                    .snapshot_or(policy_of)
                    .map_err(|error: LogError| Failure::of(error))?,
            );
            Ok(Outcome::Yes)
        }
    }
}

fn make(options: &Make) -> Result {
    let reader = Reader::open(&options.data_dir).map_err(Failure::of)?;
    let latest = reader.latest_checkpoint().map_err(Failure::of)?;
    let latest = latest.ok_or_else(|| Failure("this log has no checkpoint yet".to_owned()))?;
    let old = options.old.map(|size| old_note(&reader, size)).transpose()?;
    let written: std::result::Result<_, LogSourceError> = reader.snapshot_or(|db| {
        let log = SqlLog(db);
        let request = BundleRequest {
            from: options.from,
            to: options.to.unwrap_or(latest.size),
            inputs: options.inputs,
            checkpoint: (latest.size, latest.note),
            old,
        };
        let (prepared, withheld) = Prepared::new(&log, request)?;
        let io = |error: std::io::Error| LogSourceError::Bundle(error.into());
        let mut out = BufWriter::new(File::create_new(&options.out).map_err(io)?);
        prepared.write(&mut out)?;
        out.flush().map_err(io)?;
        Ok((prepared.plan().bundle_len(), withheld))
    });
    let (bytes, withheld) = written.map_err(Failure::of)?;
    if let Some(reason) = withheld {
        let reason = match reason {
            InputsWithheld::Privacy => "a cycle of the range ran in class Anonymous or Restricted",
            InputsWithheld::Forgotten => "some of it is forgotten, or no keyframe stands before the range",
        };
        say(&format!("raw input is withheld: {reason}"));
    }
    print(&format!("{bytes} bytes in {}", options.out.display()));
    Ok(Outcome::Yes)
}

/// The note that `--old` asks for. A bundle without it would prove less than was asked.
fn old_note(reader: &Reader, size: u64) -> std::result::Result<(u64, String), Failure> {
    let found: std::result::Result<_, LogSourceError> = reader.snapshot_or(|db| {
        let log = SqlLog(db);
        Ok((log.note(size)?, log.sizes_beside(size)?))
    });
    let (note, beside) = found.map_err(Failure::of)?;
    let kept: Vec<String> = beside.into_iter().flatten().map(|size| size.to_string()).collect();
    note.map(|note| (size, note)).ok_or_else(|| {
        Failure(format!(
            "no checkpoint of size {size} is kept; the nearest are of size {}",
            kept.join(" and ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::support::{self, Place};

    /// A size that no checkpoint has was left out in silence, and the bundle then did not show what it was made for.
    #[test]
    fn an_old_checkpoint_that_is_not_kept_is_refused() {
        let place = Place::new();
        let mut log = place.open();
        support::boot(&mut log, 0);
        support::run(&mut log, 1..100).unwrap();
        log.writer.close().unwrap();
        let out = place.root.path().join("all.wbundle");
        let with = |old| {
            make(&Make {
                data_dir: place.data(),
                from: 0,
                to: None,
                inputs: false,
                old: Some(old),
                out: out.clone(),
            })
        };
        let refused = with(17).unwrap_err().to_string();
        assert!(refused.ends_with("of size 16 and 32"), "{refused}");
        let refused = with(1_000).unwrap_err().to_string();
        assert!(refused.ends_with("of size 101"), "{refused}");
        assert!(!out.exists());
        assert_eq!(with(16).unwrap(), Outcome::Yes);
        assert!(out.exists());
    }
}
