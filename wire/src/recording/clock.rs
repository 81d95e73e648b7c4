//! Microsecond counters of 32 bits, which start over every 71 minutes.

/// Unwraps a counter; steps back of less than half its range are steps back.
#[derive(Default)]
pub(crate) struct WrappingClock {
    last: Option<u32>,
    total_us: i64,
}

impl WrappingClock {
    /// Nanoseconds since the counter's zero before the first reading.
    pub(crate) fn ns(&mut self, now_us: u32) -> i64 {
        self.total_us += match self.last {
            Some(last) => i64::from(now_us.wrapping_sub(last) as i32),
            None => now_us.into(),
        };
        self.last = Some(now_us);
        self.total_us * 1000
    }
}
