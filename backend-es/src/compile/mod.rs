//! From models, documents and filters to what the search engine is sent; pure, no I/O.
//!
//! A document is stored as
//!
//! ```json
//! {"k": "id", "r": "routing", "w": "write id", "f": {"n": [3]}, "e": ["n"],
//!  "lo": {"n": "8000000000000003"}, "hi": {"n": "8000000000000003"}, "body": {"n": 3}}
//! ```
//!
//! The engine never parses `body`, so it keeps any JSON object as it was stored, whatever its
//! members are called. What can be searched stands beside it: in `f` the values of the declared
//! fields that their kinds take, in `lo` and `hi` the sort keys of the least and the greatest of
//! them, in `e` the paths that have a value, all read from the body by the functions that define
//! what a query means. A value that does not fit its field's kind therefore
//! neither fails a write nor answers a query wrongly.

mod document;
mod filter;
mod mapping;
mod path;
mod sort_key;

pub(crate) use document::{document_id, source};
pub(crate) use filter::{query, routed};
pub(crate) use mapping::{extension, index_body, model_of};
pub(crate) use path::sort_path;
pub(crate) use sort_key::{decode as value_of_sort_key, encode as sort_key};
