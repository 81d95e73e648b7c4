//! Mathematics with the same bits on every machine.
//!
//! The platform's `sin`, `exp`, … differ between CPUs of one kind (glibc picks FMA variants at run
//! time), so nothing on the witness path may call them. These wrap the `libm` crate, pinned and without
//! its `arch` feature, and order floats totally where `f32::min`/`max` leave the sign of zero open.

use core::cmp::Ordering;

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $f32:path, $name64:ident => $f64:path;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(x: f32) -> f32 { $f32(x) }
        $(#[$doc])*
        #[inline]
        pub fn $name64(x: f64) -> f64 { $f64(x) }
    )*};
}

unary! {
    /// Sine of radians.
    sin => libm::sinf, sin64 => libm::sin;
    /// Cosine of radians.
    cos => libm::cosf, cos64 => libm::cos;
    /// Arc cosine, radians.
    acos => libm::acosf, acos64 => libm::acos;
    /// Natural exponential.
    exp => libm::expf, exp64 => libm::exp;
    /// Natural logarithm.
    ln => libm::logf, ln64 => libm::log;
    /// `ln(1 + x)`.
    ln_1p => libm::log1pf, ln_1p64 => libm::log1p;
    /// Decimal logarithm.
    log10 => libm::log10f, log10_64 => libm::log10;
    /// Hyperbolic tangent.
    tanh => libm::tanhf, tanh64 => libm::tanh;
    /// Error function.
    erf => libm::erff, erf64 => libm::erf;
}

/// `atan2(y, x)`, radians in (-pi, pi].
#[inline]
pub fn atan2(y: f32, x: f32) -> f32 {
    libm::atan2f(y, x)
}

/// `atan2(y, x)`, radians in (-pi, pi].
#[inline]
pub fn atan2_64(y: f64, x: f64) -> f64 {
    libm::atan2(y, x)
}

/// `x` to the power `y`.
#[inline]
pub fn pow(x: f32, y: f32) -> f32 {
    libm::powf(x, y)
}

/// `x` to the power `y`.
#[inline]
pub fn pow64(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// Length of `(x, y)` by `sqrt(x*x + y*y)`: exact operations only, no scaling.
#[inline]
pub fn hypot(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// The smaller by total order: of two zeros the negative one.
#[inline]
pub fn min(a: f32, b: f32) -> f32 {
    if a.total_cmp(&b) == Ordering::Greater { b } else { a }
}

/// The larger by total order: of two zeros the positive one.
#[inline]
pub fn max(a: f32, b: f32) -> f32 {
    if a.total_cmp(&b) == Ordering::Less { b } else { a }
}

/// `x` held within `low..=high`.
#[inline]
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    min(max(x, low), high)
}

/// The smaller by total order.
#[inline]
pub fn min64(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b) == Ordering::Greater { b } else { a }
}

/// The larger by total order.
#[inline]
pub fn max64(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b) == Ordering::Less { b } else { a }
}

/// `x` held within `low..=high`.
#[inline]
pub fn clamp64(x: f64, low: f64, high: f64) -> f64 {
    min64(max64(x, low), high)
}
