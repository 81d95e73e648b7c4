//! The quiet levels of an array over time: what kind of change a drifted link shows, and what the links together say.
//!
//! A link's deviation from its calibrated profile is watched once a second, in standard deviations. It is *off* from
//! 4 on (the gate's limit) and well again below 2. How fast it rose tells a step (somebody moved a cupboard or the
//! node) from a slow drift (temperature, ageing); the slow profile itself takes 15 s, so anything within 45 s is a step.
//! A change-point of the array is when three links step within a minute.

/// Deviation from which a link is off, standard deviations.
pub const OFF_SIGMA: f32 = 4.0;
/// Deviation below which it is well.
pub const WELL_SIGMA: f32 = 2.0;
/// Rise up to which a change is a step, seconds.
const STEP_S: u32 = 45;
/// Steps within this belong to one change, seconds.
const TOGETHER_S: u32 = 60;
/// Links that must step together.
const LINKS_MIN: usize = 3;

/// What kind of change a link shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftClass {
    /// Not known: no calibration, or its profile is too young.
    #[default]
    Unknown,
    /// As calibrated.
    Stable,
    /// Between well and off.
    Drifting,
    /// Off, and it came slowly.
    Slow,
    /// Off, and it came at once.
    Step,
}

/// One link over time.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkWatch {
    class: DriftClass,
    sigma: Option<f32>,
    /// Second at which it was last well.
    well_at: Option<u32>,
    /// Second at which it stepped.
    stepped_at: Option<u32>,
}

impl LinkWatch {
    /// Takes one second: the deviation in standard deviations, or none where it is not known (somebody moves, no frame).
    pub fn second(&mut self, now_s: u32, sigma: Option<f32>) {
        let Some(sigma) = sigma else { return };
        self.sigma = Some(sigma);
        if sigma < WELL_SIGMA {
            (self.class, self.well_at, self.stepped_at) = (DriftClass::Stable, Some(now_s), None);
        } else if sigma < OFF_SIGMA {
            // Off stays off until it is well.
            if !matches!(self.class, DriftClass::Slow | DriftClass::Step) {
                self.class = DriftClass::Drifting;
            }
        } else if !matches!(self.class, DriftClass::Slow | DriftClass::Step) {
            // A link that was never seen well was off from the start: how fast is not known, so it counts as slow.
            let step = self.well_at.is_some_and(|well| now_s - well <= STEP_S);
            self.class = if step { DriftClass::Step } else { DriftClass::Slow };
            self.stepped_at = step.then_some(now_s);
        }
    }

    /// Forgets: a new calibration is in force.
    pub fn calibrated(&mut self) {
        *self = Self::default();
    }

    /// What kind of change it shows.
    pub fn class(&self) -> DriftClass {
        self.class
    }

    /// Deviation last seen, standard deviations.
    pub fn sigma(&self) -> Option<f32> {
        self.sigma
    }

    /// Second at which it stepped.
    pub fn stepped_at(&self) -> Option<u32> {
        self.stepped_at
    }

    fn off(&self) -> bool {
        matches!(self.class, DriftClass::Slow | DriftClass::Step)
    }
}

/// What the links together say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known yet.
    Unknown,
    /// As calibrated.
    Stable,
    /// One link alone is off: something stands in it, or its radio changed.
    OneLink {
        /// Its index.
        link: usize,
    },
    /// All links of one node are off and most others are not: the node was moved or turned.
    NodeMoved {
        /// The node.
        node: u16,
    },
    /// Several links stepped together: the room was changed.
    RoomChanged {
        /// How many.
        links: usize,
        /// Second of the first.
        at_s: u32,
    },
    /// Several links went off slowly: temperature or ageing.
    SlowDrift {
        /// How many.
        links: usize,
    },
}

impl Verdict {
    /// True when the room should be calibrated again.
    pub fn recalibrate(self) -> bool {
        matches!(
            self,
            Self::NodeMoved { .. } | Self::RoomChanged { .. } | Self::SlowDrift { .. }
        )
    }
}

/// Judges the links, `ends[i]` being the nodes of link `i`.
pub fn verdict(links: &[LinkWatch], ends: &[(u16, u16)]) -> Verdict {
    let known = links.iter().filter(|l| l.class != DriftClass::Unknown).count();
    let off: Vec<usize> = (0..links.len()).filter(|i| links[*i].off()).collect();
    match off.as_slice() {
        [] if known == 0 => return Verdict::Unknown,
        [] => return Verdict::Stable,
        [link] if known > 1 => return Verdict::OneLink { link: *link },
        _ => {}
    }
    if let Some(node) = moved_node(links, ends) {
        return Verdict::NodeMoved { node };
    }
    let mut steps: Vec<u32> = off.iter().filter_map(|i| links[*i].stepped_at).collect();
    steps.sort_unstable();
    // A site with fewer links than that changes when all of them do.
    let wanted = LINKS_MIN.min(known);
    if let Some(together) = steps.windows(wanted).find(|w| w[wanted - 1] - w[0] <= TOGETHER_S) {
        return Verdict::RoomChanged {
            links: steps.len(),
            at_s: together[0],
        };
    }
    Verdict::SlowDrift { links: off.len() }
}

/// The one node whose links are all off while of the others no more than a quarter are.
fn moved_node(links: &[LinkWatch], ends: &[(u16, u16)]) -> Option<u16> {
    let mut nodes: Vec<u16> = ends.iter().flat_map(|e| [e.0, e.1]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let fits = |node: &u16| {
        let [mut own, mut own_off, mut other, mut other_off] = [0_usize; 4];
        for (link, end) in links.iter().zip(ends).filter(|(l, _)| l.class != DriftClass::Unknown) {
            let (count, off) = if end.0 == *node || end.1 == *node {
                (&mut own, &mut own_off)
            } else {
                (&mut other, &mut other_off)
            };
            *count += 1;
            *off += usize::from(link.off());
        }
        // Without other links there is nothing to tell the node from the room by.
        own >= 2 && own_off == own && other >= 1 && 4 * other_off <= other
    };
    let mut moved = nodes.into_iter().filter(fits);
    let first = moved.next()?;
    moved.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link whose deviation follows `sigma` for ten minutes.
    fn watched(sigma: impl Fn(u32) -> f32) -> LinkWatch {
        let mut watch = LinkWatch::default();
        (0..600).for_each(|s| watch.second(s, Some(sigma(s))));
        watch
    }

    fn step(at: u32) -> LinkWatch {
        watched(|s| if s < at { 1.0 } else { 6.0 })
    }

    #[test]
    fn a_step_a_slow_drift_and_a_return() {
        assert_eq!(watched(|_| 1.0).class(), DriftClass::Stable);
        assert_eq!(
            (step(300).class(), step(300).stepped_at()),
            (DriftClass::Step, Some(300))
        );
        assert_eq!(watched(|s| 1.0 + s as f32 / 100.0).class(), DriftClass::Slow);
        assert_eq!(watched(|s| 1.0 + s as f32 / 300.0).class(), DriftClass::Drifting);
        let back = watched(|s| if (300..400).contains(&s) { 6.0 } else { 1.0 });
        assert_eq!((back.class(), back.stepped_at()), (DriftClass::Stable, None));
        // Off from the start: not a step.
        assert_eq!(watched(|_| 6.0).class(), DriftClass::Slow);
        assert_eq!(LinkWatch::default().class(), DriftClass::Unknown);
    }

    #[test]
    fn what_the_links_say_together() {
        let ends = [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)];
        let well = watched(|_| 1.0);
        let slow = watched(|s| 1.0 + s as f32 / 100.0);
        let all = |off: &[usize], link: LinkWatch| -> Vec<LinkWatch> {
            (0..6).map(|i| if off.contains(&i) { link } else { well }).collect()
        };
        assert_eq!(verdict(&[LinkWatch::default(); 6], &ends), Verdict::Unknown);
        assert_eq!(verdict(&all(&[], well), &ends), Verdict::Stable);
        assert_eq!(verdict(&all(&[4], step(99)), &ends), Verdict::OneLink { link: 4 });
        assert_eq!(
            verdict(&all(&[0, 1, 2], step(99)), &ends),
            Verdict::NodeMoved { node: 1 }
        );
        let room = verdict(&all(&[0, 1, 3, 5], step(99)), &ends);
        assert_eq!(room, Verdict::RoomChanged { links: 4, at_s: 99 });
        assert_eq!(verdict(&all(&[0, 3, 5], slow), &ends), Verdict::SlowDrift { links: 3 });
        assert!(room.recalibrate() && !Verdict::OneLink { link: 4 }.recalibrate());
        // Two of six at the same time, far from any node's all: slow or stepped, it is no change of the room.
        assert_eq!(verdict(&all(&[0, 5], step(99)), &ends), Verdict::SlowDrift { links: 2 });
        // A site of one link.
        assert_eq!(
            verdict(&[step(99)], &ends[..1]),
            Verdict::RoomChanged { links: 1, at_s: 99 }
        );
    }

    #[test]
    fn seconds_that_are_not_known_change_nothing() {
        let mut watch = step(300);
        watch.second(700, None);
        assert_eq!((watch.class(), watch.sigma()), (DriftClass::Step, Some(6.0)));
        watch.calibrated();
        assert_eq!(watch.class(), DriftClass::Unknown);
    }
}
