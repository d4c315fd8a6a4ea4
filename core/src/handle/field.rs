//! Typed handles of fields, which build filters, sorts, selections and patches.

use std::fmt;
use std::marker::PhantomData;

use crate::model::{FieldPath, Kind, Timestamp};

/// Markers of the kinds that fields have, as types.
pub mod kinds {
    macro_rules! kinds {
        ($($(#[$doc:meta])* $name:ident,)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;
        )*};
    }
    kinds! {
        /// Text compared as a whole.
        Keyword,
        /// Text searched by its words.
        Text,
        /// `true` or `false`.
        Boolean,
        /// A whole number.
        Integer,
        /// A number.
        Float,
        /// A point in time.
        Timestamp,
        /// Base64 text.
        Bytes,
        /// An object.
        Object,
        /// An array of objects, each matched for itself.
        Nested,
    }
}

/// The kind that a Rust type has when the derive is not told another one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no kind of its own as a field of a document",
    note = "say its kind, such as `#[document(keyword)]` or `#[document(object)]`, or leave it out of filters and indexes with `#[document(unmapped)]`"
)]
pub trait FieldType {
    /// The marker of the kind.
    type Kind;
    /// The kind.
    const KIND: Kind;
    /// Whether a value of the type is an array.
    const MANY: bool;
}

macro_rules! field_type {
    ($kind:ident: $($t:ty),*) => {$(
        impl FieldType for $t {
            type Kind = kinds::$kind;
            const KIND: Kind = Kind::$kind;
            const MANY: bool = false;
        }
    )*};
}
field_type!(Integer: i8, i16, i32, i64, u8, u16, u32, u64, isize, usize);
field_type!(Float: f32, f64);
field_type!(Boolean: bool);
field_type!(Keyword: String, std::sync::Arc<str>, Box<str>, char, uuid::Uuid);
field_type!(Timestamp: Timestamp);

impl<T: FieldType> FieldType for Option<T> {
    type Kind = T::Kind;
    const KIND: Kind = T::KIND;
    const MANY: bool = T::MANY;
}

impl<T: FieldType> FieldType for Vec<T> {
    type Kind = T::Kind;
    const KIND: Kind = T::KIND;
    const MANY: bool = true;
}

/// The handle of one field of the documents `T`, of the kind `K`.
pub struct Field<T, K> {
    path: FieldPath,
    of: PhantomData<fn() -> (T, K)>,
}

impl<T, K> Field<T, K> {
    /// The handle of the field at `path`. `T::fields()` hands these out.
    #[must_use]
    pub fn new(path: FieldPath) -> Self {
        Self {
            path,
            of: PhantomData,
        }
    }

    /// Where the field is.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }
}

impl<T, K> Clone for Field<T, K> {
    fn clone(&self) -> Self {
        Self::new(self.path.clone())
    }
}

impl<T, K> fmt::Debug for Field<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.path)
    }
}
