//! The public crate.

use num_complex::{Complex32, Complex64};
use tapline_dsp::cir::ToneGrid;
use wifi_densepose_core::types::{AntennaConfig, CsiFrame, CsiMetadata, DeviceId, FrequencyBand};
use wifi_densepose_signal::cir::{CirConfig, CirEstimator};

use crate::{Input, median, timed};

pub struct PeerTier {
    pub name: &'static str,
    pub config: CirConfig,
}

pub struct PeerRun {
    pub ms: f64,
    pub taps: Vec<Vec<Complex32>>,
    pub note: String,
}

pub fn tiers() -> [PeerTier; 4] {
    [
        PeerTier { name: "HT20", config: CirConfig::ht20() },
        PeerTier { name: "HT40", config: CirConfig::ht40() },
        PeerTier { name: "HE20", config: CirConfig::he20() },
        PeerTier { name: "HE40", config: CirConfig::he40() },
    ]
}

impl PeerTier {
    /// Its grid: contiguous tones from +-1.
    pub fn grid(&self) -> ToneGrid {
        let half = (self.config.num_active / 2) as i16;
        let indices = (-half..=half).filter(|k| *k != 0).collect();
        let spacing_hz = self.config.bandwidth_hz / self.config.num_subcarriers as f64;
        ToneGrid::new(indices, self.config.num_taps, spacing_hz, (self.config.bandwidth_hz / 1e6) as u16)
            .expect("its grids are grids")
    }

    pub fn run(&self, input: &Input, fft: bool, cycles: usize) -> PeerRun {
        let estimator = CirEstimator::new(CirConfig { fft_operator: fft, ..self.config });
        let frames = |cycle: usize| -> Vec<CsiFrame> { input.cycles[cycle].iter().map(|t| frame(t)).collect() };
        let mut times = Vec::new();
        let (mut iterations, mut residual) = (0, 0.0_f32);
        let mut taps = Vec::new();
        for cycle in input.cycles.len() - cycles..input.cycles.len() {
            let frames = frames(cycle);
            let (time, answers) = timed(|| {
                frames
                    .iter()
                    .map(|f| estimator.estimate(f).expect("it accepts the frame"))
                    .collect::<Vec<_>>()
            });
            times.push(time);
            iterations = answers.iter().map(|a| a.iters_used).max().unwrap_or(0);
            residual = answers.iter().map(|a| a.residual).fold(0.0, f32::max);
            taps = answers.into_iter().map(|a| a.taps).collect();
        }
        assert_eq!(taps[0].len(), input.grid.taps());
        PeerRun {
            ms: median(times),
            taps,
            note: format!("{iterations} iterations, its residual {residual:.1e}"),
        }
    }
}

fn frame(tones: &[Complex32]) -> CsiFrame {
    let data = ndarray::Array2::from_shape_fn((1, tones.len()), |(_, k)| {
        Complex64::new(tones[k].re.into(), tones[k].im.into())
    });
    let mut meta = CsiMetadata::new(DeviceId::new("bench"), FrequencyBand::Band2_4GHz, 6);
    meta.antenna_config = AntennaConfig::new(1, 1);
    CsiFrame::new(meta, data)
}
