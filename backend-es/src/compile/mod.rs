//! From models, documents and questions to what the search engine is sent; pure, no I/O.
//!
//! A document is stored as
//!
//! ```json
//! {"k": "id", "r": "routing", "w": "write id", "e": ["n", "i"],
//!  "f": {"n": ["c008000000000000"]}, "x": {"n": [3.0]},
//!  "lo": {"n": "c008000000000000"}, "hi": {"n": "c008000000000000"},
//!  "n": {"i": [{"e": []}]}, "body": {"n": 3, "i": [{}]}}
//! ```
//!
//! The engine never parses `body`, so it keeps any JSON object as it was stored, whatever its
//! members are called. What can be searched stands beside it: in `f` the values of the declared
//! fields that their kinds take, as keys that compare by bytes as the values do, in `lo` and `hi`
//! the least and the greatest of them, in `x` the numbers and in `d` the times among them, in `t`
//! the words of text, in `e` the paths that have a value, and in `n` the same once more for each
//! object of each nested field. A document that was written anew because fields were added has its
//! former version in `v`. All is read from the body by the functions that define what a query
//! means. A value that does not fit its field's kind therefore neither fails a write nor answers a
//! query wrongly.

mod aggregation;
mod document;
mod filter;
mod key;
mod mapping;
mod path;
mod score;
mod sort;

pub(crate) use aggregation::{aggregations, group, result_name};
pub(crate) use document::{document_id, rewritten, source};
pub(crate) use filter::{both, greater, query, routed};
pub(crate) use key::{decode as value_of_key, encode as key};
pub(crate) use mapping::{IndexSettings, extension, index_body, model_of};
pub(crate) use path::Place;
pub(crate) use score::asked;
pub(crate) use sort::{order, search_after};
