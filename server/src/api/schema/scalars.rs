//! Scalars: numbers beyond 32 bits, points in time, exact decimals.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// Largest whole number a JSON reader keeps exact: 2^53 - 1.
const EXACT: i64 = (1 << 53) - 1;

/// A whole number from -(2^53 - 1) to 2^53 - 1, as a JSON number: cycles, ticks, milliseconds, counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Long(pub(crate) i64);

impl From<u64> for Long {
    fn from(n: u64) -> Self {
        Self(i64::try_from(n).unwrap_or(EXACT).min(EXACT))
    }
}

impl From<i64> for Long {
    fn from(n: i64) -> Self {
        Self(n.clamp(-EXACT, EXACT))
    }
}

impl Long {
    /// The number when it is not negative.
    pub(crate) fn unsigned(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

/// A whole number from -(2^53 - 1) to 2^53 - 1, as a JSON number: cycles, ticks, milliseconds, counts.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(n) => n
                .as_i64()
                .filter(|n| n.abs() <= EXACT)
                .map(Self)
                .ok_or_else(|| InputValueError::custom("expected a whole number between -(2^53 - 1) and 2^53 - 1")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp {
    /// Unix nanoseconds.
    pub(crate) wall_ns: i64,
}

/// A point in time, RFC 3339 in UTC with milliseconds, for example `2026-11-23T17:22:05.250Z`.
#[Scalar(name = "Timestamp")]
impl ScalarType for Timestamp {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let at: jiff::Timestamp = text.parse().map_err(|_| {
            InputValueError::custom("expected a point in time in RFC 3339, such as 2026-11-23T17:22:05Z")
        })?;
        let wall_ns = i64::try_from(at.as_nanosecond())
            .map_err(|_| InputValueError::custom("expected a point in time between the years 1678 and 2262"))?;
        Ok(Self { wall_ns })
    }

    fn to_value(&self) -> Value {
        Value::String(rfc3339(self.wall_ns))
    }
}

/// RFC 3339 text of Unix nanoseconds. Days to a civil date after Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`.
fn rfc3339(wall_ns: i64) -> String {
    let ms = wall_ns.div_euclid(1_000_000);
    let (days, ms_of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * m + 2) / 5 + 1, if m < 10 { m + 3 } else { m - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (s, ms) = (ms_of_day / 1_000, ms_of_day % 1_000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        s / 3_600,
        s / 60 % 60,
        s % 60
    )
}

/// The shortest decimal that reads back as the same `f32`, as `f64`: `0.1_f32` leaves as `0.1`, not as
/// `0.10000000149011612`, and a client that rounds to `f32` has the committed bits.
pub(crate) fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or_else(|_| f64::from(x))
}

/// Hex of a digest or id.
pub(crate) fn hex(bytes: &[u8]) -> String {
    ::hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999Z"),
            (951_827_696_789_000_000, "2000-02-29T12:34:56.789Z"),
            (1_795_454_525_250_000_000, "2026-11-23T17:22:05.250Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ns), text);
        }
    }

    #[test]
    fn decimals_keep_the_bits() {
        for x in [0.1_f32, -0.0, 1.0 / 3.0, f32::MIN_POSITIVE, f32::MAX, 2437.0] {
            assert_eq!((decimal(x) as f32).to_bits(), x.to_bits());
        }
        assert_eq!(decimal(0.1).to_string(), "0.1");
    }

    #[test]
    fn longs_stay_exact() {
        assert_eq!(Long::from(u64::MAX).0, EXACT);
        assert!(Long::parse(Value::from(1_i64 << 53)).is_err());
        assert!(Long::parse(Value::from("7")).is_err());
        assert_eq!(Long::parse(Value::from(7)).unwrap(), Long(7));
    }
}
