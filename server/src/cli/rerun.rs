//! The process in which `tapline verify --replay` runs plugins: one that dies there takes no verdict along.
//!
//! It reads the bundle from standard input, or a store, and answers with one line of JSON. Nothing of a bundle is run:
//! code comes from this program and from the directory the verifier names.

use std::{fs::File, os::fd::AsFd, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{
    output::{Failure, Outcome, Result, print},
    progress::Progress,
};
use crate::{
    host::manifest::CpuLevel,
    run::rerun::{BundleMaterial, Material, Rerun, RerunOptions, StoreMaterial, Unavailable, rerun},
    store::reader::Reader,
};

/// Builds of plugins for x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Cpu {
    /// For every CPU of the target
    Baseline,
    /// For AVX2 and what goes with it
    V3,
    /// For AVX-512
    V4,
}

impl Cpu {
    /// The level by which manifests name it.
    pub(super) const fn level(self) -> CpuLevel {
        match self {
            Self::Baseline => CpuLevel::Baseline,
            Self::V3 => CpuLevel::V3,
            Self::V4 => CpuLevel::V4,
        }
    }
}

/// What to run again, and through which code.
#[derive(Args)]
pub(super) struct Options {
    /// Directory of plugins
    #[arg(long)]
    plugins: Option<PathBuf>,
    /// Builds of them
    #[arg(long)]
    cpu: Option<Cpu>,
    /// The store of the box instead of a bundle
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// First leaf of the store
    #[arg(long)]
    from: Option<u64>,
    /// One past its last
    #[arg(long)]
    to: Option<u64>,
}

pub(super) fn run(options: &Options) -> Result {
    let code = RerunOptions {
        plugins: options.plugins.clone(),
        cpu: options.cpu.map(Cpu::level),
        ..RerunOptions::default()
    };
    let progress = Progress::seconds("recorded seconds run again");
    let at = &mut |seconds| progress.at(seconds);
    let report = match &options.data_dir {
        Some(data_dir) => {
            let reader = Reader::open(data_dir).map_err(Failure::of)?;
            run_again(StoreMaterial::new(&reader, options.from, options.to), &code, at)
        }
        None => {
            let input = std::io::stdin().as_fd().try_clone_to_owned().map_err(Failure::of)?;
            let material = BundleMaterial::new(std::io::BufReader::new(File::from(input)));
            run_again(material, &code, at)
        }
    };
    progress.done();
    print(&serde_json::to_string(&report).map_err(Failure::of)?);
    Ok(Outcome::Yes)
}

fn run_again(
    material: std::result::Result<impl Material, Unavailable>,
    code: &RerunOptions,
    progress: &mut dyn FnMut(f64),
) -> Rerun {
    match material {
        Ok(mut material) => rerun(&mut material, code, progress),
        Err(why) => Rerun {
            reason: Some(why.to_string()),
            ..Rerun::default()
        },
    }
}
