//! The disk is full: a small file system where the machine lets us mount one, and a limit on file sizes everywhere.

use std::{path::Path, process::Command};

use crate::{
    Extent, Found,
    oracle::{Place, finished, published, recovers},
    victim::REFUSED,
};

pub(crate) fn run(extent: Extent) -> Found {
    let limits: &[u64] = if extent.full {
        &[4 << 10, 40 << 10, 100_000, 300_001, 600 << 10, 1 << 20]
    } else {
        &[300_001]
    };
    for limit in limits {
        let place = Place::new();
        let victim = place.victim(&["--commits", "5000", "--file-limit", &limit.to_string()]);
        ends_and_recovers(victim, &place, || Ok(())).map_err(|problem| format!("files of {limit} bytes: {problem}"))?;
    }
    let mut said = format!("{} limits on file sizes", limits.len());
    let sizes: &[u32] = if extent.full {
        &[64, 256, 512, 1024, 2048, 4096]
    } else {
        &[1024]
    };
    for size_kib in sizes {
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        if let Err(why) = mount(directory.path(), &format!("size={size_kib}k")) {
            said.push_str(&format!("; small file systems SKIPPED: {why}"));
            return Ok(said);
        }
        let place = Place::at(directory.path());
        let victim = place.victim(&["--commits", "5000"]);
        let grow = || mount(directory.path(), "remount,size=64m");
        let result = ends_and_recovers(victim, &place, grow);
        let _ = Command::new("umount").arg(directory.path()).status();
        result.map_err(|problem| format!("a disk of {size_kib} KiB: {problem}"))?;
    }
    said.push_str(&format!(
        "; {} full file systems; each time the log said so, and went on with room",
        sizes.len()
    ));
    Ok(said)
}

fn ends_and_recovers(
    mut victim: Command,
    place: &Place,
    make_room: impl Fn() -> Result<(), String>,
) -> Result<(), String> {
    let output = finished(victim.spawn().map_err(|e| format!("cannot start the victim: {e}"))?)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(i32::from(REFUSED)) {
        return Err(format!("the victim did not refuse: {}, {stderr}", output.status));
    }
    let reasons = ["full", "No space", "File too large", "disk I/O error"];
    if !reasons.iter().any(|reason| stderr.contains(reason)) {
        return Err(format!("the reason does not name the disk: {stderr}"));
    }
    // While there is no room a start may be refused, but harms nothing.
    drop(place.open());
    make_room()?;
    recovers(place, published(&output.stdout)).map(|_| ())
}

fn mount(at: &Path, options: &str) -> Result<(), String> {
    let output = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(at)
        .output()
        .map_err(|e| format!("cannot start mount: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
