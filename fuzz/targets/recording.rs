//! Recordings of every format, told apart by their first bytes: JSON lines, ESP32 CSV, pcap, Intel 5300, .npz, captures.
#![no_main]

use std::{io::Cursor, path::Path};

use libfuzzer_sys::fuzz_target;
use tapline_wire::recording::{ReadOptions, Recording};

fuzz_target!(|bytes: &[u8]| {
    let input = Cursor::new(bytes.to_vec());
    let Ok(recording) = Recording::from_seekable(input, Path::new("fuzzed"), &ReadOptions::default()) else {
        return;
    };
    // A chunk of a capture may inflate to many records: enough is enough.
    for record in recording.take(10_000) {
        if record.is_err() {
            break;
        }
    }
});
