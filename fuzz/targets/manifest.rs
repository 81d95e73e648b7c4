//! The plugin manifest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_server::host::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Manifest::parse(text) {
        Ok(manifest) => {
            assert_eq!(manifest.text(), text);
            let _ = (manifest.hash(), manifest.generation(), manifest.link_group());
        }
        Err(error) => drop(error.to_string()),
    }
});
