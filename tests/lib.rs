//! Helpers for the end-to-end tests: where the built programs are, how to start and stop them.
