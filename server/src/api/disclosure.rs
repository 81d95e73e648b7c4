//! What a bundle may hold: outcomes leave whole, as they were sensed, so each of its cycles is held against the bar in force.
//! A site that became stricter became stricter about its past too.

use tapline_witness::{body::PrivacyClass, bundle::build::Disclosed};

use super::{
    access::{Bar, Leaves},
    error::Failure,
};
use crate::{config::PrivacyMode, cycle::privacy::withheld};

/// Refuses a bundle that discloses a cycle which let out more than the bar does. `to` is where its range ends, `mode` the
/// one in force.
pub(super) fn check(disclosed: &[Disclosed], to: u64, bar: Bar, mode: PrivacyMode) -> Result<(), Failure> {
    // From the end: what is behind the last one that may not leave may leave.
    let looser = disclosed.iter().rev().find(|cycle| !bar_covers(bar, cycle));
    let Some(cycle) = looser else { return Ok(()) };
    let first = cycle.seq + 1;
    let instead = if first < to {
        format!("the range from={first}&to={to} does")
    } else {
        "cycles do that ran in a mode as strict".to_owned()
    };
    let class = PrivacyClass::from_byte(bar.class).unwrap_or(PrivacyClass::Restricted);
    Err(Failure::Privacy {
        what: format!(
            "a bundle with cycle {}, which ran in class {:?} and mode {:?},",
            cycle.seq, cycle.class, cycle.mode
        ),
        under: format!("class {class:?} and mode {mode:?}; {instead}"),
    })
}

/// True when nothing in the cycle's outcome is more than what may leave now.
fn bar_covers(bar: Bar, cycle: &Disclosed) -> bool {
    let class = cycle.class as u8;
    // Two modes share a class, and one of them lets out counts only. A mode that is not known let out everything.
    let people = PrivacyMode::from_code(cycle.mode as u8).is_none_or(|mode| !withheld(mode, class).people);
    class >= bar.class && (bar.lets_out(Leaves::People) || !people)
}
