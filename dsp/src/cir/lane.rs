//! Lanes: the solver's number type, one `f32` or eight of them, one link to a lane.
//!
//! Every operation works on each lane by itself and is the IEEE operation of `f32`, so a lane of a
//! batch has the bits of the scalar run whatever the other lanes hold. Nothing here fuses a product
//! with a sum: `wide` fuses only in `mul_add` and its relatives, which are never called.

use core::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign};

use num_traits::{FromPrimitive, Num, One, Signed, Zero};
use rustfft::FftNum;
use wide::f32x8;

/// One or several `f32`, computed side by side.
pub trait Lane: FftNum + Default + Neg<Output = Self> + AddAssign + SubAssign + MulAssign {
    /// How many numbers stand side by side.
    const LANES: usize;
    /// The truth of a comparison in each lane.
    type Mask: Copy;

    /// The same number in every lane.
    fn splat(value: f32) -> Self;
    /// The number in one lane.
    fn get(self, lane: usize) -> f32;
    /// Writes the number of one lane.
    fn set(&mut self, lane: usize, value: f32);
    /// Square root.
    fn sqrt(self) -> Self;
    /// `self > other`, false where either is not a number.
    fn greater(self, other: Self) -> Self::Mask;
    /// `yes` where the mask holds, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// Both.
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Either.
    fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// The mask that holds where `lanes` has the lane's bit.
    fn mask_of_bits(lanes: u32) -> Self::Mask;
    /// One bit for each lane where the mask holds.
    fn bits_of_mask(mask: Self::Mask) -> u32;

    /// The larger; `other` where they are equal.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self::select(self.greater(other), self, other)
    }

    /// The smaller; `other` where they are equal.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        Self::select(other.greater(self), self, other)
    }
}

impl Lane for f32 {
    const LANES: usize = 1;
    type Mask = bool;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn get(self, _lane: usize) -> f32 {
        self
    }
    #[inline(always)]
    fn set(&mut self, _lane: usize, value: f32) {
        *self = value;
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn greater(self, other: Self) -> bool {
        self > other
    }
    #[inline(always)]
    fn select(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
    #[inline(always)]
    fn and(a: bool, b: bool) -> bool {
        a && b
    }
    #[inline(always)]
    fn or(a: bool, b: bool) -> bool {
        a || b
    }
    #[inline(always)]
    fn mask_of_bits(lanes: u32) -> bool {
        lanes & 1 == 1
    }
    #[inline(always)]
    fn bits_of_mask(mask: bool) -> u32 {
        u32::from(mask)
    }
}

/// Eight lanes of `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(transparent)]
pub struct Lanes8(f32x8);

impl Lane for Lanes8 {
    const LANES: usize = 8;
    type Mask = f32x8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(f32x8::splat(value))
    }
    #[inline(always)]
    fn get(self, lane: usize) -> f32 {
        self.0.as_array()[lane]
    }
    #[inline(always)]
    fn set(&mut self, lane: usize, value: f32) {
        self.0.as_mut_array()[lane] = value;
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    #[inline(always)]
    fn greater(self, other: Self) -> f32x8 {
        self.0.simd_gt(other.0)
    }
    #[inline(always)]
    fn select(mask: f32x8, yes: Self, no: Self) -> Self {
        Self(mask.select(yes.0, no.0))
    }
    #[inline(always)]
    fn and(a: f32x8, b: f32x8) -> f32x8 {
        a & b
    }
    #[inline(always)]
    fn or(a: f32x8, b: f32x8) -> f32x8 {
        a | b
    }
    #[inline(always)]
    fn mask_of_bits(lanes: u32) -> f32x8 {
        let bit = |lane: u32| if lanes >> lane & 1 == 1 { 1.0 } else { 0.0 };
        f32x8::new([bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7)]).simd_gt(f32x8::splat(0.0))
    }
    #[inline(always)]
    fn bits_of_mask(mask: f32x8) -> u32 {
        mask.to_bitmask()
    }
}

macro_rules! forward_binary {
    ($($trait:ident::$method:ident, $assign_trait:ident::$assign:ident;)*) => {$(
        impl $trait for Lanes8 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($trait::$method(self.0, other.0))
            }
        }
        impl $assign_trait for Lanes8 {
            #[inline(always)]
            fn $assign(&mut self, other: Self) {
                *self = $trait::$method(*self, other);
            }
        }
    )*};
}

forward_binary! {
    Add::add, AddAssign::add_assign;
    Sub::sub, SubAssign::sub_assign;
    Mul::mul, MulAssign::mul_assign;
    Div::div, DivAssign::div_assign;
}

impl Lanes8 {
    fn each(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let (a, b) = (self.0.to_array(), other.0.to_array());
        Self(f32x8::new(core::array::from_fn(|lane| f(a[lane], b[lane]))))
    }
}

// `FftNum` asks for the whole of `Num` and `Signed`. The transforms use sums, products and negation
// only; what follows below `Neg` is there for the type system and right all the same.

impl Neg for Lanes8 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Rem for Lanes8 {
    type Output = Self;
    fn rem(self, other: Self) -> Self {
        self.each(other, libm::fmodf)
    }
}

impl RemAssign for Lanes8 {
    fn rem_assign(&mut self, other: Self) {
        *self = *self % other;
    }
}

impl Zero for Lanes8 {
    #[inline(always)]
    fn zero() -> Self {
        Self(f32x8::splat(0.0))
    }
    fn is_zero(&self) -> bool {
        *self == Self::zero()
    }
}

impl One for Lanes8 {
    #[inline(always)]
    fn one() -> Self {
        Self(f32x8::splat(1.0))
    }
}

impl Num for Lanes8 {
    type FromStrRadixErr = <f32 as Num>::FromStrRadixErr;
    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        f32::from_str_radix(text, radix).map(Self::splat)
    }
}

impl Signed for Lanes8 {
    fn abs(&self) -> Self {
        Self::select(Self::zero().greater(*self), -*self, *self)
    }
    fn abs_sub(&self, other: &Self) -> Self {
        Self::select(self.greater(*other), *self - *other, Self::zero())
    }
    fn signum(&self) -> Self {
        self.each(*self, |a, _| a.signum())
    }
    fn is_positive(&self) -> bool {
        self.0.to_array().iter().all(|a| *a > 0.0)
    }
    fn is_negative(&self) -> bool {
        self.0.to_array().iter().all(|a| *a < 0.0)
    }
}

impl FromPrimitive for Lanes8 {
    fn from_i64(n: i64) -> Option<Self> {
        f32::from_i64(n).map(Self::splat)
    }
    fn from_u64(n: u64) -> Option<Self> {
        f32::from_u64(n).map(Self::splat)
    }
    fn from_f64(n: f64) -> Option<Self> {
        f32::from_f64(n).map(Self::splat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_lane_has_the_bits_of_f32(a in prop::array::uniform8(-1e20f32..1e20), b in prop::array::uniform8(-1e3f32..1e3)) {
            let (x, y) = (Lanes8(f32x8::new(a)), Lanes8(f32x8::new(b)));
            for i in 0..8 {
                let same = |lanes: Lanes8, scalar: f32| lanes.get(i).to_bits() == scalar.to_bits();
                prop_assert!(same(x + y, a[i] + b[i]) && same(x - y, a[i] - b[i]) && same(x * y, a[i] * b[i]));
                prop_assert!(same(x / y, a[i] / b[i]) && same(-x, -a[i]));
                prop_assert!(same(x.abs().sqrt(), Signed::abs(&a[i]).sqrt()) && same(x % y, a[i] % b[i]));
                prop_assert!(same(x.larger(y), Lane::larger(a[i], b[i])) && same(x.smaller(y), Lane::smaller(a[i], b[i])));
            }
        }
    }

    #[test]
    fn masks_and_bits_agree() {
        for bits in 0..256 {
            assert_eq!(Lanes8::bits_of_mask(Lanes8::mask_of_bits(bits)), bits);
        }
        let mut lanes = Lanes8::splat(1.0);
        lanes.set(3, 2.0);
        assert_eq!(Lanes8::bits_of_mask(lanes.greater(Lanes8::splat(1.5))), 8);
    }
}
