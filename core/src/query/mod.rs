//! Questions as plain data: filters, sorts, cursors and source filters.
//!
//! # What a query means
//!
//! It means the same on every engine; [`Matcher`], [`Placer`] and [`SourceFilter::apply`] are that
//! meaning as pure functions over a parsed body, and the in-memory store answers with them.
//!
//! - A field is the set of its leaf values: the booleans, numbers and texts at the end of its
//!   path, through arrays of objects and arrays of arrays at any place. Null, `[]` and missing
//!   mean that it has none. A path leads through members only: `a.b` is never a member `"a.b"`.
//! - A comparison (`eq`, `in`, range, prefix) holds if some value does, one value for both bounds
//!   of a range; `not` is the complement, so it holds where there is no value.
//! - Values compare within one type only: numbers as numbers, exactly, 1 equal to 1.0; text and
//!   prefixes as UTF-8 bytes, without folding or normalisation; false before true.
//! - A body that the typed codec did not write may hold a value that does not fit the kind that
//!   its field is declared with. Only values that the kind takes
//!   ([`Kind::takes`](crate::model::Kind::takes)) count where values are compared, sorted or kept
//!   unique.
//! - `exists` holds if there is any value, whichever type it has; for text and bytes if there is
//!   some string; for objects and nested ones if there is some object that is not null, even an
//!   empty one.
//! - Ascending sort uses the least value of a field, descending the greatest; documents without a
//!   value come last unless asked otherwise, in both directions; ties break by the bytes of the
//!   id and then of the routing, ascending.

mod cursor;
mod filter;
mod matching;
mod ordering;
mod projection;
mod sort;
mod source;
mod values;

pub use cursor::{Cursor, Position};
pub use filter::Filter;
pub use matching::Matcher;
pub use ordering::Placer;
pub use sort::{MissingValues, Order, Sort, SortTarget};
pub use source::SourceFilter;
pub use values::FieldReader;
