//! `tapline export`: tables of what was, from a data directory, while a server may write to it.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::output::{Failure, Outcome, Result, say};
use crate::{
    export::{Csv, ExportError, Request, Resolution, Span, What, export, time},
    rollup::Level,
    store::{reader::Reader, rollup::query},
};

/// File formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values
    Csv,
    /// Apache Arrow, the file format of IPC
    #[cfg(feature = "columnar")]
    Arrow,
    /// Apache Parquet
    #[cfg(feature = "columnar")]
    Parquet,
}

/// Which table of which store.
#[derive(Args)]
pub(super) struct Options {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "tapline-data")]
    data_dir: PathBuf,
    /// Table: operation, latency, occupancy, links, flows, heat, people or events
    #[arg(long, value_name = "TABLE", value_parser = what)]
    what: What,
    /// Begin: a time such as 2026-11-23T17:22:05Z, or a day of the site's calendar (default: as far back as there is)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End, not included (default: now)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// 1s, 1min, 1h, 1d; auto is the finest that has the beginning and at most 10,000 windows
    #[arg(long, value_name = "LEVEL", default_value = "auto", value_parser = resolution)]
    resolution: Resolution,
    /// Format of the file
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// File to write; one that exists is not overwritten (default: standard output)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn what(name: &str) -> std::result::Result<What, String> {
    What::from_name(name).ok_or_else(|| format!("expected one of {}", What::ALL.map(What::name).join(", ")))
}

fn resolution(name: &str) -> std::result::Result<Resolution, String> {
    Resolution::from_name(name)
        .ok_or_else(|| format!("expected auto or one of {}", Level::ALL.map(Level::name).join(", ")))
}

pub(super) fn run(options: &Options) -> Result {
    let reader = Reader::open(&options.data_dir).map_err(Failure::of)?;
    let calendar = reader.snapshot(query::calendar).map_err(Failure::of)?;
    let read = |which: &str, text: &Option<String>| {
        let read = text.as_deref().map(|text| time(text, &calendar)).transpose();
        read.map_err(|error| Failure(format!("--{which}: {error}")))
    };
    let span = Span {
        from_s: read("from", &options.from)?,
        to_s: read("to", &options.to)?,
    };
    if let (Some(from_s), Some(to_s)) = (span.from_s, span.to_s)
        && from_s >= to_s
    {
        return Err(Failure("--from: found a time that is not before --to".to_owned()));
    }
    let out: Box<dyn Write + Send> = match &options.out {
        Some(path) => Box::new(
            File::create_new(path).map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?,
        ),
        None => Box::new(io::stdout()),
    };
    let out = BufWriter::new(out);
    let written: std::result::Result<_, ExportError> = reader.snapshot_or(|db| {
        let request = Request::settle(db, options.what, span, options.resolution, true)?;
        let rows = match options.format {
            Format::Csv => {
                let mut csv = Csv::new(out, options.what)?;
                let rows = export(db, &calendar, &request, &mut csv)?;
                csv.finish()?;
                rows
            }
            #[cfg(feature = "columnar")]
            Format::Arrow => {
                let mut file = crate::export::columnar::Arrow::new(out, options.what)?;
                let rows = export(db, &calendar, &request, &mut file)?;
                file.finish()?;
                rows
            }
            #[cfg(feature = "columnar")]
            Format::Parquet => {
                let mut file = crate::export::columnar::Parquet::new(out, options.what)?;
                let rows = export(db, &calendar, &request, &mut file)?;
                file.finish()?;
                rows
            }
        };
        Ok((request, rows))
    });
    match written {
        Ok((request, rows)) => {
            let level = match options.what {
                What::Events => String::new(),
                _ => format!(" of {}", request.level.name()),
            };
            say(&format!(
                "{rows} rows{level}, time zone of hours and days: {}",
                calendar.name()
            ));
            Ok(Outcome::Yes)
        }
        // A reader that went away (`| head`) ends the output, not the program.
        Err(ExportError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Outcome::Yes),
        Err(error) => Err(Failure::of(error)),
    }
}
