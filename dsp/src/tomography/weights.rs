//! How much each voxel weighs in each link: sparse rows, rebuilt only when a node moves.
//!
//! A voxel at `p` belongs to the link between `a` and `b` by its excess path
//! `e = |p - a| + |p - b| - |a - b|`, which is constant on ellipses with foci `a` and `b`. Both models
//! are scaled so that a row sums to one: an image value is then in the unit of the link's reading.
//!
//! - [`WeightModel::Ellipse`]: equal weight inside one ellipse (Wilson and Patwari, "Radio tomographic
//!   imaging with wireless networks", IEEE TMC 2010, eq. 8; the row normalisation is that of
//!   Kaltiokallio, Bocca and Patwari, IEEE MASS 2012).
//! - [`WeightModel::InverseArea`]: weight one over the area of the smallest ellipse that holds the
//!   voxel (Hamilton, Ma and Zekavat, "Propagation modeling for radio frequency tomography in wireless
//!   networks", IEEE JSTSP 2014), cut off at `excess_m`.

use super::ImageGrid;

/// Which voxels a link sees, and how strongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightModel {
    /// Equal weight wherever the excess path is below the limit.
    #[default]
    Ellipse,
    /// One over the area of the smallest ellipse round the link that holds the voxel.
    InverseArea,
}

/// Excess path of `p` over the straight line between `a` and `b`, metres, never negative.
pub fn excess_path_m(grid: &ImageGrid, p: [f32; 3], a: [f32; 3], b: [f32; 3]) -> f32 {
    let excess = grid.distance(p, a) + grid.distance(p, b) - grid.distance(a, b);
    if excess > 0.0 { excess } else { 0.0 }
}

/// Sparse rows over voxels, one a link; ascending voxels in a row.
#[derive(Clone, Debug, Default)]
pub struct LinkWeights {
    offsets: Vec<usize>,
    voxels: Vec<u32>,
    values: Vec<f32>,
}

impl LinkWeights {
    /// Rows for links given by their end points. A link that crosses no voxel gets an empty row.
    pub fn build(grid: &ImageGrid, ends: &[[[f32; 3]; 2]], model: WeightModel, excess_m: f32) -> Self {
        let mut rows = Self {
            offsets: vec![0],
            ..Self::default()
        };
        for &[a, b] in ends {
            let start = rows.values.len();
            let length = grid.distance(a, b);
            for voxel in 0..grid.voxels() {
                let excess = excess_path_m(grid, grid.centre(grid.coordinates(voxel)), a, b);
                if excess < excess_m {
                    rows.voxels.push(voxel as u32);
                    rows.values.push(match model {
                        WeightModel::Ellipse => 1.0,
                        WeightModel::InverseArea => inverse_area(excess, length, grid.pitch_m[0]),
                    });
                }
            }
            let row = &mut rows.values[start..];
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|w| *w /= sum);
            rows.offsets.push(rows.values.len());
        }
        rows
    }

    /// Number of rows.
    pub fn links(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Voxels and weights of a row.
    pub fn row(&self, link: usize) -> (&[u32], &[f32]) {
        let span = self.offsets[link]..self.offsets[link + 1];
        (&self.voxels[span.clone()], &self.values[span])
    }

    /// Inner product of a row with an image.
    #[inline]
    pub fn dot(&self, link: usize, image: &[f32]) -> f32 {
        let (voxels, values) = self.row(link);
        let mut sum = 0.0;
        for (&v, &w) in voxels.iter().zip(values) {
            sum += w * image[v as usize];
        }
        sum
    }

    /// Adds `scale` times a row to an image.
    #[inline]
    pub fn add_row(&self, link: usize, scale: f32, image: &mut [f32]) {
        let (voxels, values) = self.row(link);
        for (&v, &w) in voxels.iter().zip(values) {
            image[v as usize] += scale * w;
        }
    }
}

/// One over the area of the ellipse with this excess path. The excess is held at half a voxel: inside it
/// the model would be singular, and the grid cannot tell the difference.
fn inverse_area(excess_m: f32, length_m: f32, pitch_m: f32) -> f32 {
    let excess = if excess_m > 0.5 * pitch_m {
        excess_m
    } else {
        0.5 * pitch_m
    };
    let major = 0.5 * (length_m + excess);
    let minor = 0.5 * (excess * (2.0 * length_m + excess)).sqrt();
    1.0 / (core::f32::consts::PI * major * minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip() -> ImageGrid {
        ImageGrid::new([0.0; 3], [1.0; 3], [4, 3, 1]).unwrap()
    }

    #[test]
    fn a_link_along_a_row_weighs_that_row_alone() {
        let ends = [[[0.0, 1.5, 0.0], [4.0, 1.5, 0.0]]];
        let w = LinkWeights::build(&strip(), &ends, WeightModel::Ellipse, 0.1);
        assert_eq!(w.row(0), (&[4, 5, 6, 7][..], &[0.25; 4][..]));
    }

    #[test]
    fn excess_path_of_a_right_triangle() {
        // 3-4-5: the detour over the right angle is 3 + 4 - 5 = 2.
        assert_eq!(excess_path_m(&strip(), [0.0; 3], [3.0, 0.0, 0.0], [0.0, 4.0, 0.0]), 2.0);
    }

    #[test]
    fn inverse_area_falls_away_from_the_line_and_rows_sum_to_one() {
        let ends = [[[0.0, 1.5, 0.0], [4.0, 1.5, 0.0]]];
        let w = LinkWeights::build(&strip(), &ends, WeightModel::InverseArea, 10.0);
        let (voxels, values) = w.row(0);
        assert_eq!(voxels.len(), 12);
        assert!(values[4] > values[0] && values[0] == values[8]);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_link_outside_the_grid_has_an_empty_row() {
        let ends = [[[50.0, 50.0, 0.0], [60.0, 50.0, 0.0]]];
        let w = LinkWeights::build(&strip(), &ends, WeightModel::Ellipse, 0.1);
        assert_eq!(w.row(0).0.len(), 0);
    }
}
