//! SIGKILL at a random moment of a process that appends at full speed; the next one goes on with what is left.

use std::{
    io::{BufRead, BufReader, Read},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    Extent, Found, Lcg,
    oracle::{Place, published, recovers},
};

/// Kills of one log before a new one is begun: `fsck` reads all of it each time.
const KILLS_OF_A_LOG: u32 = 25;

pub(crate) fn run(extent: Extent) -> Found {
    // Any moment will do; these differ from run to run.
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |d| d.as_nanos() as u64);
    let mut random = Lcg(seed);
    let mut place = Place::new();
    let (mut most, mut beyond, mut leaves) = (0, 0, 0);
    for round in 0..extent.kills {
        if round % KILLS_OF_A_LOG == 0 {
            place = Place::new();
            most = 0;
        }
        let mut child = place
            .victim(&["--interval", "2"])
            .spawn()
            .map_err(|e| format!("cannot start the victim: {e}"))?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no output")?);
        // Half of the kills come at any time after the start, half while it certainly writes.
        let mut seen = String::new();
        if random.next().is_multiple_of(2) {
            stdout.read_line(&mut seen).map_err(|e| e.to_string())?;
        }
        std::thread::sleep(Duration::from_micros(random.next() % 80_000));
        child.kill().map_err(|e| e.to_string())?;
        let mut said = seen.into_bytes();
        stdout.read_to_end(&mut said).map_err(|e| e.to_string())?;
        child.wait().map_err(|e| e.to_string())?;
        most = published(&said).max(most);
        let found = recovers(&place, most).map_err(|problem| format!("kill {round} (seed {seed}): {problem}"))?;
        beyond += u32::from(found > most);
        leaves += found.saturating_sub(most);
        // Recovering appended to it.
        most = most.max(found);
    }
    Ok(format!(
        "{} kills at full speed, nothing published lost; {beyond} times more was durable than was said ({leaves} leaves)",
        extent.kills
    ))
}
