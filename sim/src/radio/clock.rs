//! A node's crystal: one error for carrier, sampling clock and timestamps.
//!
//! The relative error is `offset + slope * (T(t) - T(0))` parts per million; its integral over time is the clock error,
//! and the carrier's phase runs ahead by the same integral times the carrier frequency.

use tapline_dsp::detmath::{cos64, sin64};

use crate::{
    random::{Purpose, Stream},
    scene::{Node, Temperature},
};

/// Time since a node's boot at the start of a simulation, seconds.
const UPTIME_S: f64 = 10.0;

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    offset_s: f64,
    ppm: f64,
    ppm_k: f64,
    air: Temperature,
    /// Carrier phase at the start, cycles.
    start_cycles: f64,
    reboot_s: Option<f64>,
}

impl Temperature {
    /// Difference from the start, kelvin.
    pub(crate) fn rise_k(&self, t_s: f64) -> f64 {
        self.ramp_k_s * t_s + self.amplitude_k * sin64(core::f64::consts::TAU * t_s / self.period_s)
    }

    /// Integral of [`Self::rise_k`] from 0, kelvin seconds.
    fn rise_integral(&self, t_s: f64) -> f64 {
        let tau = core::f64::consts::TAU;
        let wave = self.amplitude_k * self.period_s / tau * (1.0 - cos64(tau * t_s / self.period_s));
        0.5 * self.ramp_k_s * t_s * t_s + wave
    }
}

impl Clock {
    pub(crate) fn new(node: &Node, air: &Temperature, seed: u64) -> Self {
        let mut random = Stream::new(seed, Purpose::Node, [u64::from(node.id), 0, 0]);
        Self {
            offset_s: node.clock_offset_ms * 1e-3,
            ppm: node.crystal_ppm,
            ppm_k: node.crystal_ppm_k,
            air: air.clone(),
            start_cycles: random.uniform(),
            reboot_s: node.reboot_s,
        }
    }

    /// Relative frequency error now.
    pub(crate) fn rate(&self, t_s: f64) -> f64 {
        1e-6 * (self.ppm + self.ppm_k * self.air.rise_k(t_s))
    }

    /// Time gained since the start, seconds.
    pub(crate) fn gained_s(&self, t_s: f64) -> f64 {
        1e-6 * (self.ppm * t_s + self.ppm_k * self.air.rise_integral(t_s))
    }

    /// Carrier phase against an ideal carrier, cycles.
    pub(crate) fn carrier_cycles(&self, t_s: f64, centre_hz: f64) -> f64 {
        self.start_cycles + centre_hz * self.gained_s(t_s)
    }

    /// The node's own time since boot, microseconds.
    pub(crate) fn local_us(&self, t_s: f64) -> u64 {
        let gained_s = self.gained_s(t_s);
        let local_s = match self.reboot_s {
            Some(reboot_s) if t_s >= reboot_s => t_s - reboot_s + gained_s - self.gained_s(reboot_s),
            _ => UPTIME_S + t_s + self.offset_s + gained_s,
        };
        micros(local_s)
    }

    /// The mesh epoch as this node knows it, microseconds.
    pub(crate) fn mesh_us(t_s: f64, error_s: f64) -> u64 {
        micros(UPTIME_S + t_s + error_s)
    }

    /// Boots so far, less one.
    pub(crate) fn boots(&self, t_s: f64) -> u16 {
        u16::from(self.reboot_s.is_some_and(|r| t_s >= r))
    }
}

fn micros(seconds: f64) -> u64 {
    // Negative times saturate at 0.
    (seconds * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    fn clock(air: Temperature) -> Clock {
        let mut node = Scene::builtin("demo").unwrap().node.remove(0);
        node.crystal_ppm = 10.0;
        node.crystal_ppm_k = 0.5;
        node.clock_offset_ms = -2500.0;
        Clock::new(&node, &air, 7)
    }

    #[test]
    fn time_gained_is_the_integral_of_the_rate() {
        let clock = clock(Temperature {
            start_c: 20.0,
            ramp_k_s: 0.01,
            amplitude_k: 5.0,
            period_s: 60.0,
        });
        let (mut sum, h) = (0.0, 0.01);
        for i in 0..10_000 {
            sum += clock.rate((f64::from(i) + 0.5) * h) * h;
        }
        assert!(
            (sum - clock.gained_s(100.0)).abs() < 1e-11,
            "{sum} {}",
            clock.gained_s(100.0)
        );
    }

    #[test]
    fn local_time_has_offset_and_drift() {
        let clock = clock(Temperature::default());
        assert_eq!(clock.local_us(0.0), 7_500_000);
        assert_eq!(clock.local_us(1000.0), 1_007_510_000);
    }
}
