//! Bytes of an [`Outcome`] and back: borsh, with every number finite and every list in order and bounded.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

use crate::outcome::{AreaPresence, OUTCOME_VERSION, Outcome, Presence};

/// Longest encoding accepted, bytes.
pub const MAX_OUTCOME_LEN: usize = 1 << 20;

/// Why an outcome was not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// Not the encoding of an outcome (borsh tells NaN, unknown enum bytes and truncation here).
    #[error("not an outcome: {0}")]
    Encoding(#[source] io::Error),
    /// Bytes follow it.
    #[error("{found} bytes after the end of the outcome")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// Too long to be one.
    #[error("outcome of {found} bytes: at most {expected} are allowed")]
    TooLong {
        /// The limit.
        expected: usize,
        /// As found.
        found: usize,
    },
    /// A field holds a value it may not hold.
    #[error("outcome: {field} is not {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// Appends the canonical bytes of an outcome. Allocates only when `out` has to grow.
///
/// # Errors
/// When it breaks a rule of the record (docs/witness-format.md, "Outcome"); `out` is then as it was.
pub fn encode_outcome(outcome: &Outcome, out: &mut Vec<u8>) -> Result<(), OutcomeError> {
    check(outcome)?;
    let start = out.len();
    let written = outcome
        .serialize(out)
        .map_err(OutcomeError::Encoding)
        .and_then(|()| check_len(out.len() - start));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Decodes canonical bytes; whatever is accepted encodes back to the same bytes.
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, OutcomeError> {
    check_len(bytes.len())?;
    let mut rest = bytes;
    let outcome = Outcome::deserialize(&mut rest).map_err(OutcomeError::Encoding)?;
    if !rest.is_empty() {
        return Err(OutcomeError::Trailing { found: rest.len() });
    }
    check(&outcome)?;
    Ok(outcome)
}

fn check_len(found: usize) -> Result<(), OutcomeError> {
    if found > MAX_OUTCOME_LEN {
        return Err(OutcomeError::TooLong {
            expected: MAX_OUTCOME_LEN,
            found,
        });
    }
    Ok(())
}

fn check(outcome: &Outcome) -> Result<(), OutcomeError> {
    let invalid = |field, expected| Err(OutcomeError::Invalid { field, expected });
    if outcome.version != OUTCOME_VERSION {
        return invalid("version", "1");
    }
    if outcome.privacy_class > 3 {
        return invalid("privacy_class", "0 to 3");
    }
    if outcome.privacy_mode > 4 {
        return invalid("privacy_mode", "0 to 4");
    }
    if !strictly_ascending(&outcome.rooms, |room| room.area) || !strictly_ascending(&outcome.zones, |zone| zone.area) {
        return invalid("rooms and zones", "in ascending order");
    }
    if !strictly_ascending(&outcome.tracks, |track| track.id) {
        return invalid("tracks", "in ascending order of id");
    }
    if !strictly_ascending(&outcome.links, |link| link.path) {
        return invalid("links", "in ascending order of path");
    }
    if !strictly_ascending(&outcome.quality.contradictions, |contradiction| *contradiction) {
        return invalid("contradictions", "in ascending order");
    }
    if !all_finite(outcome) {
        return invalid("a number", "finite");
    }
    Ok(())
}

fn strictly_ascending<T, K: Ord>(values: &[T], key: impl Fn(&T) -> K) -> bool {
    values.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]))
}

fn all_finite(outcome: &Outcome) -> bool {
    let some = |value: Option<f32>| value.is_none_or(f32::is_finite);
    let presence = |presence: &Presence| some(presence.probability);
    let area = |area: &AreaPresence| presence(&area.presence);
    let quality = &outcome.quality;
    some(quality.score)
        && quality.links_share.is_finite()
        && some(quality.coherence)
        && quality.stages_share.is_finite()
        && presence(&outcome.presence)
        && outcome.rooms.iter().all(area)
        && outcome.zones.iter().all(area)
        && outcome.tracks.iter().all(|track| {
            track.existence.is_finite()
                && track.position_m.into_iter().all(some)
                && track.velocity_m_s.into_iter().all(some)
                && track.sigma_m.is_finite()
                && track.covariance.into_iter().all(f32::is_finite)
                && track.keypoints.iter().flatten().all(|keypoint| {
                    keypoint.position_m.into_iter().all(some)
                        && keypoint.sigma_m.is_finite()
                        && keypoint.covariance_m2.into_iter().all(f32::is_finite)
                        && keypoint.confidence.is_finite()
                })
        })
        && outcome.links.iter().all(|link| {
            [
                link.coherence,
                link.motion_ratio,
                link.delay_ns,
                link.delay_sigma_ns,
                link.delay_spread_ns,
                link.k_factor_db,
                link.gap,
            ]
            .into_iter()
            .all(some)
        })
}
