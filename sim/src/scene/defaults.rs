//! Values of keys that a scene leaves out.

use super::{Antenna, Network, Temperature};

macro_rules! defaults {
    ($($name:ident: $kind:ty = $value:expr;)*) => {$(
        pub(super) fn $name() -> $kind { $value.into() }
    )*};
}

defaults! {
    transmit_dbm: f64 = 15.0;
    reflections: u8 = 2u8;
    mesh_sigma_us: f64 = 30.0;
    wall: String = "plasterboard";
    floor: String = "concrete";
    ceiling: String = "concrete";
    noise_figure_db: f64 = 7.0;
    evm_db: f64 = -30.0;
    phase_noise_deg: f64 = 1.5;
    timing_sigma_ns: f64 = 0.3;
    agc_step_db: f64 = 1.0;
    agc_sigma_db: f64 = 0.1;
    height_m: f64 = 1.75;
    breaths_min: f64 = 15.0;
    breath_mm: f64 = 8.0;
}

impl Default for Antenna {
    fn default() -> Self {
        Self::Dipole {}
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delay_ms: 1.0,
            jitter_ms: 0.5,
            stall: 0.0,
            stall_ms: 30.0,
            loss: 0.0,
            miss: 0.0,
        }
    }
}

impl Default for Temperature {
    fn default() -> Self {
        Self {
            start_c: 21.0,
            ramp_k_s: 0.0,
            amplitude_k: 0.0,
            period_s: 600.0,
        }
    }
}
