//! May a node's clock be used to compare it with others?
//!
//! A frame's delay from capture to arrival is the difference of the clocks plus whatever the network added, and the
//! network only adds. So the least delay of each second follows the clocks (as in NTP's clock filter); over half a
//! minute a straight line through it is the drift, and what is left is how far the node's times can be trusted.
//! The limits are those known from other arrays: 200 us to be admitted, five times as much to be only watched, nine
//! seconds without a frame to be stale.

use crate::detmath;

/// Seconds that are remembered.
const BINS: usize = 32;
/// Seconds that must be known before a clock is judged.
const BINS_MIN: usize = 8;
/// Spread up to which a clock is admitted, seconds.
pub const ADMIT_S: f64 = 200e-6;
/// Spread from which it is rejected, seconds.
pub const REJECT_S: f64 = 5.0 * ADMIT_S;
/// Silence after which it is rejected, seconds.
pub const STALE_S: f64 = 9.0;
/// No crystal is off by more; a clock that is does not count time, parts per million.
const DRIFT_MAX_PPM: f64 = 500.0;

/// May the clock be used?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// Yes.
    Admit,
    /// Its times are shown, not used.
    MonitorOnly,
    /// No.
    Reject,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockReason {
    /// The spread is small enough.
    Steady,
    /// Fewer than eight seconds are known.
    TooShort,
    /// The spread is too large.
    Dispersed,
    /// Nothing for nine seconds.
    Stale,
    /// It runs backwards, or at a speed no crystal has.
    Invalid,
    /// Its frames carry no time of capture.
    NoTime,
}

/// What is known of a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockReport {
    /// May it be used?
    pub state: ClockState,
    /// Why.
    pub reason: ClockReason,
    /// Standard deviation about the straight line, seconds; none before eight seconds.
    pub spread_s: Option<f64>,
    /// Speed against our clock, parts per million; none before eight seconds.
    pub drift_ppm: Option<f64>,
}

/// The clock of one node. It never allocates after it was made.
#[derive(Clone, Debug)]
pub struct ClockWatch {
    /// (second of arrival, least delay in it), ascending; at most [`BINS`].
    bins: Vec<(i64, f64)>,
    /// Arrival and capture of the last frame, ns.
    last: Option<(i64, i64)>,
    backwards: bool,
    frames_without_time: bool,
    /// True from the first frame on that carries its time: then clock messages are not needed.
    frames_with_time: bool,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self {
            bins: Vec::with_capacity(BINS),
            last: None,
            backwards: false,
            frames_without_time: false,
            frames_with_time: false,
        }
    }
}

impl ClockWatch {
    /// Takes a frame: when it arrived, and when the node says that it was captured.
    pub fn frame(&mut self, arrival_ns: i64, capture_us: Option<u64>) {
        let Some(capture_us) = capture_us else {
            self.frames_without_time = true;
            return;
        };
        if !self.frames_with_time {
            // It may be another clock than that of the clock messages before.
            self.bins.clear();
            self.last = None;
            self.frames_with_time = true;
        }
        self.take(arrival_ns, capture_us);
    }

    /// Takes a clock message of a node: when it arrived, and what the node's clock was when it was sent. It counts for
    /// nodes only whose frames carry no time.
    pub fn message(&mut self, arrival_ns: i64, sent_us: u64) {
        if !self.frames_with_time {
            self.take(arrival_ns, sent_us);
        }
    }

    fn take(&mut self, arrival_ns: i64, capture_us: u64) {
        // Beyond this no clock counts: 2^63 ns are 292 years. Half of it keeps the difference below in range.
        let Some(capture_ns) = i64::try_from(capture_us)
            .ok()
            .and_then(|us| us.checked_mul(1_000))
            .filter(|ns| *ns <= i64::MAX / 2)
        else {
            self.backwards = true;
            return;
        };
        if let Some((_, before_ns)) = self.last {
            // A restart begins a new clock; within a boot time never goes back by more than frames overtake each other.
            if capture_ns < before_ns - 1_000_000_000 {
                self.bins.clear();
                self.backwards = capture_ns > 60_000_000_000;
            }
        }
        self.last = Some((arrival_ns, capture_ns));
        let (second, delay_s) = (
            arrival_ns.div_euclid(1_000_000_000),
            arrival_ns.saturating_sub(capture_ns) as f64 * 1e-9,
        );
        match self.bins.last_mut() {
            Some((newest, least)) if *newest == second => *least = detmath::min64(*least, delay_s),
            _ => {
                if self.bins.len() == BINS {
                    self.bins.remove(0);
                }
                self.bins.push((second, delay_s));
            }
        }
    }

    /// What is known at this time.
    pub fn report(&self, now_ns: i64) -> ClockReport {
        let answer = |state, reason, fit: Option<(f64, f64)>| ClockReport {
            state,
            reason,
            spread_s: fit.map(|f| f.0),
            drift_ppm: fit.map(|f| f.1),
        };
        let Some((arrival_ns, _)) = self.last else {
            let reason = if self.backwards {
                ClockReason::Invalid
            } else if self.frames_without_time {
                ClockReason::NoTime
            } else {
                ClockReason::Stale
            };
            return answer(ClockState::Reject, reason, None);
        };
        let fit = self.fit();
        if now_ns.saturating_sub(arrival_ns) as f64 * 1e-9 > STALE_S {
            return answer(ClockState::Reject, ClockReason::Stale, fit);
        }
        let Some((spread_s, drift_ppm)) = fit else {
            return answer(ClockState::MonitorOnly, ClockReason::TooShort, None);
        };
        let (state, reason) = if self.backwards || !(-DRIFT_MAX_PPM..=DRIFT_MAX_PPM).contains(&drift_ppm) {
            (ClockState::Reject, ClockReason::Invalid)
        } else if spread_s <= ADMIT_S {
            (ClockState::Admit, ClockReason::Steady)
        } else if spread_s < REJECT_S {
            (ClockState::MonitorOnly, ClockReason::Dispersed)
        } else {
            (ClockState::Reject, ClockReason::Dispersed)
        };
        answer(state, reason, fit)
    }

    /// Spread about the line in seconds, and the line's slope in parts per million.
    fn fit(&self) -> Option<(f64, f64)> {
        // The newest second is not over yet: its least delay may still fall.
        let bins = self.bins.split_last().map_or(&[][..], |(_, whole)| whole);
        if bins.len() < BINS_MIN {
            return None;
        }
        let n = bins.len() as f64;
        let (t0, d0) = bins[0];
        let points = || bins.iter().map(|(t, d)| ((t - t0) as f64, d - d0));
        let mean_t = points().map(|p| p.0).sum::<f64>() / n;
        let mean_d = points().map(|p| p.1).sum::<f64>() / n;
        let sxx: f64 = points().map(|(t, _)| (t - mean_t) * (t - mean_t)).sum();
        let sxy: f64 = points().map(|(t, d)| (t - mean_t) * (d - mean_d)).sum();
        let slope = sxy / sxx;
        let residual: f64 = points()
            .map(|(t, d)| {
                let r = d - mean_d - slope * (t - mean_t);
                r * r
            })
            .sum();
        Some(((residual / (n - 2.0)).sqrt(), slope * 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames at 50 Hz; `delay_us` of the network, `ppm` of the node's crystal.
    fn watch(seconds: i64, ppm: f64, delay_us: impl Fn(i64) -> f64) -> ClockWatch {
        let mut watch = ClockWatch::default();
        for i in 0..seconds * 50 {
            let capture_us = 1e6 + i as f64 * 20_000.0 * (1.0 - ppm * 1e-6);
            let arrival_ns = i * 20_000_000 + (delay_us(i) * 1e3) as i64;
            watch.frame(arrival_ns, Some(capture_us as u64));
        }
        watch
    }

    fn jitter(i: i64) -> f64 {
        let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        (scattered % 1_000) as f64
    }

    #[test]
    fn the_least_delay_follows_the_clock_through_the_networks_jitter() {
        // Up to 30 ms of network, uneven, on a crystal that is 20 ppm slow: admitted, and the drift is found.
        let report = watch(30, 20.0, |i| 30.0 * jitter(i)).report(30_000_000_000);
        assert_eq!(
            (report.state, report.reason),
            (ClockState::MonitorOnly, ClockReason::Dispersed)
        );
        let report = watch(30, 20.0, |i| 2.0 * jitter(i)).report(30_000_000_000);
        assert_eq!(
            (report.state, report.reason),
            (ClockState::Admit, ClockReason::Steady),
            "{report:?}"
        );
        let drift = report.drift_ppm.expect("long enough");
        assert!((drift - 20.0).abs() < 5.0, "{drift}");
    }

    #[test]
    fn a_wandering_clock_a_silent_and_a_senseless_one() {
        let wandering = watch(30, 0.0, |i| if i / 50 % 2 == 0 { 0.0 } else { 4_000.0 });
        let report = wandering.report(30_000_000_000);
        assert_eq!(
            (report.state, report.reason),
            (ClockState::Reject, ClockReason::Dispersed)
        );
        let steady = watch(30, 0.0, |_| 0.0);
        assert_eq!(steady.report(40_000_000_000).reason, ClockReason::Stale);
        let racing = watch(30, 5_000.0, |_| 0.0).report(30_000_000_000);
        assert_eq!(
            (racing.state, racing.reason),
            (ClockState::Reject, ClockReason::Invalid)
        );
        assert_eq!(
            watch(5, 0.0, |_| 0.0).report(5_000_000_000).reason,
            ClockReason::TooShort
        );
        let mut no_time = ClockWatch::default();
        no_time.frame(0, None);
        assert_eq!(no_time.report(0).reason, ClockReason::NoTime);
        assert_eq!(ClockWatch::default().report(0).reason, ClockReason::Stale);
    }

    #[test]
    fn clock_messages_stand_in_for_frames_without_a_time() {
        let mut clock = ClockWatch::default();
        for i in 0..30_i64 {
            clock.frame(i * 1_000_000_000, None);
            clock.message(i * 1_000_000_000, 5_000_000 + i as u64 * 1_000_000);
        }
        assert_eq!(clock.report(30_000_000_000).reason, ClockReason::Steady);
        // Frames that carry a time are another clock, and from then on the only one.
        clock.frame(30_000_000_000, Some(77));
        clock.message(30_100_000_000, 35_100_000);
        assert_eq!(clock.report(30_200_000_000).reason, ClockReason::TooShort);
        assert_eq!(clock.bins.len(), 1);
    }

    #[test]
    fn a_time_that_no_clock_shows_is_refused() {
        let mut clock = ClockWatch::default();
        clock.frame(0, Some(u64::MAX));
        assert_eq!(clock.report(0).reason, ClockReason::Invalid);
        clock.frame(i64::MIN, Some(4_000_000_000_000_000));
        assert_eq!(clock.report(i64::MIN).reason, ClockReason::TooShort);
    }

    #[test]
    fn a_restart_is_a_new_clock() {
        let mut watch = watch(30, 0.0, |_| 0.0);
        for i in 0..600_i64 {
            watch.frame(30_000_000_000 + i * 20_000_000, Some(1_000_000 + i as u64 * 20_000));
        }
        let report = watch.report(42_000_000_000);
        assert_eq!(
            (report.state, report.reason),
            (ClockState::Admit, ClockReason::Steady),
            "{report:?}"
        );
    }
}
