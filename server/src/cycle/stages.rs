//! `stages_list`: what every stage left, hashed over canonical bytes.
//!
//! Stages 1 and 2 work in place on what stage 3 leaves, so the list begins with stage 3. Floats are hashed as
//! little-endian bits with -0 made +0; a NaN of the host's own stages would be a bug and is hashed as the
//! canonical one.

use num_complex::Complex32;
use tapline_dsp::front::{Front, LinkEvidence};
use tapline_witness::{
    disposition::Disposition,
    lists::{HOST_STAGE, StageEntry},
};

/// Layout version of the host stages' outputs below.
const SCHEMA: u32 = 1;

/// Collects the list of one cycle.
#[derive(Default)]
pub(super) struct StageList {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u16,
    scratch: Vec<u8>,
}

impl StageList {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// A stage that left no output.
    pub(super) fn absent(&mut self, stage: u16, plugin: u16, disposition: Disposition, err_code: u32) {
        StageEntry::absent(stage, plugin, disposition, err_code).put(&mut self.bytes);
        self.count += 1;
    }

    /// A plugin stage that ran; `fill` writes its output.
    pub(super) fn plugin(&mut self, stage: u16, plugin: u16, fill: impl FnOnce(&mut Canonical<'_>)) {
        self.scratch.clear();
        fill(&mut Canonical(&mut self.scratch));
        StageEntry::ran(stage, plugin, SCHEMA, &self.scratch).put(&mut self.bytes);
        self.count += 1;
    }

    /// Stage 3: the aligned tones of every path that has a frame.
    pub(super) fn aligned(&mut self, front: &Front, paths: usize) {
        self.plugin(3, HOST_STAGE, |out| {
            for path in (0..paths).filter(|p| front.present(*p)) {
                let (tones, mask) = front.tones(path);
                out.number(path as u32);
                out.bytes(mask);
                out.complex(tones);
            }
        });
    }

    /// Stage 4: the fused frame and its weights.
    pub(super) fn fused(&mut self, front: &Front) {
        let Some(fused) = front.fused() else {
            self.absent(4, HOST_STAGE, Disposition::Skipped, 0);
            return;
        };
        self.plugin(4, HOST_STAGE, |out| {
            out.bytes(&fused.mask);
            out.floats(&fused.amplitude);
            out.floats(&fused.phase_rad);
            for node in &fused.weights {
                out.number(u32::from(node.node));
                out.floats(&[node.weight, node.similarity]);
            }
        });
    }

    /// Stage 6: evidence of every link, of site and areas, and the gate.
    pub(super) fn sensed(&mut self, front: &Front) {
        self.plugin(6, HOST_STAGE, |out| {
            for link in front.links() {
                out.link(link);
            }
            let (pairs, spectra) = front.doppler();
            for pair in pairs {
                out.number(u32::from(pair.a) | u32::from(pair.b) << 16);
                out.number(pair.samples);
                out.floats(&[pair.energy]);
            }
            out.floats(spectra);
            let (links, spectra) = front.bearings();
            for link in links {
                out.number(u32::from(link.tx) | u32::from(link.rx) << 16);
                out.number(u32::from(link.antennas) | link.tier.code() << 16);
                out.number(link.samples);
                out.floats(&[link.wavelength_m, link.period_m_s, link.noise]);
            }
            out.floats(spectra);
            for area in std::iter::once(front.site()).chain(front.areas()) {
                out.bytes(&[area.state as u8, area.reason as u8]);
                out.floats(&[
                    area.probability.unwrap_or(-1.0),
                    area.moving_probability.unwrap_or(-1.0),
                ]);
            }
            let (decision, reason, coherence) = front.gate();
            out.bytes(&[decision as u8, reason as u8]);
            out.floats(&[coherence.unwrap_or(-1.0)]);
        });
    }
}

/// Writes values in their canonical bytes.
pub(super) struct Canonical<'b>(&'b mut Vec<u8>);

impl Canonical<'_> {
    pub(super) fn number(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn floats(&mut self, values: &[f32]) {
        self.0.reserve(4 * values.len());
        for value in values {
            self.0.extend_from_slice(&canonical(*value).to_le_bytes());
        }
    }

    fn complex(&mut self, values: &[Complex32]) {
        self.floats(bytemuck::cast_slice(values));
    }

    fn link(&mut self, link: &LinkEvidence) {
        self.number(u32::from(link.path));
        self.number(link.valid);
        self.floats(&[
            link.age_s,
            link.rss_dbm,
            link.quiet_dbm,
            link.quiet_std_db,
            link.attenuation_db,
            link.change,
            link.change_quiet,
            link.motion_ratio,
            link.coherence,
            link.signal_coherence,
            link.drift_sigma,
        ]);
    }
}

/// Bits of a float with one zero and one NaN.
fn canonical(value: f32) -> u32 {
    if value.is_nan() {
        0x7fc0_0000
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    /// The vectors of the witness known-answer generator.
    #[test]
    fn one_zero_and_one_nan() {
        assert_eq!(canonical(f32::from_bits(0x8000_0000)), 0);
        assert_eq!(canonical(f32::from_bits(0xffc1_2345)), 0x7fc0_0000);
        assert_eq!(canonical(1.0), 0x3f80_0000);
    }
}
