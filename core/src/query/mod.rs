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
//!   Arrays stand only where the model declares a field, or one above it, to hold
//!   [many](crate::model::FieldDeclaration::many) values: what a query makes of others, engines
//!   do not agree on.
//! - A comparison (`eq`, `in`, range, prefix) holds if some value does, one value for both bounds
//!   of a range; `not` is the complement, so it holds where there is no value.
//! - Values compare within one type only: numbers as numbers, exactly, 1 equal to 1.0; text and
//!   prefixes as UTF-8 bytes, without folding or normalisation; false before true.
//! - A body that the typed codec did not write may hold a value that does not fit the kind that
//!   its field is declared with. Only values that the kind takes
//!   ([`Kind::takes`](crate::model::Kind::takes)) count where values are compared, sorted or kept
//!   unique.
//! - A wildcard pattern is compared with a whole value, character by character. Text is searched
//!   by its words ([`TextQuery`]): a phrase within one value, other words in any value of the
//!   field.
//! - A nested filter holds if some object of the nested field matches it, taken for itself;
//!   outside of one, the fields of nested objects are fields like any other.
//! - A call holds if what the function makes equals the value; a function that makes nothing
//!   equals nothing.
//! - `exists` holds if there is any value, whichever type it has; for text and bytes if there is
//!   some string; for objects and nested ones if there is some object that is not null, even an
//!   empty one.
//! - Ascending sort uses the least value of a field, descending the greatest; documents without a
//!   value come last unless asked otherwise, in both directions; ties break by the bytes of the
//!   id and then of the routing, ascending.
//! - The score is the one thing that is left to the engine. What is common: documents of an order
//!   by score are those that match, a greater score comes first, what meets no condition on text
//!   has the score 0, and ties break as in every order. [`Scorer`] is the one of stores that have no
//!   better.
//! - Highlights are not asked of the engine: [`Highlighter`] cuts them out of what it hands out.
//! - What an aggregation computes is said at each [`Aggregation`]; [`Aggregator`] computes it.

mod aggregating;
mod aggregation;
mod check;
mod cursor;
#[cfg(feature = "signed-cursors")]
mod cursor_key;
mod filter;
mod function;
mod highlight;
mod matching;
mod ordering;
mod projection;
mod score;
mod sort;
mod source;
mod text;
mod values;
mod wildcard;

pub use aggregating::Aggregator;
pub(crate) use aggregating::Ordered;
pub use aggregation::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, MAX_AGGREGATIONS, MAX_BUCKETS,
    MAX_TOP_HITS, TermsOrder,
};
pub use cursor::{Cursor, Position};
#[cfg(feature = "signed-cursors")]
pub use cursor_key::CursorKey;
pub use filter::{Filter, Native};
pub use function::{
    Argument, Call, CompiledCall, Function, FunctionName, Functions, MAX_ARGUMENTS,
};
pub use highlight::{
    FragmentText, Highlight, Highlighter, Highlights, MAX_FRAGMENT_CHARS, MAX_FRAGMENTS,
};
pub use matching::Matcher;
pub use ordering::Placer;
pub use score::Scorer;
pub use sort::{MissingValues, Order, Sort, SortTarget};
pub use source::{FieldPattern, SourceFilter};
pub use text::{MAX_WORDS, TextQuery, Words, words};
pub use values::FieldReader;
pub use wildcard::{MAX_WILDCARDS, Wildcard, WildcardToken};
