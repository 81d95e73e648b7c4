//! Complex numbers of double precision.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Complex {
    /// Real part.
    pub(super) re: f64,
    /// Imaginary part.
    pub(super) im: f64,
}

impl Complex {
    /// Nothing.
    pub(super) const ZERO: Self = Self::new(0.0, 0.0);
    /// One.
    pub(super) const ONE: Self = Self::new(1.0, 0.0);

    /// From its parts.
    pub(super) const fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    /// `exp(j angle)`.
    pub(super) fn turn(angle_rad: f64) -> Self {
        let (sin, cos) = angle_rad.sin_cos();
        Self::new(cos, sin)
    }

    /// Square of the magnitude.
    pub(super) fn power(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    /// Magnitude.
    pub(super) fn magnitude(self) -> f64 {
        self.power().sqrt()
    }

    /// Angle, radians, -pi to pi.
    pub(super) fn angle_rad(self) -> f64 {
        self.im.atan2(self.re)
    }

    /// Complex conjugate.
    pub(super) fn conjugate(self) -> Self {
        Self::new(self.re, -self.im)
    }

    /// The square root whose real part is not negative.
    pub(super) fn sqrt(self) -> Self {
        let root = Self::turn(0.5 * self.angle_rad()) * self.magnitude().sqrt();
        if root.re < 0.0 { -root } else { root }
    }

    /// Exponential function.
    pub(super) fn exp(self) -> Self {
        Self::turn(self.im) * self.re.exp()
    }
}

impl Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl Sub for Complex {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.re - other.re, self.im - other.im)
    }
}

impl Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::new(
            self.re * other.re - self.im * other.im,
            self.re * other.im + self.im * other.re,
        )
    }
}

impl Mul<f64> for Complex {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::new(self.re * factor, self.im * factor)
    }
}

impl Div for Complex {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        self * other.conjugate() * (1.0 / other.power())
    }
}

impl Neg for Complex {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.re, -self.im)
    }
}

impl AddAssign for Complex {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl MulAssign for Complex {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}
