//! Elasticsearch for Strongroom: a thin first cut that proves the trait family's meaning of
//! version, visibility and failure on a search engine.
//!
//! [`EsStore`] implements the family on the official client. A call goes from the family's request
//! through `compile` (pure: documents, filters and models become what the engine is sent) to `wire`
//! (the one place where requests leave, each with a timeout and none with an id in its path), and
//! its reply is judged by `error` (the one place where failures become errors of the family).
//!
//! # How documents are kept
//!
//! A collection `users` is a concrete index `users.<16 hex digits>`, with the body in an object
//! that the engine does not parse and what can be searched beside it: the values of the declared
//! fields, the paths that have a value, id, routing and write id. So bodies come back as they were
//! stored, whatever their members are called, and values that do not fit a field's kind neither
//! fail a write nor answer a query wrongly. The price is that values of declared fields are stored
//! several times, and that adding a field means to write the documents anew; an engine that parses bodies
//! by a closed mapping has the second price, too.
//!
//! # What is there, and what is not
//!
//! There are: loads, guarded writes of every kind, bulks that are not atomic, the filters equality,
//! in, range, prefix, exists, and, or, not, sorted pages with cursors, counts, and collections that
//! are made, described, dropped and, while they are empty, extended.
//!
//! `Unsupported`, naming the feature: transactions, atomic bulks, unique fields, filters nested
//! deeper than 28 levels, adding fields to a collection that holds documents, and numbers with a
//! fraction in fields declared as integers. Fields of the kinds text, bytes, object and nested are
//! tested for existence only. In fields declared as floats, numbers compare as `f64`: whole numbers
//! beyond 2^53 are found by the nearest one. Indices of others, OpenSearch and the joining of
//! concurrent calls are left for later.
//!
//! # What it taught
//!
//! **Version.** Sequence number, primary term and index number fit `Version`: compared for equality
//! only, no revision, no order. Sequence numbers begin anew in a new index, where the first write
//! of a document gets the very numbers that its predecessor had, so the third part is not a nicety.
//! It is drawn at random and is part of the concrete index's name and of an alias by which every
//! write addresses it with `require_alias`; an index that was dropped is then neither written to
//! nor brought back by a write, and no check of the identity can come too early. Two creators are
//! told apart by the alias of which the engine allows one write index. A version of a search hit
//! is the version of the body in that hit, which may be old: a save based on it conflicts, as it
//! should.
//!
//! **Decision.** The engine decides `Any`, `Absent` and `Exactly` in one step. `Present` and every
//! patch take a load and a guarded write, and begin anew when the guard does not hold: `Contended`
//! has to exist, and callers of unguarded patches meet it under load. A conflict does not tell the
//! version that was there, only in prose; it is loaded, so `actual` is what is there now, which is
//! what a caller reloads anyway, and it costs a round trip only to those who lost.
//!
//! **Visibility.** Loads are realtime and searches are not; one capability and `refresh` say all
//! there is. An index must not be searched for the document to write: writes that need the version
//! load it.
//!
//! **Failure.** A timeout, a reset and most answers of 5xx are `Indeterminate`; the write id in the
//! document resolves them. Proof that nothing was written is rare: a connection that was not made,
//! 429, a cluster block, an answer of 4xx. 503 is none, because the engine resends within itself
//! before it gives up. The same resending lets a write meet itself, so a conflict is not believed
//! before the document was loaded and bears another write id; where the primary has changed since
//! the version expected, even that is no proof, and the write is `Indeterminate`. One gap is left:
//! if the connection between two nodes breaks after a write was applied, the coordinating node
//! sends it on again within the same primary term, and if yet another writer wrote in between, the
//! conflict is false. A short list of the last write ids in each document would close it; a
//! guarded write cannot keep it without having loaded the document. Deletes leave no write id: a
//! delete whose reply was lost stays `Indeterminate`, as the capability says, and one that met
//! itself is told as `NotFound`.
//!
//! **Bulk.** Items of one request succeed and fail one by one, in order, also on one key, as the
//! family wants it. Errors are not cloneable, so a request that failed as a whole makes an error
//! for each of its items anew.
//!
//! **Ids.** In bodies of `_bulk`, `_mget` and `_search` no id is hostile; a lone write is a bulk of
//! one for that reason alone. Routing in a query string would be split at commas: routed searches
//! filter by a stored copy and ask every shard.
//!
//! **Queries.** Ids sort as UTF-8 bytes in a keyword copy. The engine tells -0.0 from 0.0, refuses
//! terms over 32,766 bytes, and nests queries 30 deep where the family allows 32. Reading a part of
//! a document rewrites its numbers (the integer `-0` becomes `0`) and takes a member `a.b` for a
//! path, so parts are cut here.
//!
//! # Before it hardens
//!
//! - Somebody has to decide whether adding a field may rewrite documents, and so change versions
//!   that callers hold, or needs a re-indexing of its own under the collection's alias.
//! - `age` of a loaded document is not told, because the engine keeps no time of writing by its own
//!   clock; an unguarded write whose reply was lost is resolved by its write id alone.
//! - The largest depth of a filter should be a capability, or 28 for all.
//! - The sort keys beside the values, needed because the engine marks a missing number by a number,
//!   should be stored for fields that are sorted by only, once a model can say which.
//! - Nested fields have to become nested documents of the values, not of the body.
//!
//! # Examples
//!
//! ```no_run
//! # async fn example() -> strongroom_core::Result<()> {
//! use strongroom_core::store::Schema;
//! use strongroom_es::{EsOptions, EsStore};
//!
//! let options = EsOptions::default().shards(6).replicas(1);
//! let store = EsStore::connect_with("https://user:password@search.example:9200", options).await?;
//! println!("{}", store.server_info().await?.version);
//! # Ok(())
//! # }
//! ```

mod aggregate;
mod answer;
mod bulk;
mod compile;
mod connection;
mod error;
mod explain;
mod extend;
mod group;
mod index;
mod load;
mod matching;
mod page;
mod product;
mod requests;
mod save;
mod scan;
mod schema;
mod search;
mod store;
mod wire;

pub use connection::{Compression, EsCredentials};
pub use store::{EsOptions, EsStore};
