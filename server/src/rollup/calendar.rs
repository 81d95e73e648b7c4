//! Windows of time: seconds and minutes are those of Unix time, hours and days those of the site's time zone.

use std::fmt;

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};

/// How much a row spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// One second.
    Second = 0,
    /// One minute.
    Minute = 1,
    /// One hour of the site's clock.
    Hour = 2,
    /// One day of the site's calendar; 23 to 25 hours.
    Day = 3,
}

impl Level {
    /// Finest first.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The next coarser level.
    pub fn above(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// The next finer level.
    pub fn below(self) -> Option<Self> {
        (self as usize).checked_sub(1).map(|i| Self::ALL[i])
    }

    /// Usual length of a window, seconds.
    pub const fn usual_s(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its name: `1s`, `1min`, `1h`, `1d`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "1s",
            Self::Minute => "1min",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }
}

/// A stretch of Unix time, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// First second.
    pub start_s: i64,
    /// First second after it.
    pub end_s: i64,
}

/// A time zone in which hours and days begin.
#[derive(Clone)]
pub struct Calendar {
    zone: TimeZone,
    name: String,
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calendar({})", self.name)
    }
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            name: "UTC".to_owned(),
        }
    }
}

impl Calendar {
    /// The calendar of an IANA time zone; none when this program's data base (built in, the same on every machine)
    /// does not have it.
    pub fn of(zone: &str) -> Option<Self> {
        if zone == "UTC" {
            return Some(Self::default());
        }
        Some(Self {
            zone: TimeZone::get(zone).ok()?,
            name: zone.to_owned(),
        })
    }

    /// Name of the zone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The window of a level in which a second lies. Windows of a level do not overlap and leave nothing out; each
    /// lies in one window of the next level.
    pub fn window(&self, level: Level, t_s: i64) -> Window {
        let floor = |unit: i64| t_s - t_s.rem_euclid(unit);
        match level {
            Level::Second => Window {
                start_s: t_s,
                end_s: t_s + 1,
            },
            Level::Minute => Window {
                start_s: floor(60),
                end_s: floor(60) + 60,
            },
            Level::Hour => self.hour(t_s),
            Level::Day => self.day(t_s).unwrap_or(Window {
                start_s: floor(86_400),
                end_s: floor(86_400) + 86_400,
            }),
        }
    }

    /// First second of a day of the site; none outside of the calendar's years.
    pub fn midnight(&self, day: jiff::civil::Date) -> Option<i64> {
        let start = self
            .zone
            .to_ambiguous_zoned_datetime(day.at(0, 0, 0, 0))
            .compatible()
            .ok()?;
        Some(start.start_of_day().ok()?.timestamp().as_second())
    }

    fn offset(&self, t_s: i64) -> i64 {
        let at = Timestamp::from_second(t_s).map(|t| self.zone.to_offset(t));
        i64::from(at.unwrap_or(Offset::UTC).seconds())
    }

    fn hour(&self, t_s: i64) -> Window {
        let into = (t_s + self.offset(t_s)).rem_euclid(3_600);
        let (mut start_s, mut end_s) = (t_s - into, t_s - into + 3_600);
        // A zone that moves its clocks by half an hour cuts an hour in two.
        if (self.offset(start_s) - self.offset(end_s - 1)) % 3_600 != 0
            && let Ok(from) = Timestamp::from_second(start_s)
            && let Some(change) = self.zone.following(from).next()
        {
            let change_s = change.timestamp().as_second();
            if change_s <= t_s {
                start_s = change_s;
            } else if change_s < end_s {
                end_s = change_s;
            }
        } else if (self.offset(start_s) - self.offset(t_s)) % 3_600 != 0
            && let Ok(from) = Timestamp::from_second(start_s)
            && let Some(change) = self.zone.following(from).next()
        {
            start_s = change.timestamp().as_second();
        }
        Window { start_s, end_s }
    }

    fn day(&self, t_s: i64) -> Option<Window> {
        let at = Timestamp::from_second(t_s).ok()?.to_zoned_datetime(self.zone.clone());
        let start = at.start_of_day().ok()?;
        let end = at.tomorrow().ok()?.start_of_day().ok()?;
        Some(Window {
            start_s: start.timestamp().as_second(),
            end_s: end.timestamp().as_second(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn days_are_those_of_the_zone_and_may_have_23_or_25_hours() {
        let berlin = Calendar::of("Europe/Berlin").unwrap();
        let hours = |noon: &str| {
            let day = berlin.window(Level::Day, at(noon));
            (day.end_s - day.start_s) / 3_600
        };
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("2026-07-01T12:00:00Z"), 24);
        let day = berlin.window(Level::Day, at("2026-07-01T22:30:00Z"));
        assert_eq!(day.start_s, at("2026-07-01T22:00:00Z"));
        assert_eq!(Calendar::of("Mars/Olympus").map(|c| c.name), None);
    }

    /// Lord Howe moves its clocks by half an hour; Kathmandu is 5:45 ahead; Santiago has days that begin at one.
    #[test]
    fn windows_cover_all_time_and_nest() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "America/Santiago",
            "America/St_Johns",
        ] {
            let calendar = Calendar::of(zone).unwrap();
            for level in [Level::Minute, Level::Hour, Level::Day] {
                // Ten days round each change of 2026.
                for middle in [
                    "2026-03-29T01:00:00Z",
                    "2026-04-05T00:00:00Z",
                    "2026-09-06T04:00:00Z",
                    "2026-10-03T15:30:00Z",
                    "2026-10-25T01:00:00Z",
                ] {
                    let (from, to) = (at(middle) - 2 * 86_400, at(middle) + 2 * 86_400);
                    let mut t = calendar.window(level, from).start_s;
                    while t < to {
                        let window = calendar.window(level, t);
                        assert_eq!(window.start_s, t, "{zone} {level:?}");
                        assert!(window.end_s > t, "{zone} {level:?} {t}");
                        for inside in [t, (t + window.end_s) / 2, window.end_s - 1] {
                            assert_eq!(calendar.window(level, inside), window, "{zone} {level:?} {inside}");
                        }
                        if let Some(above) = level.above() {
                            let outer = calendar.window(above, t);
                            assert!(
                                outer.start_s <= t && window.end_s <= outer.end_s,
                                "{zone} {level:?} {t}"
                            );
                        }
                        t = window.end_s;
                    }
                }
            }
        }
    }
}
