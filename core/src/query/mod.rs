//! Questions as plain data: filters, sorts, cursors and source filters.
//!
//! What they mean is the same on every engine:
//!
//! - A field is the set of its leaf values; null, `[]` and missing mean that it has none.
//! - A comparison holds if some value does; `not` is the complement.
//! - Ascending sort uses the least value of a field, descending the greatest; documents without a
//!   value come last unless asked otherwise; ties break by the bytes of the id.

mod cursor;
mod filter;
mod sort;
mod source;

pub use cursor::{Cursor, Position};
pub use filter::Filter;
pub use sort::{MissingValues, Order, Sort, SortTarget};
pub use source::SourceFilter;
