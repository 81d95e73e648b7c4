//! Positions and grids shared by the stages. Metres, east-north-up, in the site's own frame.

use abi_stable::StableAbi;

/// A point of the floor plan, metres.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct Point2 {
    /// East, metres.
    pub x_m: f32,
    /// North, metres.
    pub y_m: f32,
}

/// Where a node is now (it may move from cycle to cycle).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct NodePosition {
    /// The node's id from the configuration.
    pub node: u32,
    /// East, metres.
    pub x_m: f32,
    /// North, metres.
    pub y_m: f32,
    /// Up, metres.
    pub z_m: f32,
}

/// Where one receive antenna of a node's array is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct AntennaPosition {
    /// The node's id from the configuration.
    pub node: u32,
    /// The antenna's number in the node's frames, from 0; 0 also sends.
    pub antenna: u32,
    /// East, metres.
    pub x_m: f32,
    /// North, metres.
    pub y_m: f32,
}

/// The voxel grid of a tomographic image.
///
/// Voxel `(ix, iy, iz)` has index `(iz * ny + iy) * nx + ix` and its centre at
/// `origin + (i + 0.5) * pitch` on each axis. A planar image has `nz == 1`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct Grid {
    /// Low corner, metres.
    pub origin_x_m: f32,
    /// Low corner, metres.
    pub origin_y_m: f32,
    /// Low corner, metres.
    pub origin_z_m: f32,
    /// Voxel edge along x and y, metres.
    pub pitch_m: f32,
    /// Voxel edge along z, metres.
    pub pitch_z_m: f32,
    /// Voxels along x.
    pub nx: u32,
    /// Voxels along y.
    pub ny: u32,
    /// Voxels along z; 1 for a planar image.
    pub nz: u32,
}

impl Grid {
    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.nx as usize * self.ny as usize * self.nz as usize
    }
}

/// A door: people appear and leave here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct Door {
    /// Middle of the opening.
    pub at: Point2,
    /// Width of the opening, metres.
    pub width_m: f32,
}
