//! Typed handles of fields, which build filters, sorts, selections and patches.
//!
//! `T::fields()` hands them out. A handle knows three types: the document it belongs to, the kind
//! of the field, which decides the filters it offers, and the Rust type of the value, which
//! decides what a patch may write. Building from a handle never fails: its path is known to be
//! good, and a value that no document can hold is told by the query or the patch that uses it.

mod binary;
mod call;
mod change;
mod filter;
mod key;
pub mod kinds;
mod operand;
mod stamp;
mod types;

use std::fmt;
use std::marker::PhantomData;

use crate::model::FieldPath;

pub use binary::Binary;
pub use change::IntoField;
pub(crate) use filter::to_json;
pub use key::{GeneratedId, KeyPart};
pub use operand::IntoOperand;
pub use stamp::StampField;
pub use types::{FieldType, ObjectType};

/// The handle of one field of the documents `T`, of the kind `K`, holding a `V`.
///
/// `V` is the type of the field without a surrounding `Option`.
pub struct Field<T, K, V = ()> {
    path: FieldPath,
    of: PhantomData<Marker<T, K, V>>,
}

type Marker<T, K, V> = fn() -> (T, K, V);

impl<T, K, V> Field<T, K, V> {
    /// The handle of the field at `path`. `T::fields()` hands these out.
    #[must_use]
    pub fn new(path: FieldPath) -> Self {
        Self {
            path,
            of: PhantomData,
        }
    }

    /// The handle of a field of the document itself, by a name that the derive has checked.
    #[doc(hidden)]
    #[must_use]
    pub fn root(name: &'static str) -> Self {
        Self::new(FieldPath::from_checked(name))
    }

    /// The handle of the field `name` within the object that this handle is of, by a name that
    /// the derive has checked.
    #[doc(hidden)]
    #[must_use]
    pub fn within<K2, V2>(&self, name: &'static str) -> Field<T, K2, V2> {
        Field::new(FieldPath::from_checked(format!("{}.{name}", self.path)))
    }

    /// Where the field is.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }
}

impl<T, K, V> Clone for Field<T, K, V> {
    fn clone(&self) -> Self {
        Self::new(self.path.clone())
    }
}

impl<T, K, V> fmt::Debug for Field<T, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.path)
    }
}

impl<T, K, V> From<Field<T, K, V>> for FieldPath {
    fn from(field: Field<T, K, V>) -> Self {
        field.path
    }
}
