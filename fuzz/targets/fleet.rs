//! The fleet file. What is accepted must give a witnessed document for each of its sites.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapline_server::config::{Fleet, witnessed};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Fleet::parse(text, Path::new("fuzzed.toml")) {
        Ok(fleet) => {
            for site in &fleet.site {
                let _ = witnessed::document(site);
            }
        }
        Err(error) => drop(error.to_string()),
    }
});
