//! Datagrams as a socket receives them: ADR-018, TLF1, TLR1 and the firmware's other packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_wire::{Datagram, kind_of, parse};

fuzz_target!(|bytes: &[u8]| {
    let _ = kind_of(bytes);
    match parse(bytes) {
        Ok(Datagram::Csi(frame)) => {
            let _ = (frame.rssi(), frame.noise(), frame.has_phase(), frame.own_tier());
            let _ = frame.verify_mac(&[7; 32]);
            for antenna in 0..4 {
                let _ = (frame.detect_bin_order(antenna), frame.sample(antenna, 3));
            }
        }
        Ok(datagram) => drop(format!("{datagram:?}")),
        Err(error) => drop((error.reason(), error.to_string())),
    }
});
