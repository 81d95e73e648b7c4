//! The first difference between what the log commits to and what comes out here.

use std::fmt::{self, Debug};

use serde::{Deserialize, Serialize};
use tapline_witness::{
    lists::{self, StageEntry},
    outcome_codec::decode_outcome,
};

use crate::cycle::clock::STAGE_NAMES;

/// Where two runs part, bit for bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Index of the cycle's leaf.
    pub seq: u64,
    /// The stage, or `outcome`, `state`, `leaf`.
    pub stage: String,
    /// Which value of it.
    pub element: String,
    /// As the log commits to it.
    pub expected: String,
    /// As it comes out here.
    pub got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seq,
            stage,
            element,
            expected,
            got,
        } = self;
        write!(f, "cycle {seq}, {stage}, {element}: expected {expected}, got {got}")
    }
}

/// Where two values differ: path, expected, got.
type Place = (String, String, String);

/// The first stage whose entry differs; the lists are those of the same cycle.
pub(super) fn of_stages(expected: &[u8], got: &[u8]) -> (String, Place) {
    let list = |bytes| lists::stages(bytes).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    let (expected, got) = (list(expected), list(got));
    let mut instance = 0;
    for (index, (was, is)) in expected.iter().zip(&got).enumerate() {
        instance = match index.checked_sub(1).map(|before| expected[before].stage_id) {
            Some(before) if before == was.stage_id => instance + 1,
            _ => 0,
        };
        if was != is {
            return (stage(was), of_entry(instance, was, is));
        }
    }
    let count = |list: &[StageEntry]| list.len().to_string();
    (
        "stages".to_owned(),
        ("number of entries".to_owned(), count(&expected), count(&got)),
    )
}

fn stage(entry: &StageEntry) -> String {
    let name = usize::from(entry.stage_id)
        .checked_sub(1)
        .and_then(|i| STAGE_NAMES.get(i));
    format!("stage {} {}", entry.stage_id, name.unwrap_or(&"unknown"))
}

fn of_entry(instance: usize, was: &StageEntry, is: &StageEntry) -> Place {
    let at = |what: &str| format!("{what} of instance {instance}");
    let header = |e: &StageEntry| (e.stage_id, e.plugin_index, e.schema);
    if was.disposition != is.disposition {
        return (
            at("disposition"),
            was.disposition.name().to_owned(),
            is.disposition.name().to_owned(),
        );
    }
    if header(was) != header(is) {
        return (
            at("stage, plugin and schema"),
            format!("{:?}", header(was)),
            format!("{:?}", header(is)),
        );
    }
    if was.err_code != is.err_code {
        return (at("error code"), was.err_code.to_string(), is.err_code.to_string());
    }
    if was.len != is.len {
        return (at("bytes of output"), was.len.to_string(), is.len.to_string());
    }
    (at("digest of output"), hex::encode(was.output), hex::encode(is.output))
}

/// The first value of an outcome that differs; none when they do not decode or are equal.
pub(super) fn of_outcomes(expected: &[u8], got: &[u8]) -> Option<Place> {
    of_values(&decode_outcome(expected).ok()?, &decode_outcome(got).ok()?)
}

/// The first byte that differs.
pub(super) fn of_bytes(expected: &[u8], got: &[u8]) -> Place {
    let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let byte = |bytes: &[u8]| bytes.get(same).map_or("(end)".to_owned(), |b| format!("0x{b:02x}"));
    (format!("byte {same}"), byte(expected), byte(got))
}

/// The first value in which two records of one type differ, by its path; floats with their bits.
pub(super) fn of_values<T: Debug>(expected: &T, got: &T) -> Option<Place> {
    let (was, is) = (flat(expected), flat(got));
    let end = (String::new(), "(end)".to_owned());
    let longest = was.len().max(is.len());
    (0..longest)
        .map(|i| (was.get(i).unwrap_or(&end), is.get(i).unwrap_or(&end)))
        .find(|(a, b)| a != b)
        .map(|((path, a), (other, b))| {
            let path = if path.is_empty() { other } else { path };
            (path.clone(), with_bits(a), with_bits(b))
        })
}

/// Path and text of every value in a record, from its pretty form.
fn flat(value: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{value:#?}");
    let mut values = Vec::new();
    // Path of each open bracket, and how many nameless values it has had; none for `Some(`: what is in it is the value.
    let mut open: Vec<(String, Option<usize>)> = vec![(String::new(), None)];
    for line in text.lines() {
        let line = line.trim().trim_end_matches(',');
        if matches!(line, "}" | "]" | ")") {
            open.pop();
            continue;
        }
        let (begins, body) = match line.strip_suffix(['{', '[', '(']) {
            Some(body) => (true, body.trim_end()),
            None => (false, line),
        };
        let Some((parent, count)) = open.last_mut() else { break };
        let name = body.split_once(": ").map(|(name, _)| name.to_owned());
        let name = name.or_else(|| body.strip_suffix(':').map(str::to_owned));
        let path = match &name {
            Some(name) if parent.is_empty() => name.clone(),
            Some(name) => format!("{parent}.{name}"),
            None => match count {
                None => parent.clone(),
                Some(count) => {
                    *count += 1;
                    format!("{parent}[{}]", *count - 1)
                }
            },
        };
        if begins {
            open.push((path, (!body.ends_with("Some")).then_some(0)));
        } else {
            let value = body.split_once(": ").map_or(body, |(_, value)| value);
            values.push((path, value.to_owned()));
        }
    }
    values
}

/// A float with its bits; anything else as it is.
fn with_bits(text: &str) -> String {
    let is_float = text.contains(['.', 'e']) && text.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b));
    match text.parse::<f32>() {
        Ok(value) if is_float => format!("0x{:08x} ({text})", value.to_bits()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tapline_witness::{
        disposition::Disposition,
        outcome::{Outcome, Person},
        outcome_codec::encode_outcome,
    };

    use super::*;

    fn bytes(outcome: &Outcome) -> Vec<u8> {
        let mut out = Vec::new();
        encode_outcome(outcome, &mut out).expect("a good outcome");
        out
    }

    #[test]
    fn a_value_is_named_by_its_path_and_its_bits() {
        let mut outcome = Outcome {
            version: 1,
            tracks: vec![
                Person::default(),
                Person {
                    id: 7,
                    ..Person::default()
                },
            ],
            ..Outcome::default()
        };
        outcome.tracks[1].position_m[1] = Some(1.0);
        let before = bytes(&outcome);
        assert_eq!(of_outcomes(&before, &before), None);
        outcome.tracks[1].position_m[1] = Some(f32::from_bits(0x3f80_0001));
        let (path, expected, got) = of_outcomes(&before, &bytes(&outcome)).expect("a difference");
        assert_eq!(path, "tracks[1].position_m[1]");
        assert_eq!(expected, "0x3f800000 (1.0)");
        assert!(got.starts_with("0x3f800001 (1.0000001"), "{got}");
        outcome.people = Some(2);
        outcome.tracks[1].position_m[1] = None;
        let (path, expected, got) = of_outcomes(&before, &bytes(&outcome)).expect("a difference");
        assert_eq!(
            (path.as_str(), expected.as_str(), got.as_str()),
            ("people", "None", "2")
        );
    }

    #[test]
    fn the_first_stage_that_differs_is_named_with_its_instance() {
        let list = |outputs: [&[u8]; 4]| {
            let mut bytes = Vec::new();
            for (stage, output) in [3, 5, 5, 7].into_iter().zip(outputs) {
                StageEntry::ran(stage, 0, 1, output).put(&mut bytes);
            }
            bytes
        };
        let before = list([b"a", b"b", b"c", b"d"]);
        let (stage, (element, expected, got)) = of_stages(&before, &list([b"a", b"b", b"x", b"y"]));
        assert_eq!(
            (stage.as_str(), element.as_str()),
            ("stage 5 cir", "digest of output of instance 1")
        );
        assert!(expected.len() == 64 && got.len() == 64 && expected != got);
        let mut failed = Vec::new();
        StageEntry::absent(3, 0, Disposition::Panic, 0).put(&mut failed);
        let (_, (element, expected, got)) = of_stages(&before, &failed);
        assert_eq!(
            (element.as_str(), expected.as_str(), got.as_str()),
            ("disposition of instance 0", "RAN", "PANIC")
        );
        assert_eq!(
            of_bytes(b"abc", b"abd"),
            ("byte 2".to_owned(), "0x63".to_owned(), "0x64".to_owned())
        );
    }
}
