//! Under which name a person of the past leaves.
//!
//! What Raw and Derived wrote has the tracker's own identities, by which one is known again for as long as it is kept. A site that
//! became Anonymous lets them out as Anonymous would have: under names that are others every hour.

use tapline_witness::outcome::Outcome;

use super::access::{Bar, Leaves};
use crate::cycle::privacy::IDENTITY_MS;

/// Names of people who were sensed under a looser class: the same all over one hour's answers, and for as long as the process
/// runs.
pub(super) struct Aliases([u8; 32]);

impl Aliases {
    /// With a key that nobody knows.
    ///
    /// # Errors
    /// When there is no source of randomness.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// The name that this person of this outcome has behind the bar.
    pub(super) fn of(&self, bar: Bar, outcome: &Outcome, id: u64) -> u64 {
        // An outcome that had to hide identities has, and its names may be followed through its hour.
        if bar.lets_out(Leaves::Identity) || !Leaves::Identity.under(outcome.privacy_class) {
            return id;
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&id.to_le_bytes());
        hasher.update(&outcome.t_ms.div_euclid(IDENTITY_MS).to_le_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_past_lasts_an_hour_and_is_nobody_else_s() {
        let aliases = Aliases::new().unwrap();
        let bar = |class| Bar {
            class,
            aggregate_only: false,
        };
        let sensed = |privacy_class, t_ms| Outcome {
            privacy_class,
            t_ms,
            ..Outcome::default()
        };
        for class in 0..2 {
            let name = |t_ms, id| aliases.of(bar(2), &sensed(class, t_ms), id);
            assert_eq!(name(0, 70), name(IDENTITY_MS - 1, 70));
            assert!(![70, name(IDENTITY_MS, 70), name(0, 71)].contains(&name(0, 70)));
            assert_eq!(aliases.of(bar(1), &sensed(class, 0), 70), 70, "a site that may know it");
        }
        assert_eq!(aliases.of(bar(2), &sensed(2, 0), 70), 70, "a name of its hour already");
        let other = Aliases::new().unwrap();
        assert_ne!(
            aliases.of(bar(2), &sensed(0, 0), 70),
            other.of(bar(2), &sensed(0, 0), 70)
        );
    }
}
