//! Writes a file from a static constructor, which runs inside `dlopen`, before any handshake: so the digest and
//! the gate must come first. It is a good plugin otherwise.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::export_plugin;

export_plugin!(cir: Plain<Marker>);

struct Marker;

impl Spoil for Marker {
    const NAME: &'static str = "bad-constructor-marker";
}

extern "C" fn mark() {
    // The process's id without `getpid`, which the gate does not allow.
    let pid = std::fs::read_link("/proc/self").unwrap_or_default();
    let path = format!("/tmp/tapline-constructor-marker-{}", pid.display());
    let _ = std::fs::write(path, "the constructor ran");
}

#[used]
// SAFETY: the section holds function pointers that the dynamic linker calls with arguments that `mark` ignores.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = mark;
