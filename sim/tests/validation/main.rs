//! The simulator against physics and against real recordings.

mod hostile;
mod physics;
mod recording;
mod scenes;
