//! From models, documents and filters to what the search engine is sent; pure, no I/O.
//!
//! A document is stored as
//!
//! ```json
//! {"k": "id", "r": "routing", "w": "write id", "f": {"n": [3]}, "e": ["n"], "body": {"n": 3}}
//! ```
//!
//! The engine never parses `body`, so it keeps any JSON object as it was stored, whatever its
//! members are called. What can be searched stands beside it: in `f` the values of the declared
//! fields that their kinds take, in `e` the paths that have a value, both read from the body by the
//! functions that define what a query means. A value that does not fit its field's kind therefore
//! neither fails a write nor answers a query wrongly.

mod document;
mod filter;
mod mapping;
mod path;

pub(crate) use document::{document_id, source};
pub(crate) use filter::{query, routed};
pub(crate) use mapping::{extension, index_body, model_of};
