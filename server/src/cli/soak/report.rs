//! The report: the fields of the published baseline, and beside them what a soak is about.

use std::fmt::Write as _;

use serde::Serialize;

use super::recount::Compared;

/// Rows of the first two hours are warming up.
const SETTLED: usize = 2;
/// The resident set of the last hour may differ by this share from that of the second.
const RSS_SHARE: f64 = 0.02;
/// The 99th percentile of the last quarter may be above that of the first, warming up left out, by this share.
const P99_SHARE: f64 = 0.25;
/// Most bytes a day that may be added once what is bounded by time is full.
const GROWTH_BYTES: f64 = 5e6;
/// Most nodes of the live graph: 256 events, and room for areas, links and people.
const GRAPH_NODES: usize = 1_024;

/// A whole report.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) samples: Vec<Sample>,
    pub(super) summary: Summary,
    pub(super) soak: Soaked,
}

/// One cycle of some. `variance`: the greatest motion statistic of a link over its quiet level; `motion`: their mean;
/// `kp_spread`: root mean square distance of the first person's joints from their middle, metres.
#[derive(Serialize)]
pub(super) struct Sample {
    pub(super) tick: u64,
    pub(super) n_nodes: usize,
    pub(super) variance: f64,
    pub(super) motion: f64,
    pub(super) presence: bool,
    pub(super) confidence: Option<f32>,
    pub(super) est_persons: Option<u16>,
    pub(super) n_persons_rendered: usize,
    pub(super) kp_spread: f64,
    pub(super) rssi: Vec<Option<f64>>,
}

/// Over every cycle.
#[derive(Serialize)]
pub(super) struct Summary {
    pub(super) variance_mean: f64,
    pub(super) variance_std: f64,
    pub(super) confidence_mean: f64,
    pub(super) kp_spread_mean: f64,
    pub(super) kp_spread_std: f64,
    pub(super) person_count_changes: u64,
    pub(super) presence_ratio: f64,
    pub(super) total_frames: u64,
}

/// What grew and what did not.
#[derive(Default, Serialize)]
pub(super) struct Soaked {
    pub(super) links: usize,
    pub(super) cycles: u64,
    pub(super) seconds: f64,
    pub(super) cycles_per_s: f64,
    pub(super) keep_hours: f64,
    pub(super) window_tiles: u64,
    pub(super) build: &'static str,
    /// `verified`, or what `fsck` found.
    pub(super) chain: String,
    pub(super) leaves: u64,
    pub(super) minimum_index: u64,
    pub(super) rollups: u64,
    pub(super) opened: u64,
    /// Rollup rows compared with a second count of the cycles, and what was wrong.
    pub(super) recounted: Compared,
    pub(super) counted_wrong: Option<String>,
    /// Bytes of each table and index at the end.
    pub(super) space: Vec<(String, u64)>,
    pub(super) hours: Vec<Hour>,
}

/// A virtual hour, or a quarter of a shorter run.
#[derive(Serialize)]
pub(super) struct Hour {
    pub(super) until_h: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) rss_kb: u64,
    pub(super) graph_nodes: usize,
    pub(super) graph_edges: usize,
    pub(super) database_bytes: u64,
    pub(super) wal_bytes: u64,
}

impl Soaked {
    /// Bytes a day that the database grew by after everything that time bounds was full; none when that was too short
    /// to tell.
    pub(super) fn growth_bytes_a_day(&self) -> Option<f64> {
        let full = self.hours.iter().find(|h| h.until_h >= self.keep_hours + 2.0)?;
        let last = self.hours.last()?;
        let hours = last.until_h - full.until_h;
        (hours >= 2.0).then(|| (last.database_bytes as f64 - full.database_bytes as f64) * 24.0 / hours)
    }

    /// What was to hold and does not.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.chain != "verified" {
            problems.push(format!("the log is not whole:\n{}", self.chain));
        }
        if let Some(why) = &self.counted_wrong {
            problems.push(why.clone());
        } else if self.recounted.windows[1] == 0 && self.cycles > 4_000 {
            problems.push("no minute was rolled up".to_owned());
        }
        if let Some(most) = self
            .hours
            .iter()
            .map(|h| h.graph_nodes)
            .max()
            .filter(|n| *n > GRAPH_NODES)
        {
            problems.push(format!(
                "the live graph had {most} nodes, at most {GRAPH_NODES} were expected"
            ));
        }
        let hours = self.hours.last().map_or(0.0, |h| h.until_h);
        // A window has to be full, and then its time has to be over.
        let window_h = self.window_tiles as f64 * 256.0 / super::HOUR as f64;
        if hours > self.keep_hours + 2.0 * window_h + 0.05 && self.minimum_index == 0 {
            problems.push(format!("no leaf was pruned in {hours:.2} virtual hours"));
        }
        // A short run has rows of minutes: they say nothing of a resident set that settles.
        let settled = self.hours.get(SETTLED - 1).filter(|h| h.until_h >= SETTLED as f64);
        if let (Some(second), Some(last)) = (settled, self.hours.last()) {
            let grown = last.rss_kb as f64 / second.rss_kb.max(1) as f64 - 1.0;
            if grown.abs() > RSS_SHARE {
                problems.push(format!(
                    "the resident set was {} kB after the second hour and {} kB after the last: {:+.1} %, 2 % was allowed",
                    second.rss_kb,
                    last.rss_kb,
                    100.0 * grown
                ));
            }
            // One hour's tail is the machine's: the median of a quarter of all rows is the program's.
            let quarter = (self.hours.len() / 4).max(1);
            let begin = median_p99(&self.hours[SETTLED - 1..][..quarter.min(self.hours.len() + 1 - SETTLED)]);
            let end = median_p99(&self.hours[self.hours.len() - quarter..]);
            if end as f64 > begin as f64 * (1.0 + P99_SHARE) {
                problems.push(format!(
                    "the 99th percentile of a cycle rose from {begin} us in the first quarter to {end} us in the last"
                ));
            }
        }
        if let Some(growth) = self.growth_bytes_a_day().filter(|growth| *growth > GROWTH_BYTES) {
            problems.push(format!(
                "the full database grows by {:.1} MB a day, 5 were allowed",
                growth / 1e6
            ));
        }
        problems
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{} cycles of {} link paths in {:.0} s: {:.0} cycles/s ({} build)\n\
             log {}; {} leaves, pruned below {}, {} rollups, {} cycles opened\n",
            self.cycles,
            self.links,
            self.seconds,
            self.cycles_per_s,
            self.build,
            self.chain,
            self.leaves,
            self.minimum_index,
            self.rollups,
            self.opened
        );
        let [seconds, minutes, hours, days] = self.recounted.windows;
        let _ = writeln!(
            text,
            "rollups counted again from the cycles: {seconds} seconds, {minutes} minutes, {hours} hours, {days} days, {} rows: {}",
            self.recounted.rows,
            if self.counted_wrong.is_none() {
                "equal"
            } else {
                "NOT equal"
            }
        );
        if let Some(growth) = self.growth_bytes_a_day() {
            let _ = writeln!(text, "growth once full: {:.2} MB a day", growth / 1e6);
        }
        text.push_str("\n| until hour | p50 us | p99 us | RSS MB | nodes | edges | database MB | WAL MB |\n|---|---|---|---|---|---|---|---|\n");
        for h in &self.hours {
            let _ = writeln!(
                text,
                "| {:.2} | {} | {} | {:.1} | {} | {} | {:.1} | {:.1} |",
                h.until_h,
                h.p50_us,
                h.p99_us,
                h.rss_kb as f64 / 1e3,
                h.graph_nodes,
                h.graph_edges,
                h.database_bytes as f64 / 1e6,
                h.wal_bytes as f64 / 1e6
            );
        }
        text.push_str("\n| table or index | MB |\n|---|---|\n");
        for (name, bytes) in &self.space {
            let _ = writeln!(text, "| {name} | {:.2} |", *bytes as f64 / 1e6);
        }
        text
    }
}

/// Median of the 99th percentiles of some rows, microseconds.
fn median_p99(hours: &[Hour]) -> u64 {
    let mut all: Vec<u64> = hours.iter().map(|h| h.p99_us).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
