//! Link paths.

use crate::api::access::{Leaves::*, Rule, Scope::Read, rule};
use async_graphql::{Context, Enum, Object, SimpleObject};

/// What the fields give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Link",
        Read,
        Anyway,
        "calibration channel fastestWalkMS kind latest noCalibrationReason path rx rxAntenna tier tx txAntenna",
    ),
    rule("Link", Read, Zones, "drift"),
    rule("LinkReport", Read, Anyway, "ageMs coherence path"),
    rule(
        "LinkReport",
        Read,
        Zones,
        "delayNs delaySigmaNs delaySpreadNs gap kFactorDb motionRatio",
    ),
];
use tapline_witness::outcome;

use super::{
    api,
    array::LinkDrift,
    calibrations::LinkCalibration,
    scalars::{Long, decimal},
};
use crate::config::PathKind;

/// A link path: one antenna pair of a transmitter and a receiver on one channel.
pub(crate) struct Link {
    /// Index in the site's sorted list.
    pub(crate) path: usize,
}

/// A link path: one antenna pair of a transmitter and a receiver on one channel.
#[Object]
impl Link {
    /// Index in the site's sorted list of link paths; the same everywhere.
    async fn path(&self) -> u32 {
        self.path as u32
    }

    /// Id of the transmitting node.
    async fn tx(&self, ctx: &Context<'_>) -> Option<u16> {
        Some(self.configured(ctx)?.tx)
    }

    /// Id of the receiving node.
    async fn rx(&self, ctx: &Context<'_>) -> Option<u16> {
        Some(self.configured(ctx)?.rx)
    }

    /// Transmit antenna, from 0.
    async fn tx_antenna(&self, ctx: &Context<'_>) -> Option<u8> {
        Some(self.configured(ctx)?.tx_antenna)
    }

    /// Receive antenna, from 0.
    async fn rx_antenna(&self, ctx: &Context<'_>) -> Option<u8> {
        Some(self.configured(ctx)?.rx_antenna)
    }

    /// Wi-Fi (or 802.15.4) channel number.
    async fn channel(&self, ctx: &Context<'_>) -> Option<u16> {
        Some(self.configured(ctx)?.channel)
    }

    /// What the path measures.
    async fn kind(&self, ctx: &Context<'_>) -> Option<LinkKind> {
        Some(match self.configured(ctx)?.kind {
            PathKind::Csi(_) => LinkKind::Csi,
            PathKind::Rss => LinkKind::Rss,
        })
    }

    /// PHY tier of its frames; null for a path that measures strength only.
    async fn tier(&self, ctx: &Context<'_>) -> Option<&'static str> {
        match self.configured(ctx)?.kind {
            PathKind::Csi(tier) => Some(tier.name()),
            PathKind::Rss => None,
        }
    }

    /// What the calibration in force knows of it; null when that knows nothing of this path, so that its coherence, motion and
    /// tomography have nothing to compare with.
    async fn calibration(&self, ctx: &Context<'_>) -> Option<LinkCalibration> {
        let diagnostics = api(ctx).hub.diagnostics();
        diagnostics.calibration.paths.get(self.path)?.as_ref().map(Into::into)
    }

    /// Why there is no `calibration`, and what to do; null when there is one, and before the server looked.
    async fn no_calibration_reason(&self, ctx: &Context<'_>) -> Option<String> {
        let diagnostics = api(ctx).hub.diagnostics();
        let calibration = &diagnostics.calibration;
        if calibration.paths.get(self.path)?.is_some() {
            return None;
        }
        Some(match calibration.id {
            None => calibration.line.clone(),
            Some(_) => {
                "the calibration in force has no baseline of this path: too few frames came while it was learned; \
                        learn the empty room again (startCalibration)"
                    .to_owned()
            }
        })
    }

    /// How far its quiet profile has moved from its calibration; null before the server looked.
    async fn drift(&self, ctx: &Context<'_>) -> Option<LinkDrift> {
        api(ctx).hub.diagnostics().links.get(self.path).map(LinkDrift::from)
    }

    /// Speed up to which its two nodes tell a walk from others by Doppler, m/s: a quarter of the wavelength times the frames a second of
    /// both directions. People walk indoors at up to 1.5; where it is less, let the nodes send more frames. Null without Doppler.
    async fn fastest_walk_m_s(&self, ctx: &Context<'_>) -> Option<f64> {
        let status = api(ctx).hub.diagnostics();
        status.links.get(self.path)?.walk_m_s.map(f64::from)
    }

    /// What it said in the newest cycle; null before the first cycle.
    async fn latest(&self, ctx: &Context<'_>) -> Option<LinkReport> {
        let hub = &api(ctx).hub;
        let cycle = hub.latest()?;
        let links = &cycle.outcome.links;
        links
            .iter()
            .find(|l| usize::from(l.path) == self.path)
            .map(|l| LinkReport::new(l, l.path, self.configured(ctx).map(|p| p.kind)))
    }
}

impl Link {
    fn configured<'c>(&self, ctx: &Context<'c>) -> Option<&'c crate::config::Path> {
        api(ctx).hub.facts.site.paths.get(self.path)
    }
}

/// What a link path measures.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum LinkKind {
    /// Channel state information: amplitude and phase of every tone.
    Csi,
    /// Received strength only.
    Rss,
}

/// One link path in one cycle.
#[derive(SimpleObject)]
pub(crate) struct LinkReport {
    /// Index in the site's sorted list of link paths.
    path: u16,
    /// Milliseconds since its last frame; null when there never was one.
    age_ms: Option<Long>,
    /// Coherence with its calibration, 0 to 1; null without a calibration.
    coherence: Option<f64>,
    /// Motion statistic over the link's own quiet level (1 is as quiet as the empty room); null without one.
    motion_ratio: Option<f64>,
    /// Dominant delay, nanoseconds; null when the impulse response has no answer. The response is circular: what
    /// arrives a little before the reference is a little below 0, not a whole period later.
    delay_ns: Option<f64>,
    /// Standard deviation of the dominant delay, nanoseconds.
    delay_sigma_ns: Option<f64>,
    /// RMS delay spread, nanoseconds.
    delay_spread_ns: Option<f64>,
    /// Rician K-factor, dB.
    k_factor_db: Option<f64>,
    /// Relative duality gap of the impulse response: how far from the optimum of its objective it may be.
    gap: Option<f64>,
}

impl LinkReport {
    /// `path` is its index in the list of now, `kind` what it measured in its cycle, as far as it is known.
    pub(super) fn new(l: &outcome::LinkReport, path: u16, kind: Option<PathKind>) -> Self {
        Self {
            path,
            age_ms: l.age_ms.map(|ms| u64::from(ms).into()),
            coherence: l.coherence.map(decimal),
            motion_ratio: l.motion_ratio.map(decimal),
            delay_ns: l.delay_ns.map(|ns| decimal(unwrapped(ns, period_ns(kind)))),
            delay_sigma_ns: l.delay_sigma_ns.map(decimal),
            delay_spread_ns: l.delay_spread_ns.map(decimal),
            k_factor_db: l.k_factor_db.map(decimal),
            gap: l.gap.map(decimal),
        }
    }
}

/// After this delay the response of a path begins again; none for a path that measures strength, or is not known.
fn period_ns(kind: Option<PathKind>) -> Option<f32> {
    match kind? {
        PathKind::Csi(tier) => Some((1e9 / tier.spacing_hz()) as f32),
        PathKind::Rss => None,
    }
}

/// The outcome has delays in `0..period`; the upper half of that came before the reference.
fn unwrapped(ns: f32, period_ns: Option<f32>) -> f32 {
    match period_ns {
        Some(period) if ns > period / 2.0 => ns - period,
        _ => ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3199.99 ns of a 20 MHz link is what arrives 10 ps early; it was shown as the end of a period.
    #[test]
    fn what_arrives_early_is_below_zero() {
        let early = unwrapped(3_199.99, Some(3_200.0));
        assert!((early + 0.01).abs() < 1e-3, "{early}");
        assert_eq!(unwrapped(33.5, Some(3_200.0)), 33.5);
        assert_eq!(unwrapped(1_600.0, Some(3_200.0)), 1_600.0);
        // The period of HE tones is four times that of HT tones.
        assert_eq!(unwrapped(3_199.99, Some(12_800.0)), 3_199.99);
        assert_eq!(unwrapped(3_199.99, None), 3_199.99);
    }
}
