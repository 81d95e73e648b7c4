//! The formats from outside: round trips, hostile bytes, tone extraction, recordings.

mod capture;
mod recordings;
mod recordings_real;
mod roundtrip;
mod tones;
