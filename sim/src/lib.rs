//! A room, people and radios with ground truth: emits real datagrams.
