//! The little codec under every leaf body: little-endian integers, fixed arrays, bounded text and lists.
//!
//! Each value has exactly one encoding, and the decoder accepts nothing else.

use thiserror::Error;

/// Longest text field in a leaf, bytes.
pub const MAX_TEXT: usize = 255;
/// Longest list in a leaf.
pub const MAX_LIST: usize = 1024;

/// Why bytes were not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("{field}: {expected} bytes expected, {found} left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// Bytes it needs.
        expected: usize,
        /// Bytes left.
        found: usize,
    },
    /// Bytes follow the last field.
    #[error("{found} bytes after the end of {what}")]
    Trailing {
        /// The record.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// A field holds a value it may not hold.
    #[error("{field}: expected {expected}, found {found}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What stands there.
        found: u64,
    },
    /// A text is not UTF-8.
    #[error("{field}: text is not UTF-8")]
    NotText {
        /// The field.
        field: &'static str,
    },
}

/// A cursor over bytes that are not trusted.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated {
            field,
            expected: count,
            found: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(field, N)?);
        Ok(out)
    }

    /// The next value.
    pub fn value<T: Value>(&mut self, field: &'static str) -> Result<T, DecodeError> {
        T::take(self, field)
    }

    /// Accepts the end only.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing {
                what,
                found: self.rest.len(),
            })
        }
    }
}

/// A value with exactly one encoding.
pub trait Value: Sized {
    /// Appends the encoding.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it back; `field` names it in errors.
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError>;
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Value for $int {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(reader.array(field)?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i64, i128);

impl<const N: usize> Value for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.array(field)
    }
}

impl<const N: usize> Value for [u64; N] {
    fn put(&self, out: &mut Vec<u8>) {
        for value in self {
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let mut out = [0; N];
        for value in &mut out {
            *value = reader.value(field)?;
        }
        Ok(out)
    }
}

impl Value for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        match reader.value::<u8>(field)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError::Invalid {
                field,
                expected: "0 or 1",
                found: u64::from(found),
            }),
        }
    }
}

/// UTF-8 of at most [`MAX_TEXT`] bytes: `u8` length, then the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(String);

impl Text {
    /// The text, cut at the last character boundary within [`MAX_TEXT`] bytes.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Text {
    fn put(&self, out: &mut Vec<u8>) {
        // `new` and `take` hold the length to MAX_TEXT.
        out.push(self.0.len() as u8);
        out.extend_from_slice(self.0.as_bytes());
    }
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let len = usize::from(reader.value::<u8>(field)?);
        let bytes = reader.take(field, len)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText { field })?;
        Ok(Self(text.to_owned()))
    }
}

/// A list of at most [`MAX_LIST`] values: `u16` count, then the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    /// A list, or nothing when there are more than [`MAX_LIST`] values.
    pub fn new(values: Vec<T>) -> Option<Self> {
        (values.len() <= MAX_LIST).then_some(Self(values))
    }

    /// The values.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T: Value> Value for List<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0.len() as u16).put(out);
        for value in &self.0 {
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let count = reader.value::<u16>(field)?;
        if usize::from(count) > MAX_LIST {
            return Err(DecodeError::Invalid {
                field,
                expected: "at most 1024 values",
                found: u64::from(count),
            });
        }
        // No reservation by the stated count: it grows only as values really come.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(reader.value(field)?);
        }
        Ok(Self(values))
    }
}

impl<T: Value> Value for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        if reader.value::<bool>(field)? {
            Ok(Some(reader.value(field)?))
        } else {
            Ok(None)
        }
    }
}

/// A struct whose encoding is its fields in order.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $crate::codec::Value for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::codec::Value::put(&self.$field, out);)*
            }
            fn take(
                reader: &mut $crate::codec::Reader<'_>,
                _: &'static str,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $($field: reader.value(stringify!($field))?,)* })
            }
        }
    };
}

/// A fieldless enum that is one byte.
macro_rules! byte_enum {
    ($(#[$meta:meta])* pub enum $name:ident ($expected:literal) { $($(#[$vmeta:meta])* $variant:ident = $byte:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant = $byte,)* }

        impl $name {
            /// Every value, ascending.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The value of this byte.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$variant),)* _ => None }
            }
        }

        impl $crate::codec::Value for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }
            fn take(
                reader: &mut $crate::codec::Reader<'_>,
                field: &'static str,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let byte = reader.value::<u8>(field)?;
                Self::from_byte(byte).ok_or($crate::codec::DecodeError::Invalid {
                    field,
                    expected: $expected,
                    found: u64::from(byte),
                })
            }
        }
    };
}

pub(crate) use {byte_enum, record};
