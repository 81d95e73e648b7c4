//! Counting right and wrong.

use std::fmt;

/// Cycles by truth and decision.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    positives: u32,
    hits: u32,
    negatives: u32,
    false_alarms: u32,
    unknown: u32,
    probability_sum: [f64; 2],
}

impl Score {
    pub(crate) fn add(&mut self, truth: bool, decision: bool, probability: Option<f32>) {
        if truth {
            self.positives += 1;
            self.hits += u32::from(decision);
        } else {
            self.negatives += 1;
            self.false_alarms += u32::from(decision);
        }
        match probability {
            Some(p) => self.probability_sum[usize::from(truth)] += f64::from(p),
            None => self.unknown += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.positives += other.positives;
        self.hits += other.hits;
        self.negatives += other.negatives;
        self.false_alarms += other.false_alarms;
        self.unknown += other.unknown;
        self.probability_sum[0] += other.probability_sum[0];
        self.probability_sum[1] += other.probability_sum[1];
    }

    pub(crate) fn recall(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.positives.max(1))
    }

    pub(crate) fn false_positive_rate(&self) -> f64 {
        f64::from(self.false_alarms) / f64::from(self.negatives.max(1))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.positives > 0 {
            write!(f, "recall {:.4} ({}/{}) ", self.recall(), self.hits, self.positives)?;
        }
        if self.negatives > 0 {
            write!(
                f,
                "false {:.4} ({}/{}) ",
                self.false_positive_rate(),
                self.false_alarms,
                self.negatives
            )?;
        }
        let mean = |i: usize, n: u32| self.probability_sum[i] / f64::from(n.max(1));
        write!(
            f,
            "unknown {} mean p {:.3}/{:.3}",
            self.unknown,
            mean(0, self.negatives),
            mean(1, self.positives)
        )
    }
}

/// Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.
pub(crate) fn auc(negatives: &[f32], positives: &[f32]) -> f64 {
    let mut sorted = negatives.to_vec();
    sorted.sort_by(f32::total_cmp);
    let below: f64 = positives
        .iter()
        .map(|p| {
            let less = sorted.partition_point(|n| n < p);
            let not_more = sorted.partition_point(|n| n <= p);
            (less + not_more) as f64 / 2.0
        })
        .sum();
    below / (negatives.len() as f64 * positives.len() as f64)
}

#[test]
fn auc_by_hand() {
    assert_eq!(auc(&[0.1, 0.2], &[0.3]), 1.0);
    assert_eq!(auc(&[0.1, 0.3], &[0.3]), 0.75);
    assert_eq!(auc(&[0.5], &[0.1]), 0.0);
}
