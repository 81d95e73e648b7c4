//! The weights by voxel instead of by link, each distinct column once.
//!
//! Voxels that the same links cross with the same weights cannot be told apart: whatever one of them explains,
//! each of the others explains as well, at the same price. They are one unknown here, a *class*, and its
//! value is shared out evenly over them. Without that an active set would light one voxel of a class at random.

use std::collections::BTreeMap;

use super::super::LinkWeights;

/// A voxel that no link crosses.
const NOWHERE: u32 = u32::MAX;

/// Sparse columns, links ascending in each; classes in the order of their first voxel.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    offsets: Vec<u32>,
    links: Vec<u32>,
    values: Vec<f64>,
    /// Class of each voxel.
    class_of: Vec<u32>,
    /// Voxels in each class.
    sizes: Vec<u32>,
}

impl Columns {
    /// The columns of these rows.
    pub(super) fn build(weights: &LinkWeights, voxels: usize) -> Self {
        let mut by_voxel: Vec<Vec<(u32, u32)>> = vec![Vec::new(); voxels];
        for link in 0..weights.links() {
            let (at, values) = weights.row(link);
            for (&v, w) in at.iter().zip(values) {
                by_voxel[v as usize].push((link as u32, w.to_bits()));
            }
        }
        let mut columns = Self {
            offsets: vec![0],
            ..Self::default()
        };
        let mut known = BTreeMap::new();
        for column in by_voxel {
            if column.is_empty() {
                columns.class_of.push(NOWHERE);
                continue;
            }
            let next = columns.sizes.len() as u32;
            let class = *known.entry(column.clone()).or_insert(next);
            if class == next {
                columns.links.extend(column.iter().map(|c| c.0));
                columns
                    .values
                    .extend(column.iter().map(|c| f64::from(f32::from_bits(c.1))));
                columns.offsets.push(columns.links.len() as u32);
                columns.sizes.push(0);
            }
            columns.sizes[class as usize] += 1;
            columns.class_of.push(class);
        }
        columns
    }

    /// Number of classes.
    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Number of voxels in a class.
    pub(super) fn size(&self, class: usize) -> u32 {
        self.sizes[class]
    }

    /// Links that cross a class, with their weights.
    #[inline]
    pub(super) fn column(&self, class: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let span = self.offsets[class] as usize..self.offsets[class + 1] as usize;
        let links = self.links[span.clone()].iter();
        links.zip(&self.values[span]).map(|(&link, &w)| (link as usize, w))
    }

    /// Inner product of a column with one value a link.
    #[inline]
    pub(super) fn dot(&self, class: usize, of_links: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (link, w) in self.column(class) {
            sum += w * of_links[link];
        }
        sum
    }

    /// Shares one value a class out over its voxels; voxels of no class get `elsewhere`.
    pub(super) fn share_out(&self, of_classes: &[f64], elsewhere: f32, voxels: &mut [f32]) {
        for (voxel, &class) in voxels.iter_mut().zip(&self.class_of) {
            *voxel = match class {
                NOWHERE => elsewhere,
                class => (of_classes[class as usize] / f64::from(self.sizes[class as usize])) as f32,
            };
        }
    }

    /// Gives every voxel the value of its class; voxels of no class get `elsewhere`.
    pub(super) fn spread(&self, of_classes: &[f32], elsewhere: f32, voxels: &mut [f32]) {
        for (voxel, &class) in voxels.iter_mut().zip(&self.class_of) {
            *voxel = match class {
                NOWHERE => elsewhere,
                class => of_classes[class as usize],
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{ImageGrid, WeightModel};
    use super::*;

    #[test]
    fn voxels_that_no_link_tells_apart_are_one() {
        // Two links along the lower two rows of a 4 x 3 grid, the third row seen by none.
        let grid = ImageGrid::new([0.0; 3], [1.0; 3], [4, 3, 1]).unwrap();
        let ends = [0.5, 1.5].map(|y| [[0.0, y, 0.0], [4.0, y, 0.0]]);
        let columns = Columns::build(&LinkWeights::build(&grid, &ends, WeightModel::Ellipse, 0.1), 12);
        assert_eq!((columns.len(), columns.size(0), columns.size(1)), (2, 4, 4));
        assert_eq!(columns.column(1).collect::<Vec<_>>(), [(1, 0.25)]);
        assert_eq!(columns.dot(0, &[8.0, 1.0]), 2.0);
        let mut image = [0.0; 12];
        columns.share_out(&[4.0, 2.0], 0.0, &mut image);
        assert_eq!(image, [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
        columns.spread(&[4.0, 2.0], 9.0, &mut image);
        assert_eq!(image, [4.0, 4.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0, 9.0, 9.0, 9.0, 9.0]);
    }
}
