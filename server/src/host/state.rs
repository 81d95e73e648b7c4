//! The state of all instances in one blob.
//!
//! `u32` number of instances, then for each, stages in pipeline order, groups ascending: `u8` stage, `u32`
//! state schema, `u32` length, bytes. Integers little-endian. Nothing may follow.

use tapline_plugin_api::StageKind;

use super::{
    bench::Bench,
    error::HostError,
    generation::{Generation, PATIENCE},
    kind::Kind,
};

pub(super) fn export(generation: &mut Generation, into: &mut Vec<u8>) -> Result<(), HostError> {
    let begin = into.len();
    let result = export_all(generation, into);
    if result.is_err() {
        into.truncate(begin);
    }
    result
}

fn export_all(generation: &mut Generation, into: &mut Vec<u8>) -> Result<(), HostError> {
    let count = generation.cir.len() + generation.tomography.len() + generation.tracker.len();
    into.extend_from_slice(&(count as u32).to_le_bytes());
    let schema = schemas(generation);
    export_bench(&mut generation.cir, schema, into)?;
    export_bench(&mut generation.tomography, schema, into)?;
    export_bench(&mut generation.tracker, schema, into)
}

fn schemas(generation: &Generation) -> [u32; 3] {
    [StageKind::Cir, StageKind::Tomography, StageKind::Tracker]
        .map(|stage| generation.manifest.plugin(stage).map_or(0, |row| row.state_schema))
}

fn export_bench<K: Kind>(bench: &mut Bench<K>, schema: [u32; 3], into: &mut Vec<u8>) -> Result<(), HostError> {
    for index in 0..bench.len() {
        let state = bench.export(index, PATIENCE)?;
        into.push(K::STAGE as u8);
        into.extend_from_slice(&schema[K::STAGE as usize].to_le_bytes());
        into.extend_from_slice(&(state.len() as u32).to_le_bytes());
        into.extend_from_slice(&state);
    }
    Ok(())
}

pub(super) fn import(generation: &mut Generation, mut blob: &[u8]) -> Result<(), HostError> {
    let count = generation.cir.len() + generation.tomography.len() + generation.tracker.len();
    let found = u32_of(&mut blob)? as usize;
    if found != count {
        return Err(wrong(format!(
            "it holds {found} instances, this configuration has {count}"
        )));
    }
    let schema = schemas(generation);
    import_bench(&mut generation.cir, schema, &mut blob)?;
    import_bench(&mut generation.tomography, schema, &mut blob)?;
    import_bench(&mut generation.tracker, schema, &mut blob)?;
    if !blob.is_empty() {
        return Err(wrong(format!("{} bytes too many at the end", blob.len())));
    }
    Ok(())
}

fn import_bench<K: Kind>(bench: &mut Bench<K>, schema: [u32; 3], blob: &mut &[u8]) -> Result<(), HostError> {
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
        let length = u32_of(blob)? as usize;
        bench.import(index, take(blob, length)?, PATIENCE)?;
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
