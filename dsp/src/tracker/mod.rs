//! People on the floor: who is where, how surely, and since when.
//!
//! - [`field`](LinkField): what the links say about each place, as a log-likelihood ratio;
//! - [`people`](People): a Bernoulli filter a person on that evidence, births, deaths and identity;
//! - [`kalman`](Kalman): position and velocity with their full covariance;
//! - [`walkers`](Walkers): the same by the Doppler of channel state information, as clouds of guesses;
//! - [`joint`](Joint): the same by arrays of antennas, as guesses of all people together;
//! - [`signature`](Signature): what tells a person from another, apart from its place;
//! - [`association`](Assignment): gated optimal assignment, for detections that come as points.

mod association;
mod belief;
mod config;
mod field;
mod floor_plan;
mod hull;
mod joint;
mod kalman;
mod levels;
mod moments;
mod people;
mod reid;
mod sequence;
mod signature;
mod state;
mod track;
mod walkers;

pub use association::{Assignment, FORBIDDEN, MOST};
pub use belief::{Entrance, FloorCells};
pub use config::TrackerConfig;
pub use field::{FieldConfig, LinkField};
pub use hull::Hull;
pub use joint::{Antenna, ArrayLink, Joint, JointConfig, JointCycle};
pub use kalman::{Floor, Kalman};
pub use people::{Cycle, People};
pub use reid::REMEMBERED;
pub use signature::{NUMBERS, Signature};
pub use track::{Life, MOST_TRACKS, Track};
pub use walkers::{MOST_WALKERS, Pair, Walkers, WalkersConfig, WalkersCycle, body};
