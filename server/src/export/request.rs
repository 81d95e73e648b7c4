//! Which rows are asked for.

use jiff::{Timestamp, civil::Date};
use rusqlite::Connection;

use super::What;
use crate::{
    rollup::{Calendar, Level},
    store::{
        StoreError,
        rollup::query::{self, MAX_POINTS},
    },
};

/// How fine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// The finest level that has the beginning and not more than 10,000 windows.
    #[default]
    Auto,
    /// This one.
    At(Level),
}

impl Resolution {
    /// `auto` or the name of a level.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "auto" {
            return Some(Self::Auto);
        }
        Level::ALL.into_iter().find(|l| l.name() == name).map(Self::At)
    }
}

/// A stretch of Unix time, seconds, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First second; none: as far back as there is.
    pub from_s: Option<i64>,
    /// First second after it; none: up to now.
    pub to_s: Option<i64>,
}

/// A table over a stretch of time, with nothing left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The table.
    pub what: What,
    /// Level of its rows; of events no matter.
    pub level: Level,
    /// First second.
    pub from_s: i64,
    /// First second after it.
    pub to_s: i64,
    /// False: of occupancy and events only what is no finer than a room.
    pub zones: bool,
}

impl Request {
    /// Settles what was left open by what the store has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn settle(
        db: &Connection,
        what: What,
        span: Span,
        resolution: Resolution,
        zones: bool,
    ) -> Result<Self, StoreError> {
        let mut extents = Vec::with_capacity(Level::ALL.len());
        for level in Level::ALL {
            extents.push(query::extent(db, level)?);
        }
        let oldest_s = extents.iter().filter_map(|e| e.from_s).min().unwrap_or(0);
        // The finest level knows most.
        let newest_s = extents[Level::Second as usize].to_s;
        let from_s = span.from_s.unwrap_or(oldest_s);
        let to_s = span.to_s.unwrap_or(newest_s);
        let level = match resolution {
            Resolution::At(level) => level,
            Resolution::Auto => query::finest(db, from_s.max(oldest_s), to_s.min(newest_s), MAX_POINTS)?,
        };
        // Before the first row and after the last there is nothing to look for. Events go back further than seconds do.
        let extent = extents[level as usize];
        let (from_s, to_s) = match what {
            What::Events => (from_s, to_s),
            _ => (from_s.max(extent.from_s.unwrap_or(to_s)), to_s.min(extent.to_s)),
        };
        Ok(Self {
            what,
            level,
            from_s,
            to_s,
            zones,
        })
    }

    /// Windows the answer has at most.
    pub fn windows(&self) -> u64 {
        let span_s = self.to_s.saturating_sub(self.from_s).max(0).cast_unsigned();
        span_s / self.level.usual_s().cast_unsigned() + 1
    }
}

/// A time that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}; expected {}", RequestError::EXPECTED)]
pub struct RequestError {
    /// As found, cut.
    pub found: String,
}

impl RequestError {
    /// What a time looks like.
    pub const EXPECTED: &'static str =
        "a time such as 2026-11-23T17:22:05Z, or a day of the site's calendar such as 2026-11-23";
}

/// Reads a time: RFC 3339, or the beginning of a day of the calendar. Unix seconds, rounded down.
///
/// # Errors
/// [`RequestError`].
pub fn time(text: &str, calendar: &Calendar) -> Result<i64, RequestError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_nanosecond().div_euclid(1_000_000_000) as i64);
    }
    day(text, calendar)
}

/// Reads the beginning of a day. Unix seconds.
///
/// # Errors
/// [`RequestError`].
pub fn day(text: &str, calendar: &Calendar) -> Result<i64, RequestError> {
    let invalid = || RequestError {
        found: text.chars().take(60).collect(),
    };
    // The parser of dates would take a time with its date and forget the time.
    if text.len() != 10 {
        return Err(invalid());
    }
    let date: Date = text.parse().map_err(|_| invalid())?;
    calendar.midnight(date).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_of_the_site() {
        let berlin = Calendar::of("Europe/Berlin").unwrap();
        let at = |text| time(text, &berlin);
        assert_eq!(at("2026-11-23T17:22:05.9Z"), Ok(1_795_454_525));
        assert_eq!(at("2026-11-23T18:22:05+01:00"), Ok(1_795_454_525));
        assert_eq!(at("2026-11-23"), at("2026-11-22T23:00:00Z"));
        assert_eq!(at("2026-07-01"), at("2026-06-30T22:00:00Z"));
        for bad in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-11-23T17:22",
            "2026-11-2",
            "1795454525",
        ] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }
}
