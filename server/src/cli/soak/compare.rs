//! Two reports, field by field: a guardrail for later changes.

use std::path::Path;

use serde_json::Value;

use super::super::output::{Failure, Outcome, Result, print};

/// How far a field may be from what it was.
enum Band {
    /// By this share of it.
    Share(f64),
    /// By this much.
    By(f64),
    /// At most this share more; less is fine.
    NotAbove(f64),
    /// At most this share less; more is fine.
    NotBelow(f64),
}

/// The fields, by their place in a report. What only one report has is not compared.
const FIELDS: [(&str, Band); 13] = [
    ("/summary/total_frames", Band::Share(0.01)),
    ("/summary/variance_mean", Band::Share(0.2)),
    ("/summary/variance_std", Band::Share(0.25)),
    ("/summary/confidence_mean", Band::By(0.05)),
    ("/summary/kp_spread_mean", Band::Share(0.1)),
    ("/summary/kp_spread_std", Band::Share(0.25)),
    ("/summary/person_count_changes", Band::Share(0.25)),
    ("/summary/presence_ratio", Band::By(0.02)),
    ("/soak/links", Band::Share(0.0)),
    ("/soak/cycles_per_s", Band::NotBelow(0.25)),
    ("/soak/last/p99_us", Band::NotAbove(0.25)),
    ("/soak/last/rss_kb", Band::NotAbove(0.1)),
    ("/soak/last/database_bytes", Band::NotAbove(0.1)),
];

impl Band {
    fn holds(&self, before: f64, after: f64) -> bool {
        let off = after - before;
        match self {
            Self::Share(share) => off.abs() <= share * before.abs(),
            Self::By(by) => off.abs() <= *by,
            Self::NotAbove(share) => off <= share * before.abs(),
            Self::NotBelow(share) => -off <= share * before.abs(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Share(share) => format!("{:.0} % of it either way", 100.0 * share),
            Self::By(by) => format!("{by} either way"),
            Self::NotAbove(share) => format!("{:.0} % more", 100.0 * share),
            Self::NotBelow(share) => format!("{:.0} % less", 100.0 * share),
        }
    }
}

pub(super) fn compare(before: &Path, after: &Path) -> Result {
    let [before, after] = [read(before)?, read(after)?];
    let (compared, left) = first_outside(&before, &after);
    if compared == 0 {
        return Err(Failure(
            "the two files have no field in common: are they soak reports?".to_owned(),
        ));
    }
    match left {
        Some(line) => {
            print(&line);
            Ok(Outcome::No)
        }
        None => {
            print(&format!("{compared} fields are within their bands"));
            Ok(Outcome::Yes)
        }
    }
}

/// How many fields both have, and the first that left its band.
fn first_outside(before: &Value, after: &Value) -> (usize, Option<String>) {
    let mut compared = 0;
    for (place, band) in FIELDS {
        let (Some(was), Some(is)) = (number(before, place), number(after, place)) else {
            continue;
        };
        compared += 1;
        if !band.holds(was, is) {
            let name = place.trim_start_matches('/').replace('/', ".");
            let line = format!("{name}: was {was}, is {is}; allowed: {}", band.text());
            return (compared, Some(line));
        }
    }
    (compared, None)
}

/// A number of a report; `last` stands for the last row of the hours.
fn number(report: &Value, place: &str) -> Option<f64> {
    match place.strip_prefix("/soak/last/") {
        Some(field) => report.pointer("/soak/hours")?.as_array()?.last()?.get(field)?.as_f64(),
        None => report.pointer(place)?.as_f64(),
    }
}

fn read(path: &Path) -> std::result::Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure(format!("cannot read {}: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| Failure(format!("{} is no report: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_field_outside_its_band_is_named() {
        let report = |presence: f64, p99: u64| {
            json!({
                "summary": { "presence_ratio": presence, "total_frames": 100 },
                "soak": { "hours": [{ "p99_us": 1 }, { "p99_us": p99 }] },
            })
        };
        let base = report(0.5, 1_000);
        assert_eq!(first_outside(&base, &base), (3, None));
        assert_eq!(
            first_outside(&base, &report(0.519, 500)),
            (3, None),
            "faster is no change for the worse"
        );
        let (_, left) = first_outside(&base, &report(0.53, 9_000));
        assert_eq!(
            left.unwrap(),
            "summary.presence_ratio: was 0.5, is 0.53; allowed: 0.02 either way"
        );
        let (_, left) = first_outside(&base, &report(0.5, 1_300));
        assert!(left.unwrap().starts_with("soak.last.p99_us: was 1000, is 1300"));
        assert_eq!(first_outside(&base, &json!({})), (0, None));
    }
}
