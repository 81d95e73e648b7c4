//! The state of all instances in one blob.
//!
//! `u32` number of instances, then for each, stages in pipeline order, groups ascending: `u8` stage, `u32`
//! state schema, `u32` length, bytes. Integers little-endian. Nothing may follow. An instance of a stage that ended
//! itself has the length `u32::MAX` and no bytes: it has no state, and whoever takes over knows that it does not run.

use std::time::Duration;

use tapline_plugin_api::StageKind;
use tapline_witness::disposition::Disposition;

use super::{bench::Bench, error::HostError, generation::Generation, kind::Kind, worker::StageRun};

/// Length that says: this instance ended itself.
const FAILED: u32 = u32::MAX;

pub(super) fn export(generation: &mut Generation, within: Duration, into: &mut Vec<u8>) -> Result<(), HostError> {
    let begin = into.len();
    let result = export_all(generation, within, into);
    if result.is_err() {
        into.truncate(begin);
    }
    result
}

fn export_all(generation: &mut Generation, within: Duration, into: &mut Vec<u8>) -> Result<(), HostError> {
    let count = generation.cir.len() + generation.tomography.len() + generation.tracker.len();
    into.extend_from_slice(&(count as u32).to_le_bytes());
    let schema = schemas(generation);
    export_bench(&mut generation.cir, schema, within, into)?;
    export_bench(&mut generation.tomography, schema, within, into)?;
    export_bench(&mut generation.tracker, schema, within, into)
}

fn schemas(generation: &Generation) -> [u32; 3] {
    [StageKind::Cir, StageKind::Tomography, StageKind::Tracker]
        .map(|stage| generation.manifest.plugin(stage).map_or(0, |row| row.state_schema))
}

fn export_bench<K: Kind>(
    bench: &mut Bench<K>,
    schema: [u32; 3],
    within: Duration,
    into: &mut Vec<u8>,
) -> Result<(), HostError> {
    for index in 0..bench.len() {
        into.push(K::STAGE as u8);
        into.extend_from_slice(&schema[K::STAGE as usize].to_le_bytes());
        if bench.failed().is_some() {
            into.extend_from_slice(&FAILED.to_le_bytes());
            continue;
        }
        let state = bench.export(index, within)?;
        into.extend_from_slice(&(state.len() as u32).to_le_bytes());
        into.extend_from_slice(&state);
    }
    Ok(())
}

pub(super) fn import(generation: &mut Generation, within: Duration, mut blob: &[u8]) -> Result<(), HostError> {
    let count = generation.cir.len() + generation.tomography.len() + generation.tracker.len();
    let found = u32_of(&mut blob)? as usize;
    if found != count {
        return Err(wrong(format!(
            "it holds {found} instances, this configuration has {count}"
        )));
    }
    let schema = schemas(generation);
    import_bench(&mut generation.cir, schema, within, &mut blob)?;
    import_bench(&mut generation.tomography, schema, within, &mut blob)?;
    import_bench(&mut generation.tracker, schema, within, &mut blob)?;
    if !blob.is_empty() {
        return Err(wrong(format!("{} bytes too many at the end", blob.len())));
    }
    Ok(())
}

/// The stages of which an instance has failed in a blob, as far as it is readable.
pub(super) fn failed(blob: &[u8]) -> Vec<StageKind> {
    let kinds = [StageKind::Cir, StageKind::Tomography, StageKind::Tracker];
    let mut failed = Vec::new();
    // The number of instances stands first; then one after the other, until something is none.
    let mut rest = blob.get(4..).unwrap_or_default();
    while let Ok((stage, has_failed)) = instance(&mut rest) {
        let kind = kinds.into_iter().find(|kind| *kind as u8 == stage);
        failed.extend(kind.filter(|kind| has_failed && !failed.contains(kind)));
    }
    failed
}

/// Goes over one instance: its stage, and whether it has failed.
fn instance(blob: &mut &[u8]) -> Result<(u8, bool), HostError> {
    let stage = take(blob, 1)?[0];
    u32_of(blob)?;
    let length = u32_of(blob)?;
    if length != FAILED {
        take(blob, length as usize)?;
    }
    Ok((stage, length == FAILED))
}

fn import_bench<K: Kind>(
    bench: &mut Bench<K>,
    schema: [u32; 3],
    within: Duration,
    blob: &mut &[u8],
) -> Result<(), HostError> {
    for index in 0..bench.len() {
        let stage = take(blob, 1)?[0];
        let found = u32_of(blob)?;
        let expected = schema[K::STAGE as usize];
        if stage != K::STAGE as u8 || found != expected {
            return Err(wrong(format!(
                "expected instance {index} of `{}` with state schema {expected}, found stage {stage}, schema {found}",
                K::STAGE.name()
            )));
        }
        let length = u32_of(blob)?;
        if length == FAILED {
            bench.end(StageRun::of(Disposition::Skipped));
            continue;
        }
        bench.import(index, take(blob, length as usize)?, within)?;
    }
    Ok(())
}

fn u32_of(blob: &mut &[u8]) -> Result<u32, HostError> {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(take(blob, 4)?);
    Ok(u32::from_le_bytes(bytes))
}

fn take<'a>(blob: &mut &'a [u8], length: usize) -> Result<&'a [u8], HostError> {
    let (head, rest) = blob
        .split_at_checked(length)
        .ok_or_else(|| wrong(format!("it ends {} bytes early", length - blob.len())))?;
    *blob = rest;
    Ok(head)
}

fn wrong(why: String) -> HostError {
    HostError::StateBlob { why }
}
