//! Stage 9, second half: what may leave, by privacy class. Demotion only ever restricts.
//!
//! | class | poses | identity | areas |
//! |---|---|---|---|
//! | Raw 0, Derived 1 | yes | the tracker's own | rooms, zones, counts |
//! | Anonymous 2 | yes, unless the mode gives aggregates only | new every hour | rooms, zones, counts |
//! | Restricted 3 | no | none | rooms |

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::{Contradiction, Outcome, Reason, demotion};

use crate::{config::PrivacyMode, ordered::Ordered};

/// Cycles a demotion is held after its cause is gone: 5 s.
const HOLD_CYCLES: u32 = 100;
/// Milliseconds an anonymous identity lives.
pub(crate) const IDENTITY_MS: i64 = 3_600_000;
/// Pseudonyms of an hour that take no memory when they are given; more than most rooms need.
const PSEUDONYMS: usize = 256;

/// The most restrictive class.
const RESTRICTED: u8 = 3;

/// Pseudonyms and the memory of demotions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PrivacyGate {
    hour: i64,
    pseudonyms: Ordered<u64, u64>,
    next_pseudonym: u64,
    causes: u8,
    hold_cycles: u32,
}

impl Default for PrivacyGate {
    fn default() -> Self {
        let mut pseudonyms = Ordered::default();
        pseudonyms.hold(PSEUDONYMS);
        Self {
            hour: 0,
            pseudonyms,
            next_pseudonym: 0,
            causes: 0,
            hold_cycles: 0,
        }
    }
}

impl PrivacyGate {
    /// Takes out of `outcome` what its class does not let out. The outcome comes in complete, with the
    /// tracker's own identities, and with its contradictions listed.
    pub fn apply(&mut self, mode: PrivacyMode, outcome: &mut Outcome) {
        let causes = causes(&outcome.quality.contradictions);
        if causes != 0 {
            self.causes |= causes;
            self.hold_cycles = HOLD_CYCLES;
        } else if self.hold_cycles > 0 {
            self.hold_cycles -= 1;
        } else {
            self.causes = 0;
        }
        outcome.privacy_mode = mode.code();
        outcome.demotion = self.causes;
        // One class stricter while a cause holds, and never looser than the mode's own.
        outcome.privacy_class = (mode.class() + u8::from(self.causes != 0)).min(RESTRICTED);
        let withheld = withheld(mode, outcome.privacy_class);
        if withheld.identity {
            self.anonymise(outcome);
        }
        if withheld.people {
            outcome.tracks.clear();
        }
        if withheld.zones {
            restrict(outcome);
        }
    }

    fn anonymise(&mut self, outcome: &mut Outcome) {
        let hour = outcome.t_ms.div_euclid(IDENTITY_MS);
        if hour != self.hour {
            self.hour = hour;
            self.pseudonyms.clear();
        }
        for person in &mut outcome.tracks {
            person.id = match self.pseudonyms.get(&person.id) {
                Some(pseudonym) => *pseudonym,
                None => {
                    self.next_pseudonym += 1;
                    self.pseudonyms.insert(person.id, self.next_pseudonym);
                    self.next_pseudonym
                }
            };
        }
        outcome.tracks.sort_unstable_by_key(|p| p.id);
    }
}

/// What a class withholds of what the stages know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// No person leaves.
    pub people: bool,
    /// People leave under a name of the hour.
    pub identity: bool,
    /// No zone leaves.
    pub zones: bool,
}

/// What a class withholds under a mode.
pub fn withheld(mode: PrivacyMode, class: u8) -> Withheld {
    let people = class >= RESTRICTED || class == 2 && mode.aggregate_only();
    Withheld {
        people,
        identity: class == 2 && !people,
        zones: class >= RESTRICTED,
    }
}

fn causes(contradictions: &[Contradiction]) -> u8 {
    contradictions.iter().fold(0, |bits, c| {
        bits | match c {
            Contradiction::EmptyButTracked | Contradiction::MotionWithoutImage => demotion::CONTRADICTION,
            Contradiction::NodesDisagree => demotion::ARRAY,
            Contradiction::ClockSpread => demotion::MESH,
        }
    })
}

fn restrict(outcome: &mut Outcome) {
    outcome.zones.clear();
    outcome.links.clear();
    outcome.people = None;
    for room in &mut outcome.rooms {
        room.people = None;
    }
    let areas = outcome.rooms.iter_mut().map(|room| &mut room.presence);
    for presence in areas.chain([&mut outcome.presence]) {
        if presence.reason == Reason::Attenuation {
            presence.reason = Reason::Privacy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapline_witness::outcome::{AreaPresence, LinkReport, Person, Presence, Quality};

    fn full(t_ms: i64, contradictions: Vec<Contradiction>) -> Outcome {
        Outcome {
            t_ms,
            people: Some(2),
            tracks: [70, 71]
                .map(|id| Person {
                    id,
                    active: true,
                    ..Person::default()
                })
                .to_vec(),
            rooms: vec![AreaPresence {
                people: Some(2),
                presence: Presence {
                    reason: Reason::Attenuation,
                    ..Presence::default()
                },
                ..AreaPresence::default()
            }],
            zones: vec![AreaPresence::default()],
            links: vec![LinkReport::default()],
            quality: Quality {
                contradictions,
                ..Quality::default()
            },
            ..Outcome::default()
        }
    }

    fn check(mode: PrivacyMode, contradictions: Vec<Contradiction>) -> Outcome {
        let mut outcome = full(0, contradictions);
        PrivacyGate::default().apply(mode, &mut outcome);
        outcome
    }

    #[test]
    fn each_mode_lets_out_what_its_class_allows() {
        let ids = |o: &Outcome| o.tracks.iter().map(|p| p.id).collect::<Vec<_>>();
        for mode in [PrivacyMode::RawResearch, PrivacyMode::CareWithConsent] {
            let o = check(mode, vec![]);
            assert_eq!((ids(&o), o.zones.len(), o.people), (vec![70, 71], 1, Some(2)));
        }
        let o = check(PrivacyMode::PrivateHome, vec![]);
        assert_eq!((o.privacy_class, ids(&o), o.zones.len()), (2, vec![1, 2], 1));
        let o = check(PrivacyMode::EnterpriseAnonymous, vec![]);
        assert_eq!((o.privacy_class, ids(&o), o.people), (2, vec![], Some(2)));
        let o = check(PrivacyMode::StrictNoIdentity, vec![]);
        assert_eq!(
            (o.privacy_class, ids(&o), o.zones.len(), o.links.len(), o.people),
            (3, vec![], 0, 0, None)
        );
        assert_eq!((o.rooms.len(), o.rooms[0].people), (1, None));
        assert_eq!(
            o.rooms[0].presence.reason,
            Reason::Privacy,
            "a body by its attenuation is a person"
        );
    }

    #[test]
    fn demotion_only_restricts_and_is_held() {
        for mode in [
            PrivacyMode::RawResearch,
            PrivacyMode::PrivateHome,
            PrivacyMode::EnterpriseAnonymous,
            PrivacyMode::CareWithConsent,
            PrivacyMode::StrictNoIdentity,
        ] {
            let o = check(mode, vec![Contradiction::EmptyButTracked]);
            assert!(
                o.privacy_class >= mode.class() && o.privacy_class <= RESTRICTED,
                "{mode:?}"
            );
            assert_eq!(o.demotion, demotion::CONTRADICTION);
        }
        let mut gate = PrivacyGate::default();
        let mut class = |contradictions| {
            let mut o = full(0, contradictions);
            gate.apply(PrivacyMode::PrivateHome, &mut o);
            o.privacy_class
        };
        assert_eq!(class(vec![Contradiction::NodesDisagree]), 3);
        let held = (0..1_000).take_while(|_| class(vec![]) == 3).count();
        assert_eq!(held, HOLD_CYCLES as usize);
    }

    #[test]
    fn anonymous_identities_change_every_hour() {
        let mut gate = PrivacyGate::default();
        let mut ids = |t_ms| {
            let mut o = full(t_ms, vec![]);
            gate.apply(PrivacyMode::PrivateHome, &mut o);
            o.tracks.iter().map(|p| p.id).collect::<Vec<_>>()
        };
        assert_eq!(
            (ids(0), ids(IDENTITY_MS - 1), ids(IDENTITY_MS)),
            (vec![1, 2], vec![1, 2], vec![3, 4])
        );
    }
}
