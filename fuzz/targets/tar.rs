//! Bundles: container and verifier. With an odd first byte the checksums of tar headers are mended first, so that
//! mutations get past them.
#![no_main]

use std::{collections::BTreeMap, io::Cursor, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use tapline_witness::{
    policy::Policy,
    verify::{VerifyRequest, verify},
};

/// The key of the log in the seeds.
static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::parse(include_str!("tar-policy.txt")).expect("it parses"));

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bundle)) = bytes.split_first() else {
        return;
    };
    let mut bundle = bundle.to_vec();
    if first % 2 == 1 {
        mend(&mut bundle);
    }
    let request = VerifyRequest {
        policy: &POLICY,
        seen: &BTreeMap::new(),
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    let report = verify(Cursor::new(&bundle), &request);
    let _ = (report.to_string(), report.seen());
});

/// Writes the checksum of each header that stands where a header may stand.
fn mend(bundle: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = bundle.get_mut(at..at + 512) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[124..135]).ok();
        let Some(size) = size.and_then(|text| usize::from_str_radix(text, 8).ok()) else {
            return;
        };
        let Some(next) = size
            .checked_next_multiple_of(512)
            .and_then(|len| len.checked_add(at + 512))
        else {
            return;
        };
        at = next;
    }
}
