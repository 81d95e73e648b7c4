//! What sensing scores on recordings with ground truth, through the product alone: `cargo xtask accuracy`.
//!
//! Every figure comes from what `tapline calibrate` and `tapline replay` wrote; nothing here computes a stage. A family
//! of recordings is one file beside this one: it brings its conversion to a recording, its fleet file and its
//! scoring rule, and returns a [`report::Section`]. `docs/accuracy.md` holds the sections; running a few families
//! replaces theirs and leaves the others.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks to its user"
)]

mod basement;
mod drift;
mod esp32_motion;
mod esp32_robust;
mod independent;
mod lab;
mod made_up;
mod peer_tracker;
mod people;
mod point_tracker;
mod random;
mod reidentification;
mod report;
mod room_a;
mod score;
mod signatures;
mod simulated;
mod site;
mod svg;
mod two_node;
mod visits;
mod walker;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use xtask::{
    build,
    run::{root, target},
};

use lab::Lab;
use report::Section;

/// Score sensing on recordings with ground truth, and write docs/accuracy.md
#[derive(Parser)]
#[command(name = "cargo xtask accuracy")]
struct Options {
    /// Families of recordings (default: all)
    families: Vec<String>,
    /// Optimised build (slower to make; the bits are the same)
    #[arg(long)]
    release: bool,
    /// Directory of the recordings
    #[arg(long, env = "TAPLINE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Print, do not write docs/accuracy.md
    #[arg(long)]
    dry_run: bool,
}

/// A family of recordings.
struct Family {
    /// Its name on the command line and in the document.
    name: &'static str,
    /// The directory of its recordings; empty for what the product itself makes.
    directory: &'static str,
    run: fn(&Lab) -> Result<Section, String>,
    /// True: it runs only when it is named, because it fetches and builds somebody else's program.
    by_name_only: bool,
}

/// In the order of the document.
const FAMILIES: &[Family] = &[
    Family {
        name: "esp32-motion",
        directory: "esp32-motion",
        run: esp32_motion::run,
        by_name_only: false,
    },
    Family {
        name: "esp32-robust",
        directory: "esp32-motion",
        run: esp32_robust::run,
        by_name_only: false,
    },
    Family {
        name: "room-a",
        directory: "iwl5300-occupancy",
        run: room_a::run,
        by_name_only: false,
    },
    Family {
        name: "basement-presence",
        directory: "rti-basement",
        run: basement::run,
        by_name_only: false,
    },
    Family {
        name: "esp32-drift",
        directory: "esp32-drift",
        run: drift::run,
        by_name_only: false,
    },
    Family {
        name: "two-node",
        directory: "esp32-two-node",
        run: two_node::run,
        by_name_only: false,
    },
    Family {
        name: "basement-tracks",
        directory: "rti-basement",
        run: walker::basement,
        by_name_only: false,
    },
    Family {
        name: "utah",
        directory: "rti-utah",
        run: walker::utah,
        by_name_only: false,
    },
    Family {
        name: "simulated",
        directory: "",
        run: simulated::run,
        by_name_only: false,
    },
    Family {
        name: "made-up-rooms",
        directory: "",
        run: made_up::run,
        by_name_only: false,
    },
    Family {
        name: "independent-rooms",
        directory: "",
        run: independent::run,
        by_name_only: false,
    },
    Family {
        name: "re-identification",
        directory: "",
        run: reidentification::run,
        by_name_only: false,
    },
    Family {
        name: "peer-tracker",
        directory: "",
        run: peer_tracker::run,
        by_name_only: true,
    },
];

/// Builds the product, runs the families, prints and writes what came of them.
fn accuracy(options: &Options) -> Result<(), String> {
    for name in &options.families {
        if !FAMILIES.iter().any(|f| f.name == name) {
            let names: Vec<_> = FAMILIES.iter().map(|f| f.name).collect();
            return Err(format!("found {name:?}; there are: {}", names.join(", ")));
        }
    }
    let built = build::build(options.release)?;
    let lab = Lab::new(built.tapline, options.data.clone(), target().join("accuracy"))?;
    let mut sections = Vec::new();
    let mut missed = false;
    for family in FAMILIES {
        let is_named = options.families.iter().any(|n| n == family.name);
        let wanted = is_named || (options.families.is_empty() && !family.by_name_only);
        if !wanted {
            continue;
        }
        if !lab.data().join(family.directory).is_dir() {
            println!(
                "==> {}: SKIPPED, {} is not there",
                family.name,
                lab.data().join(family.directory).display()
            );
            continue;
        }
        println!("==> {}", family.name);
        let section = (family.run)(&lab).map_err(|e| format!("{}: {e}", family.name))?;
        print!("{}", section.table_text());
        missed |= section.missed();
        sections.push((family.name, section));
    }
    if !options.dry_run {
        let path = root().join("docs/accuracy.md");
        let names: Vec<_> = FAMILIES.iter().map(|f| f.name).collect();
        report::write(&path, &names, &sections)?;
        lab.publish_images(&root().join("docs/images"))?;
        println!("    {}", path.strip_prefix(root()).unwrap_or(&path).display());
    }
    if missed {
        println!("    some figures are missed; they are marked in the table");
    }
    Ok(())
}

fn main() -> ExitCode {
    match accuracy(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("accuracy: {message}");
            ExitCode::FAILURE
        }
    }
}
