//! Counting right and wrong.

use std::fmt;

/// Cycles by truth and decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Cycles in which it is so.
    pub(crate) positives: u32,
    /// Those of them that were found.
    pub(crate) hits: u32,
    /// Cycles in which it is not so.
    pub(crate) negatives: u32,
    /// Those of them that were reported.
    pub(crate) false_alarms: u32,
}

impl Counts {
    /// Adds one cycle.
    pub(crate) fn add(&mut self, truth: bool, decision: bool) {
        if truth {
            self.positives += 1;
            self.hits += u32::from(decision);
        } else {
            self.negatives += 1;
            self.false_alarms += u32::from(decision);
        }
    }

    /// Adds the cycles of another.
    pub(crate) fn merge(&mut self, other: Self) {
        self.positives += other.positives;
        self.hits += other.hits;
        self.negatives += other.negatives;
        self.false_alarms += other.false_alarms;
    }

    /// Share of the positives that were found.
    pub(crate) fn recall(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.positives.max(1))
    }

    /// Share of the negatives that were reported.
    pub(crate) fn false_rate(&self) -> f64 {
        f64::from(self.false_alarms) / f64::from(self.negatives.max(1))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.positives > 0 {
            parts.push(format!(
                "recall {:.2} % ({} of {})",
                100.0 * self.recall(),
                self.hits,
                self.positives
            ));
        }
        if self.negatives > 0 {
            parts.push(format!(
                "false positives {:.2} % ({} of {})",
                100.0 * self.false_rate(),
                self.false_alarms,
                self.negatives
            ));
        }
        f.write_str(&parts.join(", "))
    }
}

/// Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.
pub(crate) fn auc(negatives: &[f64], positives: &[f64]) -> f64 {
    let mut sorted = negatives.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = |p: &f64| (sorted.partition_point(|n| n < p) + sorted.partition_point(|n| n <= p)) as f64 / 2.0;
    positives.iter().map(below).sum::<f64>() / (negatives.len() as f64 * positives.len() as f64)
}

/// The ROC curve from (0, 0) to (1, 1): false-positive rate and recall at every threshold.
pub(crate) fn roc(negatives: &[f64], positives: &[f64]) -> Vec<[f64; 2]> {
    let labelled = |v: &[f64], truth: bool| v.iter().map(|&p| (p, truth)).collect::<Vec<_>>();
    let mut all = labelled(negatives, false);
    all.extend(labelled(positives, true));
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut curve, mut counts) = (vec![[0.0, 0.0]], [0_u32; 2]);
    for (i, &(p, truth)) in all.iter().enumerate() {
        counts[usize::from(truth)] += 1;
        // Equal scores fall together.
        if all.get(i + 1).is_none_or(|next| next.0 < p) {
            let share = |count: u32, of: usize| f64::from(count) / of.max(1) as f64;
            curve.push([share(counts[0], negatives.len()), share(counts[1], positives.len())]);
        }
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(auc(&[0.1, 0.2], &[0.3]), 1.0);
        assert_eq!(auc(&[0.1, 0.3], &[0.3]), 0.75);
        assert_eq!(
            roc(&[0.1, 0.3], &[0.3, 0.9]),
            [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]
        );
    }
}
