//! Every system call of the write path fails, or is where the process dies, in turn: `strace -e inject=`.
//!
//! After C. Tessera's `integration/fault/posix`: count the calls once, then hurt each. strace counts calls per thread,
//! so each victim is one thread: the starting thread (a new log; an existing one), and the writer thread, to which strace
//! is attached after the start.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    Extent, Found,
    oracle::{Place, finished, published, recovers},
    sample,
    victim::REFUSED,
};

/// Calls that create, write, order or remove. Those a kernel does not have are left out by `?`.
const CALLS: &str = "openat,?open,write,?writev,pwrite64,?pwritev,fsync,fdatasync,ftruncate,?fallocate,?rename,renameat,\
                     ?renameat2,?unlink,unlinkat,?mkdir,mkdirat,?chmod,fchmod,?flock";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    /// The starting thread, where there is no log yet.
    FirstStart,
    /// The starting thread, over a log that was killed.
    LaterStart,
    /// The writer thread, through eleven commits (so that one truncates or checkpoints the WAL) and its end.
    Writer,
}

const HURTS: [(&str, &str); 3] = [
    ("EIO", "error=EIO"),
    ("ENOSPC", "error=ENOSPC"),
    ("KILL", "signal=KILL"),
];

pub(crate) fn run(extent: Extent) -> Found {
    if Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        return Ok("SKIPPED: there is no strace here (Debian: `apt install strace`)".into());
    }
    let mut said = Vec::new();
    for victim in [Victim::FirstStart, Victim::LaterStart, Victim::Writer] {
        let calls = match count(victim) {
            Ok(calls) => calls,
            Err(why) if why.contains("ptrace") => return Ok(format!("SKIPPED: strace may not trace here: {why}")),
            Err(why) => return Err(format!("{victim:?}: {why}")),
        };
        let total = calls.len();
        let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in &calls {
            *by_name.entry(name).or_default() += 1;
        }
        let all: Vec<_> = calls
            .iter()
            .flat_map(|call| HURTS.map(|hurt| (call.clone(), hurt)))
            .collect();
        let (mut hit, mut refused) = (0, 0);
        for ((name, number), (hurt, how)) in sample(&all, extent.injections) {
            let what = || format!("{victim:?}: {hurt} at {name} number {number}");
            let place = prepared(victim);
            let inject = format!("inject={name}:{how}:when={number}");
            let (output, log) = traced(victim, &place, Some(&inject)).map_err(|e| format!("{}: {e}", what()))?;
            hit += usize::from(log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL +++"));
            refused += usize::from(output.status.code() == Some(i32::from(REFUSED)));
            recovers(&place, published(&output.stdout)).map_err(|problem| {
                format!(
                    "{}: {problem}\nvictim: {}",
                    what(),
                    String::from_utf8_lossy(&output.stderr)
                )
            })?;
        }
        let names: Vec<String> = by_name.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let hurt = sample(&all, extent.injections).len();
        // The calls of a run are the same but for a retry here and there.
        if hit * 10 < hurt * 9 {
            return Err(format!("{victim:?}: only {hit} of {hurt} injections took place"));
        }
        said.push(format!(
            "{victim:?}: {total} calls ({}), {hurt} hurt, {hit} took place, {refused} times the log refused to go on",
            names.join(", ")
        ));
    }
    Ok(said.join("; "))
}

fn prepared(victim: Victim) -> Place {
    let place = Place::new();
    if victim == Victim::LaterStart {
        let mut child = place.victim(&["--interval", "2"]).spawn().expect("the victim");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let _ = lines.find(|line| {
            line.as_ref()
                .is_ok_and(|line| line.strip_prefix("published ").is_some_and(|n| n != "0"))
        });
        child.kill().expect("a kill");
        child.wait().expect("its end");
    }
    place
}

/// The calls on files of the log, with the number of each among its like: what `when=` counts.
fn count(victim: Victim) -> Result<Vec<(String, usize)>, String> {
    let place = prepared(victim);
    let (output, log) = traced(victim, &place, None)?;
    if !output.status.success() {
        return Err(format!(
            "the victim failed unhurt: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let root = place.root().to_string_lossy().into_owned();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((name, rest)) = line.split_once('(') else {
            continue;
        };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        let number = numbers.entry(name).or_default();
        *number += 1;
        if rest.contains(&root) {
            calls.push((name.to_owned(), *number));
        }
    }
    if calls.len() < 10 {
        return Err(format!("strace saw only {} calls:\n{log}", calls.len()));
    }
    Ok(calls)
}

/// Runs a victim under strace; gives its output and strace's log.
fn traced(victim: Victim, place: &Place, inject: Option<&str>) -> Result<(std::process::Output, String), String> {
    let log = place.root().join("strace.log");
    let mut strace = Command::new("strace");
    strace
        .args(["-y", "-s", "0", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={CALLS}")]);
    if let Some(inject) = inject {
        strace.args(["-e", inject]);
    }
    let output = if victim == Victim::Writer {
        attached(strace, place)?
    } else {
        let inner = place.victim(&["--commits", "1"]);
        strace.arg(inner.get_program()).args(inner.get_args());
        strace
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = finished(strace.spawn().map_err(|e| format!("cannot start strace: {e}"))?)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("ptrace(") {
            return Err(stderr.into_owned());
        }
        output
    };
    Ok((output, read(&log)))
}

/// Attaches strace to the writer thread of a victim that waits for it.
fn attached(mut strace: Command, place: &Place) -> Result<std::process::Output, String> {
    let mut victim = place
        .victim(&["--commits", "11", "--wait"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start the victim: {e}"))?;
    let mut stdout = BufReader::new(victim.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    stdout.read_line(&mut line).map_err(|e| e.to_string())?;
    let thread = line
        .trim()
        .strip_prefix("writer ")
        .ok_or_else(|| format!("the victim said {line:?}"))?;
    strace
        .args(["-p", thread])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut strace = strace.spawn().map_err(|e| format!("cannot start strace: {e}"))?;
    let mut said = String::new();
    let mut stderr = BufReader::new(strace.stderr.take().ok_or("no messages")?);
    stderr.read_line(&mut said).map_err(|e| e.to_string())?;
    if !said.contains("attached") {
        end(&mut strace);
        end(&mut victim);
        return Err(said);
    }
    let _ = victim.stdin.take().ok_or("no input")?.write_all(b"\n");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut stdout, &mut rest).map_err(|e| e.to_string())?;
    let mut output = finished(victim)?;
    output.stdout = rest;
    strace.wait().map_err(|e| e.to_string())?;
    Ok(output)
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
