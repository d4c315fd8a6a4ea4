//! From models, documents and questions to what the search engine is sent; pure, no I/O.
//!
//! A document is stored as
//!
//! ```json
//! {"k": "id", "r": "routing", "w": "write id", "body": {"n": 3, "i": [{"s": "a"}]},
//!  "f": {"i%2es": "a"}, "n": {"i": [{"f": {"i%2es": "a"}}]}}
//! ```
//!
//! The engine reads the outermost declared fields from the body itself, by types that hold what
//! their kinds mean. All other fields stand beside it: in `f` the values that their kinds take, in
//! `t` the words of text, in `a` texts that the engine reads by an analyser, in `e` the paths that have other values, and in `n` the same once more for
//! each object of each nested field. All is read from the body by the functions that define what a
//! query means.
//!
//! A body that the engine would misread is kept unread in `raw`: one that has a value in a field
//! which its kind does not take, or a member whose name means something to the engine. In `body` then
//! stand the values alone. So a value that does not fit its field's kind neither fails a write nor
//! answers a query wrongly.
//!
//! Numbers that the engine's type does not [hold](number) are kept by keys in `x`, which compare by
//! bytes as the numbers do, with the least of them in `lo` and the greatest in `hi`; their fields
//! are listed in `i`. A document that was written anew because fields were added has its former
//! version in `v`.

mod aggregation;
mod document;
mod filter;
mod key;
mod mapping;
mod number;
mod path;
mod plain;
mod score;
mod sort;

pub(crate) use aggregation::{INEXACT, aggregations, group, inexact, result_name, value_of};
pub(crate) use document::{document_id, rewritten, source};
pub(crate) use filter::{both, greater, query, routed};
pub(crate) use mapping::{IndexSettings, extension, index_body, model_of};
pub(crate) use path::Place;
pub(crate) use score::asked;
pub(crate) use sort::{order, position, score, search_after, width};
