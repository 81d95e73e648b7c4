use tapline_plugin_api::guard::code;
use tapline_witness::{disposition::Disposition, lists::StageEntry};

use super::*;

fn list(entries: &[(u16, Disposition, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (stage, disposition, err_code) in entries {
        StageEntry::absent(*stage, 0, *disposition, *err_code).put(&mut bytes);
    }
    bytes
}

/// What time decided is obeyed; what the input or an earlier failure decided comes out by itself.
#[test]
fn late_groups_and_stages_without_time_are_obeyed() {
    use Disposition::{Error, Panic, Ran, Skipped, Timeout};
    let bytes = list(&[
        (3, Ran, 0),
        (5, Ran, 0),
        (5, Timeout, 0),
        (5, Error, 3),
        (5, Timeout, 0),
        (7, Skipped, code::DEADLINE),
        (8, Panic, 0),
    ]);
    let found = obey(&bytes).expect("a good list");
    assert_eq!(found.stages, [Timeout, Skipped, Ran]);
    assert_eq!(found.late_groups, 0b1010);
    let found = obey(&list(&[(5, Skipped, 0), (7, Skipped, 0), (8, Ran, 0)])).expect("a good list");
    assert_eq!((found.stages, found.failed), ([Ran; 3], [true, true, false]));
    assert!(obey(&bytes[1..]).is_err());
}
