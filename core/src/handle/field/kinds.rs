//! Markers of the kinds that fields have, as types, and what the kinds can do.

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

kinds! {
    /// Text compared as a whole.
    Keyword: Stored, Mapped, Comparable, Ordered;
    /// Text searched by its words.
    Text: Stored, Mapped;
    /// `true` or `false`.
    Boolean: Stored, Mapped, Comparable;
    /// A whole number.
    Integer: Stored, Mapped, Comparable, Ordered;
    /// A number, scaled ones among them.
    Float: Stored, Mapped, Comparable, Ordered;
    /// A point in time.
    Timestamp: Stored, Mapped, Comparable, Ordered;
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
