//! `tapline config`.

use std::path::PathBuf;

use clap::Subcommand;

use super::output::{Failure, Outcome, Result, print, say};
use crate::config::{ConfigError, Fleet, witnessed};

/// What to do with the fleet file.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Check a fleet file: every problem with line, key, what was found, what is allowed
    Check {
        /// The file
        #[arg(default_value = "config.example.toml")]
        file: PathBuf,
    },
    /// Print the part of a site's configuration that is hashed into every cycle
    Witnessed {
        /// The file
        #[arg(long, default_value = "config.example.toml")]
        config: PathBuf,
        /// The site
        #[arg(long)]
        site: Option<String>,
    },
}

pub(super) fn run(command: &Command) -> Result {
    match command {
        Command::Check { file } => check(file),
        Command::Witnessed { config, site } => {
            let fleet = Fleet::load(config).map_err(Failure::of)?;
            let site = fleet.select(site.as_deref(), &crate::hostname()).map_err(Failure::of)?;
            print(&witnessed::document(&site));
            Ok(Outcome::Yes)
        }
    }
}

fn check(file: &std::path::Path) -> Result {
    match Fleet::load(file) {
        Ok(fleet) => {
            let sites: Vec<&str> = fleet.site.iter().map(|s| s.id.as_str()).collect();
            print(&format!("{}: good; sites: {}", file.display(), sites.join(", ")));
            Ok(Outcome::Yes)
        }
        Err(error @ (ConfigError::Invalid { .. } | ConfigError::Syntax { .. })) => {
            say(&error.to_string());
            Ok(Outcome::No)
        }
        Err(error) => Err(Failure::of(error)),
    }
}
