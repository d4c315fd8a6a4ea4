//! Markers of the kinds that fields have, as types, and what the kinds can do.

use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldPath, Scalar, Timestamp as Time};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $($can:ident),*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        $(impl $can for $name {})*
    )*};
}

/// A kind that is part of the stored document, so that patches can write it.
#[diagnostic::on_unimplemented(message = "a field of the kind `{Self}` is not stored")]
pub trait Stored {}

/// A kind that the model declares, so that filters can ask for it.
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{Self}` is not declared by the model, so no filter sees it"
)]
pub trait Mapped: Stored {}

/// A kind whose values are compared for equality and sorted.
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{Self}` is not compared with a value and not sorted",
    note = "comparable are keyword, boolean, integer, float and timestamp"
)]
pub trait Comparable: Mapped {}

/// A kind whose values have an order that ranges make sense in.
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{Self}` has no ranges",
    note = "ranges have keyword, integer, float and timestamp"
)]
pub trait Ordered: Comparable {}

/// A kind whose values answers hand out by a type of their own: `String`, `bool`, `i64`, `f64` or
/// [`Timestamp`](crate::model::Timestamp).
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{Self}` has no values that documents are grouped by",
    note = "documents are grouped by keyword, boolean, integer, float and timestamp"
)]
pub trait Valued: Comparable {
    /// What a value is handed out as.
    type Value;

    /// Reads a value of the field.
    ///
    /// # Errors
    ///
    /// `Codec`, naming the field, if it does not fit the type, such as a fraction that someone
    /// stored in an integer.
    fn read(value: &Scalar, field: &FieldPath) -> Result<Self::Value>;
}

/// A kind whose values are computed with.
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{Self}` has no numbers to compute with",
    note = "computed with are integer, float and timestamp"
)]
pub trait Numeric: Ordered + Valued {}

/// A kind whose values fall into intervals of any width.
#[diagnostic::on_unimplemented(
    message = "a field of the kind `{Self}` has no histogram",
    note = "integer and float have histograms, and timestamps date histograms"
)]
pub trait Continuous: Numeric {}

impl Valued for Keyword {
    type Value = String;

    fn read(value: &Scalar, field: &FieldPath) -> Result<String> {
        match value {
            Scalar::Text(text) => Ok(text.as_ref().to_owned()),
            _ => Err(unfit(value, field, "text")),
        }
    }
}

impl Valued for Boolean {
    type Value = bool;

    fn read(value: &Scalar, field: &FieldPath) -> Result<bool> {
        match value {
            Scalar::Boolean(value) => Ok(*value),
            _ => Err(unfit(value, field, "a boolean")),
        }
    }
}

impl Valued for Integer {
    type Value = i64;

    fn read(value: &Scalar, field: &FieldPath) -> Result<i64> {
        whole(value).ok_or_else(|| unfit(value, field, "an i64"))
    }
}

impl Valued for Float {
    type Value = f64;

    #[allow(
        clippy::cast_precision_loss,
        reason = "a float holds the nearest number, as its own decoding would"
    )]
    fn read(value: &Scalar, field: &FieldPath) -> Result<f64> {
        match value {
            Scalar::Float(value) => Ok(*value),
            Scalar::Integer(value) => Ok(*value as f64),
            _ => Err(unfit(value, field, "a number")),
        }
    }
}

impl Valued for Timestamp {
    type Value = Time;

    fn read(value: &Scalar, field: &FieldPath) -> Result<Time> {
        let time = whole(value).and_then(|millis| Time::from_millis(millis).ok());
        time.ok_or_else(|| unfit(value, field, "a timestamp"))
    }
}

/// The integer that a number is: engines may hand out 3 as 3.0.
fn whole(value: &Scalar) -> Option<i64> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Scalar::Integer(value) => Some(*value),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "in range, checked by the guard"
        )]
        Scalar::Float(value) if value.fract() == 0.0 && (-BEYOND..BEYOND).contains(value) => {
            Some(*value as i64)
        }
        _ => None,
    }
}

#[cold]
fn unfit(value: &Scalar, field: &FieldPath, wanted: &str) -> Error {
    Error::new(
        ErrorKind::Codec,
        format!("a value of field {field} is {value:?}, which is not {wanted}"),
    )
}

kinds! {
    /// Text compared as a whole.
    Keyword: Stored, Mapped, Comparable, Ordered;
    /// Text searched by its words.
    Text: Stored, Mapped;
    /// `true` or `false`.
    Boolean: Stored, Mapped, Comparable;
    /// A whole number.
    Integer: Stored, Mapped, Comparable, Ordered, Numeric, Continuous;
    /// A number, scaled ones among them.
    Float: Stored, Mapped, Comparable, Ordered, Numeric, Continuous;
    /// A point in time.
    Timestamp: Stored, Mapped, Comparable, Ordered, Numeric;
    /// Base64 text.
    Bytes: Stored, Mapped;
    /// An object.
    Object: Stored, Mapped;
    /// An array of objects, each matched for itself.
    Nested: Stored, Mapped;
    /// The key of a document of another collection.
    Reference: Stored, Mapped;
    /// A property that is computed and never stored.
    Lazy:;
    /// A field that the model does not declare: patches write it, filters do not see it.
    Unmapped: Stored;
}
