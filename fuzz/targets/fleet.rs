//! The fleet file. Each of its sites must give a witnessed document, or a reason why it is none.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapline_server::config::{Fleet, witnessed};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Fleet::parse(text, Path::new("fuzzed.toml")) {
        Ok(fleet) => {
            for site in &fleet.site {
                match fleet.select(Some(&site.id), "host") {
                    Ok(site) => drop(witnessed::document(&site)),
                    Err(error) => drop(error.to_string()),
                }
            }
        }
        Err(error) => drop(error.to_string()),
    }
});
