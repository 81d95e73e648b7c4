//! A room with people and radios, and exact ground truth: emits the datagrams that real nodes would send.
//!
//! A [`Scene`] (TOML; some are [built in](Scene::names)) says what stands where, how the radios are and who does what.
//! A [`Simulator`] turns it into datagrams in the order in which the host gets them, and answers where everybody was.
//! No socket, no file, no clock: whoever calls decides what becomes of the bytes.
//!
//! ```
//! use tapline_sim::{Scene, Simulator};
//!
//! let mut simulator = Simulator::new(Scene::builtin("demo")?, 1)?;
//! let mut datagram = Vec::new();
//! let emission = simulator.next_datagram(&mut datagram).expect("the scene has just begun");
//! assert!(matches!(tapline_wire::parse(&datagram), Ok(tapline_wire::Datagram::Csi(frame)) if frame.simulated));
//! let truth = simulator.truth_at(emission.time_ns as f64 * 1e-9);
//! assert!(truth.people.is_empty(), "the room is empty at first");
//! # Ok::<(), tapline_sim::SceneError>(())
//! ```
//!
//! The physics, with sources and limits, is in `docs/simulator.md` and at the head of each module: [`channel`] (paths,
//! shadows, scattering), [`person`] (script, gait, body). All of it keeps to `tapline_dsp::detmath`, so equal scene and
//! seed give equal bytes on every machine.

#![forbid(unsafe_code)]

mod antenna;
pub mod channel;
mod error;
mod material;
mod panel;
pub mod person;
mod radio;
mod random;
pub mod scene;
mod simulator;
mod site;
mod truth;
mod vector;

pub use error::SceneError;
pub use material::LIGHT_M_S;
pub use person::gait::JOINTS;
pub use scene::Scene;
pub use simulator::{Emission, Simulator};
pub use site::{SiteDoor, SiteGeometry, SiteLink, SiteNode, SiteRoom, SiteZone};
pub use truth::{PersonTruth, Posture, Truth, write_truth, write_truth_head, write_truth_line};
pub use vector::Vec3;
