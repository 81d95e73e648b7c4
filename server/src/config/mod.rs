//! The fleet file: one typed, versioned TOML document for every box.
//!
//! [`Fleet::load`] reads and checks it whole, before anything starts; every problem is named with its
//! line, its key, what was found and what is allowed. [`Site`] is one site, resolved: link paths
//! listed and sorted, rooms and zones with closed outlines. [`witnessed`] writes the part of it that is
//! hashed into every cycle.

mod error;
mod fleet;
mod inherit;
pub mod orders;
mod site;
#[cfg(test)]
mod tests;
pub mod witnessed;

pub use error::{ConfigError, Problem};
pub use fleet::{
    Defaults, Door, Fleet, FleetServer, FleetStore, FrontSettings, GridSettings, Link, LinkKind, Mesh, Node, NodeRole,
    Object, Pipeline, Privacy, PrivacyMode, RawStore, Retention, Room, SiteFile, Zone,
};
pub use site::{Path, PathKind, Site, check_outline};

/// Version of the fleet file's format.
pub const FLEET_VERSION: u32 = 1;

/// Limits that keep a hostile or mistaken file from asking for the moon.
pub mod limits {
    /// Bytes of a fleet file.
    pub const FILE_BYTES: usize = 4 << 20;
    /// Sites in a file.
    pub const SITES: usize = 1_000;
    /// Rooms, zones or doors of a site.
    pub const AREAS: usize = 256;
    /// Nodes of a site.
    pub const NODES: usize = 64;
    /// Link paths of a site: what the front stages take.
    pub const PATHS: usize = tapline_dsp::front::PATHS_MAX;
    /// Corners of an outline.
    pub const CORNERS: usize = 64;
    /// Voxels of a grid.
    pub const VOXELS: usize = 65_536;
    /// Any coordinate, metres.
    pub const COORDINATE_M: f32 = 10_000.0;
    /// Antennas of a link's end, hence of a node's array.
    pub const ANTENNAS: u8 = 4;
    /// Along either axis, an antenna of a node from the node, metres.
    pub const ANTENNA_M: f32 = 1.0;
    /// From one antenna of a node to the next, at least, metres: two in one place tell no direction.
    pub const ANTENNA_APART_M: f32 = 0.005;
}
