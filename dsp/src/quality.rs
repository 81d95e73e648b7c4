//! The quality score of a cycle: one number with the evidence it rests on.
//!
//! The score is the geometric mean of the known factors, each 0 to 1, so that one bad factor cannot be averaged
//! away; every contradiction then halves it. An unknown factor is left out, not assumed good; without any link the
//! cycle has no score at all.

use crate::detmath;

/// What a cycle's quality rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QualityEvidence {
    /// Share of configured link paths with a frame in this cycle.
    pub links_share: f32,
    /// Mean coherence; none without a judgement.
    pub coherence: Option<f32>,
    /// Share of plugin stages that ran.
    pub stages_share: f32,
    /// Clock quality, 0 to 1.
    pub clock: f32,
    /// Pairs of statements that cannot both be true.
    pub contradictions: u32,
}

/// The score, 0 to 1; none when no link had a frame.
pub fn score(evidence: &QualityEvidence) -> Option<f32> {
    if evidence.links_share <= 0.0 {
        return None;
    }
    let factors = [
        Some(evidence.links_share),
        evidence.coherence,
        Some(evidence.stages_share),
        Some(evidence.clock),
    ];
    let (mut product, mut count) = (1.0_f32, 0_u32);
    for factor in factors.into_iter().flatten() {
        product *= detmath::clamp(factor, 0.0, 1.0);
        count += 1;
    }
    let mut score = detmath::pow(product, 1.0 / count as f32);
    for _ in 0..evidence.contradictions.min(16) {
        score *= 0.5;
    }
    Some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let good = QualityEvidence {
            links_share: 1.0,
            stages_share: 1.0,
            clock: 1.0,
            ..QualityEvidence::default()
        };
        assert_eq!(score(&good), Some(1.0));
        let half = QualityEvidence {
            coherence: Some(0.0625),
            ..good
        };
        assert!((score(&half).unwrap() - 0.5).abs() < 1e-6);
        let contradicted = QualityEvidence {
            contradictions: 2,
            ..half
        };
        assert!((score(&contradicted).unwrap() - 0.125).abs() < 1e-6);
        assert_eq!(
            score(&QualityEvidence {
                links_share: 0.0,
                ..good
            }),
            None
        );
        assert_eq!(score(&QualityEvidence { clock: 0.0, ..good }), Some(0.0));
    }
}
