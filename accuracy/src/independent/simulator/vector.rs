//! Points and directions in space.

use std::ops::{Add, Mul, Sub};

/// A point (metres; x east, y north, z up, zero at a lower corner of the room) or a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vector {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: f64,
}

impl Vector {
    /// Straight up.
    pub(super) const UP: Self = Self::new(0.0, 0.0, 1.0);

    /// From its components.
    pub(super) const fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// A direction on the level.
    pub(super) fn level(heading_rad: f64) -> Self {
        Self::new(heading_rad.cos(), heading_rad.sin(), 0.0)
    }

    /// Scalar product.
    pub(super) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// Vector product.
    pub(super) fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// Length.
    pub(super) fn length(self) -> f64 {
        self.dot(self).sqrt()
    }

    /// Length of its level part.
    pub(super) fn level_length(self) -> f64 {
        self.x.hypot(self.y)
    }

    /// The same direction with length 1; nearly nothing stays nearly nothing.
    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    /// The component along axis 0 (x), 1 (y) or 2 (z).
    pub(super) fn axis(self, axis: usize) -> f64 {
        [self.x, self.y, self.z][axis]
    }

    /// The same with one component replaced.
    pub(super) fn with_axis(mut self, axis: usize, value: f64) -> Self {
        match axis {
            0 => self.x = value,
            1 => self.y = value,
            _ => self.z = value,
        }
        self
    }
}

impl Add for Vector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f64> for Vector {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::new(self.x * factor, self.y * factor, self.z * factor)
    }
}
