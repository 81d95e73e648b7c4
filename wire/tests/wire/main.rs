//! The formats from outside: round trips, hostile bytes, tone extraction, recordings.

mod roundtrip;
mod tones;
