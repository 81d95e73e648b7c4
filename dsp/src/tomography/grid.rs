//! The voxel grid of an image.

use super::TomographyError;

/// Most voxels an image may have (a 64 x 64 x 16 room; keeps every buffer below a few megabytes).
pub const MAX_VOXELS: usize = 65_536;

/// A regular grid; voxel `(ix, iy, iz)` has index `(iz * ny + iy) * nx + ix`. With `shape[2] == 1` the
/// image is planar and heights play no part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageGrid {
    /// Low corner, metres.
    pub origin_m: [f32; 3],
    /// Voxel edges, metres.
    pub pitch_m: [f32; 3],
    /// Voxels along x, y, z.
    pub shape: [usize; 3],
}

impl ImageGrid {
    /// Checks a grid.
    ///
    /// # Errors
    /// [`TomographyError::Grid`] when an edge is not positive and finite, the origin is not finite, or the
    /// grid has no voxel or more than [`MAX_VOXELS`].
    pub fn new(origin_m: [f32; 3], pitch_m: [f32; 3], shape: [usize; 3]) -> Result<Self, TomographyError> {
        let finite = origin_m.iter().all(|v| v.is_finite()) && pitch_m.iter().all(|v| v.is_finite() && *v > 0.0);
        let voxels = shape.iter().try_fold(1_usize, |n, &s| n.checked_mul(s));
        match voxels {
            Some(1..=MAX_VOXELS) if finite => Ok(Self {
                origin_m,
                pitch_m,
                shape,
            }),
            _ => Err(TomographyError::Grid {
                shape,
                pitch_m,
                max: MAX_VOXELS,
            }),
        }
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.shape[0] * self.shape[1] * self.shape[2]
    }

    /// Whether the image has one layer only.
    pub fn is_planar(&self) -> bool {
        self.shape[2] == 1
    }

    /// Centre of the voxel at grid coordinates, metres.
    pub fn centre(&self, at: [usize; 3]) -> [f32; 3] {
        core::array::from_fn(|k| self.origin_m[k] + (at[k] as f32 + 0.5) * self.pitch_m[k])
    }

    /// Grid coordinates of a voxel index.
    pub fn coordinates(&self, voxel: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape;
        [voxel % nx, voxel / nx % ny, voxel / (nx * ny)]
    }

    /// Distance between two points: in the plane when the image is planar.
    pub fn distance(&self, a: [f32; 3], b: [f32; 3]) -> f32 {
        let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
        let dz = if self.is_planar() { 0.0 } else { a[2] - b[2] };
        (dx * dx + dy * dy + dz * dz).sqrt()
    }
}
